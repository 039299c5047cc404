"""Killed at every moment, and resumed: no item is lost, none is submitted twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
import time
from typing import Any

import pytest

from asynctasks.batch import BatchItem, BatchSubmitter
from asynctasks.batch_inputs import digest
from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry, ItemState, Step, Timings, advance
from asynctasks.sansio.reconcile import Baseline
from tests.batches import SERVICES, World, collect, connect, run_to_death


GRACE = 0.05

MOMENTS = {"aimms": 3, "oml-v2": 5}
"""When the first submit is about to be sent; OML asks for a token before."""

DONE, UNKNOWN = ItemState.SUCCEEDED, ItemState.UNKNOWN


async def resume(
    world: World, service: str, inputs: list[Any], journal: Path, **options: Any
) -> list[BatchItem]:
    async with (
        connect(service, world.transport) as client,
        BatchSubmitter(client, journal, resume=True, grace=GRACE, **options) as again,
        again.map("work", inputs, limit=3) as batch,
    ):
        return await collect(batch)


async def die_everywhere(
    service: str, inputs: list[Any], folder: Path, step: int
) -> Counter[ItemState]:
    """Die at each moment, on a new world each time, and resume; check each time."""
    states: Counter[ItemState] = Counter()
    at = 1
    while True:
        world = World()
        where = folder / str(at)
        death = await run_to_death(world, service, inputs, where, at, grace=GRACE)
        items = death.items
        if items is None:
            items = await resume(world, service, inputs, death.journal)
        states.update(item.state for item in items)
        unknown = sum(item.state is UNKNOWN for item in items)

        assert sorted(range(len(inputs))) == sorted(item.index for item in items)
        assert {} == world.twice
        assert len(inputs) - unknown <= world.submissions <= len(inputs)
        assert {item.state for item in items} <= {DONE, UNKNOWN}
        if death.items is not None:
            return states
        await world.transport.aclose()
        at += step


@pytest.mark.parametrize("service", SERVICES)
async def test_death_at_every_moment(service: str, tmp_path: Path) -> None:
    """Whenever it dies: nothing is lost, nothing runs twice, unknowns are told."""
    inputs = [{"x": str(number)} for number in range(4)]
    states = await die_everywhere(service, inputs, tmp_path, step=2)

    # One version of one service lets nobody find out what became of a submit.
    assert (service == "oml-v1") == (states[UNKNOWN] > 0)


async def test_equal_inputs_of_one_configuration(tmp_path: Path) -> None:
    """Equal inputs are one configuration at DESP; each is launched all the same."""
    inputs = [{"x": "1"}, {"x": "1"}]
    for at in range(5, 30, 3):
        world = World()
        where = tmp_path / str(at)
        death = await run_to_death(world, "desp", inputs, where, at, grace=GRACE)
        items = death.items or await resume(world, "desp", inputs, death.journal)

        assert (2, [DONE, DONE]) == (world.submissions, [item.state for item in items])
        await world.transport.aclose()


async def test_running_tasks_are_waited_for(tmp_path: Path) -> None:
    """What ran when the process died is found by its token, within the limit."""
    world = World()
    inputs = [{"x": str(n), "seconds": 0.05} for n in range(6)]
    death = await run_to_death(world, "aimms", inputs, tmp_path / "1", 7)
    items = await resume(world, "aimms", inputs, death.journal)

    assert (6, 3) == (world.submissions, world.most)
    assert [DONE] * 6 == [item.state for item in items]
    assert inputs == [item.input for item in sorted(items, key=lambda each: each.index)]
    await world.transport.aclose()


async def test_missing_inputs_are_given_too(tmp_path: Path) -> None:
    """A task whose input is not given again ends as an item without one."""
    world = World()
    inputs = [{"x": str(n), "seconds": 0.05} for n in range(3)]
    death = await run_to_death(world, "aimms", inputs, tmp_path / "1", 9)
    async with (
        connect("aimms", world.transport) as client,
        BatchSubmitter(client, death.journal, resume=True) as again,
        again.map("work", []) as batch,
    ):
        items = await collect(batch)
        unseen = await again.count_unseen()

    assert {None} == {item.input for item in items}
    assert {DONE} == {item.state for item in items}
    assert len(items) == unseen == world.submissions
    await world.transport.aclose()


@pytest.mark.parametrize("service", ["aimms", "oml-v2"])
async def test_task_from_before_the_first_run_is_not_adopted(
    tmp_path: Path, service: str
) -> None:
    """A killed run's intent takes no task that was there before that run began."""
    world = World()
    async with connect(service, world.transport) as other:
        await other.submit("work", {"x": "theirs"})
    # It dies when the intent is written and the submit is not sent.
    at = MOMENTS[service]
    death = await run_to_death(world, service, [{"x": "0"}], tmp_path / "1", at)
    with Journal.read(death.journal) as reader:
        left = [entry.state for entry in reader.items()]
    (item,) = await resume(world, service, [{"x": "0"}], death.journal)

    assert ([ItemState.INTENDED], {"x": "0"}) == (left, item.result)
    assert ({}, 2) == (world.twice, world.submissions)
    await world.transport.aclose()


