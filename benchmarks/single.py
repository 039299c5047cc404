"""P1 and P2: what one request costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import importlib.util

import aiohttp

from asynctasks import AimmsClient

from .measure import Contestant, Figure, Verdict, compare


WIDTH = 64
"""Requests at the same time."""

WIDE = 171
"""The width of a client whose lane for polls lets so many through."""


async def spread(call: Callable[[], Awaitable[object]], count: int) -> int:
    """Make *count* calls, WIDTH at a time."""
    left = iter(range(count))

    async def worker(left: Iterator[int]) -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(worker(left) for _ in range(WIDTH)))
    return count


def polls(url: str, count: int) -> dict[str, Contestant]:
    """Look at one task again and again."""

    async def by_hand() -> int:
        async with aiohttp.ClientSession(headers={"apiKey": "key"}) as session:
            async with session.post(f"{url}/api/v2/tasks/bench", json={}) as answer:
                task = (await answer.json())["id"]
            place = f"{url}/api/v2/tasks/{task}"

            async def call() -> str:
                async with session.get(place) as answer:
                    document = await answer.json()
                    state: str = document["state"]
                    return state

            return await spread(call, count)

    async def ours() -> int:
        async with AimmsClient.cloud(
            url, app="Bench", version="1", api_key="key", width=WIDE
        ) as client:
            task = await client.submit("bench", {})
            return await spread(task.status, count)

    return {"aiohttp, hand-written loop": by_hand, "asynctasks": ours}


def rows(url: str, count: int) -> dict[str, Contestant]:
    """Read one row again and again."""
    contestants: dict[str, Contestant] = {}

    async def ours() -> int:
        from asynctasks.vantiq import Vantiq  # noqa: PLC0415 - as its peer

        async with Vantiq(url) as client:
            await client.set_access_token("token")
            return await spread(lambda: client.select_one("Rows", "1"), count)

    async def theirs() -> int:
        import vantiqsdk  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer

        async with vantiqsdk.Vantiq(url) as client:
            await client.set_access_token("token")
            return await spread(lambda: client.select_one("Rows", "1"), count)

    if importlib.util.find_spec("vantiqsdk") is not None:
        contestants["vantiqsdk"] = theirs
        contestants["asynctasks.vantiq"] = ours
    return contestants


def run(url: str, *, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure both."""
    rounds = 2 if quick else 7
    figures, verdicts = [], []
    found = compare(polls(url, 200 if quick else 5_000), rounds)
    by_hand, ours = found.values()
    ratio = ours.cost / by_hand.cost
    what = "CPU per poll against a hand-written aiohttp loop"
    verdicts.append(Verdict("P1", what, ratio, 1.0, at_least=False))
    figures += list(found.values())
    found = compare(rows(url, 200 if quick else 3_000), rounds)
    if found:
        theirs, ours = found.values()
        what = "select_one: calls a second against vantiqsdk"
        ratio = ours.rate / theirs.rate
        verdicts.append(Verdict("P2", what, ratio, 2.5, at_least=True))
        figures += list(found.values())
    return figures, verdicts
