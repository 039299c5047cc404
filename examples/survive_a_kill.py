"""Submit with a journal, die, and find the tasks again in the next run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from asynctasks import AimmsClient, LocalServer


async def submit_and_die(url: str, journal: str) -> None:
    client = AimmsClient.local(url, journal=journal)
    for number in range(3):
        await client.submit("echo", {"n": number}, key=f"order-{number}")
    os._exit(9)  # as if killed: nothing is closed, nothing is said


async def main(journal: Path) -> None:
    async with LocalServer() as server:
        program = (sys.executable, __file__, server.url, str(journal))
        await (await asyncio.create_subprocess_exec(*program)).wait()

        async with AimmsClient.local(server.url, journal=journal) as client:
            async for each in client.journalled():
                if each.task is not None:  # else each.candidates, or submit it again
                    print(each.key, "gives", await each.task.result())
                    await client.acknowledge(each.task)
            # What has been submitted under its key is not submitted again.
            print("again:", await client.run("echo", {"n": 2}, key="order-2"))
        print(len(list(server.simulator.submissions.elements())), "submits in all")


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(submit_and_die(*sys.argv[1:]))
    else:
        with TemporaryDirectory() as folder:
            asyncio.run(main(Path(folder, "tasks.db")))
