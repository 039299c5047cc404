"""One task: which it is, where it is, and what a late answer may change about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
import enum
from typing import Any

import attrs


__all__ = ["TaskRef", "TaskState", "TaskStatus", "merge_status"]


@attrs.frozen(kw_only=True, weakref_slot=False)  # there may be very many
class TaskRef:
    """Which task: everything a service needs to be asked about it. No secrets."""

    id: str
    service: str | None = None
    app: str | None = None
    app_version: str | None = None
    run: int | None = None
    """The run of a recurring task; None means the last one, or the only one."""

    generation: int | None = None
    """How often the service relaunched it under the same id, where it was."""

    trace: str | None = None
    """The W3C trace context in which it was submitted, where there was one."""


RANKS = {
    "queued": 0,
    "running": 1,
    "unknown": 1,
    "succeeded": 2,
    "failed": 2,
    "cancelled": 2,
}
"""The order in which a task passes its states; see :func:`merge_status`."""

LAST = 2


class TaskState(enum.Enum):
    """
    Where a task is, in the words shared by all services.

    ``UNKNOWN`` is a word of the service that this version does not know: it never
    ends a wait and is never an error.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    def __init__(self, word: str) -> None:
        # Attributes of each state: every status that comes in is asked for them.
        self.rank: int = RANKS[word]
        self.terminal: bool = self.rank == LAST
        """Whether the task is over."""


@attrs.frozen(kw_only=True)
class TaskStatus:
    """What the service said about a task when it was last looked at."""

    state: TaskState
    """The state in our words."""

    word: str = ""
    """The service's own word."""

    done: bool = attrs.field()
    """Whether the task is over. A parent with running parts is not."""

    outcome_known: bool = True
    """
    Whether ``state`` says how it ended.

    Some services only say *that* it did: then the state is UNKNOWN, ``done`` is
    True, and fetching the result tells the rest.
    """

    cancel_requested: bool = False
    """Whether a cancel was asked for. The task may still end in any way."""

    created_at: datetime | None = None
    """When the service accepted it (aware, UTC)."""

    started_at: datetime | None = None
    """When it began to run (aware, UTC)."""

    ended_at: datetime | None = None
    """When it ended (aware, UTC)."""

    queue_time: float | None = attrs.field(default=None, eq=False)
    """Seconds in the queue, as the service reports them."""

    run_time: float | None = attrs.field(default=None, eq=False)
    """
    Seconds running, as the service reports them.

    That time passes is no change: two statuses that differ in this are equal.
    """

    progress: float | None = None
    """Between 0 and 1, where the service reports it."""

    return_code: int | None = None
    """The service's return code, where it has one."""

    message: str = ""
    """The service's own words about an error; empty where there are none."""

    run: int | None = None
    """The index of the run, for a recurring task."""

    generation: int = 0
    """Counts relaunches: a relaunched task starts again in a new generation."""

    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)
    """The service's document as it came, unknown fields included."""

    @done.default
    def _done_when_terminal(self) -> bool:
        return self.state.terminal


def merge_status(old: TaskStatus | None, new: TaskStatus) -> TaskStatus:
    """
    Return what is known after *new* arrived.

    Within a generation the state is a lattice: terminal stays terminal, and a late
    or repeated answer does no harm. An end whose outcome was open may still get one.
    A request to cancel is not forgotten.
    """
    if old is None:
        return new
    if new.generation != old.generation:
        return new if new.generation > old.generation else old
    if _level(new) < _level(old) or (old.done and _level(new) == _level(old)):
        kept, other = old, new
    else:
        kept, other = new, old
    if other.cancel_requested and not kept.cancel_requested:
        return attrs.evolve(kept, cancel_requested=True)
    return kept


def _level(status: TaskStatus) -> tuple[bool, bool, int]:
    """Rank a status: that it is over counts first, then whether we know how."""
    return status.done, status.done and status.outcome_known, status.state.rank
