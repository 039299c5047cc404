"""Statuses as text and as documents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from asynctasks.cli.statuses import build_document, describe
from asynctasks.sansio.task import TaskState, TaskStatus


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (TaskStatus(state=TaskState.RUNNING, word="running"), "running"),
        (TaskStatus(state=TaskState.RUNNING, word="solving"), "running (solving)"),
        (TaskStatus(state=TaskState.RUNNING, progress=0.5), "running, 50%"),
        (
            TaskStatus(state=TaskState.RUNNING, cancel_requested=True),
            "running, asked to end",
        ),
        (
            TaskStatus(state=TaskState.FAILED, run_time=1.5, message="b\x1boom"),
            "failed, ran 1.50 s: b\\x1boom",
        ),
        (TaskStatus(state=TaskState.UNKNOWN, word="odd\n"), "unknown (odd\\n)"),
    ],
)
def test_status_is_a_line(status: TaskStatus, text: str) -> None:
    """A status is said in a line that is harmless for a terminal."""
    assert text == describe(status)


def test_status_is_a_document() -> None:
    """The keys of the document are the attributes; raw is left out."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    status = TaskStatus(state=TaskState.QUEUED, created_at=at, raw={"a": 1})
    document = build_document("7", "t", status)

    assert ("7", "t") == (document["id"], document["token"])
    assert "queued" == document["state"]
    assert "2026-01-02T00:00:00+00:00" == document["created_at"]
    assert "raw" not in document


def test_unseen_task_is_a_document() -> None:
    """Of a task that was not looked at, id and token are known."""
    assert {"id": "7", "token": "t"} == build_document("7", "t", None)
