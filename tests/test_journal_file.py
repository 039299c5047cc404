"""The file of a journal: versions, locks, damage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
import os
from pathlib import Path
import random
import shutil
import signal
import sqlite3
import sys
import time

import pytest

from asynctasks.exceptions import (
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalLocked,
)
from asynctasks.journal_file import JournalFile
from asynctasks.journal_items import put
from asynctasks.journal_lock import STALE
from asynctasks.journal_rows import VERSION
from asynctasks.sansio.ledger import Entry
from tests.journals import entry, read_all, start_writer


OLD = Path(__file__).parent / "samples" / "journal_v1.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
def written(path: Path) -> Path:
    """Provide a journal with some items, closed."""
    with closing(JournalFile(path)) as file, file.transaction() as connection:
        for index in range(60):
            each = entry(index, token='{"id":"t1"}', result=b"x" * 100)
            put(connection, each, 1)
    return path


def execute(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql, values)
        connection.commit()


# --- versions ----------------------------------------------------------------


def test_old_version_is_migrated(path: Path) -> None:
    """A journal of version 1 becomes one of today, with all its items."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text("utf-8"))
    before = read_all(path)
    with closing(JournalFile(path)) as file:
        (version,) = file.connection.execute("PRAGMA user_version").fetchone()
        runs = file.connection.execute("SELECT * FROM runs").fetchall()

    assert (VERSION, [(1, 0.0, 0.0)]) == (version, runs)
    assert ["k0", "k1"] == [each.key for each in before]
    assert before == read_all(path)


def test_newer_version_is_refused(written: Path) -> None:
    """A journal of tomorrow is left alone, with the text of what to do."""
    execute(written, f"PRAGMA user_version = {VERSION + 1}")
    before = written.read_bytes()
    with pytest.raises(JournalCorrupt, match="upgrade it, or export"):
        JournalFile(written)

    assert before == written.read_bytes()


def test_empty_file_becomes_a_journal(path: Path) -> None:
    """A file of no bytes, as mktemp makes it, can be used."""
    path.touch()
    with closing(JournalFile(path)):
        assert path.stat().st_size > 0


@pytest.mark.parametrize("content", [b"key,value\n", b"SQLite format 3\0" + bytes(99)])
def test_other_files_are_refused(path: Path, content: bytes) -> None:
    """What is no journal is not touched."""
    path.write_bytes(content)
    with pytest.raises(JournalCorrupt):
        JournalFile(path)

    assert content == path.read_bytes()


def test_other_databases_are_refused(path: Path) -> None:
    """An SQLite file of somebody else is not touched."""
    execute(path, "CREATE TABLE mine (x)")
    with pytest.raises(JournalCorrupt, match="is not a journal of asynctasks"):
        JournalFile(path)


# --- damage ------------------------------------------------------------------


def test_flipped_bits_are_found(written: Path, tmp_path: Path) -> None:
    """Whatever bit is flipped: the journal is refused, or reads as it was written."""
    expected = read_all(written)
    content = written.read_bytes()
    dice = random.Random(1)
    damaged = tmp_path / "damaged.db"
    refused = 0
    for _ in range(150):
        place = dice.randrange(len(content))
        flipped = content[place] ^ 1 << dice.randrange(8)
        damaged.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        try:
            JournalFile(damaged).close()
        except JournalError:
            refused += 1
        else:
            assert expected == read_all(damaged)

    assert refused > 30


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_off_file_is_refused(written: Path, share: float) -> None:
    """Half a journal is none; it is left as it is."""
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(JournalCorrupt, match="export"):
        JournalFile(written)

    assert int(len(content) * share) == written.stat().st_size


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE items SET state = 'failed' WHERE key = 'k7'",
        "UPDATE items SET token = '' WHERE key = 'k7'",
        "UPDATE items SET key = 'other' WHERE key = 'k7'",
        "UPDATE items SET idx = 'x' WHERE key = 'k7'",
    ],
)
def test_tampering_is_found(written: Path, sql: str) -> None:
    """A row that somebody changed by hand does not count as ours."""
    execute(written, sql)
    with pytest.raises(JournalCorrupt, match="checksum"):
        JournalFile(written)


