"""
Items in a file: what the embedded server keeps over a restart.

The file is an SQLite database that one server at a time may use. What was written
is on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import os
import sqlite3

from .live import Item
from ..exceptions import ConfigError


__all__ = ["SqliteStorage"]

SCHEMA = """
    CREATE TABLE IF NOT EXISTS item (
        number INTEGER PRIMARY KEY,
        realm TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (realm, key)
    )
"""

WRITE = """
    INSERT INTO item (realm, key, value) VALUES (?, ?, ?)
    ON CONFLICT (realm, key) DO UPDATE SET value = excluded.value
"""

DELETE = "DELETE FROM item WHERE realm = ? AND key = ?"

VERSION = 1


class SqliteStorage:
    """
    A file with items.

    Args:
        path: the file; made where there is none.

    Raises:
        ConfigError: it cannot be opened, another server uses it, or it is something
            else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        try:
            # One call at a time comes, but from any thread.
            self._connection = sqlite3.connect(
                self._path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as exc:
            raise ConfigError(f"file {self._path}", str(exc)) from exc
        try:
            self._open()
        except sqlite3.Error as exc:
            self._connection.close()
            raise ConfigError(f"file {self._path}", str(exc)) from exc
        except ConfigError:
            self._connection.close()
            raise

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("BEGIN IMMEDIATE")
        (version,) = execute("PRAGMA user_version").fetchone()
        tables = execute("SELECT name FROM sqlite_master").fetchall()
        if version != VERSION and (version or tables):
            reason = "it is not the data of this version of the server"
            raise ConfigError(f"file {self._path}", reason)
        execute(SCHEMA)
        execute(f"PRAGMA user_version = {VERSION}")
        execute("COMMIT")

    def read(self) -> Sequence[Item]:
        """
        Return all items in the order in which they were first written.

        Raises:
            ConfigError: the file is damaged.
        """
        query = "SELECT realm, key, value FROM item ORDER BY number"
        try:
            return [Item(*row) for row in self._connection.execute(query)]
        except sqlite3.Error as exc:
            raise ConfigError(f"file {self._path}", str(exc)) from exc

    def write(self, items: Iterable[Item]) -> None:
        """Write items, all or none; they are on the disk when this returns."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for item in items:
                if item.value is None:
                    self._connection.execute(DELETE, (item.realm, item.key))
                else:
                    values = (item.realm, item.key, item.value)
                    self._connection.execute(WRITE, values)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let others use the file; may be called twice."""
        self._connection.close()
