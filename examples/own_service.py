"""Register functions as services of the embedded server, and call them."""

from __future__ import annotations

import asyncio
from typing import Any

from asynctasks import AimmsClient, LocalServer, TaskFailed
from asynctasks.server import TaskContext


def primes(inputs: dict[str, Any]) -> dict[str, Any]:
    """Run in a thread, because it is a plain function."""
    limit = inputs["below"]
    found = [n for n in range(2, limit) if all(n % d for d in range(2, n))]
    return {"primes": found}


async def countdown(inputs: dict[str, Any], task: TaskContext) -> str:
    """Run on the loop, because it is async; report how far it is."""
    for left in range(inputs["from"], 0, -1):
        task.progress(1 - left / inputs["from"], f"{left} to go")
        await asyncio.sleep(0.05)
    return "lift-off"


async def main() -> None:
    async with LocalServer() as server, AimmsClient.local(server.url) as client:
        server.service("primes", primes)
        server.service("countdown", countdown)
        print(await client.run("primes", {"below": 30}))
        print(await client.run("countdown", {"from": 3}))
        try:
            await client.run("primes", {"below": "thirty"})
        except TaskFailed as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
