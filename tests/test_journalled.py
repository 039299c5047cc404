"""What a client's journal gives back, and what acknowledging it says."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.handle import TaskHandle
from asynctasks.journalled import acknowledge, build_journalled, is_given_up
from asynctasks.sansio.ledger import Entry, ItemState, Step, Timings
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus


DESK = AimmsClient.local()._desk

TOKEN = DESK.token_of(TaskRef(id="t", service="s"))

SUBMITTED = Entry(
    key="k",
    index=0,
    service="s",
    state=ItemState.SUBMITTED,
    token=TOKEN,
    task_id="t",
    timings=Timings(submitted=1.0),
)

UNKNOWN = Entry(
    key="k", index=0, service="s", state=ItemState.UNKNOWN, candidates=("a", "b")
)


def seen(state: TaskState | None) -> TaskHandle:
    """Return the handle of a task that was seen so."""
    status = None if state is None else TaskStatus(state=state)
    return TaskHandle(DESK, TaskRef(id="t"), status)


def test_task_is_given() -> None:
    """Where there is a task, its handle is the one of its token."""
    given = build_journalled(DESK, SUBMITTED)

    assert given.task is not None
    assert (TOKEN, 1.0, ()) == (given.task.token, given.submitted, given.candidates)


def test_candidates_are_given() -> None:
    """Where there is doubt, each task that may be it has a handle."""
    given = build_journalled(DESK, UNKNOWN)

    assert (None, ["a", "b"]) == (given.task, [each.id for each in given.candidates])


@pytest.mark.parametrize(
    ("entry", "task", "step", "kind"),
    [
        (SUBMITTED, None, Step.SUCCEED, None),
        (SUBMITTED, seen(None), Step.SUCCEED, None),
        (SUBMITTED, seen(TaskState.SUCCEEDED), Step.SUCCEED, None),
        (SUBMITTED, seen(TaskState.FAILED), Step.FAIL, "TaskFailed"),
        (SUBMITTED, seen(TaskState.CANCELLED), Step.FAIL, "TaskCancelled"),
        (UNKNOWN, None, Step.FAIL, "Acknowledged"),
    ],
)
def test_end_is_what_was_seen(
    entry: Entry, task: Any, step: Step, kind: str | None
) -> None:
    """The journal says how a task ended, as far as its handle knows."""
    found, facts = acknowledge(entry, task)
    failure = facts.get("failure")

    assert (step, kind) == (found, failure and failure.kind)
    assert (kind == "Acknowledged") is is_given_up(attrs.evolve(entry, **facts))
