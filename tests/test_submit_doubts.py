"""Doubts of single submits: what has to be known before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch_book import JournalBook
from asynctasks.batch_remote import Remote
from asynctasks.exceptions import (
    ConnectionLost,
    InvalidState,
    SubmitOutcomeUnknown,
)
from asynctasks.journal import Journal
from asynctasks.sansio.dialect import Payload, Prepared, Reconcile
from asynctasks.sansio.ledger import Entry, ItemState, Timings
from asynctasks.sansio.task import TaskRef
from asynctasks.submit_doubts import Doubts


class Service(Remote):
    """A service that says what it has, and keeps what it was asked."""

    reconcile = Reconcile.NONE

    def __init__(self, how: Reconcile) -> None:
        desk = AimmsClient.local()._desk
        super().__init__(desk, prepare=None, start=None)  # type: ignore[arg-type]
        self.reconcile = how  # type: ignore[misc]
        self.has: dict[str, list[TaskRef] | Exception] = {}
        self.asked: list[str] = []

    async def find(self, losts: Any) -> list[list[TaskRef]]:
        """Find what it has by configuration."""
        found = []
        for lost in losts:
            self.asked.append(lost.config_id)
            has = self.has.get(lost.config_id, [])
            if isinstance(has, Exception):
                raise has
            found.append(has)
        return found


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "tasks.db") as made:
        yield made


async def doubtful(
    journal: Journal, how: Reconcile, *keys: str
) -> tuple[Doubts, JournalBook, Service]:
    """Make doubts of submits, each of a configuration of its own."""
    service, book = Service(how), JournalBook(journal, how)
    doubts = Doubts(service, grace=0.0)
    for key in keys:
        entry = build(key)
        await journal.put(entry)
        doubts.add(entry)
    return doubts, book, service


def build(key: str) -> Entry:
    return Entry(
        key=key,
        index=0,
        state=ItemState.INTENDED,
        config_id=f"config {key}",
        attempts=1,
        timings=Timings(submitted=1.0),
    )


def prepared(config: str | None = None) -> Prepared:
    return Prepared(service="s", payload=Payload(), config_id=config)


async def states(journal: Journal) -> dict[str, str]:
    return {each.key: each.state.value for each in await journal.select(*ItemState)}


@pytest.mark.parametrize(
    ("how", "config", "asked"),
    [
        (Reconcile.CONFIG, "config b", {"config b"}),
        (Reconcile.CONFIG, "config c", set()),
        (Reconcile.ORPHANS, None, {"config a", "config b"}),
    ],
)
async def test_only_what_could_be_confused_is_settled(
    journal: Journal, how: Reconcile, config: str | None, asked: set[str]
) -> None:
    """A submit waits for what might be taken for it, and for nothing else."""
    doubts, book, service = await doubtful(journal, how, "a", "b")
    await doubts.settle(book, "new", prepared(config))
    left = {key for key in ("a", "b") if key in doubts}

    assert asked == set(service.asked)
    assert {"a", "b"} - {each.removeprefix("config ") for each in asked} == left


async def test_own_key_is_settled(journal: Journal) -> None:
    """A key that is in doubt itself is found out first."""
    doubts, book, service = await doubtful(journal, Reconcile.CONFIG, "a", "b")
    service.has["config a"] = [TaskRef(id="t")]
    await doubts.settle(book, "a")

    assert {"a": "submitted", "b": "intended"} == await states(journal)
    assert "a" not in doubts


async def test_what_was_settled_before_an_error_stays_so(journal: Journal) -> None:
    """The second attempt does not take what the first one found for lost."""
    doubts, book, service = await doubtful(journal, Reconcile.CONFIG, "a", "b")
    service.has = {"config a": [TaskRef(id="t")], "config b": InvalidState("closed")}
    with pytest.raises(InvalidState):
        await doubts.settle_all(book)
    between = await states(journal)
    service.has = {}
    await doubts.settle_all(book)

    assert {"a": "submitted", "b": "intended"} == between
    assert {"a": "submitted", "b": "waiting"} == await states(journal)


async def test_error_of_the_list_is_not_that_of_the_submit(journal: Journal) -> None:
    """What was sent is unknown, whatever keeps us from finding out."""
    doubts, book, service = await doubtful(journal, Reconcile.CONFIG, "a")
    service.has["config a"] = InvalidState("closed")
    lost = SubmitOutcomeUnknown(ConnectionLost("it broke"))
    with pytest.raises(SubmitOutcomeUnknown) as caught:
        await doubts.settle_lost(book, build("a"), lost)

    assert (lost, True) == (caught.value, "a" in doubts)
    assert isinstance(caught.value.__cause__, InvalidState)
