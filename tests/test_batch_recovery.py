"""Killed at every moment, and resumed: no item is lost, none is submitted twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asynctasks.batch import BatchItem, BatchSubmitter
from asynctasks.journal import Journal
from asynctasks.sansio.ledger import ItemState
from tests.batches import SERVICES, World, collect, connect, run_to_death


GRACE = 0.05

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
    death = await run_to_death(world, "aimms", inputs, tmp_path / "1", 7)
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
