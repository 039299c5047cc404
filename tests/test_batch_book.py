"""Where things are written down: nowhere, or in a journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import time

import attrs
import pytest

from asynctasks.batch_book import Book, JournalBook
from asynctasks.batch_item import Terms
from asynctasks.exceptions import InvalidArgument
from asynctasks.journal import Journal
from asynctasks.sansio.dialect import Reconcile
from asynctasks.sansio.http import Headers, Response
from asynctasks.sansio.ledger import Entry, Failure, ItemState


TERMS = Terms(service="s", limit=1)

ENTRY = Entry(key="k", index=0)

JSON = Headers({"Content-Type": "application/json"})


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(tmp_path / "run.db") as made:
        yield made


def build(
    journal: Journal, reconcile: Reconcile, submits: int | None = None
) -> JournalBook:
    return JournalBook(
        journal,
        reconcile,
        submits=submits,
        inline=10,
        results=journal.path.parent / "results",
    )


async def test_clock_goes_on_from_one_reading() -> None:
    """The time is that of the epoch, and moves with the loop's clock."""
    book = Book()
    loop = asyncio.get_running_loop()
    now = book.now()

    assert abs(now - time.time()) < 5
    assert abs(book.loop_time(now) - loop.time()) < 1


async def test_keys_mark_attempts(journal: Journal) -> None:
    """The key of an attempt is the same in all runs, and another for a retry."""
    book = build(journal, Reconcile.KEY)
    again = build(journal, Reconcile.KEY)
    failed = attrs.evolve(ENTRY, state=ItemState.FAILED, failure=Failure("X", "…"))
    retried = attrs.evolve(ENTRY, state=ItemState.INTENDED, retries=("X",))

    assert book.idempotency_key(ENTRY) == again.idempotency_key(ENTRY)
    assert book.idempotency_key(failed) == book.idempotency_key(retried)
    assert book.idempotency_key(ENTRY) != book.idempotency_key(failed)
    assert Book().idempotency_key(ENTRY) != Book().idempotency_key(ENTRY)


async def test_results_are_recalled(journal: Journal) -> None:
    """A small result comes from the journal, decoded again; a large one is a file."""
    book = build(journal, Reconcile.NONE)
    small, kept = await book.keep(ENTRY, Response(200, JSON, b"[1,2]"), "auto")
    large, file = await book.keep(ENTRY, Response(200, JSON, b'"0123456789"'), "auto")

    assert ([1, 2], b"[1,2]", "") == (kept.result, small.result, small.stored)
    assert kept == book.recall(small, "auto")
    assert (None, None) == (large.result, file.result)
    assert large.stored.startswith("results")
    assert file == book.recall(large, "auto")


async def test_claims_are_promised_in_a_fresh_journal(journal: Journal) -> None:
    """Where nothing can be known, a claim is written with the intent."""
    book = build(journal, Reconcile.NONE)
    first, _ = await book.claim(0, {"x": 1}, TERMS)
    second, _ = await book.claim(1, {"x": 1}, TERMS)
    unwritten = await journal.get(first.key)
    keys = [(await book.claim_now(each, TERMS)).key for each in (first, second)]

    assert None is unwritten
    assert [first.key, f"{first.key}#2"] == keys


async def test_named_keys_are_claimed_once(journal: Journal) -> None:
    """Also a promised key belongs to one input."""
    book = build(journal, Reconcile.NONE)
    terms = attrs.evolve(TERMS, key=lambda _: "same")
    entry, _ = await book.claim(0, {"x": 1}, terms)
    await book.claim_now(entry, terms)
    with pytest.raises(InvalidArgument, match="several inputs"):
        await book.claim_now(entry, terms)
