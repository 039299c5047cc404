"""Jobs, their parts, logs, files and costs are read as Insula means them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.exceptions import RemoteProtocolError
from asynctasks.sansio.desp_jobs import (
    STATES,
    LogLine,
    judge_parent,
    last_words,
    parse_counts,
    parse_estimate,
    parse_file,
    parse_job,
    parse_logs,
)
from asynctasks.sansio.http import Response
from asynctasks.sansio.task import TaskState, TaskStatus


ANSWER = Response(200)


def answer(document: Any, status: int = 200) -> Response:
    return Response(status, body=json.dumps(document).encode())


def test_job() -> None:
    """A job is read in both forms of a launch's answer, in any spelling."""
    facts = {"status": "Running", "created": "2026-01-01T00:00:00Z", "startTime": None}
    found = [parse_job(each, ANSWER) for each in (facts, {"content": facts})]

    assert found[0] == found[1]
    assert (TaskState.RUNNING, "Running", None) == (
        found[0].state,
        found[0].word,
        found[0].started_at,
    )


@pytest.mark.parametrize("document", [[], {"status": 1}])
def test_no_job(document: Any) -> None:
    """What is no job is an error."""
    with pytest.raises(RemoteProtocolError):
        parse_job(document, ANSWER)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"subJobStatusCounts": {"RUNNING": 1, "ERROR": 0, "X": "y"}}, {"RUNNING": 1}),
        ({"subJobStatusCounts": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_counts(document: Any, expected: Any) -> None:
    """The states of sub-jobs are counted where the service counts them."""
    assert expected == parse_counts(document)


@pytest.mark.parametrize(
    ("word", "counts", "state", "done"),
    [
        ("CREATED", None, TaskState.QUEUED, False),
        ("CREATED", {}, TaskState.QUEUED, False),
        ("CREATED", {"PENDING": 2}, TaskState.QUEUED, False),
        ("CREATED", {"PENDING": 1, "COMPLETED": 1}, TaskState.RUNNING, False),
        ("CREATED", {"NEW_WORD": 1}, TaskState.RUNNING, False),
        ("CREATED", {"COMPLETED": 2}, TaskState.QUEUED, False),
        ("CREATED", {"CANCELLED": 2}, TaskState.CANCELLED, True),
        ("ERROR", {"ERROR": 1, "WAITING": 1}, TaskState.FAILED, False),
        ("ERROR", {"ERROR": 1, "CANCELLED": 1}, TaskState.FAILED, True),
        ("COMPLETED", {"COMPLETED": 2}, TaskState.SUCCEEDED, True),
        ("COMPLETED", {"COMPLETED": 1, "ERROR": 1}, TaskState.SUCCEEDED, True),
    ],
)
def test_parent(word: str, counts: Any, state: TaskState, done: bool) -> None:
    """A parent is over when its word says so and no part goes on."""
    status = TaskStatus(state=STATES[word.lower()], word=word)
    found = judge_parent(status, counts)

    assert (state, done) == (found.state, found.done)


def test_parent_in_error() -> None:
    """A parent that failed says how its parts are, and how far they came."""
    status = TaskStatus(state=TaskState.FAILED, word="ERROR")
    found = judge_parent(status, {"RUNNING": 2, "ERROR": 1, "COMPLETED": 1})

    assert ("sub-jobs: 1 COMPLETED, 1 ERROR, 2 RUNNING", 0.5) == (
        found.message,
        found.progress,
    )


def test_logs() -> None:
    """Lines without a time or a text are lines too; what is no line is left out."""
    lines = parse_logs(answer([{"message": "a"}, {"timestamp": "x"}, None, "odd"]))

    assert [LogLine("a"), LogLine("")] == lines
    assert [] == parse_logs(answer({}))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [([], ""), (["a", "b\n", " "], "b"), (["x" * 600], "x" * 500), ([""], "")],
)
def test_last_words(lines: list[str], expected: str) -> None:
    """The last line that says something tells why, at a bounded length."""
    assert expected == last_words([LogLine(line) for line in lines])


@pytest.mark.parametrize(
    ("name", "output"), [("ext/out/a.tif", "out"), ("ext/a.tif", None), (None, None)]
)
def test_file(name: str | None, output: str | None) -> None:
    """The output is told where the name has it."""
    found = parse_file({"id": 4, "filename": name}, ANSWER)

    assert ("4", name or "file-4", output) == (found.id, found.name, found.output)


def test_no_file() -> None:
    """A file has an id."""
    with pytest.raises(RemoteProtocolError):
        parse_file({"filename": "x"}, ANSWER)


def test_estimate() -> None:
    """An estimate may leave out the balance and the recurrence, not the cost."""
    found = parse_estimate(answer({"estimatedCost": 1.5}, 402))
    with pytest.raises(RemoteProtocolError):
        parse_estimate(answer({}))

    assert (1.5, "", None, False) == (
        found.cost,
        found.recurrence,
        found.balance,
        found.affordable,
    )