# --- the lock ----------------------------------------------------------------


def lock(path: Path, **facts: object) -> None:
    """Write the lock of somebody else."""
    row = {"owner": "x", "pid": 1, "host": "elsewhere", "beat": time.time(), **facts}
    sql = "REPLACE INTO lock (id, owner, pid, host, beat) VALUES (1, ?, ?, ?, ?)"
    execute(path, sql, *row.values())


def test_lock_of_another_holds(written: Path) -> None:
    """Who has the journal is named; see test_journal_lock for who has it."""
    lock(written)
    with pytest.raises(JournalLocked, match="process 1 on elsewhere uses it"):
        JournalFile(written)


def test_lock_of_nobody_is_taken(written: Path) -> None:
    """A process that is gone has lost its journal."""
    lock(written, beat=time.time() - STALE - 1)
    with closing(JournalFile(written)) as file:
        (pid,) = file.connection.execute("SELECT pid FROM lock").fetchone()

    assert os.getpid() == pid


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_process_that_is_stopped_keeps_its_journal(path: Path) -> None:
    """It may be about to send what it has written that it would."""
    child = start_writer(path, 0, 10**9)
    assert child.stdout is not None
    assert "open\n" == child.stdout.readline()
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    try:
        # In the midst of a transaction, the file itself is locked.
        with suppress(sqlite3.OperationalError):
            execute(path, "UPDATE lock SET beat = 0")
        with pytest.raises(JournalLocked):
            JournalFile(path)
    finally:
        child.kill()
        child.communicate()
    JournalFile(path).close()


def test_loser_of_the_lock_writes_no_more(written: Path) -> None:
    """Whoever was taken to be dead finds out before it writes."""
    with closing(JournalFile(written)) as file:
        lock(written, host="elsewhere")
        with pytest.raises(JournalLocked, match="taken it over"), file.transaction():
            pass
    with pytest.raises(JournalLocked, match="on elsewhere"):
        JournalFile(written)


def test_heartbeat_is_written(path: Path) -> None:
    """A beat says when the process was last alive."""
    with closing(JournalFile(path)) as file:
        execute(path, "UPDATE lock SET beat = 0")
        with file.transaction():
            file.beat()
        (beat,) = file.connection.execute("SELECT beat FROM lock").fetchone()

    assert beat > 0


# --- transactions ------------------------------------------------------------


def test_transaction_is_all_or_nothing(path: Path) -> None:
    """What raises within leaves nothing behind."""
    with closing(JournalFile(path)) as file:
        with pytest.raises(JournalError), file.transaction() as connection:  # noqa: PT012 - what comes before the error
            put(connection, entry(), 1)
            connection.execute("SELECT * FROM nowhere")
        with file.transaction() as connection:
            put(connection, entry(1), 1)

    assert ["k1"] == [each.key for each in read_all(path)]


def test_busy_file_is_locked(path: Path) -> None:
    """A foreign writer, such as a shell, is told as a lock."""
    with closing(JournalFile(path)) as file, closing(sqlite3.connect(path)) as other:
        file.connection.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLocked, match="is writing"), file.transaction():
            pass


@pytest.fixture
def tight(path: Path) -> Iterator[JournalFile]:
    """Provide a journal that may not grow."""
    with closing(JournalFile(path)) as file:
        (pages,) = file.connection.execute("PRAGMA page_count").fetchone()
        file.connection.execute(f"PRAGMA max_page_count = {pages}")
        yield file


def test_full_file_is_told(tight: JournalFile) -> None:
    """Where there is no room, the error says what to do; what was there stays."""
    big = Entry(key="big", index=0, result=b"x" * 100_000)
    with pytest.raises(JournalFull, match="make room"), tight.transaction() as made:
        put(made, big, 1)

    assert [] == read_all(tight.path)


def test_copy_can_be_opened(written: Path, tmp_path: Path) -> None:
    """A journal can be copied while it is closed."""
    copy = tmp_path / "copy.db"
    shutil.copy(written, copy)
    JournalFile(copy).close()

    assert 60 == len(read_all(copy))
