"""Items and what is written down of their errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from asynctasks.batch_item import (
    Terms,
    build_failure,
    build_item,
    check_key,
    is_retried,
    observe,
    read_failure,
)
from asynctasks.exceptions import (
    InvalidArgument,
    RecordedError,
    ResultUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TlsError,
)
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings
from asynctasks.sansio.task import TaskState, TaskStatus


ENTRY = Entry(key="k", index=7, token="{}", task_id="t1")

STATUS = TaskStatus(state=TaskState.FAILED, word="failed", message="no licence")


def failed(*retries: str, kind: str = "TaskFailed") -> Entry:
    failure = Failure(kind, "…")
    return attrs.evolve(ENTRY, state=ItemState.FAILED, failure=failure, retries=retries)


@pytest.mark.parametrize(
    "kind", [TaskFailed, TaskCancelled, TaskLost, ResultUnavailable]
)
def test_errors_of_tasks_survive(kind: Any) -> None:
    """An error of a task comes back as itself, with the service's words."""
    error = kind("t1", "{}", STATUS)
    read = read_failure(attrs.evolve(ENTRY, failure=build_failure(error)))

    assert type(error) is type(read)
    assert str(error) == str(read)


def test_other_errors_survive_as_text() -> None:
    """Any other error comes back as what was written down of it."""
    read = read_failure(attrs.evolve(ENTRY, failure=build_failure(TlsError("no CA"))))

    assert isinstance(read, RecordedError)
    assert ("TlsError", "no CA") == (read.kind, read.text)


def test_no_failure_is_no_error() -> None:
    """What did not fail has no error."""
    assert None is read_failure(ENTRY)


@pytest.mark.parametrize(
    ("entry", "times", "expected"),
    [
        (failed(), 0, False),
        (failed(), 1, True),
        (failed("TaskFailed"), 1, False),
        (failed("TaskFailed"), 2, True),
        (failed("SubmitOutcomeUnknown"), 1, True),
        (failed(kind="InvalidArgument"), 9, False),
        (failed(kind="TaskCancelled"), 9, False),
        (ENTRY, 9, False),
    ],
)
def test_retries_are_counted(entry: Entry, times: int, expected: bool) -> None:
    """Only what may pass is tried again, and so often."""
    terms = Terms(service="s", limit=1, retry_failed=times)

    assert expected is is_retried(entry, terms)


def test_outcome_is_result_or_error() -> None:
    """An item that is ok has its result as outcome, any other its error."""
    done = attrs.evolve(ENTRY, state=ItemState.SUCCEEDED)
    error = TlsError("no CA")

    assert 42 == build_item(done, 0, None, result=42).outcome
    assert error is build_item(failed(), 0, None, error=error).outcome


def test_key_function_must_return_text() -> None:
    """A key that is no text is refused."""
    terms = Terms(service="s", limit=1, key=lambda given: given)

    assert "a" == terms.name("a")
    for wrong in (1, "", None):
        with pytest.raises(InvalidArgument, match="must be a text"):
            terms.name(wrong)


def test_reported_times_are_taken() -> None:
    """What the service reports of the times of a task is believed."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    status = TaskStatus(
        state=TaskState.SUCCEEDED, created_at=at, started_at=at, ended_at=at, run_time=3
    )
    seconds = at.timestamp()
    expected = Timings(queued=seconds, started=seconds, ended=seconds, run_time=3)

    assert expected == observe(Timings(), status, 9.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": "5"},
        {"decode": "yaml"},
        {"on_cancel": "kill"},
        {"on_error": "ignore"},
        {"retry_failed": -1},
    ],
    ids=str,
)
def test_terms_that_no_item_could_meet(wrong: dict[str, Any]) -> None:
    """What every item would fail of is refused before there is any."""
    (name,) = wrong
    with pytest.raises(InvalidArgument, match=f"^{name}="):
        Terms(service="s", limit=1, **wrong)


def test_start_follows_from_the_run_time() -> None:
    """A service that reports only how long it ran tells the start all the same."""
    status = TaskStatus(state=TaskState.SUCCEEDED, queue_time=1.0, run_time=3.0)
    expected = Timings(ended=9.0, started=6.0, queue_time=1.0, run_time=3.0)

    assert expected == observe(Timings(), status, 9.0)
    assert Timings(ended=9.0) == observe(Timings(), None, 9.0)


@pytest.mark.parametrize("key", ["", 7, None, "\ud800"])
def test_key_that_cannot_be_written_down_is_refused(key: Any) -> None:
    """A key is text, and such as a file can hold."""
    with pytest.raises(InvalidArgument, match="must be a text"):
        check_key(key)


def test_key_may_be_any_text() -> None:
    """Everything else is a key."""
    assert "clé\0 \n" == check_key("clé\0 \n")
