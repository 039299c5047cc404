"""
The same scenarios for all services, in memory and over loopback.

A scenario speaks the vocabulary of :class:`TaskClient` only, and asks the client's
capabilities where services differ. A new service is a row of ``SERVICES``.

``pytest --asynctasks=memory|local|both|URL`` chooses where they run: ``both`` is the
default; a URL is that of a running ``asynctasks serve``, with the key ``key``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
import runpy
from typing import Any, Unpack

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.client import ClientOptions, TaskClient
from asynctasks.completion import as_completed
from asynctasks.config import Profile
from asynctasks.desk import Desk
from asynctasks.desp import DespClient, DespSubmit
from asynctasks.driver import Driver
from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    NotFound,
    PatienceExceeded,
    ResponseError,
    SubmitOutcomeUnknown,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    UnsupportedOperation,
)
from asynctasks.handle import TaskHandle
from asynctasks.oml import OmlClient
from asynctasks.sansio import codec
from asynctasks.sansio.auth import NoAuth, api_key
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.dialect import Dialect, Reconcile
from asynctasks.sansio.events import Event
from asynctasks.sansio.http import Flow, Headers, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.sansio.urls import split_base
from asynctasks.server import services
from asynctasks.server.app import LocalServer
from asynctasks.server.faults import Fault
from asynctasks.server.half import Half
from asynctasks.server.simulator import Simulator
from asynctasks.testing import MemoryTransport, build_simulator
from asynctasks.vantiq_tasks import VantiqTasks
from tests.plain_half import PlainHalf
from tests.timing import MS


KEY = "key"

ORDER = [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED]


@attrs.frozen
class Service:
    """One row: how a client of a service is made, and what differs."""

    name: str
    connect: Callable[..., TaskClient]
    """Takes the URL of the server and the client's options."""

    keyed: bool
    """Whether requests carry a key that the server checks."""

    launch: str = ""
    """What is found in the path of the request that starts a task, and no other."""

    ends_as_cancelled: bool = True
    """Whether a running task that is cancelled ends so; else it ends as completed."""

    objects_only: bool = False
    """Whether inputs are objects only."""

    knows_unknown: bool = True
    """Whether it tells an id that it does not know from trouble of its own."""

    knows_services: bool = True
    """Whether it refuses services that it has not; else somebody may come to do it."""

    halves: Callable[[Simulator], Sequence[Half]] = lambda _: ()
    """Makes the server's half of a service that is not packaged."""

    @property
    def __name__(self) -> str:
        return self.name


def cloud(version: str) -> Callable[..., TaskClient]:
    def connect(url: str, **options: Any) -> TaskClient:
        return AimmsClient.cloud(
            url, app="Demo", version="1", api_key=KEY, api_version=version, **options
        )

    return connect


def local(version: str) -> Callable[..., TaskClient]:
    def connect(url: str, **options: Any) -> TaskClient:
        return AimmsClient.local(url, api_version=version, **options)

    return connect


def oml(version: str) -> Callable[..., TaskClient]:
    def connect(url: str, **options: Any) -> TaskClient:
        credentials = {"username": "OMLUSER", "password": KEY}
        if version == "v2":
            return OmlClient(url, **credentials, **options)
        with pytest.warns(DeprecationWarning, match="use v2"):
            return OmlClient(url, api_version=version, **credentials, **options)

    return connect


