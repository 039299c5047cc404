"""One view's task business, over the memory transport and on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
import gc
import tracemalloc
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.client import TaskClient
from asynctasks.exceptions import (
    ConnectionLost,
    SubmitOutcomeUnknown,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.auth import NoAuth
from asynctasks.sansio.dialect import Launched, Prepared
from asynctasks.sansio.http import Flow, Headers, Request, Response
from asynctasks.sansio.oml import OmlDialect, parse_place
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef
from asynctasks.testing import MemoryTransport
from tests.scripted import Scripted, answer


pytestmark = pytest.mark.virtual_time

ROOT = "/pro-api/v2/tasks"

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Connect = Callable[..., AimmsClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a handler, local or in the cloud."""
    async with AsyncExitStack() as stack:

        def make(world: Any, *, cloud: bool = False, **options: Any) -> AimmsClient:
            options["transport"] = MemoryTransport(world)
            if cloud:
                client = AimmsClient.cloud("acme", app="Plan", api_key="k", **options)
            else:
                client = AimmsClient.local(**options)
            stack.push_async_callback(client.close)
            return client

        yield make


def now() -> float:
    return asyncio.get_running_loop().time()


def desk_of(client: AimmsClient) -> Any:
    return client._desk


# --- which tasks are the same ------------------------------------------------


async def test_views_with_the_same_credentials_share_their_looks(
    connect: Connect,
) -> None:
    """A view of another app is another desk; making it twice is the same desk."""
    client = connect(Scripted(), cloud=True)
    one, same = client.app("Plan", "1"), client.app("Plan", "1")
    other = client.app("Plan", "2")

    assert desk_of(one) == desk_of(same)
    assert hash(desk_of(one)) == hash(desk_of(same))
    assert desk_of(one) != desk_of(other)
    assert desk_of(one) != desk_of(client)
    assert desk_of(one) != "a desk"


# --- many --------------------------------------------------------------------


class Cloud:
    """The list of AIMMS PRO: so many tasks, at most a hundred a page."""

    def __init__(self, count: int) -> None:
        self.ids = [f"t{number}" for number in range(count)]
        self.calls: list[tuple[float, str]] = []
        self.shown: dict[str, float] = {}
        self.gap = 0.0

    async def __call__(self, request: Request) -> Response:
        self.calls.append((now(), request.path))
        query = parse_qs(request.query)
        offset, limit = (int(query.get(k, ["0"])[0]) for k in ("offset", "limit"))
        await asyncio.sleep(0.002)
        batch = self.ids[offset : offset + min(limit, 100)]
        for key in batch:
            self.gap = max(self.gap, now() - self.shown.get(key, now()))
            self.shown[key] = now()
        rows = [{"id": key, "state": "running"} for key in batch]
        return answer({"total_tasks": len(self.ids), "current_batch": rows})


async def test_five_thousand_tasks_are_kept_fresh_to_a_second(
    connect: Connect,
) -> None:
    """At most 60 requests a second, and nobody's status is older than a second."""
    service = Cloud(5000)
    fresh = PollPolicy(wait_initial=0.9, wait_max=0.9, wait_exp_base=1, wait_jitter=0.1)
    client = connect(service, cloud=True, poll=fresh)
    desk = desk_of(client)
    begun = now()
    watches = [desk.hold(TaskRef(id=key, app="Plan"), None) for key in service.ids]
    await asyncio.sleep(6)
    stats = client.stats()
    for watch in watches:
        desk.release(watch)

    assert len(service.calls) / (now() - begun) <= 60
    assert service.gap <= 1.01
    assert {ROOT} == {path for _, path in service.calls}
    assert (0, 5000) == (stats.looks, stats.open)
    assert stats.surveyed >= 25_000


# --- submits whose answer was lost -------------------------------------------


class Forgetful:
    """The local server, which loses its answers to some submits."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.tasks: dict[str, str] = {}
        self.loses = False
        self.accepts = accepts
        self.begun = now()

    async def __call__(self, request: Request) -> Response:
        await asyncio.sleep(0.1)
        name = request.path.rpartition("/")[2]
        if request.method == "POST":
            task = f"id{len(self.tasks)}"
            if self.accepts or not self.loses:
                self.tasks[task] = name
            if self.loses:
                raise ConnectionLost("the answer was lost", request.redacted())
            return self.row(task)
        if name == "tasks":
            rows = [codec.loads(self.row(task).body) for task in self.tasks]
            return self.dated(rows)
        if name == "response":
            return self.dated({"answer": 42})
        return self.row(name)

    def row(self, task: str) -> Response:
        # Each task was created in the second of its number.
        created = f"2026-01-01T00:00:{int(task[2:]):02}Z"
        return self.dated(
            {
                "id": task,
                "state": "completed",
                "serviceName": self.tasks[task],
                "createdAt": created,
            }
        )

    def dated(self, document: Any) -> Response:
        seconds = f"{int(now() - self.begun):02}"
        headers = {"Content-Type": "application/json"}
        headers["Date"] = f"Thu, 01 Jan 2026 00:00:{seconds} GMT"
        return Response(200, Headers(headers), codec.dumps(document))


async def lose(client: AimmsClient, service: Forgetful) -> SubmitOutcomeUnknown:
    service.loses = True
    with pytest.raises(SubmitOutcomeUnknown) as caught:
        await client.submit("solve")
    service.loses = False
    return caught.value


async def test_task_of_a_lost_submit_is_found(connect: Connect) -> None:
    """Exactly one task is new and nobody's: it is as good as the lost handle."""
    service = Forgetful()
    client = connect(service)
    for _ in range(5):
        await client.submit("solve")
    await asyncio.sleep(5 - (now() - service.begun))
    error = await lose(client, service)
    await client.submit("solve")
    await client.submit("other")
    (found,) = await client.candidates(error)

    assert ("id5", "solve") == (found.id, found.ref.service)
    assert ("solve", None) == (error.service, error.config_id)
    assert {"answer": 42} == await found


