"""Finding out what became of a submit whose answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .batch_book import JournalBook
from .batch_item import build_failure
from .batch_remote import FATAL, Remote
from .exceptions import AsyncTasksError, UnsupportedOperation
from .handle import TaskHandle
from .sansio.dialect import Reconcile, TaskRef
from .sansio.ledger import Entry, Step, advance


__all__ = ["settle"]

FIRST_LOOK, LONGEST_WAIT = 0.5, 8.0
"""Seconds between looks into the list, growing from one to the other."""

SKEW = 10.0
"""Seconds by which the wall clock may have been set between two runs."""


async def settle(
    entry: Entry,
    book: JournalBook,
    remote: Remote,
    *,
    error: AsyncTasksError,
    grace: float,
    alone: bool,
    earlier: bool = False,
) -> tuple[Entry, TaskHandle | None]:
    """
    Settle an intent whose outcome is unknown, as far as the service lets us.

    Args:
        entry: of the item, which was intended.
        book: knows which tasks are accounted for.
        remote: is asked.
        error: how the answer was lost.
        grace: seconds after the submit, after which a task that is not to be found
            was not accepted.
        alone: whether the only candidate must be it.
        earlier: whether it was intended in an earlier run.

    Returns:
        The entry: accepted (with the handle), withdrawn, or in doubt. It is written
        in order; the caller's next word comes after.

    Raises:
        AsyncTasksError: the service cannot be asked at all, or not within the client's
            patience; the intent stays what it is, to be settled by another run.
    """
    if remote.reconcile is Reconcile.KEY:
        # Submitting it again is no repetition: the service knows the key.
        return _write(book, advance(entry, Step.WITHDRAW, book.now())), None
    try:
        refs = await _look(entry, book, remote, grace, SKEW if earlier else 0.0)
    except AsyncTasksError as exc:
        if isinstance(exc, FATAL) or exc.retryable:
            raise
        if not isinstance(exc, UnsupportedOperation):
            remote.logger.warning("item %r cannot be settled: %s", entry.key, exc)
        return _doubt(book, entry, error, ()), None
    if not refs:
        return _write(book, advance(entry, Step.WITHDRAW, book.now())), None
    if len(refs) > 1 or not alone:
        return _doubt(book, entry, error, refs), None
    handle = remote.adopt(refs[0])
    found = {"token": handle.token, "task_id": handle.id}
    return _write(book, advance(entry, Step.ACCEPT, book.now(), **found)), handle


async def _look(
    entry: Entry, book: JournalBook, remote: Remote, grace: float, skew: float
) -> Sequence[TaskRef]:
    """Look for candidates until there is one, or time is over."""
    submitted = entry.timings.submitted or book.now()
    began = book.loop_time(min(submitted, book.now())) - skew
    wait = FIRST_LOOK
    until = book.now() + remote.patience
    while True:
        try:
            refs = await _candidates(entry, book, remote, began)
        except AsyncTasksError as exc:
            if not exc.retryable or book.now() > until:
                raise
            left = LONGEST_WAIT
        else:
            left = submitted + grace - book.now()
            if refs or left <= 0:
                return refs
        await asyncio.sleep(min(wait, left))
        wait = min(LONGEST_WAIT, wait * 2)


async def _candidates(
    entry: Entry, book: JournalBook, remote: Remote, began: float
) -> Sequence[TaskRef]:
    found = await remote.find(entry.service, entry.config_id, began)
    if not found:
        return found
    known = await book.journal.accounted([ref.id for ref in found])
    return [ref for ref in found if ref.id not in known]


def _doubt(
    book: JournalBook, entry: Entry, error: AsyncTasksError, refs: Sequence[TaskRef]
) -> Entry:
    facts = {
        "failure": build_failure(error),
        "candidates": tuple(ref.id for ref in refs),
    }
    return _write(book, advance(entry, Step.DOUBT, book.now(), **facts))


def _write(book: JournalBook, entry: Entry) -> Entry:
    book.write(entry)
    return entry
