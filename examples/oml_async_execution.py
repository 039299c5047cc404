"""The vendor's asynchronous script execution (three calls of curl), rewritten."""

from __future__ import annotations

import asyncio
import sys

from asynctasks import LocalServer, OmlClient


PASSWORD = "omluserPassword1"  # noqa: S105 - of the embedded server, which takes any


async def main(url: str) -> None:
    # https://<oml-cloud-service-location-url>, with /oml/ or without
    async with OmlClient(url, username="OMLUSER", password=PASSWORD) as client:
        # Step 1: call a script execution function asynchronously.
        task = await client.group_apply(
            "group_count",
            {"oml_input_type": "pandas.DataFrame"},
            query="select * from IRIS",
            group_by="Species",
            order_by="Sepal_Length",
            parallel=True,
        )
        print("job", task.id)
        # Step 2: the status of the job: 202 is pending, 302 is finished.
        async for status in task.updates():
            print("finished" if status.done else status.word)
        # Step 3: the result of the script.
        result = await task.result()
        print("versicolor_8", result["versicolor_8"])


async def demo() -> None:
    async with LocalServer() as server:
        await main(server.url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]) if sys.argv[1:] else demo())