@attrs.frozen(kw_only=True)
class OneFile(DespDialect):
    """Takes the content of a job's one file for its result."""

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Fetch the file, and take an echo out of its wrapping."""
        files = yield from self.output_files(ref)
        if not files:
            return Response(200)  # of a job that was terminated
        content = yield self.build_file_download(files[0].id)
        body = content.json().get("json", content.text()).encode()
        return Response(200, Headers({"Content-Type": "application/json"}), body)


class Insula(DespClient):
    """Wraps JSON into an input of text where it is echoed."""

    def _build_desk(self, driver: Driver, dialect: Dialect) -> Desk:
        return super()._build_desk(driver, OneFile(**attrs.asdict(dialect)))

    async def submit(
        self, service: str, inputs: Any = None, **options: Unpack[DespSubmit]
    ) -> TaskHandle:
        """Submit JSON, which comes back as it went."""
        if service == "echo":
            inputs = {"json": codec.dumps(inputs).decode()}
        return await super().submit(service, inputs, **options)


def insula(url: str, **options: Any) -> TaskClient:
    return Insula(url, username="user", token=KEY, **options)


def plain(url: str, **options: Any) -> TaskClient:
    path = Path(__file__).parent.parent / "examples" / "add_a_service.py"
    origin, _ = split_base(url)
    given = ClientOptions(**options)
    return TaskClient(
        runpy.run_path(str(path))["PlainDialect"](), origin, NoAuth(), given
    )


def vantiq(url: str, **options: Any) -> TaskClient:
    profile = Profile(name="test", protocol="vantiq", url=url, token=KEY)
    return VantiqTasks.from_profile(profile, **options)


SERVICES = [
    Service("aimms-v1-cloud", cloud("v1"), keyed=True),
    Service("aimms-v2-cloud", cloud("v2"), keyed=True),
    Service("aimms-v1-local", local("v1"), keyed=False),
    Service("aimms-v2-local", local("v2"), keyed=False),
    Service("desp", insula, keyed=True, launch="/launch$", ends_as_cancelled=False),
    Service("oml-v1", oml("v1"), keyed=True, objects_only=True, knows_unknown=False),
    Service("oml-v2", oml("v2"), keyed=True, objects_only=True),
    Service("vantiq", vantiq, keyed=True, knows_services=False),
    # The service of the page "How to add a service".
    Service("plain", plain, keyed=False, halves=lambda world: [PlainHalf(world)]),
]


# --- where -------------------------------------------------------------------


@attrs.define
class Place:
    """Where a scenario runs: it makes clients there, all with the same options."""

    service: Service
    url: str
    options: ClientOptions
    stack: AsyncExitStack
    simulator: Simulator | None = None
    """The world behind it, where it is ours."""

    async def connect(self) -> TaskClient:
        """Make one more client."""
        client = self.service.connect(self.url, **self.options)
        return await self.stack.enter_async_context(client)

    def world(self) -> Simulator:
        """Return the world, or skip a scenario that needs it."""
        if self.simulator is None:
            pytest.skip("needs a server of ours")
        return self.simulator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each scenario for all services, where the command line says."""
    if "place" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--asynctasks")
    memory = pytest.param("memory", marks=pytest.mark.virtual_time)
    places: dict[str, list[Any]] = {"both": [memory, "local"], "memory": [memory]}
    metafunc.parametrize("where", places.get(chosen, [chosen]))
    metafunc.parametrize("service", SERVICES, ids=lambda service: service.name)


@pytest.fixture
async def place(where: str, service: Service) -> AsyncIterator[Place]:
    """Provide the place of a scenario."""
    options: ClientOptions = {
        "poll": PollPolicy(wait_initial=10 * MS, wait_max=40 * MS)
    }
    async with AsyncExitStack() as stack:
        place = Place(service, where, options, stack)
        if where == "memory":
            place.simulator = build_awaited()
            memory = MemoryTransport(
                place.simulator, api_key=KEY, halves=service.halves
            )
            options["transport"] = await stack.enter_async_context(memory)
            place.url = "http://127.0.0.1"
        elif where == "local":
            server = await stack.enter_async_context(
                LocalServer(api_key=KEY, halves=service.halves)
            )
            place.url, place.simulator = server.url, server.simulator
        yield place


@pytest.fixture
async def client(place: Place) -> TaskClient:
    """Provide a client of the service."""
    return await place.connect()


def build_awaited() -> Simulator:
    """Make the packaged services functions of the loop, whose clock is virtual."""
    simulator = build_simulator()

    @simulator.service("echo")
    async def echo(inputs: Any) -> Any:
        return services.echo(inputs)

    @simulator.service("fail")
    async def fail(inputs: Any) -> Any:
        return services.fail(inputs)

    return simulator


