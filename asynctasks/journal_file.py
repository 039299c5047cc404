"""
The file of a journal, as one process has it: opened, checked, locked, migrated.

It blocks, and belongs to one thread; :mod:`asynctasks.journal` has that thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
import sqlite3
import time
from typing import Final

import attrs

from .exceptions import JournalCorrupt, JournalError, JournalFull, JournalLocked
from .journal_lock import OWN, Holder
from .journal_rows import (
    APPLICATION,
    LIST,
    MIGRATIONS,
    VERSION,
    DamagedRow,
    parse_row,
)


__all__ = ["JournalFile", "check_version", "connect", "translated"]

REMEDY = (
    "it is left as it is; `asynctasks batch export --salvage` reads what can be read, "
    "a copy from a backup or a new journal goes on"
)

FULL = frozenset({"SQLITE_FULL", "SQLITE_NOLFS"})

DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"})


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into ours."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _translate(path, exc) from exc
    except DamagedRow as exc:
        raise JournalCorrupt(str(path), f"{exc}; {REMEDY}") from exc


def _translate(path: Path, exc: sqlite3.Error) -> JournalError:
    code = getattr(exc, "sqlite_errorname", "") or ""
    if code in FULL or code.startswith("SQLITE_IOERR"):
        reason = "cannot be written: the disk is full or failing; make room and resume"
        return JournalFull(str(path), f"{reason} ({exc})")
    if code.startswith(tuple(DAMAGED)) or "decode" in str(exc):
        return JournalCorrupt(str(path), f"is damaged ({exc}); {REMEDY}")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return JournalLocked(str(path), "another process is writing to it")
    return JournalError(str(path), f"cannot be used: {exc}")


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open an SQLite file, without looking into it."""
    mode = "rwc" if write else "ro"
    # Transactions are begun and ended by hand, in all versions of Python alike.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    # Of what a hostile file might have in its schema, nothing is run.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """
    Return the version of a journal; 0 for a file with nothing in it.

    Raises:
        JournalCorrupt: it is no journal, or one of a newer version.
    """
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (mark, version, tables) == (0, 0, 0):
        return 0
    if mark != APPLICATION or version < 1:
        raise JournalCorrupt(str(path), "is not a journal of asynctasks; name another")
    if version > VERSION:
        reason = f"is of version {version}, this asynctasks writes {VERSION}: upgrade"
        raise JournalCorrupt(str(path), f"{reason} it, or export the journal")
    return int(version)


class JournalFile:
    """
    A journal that this process alone writes to.

    Args:
        path: of the file; made where it is not there.

    Raises:
        JournalLocked: another process uses it.
        JournalCorrupt: it is damaged, of a newer version, or no journal.
        JournalFull: there is no room for it.
        JournalError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._holder = Holder.of_this_process()
        self._checked()
        with translated(path):
            self.connection = connect(path, write=True)
        try:
            with translated(path):
                self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back and close the file; may be called twice."""
        with suppress(sqlite3.Error):  # what was acknowledged is on the disk
            if self._holder.owner in OWN:
                sql = "DELETE FROM lock WHERE owner = ?"
                self.connection.execute(sql, (self._holder.owner,))
        OWN.discard(self._holder.owner)
        with suppress(sqlite3.Error):
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Write what is written within, all of it or nothing.

        Raises:
            JournalLocked: the lock was lost, e.g. this process was stopped for long.
            JournalFull: the disk is full.
        """
        connection = self.connection
        with translated(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_lock()
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it
                    connection.execute("ROLLBACK")
                raise

    def beat(self) -> None:
        """Say within a transaction that this process lives."""
        now = time.time()
        self.connection.execute("UPDATE lock SET beat = ?", (now,))
        self.connection.execute(
            "UPDATE runs SET beat = ? WHERE run = (SELECT max(run) FROM runs)", (now,)
        )

    # --- opening -------------------------------------------------------------

    def _checked(self) -> None:
        """Look through an existing file before anything is written to it."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return
        with translated(self.path):
            connection = connect(self.path, write=False)
            try:
                if check_version(connection, self.path):
                    self._check_free(connection)
                    self._check_content(connection)
            finally:
                connection.close()

    def _check_content(self, connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise JournalCorrupt(str(self.path), f"is damaged ({found}); {REMEDY}")
        for row in connection.execute(LIST):
            parse_row(row)

    def _check_free(self, connection: sqlite3.Connection) -> None:
        """Refuse a lock of somebody who lives."""
        sql = "SELECT owner, pid, host, beat FROM lock"
        row = connection.execute(sql).fetchone()
        if row is not None and not (holder := Holder(*row)).gone:
            remedy = "wait for its end, or name another journal"
            raise JournalLocked(str(self.path), f"{holder}; {remedy}")

    def _prepare(self) -> None:
        connection = self.connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._migrate(check_version(connection, self.path))
            self._lock()
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _migrate(self, version: int) -> None:
        for script in MIGRATIONS[version:]:
            # executescript() would end the transaction.
            for statement in script.split(";"):
                self.connection.execute(statement)
        self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
        self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def _lock(self) -> None:
        self._check_free(self.connection)
        sql = "REPLACE INTO lock (id, owner, pid, host, beat) VALUES (1, ?, ?, ?, ?)"
        # It may have taken long to look through the file.
        holder = attrs.evolve(self._holder, beat=time.time())
        self.connection.execute(sql, attrs.astuple(holder))
        OWN.add(self._holder.owner)

    def _check_lock(self) -> None:
        row = self.connection.execute("SELECT owner FROM lock").fetchone()
        if row is None or row[0] != self._holder.owner:
            reason = "another process has taken it over; this one may not write to it"
            raise JournalLocked(str(self.path), reason)
