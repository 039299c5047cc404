"""
Where a batch writes down what happens: nowhere, or in a journal.

A :class:`Book` hands out the entries of items and takes in their steps. The engine
does not know which of the two it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
import math
import os
from pathlib import Path
import time
from typing import Any
import uuid

import attrs

from . import files
from .batch_inputs import digest
from .batch_item import Terms
from .batch_turns import Turns
from .exceptions import JournalError
from .handle import TaskHandle
from .journal import Journal
from .sansio.answers import decode_content
from .sansio.dialect import Prepared, Reconcile
from .sansio.http import Headers, Response
from .sansio.ledger import Entry, ItemState
from .sansio.reconcile import Baseline


__all__ = ["Book", "JournalBook", "Kept"]

FREE = nullcontext()

AGAIN = 60.0
"""Seconds after which a list is read again that could not be had."""


@attrs.frozen
class Kept:
    """A result, as it was kept."""

    result: Any = None
    """Decoded; None for one in a file."""

    stored: Path | None = None


class Book:
    """
    Writes nothing down: the entries live as long as their items.

    It belongs to the event loop in which it is made, whose clock it tells as seconds
    since the epoch.
    """

    promises = False
    """Whether what is claimed is written later, by ``claim_now``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # One wall clock reading: later ones may jump.
        self._epoch = time.time() - self._loop.time()

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._epoch + self._loop.time()

    def loop_time(self, at: float) -> float:
        """Return a time on the loop's clock."""
        return at - self._epoch

    def missed(self) -> float:
        """Return the seconds that the loop's clock missed while the machine slept."""
        return max(0.0, time.time() - self.now())

    async def claim(self, index: int, given: Any, terms: Terms) -> tuple[Entry, bool]:
        """Return what is known of an input, and whether it is new."""
        key = str(index) if terms.key is None else terms.name(given)
        return Entry(key=key, index=index, service=terms.service), True

    async def claim_now(self, entry: Entry, terms: Terms) -> Entry:
        """Write a new entry down that was only promised to be."""
        return entry

    def turn(self, prepared: Prepared | None) -> Any:
        """Return the context in which a submit is intended, sent and accepted."""
        return FREE

    def write(self, entry: Entry) -> Awaitable[None]:
        """Write a fact down; it is when this is awaited."""
        return _nothing()

    async def intend(self, entry: Entry) -> Entry:
        """Write an intent down; nothing may be sent before."""
        return entry

    def idempotency_key(self, entry: Entry) -> str:
        """Return what marks all submits of one attempt at an item."""
        return str(uuid.uuid4())

    async def keep(
        self, entry: Entry, response: Response, decode: str
    ) -> tuple[Entry, Kept]:
        """Keep a result."""
        return entry, Kept(decode_content(response, decode))

    async def keep_large(
        self, entry: Entry, handle: TaskHandle
    ) -> tuple[Entry, Kept] | None:
        """Keep a result that is too large for memory; None where that is no use."""
        return None

    def recall(self, entry: Entry, decode: str) -> Kept:
        """Return a result that an earlier run kept."""
        raise NotImplementedError


async def _nothing() -> None:
    pass


