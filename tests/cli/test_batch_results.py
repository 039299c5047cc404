"""The lines of a batch, in one run or in several."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.server.app import LocalServer
from tests.cli.batches import Write
from tests.cli.conftest import Run


def test_resuming_writes_the_same_lines(
    run: Run, local: tuple[str, ...], write: Write, server: LocalServer
) -> None:
    """What ended is not submitted again, and a line that was cut off is repaired."""
    given = ("batch", "echo", write([{"resumed": n} for n in range(10)]), *local)
    out = ("--out", "out.jsonl", "--journal", "run.db")
    first = run(*given, *out)
    lines = set(Path("out.jsonl").read_text().splitlines())
    Path("out.jsonl").write_text('{"index":7,"key')
    submitted = server.simulator.submissions.total()
    again = run(*given, *out)
    resumed = run(*given, *out, "--resume")

    assert [0, 2, 0] == [each.exit_code for each in (first, again, resumed)]
    assert lines == set(Path("out.jsonl").read_text().splitlines())
    assert submitted == server.simulator.submissions.total()


def test_resuming_to_stdout_tells_all(
    run: Run, local: tuple[str, ...], write: Write
) -> None:
    """Whoever reads the output gets the same lines again."""
    given = ("batch", "echo", write([{"n": n} for n in range(5)]), *local)
    first, second = run(*given), run(*given, "--resume")

    assert 5 == len(first.stdout.splitlines())
    assert set(first.stdout.splitlines()) == set(second.stdout.splitlines())


@pytest.mark.parametrize(
    "content",
    [
        '{"precious": 1}\n',
        "no JSON",
        '{"index":0,"key":"a","state":"succeeded","result":{"id":"b"}}\n',
        '{"index":0,"key":"other","state":"failed","error":"E","message":""}\n',
    ],
)
def test_lines_of_others_are_never_replaced(
    run: Run, local: tuple[str, ...], write: Write, content: str
) -> None:
    """--resume repairs the file of its batch, and refuses any other."""
    path = write([{"id": "a"}])
    given = ("batch", "echo", path, "--key", "id", "--journal", "run.db", *local)
    run(*given)
    Path("mine.jsonl").write_text(content)
    result = run(*given, "--out", "mine.jsonl", "--resume")

    assert 2 == result.exit_code
    assert "line 1 is not of this batch" in result.stderr
    assert "to resume" not in result.stderr
    assert content == Path("mine.jsonl").read_text()


def test_failures_of_earlier_runs_are_replaced(
    run: Run, local: tuple[str, ...], write: Write
) -> None:
    """A line that says why an item failed is of the batch, too."""
    given = ("batch", "fail", write([{"id": "a"}]), "--key", "id", *local)
    first = run(*given, "--out", "out.jsonl")
    lines = Path("out.jsonl").read_text()
    again = run(*given, "--out", "out.jsonl", "--resume")

    assert (7, 7) == (first.exit_code, again.exit_code)
    assert lines == Path("out.jsonl").read_text()
