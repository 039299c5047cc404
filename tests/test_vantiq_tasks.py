"""Vantiq as a task service, with pushes and without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asynctasks import (
    AuthenticationFailed,
    ConfigError,
    Event,
    InvalidArgument,
    LocalServer,
    PollPolicy,
    Profile,
    TaskFailed,
    TaskLost,
    TaskState,
    Vantiq,
    VantiqException,
    VantiqResources,
    VantiqTasks,
    vantiq_tasks,
)
from asynctasks.sansio.retry import NO_RETRY
from asynctasks.server.faults import Fault


UPDATES = (VantiqResources.TYPES, "Task", "update")
OFTEN = PollPolicy(wait_initial=0.05, wait_max=0.05)


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Serve for one test."""
    async with LocalServer() as local:
        yield local


async def connect(server: LocalServer) -> Vantiq:
    client = Vantiq(server.url)
    await client.set_access_token("developer")
    return client


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[Vantiq]:
    """Talk to the server."""
    async with await connect(server) as vantiq:
        yield vantiq


class Worker:
    """Does the work of the tasks, as an application's rules would."""

    def __init__(self, client: Vantiq) -> None:
        self.client = client
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, what: str, message: dict[str, Any]) -> None:
        """Work on a row that was inserted."""
        if what != "message":
            return
        row = message["value"]
        await self.write(row["id"], state="running", progress=0.5)
        await self.hold.wait()
        inputs = row["inputs"]["value"]
        if row["service"] == "double":
            result = {"value": 2 * inputs["x"]}
            await self.write(row["id"], state="succeeded", result=result)
        else:
            await self.write(row["id"], state="failed", message="no plan")

    async def write(self, task_id: str, **changes: Any) -> None:
        """Write down how far the work is."""
        response = await self.client.update("Task", task_id, changes)
        assert response.is_success


@pytest.fixture
async def worker(server: LocalServer, client: Vantiq) -> AsyncIterator[Worker]:
    """Let somebody work on the tasks."""
    await VantiqTasks(client).create_type()
    await VantiqTasks(client).create_type()  # it is there already
    async with await connect(server) as other:
        working = Worker(other)
        await other.subscribe(VantiqResources.TYPES, "Task", "insert", working)
        yield working


async def test_life_of_a_task(worker: Worker, client: Vantiq) -> None:
    """A task is submitted, tells its states, and has a result."""
    async with VantiqTasks(client) as tasks:
        task = await tasks.submit("double", {"x": 21})
        states = [status.state async for status in task.updates()]

        assert [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED] == states
        assert 42 == await task.result(timeout=5)
        assert 42 == await tasks.handle(task.token).result(timeout=5)
        await task.delete()


async def test_failure(worker: Worker, client: Vantiq) -> None:
    """A task that failed raises with the words of who worked."""
    async with VantiqTasks(client) as tasks:
        with pytest.raises(TaskFailed, match="no plan"):
            await tasks.run("plan", {}, timeout=5)


async def test_events_save_polls(worker: Worker, client: Vantiq) -> None:
    """While events come, an open task is looked at once, however often it is due."""
    worker.hold.clear()
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        task = await tasks.submit("double", {"x": 1})
        looks = count_looks(tasks)
        waiting = asyncio.create_task(task.result(timeout=5))
        await asyncio.sleep(0.5)
        worker.hold.set()

        assert 2 == await waiting
        assert 1 == len(looks)


def count_looks(tasks: VantiqTasks) -> list[str]:
    """Write down the looks that go over the wire."""
    looks: list[str] = []
    original = tasks._desk.driver.drive

    def counted(flow: Any, **more: Any) -> Any:
        if flow.__name__ in {"poll", "survey"}:
            looks.append(flow.__name__)
        return original(flow, **more)

    tasks._desk.driver.drive = counted  # type: ignore[method-assign]
    return looks


async def test_callbacks(worker: Worker, client: Vantiq) -> None:
    """Registered callbacks are told of the states as they are pushed."""
    told: list[TaskState] = []
    over = asyncio.Event()

    def callback(event: Event) -> None:
        assert event.status is not None
        told.append(event.status.state)
        if event.last:
            over.set()

    async with VantiqTasks(client) as tasks:
        await tasks.subscribe(callback, service="double")
        await tasks.submit("double", {"x": 1})
        async with asyncio.timeout(5):
            await over.wait()

    assert [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED] == told


