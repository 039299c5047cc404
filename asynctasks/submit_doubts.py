"""Single submits whose outcome nobody knows yet, and finding it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .batch_book import JournalBook
from .batch_recovery import settle_all
from .batch_remote import Remote
from .batch_settle import Settled, settle
from .exceptions import AsyncTasksError, SubmitOutcomeUnknown
from .sansio.dialect import Prepared, Reconcile
from .sansio.ledger import Entry, ItemState


__all__ = ["Doubts"]


class Doubts:
    """
    Intents of a client's journal that nobody works on any more.

    Nothing is sent that could be taken for one of them.

    Args:
        remote: the service.
        grace: seconds after which a task that is not in the service's list was not
            accepted; the service may be out of reach for as long.
    """

    def __init__(self, remote: Remote, grace: float) -> None:
        self._remote = remote
        self._grace = grace
        self._keys: set[str] = set()
        self._settling = asyncio.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, entry: Entry) -> None:
        """Note an intent that may have been sent."""
        self._keys.add(entry.key)

    async def settle(
        self, book: JournalBook, key: str, prepared: Prepared | None = None
    ) -> None:
        """
        Settle what could be taken for a submit, or is of its key; within its turn.

        Raises:
            AsyncTasksError: it cannot be settled now; nothing more may be sent.
        """
        how = self._remote.reconcile
        config = None if prepared is None else prepared.config_id

        def related(entry: Entry) -> bool:
            same = how is Reconcile.CONFIG and entry.config_id == config
            return entry.key == key or same or how is Reconcile.ORPHANS

        await self.settle_all(book, related)

    async def settle_all(
        self, book: JournalBook, wanted: Callable[[Entry], bool] = lambda _: True
    ) -> None:
        """Settle all that are wanted; within a turn."""
        async with self._settling:
            if not self._keys:
                return
            # Not kept in memory: what was settled before an error is in the journal.
            intended = await book.journal.select(ItemState.INTENDED)
            some = [each for each in intended if each.key in self._keys]
            some = [each for each in some if wanted(each)]
            await settle_all(some, book, self._remote, self._grace, self._grace)
            self._keys.difference_update(each.key for each in some)

    async def settle_lost(
        self, book: JournalBook, entry: Entry, error: SubmitOutcomeUnknown
    ) -> Settled:
        """
        Settle a submit of this moment whose answer was lost.

        Raises:
            SubmitOutcomeUnknown: this one: it cannot be settled now.
        """
        async with book.doubt() as alone:
            try:
                (settled,) = await settle(
                    [entry],
                    book,
                    self._remote,
                    error=error,
                    grace=self._grace,
                    alone=alone,
                    patience=self._grace,
                )
            except AsyncTasksError as exc:
                # That would say that nothing was sent.
                raise error from exc
        self._keys.discard(entry.key)
        return settled
