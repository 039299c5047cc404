"""
A journal: one SQLite file, one row for each submit, one thread that writes.

What :class:`Journal` acknowledged survives the death of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from . import journal_items as items
from .journal_file import JournalFile
from .journal_reader import JournalReader, JournalSummary
from .journal_writer import Writer
from .once import share
from .sansio.ledger import Entry, ItemState
from .sansio.reconcile import Baseline


__all__ = ["Journal", "JournalReader", "JournalSummary"]


class Journal:
    """
    A journal that this process alone writes to; make one with :meth:`open`.

    Use it as an async context manager, or call :meth:`close`. It belongs to the
    event loop in which it was opened. What the methods return may be awaited: it is
    done when it is on the disk. The order is that of the calls.
    """

    def __init__(self, path: Path, writer: Writer, begun: items.Begun) -> None:
        self.path = path
        self.id = begun.id
        """Made with the journal: the same in all runs, and of no other."""

        self.run = begun.run
        """The number of this run, from 1."""

        self.fresh = begun.fresh
        """Whether nothing was in it when it was opened."""

        self._writer = writer

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        facts: Mapping[str, str] | None = None,
        *,
        resume: bool = True,
    ) -> Self:
        """
        Open a journal, or make a new one.

        Args:
            path: of the file; its folder must exist.
            facts: what it is about, e.g. the origin of the service; one that is about
                something else is refused.
            resume: go on with one that has items; else such a one is refused.

        Raises:
            JournalLocked: another process uses it.
            JournalCorrupt: it is damaged, of a newer version, or no journal.
            JournalError: it cannot be opened, has items, or is about something else.
        """
        where = Path(path)
        begin = partial(items.begin_run, path=where, facts=facts or {}, resume=resume)
        writer = Writer(partial(JournalFile, where), begin)
        try:
            begun = await share(writer.opened)
        except asyncio.CancelledError:
            writer.stop()
            await asyncio.wait([writer.ended])
            raise
        return cls(where, writer, begun)

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], *, salvage: bool = False
    ) -> JournalReader:
        """
        Open a journal for reading only: for a status, the failures, an export.

        Args:
            path: of the file.
            salvage: leave out what is damaged, and read files of newer versions as
                well as that goes; else both are refused.

        Raises:
            JournalCorrupt: it is damaged, of a newer version, or no journal.
            JournalError: there is no such file, or it cannot be read.
        """
        return JournalReader(Path(path), salvage=salvage)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Write what is left, and close the file; may be called twice.

        Raises:
            JournalFull: something that happened could not be written.
        """
        self._writer.stop()
        await share(self._writer.ended)

    @property
    def full(self) -> bool:
        """Whether the last attempt to write found the disk full."""
        return self._writer.full

    def put(self, entry: Entry, *, fact: bool = True) -> asyncio.Future[None]:
        """
        Write what is known of an item.

        Args:
            entry: after a step.
            fact: it has happened, whether the disk is full or not: try to write it
                again with everything that is written later.

        Raises:
            JournalFull: when awaited: it is not on the disk.
        """
        return self._writer.put(
            lambda connection: items.put(connection, entry, self.run), fact=fact
        )

    def claim(
        self, entry: Entry, *, named: bool = True
    ) -> asyncio.Future[tuple[Entry, bool]]:
        """
        Take an item into this run: find what is known of it, or write a new one.

        Args:
            entry: what is known without the journal; written if it is new.
            named: its key was given, so that two items of a run cannot have it; else
                the second of two equal inputs gets a key of its own.

        Returns:
            What is known, and whether it is new.

        Raises:
            InvalidArgument: when awaited: this run has taken the key already.
        """
        return self._writer.put(
            partial(items.claim, entry=entry, run=self.run, named=named)
        )

    def get(self, key: str) -> asyncio.Future[Entry | None]:
        """Read one item."""
        return self._writer.put(partial(items.get, key=key))

    def find(self, task_id: str) -> asyncio.Future[str | None]:
        """Return the key of the item that has a task; None if none has."""
        return self._writer.put(partial(items.find, task_id=task_id))

    def select(self, *states: ItemState) -> asyncio.Future[list[Entry]]:
        """Read the items in these states."""
        return self._writer.put(partial(items.select, states=states))

    def unsettled(self, service: str) -> asyncio.Future[list[Entry]]:
        """Read the items of earlier runs that may be at the service."""
        return self._writer.put(partial(items.unsettled, run=self.run, service=service))

    def unseen(self) -> asyncio.Future[int]:
        """Count the items of earlier runs that this one has not taken."""
        return self._writer.put(partial(items.unseen, run=self.run))

    def note_baseline(
        self, service: str, baseline: Baseline | None
    ) -> asyncio.Future[None]:
        """Write down what a service's list showed before the next intents."""
        work = partial(items.note_baseline, service=service, baseline=baseline)
        return self._writer.put(work)

    def baseline(self, service: str) -> asyncio.Future[Baseline | None]:
        """Read what the list showed before the last intents; None: nobody knows."""
        return self._writer.put(partial(items.baseline, service=service))

    def accounts(self, ids: Collection[str]) -> asyncio.Future[items.Accounts]:
        """Tell which of these ids of tasks belong to items, or may."""
        return self._writer.put(partial(items.accounts, ids=ids))
