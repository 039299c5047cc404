"""Have a callback told of the states of all tasks of a service."""

from __future__ import annotations

import asyncio

from asynctasks import AimmsClient, Event, EventKind, LocalServer


async def on_event(event: Event) -> None:
    """Print what happened; it may be slow or raise without harm to other callbacks."""
    if event.kind is EventKind.STATUS:
        print(event.task.id[:8], event.status.state.name, event.status.message)
    else:
        print(event.kind.name, event.error or f"{event.missed} events missed")


async def main() -> None:
    async with LocalServer() as server, AimmsClient.local(server.url) as client:
        await client.start_subscriber_transport()
        subscription = await client.subscribe(on_event, service="sleep")
        first = await client.submit("sleep", {"seconds": 0.3})
        second = await client.submit("sleep", {"seconds": 0.6})
        await asyncio.gather(first.wait(), second.wait())
        await asyncio.sleep(0.1)  # let the last event be printed
        subscription.unsubscribe()


if __name__ == "__main__":
    asyncio.run(main())
