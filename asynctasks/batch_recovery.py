"""What an earlier run left at the service: intents to settle, tasks to wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .batch_book import JournalBook
from .batch_record import Ground
from .batch_settle import settle
from .exceptions import InvalidState, SubmitOutcomeUnknown
from .handle import TaskHandle
from .sansio.ledger import Entry, ItemState


__all__ = ["recover"]


async def recover(ground: Ground) -> AsyncIterator[tuple[Entry, TaskHandle | None]]:
    """
    Settle the intents of earlier runs; yield the items whose tasks may go on.

    What is settled otherwise is found in the journal when its input is read.
    """
    book = ground.book
    if not isinstance(book, JournalBook):
        return
    entries = await book.recover(ground.terms.service)
    doubtful = [each for each in entries if each.state is ItemState.INTENDED]
    cause = InvalidState("the process ended before the answer came")
    for entry in entries:
        if entry.state is ItemState.SUBMITTED:
            yield entry, None
            continue
        settled, handle = await settle(
            entry,
            book,
            ground.remote,
            error=SubmitOutcomeUnknown(cause),
            grace=ground.grace,
            # Of a configuration there is one at a time, whatever the rest does.
            alone=len(doubtful) == 1 or entry.config_id is not None,
            earlier=True,
        )
        if settled.state is ItemState.SUBMITTED:
            yield settled, handle
