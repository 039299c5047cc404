"""Many handles at once: which of their tasks ends first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
import gc
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.completion import as_completed
from asynctasks.exceptions import InvalidArgument, TaskLost
from asynctasks.handle import TaskHandle
from asynctasks.sansio.http import Response
from asynctasks.sansio.task import TaskState, TaskStatus
from tests.scripted import Scripted, client_of


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


def watched(task: TaskHandle) -> int:
    """Count what the watcher of a handle's client looks at."""
    desk: Any = task._tasks
    return len(desk.watcher)


async def test_as_completed_yields_in_the_order_of_the_ends(connect: Connect) -> None:
    """First the one that ends first, however it ends."""
    service = Scripted(
        slow=(*["running"] * 5, "completed"),
        lost=Response(404),
        failed=("running", "failed"),
        over="completed",
    )
    client = connect(service)
    over = client.handle("over")
    await over.wait()
    handles = [client.handle(name) for name in ("slow", "lost", "failed")]
    ends = [handle.id async for handle in as_completed([*handles, over, over])]

    assert ["over", "failed", "lost", "slow"] == ends
    assert {"failed": TaskState.FAILED, "slow": TaskState.SUCCEEDED} == {
        handle.id: handle.last_status.state
        for handle in handles
        if handle.last_status is not None
    }
    assert 0 == watched(over)
    with pytest.raises(TaskLost):
        await handles[1]


async def test_as_completed_of_nothing(connect: Connect) -> None:
    """No handles, no ends."""
    assert [] == [handle async for handle in as_completed([])]


async def test_as_completed_starts_no_task_per_handle(connect: Connect) -> None:
    """Many handles are waited for by the watcher alone."""
    names = [f"t{number}" for number in range(200)]
    client = connect(Scripted(**dict.fromkeys(names, ("running", "completed"))))
    before = asyncio.all_tasks()
    ends = 0
    async for _ in as_completed(map(client.handle, names)):
        ends += 1
        await asyncio.sleep(0.25)
        names_of = {task.get_name() for task in asyncio.all_tasks() - before}

        assert names_of <= {"asynctasks-watcher"}

    assert 200 == ends


async def test_as_completed_that_is_left_lets_go(connect: Connect) -> None:
    """Leaving early ends the looking at the others, and leaves no listener."""
    client = connect(Scripted(t1="completed", t2="running"))
    other = client.handle("t2")
    client_: Any = client
    watch = client_._desk.hold(other.ref, None)
    async for _ in as_completed([client.handle("t1"), other]):
        break
    gc.collect()
    await asyncio.sleep(0.1)

    assert [] == watch.listeners
    assert 1 == watched(other)

    client_._desk.release(watch)

    assert 0 == watched(other)


async def test_as_completed_yields_once_although_the_end_is_told_twice(
    connect: Connect,
) -> None:
    """A second word on how a task ended is no second end."""
    client = connect(Scripted(t1="running", t2=("running", "running", "completed")))
    first, second = client.handle("t1"), client.handle("t2")
    over = TaskStatus(state=TaskState.UNKNOWN, done=True, outcome_known=False)
    won = TaskStatus(state=TaskState.SUCCEEDED)
    loop = asyncio.get_running_loop()
    loop.call_later(0.5, first.see, over)
    loop.call_later(0.5, first.see, won)
    ends = [handle.id async for handle in as_completed([first, second])]

    assert ["t1", "t2"] == ends
    assert won == first.last_status


async def test_what_is_no_handle(connect: Connect) -> None:
    """A coroutine of a result is no handle: the error says what is."""
    task = connect(Scripted(t1="completed")).handle("t1")
    result = task.result()
    with pytest.raises(InvalidArgument, match=r"^handles=<coro.*: give handles, as"):
        await anext(as_completed([task, result]))  # type: ignore[list-item]
    result.close()

    assert 0 == watched(task)