async def running(client: TaskClient) -> TaskHandle:
    """Submit a task that takes its time, and wait until it runs."""
    task = await client.submit("sleep", {"seconds": 60})
    async for status in task.updates():
        if status.state is TaskState.RUNNING:
            break
    return task


# --- submit, poll, result ----------------------------------------------------


async def test_submit_poll_result(client: TaskClient) -> None:
    """A task is accepted, looked at until it is over, and has a result."""
    task = await client.submit("echo", {"x": [1, 2.5, None, "ü"]})
    status = await client.poll(task)

    assert task.id
    assert status.state in ORDER or not status.outcome_known
    assert status.word or status.done

    assert {"x": [1, 2.5, None, "ü"]} == await task.result()
    assert TaskState.SUCCEEDED is (await task.status()).state


@pytest.mark.parametrize(
    "inputs", [{}, [], {"a": {"b": [{}]}}, [1, "two"]], ids=["{}", "[]", "deep", "list"]
)
async def test_json_comes_back(place: Place, client: TaskClient, inputs: Any) -> None:
    """JSON goes in and comes out."""
    if place.service.objects_only and not isinstance(inputs, dict):
        pytest.skip("the service takes objects only")
    assert inputs == await client.run("echo", inputs)


async def test_text_and_bytes_come_back(client: TaskClient) -> None:
    """Content that is not JSON goes in and comes out, decoded as wanted."""
    if not client.capabilities.content:
        pytest.skip("the service takes JSON only")
    task = await client.submit("echo", content="plain text: ü")

    assert "plain text: ü" == await task.result()
    assert "plain text: ü".encode() == await task.result(decode="bytes")

    raw = bytes(range(256))
    task = await client.submit("echo", content=raw)

    assert raw == await task.result()


async def test_file_of_a_form_comes_back(client: TaskClient, tmp_path: Path) -> None:
    """A file is uploaded in a form."""
    if not client.capabilities.files:
        pytest.skip("the service takes no files")
    path = tmp_path / "inputs.bin"
    path.write_bytes(b"\x00from disk\xff")

    assert b"\x00from disk\xff" == await client.run("echo", files={"upload": path})


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * 4096


async def test_streams_pass_through(client: TaskClient, tmp_path: Path) -> None:
    """A body is uploaded while it is made, and streamed to a file."""
    if not client.capabilities.content:
        pytest.skip("the service takes JSON only")
    task = await client.submit("echo", content=pieces(256))
    path = await task.download(tmp_path / "result.bin")

    assert b"".join([piece async for piece in pieces(256)]) == path.read_bytes()


async def test_failing_task(client: TaskClient) -> None:
    """A task that fails is TaskFailed, with the service's own words."""
    task = await client.submit("fail", {"message": "the oven is cold"})
    with pytest.raises(TaskFailed, match="the oven is cold") as caught:
        await task

    assert task.token == caught.value.token
    assert TaskState.FAILED is (await task.wait()).state


async def test_unknown_service(place: Place, client: TaskClient) -> None:
    """A service that there is not is refused, and the refusal is no guess."""
    if not place.service.knows_services:
        pytest.skip("whoever works for the service may come later")
    with pytest.raises((ResponseError, InvalidArgument), match="brew"):
        await client.submit("brew", {})


async def test_patience_runs_out_and_the_task_goes_on(client: TaskClient) -> None:
    """Giving up leaves the task alone; its result is there later."""
    task = await client.submit("sleep", {"seconds": 0.15})
    with pytest.raises(PatienceExceeded) as caught:
        await task.result(timeout=50 * MS)

    assert {"seconds": 0.15} == await client.handle(caught.value.token)


async def test_many_wait_for_one_task(client: TaskClient) -> None:
    """All who wait for a task get its result."""
    task = await client.submit("sleep", {"seconds": 0.1})

    assert [{"seconds": 0.1}] * 20 == await asyncio.gather(
        *[task.result()] * 1, *[task.result() for _ in range(19)]
    )


async def test_tasks_are_yielded_as_they_end(client: TaskClient) -> None:
    """What ends first comes first."""
    slow = await client.submit("sleep", {"seconds": 0.25})
    quick = await client.submit("sleep", {"seconds": 0.1})
    ends = [task.id async for task in as_completed([slow, quick])]

    assert [quick.id, slow.id] == ends


