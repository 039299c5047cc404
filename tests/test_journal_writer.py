"""The thread that writes: order, groups, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
import sqlite3
import threading
from typing import Any

import pytest

from asynctasks import journal_writer
from asynctasks.exceptions import InvalidArgument, InvalidState, JournalLocked
from asynctasks.journal_file import JournalFile
from asynctasks.journal_writer import Writer


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """See that no writer outlives its test."""
    yield
    threads = [t for t in threading.enumerate() if t.name == "asynctasks_journal"]
    for thread in threads:
        thread.join(5)

    assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


def begin(connection: sqlite3.Connection) -> str:
    return "begun"


def build(path: Path, begin: Any = begin) -> Writer:
    return Writer(lambda: JournalFile(path), begin)


async def finish(writer: Writer) -> None:
    writer.stop()
    await writer.ended


async def test_work_is_done_in_order(path: Path) -> None:
    """What is put first is done first, and everybody gets their own outcome."""
    writer = build(path)
    order: list[int] = []

    def work(number: int) -> Any:
        return lambda _: order.append(number) or number

    found = await asyncio.gather(*(writer.put(work(n)) for n in range(2500)))
    await finish(writer)

    assert "begun" == writer.opened.result()
    assert list(range(2500)) == found == order


async def test_bad_work_harms_nobody_else(path: Path) -> None:
    """Work that refuses its argument fails alone; the group is committed."""
    writer = build(path)

    def refuse(_: sqlite3.Connection) -> None:
        raise InvalidArgument("key", "k", "no")

    outcomes = await asyncio.gather(
        writer.put(lambda _: 1),
        writer.put(refuse),
        writer.put(lambda _: 2),
        return_exceptions=True,
    )
    await finish(writer)

    assert [1, 2] == outcomes[::2]
    assert isinstance(outcomes[1], InvalidArgument)


async def test_failed_beginning_reaches_everybody(path: Path) -> None:
    """Whoever put work before the file could not be opened has an error of his own."""

    def refuse(_: sqlite3.Connection) -> None:
        raise InvalidArgument("facts", "x", "no")

    writer = build(path, refuse)
    early = writer.put(lambda _: 1)
    await writer.ended
    waited = (writer.opened, early, writer.put(lambda _: 2), writer.put(lambda _: 3))
    errors = await asyncio.gather(*waited, return_exceptions=True)

    assert [InvalidArgument] * 4 == [type(error) for error in errors]
    assert 4 == len({id(error) for error in errors})


async def test_lost_lock_ends_the_writer(path: Path) -> None:
    """Once another process has the journal, nothing more is written to it."""
    writer = build(path)
    await writer.put(
        lambda connection: connection.execute("UPDATE lock SET owner = 'x'")
    )
    for _ in range(2):
        with pytest.raises(JournalLocked, match="taken it over"):
            await writer.put(lambda _: 1)
    await finish(writer)


async def test_stop_comes_after_all_work(path: Path) -> None:
    """Work that was put before the stop is done; what comes later is refused."""
    writer = build(path)
    before = [writer.put(lambda _, n=n: n) for n in range(2500)]
    writer.stop()
    with pytest.raises(InvalidState, match="closed"):
        await writer.put(lambda _: 1)
    await writer.ended

    assert list(range(2500)) == [future.result() for future in before]


async def test_idle_writer_says_that_it_lives(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without work there is a heartbeat all the same."""
    monkeypatch.setattr(journal_writer, "BEAT", 0.01)
    writer = build(path)

    def beat(connection: sqlite3.Connection) -> float:
        (at,) = connection.execute("SELECT beat FROM lock").fetchone()
        return float(at)

    first = await writer.put(beat)
    await asyncio.sleep(0.1)
    last = await writer.put(beat)
    await finish(writer)

    assert first < last


def test_closed_loop_does_not_hold_the_thread(path: Path) -> None:
    """A program that ends without closing leaves no thread that waits for ever."""

    async def main() -> Writer:
        writer = build(path)
        await writer.opened
        return writer

    writer = asyncio.run(main())
    writer.stop()


@pytest.mark.parametrize("value", ["\ud800", 2**64])
async def test_value_that_cannot_be_written_harms_nobody_else(
    path: Path, value: Any
) -> None:
    """What SQLite cannot take fails alone; the rest is written."""
    writer = build(path)
    bad = writer.put(lambda connection: connection.execute("SELECT ?", (value,)))
    good = writer.put(lambda _: "good")
    with pytest.raises(InvalidArgument, match="cannot be written down"):
        await bad

    assert "good" == await good
    await finish(writer)


async def test_fault_of_ours_is_told_to_everybody(path: Path) -> None:
    """Nobody waits for ever for a thread that has ended, for whatever reason."""
    writer = build(path)
    await writer.opened
    bad = [writer.put(lambda _: 1 // 0) for _ in range(3)]
    for each in bad:
        with pytest.raises(ZeroDivisionError):
            await each
    await finish(writer)

    with pytest.raises(ZeroDivisionError):
        await writer.put(lambda _: None)


async def test_end_tells_nothing_twice(path: Path) -> None:
    """An error that who wrote was told of is not raised again at the end."""
    writer = build(path)
    await writer.opened
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lock SET owner = 'another'")
    connection.close()
    lost = writer.put(lambda _: None)
    writer.stop()
    await writer.ended
    with pytest.raises(JournalLocked, match="taken it over"):
        await lost
