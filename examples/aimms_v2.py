"""The vendor's client of the v2 task API (requests and time.sleep), rewritten."""

from __future__ import annotations

import asyncio

from asynctasks import AimmsClient, LocalServer


async def main(client: AimmsClient) -> None:
    task = await client.submit("countStarsJson", {"lines": ["* *", " *"]})
    print(client.dialect.title, task.id)
    async for status in task.updates():
        print("   ", status.word)
    print("task response json:", await task.result())


async def demo() -> None:
    async with LocalServer() as server:
        # http://localhost:{port}/api/v2/tasks/{service}, without a key
        async with AimmsClient.local(server.url) as client:
            await main(client)
        # https://{cloud}.aimms.cloud/pro-api/v2/tasks/{app}/{ver}/{service}
        async with AimmsClient.cloud(
            server.url, app="CountTheStars", version="1.0", api_key="1111111111"
        ) as client:
            await main(client)


if __name__ == "__main__":
    asyncio.run(demo())
