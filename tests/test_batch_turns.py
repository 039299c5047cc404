"""Turns: submits that could not be told apart are never in doubt together unknown."""

from __future__ import annotations

import asyncio

import pytest

from asynctasks.batch_book import Book
from asynctasks.batch_turns import Turns
from asynctasks.sansio.dialect import Payload, Prepared, Reconcile


def prepared(config_id: str | None = None) -> Prepared:
    return Prepared(service="s", payload=Payload(), config_id=config_id)


async def overlap(turns: Turns, *submits: Prepared) -> int:
    """Return how many of these submits are under way at the same time."""
    now = most = 0

    async def submit(each: Prepared) -> None:
        nonlocal now, most
        async with turns.take(each):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

    await asyncio.gather(*(submit(each) for each in submits))
    return most


@pytest.mark.parametrize(
    ("reconcile", "submits", "expected"),
    [
        (Reconcile.ORPHANS, None, 1),
        (Reconcile.ORPHANS, 3, 3),
        (Reconcile.CONFIG, None, 5),
        (Reconcile.KEY, None, 5),
        (Reconcile.NONE, None, 5),
        (Reconcile.NONE, 2, 2),
    ],
)
async def test_submits_overlap_where_they_can_be_told_apart(
    reconcile: Reconcile, submits: int | None, expected: int
) -> None:
    """Only where the list alone can settle a lost submit, they go one by one."""
    many = [prepared(str(number)) for number in range(5)]

    assert expected == await overlap(Turns(reconcile, submits), *many)


async def test_equal_configurations_take_turns() -> None:
    """Launches of one configuration go one after the other."""
    turns = Turns(Reconcile.CONFIG, None)

    assert 1 == await overlap(turns, *[prepared("7")] * 4)
    assert 2 == await overlap(turns, prepared("7"), prepared("8"), prepared("7"))


async def test_nothing_holds_back_without_a_journal() -> None:
    """A batch that settles nothing need not take turns."""
    with Book().turn(prepared("7")), Book().turn(prepared("7")):
        pass


class Stage:
    """Submits that answer, or lose their answers, when they are told to."""

    def __init__(self, reconcile: Reconcile = Reconcile.ORPHANS) -> None:
        self.turns = Turns(reconcile, 3)
        self.log: list[str] = []
        self.cues: dict[str, asyncio.Event] = {}

    def submit(self, name: str, *, lost: bool = False) -> asyncio.Task[bool | None]:
        self.cues[name] = asyncio.Event()
        return asyncio.create_task(self._submit(name, lost=lost))

    async def cue(self, name: str) -> None:
        """Let a submit go on, and all others as far as they can."""
        self.cues[name].set()
        self.cues[name] = asyncio.Event()
        for _ in range(10):
            await asyncio.sleep(0)

    async def _submit(self, name: str, *, lost: bool) -> bool | None:
        async with self.turns.take(prepared("7")):
            self.log.append(f"{name} sent")
            await self.cues[name].wait()
            if not lost:
                return None
            async with self.turns.doubt() as alone:
                self.log.append(f"{name} looked up")
                await self.cues[name].wait()
                return alone


async def test_doubt_waits_for_what_is_under_way_and_holds_back_the_rest() -> None:
    """When a lost submit is looked up, all others have been answered."""
    stage = Stage()
    lost, other = stage.submit("lost", lost=True), stage.submit("other")
    await asyncio.sleep(0)
    await stage.cue("lost")
    late = stage.submit("late")
    await stage.cue("late")
    before = list(stage.log)
    await stage.cue("other")
    between = list(stage.log)
    await stage.cue("lost")
    await stage.cue("late")
    await asyncio.gather(lost, other, late)

    assert ["lost sent", "other sent"] == before
    assert [*before, "lost looked up"] == between
    assert [*between, "late sent"] == stage.log
    assert lost.result()


async def test_two_doubts_know_of_each_other() -> None:
    """Two answers that are lost together are not alone, whichever is settled first."""
    stage = Stage()
    tasks = [stage.submit(name, lost=True) for name in ("a", "b")]
    await asyncio.sleep(0)
    for name in ("a", "b", "a", "b"):
        await stage.cue(name)
    third = stage.submit("c", lost=True)
    for _ in range(3):
        await stage.cue("c")

    assert [False, False, True] == [task.result() for task in [*tasks, third]]


async def test_cancelled_doubt_lets_the_others_go_on() -> None:
    """A doubt whose settling is cancelled holds nobody back any more."""
    stage = Stage()
    lost = stage.submit("lost", lost=True)
    await asyncio.sleep(0)
    await stage.cue("lost")
    other = stage.submit("other")
    lost.cancel()
    await asyncio.wait([lost])
    await stage.cue("other")
    await stage.cue("other")

    assert (["lost sent", "lost looked up", "other sent"], True) == (
        stage.log,
        other.done(),
    )


async def test_other_evidence_needs_no_waiting() -> None:
    """Where a configuration tells its jobs, a doubt is alone at once."""
    stage = Stage(Reconcile.CONFIG)
    lost = stage.submit("lost", lost=True)
    await asyncio.sleep(0)
    await stage.cue("lost")
    await stage.cue("lost")

    assert await lost
