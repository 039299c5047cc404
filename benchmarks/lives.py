"""P3: the whole life of a task: submit, polls, result."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
import json
from typing import Any
from urllib.request import Request, urlopen

import aiohttp

from asynctasks import AimmsClient, PollPolicy

from .measure import Contestant, Figure, Verdict, compare


try:
    import requests
except ImportError:  # the standard library then stands in for it, which is faster
    requests = None  # type: ignore[assignment]


AT_ONCE = 100

INPUTS = {"looks": 3}
"""A task is over at the third look; nobody sleeps, so that only work is measured."""

PERIOD = 0.001
"""Seconds between two looks of ours, which cannot be none."""


def ask(method: str, url: str, body: bytes | None = None) -> Any:
    """Send a request as the vendor's scripts do: a connection each, no session."""
    if requests is not None:
        answer = requests.request(method, url, data=body, timeout=60)
        return answer.json()
    request = Request(url, data=body, method=method)
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def one_life(url: str) -> None:
    """Submit, poll, fetch: as the vendor's scripts do, but for their sleeps."""
    body = json.dumps(INPUTS).encode()
    task = ask("POST", f"{url}/api/v2/tasks/bench", body)["id"]
    state = ""
    while state != "completed":
        state = ask("GET", f"{url}/api/v2/tasks/{task}")["state"]
    ask("GET", f"{url}/api/v2/tasks/{task}/response")


def lives(url: str, count: int) -> dict[str, Contestant]:
    """Run *count* tasks, so many at once."""

    async def in_threads() -> int:
        loop = asyncio.get_running_loop()
        few = max(1, count // 10)  # it is slow: a tenth is enough for a rate
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [loop.run_in_executor(pool, one_life, url) for _ in range(few)]
            await asyncio.gather(*waiting)
        return few

    async def by_hand() -> int:
        places = asyncio.Semaphore(AT_ONCE)
        async with aiohttp.ClientSession() as session:

            async def life() -> None:
                async with places:
                    place = f"{url}/api/v2/tasks"
                    async with session.post(f"{place}/bench", json=INPUTS) as answer:
                        task = (await answer.json())["id"]
                    state = ""
                    while state != "completed":
                        async with session.get(f"{place}/{task}") as answer:
                            state = (await answer.json())["state"]
                    async with session.get(f"{place}/{task}/response") as answer:
                        await answer.json()

            await asyncio.gather(*(life() for _ in range(count)))
        return count

    async def ours(client: AimmsClient) -> int:
        places = asyncio.Semaphore(AT_ONCE)

        async def life() -> None:
            async with places:
                await client.run("bench", INPUTS)

        async with client:
            await asyncio.gather(*(life() for _ in range(count)))
        return count

    async def ours_singly() -> int:
        even = PollPolicy(wait_initial=PERIOD, wait_max=PERIOD, wait_jitter=0.0)
        client = AimmsClient.local(
            url, poll=even, merge=False, learn=None, width=4 * AT_ONCE
        )
        return await ours(client)

    async def ours_merged() -> int:
        even = PollPolicy(wait_initial=PERIOD, wait_max=PERIOD, wait_jitter=0.0)
        client = AimmsClient.cloud(
            url, app="Bench", version="1", api_key="key", poll=even, width=4 * AT_ONCE
        )
        async with client:
            await asyncio.gather(*(client.run("bench", INPUTS) for _ in range(count)))
        return count

    return {
        "requests in threads, as the vendor's scripts": in_threads,
        "aiohttp, hand-written gather loop": by_hand,
        "asynctasks, polls one by one": ours_singly,
        "asynctasks, as it comes": ours_merged,
    }


def run(url: str, *, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure the ways side by side."""
    found = compare(lives(url, 20 if quick else 1_000), 1 if quick else 3)
    threads, by_hand, singly, merged = found.values()
    verdicts = [
        Verdict(
            "P3",
            "life cycles a second against requests in threads",
            singly.rate / threads.rate,
            6.0,
            at_least=True,
        ),
        Verdict(
            "P3",
            "... where the service has a list of tasks",
            merged.rate / threads.rate,
            10.0,
            at_least=True,
        ),
        Verdict(
            "P3",
            "CPU per life cycle against a hand-written gather loop",
            singly.cost / by_hand.cost,
            1.15,
            at_least=False,
        ),
    ]
    return list(found.values()), verdicts
