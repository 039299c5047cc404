"""Recurring tasks: their runs, and their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import InvalidArgument
from asynctasks.recurring import RecurringTask
from asynctasks.sansio.http import Response
from tests.scripted import Scripted, answer, client_of


pytestmark = pytest.mark.virtual_time


Connect = Callable[[Scripted], AimmsClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service."""
    clients: list[AimmsClient] = []

    def make(service: Scripted) -> AimmsClient:
        clients.append(client_of(service))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


def run_document(index: int, state: str) -> Response:
    return answer({"id": "t1", "state": state, "groupIndex": index})


async def test_runs_come_as_they_are_created(connect: Connect) -> None:
    """Each run is yielded once; the iteration ends when the recurrence is over."""
    service = Scripted(
        t1=(
            run_document(1, "queued"),
            run_document(1, "running"),
            run_document(3, "queued"),
            run_document(3, "completed"),
            run_document(3, "completed"),
            Response(404),
        )
    )
    recurring = connect(service).recurring("t1")
    runs = [run.ref.run async for run in recurring.runs()]

    assert [0, 1, 2, 3] == runs
    assert ("t1", "<RecurringTask t1>") == (recurring.id, repr(recurring))


async def test_runs_of_a_task_that_does_not_count(connect: Connect) -> None:
    """Where the service names no index there is one run."""
    recurring = connect(Scripted(t1="completed")).recurring("t1")

    assert [0] == [run.ref.run async for run in recurring.runs()]


async def test_recurring_task_is_found_again_by_its_token(connect: Connect) -> None:
    """A token of the recurrence, or of a run, stands for the recurrence."""
    client = connect(Scripted())
    recurring = client.recurring("t1")
    again = client.recurring(recurring.run(7).token)

    assert recurring.token == again.token
    assert isinstance(again, RecurringTask)


async def test_stop_ends_the_recurrence(connect: Connect) -> None:
    """Stopping removes the last run, the one that waits."""
    service = Scripted()
    await connect(service).recurring("t1").stop()

    assert {"DELETE t1": 1} == service.calls


@pytest.mark.parametrize("index", [-1, "3", 1.5, True, None])
async def test_run_that_is_none(connect: Connect, index: Any) -> None:
    """Runs are counted from 0."""
    recurring = connect(Scripted()).recurring("t1")
    with pytest.raises(InvalidArgument, match=r"^index=.*: must be a whole number, 0"):
        recurring.run(index)
