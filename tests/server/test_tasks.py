"""What is known about tasks."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from asynctasks.server.tasks import Order, Service, SimulatedTask, State, Submitted


async def awaited(inputs: Any) -> Any:
    return inputs


def told(inputs: Any, context: Any) -> Any:
    return inputs, context


def optional(inputs: Any, *, loud: bool = False) -> Any:
    return inputs, loud


class Callable:
    """An object that is called."""

    async def __call__(self, inputs: Any, context: Any) -> Any:
        return inputs, context


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (awaited, (True, False)),
        (told, (False, True)),
        (optional, (False, False)),
        (Callable(), (True, True)),
        (functools.partial(told, 1), (False, False)),
        (functools.partial(awaited), (True, False)),
        (max, (False, False)),
    ],
)
def test_service(function: Any, expected: tuple[bool, bool]) -> None:
    """A service knows whether it is awaited and whether it wants a context."""
    service = Service("name", function)

    assert expected == (service.is_async, service.takes_context)


@pytest.mark.parametrize("state", list(State))
def test_states(state: State) -> None:
    """A task has started or ended or is queued, one of these."""
    task = SimulatedTask(
        id="1", number=1, order=Order(service="solve"), created_at=0.0, state=state
    )

    assert "solve" == task.service
    assert [True] == [
        x for x in (task.started, state.ended, state is State.QUEUED) if x
    ]


def test_submitted() -> None:
    """Equal bytes to the same service are the same submit."""
    one = Submitted.of("solve", b"1")

    assert one == Submitted.of("solve", b"1")
    assert one not in {Submitted.of("other", b"1"), Submitted.of("solve", b"2")}