async def test_polls_where_nothing_is_pushed(
    worker: Worker, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the events cannot be had, tasks are polled."""

    async def other(what: str, message: dict[str, Any]) -> None: ...

    await client.subscribe(*UPDATES, other)
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        assert not await tasks.listen()
        assert 6 == await tasks.run("double", {"x": 3}, timeout=5)
        results = [tasks.run("double", {"x": n}, timeout=5) for n in range(6)]
        assert [0, 2, 4, 6, 8, 10] == await asyncio.gather(*results)

    assert "polled, not pushed" in caplog.text


async def test_events_that_cannot_be_had_are_not_asked_for_at_each_submit(
    worker: Worker,
    client: Vantiq,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Submits do not wait again and again for a connection that cannot be had."""
    asked: list[float] = []

    async def stall() -> None:
        asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.05)
        raise VantiqException("c", "no way", [])

    monkeypatch.setattr(client.feed, "start", stall)
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        results = [tasks.run("double", {"x": n}, timeout=5) for n in range(4)]
        assert [0, 2, 4, 6] == await asyncio.gather(*results)
        assert 1 == len(asked)

        monkeypatch.setattr(vantiq_tasks, "LISTEN_AGAIN", 0.0)
        assert not await tasks.listen()
        assert 2 == await tasks.run("double", {"x": 1}, timeout=5)
        assert 3 == len(asked)

    assert 1 == caplog.text.count("polled, not pushed")


