"""Run many tasks at once with asyncio.TaskGroup, and take them as they end."""

from __future__ import annotations

import asyncio

from asynctasks import AimmsClient, LocalServer, TaskFailed, as_completed


async def main() -> None:
    async with (
        LocalServer(parallel=10) as server,
        AimmsClient.local(server.url) as client,
    ):
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(client.run("echo", {"n": n})) for n in range(20)]
        print("sum:", sum(run.result()["n"] for run in runs))

        tasks = [await client.submit("sleep", {"seconds": n / 10}) for n in (3, 1, 2)]
        tasks.append(await client.submit("fail", {"message": "no such model"}))
        async for task in as_completed(tasks):
            try:
                print(await task)
            except TaskFailed as error:
                print(error)


if __name__ == "__main__":
    asyncio.run(main())