async def test_nothing_is_adopted_where_nobody_knows_what_was_before(
    tmp_path: Path,
) -> None:
    """A journal that does not say what was there before has its candidates told."""
    world = World()
    given = {"x": "1"}
    path = tmp_path / "run.db"
    await intend(world, "aimms", path, given)
    async with await Journal.open(path) as journal:
        await journal.note_baseline("work", None)
    await accept(world, "aimms", given)
    (item,) = await resume(world, "aimms", [given], path)

    assert (UNKNOWN, 1, 1) == (item.state, len(item.candidates), world.submissions)
    await world.transport.aclose()


async def test_recorded_items_come_again(tmp_path: Path) -> None:
    """A run over a journal that is complete gives the same items, without requests."""
    world = World()
    inputs = [{"x": str(n), "fail": n % 2} for n in range(4)]
    first = await run_to_death(world, "aimms", inputs, tmp_path / "1", 10**6)
    asked = len(world.transport.requests)
    again = await resume(world, "aimms", inputs, first.journal)
    with Journal.read(first.journal) as reader:
        runs = reader.summary().runs

    def shown(items: list[BatchItem] | None) -> list[Any]:
        ordered = sorted(items or [], key=lambda item: item.index)
        return [(i.key, i.input, i.state, i.result, str(i.error)) for i in ordered]

    assert (2, asked) == (runs, len(world.transport.requests))
    assert shown(first.items) == shown(again)
    assert [True] * 4 == [item.recorded for item in again]
    await world.transport.aclose()


async def intend(
    world: World, service: str, path: Path, *inputs: Any, at: float | None = None
) -> None:
    """Leave a journal in which these inputs are intended."""
    async with (
        connect(service, world.transport) as client,
        await Journal.open(path) as journal,
    ):
        await journal.note_baseline("work", Baseline())
        for index, given in enumerate(inputs):
            prepared = await client._remote().prepare("work", given, {})
            await journal.put(
                Entry(
                    key=digest(given),
                    digest=digest(given),
                    index=index,
                    service="work",
                    state=ItemState.INTENDED,
                    attempts=1,
                    config_id=prepared.config_id,
                    timings=Timings(submitted=time.time() if at is None else at),
                )
            )


async def accept(world: World, service: str, *inputs: Any) -> list[str]:
    """Have the service accept these inputs; return the ids of the tasks."""
    async with connect(service, world.transport) as client:
        return [(await client.submit("work", given)).id for given in inputs]