async def test_transport_that_cannot_be_started(
    worker: Worker,
    client: Vantiq,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is no WebSocket, tasks are polled too."""

    async def nowhere() -> None:
        raise VantiqException("c", "no way", [])

    monkeypatch.setattr(client.feed, "start", nowhere)
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        assert 6 == await tasks.run("double", {"x": 3}, timeout=5)


async def test_polls_after_a_gap(worker: Worker, client: Vantiq) -> None:
    """After a gap nothing that events told is trusted, and events go on."""
    worker.hold.clear()
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        task = await tasks.submit("double", {"x": 1})
        waiting = asyncio.create_task(task.result(timeout=5))
        await asyncio.sleep(0.2)
        tasks._take("gap", {})
        assert {} == tasks._pushed._known
        await asyncio.sleep(0.2)
        tasks._take("message", {"value": {"ars_bulkOperation": True}})
        tasks._take("message", {"value": None})
        assert {} == tasks._pushed._known
        worker.hold.set()
        assert 2 == await waiting


async def test_error_turns_to_polls(worker: Worker, client: Vantiq) -> None:
    """After an error of the subscription, tasks are polled; a submit listens again."""
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        tasks._take("error", {})
        await client.unsubscribe(*UPDATES)

        assert 2 == await tasks.run("double", {"x": 1}, timeout=5)
        assert await tasks.listen()


async def test_many_tasks_are_looked_at_together(
    worker: Worker, client: Vantiq
) -> None:
    """Tasks that are due together are looked at by one request."""
    worker.hold.clear()
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        handles = [await tasks.submit("double", {"x": n}) for n in range(8)]
        waiting = [asyncio.create_task(h.result(timeout=5)) for h in handles]
        await asyncio.sleep(0.3)
        worker.hold.set()

        assert [2 * n for n in range(8)] == await asyncio.gather(*waiting)


async def test_cancelling(worker: Worker, client: Vantiq) -> None:
    """Who works is asked to stop; a task can be cancelled before anybody works."""
    worker.hold.clear()
    async with VantiqTasks(client) as tasks:
        task = await tasks.submit("double", {"x": 1})
        status = await task.cancel(timeout=0)

        assert status.cancel_requested
        await worker.write(task.id, state="cancelled")
        assert TaskState.CANCELLED is (await task.wait(timeout=5)).state
        worker.hold.set()


async def test_needs_a_client_with_a_token(server: LocalServer) -> None:
    """A client that is not connected and authenticated is refused."""
    with pytest.raises(VantiqException, match="notauthenticated"):
        VantiqTasks(Vantiq(server.url))


async def test_client_stays_open(worker: Worker, client: Vantiq) -> None:
    """Closing the tasks leaves the client, and its path is free again."""
    async with VantiqTasks(client):
        pass
    async with VantiqTasks(client) as tasks:
        assert 2 == await tasks.run("double", {"x": 1}, timeout=5)

    assert client.is_authenticated()


# --- of a profile ------------------------------------------------------------


def profile(**settings: Any) -> Profile:
    return Profile(name="test", protocol="vantiq", **settings)


@pytest.mark.parametrize(
    "settings",
    [{"token": "developer"}, {"username": "developer", "password": "developer"}],
    ids=["token", "password"],
)
async def test_profile(server: LocalServer, settings: dict[str, str]) -> None:
    """A client of a profile has a Vantiq client of its own, and closes it."""
    made = VantiqTasks.from_profile(profile(url=server.url, **settings))
    async with made as tasks:
        assert {"x": 1} == await tasks.run("echo", {"x": 1}, timeout=5)
        assert 1 == len(server.vantiq.sockets)

    assert not made._client.is_authenticated()


async def test_profile_with_files(server: LocalServer, tmp_path: Path) -> None:
    """The token may be in a file, and the type may have another name."""
    path = tmp_path / "token"
    path.write_text("developer\n")
    path.chmod(0o600)
    given = profile(url=server.url, token_file=path, task_type="Job")
    async with VantiqTasks.from_profile(given) as tasks:
        await tasks.create_type()
        assert {"x": 1} == await tasks.run("echo", {"x": 1}, timeout=5)


async def test_profile_with_a_wrong_password(server: LocalServer) -> None:
    """A password that is refused is said by the submit; nothing hangs."""
    settings = {"username": "developer", "password": "wrong"}
    async with VantiqTasks.from_profile(profile(url=server.url, **settings)) as tasks:
        with pytest.raises(AuthenticationFailed):
            await tasks.submit("echo", {})


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "t"},
        {"url": "https://dev.example"},
        {"url": "https://dev.example", "password": "p"},
    ],
    ids=["url", "credential", "username"],
)
def test_profile_that_lacks_something(settings: dict[str, str]) -> None:
    """What is missing is said."""
    with pytest.raises(ConfigError, match="needs"):
        VantiqTasks.from_profile(profile(**settings))


def test_profile_in_the_clear() -> None:
    """Credentials do not go over plain http to another machine."""
    given = profile(url="http://dev.example", token="t")
    with pytest.raises(InvalidArgument, match="plain http"):
        VantiqTasks.from_profile(given)


# --- rows that go ------------------------------------------------------------


async def test_deleted_row_is_a_lost_task(worker: Worker, client: Vantiq) -> None:
    """Who waits for a task whose row was deleted is told soon, by the event."""
    worker.hold.clear()
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        task = await tasks.submit("double", {"x": 1})
        waiting = asyncio.create_task(task.result(timeout=10))
        await asyncio.sleep(0.2)
        response = await client.delete_one("Task", task.id)
        assert response.is_success
        with pytest.raises(TaskLost):
            await waiting


async def test_rows_deleted_in_bulk(worker: Worker, client: Vantiq) -> None:
    """The same where many rows go at once."""
    worker.hold.clear()
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        task = await tasks.submit("double", {"x": 1})
        waiting = asyncio.create_task(task.result(timeout=10))
        await asyncio.sleep(0.2)
        await client.delete("Task", None)
        with pytest.raises(TaskLost):
            await waiting


async def test_events_that_the_server_ends(
    server: LocalServer, worker: Worker, client: Vantiq
) -> None:
    """Where the server ends the events, tasks are polled until the next submit."""
    async with VantiqTasks(client, poll=OFTEN) as tasks:
        assert tasks._pushed.on
        server.vantiq.unsubscribe("/types/Task/update")
        await asyncio.sleep(0.1)
        assert not tasks._pushed.on
        assert 2 == await tasks.run("double", {"x": 1}, timeout=5)
        assert tasks._pushed.on


@pytest.mark.parametrize("drop", [None, "answer", "request"])
async def test_journalled_submit_is_made_once(
    server: LocalServer, worker: Worker, tmp_path: Path, drop: Any
) -> None:
    """A submit has the same id however often it is made under its key."""
    if drop is not None:
        fault = Fault(drop=drop)
        server.simulator.faults.add(fault, method="POST", path="custom/Task")
    ids = set()
    for _ in range(2):
        options: Any = {"journal": tmp_path / "tasks.db", "retry": NO_RETRY}
        async with (
            await connect(server) as client,
            VantiqTasks(client, **options) as tasks,
        ):
            task = await tasks.submit("double", {"x": 1}, key="a")
            ids.add(task.id)
            result = await task.result(timeout=5)
            found = [each.key async for each in tasks.journalled()]
            rows = await tasks.count("tasks")

    assert (2, ["a"], 1, 1) == (result, found, rows, len(ids))
