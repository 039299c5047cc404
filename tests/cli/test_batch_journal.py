"""asynctasks batch status, failures and export: what a journal says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import attrs
import pytest

from asynctasks.cli.batch_journal import describe
from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings
from tests.cli.conftest import Run


ENTRIES = [
    Entry(
        key="a",
        index=0,
        service="solve",
        state=ItemState.SUCCEEDED,
        attempts=1,
        result=b'{"x": 1}',
        media_type="application/json",
        timings=Timings(submitted=1.8e9, started=1.8e9 + 1, fetched=1.8e9 + 2),
    ),
    Entry(
        key="b",
        index=1,
        state=ItemState.FAILED,
        attempts=1,
        failure=Failure("TaskFailed", "task 7 failed", "", "b\x1boom"),
    ),
    Entry(
        key="c",
        index=2,
        state=ItemState.UNKNOWN,
        failure=Failure("SubmitOutcomeUnknown", "lost"),
        candidates=("t1", "t2"),
    ),
    Entry(key="d", index=3, state=ItemState.INTENDED),
]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """Write a journal."""
    path = tmp_path / "run.db"
    facts = {"origin": "http://127.0.0.1:1", "protocol": "aimms", "variant": "v2"}

    async def write() -> None:
        async with await Journal.open(path, facts) as book:
            for entry in ENTRIES:
                await book.claim(Entry(key=entry.key, index=entry.index))
                await book.put(entry)

    asyncio.run(write())
    return str(path)


def test_status_counts(run: Run, journal: str) -> None:
    """Counts are for people, or one document with --json."""
    text, data = (
        run("batch", "status", journal),
        run("batch", "status", journal, "--json"),
    )
    document = json.loads(data.stdout)

    assert "1  done" in text.stdout
    assert "1  in doubt" in text.stdout
    assert "aimms v2 http://127.0.0.1:1: one run" in text.stderr
    assert (4, 1, 0) == (
        document["total"],
        document["counts"]["failed"],
        document["counts"]["waiting"],
    )


def test_status_draws(run: Run, journal: str, tmp_path: Path) -> None:
    """A report can be had of any journal."""
    path = tmp_path / "report.html"
    good = run("batch", "status", journal, "--report", str(path))
    bad = run("batch", "status", journal, "--report", str(tmp_path / "no" / "x.html"))

    assert "Batch of solve" in path.read_text()
    assert (0, 2) == (good.exit_code, bad.exit_code)


def test_failures_say_why(run: Run, journal: str) -> None:
    """Items without a result, with the service's words made harmless."""
    text = run("batch", "failures", journal)
    data = run("batch", "failures", journal, "--json")
    rows = [json.loads(line) for line in data.stdout.splitlines()]

    assert "1  b  TaskFailed: b\\x1boom" in text.stdout
    assert "(it may be t1 or t2)" in text.stdout
    assert "1 of SubmitOutcomeUnknown" in text.stderr
    assert ["b", "c"] == [row["key"] for row in rows]


def test_few_candidates_are_named() -> None:
    """A line stays a line, however many tasks an item may be."""
    entry = attrs.evolve(ENTRIES[2], candidates=tuple(f"t{n}" for n in range(300)))

    assert describe(entry).endswith(
        "(it may be t0 or t1 or t2 or t3 or t4 or 295 others)"
    )


def test_export_has_all_of_it(run: Run, journal: str, tmp_path: Path) -> None:
    """All items, or those in some states, to stdout or to a file."""
    path = tmp_path / "all.jsonl"
    every = run("batch", "export", journal, "--out", str(path))
    some = run("batch", "export", journal, "--state", "succeeded")
    row = json.loads(some.stdout)

    assert 4 == len(path.read_text().splitlines())
    assert "saved to" in every.stderr
    assert ({"x": 1}, 1, "solve") == (row["result"], row["attempts"], row["service"])
    assert "2027-01-15T08:00:00+00:00" == row["timings"]["submitted"]


def test_journal_is_never_written_over(run: Run, journal: str) -> None:
    """Neither an export nor a report takes its place."""
    before = Path(journal).read_bytes()
    export = run("batch", "export", journal, "--out", journal)
    report = run("batch", "status", journal, "--report", journal)

    assert (2, 2) == (export.exit_code, report.exit_code)
    assert "is the file of JOURNAL, too" in export.stderr
    assert before == Path(journal).read_bytes()


def test_export_that_cannot_be_written(run: Run, journal: str, tmp_path: Path) -> None:
    """The error says so."""
    result = run("batch", "export", journal, "--out", str(tmp_path / "no" / "x"))

    assert 2 == result.exit_code
    assert "cannot be written" in result.stderr


def test_no_journal(run: Run, tmp_path: Path) -> None:
    """A file that is not there, or is none, is told."""
    (tmp_path / "text.db").write_text("not a journal")
    missing = run("batch", "status", str(tmp_path / "no.db"))
    other = run("batch", "status", str(tmp_path / "text.db"))

    assert (2, 2) == (missing.exit_code, other.exit_code)
    assert "there is no such file" in missing.stderr
