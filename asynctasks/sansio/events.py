"""What a subscriber to tasks is told, whether it comes from a push or from polls."""

from __future__ import annotations

import enum

import attrs

from .task import TaskRef, TaskStatus


__all__ = ["Event", "EventKind"]


class EventKind(enum.Enum):
    """What an event is about."""

    STATUS = "status"
    """The status of a task changed, or is told for the first time."""

    ERROR = "error"
    """There will be no more news of a task: it is lost or cannot be looked at."""

    GAP = "gap"
    """Events were dropped because the callback is too slow."""


@attrs.frozen(kw_only=True)
class Event:
    """One thing that happened."""

    kind: EventKind
    task: TaskRef | None = None
    """The task; None for a gap."""

    token: str = ""
    """The text from which ``client.handle(token)`` makes a handle of the task."""

    status: TaskStatus | None = None
    """What is known of the task."""

    error: BaseException | None = None
    """Why there will be no more news, for ``ERROR``."""

    missed: int = 0
    """How many events were dropped, for ``GAP``."""

    authoritative: bool = False
    """Whether a push carried the state itself, so that no poll is needed."""

    @property
    def last(self) -> bool:
        """Whether no more events of this task will follow."""
        over = self.status is not None and self.status.done
        return self.kind is EventKind.ERROR or (self.kind is EventKind.STATUS and over)
