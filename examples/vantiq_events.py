"""Events of Vantiq: told to a callback, read as a stream, acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

from asynctasks import LocalServer, Vantiq, VantiqResources


async def told(what: str, message: dict[str, Any]) -> None:
    print("callback:", what, message.get("path"), message.get("value"))


async def main() -> None:
    async with LocalServer() as server, Vantiq(server.url) as client:
        await client.set_access_token("developer")
        await client.subscribe(VantiqResources.TOPICS, "/machines", None, told)

        topic = {"name": "/orders", "isReliable": True, "redeliveryFrequency": 5}
        await client.insert(VantiqResources.TOPICS, topic)
        orders = client.events(
            VantiqResources.TOPICS, "/orders", params={"persistent": True}
        )
        async with orders, asyncio.timeout(10):
            for number in range(3):
                order = {"number": number}
                await client.publish(VantiqResources.TOPICS, "/orders", order)
            await client.publish(VantiqResources.TOPICS, "/machines", {"id": "m1"})

            # What is not acknowledged comes again, after a lost connection too.
            async for event in orders:
                print("stream:", event.what, event.value)
                await orders.ack(event)
                if event.value["number"] == 2:
                    break


if __name__ == "__main__":
    asyncio.run(main())
