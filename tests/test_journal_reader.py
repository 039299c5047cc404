"""Reading journals: whole ones, live ones, and what is left of others."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
import sqlite3

import pytest

from asynctasks.exceptions import JournalCorrupt, JournalError
from asynctasks.journal import Journal
from asynctasks.journal_rows import VERSION
from asynctasks.sansio.ledger import ItemState
from tests.journals import entry, read_all, write


OLD = Path(__file__).parent / "samples" / "journal_v1.sql"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Provide a journal of many items."""
    where = tmp_path / "run.db"
    states = [ItemState.SUCCEEDED, ItemState.FAILED]
    entries = [entry(n, state=states[n % 2], result=b"x" * 50) for n in range(200)]
    await write(where, *entries)
    return where


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


async def test_summary_counts(path: Path) -> None:
    """A summary has every state, and says who has the journal."""
    with Journal.read(path) as reader:
        found = reader.summary()

    assert (100, 100, 0) == (
        found.counts[ItemState.SUCCEEDED],
        found.counts[ItemState.FAILED],
        found.counts[ItemState.UNKNOWN],
    )
    assert (200, 1, VERSION, None) == (
        found.total,
        found.runs,
        found.version,
        found.locked_by,
    )
    assert found.began is not None
    assert found.written is not None
    assert found.written >= found.began


async def test_live_journal_can_be_read(tmp_path: Path) -> None:
    """While one process writes, others may look."""
    path = tmp_path / "run.db"
    async with await Journal.open(path, {"origin": "http://x"}) as journal:
        await journal.put(entry())
        with Journal.read(path) as reader:
            found = reader.summary()
            items = list(reader.items())

    assert ("http://x", [entry()]) == (found.origin, items)
    assert found.locked_by is not None


async def test_states_are_chosen(path: Path) -> None:
    """Only the items of some states are read, in the order of their index."""
    found = read_all(path, ItemState.FAILED)

    assert list(range(1, 200, 2)) == [each.index for each in found]


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A journal that is not there is not made by reading it."""
    with pytest.raises(JournalError, match="no such file"):
        Journal.read(tmp_path / "run.db")

    assert [] == list(tmp_path.iterdir())


def test_empty_file_is_told(tmp_path: Path) -> None:
    """A file of no bytes has nothing to read."""
    path = tmp_path / "run.db"
    path.touch()
    with pytest.raises(JournalCorrupt, match="is empty"):
        Journal.read(path)


def test_old_version_is_read_as_it_is(tmp_path: Path) -> None:
    """A journal of version 1 need not be migrated to be read."""
    path = tmp_path / "run.db"
    execute(path, OLD.read_text("utf-8"))
    with Journal.read(path) as reader:
        found = reader.summary()
        keys = [each.key for each in reader.items()]

    assert (1, 1, None, ["k0", "k1"]) == (
        found.version,
        found.runs,
        found.began,
        keys,
    )


async def test_newer_version_can_be_salvaged(path: Path) -> None:
    """What is still there of a journal of tomorrow can be had."""
    execute(path, f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(JournalCorrupt, match="upgrade"):
        Journal.read(path)

    assert 200 == len(read_all(path, salvage=True))


async def test_changed_row_is_left_out(path: Path) -> None:
    """A tampered row is refused; salvaging reads all the others and counts it."""
    execute(path, "UPDATE items SET token = 'x' WHERE key = 'k7'")
    with pytest.raises(JournalCorrupt, match="k7"):
        read_all(path)
    with Journal.read(path, salvage=True) as reader:
        found = [each.index for each in reader.items()]
        damaged = reader.damaged

    assert ([n for n in range(200) if n != 7], 1) == (found, damaged)


async def test_both_sides_of_a_hole_are_read(path: Path) -> None:
    """A destroyed page in the middle costs its own rows only."""
    punch(path)
    found = {each.index for each in read_all(path, salvage=True)}

    assert {0, 199} <= found
    assert 100 < len(found) < 200


def punch(path: Path) -> None:
    """Destroy a page in the middle of the items."""
    content = bytearray(path.read_bytes())
    pages = range(0, len(content), 4096)
    # The index has the keys, but not the results.
    middle = next(
        n
        for n in pages
        if b"k100" in content[n : n + 4096] and b"x" * 50 in content[n : n + 4096]
    )
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)


def test_salvage_of_rubbish_finds_nothing(tmp_path: Path) -> None:
    """What is no database has no rows; that is no error."""
    path = tmp_path / "run.db"
    path.write_bytes(b"rubbish" * 1000)

    assert [] == read_all(path, salvage=True)
