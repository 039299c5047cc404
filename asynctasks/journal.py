"""
The journal of a batch: one SQLite file, one row per item, one thread that writes.

What :class:`Journal` acknowledged survives the death of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import os
from types import TracebackType
from typing import Self

import attrs

from .sansio.ledger import Entry, ItemState


__all__ = ["Journal", "JournalReader", "JournalSummary"]


@attrs.frozen(kw_only=True)
class JournalSummary:
    """What is in a journal, counted."""

    path: str
    version: int
    """Of the schema."""

    origin: str
    """The service's origin; empty before the first run."""

    protocol: str
    variant: str
    counts: Mapping[ItemState, int]
    """Items by state; every state is there."""

    total: int
    """Items in all; inputs that were not read yet are not among them."""

    runs: int
    """How many processes have written to it."""

    began: float | None
    """When the first run began, in seconds since the epoch."""

    written: float | None
    """When it was last written."""

    locked_by: int | None
    """The process that uses it now; None if there is none."""

    damaged: int = 0
    """Rows that cannot be read."""


class JournalReader:
    """
    Reads a journal without writing to it, also while another process does.

    Use it as a context manager, or call :meth:`close`. It blocks: within a loop, use
    it in a thread.
    """

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close the file; may be called twice."""

    def summary(self) -> JournalSummary:
        """Count what is there."""
        raise NotImplementedError

    def items(self, *states: ItemState) -> Iterator[Entry]:
        """
        Go through the items in the order of their index; never holds all in memory.

        Args:
            states: only items in these; by default all.
        """
        raise NotImplementedError


class Journal:
    """The journal of a batch, to be written by this process alone."""

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
        raise NotImplementedError