# --- cancel ------------------------------------------------------------------


async def test_cancel_a_running_task(place: Place, client: TaskClient) -> None:
    """The end is confirmed, and whoever waits is told that it was asked for."""
    task = await running(client)
    waiting = asyncio.create_task(task.wait())
    status = await task.cancel(timeout=10)

    assert status.done
    assert status.cancel_requested or status.state is TaskState.CANCELLED
    assert (await waiting).done
    if place.service.ends_as_cancelled:
        with pytest.raises(TaskCancelled):
            await task.result()


async def test_cancel_a_queued_task(client: TaskClient) -> None:
    """A task that waits for its place never runs."""
    busy = [await running(client) for _ in range(2)]
    queued = await client.submit("echo", {})
    status = await queued.cancel(timeout=10)

    assert (True, None) == (status.done, status.started_at)
    with pytest.raises(TaskCancelled):
        await queued
    for task in busy:
        await task.cancel(timeout=10)


async def test_cancel_comes_too_late(client: TaskClient) -> None:
    """A task that is over stays what it is."""
    task = await client.submit("echo", {"x": 1})
    await task

    assert TaskState.SUCCEEDED is (await task.cancel()).state
    assert {"x": 1} == await task


# --- ids and tokens ----------------------------------------------------------


async def test_unknown_task(place: Place, client: TaskClient) -> None:
    """An id that the service does not know is NotFound at once, TaskLost to a wait."""
    if not place.service.knows_unknown:
        pytest.skip("the service takes an unknown id for trouble of its own")
    task = client.handle("3f2c0000-0000-4000-8000-000000000000")
    with pytest.raises(NotFound):
        await task.status()
    with pytest.raises(TaskLost):
        await task.wait(timeout=10)


async def test_token_is_enough(place: Place, client: TaskClient) -> None:
    """Another client makes the handle again from its token."""
    token = (await client.submit("echo", {"x": 1})).token
    other = await place.connect()

    assert {"x": 1} == await other.result(token)


async def test_wrong_key(place: Place, client: TaskClient) -> None:
    """A key that is not accepted is said at once, by a submit and by a wait."""
    if not place.service.keyed:
        pytest.skip("the service asks for no key")
    stranger = client.with_auth(api_key("wrong"))
    task = await client.submit("echo", {})
    for use in (stranger.submit("echo", {}), stranger.handle(task.token).wait()):
        with pytest.raises(AuthenticationFailed):
            await use


# --- updates and callbacks ---------------------------------------------------


def states_are_in_order(statuses: list[TaskStatus]) -> bool:
    known = [status for status in statuses if status.outcome_known]
    places = [ORDER.index(status.state) for status in known]
    return places == sorted(places)


async def test_updates(client: TaskClient) -> None:
    """The states come in their order, the last one last."""
    task = await client.submit("sleep", {"seconds": 0.2})
    seen = [status async for status in task.updates()]

    assert states_are_in_order(seen)
    assert [False] * (len(seen) - 1) + [True] == [status.done for status in seen]
    assert TaskState.SUCCEEDED is seen[-1].state or not seen[-1].outcome_known


async def test_subscribe(client: TaskClient) -> None:
    """Callbacks are told of the tasks they asked for, until their ends."""
    heard: dict[str, list[Event]] = {"all": [], "echo": [], "one": []}
    await client.subscribe(heard["all"].append)
    await client.subscribe(heard["echo"].append, service="echo")
    sleep = await client.submit("sleep", {"seconds": 0.1})
    echo = await client.submit("echo", {})
    await client.subscribe(heard["one"].append, task=sleep)
    await asyncio.gather(sleep, echo)
    await asyncio.sleep(20 * MS)
    told = {name: {e.token for e in events} for name, events in heard.items()}
    lasts = {
        name: [e.last for e in events].count(True) for name, events in heard.items()
    }

    assert {
        "all": {sleep.token, echo.token},
        "echo": {echo.token},
        "one": {sleep.token},
    } == told
    assert {"all": 2, "echo": 1, "one": 1} == lasts


