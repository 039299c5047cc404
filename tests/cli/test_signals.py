"""Ctrl-C and SIGTERM, on a batch."""

from __future__ import annotations

from collections.abc import Callable
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
from tests.cli.batches import Write, read
from tests.cli.conftest import KEY


ROOT = Path(__file__).parent.parent.parent


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
    write: Write,
    start: Callable[..., Any],
    isolated: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """The journal is kept, and the line that is printed does resume."""
    write([{"seconds": (0.6 if 0 < n < 4 else 0.05) + n / 1e4} for n in range(60)])
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
    assert "0 running, 0 queued" not in stderr
    assert "remote tasks go on; to resume:" in stderr
    assert line.endswith("--limit 4 --resume" + line.partition("--resume")[2])
    assert (0, "") == (again.returncode, again.stderr)
    assert list(range(60)) == [x["index"] for x in read(isolated / "out.jsonl")]


def test_second_signal_leaves_at_once(
    write: Write, start: Callable[..., Any], isolated: Path
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
