"""The journal: what it acknowledged is there, whatever happens to the process."""

from __future__ import annotations

import asyncio
from pathlib import Path
import random
import sqlite3
import sys

import pytest

from asynctasks.exceptions import (
    InvalidArgument,
    InvalidState,
    JournalError,
    JournalFull,
    JournalLocked,
)
from asynctasks.journal import Journal
from asynctasks.sansio.ledger import ItemState, Step, advance
from tests.journals import entry, read_all, start_writer, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


async def test_what_was_put_is_read(path: Path) -> None:
    """Entries come back in the order of their index."""
    await write(path, entry(1), entry(0), entry(2, state=ItemState.FAILED))

    assert [entry(0), entry(1), entry(2, state=ItemState.FAILED)] == read_all(path)


async def test_put_replaces(path: Path) -> None:
    """The last thing that was put of an item counts."""
    before = entry()
    after = advance(before, Step.INTEND, 1.0)
    await write(path, before, after)

    assert [after] == read_all(path)


async def test_order_is_that_of_the_calls(path: Path) -> None:
    """Nobody need wait for one row before the next is put."""
    steps = [entry(attempts=number) for number in range(50)]
    async with await Journal.open(path) as journal:
        await asyncio.gather(*(journal.put(each) for each in steps))
        found = await journal.get("k0")

    assert steps[-1] == found


async def test_many_rows_share_a_commit(path: Path) -> None:
    """A thousand rows that are put together need few waits for the disk."""
    async with await Journal.open(path) as journal:
        connection = sqlite3.connect(path)
        before = connection.execute("PRAGMA data_version").fetchone()
        await asyncio.gather(*(journal.put(entry(n)) for n in range(1000)))
        frames = path.with_name("run.db-wal").stat().st_size // 4096
        after = connection.execute("PRAGMA data_version").fetchone()
        connection.close()

    assert before != after
    # Committed one by one, each row would have written three pages or more.
    assert frames < 1000


async def test_claims_are_taken_once(path: Path) -> None:
    """A run takes a key once; the next run finds what the last one knew."""
    async with await Journal.open(path) as journal:
        first = await journal.claim(entry())
        with pytest.raises(InvalidArgument, match="several inputs"):
            await journal.claim(entry())
    async with await Journal.open(path) as journal:
        again = await journal.claim(entry(attempts=7))

    assert ((entry(), True), (entry(), False)) == (first, again)


async def test_equal_inputs_are_told_apart(path: Path) -> None:
    """The n-th of equal inputs is the same item in every run."""
    runs = []
    for _ in range(2):
        async with await Journal.open(path) as journal:
            claims = [
                await journal.claim(entry(n, key="h"), named=False) for n in range(9)
            ]
            runs.append([(found.key, found.index) for found, _ in claims])
    expected = [("h", 0), *((f"h#{n + 1}", n) for n in range(1, 9))]

    assert [expected, expected] == runs


async def test_runs_are_counted(path: Path) -> None:
    """Each opening is a run; only the first finds nothing; the id stays."""
    seen = []
    for _ in range(3):
        async with await Journal.open(path) as journal:
            seen.append((journal.run, journal.fresh, journal.id))
            await journal.put(entry(journal.run))

    assert [(1, True), (2, False), (3, False)] == [each[:2] for each in seen]
    assert 1 == len({each[2] for each in seen})


async def test_other_service_is_refused(path: Path) -> None:
    """A journal of one service is not gone on with at another."""
    async with await Journal.open(path, {"origin": "http://a"}):
        pass
    with pytest.raises(JournalError, match=r"belongs to the origin http://a, not"):
        await Journal.open(path, {"origin": "http://b"})


async def test_items_need_to_be_resumed(path: Path) -> None:
    """A journal with items is not gone on with by accident."""
    async with await Journal.open(path, resume=False):
        pass
    async with await Journal.open(path, resume=False) as journal:
        await journal.put(entry())
    with pytest.raises(JournalError, match="has 1 items: resume it"):
        await Journal.open(path, resume=False)


async def test_missing_folder_is_told(tmp_path: Path) -> None:
    """A journal that cannot be made says so."""
    with pytest.raises(JournalError, match="unable to open"):
        await Journal.open(tmp_path / "no" / "run.db")


async def test_closed_journal_takes_nothing(path: Path) -> None:
    """What comes after the close is refused; closing twice is fine."""
    journal = await Journal.open(path)
    await journal.close()
    await journal.close()
    with pytest.raises(InvalidState, match="closed"):
        await journal.put(entry())


