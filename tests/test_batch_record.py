"""What is in hand of one item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch_book import Book
from asynctasks.batch_item import Terms
from asynctasks.batch_record import Ground, Record
from asynctasks.batch_shelf import Slots
from asynctasks.exceptions import InvalidArgument, JournalFull
from asynctasks.sansio.ledger import Entry, ItemState, Step


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    errors: list[BaseException] = []
    async with AimmsClient.local() as client:
        yield Ground(
            terms=Terms(service="s", limit=2),
            book=Book(),
            remote=client._remote(),
            slots=Slots(2),
            on_unknown="skip",
            grace=0.0,
            fail=errors.append,
        )


def build(ground: Ground, **facts: Any) -> Record:
    return Record(ground, 0, {"x": 1}, Entry(key="k", index=0), **facts)


async def test_steps_are_taken_at_once(ground: Ground) -> None:
    """A step changes the entry when it is taken, not when it is written."""
    record = build(ground)
    writing = record.step(Step.INTEND)
    state = record.entry.state
    await writing

    assert ItemState.INTENDED is state


async def test_failure_is_kept(ground: Ground) -> None:
    """A failure is in the item as it was raised and as it is written down."""
    record = build(ground)
    error = InvalidArgument("x", 1, "no")
    await record.fail(error)
    item = record.item()

    assert error is item.error
    assert item.failure is not None
    assert ("InvalidArgument", {"x": 1}) == (item.failure.kind, item.input)


async def test_refusal_has_no_place_in_the_book(ground: Ground) -> None:
    """An item that cannot be written down failed all the same."""
    record = build(ground)
    record.refuse(InvalidArgument("key", "k", "several inputs have it"))

    assert (ItemState.FAILED, True) == (record.item().state, record.left)


async def test_full_disk_does_not_end_the_item(ground: Ground) -> None:
    """An item goes on without the disk; its batch is told."""
    told: list[BaseException] = []
    ground.fail = told.append
    error = JournalFull("run.db", "full")
    writing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writing.set_exception(error)
    await build(ground).written(writing)

    assert [error] == told


async def test_slots_are_held_once(ground: Ground) -> None:
    """Taking or giving back a slot twice is taking or giving it once."""
    record = build(ground, holds=False)
    for _ in range(2):
        await record.acquire()
    held = ground.slots.used
    for _ in range(2):
        record.release()

    assert (1, 0) == (held, ground.slots.used)
