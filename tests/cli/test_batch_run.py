"""asynctasks batch SERVICE INPUTS: results, resuming, signals and exit codes."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from asynctasks.server.app import LocalServer
from tests.cli.conftest import KEY, Run


ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def write(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write inputs into the working directory."""
    monkeypatch.chdir(isolated)

    def write(rows: list[Any], name: str = "in.jsonl") -> str:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (isolated / name).write_text(text)
        return name

    return write


def read(path: str | Path) -> list[Any]:
    """Read lines of results, in the order of the inputs."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return sorted(lines, key=lambda line: line["index"])


def test_results_are_lines(
    run: Run, local: tuple[str, ...], write: Callable[..., str]
) -> None:
    """Each item has a line on stdout; talk is on stderr; all ok is 0."""
    result = run("batch", "echo", write([{"n": n} for n in range(20)]), *local)
    lines = [json.loads(line) for line in result.stdout.splitlines()]

    assert 0 == result.exit_code
    assert {n: {"n": n} for n in range(20)} == {x["index"]: x["result"] for x in lines}
    assert "20/20: 20 done, 0 failed" in result.stderr
    assert Path("in.jsonl.db").exists()


def test_failures_end_with_7(
    run: Run, local: tuple[str, ...], write: Callable[..., str]
) -> None:
    """A failed item has a line too, and the others have their results."""
    rows = [{"message": "b\u001boom"}, {"message": "bang"}]
    result = run("batch", "fail", write(rows), "--out", "out.jsonl", *local)
    first, second = read("out.jsonl")

    assert (7, "") == (result.exit_code, result.stdout)
    assert ("failed", "TaskFailed") == (first["state"], first["error"])
    assert "bang" in second["message"]
    assert "to see why: asynctasks batch failures out.jsonl.db" in result.stderr
    assert "\x1b" not in result.stderr


def test_resuming_writes_the_same_lines(
    run: Run, local: tuple[str, ...], write: Callable[..., str], server: LocalServer
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
    run: Run, local: tuple[str, ...], write: Callable[..., str]
) -> None:
    """Whoever reads the output gets the same lines again."""
    given = ("batch", "echo", write([{"n": n} for n in range(5)]), *local)
    first, second = run(*given), run(*given, "--resume")

    assert 5 == len(first.stdout.splitlines())
    assert set(first.stdout.splitlines()) == set(second.stdout.splitlines())


def test_inputs_of_stdin(run: Run, local: tuple[str, ...], isolated: Path) -> None:
    """Lines of stdin are taken as they come."""
    journal = str(isolated / "run.db")
    given = ("batch", "echo", "-", "--journal", journal, *local)
    result = run(*given, stdin='{"a": 1}\n{"a": 2}\n')

    assert (0, 2) == (result.exit_code, len(result.stdout.splitlines()))


def test_nothing_is_sent_if_a_row_is_wrong(
    run: Run, local: tuple[str, ...], write: Callable[..., str], server: LocalServer
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


def test_key_is_a_field(
    run: Run, local: tuple[str, ...], write: Callable[..., str]
) -> None:
    """Rows are known by a field of theirs, if it is said."""
    path = write([{"id": "a", "n": 1}, {"id": "b", "n": 1}])
    good = run("batch", "echo", path, "--key", "id", "--out", "out.jsonl", *local)
    bad = run("batch", "echo", path, "--key", "no", "--journal", "other.db", *local)

    assert ["a", "b"] == [line["key"] for line in read("out.jsonl")]
    assert (0, 2) == (good.exit_code, bad.exit_code)
    assert "a row has no such field" in bad.stderr


def test_report_is_written(
    run: Run, local: tuple[str, ...], write: Callable[..., str]
) -> None:
    """--report draws the whole batch."""
    given = ("batch", "echo", write([{"n": 1}]), *local)
    good = run(*given, "--report", "report.html")
    bad = run(*given, "--resume", "--report", "no/report.html")

    assert "Batch of echo" in Path("report.html").read_text()
    assert (0, 2) == (good.exit_code, bad.exit_code)
    assert "the report is in report.html" in good.stderr


def test_wrong_key_stops_the_batch(
    run: Run, cloud: tuple[str, ...], write: Callable[..., str]
) -> None:
    """What every item would meet is told once, with the line that resumes."""
    path = write([{"n": n} for n in range(50)])
    result = run("batch", "echo", path, *cloud, API_KEY="wrong")

    assert 3 == result.exit_code
    assert "--resume" in result.stderr


# --- signals -----------------------------------------------------------------


@pytest.fixture
def start(isolated: Path, server: LocalServer) -> Callable[..., Any]:
    """Start a batch in a process of its own."""

    def start(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "asynctasks", "batch", "sleep", "in.jsonl"]
        return subprocess.Popen(
            [*command, "--out", "out.jsonl", "--url", server.url, *args],
            cwd=isolated,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ASYNCTASKS_API_KEY": KEY},
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for_line(path: Path) -> None:
    """Wait until a batch has written a line."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "no result"
        os.sched_yield()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signal_stops_and_says_how_to_go_on(
    write: Callable[..., str],
    start: Callable[..., Any],
    isolated: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """The journal is kept, and the line that is printed does resume."""
    write([{"seconds": 0.05 + n / 1e4} for n in range(60)])
    process = start("--limit", "4")
    wait_for_line(isolated / "out.jsonl")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    line = stderr.strip().splitlines()[-1].strip()
    done = len(read(isolated / "out.jsonl"))
    again = subprocess.run(
        [sys.executable, "-m", *shlex.split(line), "-q"],
        cwd=isolated,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ASYNCTASKS_API_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert code == process.returncode
    assert 0 < done < 60
    assert line.endswith("--limit 4 --resume" + line.partition("--resume")[2])
    assert (0, "") == (again.returncode, again.stderr)
    assert list(range(60)) == [x["index"] for x in read(isolated / "out.jsonl")]


def test_second_signal_leaves_at_once(
    write: Callable[..., str], start: Callable[..., Any], isolated: Path
) -> None:
    """Nothing is waited for any more; the line that resumes is printed all the same."""
    write([{"seconds": 0.05 + n / 1e4} for n in range(200)])
    process = start("--limit", "4")
    wait_for_line(isolated / "out.jsonl")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)

    assert process.returncode in {130, 143}
    assert "--resume" in stderr
