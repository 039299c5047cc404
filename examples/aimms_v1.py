"""The vendor's client of the v1 task API (requests and time.sleep), rewritten."""

from __future__ import annotations

import asyncio
from pathlib import Path
import tempfile

from asynctasks import AimmsClient, LocalServer
from asynctasks.server.services import load_instance


async def main(server: str, apikey: Path) -> None:
    async with AimmsClient.cloud(
        server,  # in the cloud: the account's name
        app="MachineSchedulingMIPTimeIndexedSolver",
        version="007",
        api_version="v1",
        api_key=apikey,  # a file that holds {"apiKey": "..."}
    ) as client:
        inputs = load_instance("3Par15act")
        task = await client.submit("equalParallelMachineTimeIndexedMIP", inputs)
        async for status in task.updates():  # ends on "finished with errors" too
            print(status.word)
        solution = await task.result()
        print(solution["problemStatus"], "makespan", solution["KPIs"][0]["makespan"])


async def demo() -> None:
    with tempfile.TemporaryDirectory() as folder:
        apikey = Path(folder, "apikey.txt")
        await asyncio.to_thread(apikey.write_text, '{"apiKey": "1111111111"}')
        async with LocalServer(api_key="1111111111") as server:
            await main(server.url, apikey)


if __name__ == "__main__":
    asyncio.run(demo())
