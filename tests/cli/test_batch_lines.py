"""Lines of results: the same for the same outcome, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
import resource
import signal
from typing import Any

import pytest

from asynctasks.cli.batch_lines import (
    LineFile,
    build_details,
    build_line,
    write_line,
)
from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings


def entry(state: ItemState, **facts: Any) -> Entry:
    """Make a row of a journal."""
    return Entry(key="k", index=3, state=state, **facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"result": b'{"a": 1}', "media_type": "application/json"}, {"a": 1}),
        ({"result": b"text", "media_type": "text/plain"}, "text"),
        ({"result": b""}, None),
        ({}, None),
    ],
)
def test_line_of_a_result(facts: dict[str, Any], expected: Any) -> None:
    """The result is decoded."""
    line = build_line(entry(ItemState.SUCCEEDED, **facts))

    assert {"index": 3, "key": "k", "state": "succeeded", "result": expected} == line


def test_line_of_bytes() -> None:
    """What is no text is written so that it can be."""
    line = build_line(entry(ItemState.SUCCEEDED, result=b"\x00\xff"))

    assert "AP8=" == line["base64"]
    assert "result" not in line


def test_line_of_a_file() -> None:
    """A large result is named, beside the journal, wherever that is."""
    line = build_line(entry(ItemState.SUCCEEDED, stored="run.db.results/ab.result"))

    assert "run.db.results/ab.result" == line["file"]


def test_line_of_a_failure_has_no_ids() -> None:
    """Two runs of the same write the same: the service's words, not the task's id."""
    failure = Failure("TaskFailed", "task 17 failed: boom", "errors", "boom")
    line = build_line(entry(ItemState.FAILED, failure=failure))

    assert ("TaskFailed", "boom") == (line["error"], line["message"])


def test_line_of_a_doubt_has_its_candidates() -> None:
    """What may be the item is named."""
    failure = Failure("SubmitOutcomeUnknown", "lost")
    line = build_line(entry(ItemState.UNKNOWN, failure=failure, candidates=("a", "b")))

    assert ("unknown", ["a", "b"]) == (line["state"], line["candidates"])


def test_details_have_the_rest() -> None:
    """An export has token, attempts and times as well."""
    details = build_details(
        entry(
            ItemState.SUBMITTED,
            token="t",
            timings=Timings(submitted=0.0, run_time=1.5),
        )
    )
    times = {"submitted": "1970-01-01T00:00:00+00:00", "run_time": 1.5}

    assert times == details["timings"]
    assert ("t", 0, "") == (details["token"], details["attempts"], details["service"])


def test_nothing_breaks_a_line() -> None:
    """Separators of Unicode and half characters are escaped."""
    text = "a\u2028b\u2029c\x85d\n\ud800"
    line = write_line({"result": text})

    assert 1 == len(line.decode().splitlines())
    assert text == json.loads(line)["result"]


# --- files -------------------------------------------------------------------


def test_file_is_added_to(tmp_path: Path) -> None:
    """Lines are there as soon as they are written."""
    path = tmp_path / "out.jsonl"
    with LineFile(path, fresh=True) as file:
        file.write(b"1\n")

        assert b"1\n" == path.read_bytes()


def test_file_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """Results of another batch are not mixed up, nor lost."""
    path = tmp_path / "out.jsonl"
    path.write_text("1\n")

    with pytest.raises(InvalidArgument, match="--resume its batch"):
        LineFile(path, fresh=True)

    assert "1\n" == path.read_text()


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The error says so."""
    with pytest.raises(InvalidArgument, match="cannot be written: No such"):
        LineFile(tmp_path / "no" / "out.jsonl", fresh=True)


def test_file_is_made_whole_again(tmp_path: Path) -> None:
    """What was cut off gives way to what is known, and more can be added."""
    path = tmp_path / "out.jsonl"
    path.write_text('{"index": 0}\n{"ind')
    with LineFile(path, fresh=False) as file:
        file.replace([b"1\n", b"2\n"])
        file.write(b"3\n")

    assert b"1\n2\n3\n" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_file_keeps_what_it_has_if_replacing_fails(tmp_path: Path) -> None:
    """The old lines are there until all the new ones are."""
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")

    def lines() -> Any:
        yield b"1\n"
        raise OSError(28, "No space left on device")

    with LineFile(path, fresh=False) as file, pytest.raises(OSError, match="No space"):
        file.replace(lines())

    assert "old\n" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_full_disk_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that does not fit is not there at all."""
    path = tmp_path / "out.jsonl"
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with LineFile(path, fresh=True) as file:
        file.write(b"1" * 50 + b"\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (80, most))
        try:
            with pytest.raises(OSError, match="too large"):
                file.write(b"2" * 50 + b"\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            signal.signal(signal.SIGXFSZ, before)

    assert b"1" * 50 + b"\n" == path.read_bytes()


def test_pipe_takes_lines(tmp_path: Path) -> None:
    """What is no file is written to as well."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with LineFile(path, fresh=True) as file:
        file.replace([b"1\n"])
        file.write(b"2\n")

    assert b"1\n2\n" == os.read(reader, 100)

    os.close(reader)
