"""What a client's journal gives back: a submit that nobody has acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .batch_item import build_failure
from .desk import Desk
from .exceptions import TaskCancelled, TaskFailed
from .handle import TaskHandle
from .sansio.ledger import Entry, Failure, ItemState, Step
from .sansio.task import TaskRef, TaskState
from .sansio.token import parse_token


__all__ = ["JournalledTask", "acknowledge", "build_journalled", "is_given_up"]

GIVEN_UP = "Acknowledged"
"""The kind of the failure of what was acknowledged without a task."""

ENDS = {TaskState.FAILED: TaskFailed, TaskState.CANCELLED: TaskCancelled}


@attrs.frozen(kw_only=True)
class JournalledTask:
    """A submit of a journal that nobody has acknowledged."""

    key: str
    """As given, or made for it."""

    service: str
    state: ItemState
    """
    ``SUBMITTED``: there is a task. ``UNKNOWN``: the answer was lost, and nothing could
    settle what became of it. ``WAITING``: the service does not have it; submit it
    again, under its key.
    """

    submitted: float | None
    """When, in seconds since the epoch."""

    task: TaskHandle | None = None
    """Where there is one."""

    candidates: tuple[TaskHandle, ...] = ()
    """Tasks any of which may be it, where that is unknown."""


def build_journalled(desk: Desk, entry: Entry) -> JournalledTask:
    """Make what a client gives of what is known."""
    task = None
    if entry.token:
        task = TaskHandle(desk, parse_token(entry.token, desk.dialect, desk.origin))
    refs = [TaskRef(id=each, service=entry.service) for each in entry.candidates]
    return JournalledTask(
        key=entry.key,
        service=entry.service,
        state=entry.state,
        submitted=entry.timings.submitted,
        task=task,
        candidates=tuple(TaskHandle(desk, ref) for ref in refs),
    )


def acknowledge(
    entry: Entry, task: TaskHandle | None
) -> tuple[Step, Mapping[str, Any]]:
    """Return how an entry ends that somebody is done with, as far as is known."""
    status = None if task is None else task.last_status
    if status is not None and status.state in ENDS:
        error = ENDS[status.state](entry.task_id, entry.token, status)
        return Step.FAIL, {"failure": build_failure(error)}
    if entry.state is ItemState.SUBMITTED:
        return Step.SUCCEED, {}
    return Step.FAIL, {"failure": Failure(GIVEN_UP, "somebody saw to it")}


def is_given_up(entry: Entry) -> bool:
    """Tell whether an entry was acknowledged that has no task."""
    return entry.failure is not None and entry.failure.kind == GIVEN_UP
