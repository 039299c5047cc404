"""P4, P5 and P6: tasks that are open, and when they are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
import json
import logging
import math
import random
import time
import tracemalloc
from urllib.request import urlopen

import aiohttp

from asynctasks import AimmsClient, PollPolicy
from asynctasks.exceptions import InvalidState
from asynctasks.pace import Pace
from asynctasks.sansio.dialect import Known, Survey
from asynctasks.sansio.history import DurationHistory, LearnedPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.watcher import Watcher

from .measure import Figure, Verdict


LONG = 3600.0


def requests_seen(url: str) -> int:
    """Ask the server how many requests it has answered."""
    with urlopen(f"{url}/stats", timeout=60) as answer:
        seen: int = json.loads(answer.read())["requests"]
        return seen


# --- P4: many open tasks, kept fresh ------------------------------------------


async def keep_fresh(url: str, count: int, seconds: float, *, merge: bool) -> float:
    """Watch tasks that do not end; return the CPU seconds that one second took."""
    even = PollPolicy(wait_initial=1.0, wait_max=1.0, wait_jitter=0.0)
    client = AimmsClient.cloud(
        url, app="Bench", version="1", api_key="key", poll=even, merge=merge, learn=None
    )
    async with client:
        inputs = {"seconds": LONG}
        tasks = [await client.submit("bench", inputs) for _ in range(count)]
        waits = [asyncio.ensure_future(task.wait()) for task in tasks]
        await asyncio.sleep(2.0)  # everything is in step
        began, burnt = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - burnt
        took = time.perf_counter() - began
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return used / took


async def fresh_by_hand(url: str, count: int, seconds: float) -> float:
    """Do the same with a coroutine for each task, which asks and sleeps."""
    place = f"{url}/api/v2/tasks"
    async with aiohttp.ClientSession() as session:
        body = {"seconds": LONG}
        ids = []
        for _ in range(count):
            async with session.post(f"{place}/bench", json=body) as answer:
                ids.append((await answer.json())["id"])

        async def keep(task_id: str) -> None:
            state = ""
            while state != "completed":
                async with session.get(f"{place}/{task_id}") as answer:
                    state = (await answer.json())["state"]
                await asyncio.sleep(1.0)

        keeping = [asyncio.ensure_future(keep(task_id)) for task_id in ids]
        await asyncio.sleep(2.0)
        began, burnt = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - burnt
        took = time.perf_counter() - began
        for one in keeping:
            one.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
    return used / took


def fresh(url: str, *, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Compare list pages with polls one by one."""
    count = 200 if quick else 5_000
    seconds = 1.0 if quick else 8.0
    before = requests_seen(url)
    merged = asyncio.run(keep_fresh(url, count, seconds, merge=True))
    asked = (requests_seen(url) - before - count) / (seconds + 2.0)
    few = max(1, count // 10)  # one by one, all of them would not be fresh in time
    by_hand = asyncio.run(fresh_by_hand(url, few, seconds)) * count / few
    singly = asyncio.run(keep_fresh(url, few, seconds, merge=False)) * count / few
    ways = {
        "fresh tasks, polled one by one, by hand": by_hand,
        "fresh tasks, polled one by one, asynctasks": singly,
        "fresh tasks, in list pages, asynctasks": merged,
    }
    figures = [
        Figure(name, (float(count),), (used / count * 1e6,))
        for name, used in ways.items()
    ]
    return figures, [
        Verdict(
            "P4",
            f"{count:,} open tasks, fresh to a second: requests a second",
            asked,
            60.0,
            at_least=False,
        ),
        Verdict(
            "P4",
            "... CPU of polls one by one by hand, against list pages",
            by_hand / merged,
            20.0,
            at_least=True,
        ),
    ]


# --- P5: very many tasks that wait --------------------------------------------


async def sleepers(count: int, rounds: int) -> tuple[float, float]:
    """Let one asyncio.Task with a sleep wait for each; bytes and CPU us a poll."""
    polls = 0

    async def one() -> None:
        nonlocal polls
        for _ in range(rounds):
            await asyncio.sleep(1.0 + random.random())
            polls += 1

    tracemalloc.start()
    tasks = [asyncio.ensure_future(one()) for _ in range(count)]
    await asyncio.sleep(0)
    size = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    burnt = time.process_time()
    await asyncio.gather(*tasks)
    return size, (time.process_time() - burnt) / polls * 1e6


class Everywhere:
    """A service whose list shows all tasks at once, without any request."""

    origin = "http://service.test"
    merges = True

    def __init__(self, enough: int) -> None:
        self.polls = 0
        self.done = asyncio.get_running_loop().create_future()
        self._enough = enough
        self._status = TaskStatus(state=TaskState.RUNNING, word="running")

    def token_of(self, ref: TaskRef) -> str:
        return ref.id

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        self._count(1)
        return self._status

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        del rows, known
        self._count(len(refs))
        found = {(ref.id, ref.run): self._status for ref in refs}
        return Survey(found=found, rows=len(found), whole=True)

    def _count(self, polls: int) -> None:
        self.polls += polls
        if self.polls >= self._enough and not self.done.done():
            self.done.set_result(None)


async def watched(count: int, rounds: int) -> tuple[float, float]:
    """Let the watcher wait for all of them; bytes and CPU us a poll."""
    looker = Everywhere(count * rounds)
    even = PollPolicy(wait_initial=1.5, wait_max=1.5, wait_jitter=0.66)
    watcher = Watcher(Pace(even, None), logger=logging.getLogger("benchmarks"))
    status = TaskStatus(state=TaskState.RUNNING, word="running")
    ids = [f"{n:032x}" for n in range(count)]
    tracemalloc.start()
    for task_id in ids:
        watcher.hold(TaskRef(id=task_id), looker, first=status)
    size = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    burnt = time.process_time()
    await looker.done
    used = time.process_time() - burnt
    await watcher.aclose(InvalidState("measured"))
    return size, used / looker.polls * 1e6


# --- P6: when to look -----------------------------------------------------------


def durations(count: int, dice: random.Random) -> Iterator[float]:
    """Durations of a service: log-normal, median 30 s, sigma 1."""
    return (30 * math.exp(dice.gauss(0, 1)) for _ in range(count))


def fixed(elapsed: float) -> float:
    """Look every second."""
    del elapsed
    return 1.0


def simulate(count: int) -> tuple[float, float, float]:
    """Return polls per task learned and fixed, and the learned relative lateness."""
    dice = random.Random(11)
    history = DurationHistory(LearnedPolicy())
    for duration in durations(10, dice):
        history.add(duration)
    looks = {"learned": 0, "fixed": 0}
    lateness = 0.0
    for duration in durations(count, dice):
        for name, wait in (("learned", history.next_wait), ("fixed", fixed)):
            elapsed = 0.0
            while elapsed < duration:
                elapsed += wait(elapsed)
                looks[name] += 1
            if name == "learned":
                lateness += (elapsed - duration) / duration
        history.add(duration)
    return looks["learned"] / count, looks["fixed"] / count, lateness / count


def schedules(*, quick: bool) -> list[Verdict]:
    """Compare the learned schedule with looking every second."""
    learned, every_second, lateness = simulate(200 if quick else 5_000)
    what = "polls per task, learned from 10 tasks, against every second"
    ratio = learned / every_second
    late = "... at a mean relative lateness of"
    return [
        Verdict("P6", what, ratio, 0.2, at_least=False),
        Verdict("P6", late, lateness, 0.2, at_least=False),
    ]


def run(url: str, *, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure all three."""
    count = 500 if quick else 100_000
    size, cost = asyncio.run(sleepers(count, 3))
    our_size, our_cost = asyncio.run(watched(count, 3))
    waiting = f"{count:,} waiting tasks: "
    figures, verdicts = fresh(url, quick=quick)
    verdicts += [
        Verdict(
            "P5",
            waiting + "bytes of a sleeping asyncio.Task, against ours",
            size / our_size,
            4.0,
            at_least=True,
        ),
        Verdict(
            "P5",
            "... CPU per poll of a sleeping asyncio.Task, against ours",
            cost / our_cost,
            4.0,
            at_least=True,
        ),
    ]
    return figures, verdicts + schedules(quick=quick)
