"""What an earlier run left at the service: intents to settle, tasks to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from functools import partial

from .batch_book import JournalBook
from .batch_record import Ground
from .batch_remote import Remote
from .batch_settle import Settled, settle
from .exceptions import InvalidState, SubmitOutcomeUnknown
from .sansio.dialect import Reconcile
from .sansio.ledger import Entry, ItemState


__all__ = ["recover", "settle_all"]


async def recover(ground: Ground) -> AsyncGenerator[Settled, None]:
    """
    Settle the intents of earlier runs; yield the items whose tasks may go on.

    What is settled otherwise is found in the journal when its input is read. Close
    it, if you do not go through it to its end.
    """
    book = ground.book
    if not isinstance(book, JournalBook):
        return
    entries = await book.recover(ground.terms.service)
    doubtful = [each for each in entries if each.state is ItemState.INTENDED]
    settling = asyncio.create_task(
        settle_all(doubtful, book, ground.remote, ground.grace),
        name="asynctasks-settle",
    )
    try:
        for entry in entries:
            if entry.state is ItemState.SUBMITTED:
                yield entry, None
        for settled, handle in await settling:
            if settled.state is ItemState.SUBMITTED:
                yield settled, handle
    finally:
        settling.cancel()
        await asyncio.wait([settling])


async def settle_all(
    entries: Iterable[Entry],
    book: JournalBook,
    remote: Remote,
    grace: float,
    patience: float | None = None,
) -> list[Settled]:
    """
    Settle intents of earlier runs, all at the same time.

    Raises:
        AsyncTasksError: some could not be settled now; see :func:`settle`.
    """
    cause = InvalidState("the process ended before the answer came")
    one = partial(
        settle,
        book=book,
        remote=remote,
        error=SubmitOutcomeUnknown(cause),
        grace=grace,
        earlier=True,
        patience=patience,
    )
    groups = _group(entries, remote.reconcile)
    settling = [asyncio.create_task(one(each, alone=len(each) == 1)) for each in groups]
    try:
        return [each for task in settling for each in await task]
    finally:
        for task in settling:
            task.cancel()
        await asyncio.gather(*settling, return_exceptions=True)


def _group(entries: Iterable[Entry], reconcile: Reconcile) -> list[Sequence[Entry]]:
    """Put together what the same tasks may be of."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        config = entry.config_id or "" if reconcile is Reconcile.CONFIG else ""
        groups.setdefault((entry.service, config), []).append(entry)
    return list(groups.values())
