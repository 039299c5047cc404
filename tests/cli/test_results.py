"""Results of tasks, to stdout and to files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from asynctasks.cli.results import check_out
from asynctasks.exceptions import InvalidArgument
from tests.cli.conftest import Run


def test_text_is_printed_harmless(run: Run, local: tuple[str, ...]) -> None:
    """Text keeps its lines; what would steer the terminal is escaped."""
    result = run("run", "text", *local)

    assert "one\ntwo \\x1b[31mred\n" == result.stdout


def test_text_is_a_string_in_json(run: Run, local: tuple[str, ...]) -> None:
    """With --json text is a JSON string, exactly."""
    assert "one\ntwo \x1b[31mred\n" == json.loads(
        run("run", "text", "--json", *local).stdout
    )


def test_binary_needs_a_file(run: Run, local: tuple[str, ...]) -> None:
    """Bytes are not printed."""
    result = run("run", "binary", *local)

    assert (1, "") == (result.exit_code, result.stdout)
    assert "error: the result is binary (3 bytes): name a file for it" in result.stderr
    assert "the task is over; to have its result:\n  asynctasks result" in result.stderr


def test_result_is_saved(run: Run, local: tuple[str, ...], isolated: Path) -> None:
    """--out saves the bytes as they are."""
    path = isolated / "result.bin"
    result = run("run", "binary", "--out", str(path), "--json", *local)

    assert b"\x00\xff\x00" == path.read_bytes()
    assert {"path": str(path), "bytes": 3} == json.loads(result.stdout)


def test_bytes_go_to_stdout_as_they_are(run: Run, local: tuple[str, ...]) -> None:
    """--out - writes nothing but the bytes."""
    result = run("run", "binary", "--out", "-", "-q", *local)

    assert b"\x00\xff\x00" == result.stdout_bytes


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("/nowhere/x", "--out='/nowhere/x': there is no folder '/nowhere'"),
        (".", "--out='.': name a file, not a folder"),
        ("", "--out: name a file, not a folder"),
        ("x" * 180 + "y" * 180, "File name too long"),
    ],
    ids=["nowhere", "folder", "empty", "long"],
)
def test_file_that_cannot_be_written_ends_with_2(
    run: Run, local: tuple[str, ...], out: str, reason: str
) -> None:
    """What is wrong with a file is told before a task is started for it."""
    result = run("run", "binary", "--out", out, *local)

    assert 2 == result.exit_code
    assert result.stderr.startswith("error: --out")
    assert result.stderr.endswith(f"{reason}\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_of_others(isolated: Path) -> None:
    """A folder that is there but not ours is told from one that is not."""
    isolated.chmod(0o500)
    with pytest.raises(InvalidArgument, match="we may not write"):
        check_out(str(isolated / "x"))


def test_result_that_cannot_be_written_is_not_lost(
    run: Run, local: tuple[str, ...], isolated: Path
) -> None:
    """A disk that fails at the end ends with 1 and the command that fetches it."""
    result = run("run", "binary", "--out", str(isolated / "a\0b"), *local)

    assert 1 == result.exit_code
    assert "cannot be written" in result.stderr
    assert "the task is over; to have its result:" in result.stderr
