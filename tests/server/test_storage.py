"""Items in a file."""

from __future__ import annotations

from pathlib import Path
import sqlite3
from typing import Any

import pytest

from asynctasks.exceptions import ConfigError
from asynctasks.server.live import Item
from asynctasks.server.storage import SqliteStorage


def test_write_and_read(tmp_path: Path) -> None:
    """Items are there again after a restart, in the order of their first writing."""
    path = tmp_path / "data"
    first = SqliteStorage(path)
    first.write([Item("r", "a", b"1"), Item("r", "b", b"2"), Item("s", "a", b"3")])
    first.write([Item("r", "a", b"4"), Item("r", "b", None), Item("r", "none", None)])
    first.close()
    first.close()
    second = SqliteStorage(str(path))
    found = second.read()
    second.close()

    assert [Item("r", "a", b"4"), Item("s", "a", b"3")] == found


def test_all_or_none(tmp_path: Path) -> None:
    """If one item cannot be written, none is."""
    storage = SqliteStorage(tmp_path / "data")
    broken: Any = Item("r", "b", object())  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        storage.write([Item("r", "a", b"1"), broken])
    storage.write([Item("r", "c", b"2")])
    found = storage.read()
    storage.close()

    assert [Item("r", "c", b"2")] == found


def test_one_server(tmp_path: Path) -> None:
    """Two servers cannot have the same file."""
    storage = SqliteStorage(tmp_path / "data")
    with pytest.raises(ConfigError, match="locked"):
        SqliteStorage(tmp_path / "data")
    storage.close()


def test_no_folder(tmp_path: Path) -> None:
    """A file that cannot be made is named."""
    with pytest.raises(ConfigError, match="none"):
        SqliteStorage(tmp_path / "none" / "data")


@pytest.mark.parametrize("text", ["CREATE TABLE x (y)", "PRAGMA user_version = 99"])
def test_foreign_file(tmp_path: Path, text: str) -> None:
    """The data of something else is left alone."""
    path = tmp_path / "data"
    connection = sqlite3.connect(path)
    connection.execute(text)
    connection.close()
    with pytest.raises(ConfigError, match="not the data"):
        SqliteStorage(path)


def test_damaged(tmp_path: Path) -> None:
    """A file whose items cannot be read is named."""
    path = tmp_path / "data"
    storage = SqliteStorage(path)
    storage.write([Item("r", str(n), bytes(1000)) for n in range(100)])
    storage.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ConfigError, match="malformed"):
        SqliteStorage(path).read()


def test_no_database(tmp_path: Path) -> None:
    """A file that is no database is named."""
    path = tmp_path / "data"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="data"):
        SqliteStorage(path)
