"""Results of tasks, to stdout and to files."""

from __future__ import annotations

import json
from pathlib import Path

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

    assert (2, "") == (result.exit_code, result.stdout)
    assert "the result is binary" in result.stderr


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


def test_unwritable_file_ends_with_2(run: Run, local: tuple[str, ...]) -> None:
    """A file that cannot be written is told."""
    result = run("run", "binary", "--out", "/nowhere/result.bin", *local)

    assert 2 == result.exit_code
    assert "cannot be written" in result.stderr