async def test_doubts_of_an_earlier_run_share_a_look(tmp_path: Path) -> None:
    """Many intents that left nothing are found out together, and submitted once."""
    world = World()
    inputs = [{"x": str(n)} for n in range(20)]
    await intend(world, "aimms", tmp_path / "run.db", *inputs)
    items = await resume(world, "aimms", inputs, tmp_path / "run.db", submits=20)
    lists = [
        each
        for each in world.transport.requests
        if each.method == "GET" and each.url.endswith("/tasks")
    ]

    assert [DONE] * 20 == [item.state for item in items]
    assert ({}, 20) == (world.twice, world.submissions)
    assert len(lists) <= 6  # the watcher reads the list, too
    await world.transport.aclose()


async def test_doubts_of_an_earlier_run_are_settled_together(tmp_path: Path) -> None:
    """Each configuration is asked for its jobs; they wait for each other not at all."""
    world = World()
    inputs = [{"x": str(n)} for n in range(20)]
    await intend(world, "desp", tmp_path / "run.db", *inputs)
    await accept(world, "desp", *inputs[:10])
    began = asyncio.get_running_loop().time()
    items = await resume(world, "desp", inputs, tmp_path / "run.db")
    seconds = asyncio.get_running_loop().time() - began

    assert [DONE] * 20 == [item.state for item in items]
    assert ({}, 20) == (world.twice, world.submissions)
    assert seconds < 20 * GRACE
    await world.transport.aclose()


async def test_one_task_of_several_doubts_is_nobodys(tmp_path: Path) -> None:
    """After a crash, too, a task that may be of two items is told with both."""
    world = World()
    inputs = [{"x": str(n)} for n in range(2)]
    await intend(world, "aimms", tmp_path / "run.db", *inputs)
    await accept(world, "aimms", inputs[1])
    items = await resume(world, "aimms", inputs, tmp_path / "run.db", submits=2)

    assert [UNKNOWN, UNKNOWN] == [item.state for item in items]
    assert items[0].candidates == items[1].candidates != ()
    assert 1 == world.submissions
    await world.transport.aclose()


async def test_crash_between_two_doubts_submits_nothing_twice(tmp_path: Path) -> None:
    """An item that is unknown does not take its candidate from one to be settled."""
    world = World()
    inputs = [{"x": str(n)} for n in range(2)]
    path = tmp_path / "run.db"
    await intend(world, "aimms", path, *inputs)
    (task_id,) = await accept(world, "aimms", inputs[1])
    async with await Journal.open(path) as journal:
        first = await journal.get(digest(inputs[0]))
        assert first is not None
        await journal.put(advance(first, Step.DOUBT, 0.0, candidates=(task_id,)))
    items = await resume(world, "aimms", inputs, path)

    assert [UNKNOWN, UNKNOWN] == [item.state for item in items]
    assert 1 == world.submissions
    await world.transport.aclose()


@pytest.mark.parametrize("service", ["aimms", "desp"])
@pytest.mark.parametrize("accepted", [True, False])
async def test_clock_was_set_back(
    tmp_path: Path, service: str, *, accepted: bool
) -> None:
    """An intent of the future is settled at once, whatever the time of its task."""
    world = World()
    given = {"x": "1"}
    path = tmp_path / "run.db"
    await intend(world, service, path, given, at=time.time() + 3600)
    if accepted:
        await accept(world, service, given)
    async with asyncio.timeout(10):
        items = await resume(world, service, [given], path)

    assert ([DONE], 1) == ([item.state for item in items], world.submissions)
    await world.transport.aclose()


async def test_closing_ends_the_settling(tmp_path: Path) -> None:
    """A batch that is closed while doubts are settled leaves nothing behind."""
    world = World()
    given = {"x": "1"}
    path = tmp_path / "run.db"
    await intend(world, "aimms", path, given)
    async with (
        connect("aimms", world.transport) as client,
        BatchSubmitter(client, path, resume=True, grace=60.0) as again,
    ):
        batch = again.map("work", [given])
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(batch)

        assert [] == await batch.aclose()
    with Journal.read(path) as reader:
        states = [entry.state for entry in reader.items()]

    assert ([ItemState.INTENDED], 0) == (states, world.submissions)
    await world.transport.aclose()