# --- resources ---------------------------------------------------------------


async def test_tasks_are_listed_and_counted(client: TaskClient) -> None:
    """What was submitted is in the list, and in the count."""
    if not client.capabilities.task_list:
        pytest.skip("the service lists no tasks")
    before = await client.count("tasks")
    tasks = [await client.submit("echo", {"x": n}) for n in range(5)]
    rows = await client.select("tasks")

    assert before + 5 == await client.count("tasks")
    assert {task.id for task in tasks} <= {str(row["id"]) for row in rows}
    for task in tasks:
        await task


@pytest.mark.parametrize("page_size", [1, 2, 5, 100])
async def test_all_pages_are_gone_through(client: TaskClient, page_size: int) -> None:
    """Paging gives each task once, whatever the size of the pages."""
    if not client.capabilities.task_list:
        pytest.skip("the service lists no tasks")
    tasks = [await client.submit("echo", {"x": n}) for n in range(5)]
    rows = client.select("tasks", page_size=page_size)
    ids = [str(row["id"]) async for row in rows]

    assert len(ids) == len(set(ids)) == await client.count("tasks")
    assert {task.id for task in tasks} <= set(ids)
    assert ids[:3] == [str(row["id"]) for row in await client.select("tasks", limit=3)]


async def test_one_task_is_a_row(client: TaskClient) -> None:
    """A task is read and removed by its id; then there is none."""
    if "delete_one" not in client.capabilities.resources.get("tasks", ()):
        pytest.skip("the service removes no tasks")
    task = await client.submit("echo", {"x": 1})
    await task
    row = await client.select_one("tasks", task.id)

    assert row is not None
    assert task.id == row["id"]
    assert await client.delete_one("tasks", task.id)
    assert await client.select_one("tasks", task.id) is None
    assert not await client.delete_one("tasks", task.id)


async def test_verbs_that_the_service_has_not(client: TaskClient) -> None:
    """What the capabilities do not name is refused, and the error names the rest."""
    having = client.capabilities.resources.get("tasks", frozenset())
    uses: dict[str, Callable[[], Any]] = {
        "insert": lambda: client.insert("tasks", {}),
        "update": lambda: client.update("tasks", "1", {}),
        "upsert": lambda: client.upsert("tasks", {}),
        "delete": lambda: client.delete("tasks", {}),
    }
    for verb in uses.keys() - having:
        with pytest.raises(
            UnsupportedOperation, match=rf"no {verb}\('tasks'\); it has"
        ):
            await uses[verb]()


# --- faults ------------------------------------------------------------------


async def test_lost_answer_is_not_repeated(place: Place, client: TaskClient) -> None:
    """A submit whose answer is lost is one submit, and open unless its key tells."""
    simulator = place.world()
    await client.run("echo", {})  # so that no credential has to be fetched any more
    fault = Fault(drop="answer")
    simulator.faults.add(fault, method="POST", path=place.service.launch)
    if client.capabilities.reconcile is Reconcile.KEY:
        assert {"x": 1} == await client.run("echo", {"x": 1})
    else:
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("echo", {"x": 1})

    assert 2 == simulator.submissions.total()


async def test_outage_is_waited_through(place: Place, client: TaskClient) -> None:
    """A service that is away for a while costs no wait."""
    simulator = place.world()
    task = await client.submit("echo", {"x": 1})
    simulator.faults.add(Fault(response=Response(503)), times=5, method="GET")
    simulator.faults.add(Fault(drop="request"), times=2, method="GET")

    assert {"x": 1} == await task.result(timeout=30)


async def test_server_that_forgets(place: Place, client: TaskClient) -> None:
    """A task that vanishes with a restart is lost; it is never taken for finished."""
    if not place.service.knows_unknown:
        pytest.skip("the service takes an unknown id for trouble of its own")
    simulator = place.world()
    task = await running(client)
    waiting = asyncio.create_task(task.result(timeout=30))
    await asyncio.sleep(20 * MS)
    simulator.forget()
    with pytest.raises(TaskLost):
        await waiting