class JournalBook(Book):
    """
    Writes everything down in a journal.

    Args:
        journal: open.
        reconcile: how a lost submit can be settled, which says what may overlap.
        submits: submits at the same time; None: one, where overlapping ones could not
            be told apart, else any number.
        inline: bytes of a result that are kept in the journal.
        results: the folder of larger ones; by default beside the journal.
    """

    def __init__(
        self,
        journal: Journal,
        reconcile: Reconcile,
        *,
        submits: int | None = None,
        inline: int = 0,
        results: Path | None = None,
    ) -> None:
        super().__init__()
        self.journal = journal
        # Nothing can be known of any input: claim and intent are written at once.
        self.promises = journal.fresh

        self._by_list = reconcile is Reconcile.ORPHANS
        self._turns = Turns(reconcile, submits)
        self._inline = inline
        self._results = results or Path(f"{journal.path}.results")
        self._recovered: set[str] = set()
        self._next_look: dict[str, float] = {}
        self._looking = asyncio.Lock()

    async def recover(self, service: str) -> Sequence[Entry]:
        """Return what earlier runs left at the service, once."""
        if service in self._recovered or self.journal.fresh:
            return ()
        self._recovered.add(service)
        return await self.journal.unsettled(service)

    async def claim(self, index: int, given: Any, terms: Terms) -> tuple[Entry, bool]:
        """
        Return what the journal has of an input, and whether it is new.

        Raises:
            InvalidArgument: another input of this run has the key.
            JournalError: the key belongs to another input.
        """
        mark = digest(given)
        named = terms.key is not None
        key = mark if terms.key is None else terms.name(given)
        entry = Entry(key=key, index=index, digest=mark, service=terms.service)
        if self.promises:
            return entry, True
        known, new = await self.journal.claim(entry, named=named)
        if (known.digest, known.service) != (mark, terms.service):
            raise self.complaint(key, "service" if known.digest == mark else "input")
        if known.state is ItemState.SUCCEEDED and not _has_result(known):
            # Somebody else was done with it: its result is at the service, at best.
            known = attrs.evolve(known, state=ItemState.SUBMITTED)
        return known, new

    def complaint(self, key: str, what: str) -> JournalError:
        """Build the error of a key that belongs to something else."""
        reason = f"has item {key!r} with another {what}: it was changed since;"
        remedy = "give it another key, or a new journal"
        return JournalError(str(self.journal.path), f"{reason} {remedy}")

    def turn(self, prepared: Prepared | None) -> Any:
        """Let no two submits be in doubt together that could not be told apart."""
        return self._turns.take(prepared)

    def doubt(self) -> AbstractAsyncContextManager[bool]:
        """Return the context in which a submit is settled; see :class:`Turns`."""
        return self._turns.doubt()

    def write(self, entry: Entry) -> Awaitable[None]:
        """Write a fact down; it is when this is awaited."""
        return self.journal.put(entry)

    async def intend(self, entry: Entry) -> Entry:
        """Write an intent down; nothing may be sent before."""
        await self.journal.put(entry, fact=False)
        return entry

    async def claim_now(self, entry: Entry, terms: Terms) -> Entry:
        """
        Write a new entry down that was only promised to be.

        Raises:
            InvalidArgument: another input of this run has the key.
        """
        return (await self.journal.claim(entry, named=terms.key is not None))[0]

    def idempotency_key(self, entry: Entry) -> str:
        """Return the same for an attempt in whatever run, and another for a retry."""
        failures = len(entry.retries) + (entry.state is ItemState.FAILED)
        name = f"{self.journal.id}/{entry.key}/{failures}"
        return str(uuid.uuid5(uuid.NAMESPACE_OID, name))

    async def baseline(self, service: str) -> Baseline | None:
        """
        Return what was there before what is in doubt was submitted.

        None where nobody knows, and so any task may be older. Where the list is not
        all that tells, nothing need be known.
        """
        return await self.journal.baseline(service) if self._by_list else Baseline()

    async def note_baseline(
        self, service: str, look: Callable[[], Awaitable[Baseline | None]]
    ) -> None:
        """
        Write down what is there before the first submit of this run.

        Args:
            service: of the submit.
            look: reads the service's list; None if that cannot be had: a later submit
                tries again.

        Raises:
            JournalError: it cannot be written.
        """
        if not self._by_list or self._has_looked(service):
            return
        async with self._looking:
            if self._has_looked(service) or await self._in_doubt(service):
                return
            found = await look()
            await self.journal.note_baseline(service, found)
            again = math.inf if found is not None else self._loop.time() + AGAIN
            self._next_look[service] = again

    def _has_looked(self, service: str) -> bool:
        return self._loop.time() < self._next_look.get(service, -math.inf)

    async def _in_doubt(self, service: str) -> bool:
        """Tell whether the list may show tasks of an earlier run's intents."""
        intended = await self.journal.select(ItemState.INTENDED)
        return any(entry.service == service for entry in intended)

    async def keep(
        self, entry: Entry, response: Response, decode: str
    ) -> tuple[Entry, Kept]:
        """Keep a result in the journal, or in a file if it is large."""
        result = decode_content(response, decode)
        media_type = response.headers.get("Content-Type", "")
        entry = attrs.evolve(entry, media_type=media_type)
        if len(response.body) <= self._inline:
            return attrs.evolve(entry, result=response.body), Kept(result)
        path = await self._place(entry)
        await files.save(_once(response.body), path)
        return self._stored(entry, path)

    async def keep_large(
        self, entry: Entry, handle: TaskHandle
    ) -> tuple[Entry, Kept] | None:
        """Stream a result to a file."""
        return self._stored(entry, await handle.download(await self._place(entry)))

    def recall(self, entry: Entry, decode: str) -> Kept:
        """Return a result that an earlier run kept."""
        if entry.stored:
            return Kept(None, self.journal.path.parent / entry.stored)
        headers = Headers(
            {"Content-Type": entry.media_type} if entry.media_type else {}
        )
        response = Response(200, headers, entry.result or b"")
        return Kept(decode_content(response, decode))

    async def _place(self, entry: Entry) -> Path:
        await asyncio.to_thread(self._results.mkdir, parents=True, exist_ok=True)
        return self._results / f"{digest(entry.key)}.result"

    def _stored(self, entry: Entry, path: Path) -> tuple[Entry, Kept]:
        # Beside the journal, so that both can be moved together.
        stored = os.path.relpath(path, self.journal.path.parent)
        return attrs.evolve(entry, stored=stored), Kept(None, path)


def _has_result(entry: Entry) -> bool:
    return entry.result is not None or entry.stored != ""


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
