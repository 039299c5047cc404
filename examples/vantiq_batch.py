"""A batch of Vantiq requests, and a type whose rows are tasks."""

from __future__ import annotations

import asyncio
from typing import Any

from asynctasks import Batched, LocalServer, Vantiq, VantiqResources, VantiqTasks


async def main() -> None:
    async with LocalServer() as server, Vantiq(server.url) as client:
        await client.set_access_token("developer")
        tasks = VantiqTasks(client)
        await tasks.create_type()

        async def work(what: str, message: dict[str, Any]) -> None:
            """Do what a rule of your Vantiq application would do."""
            if what == "message":
                row = message["value"]
                square = {"value": row["inputs"]["value"] ** 2}
                done = {"state": "succeeded", "result": square}
                await client.update("Task", row["id"], done)

        await client.subscribe(VantiqResources.TYPES, "Task", "insert", work)
        async with tasks:
            numbers = range(5)
            results = [tasks.run("square", number, timeout=10) for number in numbers]
            print("squares:", await asyncio.gather(*results))

        response = await client.batch(
            [
                Batched(method="GET", uri="custom/Task?count=true&limit=1"),
                Batched(method="GET", uri="custom/Task/no-such-task"),
            ]
        )
        print("batch:", [answer["status"] for answer in response.body])


if __name__ == "__main__":
    asyncio.run(main())
