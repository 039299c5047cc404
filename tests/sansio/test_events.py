"""What a subscriber to tasks is told."""

from __future__ import annotations

import pytest

from asynctasks.exceptions import TaskLost
from asynctasks.sansio.events import Event, EventKind
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus


RUNNING = TaskStatus(state=TaskState.RUNNING)
FAILED = TaskStatus(state=TaskState.FAILED)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event(kind=EventKind.STATUS, status=RUNNING), False),
        (Event(kind=EventKind.STATUS, status=FAILED), True),
        (Event(kind=EventKind.STATUS), False),
        (Event(kind=EventKind.ERROR, error=TaskLost("7")), True),
        (Event(kind=EventKind.ERROR, status=RUNNING), True),
        (Event(kind=EventKind.GAP, missed=3), False),
        (Event(kind=EventKind.GAP, missed=3, status=FAILED), False),
    ],
)
def test_last(event: Event, expected: bool) -> None:
    """An error, and the status of a task that is over, are the last of a task."""
    assert expected == event.last


def test_events_are_values() -> None:
    """Two events that say the same are equal."""
    ref = TaskRef(id="7")
    first = Event(kind=EventKind.STATUS, task=ref, token="7", status=RUNNING)
    second = Event(kind=EventKind.STATUS, task=ref, token="7", status=RUNNING)

    assert first == second
