"""Reading a journal without writing to it, also while another process does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
import sqlite3
from types import TracebackType
from typing import Any, Self

import attrs

from .exceptions import JournalCorrupt, JournalError
from .journal_file import check_version, connect, translated
from .journal_lock import Holder
from .journal_rows import COLUMNS, LIST, DamagedRow, parse_row
from .sansio.ledger import Entry, ItemState


__all__ = ["JournalReader", "JournalSummary"]

AFTER = "SELECT rowid, * FROM items WHERE rowid > ? ORDER BY rowid"


@attrs.frozen(kw_only=True)
class JournalSummary:
    """What is in a journal, counted."""

    path: str
    version: int
    """Of the schema."""

    origin: str
    """The service's origin."""

    protocol: str
    variant: str
    counts: Mapping[ItemState, int]
    """Items by state; every state is there."""

    total: int
    """Items in all; inputs that were not read yet are not among them."""

    runs: int
    """How many processes have written to it."""

    began: float | None
    """When the first run began, in seconds since the epoch; None if not known."""

    written: float | None
    """When it was last written; None if not known."""

    locked_by: int | None
    """The process that uses it now; None if there is none."""


class JournalReader:
    """
    Reads a journal; :meth:`Journal.read` makes one.

    Use it as a context manager, or call :meth:`close`. It blocks: within a loop, use
    it in a thread.
    """

    def __init__(self, path: Path, *, salvage: bool) -> None:
        self.path = path
        self._salvage = salvage
        self.damaged = 0
        """Rows that could not be read so far, as far as that shows."""

        if not path.is_file():
            raise JournalError(str(path), "there is no such file")
        with translated(path):
            self._connection = connect(path, write=False)
        try:
            with translated(path):
                self._version = self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def summary(self) -> JournalSummary:
        """
        Count what is there.

        Raises:
            JournalCorrupt: it is damaged.
        """
        facts = dict(self._rows("SELECT name, value FROM facts"))
        counts = dict.fromkeys(ItemState, 0)
        for word, number in self._rows("SELECT state, count(*) FROM items GROUP BY 1"):
            with suppress(ValueError):  # told by its checksum, when it is read
                counts[ItemState(word)] += number
        began, written, runs = self._runs()
        return JournalSummary(
            path=str(self.path),
            version=self._version,
            origin=facts.get("origin", ""),
            protocol=facts.get("protocol", ""),
            variant=facts.get("variant", ""),
            counts=counts,
            total=sum(counts.values()),
            runs=runs,
            began=began,
            written=written,
            locked_by=self._locked_by(),
        )

    def items(self, *states: ItemState) -> Iterator[Entry]:
        """
        Go through the items in the order of their index; never holds all in memory.

        Args:
            states: only items in these; by default all.

        Raises:
            JournalCorrupt: it is damaged; see *salvage* of :meth:`Journal.read`.
        """
        wanted = states or tuple(ItemState)
        if self._salvage:
            yield from (each for each in self._salvaged() if each.state in wanted)
            return
        marks = ", ".join("?" * len(wanted))
        sql = f"{LIST} WHERE state IN ({marks}) ORDER BY idx"
        words = [state.value for state in wanted]
        with translated(self.path):
            for row in self._connection.execute(sql, words):
                yield parse_row(row)

    # --- inside --------------------------------------------------------------

    def _check(self) -> int:
        try:
            version = check_version(self._connection, self.path)
        except (JournalCorrupt, sqlite3.Error):
            if not self._salvage:
                raise
            return 0
        if version == 0:
            raise JournalCorrupt(str(self.path), "is empty")
        return version

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            with translated(self.path):
                return self._connection.execute(sql).fetchall()
        except JournalError:
            if not self._salvage:
                raise
            return []

    def _runs(self) -> tuple[float | None, float | None, int]:
        known = self._rows("SELECT 1 FROM sqlite_master WHERE name = 'runs'")
        if not known:  # a version before there were any
            return None, None, 1
        rows = self._rows("SELECT min(began), max(beat), count(*) FROM runs")
        began, written, runs = rows[0] if rows else (None, None, 0)
        return began or None, written or None, runs

    def _locked_by(self) -> int | None:
        for row in self._rows("SELECT owner, pid, host, beat FROM lock"):
            holder = Holder(*row)
            return None if holder.gone else holder.pid
        return None

    def _salvaged(self) -> Iterator[Entry]:
        """Read from the start, and where that breaks off, from the end as well."""
        last = -1
        for order in ("ASC", "DESC"):
            rows = self._readable(f"{AFTER} {order}", last)
            whole = True
            for row in rows:
                if row is None:
                    whole = False
                    break
                last = max(last, row["rowid"]) if order == "ASC" else last
                entry = self._parsed(row)
                if entry is not None:
                    yield entry
            if whole:
                return

    def _readable(self, sql: str, last: int) -> Iterator[sqlite3.Row | None]:
        """Yield rows; None in place of the first that SQLite cannot read."""
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row
        try:
            yield from cursor.execute(sql, (last,))
        except sqlite3.Error:
            self.damaged += 1
            yield None

    def _parsed(self, row: sqlite3.Row) -> Entry | None:
        try:
            return parse_row([row[name] for name in COLUMNS])
        except (DamagedRow, IndexError):
            self.damaged += 1
            return None
