"""Rows that are tasks, worked on by the services of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asynctasks import LocalServer, Vantiq, VantiqResources, VantiqTasks
from asynctasks.server.context import TaskContext
from asynctasks.server.tasks import Outcome, State
from asynctasks.server.vantiq.tasks import read_content
from asynctasks.server.world import task_rows


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Serve for one test."""
    async with LocalServer() as local:
        yield local


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[Vantiq]:
    """Talk to the server."""
    async with Vantiq(server.url) as vantiq:
        await vantiq.set_access_token("developer")
        yield vantiq


def row(**more: Any) -> dict[str, Any]:
    return {"id": "1", "service": "echo", "state": "queued", **more}


async def read(client: Vantiq, **wanted: Any) -> dict[str, Any]:
    """Wait until the row of a task has these values."""
    async with asyncio.timeout(5):
        while True:
            response = await client.select("Task", where={"id": "1", **wanted})
            if response.body:
                found: dict[str, Any] = response.body[0]
                return found
            await asyncio.sleep(0.01)


async def test_service_works_on_a_row(client: Vantiq) -> None:
    """What a service returns is written into the row, with the times."""
    await client.insert("Task", row(inputs={"value": [1, "ü"]}))
    found = await read(client, state="succeeded")

    assert {"value": [1, "ü"]} == found["result"]
    assert found["ars_createdAt"] <= found["startedAt"] <= found["endedAt"]


async def test_failure_is_written_down(client: Vantiq) -> None:
    """The words of a failure are the message."""
    inputs = {"value": {"message": "no plan"}}
    await client.insert("Task", row(service="fail", inputs=inputs))

    assert "no plan" in (await read(client, state="failed"))["message"]


async def test_progress_is_written_down(server: LocalServer, client: Vantiq) -> None:
    """What a service says while it runs is in the row."""

    async def work(_: Any, task: TaskContext) -> None:
        task.progress(0.5, "half way")
        await asyncio.sleep(60)

    server.service("work", work)
    await client.insert("Task", row(service="work"))

    assert "half way" == (await read(client, progress=0.5))["message"]


async def test_cancelling_stops_the_service(client: Vantiq) -> None:
    """A row that asks for its end gets it."""
    await client.insert("Task", row(service="sleep", inputs={"value": {"seconds": 60}}))
    await read(client, state="running")
    await client.update("Task", "1", {"cancelRequested": True})

    assert (await read(client, state="cancelled"))["endedAt"]


@pytest.mark.parametrize("where", [None, {"id": "1"}])
async def test_deleted_row_ends_its_task(
    server: LocalServer, client: Vantiq, where: dict[str, Any] | None
) -> None:
    """A task whose row is gone is gone, however the row went."""
    await client.insert("Task", row(service="sleep", inputs={"value": {"seconds": 60}}))
    await read(client, state="running")
    assert 1 == len(list(server.simulator.tasks("vantiq")))
    if where is None:
        await client.delete_one("Task", "1")
    else:
        await client.delete("Task", where)

    assert [] == list(server.simulator.tasks("vantiq"))


async def test_lost_data_end_the_tasks(server: LocalServer, client: Vantiq) -> None:
    """A reset of the data leaves no task behind."""
    await client.insert("Task", row(service="sleep", inputs={"value": {"seconds": 60}}))
    await read(client, state="running")
    server.vantiq.reset()
    for _ in range(500):
        if not list(server.simulator.tasks("vantiq")):
            break
        await asyncio.sleep(0.01)

    assert [] == list(server.simulator.tasks("vantiq"))
    assert [] == (await client.select("Task")).body


@pytest.mark.parametrize(
    "given",
    [{"service": "brew"}, {"state": "succeeded"}, {"service": None}],
    ids=["service", "state", "nothing"],
)
async def test_rows_of_others_are_left_alone(
    server: LocalServer, client: Vantiq, given: dict[str, Any]
) -> None:
    """What is no work for us stays as it is."""
    await client.insert("Task", row(**given))

    assert [] == list(server.simulator.tasks("vantiq"))
    assert given.items() <= (await read(client)).items()


async def test_who_listens_does_the_work(server: LocalServer, client: Vantiq) -> None:
    """Where a client is told of inserts, the rows are its own."""

    async def take(what: str, message: dict[str, Any]) -> None: ...

    await client.subscribe(VantiqResources.TYPES, "Task", "insert", take)
    await client.insert("Task", row())

    assert [] == list(server.simulator.tasks("vantiq"))


async def test_other_types_are_no_tasks(server: LocalServer, client: Vantiq) -> None:
    """Only rows with all properties of a task are tasks; any type may have them."""
    properties = {"id": {"type": "String"}, "service": {"type": "String"}}
    definition = {"name": "Note", "properties": properties}
    await client.insert(VantiqResources.TYPES, definition)
    await client.insert("Note", {"id": "1", "service": "echo", "state": "queued"})
    assert [] == list(server.simulator.tasks("vantiq"))
    async with VantiqTasks(client, "Job") as tasks:
        await tasks.create_type()
        assert {"x": 1} == await tasks.run("echo", {"x": 1}, timeout=5)


async def test_type_is_there_once(server: LocalServer, client: Vantiq) -> None:
    """The type of tasks is there from the start; it can be created and deleted."""
    named = {"name": "Task"}
    assert 1 == (await client.count(VantiqResources.TYPES, named)).count
    await VantiqTasks(client).create_type()
    assert 1 == (await client.count(VantiqResources.TYPES, named)).count
    assert (await client.delete_one(VantiqResources.TYPES, "Task")).is_success
    assert not (await client.select("Task")).is_success
    assert task_rows(server.simulator) is task_rows(server.simulator)


def test_contents_become_json() -> None:
    """Text stays text, bytes are written in base64, nothing is null."""
    ends = [
        Outcome(state=State.COMPLETED, content=content, content_type=kind)
        for content, kind in [
            (b"", ""),
            ("ü".encode(), "text/plain"),
            (b"\xff\x00", "application/octet-stream"),
            (b"[1]", "application/json"),
        ]
    ]

    assert [None, "ü", "/wA=", [1]] == [read_content(end) for end in ends]
