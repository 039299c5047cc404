"""Submit one task, follow its states, and fetch its result."""

from __future__ import annotations

import asyncio

from asynctasks import AimmsClient, LocalServer


async def main() -> None:
    # Your own service: AimmsClient.cloud("account", app="App", api_key=...).
    async with LocalServer() as server, AimmsClient.local(server.url) as client:
        task = await client.submit("sleep", {"seconds": 0.5})
        print("token, for later or for another process:", task.token)
        async for status in task.updates():
            print(status.state.name, status.word)
        print("result:", await task.result(timeout=60))

        # The same in one line.
        print("result:", await client.run("echo", {"hello": "world"}))


if __name__ == "__main__":
    asyncio.run(main())