async def test_sleep_of_the_machine_is_counted(connect: Connect) -> None:
    """A task that was accepted before this machine slept is not too old to be it."""
    service = Forgetful()
    client = connect(service)
    error = await lose(client, service)
    # The service's clock went on, and so did the wall clock; the loop's stood still.
    service.begun -= 30
    assert error.ahead is not None
    error.ahead -= 30
    (found,) = await client.candidates(error)

    assert "id0" == found.id


async def test_submit_that_never_arrived_has_no_candidates(connect: Connect) -> None:
    """If the service has no task that nobody accounts for, there is none to adopt."""
    service = Forgetful(accepts=False)
    client = connect(service)
    await client.submit("solve")
    error = await lose(client, service)

    assert [] == await client.candidates(error)


@attrs.frozen(kw_only=True)
class Careless(AimmsDialect):
    """Takes whatever comes for an id."""

    task_id: str

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        yield Request("POST", "/jobs", replayable=False)
        return Launched(ref=TaskRef(id=self.task_id))


@pytest.mark.parametrize("task_id", ["", "..", "a\x00b"], ids=repr)
async def test_accepted_task_without_an_id(task_id: str) -> None:
    """What was accepted under no id that can be asked for may be running."""
    local = attrs.asdict(AimmsClient.local()._dialect)
    dialect = Careless(**local, task_id=task_id)
    options: Any = {"transport": MemoryTransport(Scripted())}
    async with TaskClient(dialect, "http://localhost", NoAuth(), options) as client:
        with pytest.raises(SubmitOutcomeUnknown, match="the id of the new task") as got:
            await client.submit("solve", {})

        assert ("solve", True) == (got.value.service, got.value.sent)
        assert 0 == client.stats().submitted


async def test_two_lost_submits_cannot_be_told_apart(connect: Connect) -> None:
    """Both tasks are candidates of both errors: the user has to tell."""
    service = Forgetful()
    client = connect(service)
    errors = [await lose(client, service) for _ in range(2)]
    found = [await client.candidates(error) for error in errors]

    assert [["id0", "id1"]] * 2 == [[task.id for task in tasks] for tasks in found]


async def test_error_of_another_client_tells_its_service(connect: Connect) -> None:
    """An error that was made by hand is searched by what it says."""
    client = connect(Forgetful())
    error = SubmitOutcomeUnknown(ConnectionLost("it broke"))

    assert [] == await client.candidates(error)


async def test_service_that_lets_nobody_find_out(connect: Connect) -> None:
    """The error says so, and nothing is asked."""
    client = connect(Forgetful())
    error = SubmitOutcomeUnknown(ConnectionLost("it broke"))
    desk_of(client).dialect = OmlDialect(
        place=parse_place("https://oml.example/oml"), version="v1"
    )
    with pytest.raises(UnsupportedOperation, match="search for a lost submit"):
        await client.candidates(error)


# --- traces ------------------------------------------------------------------


async def test_trace_context_is_kept_in_the_token(connect: Connect) -> None:
    """The handle that another client makes of the token carries it on."""
    task = await connect(Scripted(), trace_context=lambda: TRACE).submit("solve")
    again = connect(Scripted()).handle(task.token)

    assert TRACE == task.ref.trace == again.ref.trace


async def test_trace_context_that_fails_loses_no_task(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The task was accepted; its handle is returned without a trace."""

    def broken() -> str:
        raise KeyError("no provider")

    task = await connect(Scripted(), trace_context=broken).submit("solve")

    assert ("t1", None) == (task.id, task.ref.trace)
    assert "the trace context cannot be had" in caplog.text


# --- nothing is left behind --------------------------------------------------


async def test_ten_thousand_tasks_leave_nothing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each thousand of tasks there is as little left as after the first."""
    monkeypatch.setattr("asynctasks.counts.KNOWN", 100)
    service = Scripted()
    transport = MemoryTransport(service)
    client = AimmsClient.local(transport=transport)
    left: list[int] = []

    async def run(number: int) -> None:
        task = await client.submit("solve")
        service.write(f"GET {task.id}", "running", "completed")
        assert {"answer": 42} == await task
        del service._scripts[f"GET {task.id}"]

    async def run_all(count: int) -> None:
        await asyncio.gather(*map(run, range(count)))
        transport.requests.clear()
        service.calls = Counter()
        await asyncio.sleep(1)
        gc.collect()

    for _ in range(10):
        await run_all(1000)
        left.append(len(gc.get_objects()))
    tracemalloc.start(1)
    sizes: list[int] = []
    for _ in range(3):
        await run_all(200)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    watcher, lanes = client._hub.watcher, client._hub.lanes.lanes.values()
    running = {task.get_name() for task in asyncio.all_tasks()}

    assert not {name for name in running if name.startswith("asynctasks-")}
    assert (0, {}, 0) == (len(watcher), watcher._groups, watcher.backlog)
    assert [(0, 0)] * 4 == [(lane.running, lane.waiting) for lane in lanes]
    # One object a task would be 8,000 of them; a pointer a task 1,600 bytes.
    assert max(left[2:]) - min(left[2:]) < 500
    assert abs(sizes[2] - sizes[1]) < 10_000
    await client.close()
    await transport.aclose()
