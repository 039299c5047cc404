"""asynctasks batch SERVICE INPUTS: results, resuming, signals and exit codes."""

from __future__ import annotations

import asyncio
from contextlib import closing
import json
import os
from pathlib import Path
import sqlite3

import attrs
import pytest

from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry, ItemState
from asynctasks.server.app import LocalServer
from tests.cli.batches import Write, read
from tests.cli.conftest import KEY, Run


def test_results_are_lines(run: Run, local: tuple[str, ...], write: Write) -> None:
    """Each item has a line on stdout; talk is on stderr; all ok is 0."""
    result = run("batch", "echo", write([{"n": n} for n in range(20)]), *local)
    lines = [json.loads(line) for line in result.stdout.splitlines()]

    assert 0 == result.exit_code
    assert {n: {"n": n} for n in range(20)} == {x["index"]: x["result"] for x in lines}
    assert "20/20: 20 done, 0 failed" in result.stderr
    assert Path("in.jsonl.db").exists()


def test_failures_end_with_7(run: Run, local: tuple[str, ...], write: Write) -> None:
    """A failed item has a line too, and the others have their results."""
    rows = [{"message": "b\u001boom"}, {"message": "bang"}]
    result = run("batch", "fail", write(rows), "--out", "out.jsonl", *local)
    first, second = read("out.jsonl")

    assert (7, "") == (result.exit_code, result.stdout)
    assert ("failed", "TaskFailed") == (first["state"], first["error"])
    assert "bang" in second["message"]
    assert "to see why: asynctasks batch failures out.jsonl.db" in result.stderr
    assert "\x1b" not in result.stderr


def test_inputs_of_stdin(run: Run, local: tuple[str, ...], isolated: Path) -> None:
    """Lines of stdin are taken as they come."""
    journal = str(isolated / "run.db")
    given = ("batch", "echo", "-", "--journal", journal, *local)
    result = run(*given, stdin='{"a": 1}\n{"a": 2}\n')

    assert (0, 2) == (result.exit_code, len(result.stdout.splitlines()))


def test_nothing_is_sent_if_a_row_is_wrong(
    run: Run, local: tuple[str, ...], write: Write, server: LocalServer
) -> None:
    """All inputs are looked at first."""
    path = write([{"n": 1}])
    Path(path).write_text('{"n": 1}\n{"n": }\n')
    before = server.simulator.submissions.total()
    result = run("batch", "echo", path, *local)

    assert 2 == result.exit_code
    assert "in.jsonl, line 2" in result.stderr
    assert before == server.simulator.submissions.total()
    assert not Path("in.jsonl.db").exists()


def test_key_is_a_field(run: Run, local: tuple[str, ...], write: Write) -> None:
    """Rows are known by a field of theirs, if it is said."""
    path = write([{"id": "a", "n": 1}, {"id": "b", "n": 1}])
    good = run("batch", "echo", path, "--key", "id", "--out", "out.jsonl", *local)
    bad = run("batch", "echo", path, "--key", "no", "--journal", "other.db", *local)

    assert ["a", "b"] == [line["key"] for line in read("out.jsonl")]
    assert (0, 2) == (good.exit_code, bad.exit_code)
    assert "a row has no such field" in bad.stderr


def test_report_is_written(run: Run, local: tuple[str, ...], write: Write) -> None:
    """--report draws the whole batch."""
    given = ("batch", "echo", write([{"n": 1}]), *local)
    good = run(*given, "--report", "report.html")
    bad = run(*given, "--resume", "--report", "no/report.html")

    assert "Batch of echo" in Path("report.html").read_text()
    assert (0, 2) == (good.exit_code, bad.exit_code)
    assert "the report is in report.html" in good.stderr


@pytest.mark.parametrize("link", [None, "symbolic", "hard"])
def test_inputs_are_never_written_over(
    run: Run, local: tuple[str, ...], write: Write, link: str | None
) -> None:
    """--out, --journal and --report are other files, whatever they are called."""
    path = write([{"n": 1}])
    other = path if link is None else "other.jsonl"
    if link is not None:
        make = os.symlink if link == "symbolic" else os.link
        make(path, other)
    for option in ("--out", "--journal", "--report"):
        for more in ((), ("--resume",)):
            result = run("batch", "echo", path, option, other, *more, *local)

            assert 2 == result.exit_code
            assert "is the file of INPUTS, too; name another" in result.stderr
            assert '{"n": 1}\n' == Path(path).read_text()


def test_nothing_is_resumed_without_a_journal(
    run: Run, local: tuple[str, ...], write: Write, server: LocalServer
) -> None:
    """A name that was mistyped does not submit everything again."""
    path = write([{"n": 1}])
    before = server.simulator.submissions.total()
    result = run("batch", "echo", path, "--journal", "typo.db", "--resume", *local)

    assert 2 == result.exit_code
    assert "there is no such journal" in result.stderr
    assert "to resume" not in result.stderr
    assert before == server.simulator.submissions.total()
    assert not Path("typo.db").exists()


def test_nothing_is_said_of_resuming_where_all_is_over(
    run: Run, local: tuple[str, ...], write: Write
) -> None:
    """A batch that ended, or never began, has no line that resumes it."""
    given = ("batch", "echo", write([{"n": 1}]), "--out", "out.jsonl", *local)
    first = run(*given)
    same_out = run(*given, "--journal", "other.db")
    same_journal = run(
        *given[:3], "--out", "new.jsonl", "--journal", "out.jsonl.db", *local
    )

    assert [0, 2, 2] == [x.exit_code for x in (first, same_out, same_journal)]
    assert "to resume:" not in same_out.stderr + same_journal.stderr


def test_what_must_be_found_out_first_is_told(
    run: Run, cloud: tuple[str, ...], write: Write
) -> None:
    """Whoever resumes with a doubt learns at once why nothing seems to happen."""
    path = write([{"doubt": "first"}, {"doubt": "second"}])
    given = ("batch", "echo", path, "--key", "doubt", "--journal", "run.db", *cloud)
    run(*given, API_KEY=KEY)
    with closing(sqlite3.connect("run.db")) as journal:
        facts = dict(journal.execute("SELECT name, value FROM facts"))
    Path("run.db").unlink()
    asyncio.run(leave_in_doubt(facts))
    result = run(*given, "--resume", "--on-unknown", "raise", API_KEY=KEY)

    assert "finding out what became of 1 submits; that may take" in result.stderr


async def leave_in_doubt(facts: dict[str, str]) -> None:
    """Write the journal of a run that was killed in a submit."""
    async with await Journal.open("run.db", facts) as journal:
        entry = Entry(key="first", index=0, service="echo")
        await journal.claim(entry)
        await journal.put(attrs.evolve(entry, state=ItemState.INTENDED))


def test_wrong_key_stops_the_batch(
    run: Run, cloud: tuple[str, ...], write: Write
) -> None:
    """What every item would meet is told once, with the line that resumes."""
    path = write([{"n": n} for n in range(50)])
    result = run("batch", "echo", path, *cloud, API_KEY="wrong")

    assert 3 == result.exit_code
    assert "--resume" in result.stderr