async def test_close_writes_what_was_put(path: Path) -> None:
    """Closing waits for rows that nobody waited for."""
    journal = await Journal.open(path)
    futures = [journal.put(entry(n)) for n in range(100)]
    await journal.close()
    await asyncio.sleep(0)

    assert all(future.done() for future in futures)
    assert 100 == len(read_all(path))


async def test_open_may_be_cancelled(path: Path) -> None:
    """Whoever gives up opening leaves no lock behind."""
    opening = asyncio.create_task(Journal.open(path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with await Journal.open(path) as journal:
        assert journal.run >= 1


async def test_unsettled_items_are_those_of_earlier_runs(path: Path) -> None:
    """What this run has taken is not found again, nor what is of another service."""
    running = entry(0, state=ItemState.SUBMITTED)
    intended = entry(1, state=ItemState.INTENDED)
    other = entry(2, state=ItemState.SUBMITTED, service="other")
    await write(path, intended, running, other, entry(3, state=ItemState.FAILED))
    async with await Journal.open(path) as journal:
        before = await journal.unsettled("s")
        await journal.claim(running)
        after = await journal.unsettled("s")
        unseen = await journal.unseen()

    assert ([running, intended], [intended], 3) == (before, after, unseen)


async def test_tasks_are_accounted_for(path: Path) -> None:
    """Tasks of items and of earlier attempts are theirs; of doubts, perhaps not."""
    await write(
        path,
        entry(0, task_id="a", earlier=("b",)),
        entry(1, state=ItemState.UNKNOWN, candidates=("a", "c", "d")),
    )
    many = [f"x{n}" for n in range(2000)]
    async with await Journal.open(path) as journal:
        known = await journal.accounts(["a", "b", "c", *many])

    assert ({"a", "b"}, {"c"}) == (known.own, known.contested)


async def test_second_opening_is_refused(path: Path) -> None:
    """One process, one journal: the lock names who has it."""
    async with await Journal.open(path):
        with pytest.raises(JournalLocked, match=r"process \d+ uses it"):
            await Journal.open(path)
    async with await Journal.open(path):
        pass


async def test_kill_loses_nothing_acknowledged(path: Path) -> None:
    """Killed at whatever moment, several times: every acknowledged row is there."""
    dice = random.Random(7)
    acknowledged: set[str] = set()
    for first in range(4):
        child = start_writer(path, first, 100_000)
        assert child.stdout is not None
        lines = await asyncio.to_thread(child.stdout.readline)
        await asyncio.sleep(dice.uniform(0.0, 0.15))
        child.kill()
        lines, _ = await asyncio.to_thread(child.communicate)
        # The last line may have been cut off.
        acknowledged.update(lines.split("\n")[:-1])
    found = {each.key for each in read_all(path)}

    assert acknowledged
    assert set() == acknowledged - found


async def test_lock_of_the_dead_is_nobodys(path: Path) -> None:
    """A journal whose process was killed can be opened at once."""
    child = start_writer(path, 0, 100_000)
    assert child.stdout is not None
    await asyncio.to_thread(child.stdout.readline)
    with pytest.raises(JournalLocked, match=f"process {child.pid} uses it"):
        await Journal.open(path)
    child.kill()
    await asyncio.to_thread(child.communicate)
    async with await Journal.open(path) as journal:
        assert 2 == journal.run


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
async def test_full_disk_loses_nothing(path: Path) -> None:
    """On a full disk intents are refused; facts are written as soon as it is not."""
    journal = await Journal.open(path)
    await journal.put(entry(0))
    wal = path.with_name("run.db-wal")
    with limited_files(wal.stat().st_size):
        with pytest.raises(JournalFull, match="make room and resume"):
            await journal.put(entry(1), fact=False)
        with pytest.raises(JournalFull):
            await journal.put(entry(2))
        full = journal.full
    await journal.put(entry(3))
    await journal.close()

    assert (True, False) == (full, journal.full)
    assert ["k0", "k2", "k3"] == [each.key for each in read_all(path)]


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
async def test_close_on_a_full_disk_says_what_is_missing(path: Path) -> None:
    """A fact that could not be written by the end is told at the close."""
    journal = await Journal.open(path)
    await journal.put(entry(0))
    with limited_files(path.with_name("run.db-wal").stat().st_size):
        with pytest.raises(JournalFull):
            await journal.put(entry(1))
        with pytest.raises(JournalFull):
            await journal.close()

    assert ["k0"] == [each.key for each in read_all(path)]


class limited_files:  # noqa: N801 - used as a statement
    """Lets no file of this process grow beyond some bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        import resource  # noqa: PLC0415 - not on Windows

        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_: object) -> None:
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
