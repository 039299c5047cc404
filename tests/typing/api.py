"""
The types of what users write; read by ``mypy --strict``, never run.

``.ci/run types`` fails when one of them changes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, assert_type

from asynctasks import (
    AimmsClient,
    Capabilities,
    Dialect,
    Event,
    EventKind,
    JournalledTask,
    NotFound,
    PatienceExceeded,
    PollPolicy,
    RecurringTask,
    RemotePolicy,
    RetryPolicy,
    Row,
    Rows,
    Secret,
    StatusSubscription,
    SubmitOutcomeUnknown,
    TaskClient,
    TaskError,
    TaskHandle,
    TaskRef,
    TaskState,
    TaskStatus,
    api_key,
    as_completed,
    read_api_key,
)
from asynctasks.exceptions import AsyncTasksError
from asynctasks.testing import MemoryTransport, Simulator, build_simulator


async def constructors() -> None:
    """Options are checked by name and type; a client is its own context."""
    key = read_api_key("apikey.txt")
    client = AimmsClient.cloud(
        "acme",
        app="Scheduling",
        version="007",
        api_key=key,
        retry=RetryPolicy(attempts=3),
        poll=PollPolicy(wait_max=1.0),
        patience=60.0,
        trusted_origins={"https://store.example"},
    )
    assert_type(key, Secret)
    assert_type(client, AimmsClient)
    assert_type(client.app("Routing", "3"), AimmsClient)
    assert_type(client.with_auth(api_key("theirs")), AimmsClient)
    assert_type(client.dialect, Dialect)
    assert_type(client.capabilities, Capabilities)
    async with client as entered:
        assert_type(entered, AimmsClient)
    AimmsClient.local(8080, timeout=3)  # type: ignore[call-arg]
    AimmsClient.local(8080, patience="a day")  # type: ignore[arg-type]
    AimmsClient.cloud("acme")  # type: ignore[call-arg]


async def tasks(client: TaskClient) -> None:
    """A submit gives a handle; what a service answers has no type of ours."""
    task = await client.submit("solve", {"machines": 3})
    assert_type(task, TaskHandle)
    assert_type(task.id, str)
    assert_type(task.ref, TaskRef)
    assert_type(task.token, str)
    assert_type(task.last_status, TaskStatus | None)
    assert_type(await task, Any)
    assert_type(await task.result(timeout=600, decode="json"), Any)
    assert_type(await task.status(), TaskStatus)
    assert_type(await task.wait(), TaskStatus)
    assert_type(await task.cancel(), TaskStatus)
    assert_type(await task.download("result.json"), Path)
    assert_type(client.handle(task.token), TaskHandle)
    assert_type(await client.run("solve"), Any)
    assert_type(await client.poll(task), TaskStatus)
    async for status in task.updates():
        assert_type(status, TaskStatus)
        assert_type(status.state, TaskState)
        assert_type(status.run_time, float | None)
    async for ended in as_completed([task]):
        assert_type(ended, TaskHandle)
    how: RemotePolicy = "cancel_remote"
    assert_type(await task.result(on_cancel=how, on_timeout="leave"), Any)
    await task.result(decode="yaml")  # type: ignore[arg-type]
    await client.run("solve", on_timeout="kill")  # type: ignore[arg-type]
    client.map("solve", [], on_error="ignore")  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(task.result()), asyncio.Task[Any])


async def recurring(client: AimmsClient) -> None:
    """Whether a submit recurs is told by its arguments."""
    assert_type(await client.submit("solve", schedule_in=5), TaskHandle)
    repeated = await client.submit("solve", schedule_every="1 day")
    assert_type(repeated, RecurringTask)
    async for run in repeated.runs():
        assert_type(run, TaskHandle)
        await client.interrupt(run, "interrupt-solve")
        await client.interrupt(run, "stop")  # type: ignore[arg-type]
    AimmsClient.local(cleanup="all")  # type: ignore[arg-type]


async def events(client: TaskClient) -> None:
    """Callbacks are plain or async functions of an event."""

    def plain(event: Event) -> None:
        assert_type(event.kind, EventKind)
        assert_type(event.status, TaskStatus | None)

    async def awaited(event: Event) -> None:
        assert_type(event.task, TaskRef | None)

    def wrong(event: str) -> None:
        del event

    assert_type(await client.subscribe(plain), StatusSubscription)
    assert_type(await client.subscribe(awaited, service="solve"), StatusSubscription)
    await client.subscribe(wrong)  # type: ignore[arg-type]
    assert_type(await client.start_subscriber_transport(), asyncio.Task[None] | None)


async def rows(client: TaskClient) -> None:
    """Rows are awaited, gone through, or given to a task group."""
    found = client.select("tasks", limit=20)
    assert_type(found, Rows)
    assert_type(await found, list[Row])
    async for row in client.select("tasks"):
        assert_type(row, Row)
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(client.select("tasks")), asyncio.Task[list[Row]])
    assert_type(await client.count("tasks"), int)
    assert_type(await client.delete_one("tasks", "1"), bool)


async def journalled(client: TaskClient) -> None:
    """What a journal gives back has a task, or candidates."""
    async for each in client.journalled():
        assert_type(each, JournalledTask)
        assert_type(each.task, TaskHandle | None)
        assert_type(each.candidates, tuple[TaskHandle, ...])
        await client.acknowledge(each.task, key=each.key)
    assert_type(await client.submit("s", 1, key="k"), TaskHandle)


def errors(
    error: PatienceExceeded, unknown: SubmitOutcomeUnknown, refusal: NotFound
) -> None:
    """Errors have their facts as typed attributes."""
    base: TaskError = error
    assert_type(base.token, str)
    assert_type(base.status, TaskStatus | None)
    assert_type(error.retryable, bool)
    assert_type(refusal.status, int)
    assert_type(unknown.sent, bool)
    assert_type(unknown.cause, AsyncTasksError)
    timeout: TimeoutError = error
    del timeout


async def testing() -> None:
    """What we test with is typed too."""
    simulator = build_simulator()
    assert_type(simulator, Simulator)

    @simulator.service("double")
    def double(inputs: dict[str, int]) -> dict[str, int]:
        return {"twice": 2 * inputs["x"]}

    assert_type(double({"x": 2}), dict[str, int])
    async with MemoryTransport(simulator) as transport:
        assert_type(transport, MemoryTransport)
