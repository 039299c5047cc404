"""
Answers, lists and processes are lost at random, many times over; nothing runs twice.

In one process, so that a run takes milliseconds: a death is a copy of the journal as it
is on the disk at some moment. A seed that fails is printed, and fails again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
import os
from pathlib import Path
import random
import shutil
from typing import Any

import attrs
import pytest

from asynctasks.batch import BatchSubmitter
from asynctasks.client import TaskClient
from asynctasks.exceptions import AsyncTasksError, SubmitOutcomeUnknown
from asynctasks.sansio.http import Response
from asynctasks.sansio.ledger import ItemState
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.server.faults import Fault
from asynctasks.transport import Transport
from tests.batches import SERVICES, Dying, World, beats, connect, writers
from tests.crash.bench import tell


pytestmark = [pytest.mark.crash, pytest.mark.timeout(200)]

SEED = os.environ.get("CRASH_SEED", "chaos")

WORLDS = 30

CALM = 10
"""Lives after which nothing goes wrong any more."""

LAUNCH = {"aimms": "work", "desp": "launch", "oml-v1": "work", "oml-v2": "work"}
"""What is in the path of the request that starts a task."""

LIST = {"aimms": "tasks/?$", "oml-v2": "jobs/?$", "desp": "jobs", "oml-v1": "^$"}
"""What is in the path of the request that lists them."""

RETRY = RetryPolicy(attempts=2, wait_initial=0.0, wait_jitter=0.0)

GRACE = 0.03

NEVER = 10**9

UNKNOWN = ItemState.UNKNOWN


@attrs.define(eq=False)
class Chaos:
    """One world, in which things go wrong as the dice say."""

    service: str
    folder: Path
    dice: random.Random
    world: World = attrs.field(factory=World)
    lives: int = 0
    outcomes: dict[str, Any] = attrs.field(factory=dict)
    """Results by key."""

    @property
    def path(self) -> Path:
        """The journal."""
        return self.folder / "run.db"

    def connect(self, transport: Transport, **options: Any) -> TaskClient:
        return connect(self.service, transport, retry=RETRY, patience=5, **options)

    def break_something(self) -> None:
        """Have some of the next requests go wrong."""
        faults, dice = self.world.simulator.faults, self.dice
        faults.clear()
        if self.lives > CALM:
            return
        launch: dict[str, Any] = {"method": "POST", "path": LAUNCH[self.service]}
        for _ in range(dice.randint(0, 4)):
            fault = dice.choice([Fault(drop="answer"), Fault(drop="request")])
            faults.add(Fault(), times=dice.randint(1, 4), **launch)
            faults.add(fault, times=dice.randint(1, 2), **launch)
        lists = [Fault(response=Response(code)) for code in (401, 403, 503)]
        if dice.random() < 0.3 and self.service != "desp":
            faults.add(dice.choice(lists), method="GET", path=LIST[self.service])

    async def live(self, run: Callable[[Transport], Coroutine[Any, Any, None]]) -> None:
        """Run once, to the end or to a death."""
        self.lives += 1
        self.break_something()
        left = self.folder / f"left{self.lives}"
        await asyncio.to_thread(left.mkdir)
        mortal = self.dice.random() < 0.6 and self.lives <= CALM
        at = self.dice.randint(3, 60) if mortal else NEVER
        dying = Dying(self.world.transport, at, lambda: self.copy(self.folder, left))
        running = asyncio.create_task(run(dying))
        dead = asyncio.create_task(dying.dead.wait())
        await asyncio.wait([running, dead], return_when=asyncio.FIRST_COMPLETED)
        dead.cancel()
        async for _ in beats():
            if dying.dead.is_set():
                running.cancel()
            if running.done() and not writers():
                break
        with suppress(asyncio.CancelledError, AsyncTasksError):
            await running
        if dying.dead.is_set():
            self.copy(left, self.folder)

    def copy(self, source: Path, target: Path) -> None:
        for file in target.glob("run.db*"):
            file.unlink()
        for file in source.glob("run.db*"):
            shutil.copy(file, target)

    async def submit_singly(self, transport: Transport, count: int) -> None:
        """Submit under keys, all at the same time; give some of them up."""
        loop = asyncio.get_running_loop()

        async def submit(key: str) -> None:
            try:
                task = await client.submit("work", {"x": key}, key=key)
                self.outcomes[key] = await task.result()
            except SubmitOutcomeUnknown:
                if self.lives > CALM:
                    self.outcomes[key] = UNKNOWN

        async with self.connect(transport, journal=self.path, grace=GRACE) as client:
            tasks = [asyncio.create_task(submit(str(n))) for n in range(count)]
            for task in tasks:
                if self.dice.random() < 0.2 and self.lives <= CALM:
                    loop.call_later(self.dice.random() * 0.05, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def submit_batch(
        self, transport: Transport, count: int, submits: int | None
    ) -> None:
        """Submit as a batch, or go on with it."""
        inputs = [{"x": str(n)} for n in range(count)]
        options: dict[str, Any] = {"resume": True, "grace": GRACE, "submits": submits}
        async with (
            self.connect(transport) as client,
            BatchSubmitter(client, self.path, **options) as submitter,
            submitter.map("work", inputs, limit=self.dice.choice([1, 3, 6])) as batch,
        ):
            async for item in batch:
                unknown = item.state is UNKNOWN
                # Without its input where the batch ended before that was read.
                if item.state.settled and item.input is not None:
                    self.outcomes[item.input["x"]] = (
                        UNKNOWN if unknown else item.outcome
                    )


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("way", ["single", "batch"])
async def test_nothing_is_submitted_twice_whatever_goes_wrong(
    service: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each input runs once and has its own result, or is told to be unknown."""
    totals: Counter[str] = Counter()
    for number in range(WORLDS):
        seed = f"{SEED}/{service}/{way}/{number}"
        dice = random.Random(seed)
        folder = tmp_path / str(number)
        await asyncio.to_thread(folder.mkdir)
        chaos = Chaos(service, folder, dice)
        count, submits = dice.randint(1, 8), dice.choice([None, None, 2, 5])

        async def run(transport: Transport) -> None:
            if way == "single":
                await chaos.submit_singly(transport, count)  # noqa: B023
            else:
                await chaos.submit_batch(transport, count, submits)  # noqa: B023

        while len(chaos.outcomes) < count:
            assert chaos.lives < 2 * CALM, f"{seed} comes to no end"
            await chaos.live(run)

            assert {} == chaos.world.twice, seed
        doubts = list(chaos.outcomes.values()).count(UNKNOWN)
        wrong = {key: each for key, each in chaos.outcomes.items() if each != UNKNOWN}
        if service not in {"desp", "oml-v1"}:  # those results do not tell
            wrong = {key: each for key, each in wrong.items() if each != {"x": key}}

            assert {} == wrong, seed
        assert count - doubts <= chaos.world.submissions <= count, seed
        totals += Counter(lives=chaos.lives, unknown=doubts, inputs=count)
        await chaos.world.transport.aclose()
    tell(capsys, f"{service}, {way}: {dict(totals)}")

    # Where jobs of a configuration can be listed, everything is settled.
    assert 0 == totals["unknown"] or service != "desp"
