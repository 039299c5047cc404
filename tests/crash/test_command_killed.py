"""``asynctasks batch`` is killed: its lines are whole, and in the end the same."""

from __future__ import annotations

from collections import Counter
import json
import os
from pathlib import Path
import random
import subprocess
import sys
from typing import Any

import pytest

from tests.crash.bench import PATIENCE, tell
from tests.crash.conftest import ROOT
from tests.crash.server_process import KEY, Site


pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

ITEMS, KILLS = 400, 5


@pytest.fixture
def command(server: Site, tmp_path: Path) -> Any:
    """Start the command in a folder of its own."""
    rows = [{"seconds": 0.02 + n / 1e6} for n in range(ITEMS)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "in.jsonl").write_text(text)

    def start(out: str, *options: str) -> subprocess.Popen[bytes]:
        words = ["batch", "sleep", "in.jsonl", "--out", out, "--quiet", *options]
        service = ["--url", server.url, "--app", "Demo", "--app-version", "1"]
        return subprocess.Popen(
            [sys.executable, "-m", "asynctasks", *words, *service],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ASYNCTASKS_API_KEY": KEY},
        )

    return start


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines that were written to their end."""
    content = path.read_bytes() if path.exists() else b""
    return content.split(b"\n")[:-1]


def test_command_is_killed(
    command: Any, server: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A resumed run has the lines of one that was let alone, and no item twice."""
    path = tmp_path / "out.jsonl"
    dice = random.Random("command")
    cut = 0
    for run in range(KILLS):
        process = command("out.jsonl", *["--resume"][: min(run, 1)])
        server.kill_on_submit(process.pid, dice.randint(30, 90))
        process.wait(PATIENCE)
        cut += path.exists() and path.read_bytes()[-1:] not in {b"", b"\n"}

        assert all(isinstance(json.loads(line), dict) for line in whole_lines(path))

    assert 0 == command("out.jsonl", "--resume").wait(PATIENCE)

    killed, accepted = whole_lines(path), Counter(server.accepted)
    tell(capsys, f"command: {KILLS} kills, {cut} lines cut off and repaired")

    assert 0 == command("other.jsonl").wait(PATIENCE)
    assert sorted(whole_lines(tmp_path / "other.jsonl")) == sorted(killed)
    assert ({1}, ITEMS) == (set(accepted.values()), len(killed))
