"""The client that all services share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
import logging
from pathlib import Path
import random
import subprocess
import sys
from typing import Any

import aiohttp
import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.client import CLOSE_WITHIN, ClientOptions, TaskClient
from asynctasks.exceptions import (
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    InvalidState,
    RateLimited,
    ResponseTooLarge,
    ServiceBroken,
    SubmitOutcomeUnknown,
    TlsError,
    UnsupportedOperation,
    UntrustedUrl,
)
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.auth import NoAuth, api_key, bearer
from asynctasks.sansio.dialect import Capabilities, Reconcile
from asynctasks.sansio.events import Event, EventKind
from asynctasks.sansio.http import Flow, Headers, Request, Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.server.app import LocalServer
from asynctasks.server.faults import Fault
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Submitted
from asynctasks.testing import MemoryTransport, build_simulator
from asynctasks.transport import Transport
from tests.scripted import Scripted, answer
from tests.timing import MS


virtual = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

QUICK = RetryPolicy(attempts=3, wait_initial=0.1, wait_jitter=0.0)

HTML = Headers({"Content-Type": "text/html"})

Connect = Callable[..., AimmsClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service or simulator."""
    async with AsyncExitStack() as stack:

        def make(world: Any, **options: Any) -> AimmsClient:
            given = {"poll": EVERY_SECOND, "retry": QUICK, **options}
            if world is not None:
                transport = MemoryTransport(world)
                stack.push_async_callback(transport.aclose)
                given["transport"] = transport
            client = AimmsClient.local(**given)
            stack.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def simulator() -> Simulator:
    """Provide a world whose service ``echo`` is awaited on the test's own clock."""
    simulator = build_simulator()

    @simulator.service("echo")
    async def echo(inputs: Any) -> Any:
        return inputs

    return simulator


def hub_of(client: TaskClient) -> Any:
    return client._hub


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def now() -> float:
    return asyncio.get_running_loop().time()


# --- lifecycle ---------------------------------------------------------------


@virtual
async def test_closing_twice_and_without_entering(connect: Connect) -> None:
    """Closing is harmless, in whatever order; using it afterwards is refused."""
    client = connect(Scripted(t1="completed"))
    await asyncio.gather(client.close(), client.close())
    await client.close()
    task = client.handle("t1")
    for use in (
        client.submit("solve"),
        client.subscribe(print),
        client.start_subscriber_transport(),
        client.count("tasks"),
        task.result(),
        task.status(),
        client.__aenter__(),
    ):
        with pytest.raises(InvalidState, match="the client is closed; make a new one"):
            await use


@virtual
async def test_closing_tells_those_who_wait(connect: Connect) -> None:
    """Whoever waits gets InvalidState; the remote task is left alone."""
    service = Scripted(t1="running")
    async with connect(service) as client:
        waiting = asyncio.create_task(client.handle("t1").result())
        await asyncio.sleep(0.5)
    with pytest.raises(InvalidState, match="the client was closed; the task goes on"):
        await waiting

    assert {"GET t1": 1} == service.calls
    assert {asyncio.current_task()} == asyncio.all_tasks()


class Stuck(MemoryTransport):
    """A transport that cannot be closed."""

    async def aclose(self) -> None:
        await asyncio.sleep(3600)


@virtual
async def test_closing_is_bounded(connect: Connect) -> None:
    """A transport of ours that hangs cannot hold up the end."""
    client = connect(Scripted())
    hub_of(client).own_transport = True
    hub_of(client).lanes.transport = Stuck(Scripted())
    begun = now()
    await client.close()

    assert now() - begun <= CLOSE_WITHIN


@virtual
async def test_cancelled_close_goes_on(connect: Connect) -> None:
    """Who is cancelled while closing leaves at once; the closing ends by itself."""
    client = connect(Scripted())
    hub_of(client).own_transport = True
    hub_of(client).lanes.transport = Stuck(Scripted())
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0.1)
    closing.cancel()
    await asyncio.wait([closing])

    assert closing.cancelled()

    await client.close()

    assert {asyncio.current_task()} == asyncio.all_tasks()


@virtual
async def test_transport_that_was_given_stays_open(connect: Connect) -> None:
    """Only a transport that the client made is closed with it."""
    transport = MemoryTransport(Scripted(t1="completed"))
    async with connect(None, transport=transport):
        pass
    async with connect(None, transport=transport) as again:
        status = await again.poll("t1")

    assert TaskState.SUCCEEDED is status.state


async def test_session_that_was_given_is_used_and_stays_open() -> None:
    """A session of the caller sends the requests and is not closed."""
    async with LocalServer() as server, aiohttp.ClientSession() as session:
        client = AimmsClient.local(server.url, session=session)

        assert 0 == await client.count("tasks")

        await client.close()

        assert not session.closed


async def test_transport_of_its_own_is_closed() -> None:
    """Without a transport or session the client has one over HTTP, and closes it."""
    async with LocalServer() as server, AimmsClient.local(server.url) as client:
        await client.count("tasks")
        session = hub_of(client).lanes.transport._session
        await client.close()

        assert session.closed


def test_client_belongs_to_one_loop() -> None:
    """Used, or closed, from another event loop it says so."""
    transport = MemoryTransport(Scripted(t1="completed"))
    client = AimmsClient.local(transport=transport)
    asyncio.run(_poll(client))
    for use in (_poll, _close):
        with pytest.raises(InvalidState, match="another event loop; make one client"):
            asyncio.run(use(client))


async def _poll(client: AimmsClient) -> None:
    await client.poll("t1")


async def _close(client: AimmsClient) -> None:
    await client.close()


def test_program_that_does_not_close_ends(tmp_path: Path) -> None:
    """A program that forgets to close its client warns, and does not hang."""
    program = """
import asyncio
from asynctasks import AimmsClient, LocalServer

async def main():
    async with LocalServer() as server:
        client = AimmsClient.local(server.url)
        waiting = asyncio.create_task(client.run("sleep", {"seconds": 3600}))
        await asyncio.sleep(0.2)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
        cwd=Path(__file__).parent.parent,
    )

    assert "ResourceWarning: a client was not closed" in done.stderr
    assert "Traceback" not in done.stderr


# --- views -------------------------------------------------------------------


@virtual
async def test_views_share_everything_but_what_they_change(connect: Connect) -> None:
    """A view has credentials or an app of its own; closing it closes nothing."""
    service = Scripted(t1="completed")
    transport = MemoryTransport(service)
    root = connect(None, transport=transport)
    view = root.with_auth(api_key("theirs"))
    async with view:
        pass

    assert TaskState.SUCCEEDED is (await view.poll("t1")).state
    assert TaskState.SUCCEEDED is (await root.poll("t1")).state
    assert ["theirs", None] == [
        request.headers.get("apiKey") for request in transport.requests
    ]
    assert hub_of(view) is hub_of(root)

    await root.close()
    with pytest.raises(InvalidState):
        await view.poll("t1")


@virtual
async def test_views_of_others_look_for_themselves(connect: Connect) -> None:
    """What one credential may see of a task is no word for another one."""
    service = Scripted(t1=("running", "completed"))
    root = connect(service)
    view = root.with_auth(bearer("theirs"))
    await asyncio.gather(root.handle("t1").wait(), view.handle("t1").wait())

    assert 3 <= service.calls["GET t1"]


def test_view_of_another_app_leaves_the_client_alone() -> None:
    """The view speaks of another app; the client it was made from does not."""
    client = AimmsClient.cloud("acme", app="Scheduling", api_key="secret")
    view = client.app("Routing", "3")

    assert [("Scheduling", None), ("Routing", "3")] == [
        (each.dialect.app, each.dialect.app_version)  # type: ignore[attr-defined]
        for each in (client, view)
    ]
    assert hub_of(view) is hub_of(client)


def test_client_shows_what_it_is() -> None:
    """The representation has the dialect and the origin, and no secrets."""
    client = AimmsClient.cloud("acme", app="Scheduling", api_key="secret")

    assert "<AimmsClient AIMMS v2 (cloud) at https://acme.aimms.cloud>" == repr(client)
    assert client.dialect.capabilities == client.capabilities


# --- options -----------------------------------------------------------------


def test_every_option_is_tested_here() -> None:
    """The options are those that the tests below, and above, are about."""
    assert {
        "allow_insecure",
        "attempt_timeout",
        "cleanup",
        "grace",
        "hooks",
        "journal",
        "learn",
        "logger",
        "max_rate",
        "max_response_bytes",
        "merge",
        "on_cancel",
        "on_timeout",
        "patience",
        "poll",
        "retry",
        "session",
        "trace_context",
        "transport",
        "trusted_origins",
        "width",
    } == set(ClientOptions.__annotations__)


def test_misspelt_option_is_refused() -> None:
    """An option that there is not would do nothing, silently."""
    options: Any = {"timeout": 3}
    with pytest.raises(TypeError, match="AimmsClient has no option 'timeout'; it has"):
        AimmsClient.local(**options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup", "always"),
        ("patience", 0),
        ("patience", float("inf")),
        ("patience", float("nan")),
        ("attempt_timeout", -1),
        ("attempt_timeout", float("inf")),
        ("max_response_bytes", 0),
        ("max_response_bytes", 0.5),
        ("grace", -1),
        ("journal", 7),
        ("trusted_origins", "https://store.example"),
        ("trusted_origins", ["store.example"]),
    ],
)
def test_option_out_of_range_is_refused(name: str, value: object) -> None:
    """The error names the option and what it was given."""
    options: Any = {name: value}
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.local(**options)

    assert name == caught.value.name


async def test_transport_and_session_exclude_each_other() -> None:
    """One of them moves the bytes."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(InvalidArgument, match="a transport or a session, not both"):
            AimmsClient.local(session=session, transport=MemoryTransport(Scripted()))


@virtual
async def test_attempt_timeout_bounds_each_attempt(connect: Connect) -> None:
    """An answer that does not come in time is asked for again."""
    service = Scripted(t1=(60.0, "completed"))
    begun = now()
    status = await connect(service, attempt_timeout=2.0).poll("t1")

    assert TaskState.SUCCEEDED is status.state
    assert 2.1 == round(now() - begun, 3)


@virtual
async def test_retry_bounds_the_attempts(connect: Connect) -> None:
    """The policy that was given is the one that is used."""
    service = Scripted(t1=Response(503))
    policy = RetryPolicy(attempts=5, wait_initial=0.0, wait_jitter=0.0)
    with pytest.raises(ServiceBroken) as caught:
        await connect(service, retry=policy).poll("t1")

    assert 5 == service.calls["GET t1"] == caught.value.attempts


@virtual
async def test_poll_is_when_tasks_are_looked_at(connect: Connect) -> None:
    """The schedule that was given is the one that is used."""
    service = Scripted(t1=("running", "completed"))
    minutely = PollPolicy(wait_initial=60.0, wait_max=60.0, wait_jitter=0.0)
    begun = now()
    await connect(service, poll=minutely).handle("t1").wait()

    assert 60.0 == round(now() - begun, 3)


@virtual
async def test_patience_is_how_long_a_wait_lasts(connect: Connect) -> None:
    """The client's patience holds where a wait names none."""
    client = connect(Scripted(t1="running"), patience=7.0)
    begun = now()
    with pytest.raises(TimeoutError):
        await client.result("t1")

    assert (7.0, 7.0) == (round(now() - begun, 3), client.patience)


@virtual
async def test_max_response_bytes_bounds_answers(connect: Connect) -> None:
    """A result that is larger is refused with the way out."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(200, body=b"0" * 1001))
    client = connect(service, max_response_bytes=1000)
    with pytest.raises(ResponseTooLarge, match=r"at most 1,000 bytes.*download\(\)"):
        await client.result("t1")


@virtual
async def test_logger_gets_the_lines_of_the_client(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sent is logged, without queries, where the caller wants it."""
    logger = logging.getLogger("tests.somewhere")
    with caplog.at_level(logging.DEBUG, "tests.somewhere"):
        await connect(Scripted(t1="completed"), logger=logger).poll("t1")

    assert [
        "> GET /api/v2/tasks/t1",
        "< 200 GET /api/v2/tasks/t1 (31 bytes) in 0.000 s",
    ] == [record.getMessage() for record in caplog.records]


async def test_journal_has_what_is_submitted(tmp_path: Path) -> None:
    """The file is made with the first submit; more is told in test_submit_journal."""
    path = tmp_path / "tasks.db"
    options: Any = {"journal": str(path), "grace": 1.0}
    async with AimmsClient.local(
        transport=MemoryTransport(build_simulator()), **options
    ) as client:
        before = path.exists()
        task = await client.submit("echo", 1, key="a")
        found = [each.task async for each in client.journalled()]

    assert (False, [task.id]) == (before, [each.id for each in found if each])


class Redirecting:
    """A service whose results lie in a store of another origin."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []

    async def __call__(self, request: Request) -> Response:
        self.seen.append((request.path, request.headers.get("apiKey")))
        if request.path.endswith("/response"):
            to = Headers({"Location": "https://store.example:8443/blob?sig=x"})
            return Response(302, to)
        if request.path == "/blob":
            return answer({"answer": 42})
        return answer({"id": "t1", "state": "completed"})


def cloud(world: Any, **options: Any) -> AimmsClient:
    return AimmsClient.cloud(
        "acme",
        app="A",
        version="1",
        api_key="secret",
        transport=MemoryTransport(world),
        **options,
    )


@virtual
@pytest.mark.parametrize(
    "origin", ["https://store.example:8443", "https://STORE.example:8443/"]
)
async def test_trusted_origin_may_hold_results(origin: str) -> None:
    """A redirect to an origin that was named is followed, without credentials."""
    service = Redirecting()
    async with cloud(service, trusted_origins=[origin]) as client:
        result = await client.result("t1")

    assert {"answer": 42} == result
    assert ("/blob", None) == service.seen[-1]
    assert {"secret"} == {key for _, key in service.seen[:-1]}


@virtual
async def test_other_origins_are_not_trusted() -> None:
    """A redirect to an origin that nobody named is not followed."""
    service = Redirecting()
    async with cloud(service) as client:
        with pytest.raises(UntrustedUrl, match="trusted_origins="):
            await client.result("t1")

    assert "/blob" not in [path for path, _ in service.seen]


def insecure(url: str, **options: Any) -> AimmsClient:
    return AimmsClient.cloud(url, app="A", api_key="secret", **options)


def test_credentials_do_not_travel_in_the_clear() -> None:
    """Plain http to another machine is refused before anything is sent."""
    with pytest.raises(InvalidArgument, match="over plain http; use https"):
        insecure("http://acme.example")
    client = AimmsClient.local("http://acme.example")
    with pytest.raises(InvalidArgument, match="over plain http; use https"):
        client.with_auth(api_key("theirs"))

    assert "http://acme.example" == client.origin
    assert "http://acme.example" == client.with_auth(NoAuth()).origin


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_credentials_may_travel_on_this_machine(host: str) -> None:
    """Plain http is good enough for loopback addresses."""
    assert f"http://{host}" == insecure(f"http://{host}").origin


def test_insecure_is_allowed_with_a_warning() -> None:
    """Who insists is warned, at the line that does."""
    with pytest.warns(UserWarning, match="in the clear to http://acme") as caught:
        client = AimmsClient.cloud(
            "http://acme.example", app="A", api_key="secret", allow_insecure=True
        )

    assert "http://acme.example" == client.origin
    assert [__file__] == [each.filename for each in caught]


# --- submits -----------------------------------------------------------------


async def stream() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


@virtual
async def test_body_of_a_submit(connect: Connect) -> None:
    """What is sent is what was given, with its kind."""
    transport = MemoryTransport(Scripted())
    task = await connect(None, transport=transport).submit("solve", {"x": [1, None]})
    (request,) = transport.requests

    assert "t1" == task.id
    assert task.last_status is not None
    assert TaskState.QUEUED is task.last_status.state
    assert b'{"x":[1,null]}' == request.body
    assert "application/json" == request.headers["Content-Type"]


async def test_bodies_from_disk_and_from_streams(
    connect: Connect, tmp_path: Path, simulator: Simulator
) -> None:
    """Files and streams arrive whole; of a form the service gets the file."""
    path = tmp_path / "inputs.txt"
    path.write_bytes(b"from disk")
    quickly = PollPolicy(wait_initial=5 * MS, wait_max=5 * MS)
    client = connect(simulator, poll=quickly)
    echoed = [
        await client.run("echo", content=path, content_type="text/plain"),
        await client.run("echo", content=stream()),
        await client.run("echo", files={"upload": path}),
        await client.run("echo", files={"upload": ("a.txt", b"inline", "text/plain")}),
    ]

    assert ["from disk", b"one two", b"from disk", b"inline"] == echoed


@virtual
async def test_argument_that_cannot_be_sent(connect: Connect) -> None:
    """It is refused before anything is sent."""
    service = Scripted()
    with pytest.raises(InvalidArgument, match=r"^inputs='several'"):
        await connect(service).submit("solve", {}, content=b"")

    assert 0 == service.calls.total()


TRUNCATED = Response(200, body=b'{"id": "t')

LOST: dict[str, Response | BaseException] = {
    "connection": ConnectionLost("the connection broke"),
    "timeout": AttemptTimeout("no answer within 30 s"),
    "bad-gateway": Response(502),
    "gateway-timeout": Response(504),
    "page": Response(200, HTML, b"<!doctype html><html>log in</html>"),
    "empty": Response(200),
    "truncated": TRUNCATED,
    "nonsense": Response(200, body=b"[]"),
    "no-id": Response(200, body=b"{}"),
    "no-content": Response(204),
}


@virtual
@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_lost_answer_to_a_submit_is_never_repeated(
    connect: Connect, lost: Response | BaseException
) -> None:
    """Whether it was accepted is not known: that is said, and nothing is guessed."""
    service = Scripted()
    service.write("POST solve", lost)
    with pytest.raises(SubmitOutcomeUnknown) as caught:
        await connect(service, retry=RetryPolicy()).submit("solve", {"x": 1})

    assert {"POST solve": 1} == service.calls
    assert caught.value.sent
    assert caught.value.cause is caught.value.__cause__
    assert caught.value.request is not None
    assert "POST /api/v2/tasks/solve" == caught.value.request.describe()


@virtual
async def test_submit_without_an_answer_in_time(connect: Connect) -> None:
    """Our own clock running out leaves the outcome as open."""
    service = Scripted()
    service.write("POST solve", 3600.0)
    with pytest.raises(SubmitOutcomeUnknown) as caught:
        await connect(service).submit("solve")

    assert isinstance(caught.value.cause, AttemptTimeout)
    assert {"POST solve": 1} == service.calls


@virtual
@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop="answer"),
        Fault(drop="request"),
        Fault(delay=3600.0),
        Fault(response=TRUNCATED),
    ],
    ids=["answer", "request", "delay", "truncated"],
)
async def test_service_counts_at_most_one_submit(
    connect: Connect, simulator: Simulator, fault: Fault
) -> None:
    """Whatever happens to the answer, the service sees no second one."""
    client = connect(simulator)
    simulator.faults.add(fault, method="POST")
    with pytest.raises(SubmitOutcomeUnknown):
        await client.submit("echo", {"x": 1})
    simulator.faults.clear()

    assert simulator.submissions[Submitted.of("echo", b'{"x":1}')] <= 1
    assert simulator.submissions.total() == await client.count("tasks")


@virtual
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Response(500), ServiceBroken),
        (Response(503), ServiceBroken),
        (Response(503, Headers({"Retry-After": "1"})), RateLimited),
        (TlsError("bad certificate"), TlsError),
    ],
    ids=["500", "503", "503-later", "tls"],
)
async def test_refused_submit_is_known_not_to_run(
    connect: Connect, refusal: Response | BaseException, error: type[Exception]
) -> None:
    """A clear no is passed on as it is, after one attempt."""
    service = Scripted()
    service.write("POST solve", refusal)
    with pytest.raises(error):
        await connect(service).submit("solve")

    assert {"POST solve": 1} == service.calls


@virtual
@pytest.mark.parametrize(
    "refusal", [ConnectError("refused"), Response(429)], ids=["refused", "429"]
)
async def test_submit_that_was_not_looked_at_is_repeated(
    connect: Connect, refusal: Response | BaseException
) -> None:
    """Where nothing arrived, or nothing was done, trying again is harmless."""
    service = Scripted()
    service.write(
        "POST solve", refusal, refusal, answer({"id": "t1", "state": "queued"})
    )
    task = await connect(service).submit("solve")

    assert ("t1", 3) == (task.id, service.calls["POST solve"])


# --- by token ----------------------------------------------------------------


@virtual
async def test_verbs_take_handles_tokens_and_ids(
    connect: Connect, simulator: Simulator
) -> None:
    """A task is named by its handle, its token or its id."""
    client = connect(simulator)
    task = await client.submit("echo", {"x": 1})

    assert {"x": 1} == await client.result(task.token)
    assert {"x": 1} == await client.result(task.id, timeout=5)
    assert b'{"x":1}' == await client.result(task, decode="bytes")
    assert TaskState.SUCCEEDED is (await client.poll(task.token)).state
    assert TaskState.SUCCEEDED is (await client.cancel(task.token)).state


@virtual
@pytest.mark.parametrize(
    "wrong",
    [{"timeout": "5"}, {"timeout": -1}, {"decode": "yaml"}, {"on_cancel": "kill"}],
    ids=str,
)
async def test_run_that_cannot_wait_submits_nothing(
    connect: Connect, wrong: dict[str, Any]
) -> None:
    """What only the wait would refuse is refused before a task is started."""
    service = Scripted(t1="completed")
    (name,) = wrong
    with pytest.raises(InvalidArgument, match=f"^{name}="):
        await connect(service).run("solve", {}, **wrong)

    assert {} == service.calls


async def test_view_signed_by_what_is_no_auth(connect: Connect) -> None:
    """A bare key does not say how it signs."""
    client = connect(Scripted())
    key: Any = "key"
    with pytest.raises(InvalidArgument, match=r"^auth='str': give an Auth, such"):
        client.with_auth(key)


@virtual
@pytest.mark.parametrize("task", [None, 5])
async def test_what_is_no_task(connect: Connect, task: Any) -> None:
    """Neither a handle nor a token: the error says what to give."""
    client = connect(Scripted())
    for verb in (client.poll, client.result, client.cancel):
        with pytest.raises(InvalidArgument, match=f"^token={task}: give a task's"):
            await verb(task)


@virtual
async def test_run_submits_waits_and_fetches(
    connect: Connect, simulator: Simulator
) -> None:
    """All in one call, with the arguments of both halves."""
    client = connect(simulator)

    assert {"x": 1} == await client.run("echo", {"x": 1})
    assert "text" == await client.run(
        "echo", content=b"text", content_type="text/x-log", timeout=9, decode="text"
    )


@virtual
async def test_token_crosses_clients(connect: Connect, simulator: Simulator) -> None:
    """What one client submitted another one of the same service can fetch."""
    token = (await connect(simulator).submit("echo", {"x": 1})).token

    assert {"x": 1} == await connect(simulator).handle(token)


# --- events ------------------------------------------------------------------


def states(events: list[Event]) -> list[str]:
    return [
        f"{event.task.id} {event.status.word}"
        for event in events
        if event.task is not None and event.status is not None
    ]


@virtual
async def test_subscribe_to_one_task(connect: Connect) -> None:
    """The present state comes first, and nothing of other tasks."""
    client = connect(Scripted(t1=("queued", "running", "completed"), t2="completed"))
    heard: list[Event] = []
    task = client.handle("t1")
    await task.status()
    await client.subscribe(heard.append, task=task)
    await client.subscribe(heard.append, task="t2")
    await asyncio.sleep(9)

    assert {
        "t1 queued",
        "t2 completed",
        "t1 running",
        "t1 completed",
    } == set(states(heard))
    assert "t1 queued" == states(heard)[0]
    assert 4 == len(heard)


@virtual
async def test_subscribe_to_a_service_and_to_all(connect: Connect) -> None:
    """Tasks that are submitted from now on are told to those who want them."""
    service = Scripted(t1="completed", t2="completed", t3="completed")
    client = connect(service)
    await client.submit("solve")  # nobody listens yet
    solves: list[Event] = []
    everything: list[Event] = []
    await client.subscribe(solves.append, service="solve")
    await client.subscribe(everything.append)
    await client.submit("other")
    await client.submit("solve")
    await asyncio.sleep(9)

    assert ["t3 queued", "t3 completed"] == states(solves)
    assert {"t2 queued", "t3 queued", "t2 completed", "t3 completed"} == set(
        states(everything)
    )


@virtual
async def test_tasks_of_other_credentials_are_not_told(connect: Connect) -> None:
    """In a web backend one user hears nothing of another one's tasks."""
    root = connect(Scripted(t1="completed", t2="completed"))
    mine, theirs = (root.with_auth(api_key(key)) for key in ("mine", "theirs"))
    heard: list[Event] = []
    await mine.subscribe(heard.append)
    await theirs.submit("solve")
    await mine.submit("solve")
    await asyncio.sleep(9)

    assert ["t2 queued", "t2 completed"] == states(heard)


@virtual
async def test_lost_task_ends_its_events(connect: Connect) -> None:
    """That a task is lost is told as an error event."""
    client = connect(Scripted())
    heard: list[Event] = []
    await client.subscribe(heard.append, task="gone")
    await asyncio.sleep(9)

    assert [EventKind.ERROR] == [event.kind for event in heard]


@virtual
async def test_task_and_service_exclude_each_other(connect: Connect) -> None:
    """A subscription is for a task or for a service."""
    with pytest.raises(InvalidArgument, match="service='solve': give a task or"):
        await connect(Scripted()).subscribe(print, task="t1", service="solve")


@virtual
@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"task": "{"}, "token="),
        ({"task": 5}, "token=5: give a task's token or its id"),
        ({"service": 5}, "service=5: give the name of a service"),
    ],
    ids=str,
)
async def test_subscribing_to_nonsense_leaves_nothing(
    connect: Connect, wrong: dict[str, Any], complaint: str
) -> None:
    """What is no task and no service is refused before anything is registered."""
    client = connect(Scripted())
    with pytest.raises(InvalidArgument, match=f"^{complaint}"):
        await client.subscribe(print, **wrong)

    assert await client.start_subscriber_transport() is not None


@virtual
async def test_transport_task_ends_with_the_client(connect: Connect) -> None:
    """Starting gives the task, then None; it ends when the client is closed."""
    async with connect(Scripted()) as client:
        transport = await client.start_subscriber_transport()

        assert transport is not None
        assert await client.start_subscriber_transport() is None

        await client.subscribe(print)

        assert not transport.done()

    assert transport.done()


class BrokenDice(random.Random):
    """Dice that always break."""

    def random(self) -> float:
        raise ZeroDivisionError


@virtual
async def test_accepted_task_is_not_lost_with_the_watcher(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A watcher that is out of order keeps no submit from returning its handle."""
    client = connect(Scripted(t9="running"))
    subscription = await client.subscribe(print)
    hub_of(client).watcher.pace._dice = BrokenDice()
    for _ in range(2):
        with pytest.raises(InvalidState, match="the watcher crashed;"):
            await client.handle("t9").wait()
    with pytest.raises(InvalidState, match="the watcher crashed twice"):
        await client.subscribe(print, task="t9")
    task = await client.submit("solve")

    assert "t1" == task.id
    assert not subscription.closed
    assert "task t1 is not followed: the watcher crashed twice" in caplog.text


@virtual
async def test_stats_say_what_was_done(connect: Connect) -> None:
    """The client counts its looks and results."""
    client = connect(Scripted(t1=("running", "completed")))
    await client.result("t1")
    stats = client.stats()

    assert (2, 1, 1) == (stats.looks, stats.finished, stats.fetched)


# --- resources ---------------------------------------------------------------


@virtual
async def test_tasks_are_rows(connect: Connect, simulator: Simulator) -> None:
    """The task list is read, counted and cleared with the verbs of resources."""
    client = connect(simulator)
    tasks = [await client.submit("echo", {"x": n}) for n in range(3)]
    for task in tasks:
        await task

    assert [task.id for task in tasks] == [
        row["id"] async for row in client.select("tasks", page_size=2)
    ]
    assert 2 == len(await client.select("tasks", limit=2))
    assert 3 == await client.count("tasks")

    row = await client.select_one("tasks", tasks[0].id)

    assert row is not None
    assert "completed" == row["state"]
    assert await client.delete_one("tasks", tasks[0].id)
    assert not await client.delete_one("tasks", tasks[0].id)
    assert await client.select_one("tasks", tasks[0].id) is None


@virtual
@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("insert", ({},)),
        ("update", ("key", {})),
        ("upsert", ({},)),
        ("delete", ({},)),
    ],
)
async def test_verb_that_the_service_has_not(
    connect: Connect, verb: str, arguments: tuple[Any, ...]
) -> None:
    """The error names what the service has; nothing was sent."""
    service = Scripted()
    with pytest.raises(UnsupportedOperation) as caught:
        await getattr(connect(service), verb)("tasks", *arguments)

    assert (
        f"AIMMS v2 (local) has no {verb}('tasks'); it has: count('tasks'), "
        "delete_one('tasks'), select('tasks'), select_one('tasks')"
    ) == str(caught.value)
    assert 0 == service.calls.total()


def test_rows_that_the_service_has_not() -> None:
    """An unknown resource is refused where it is named, before anything is awaited."""
    with pytest.raises(UnsupportedOperation, match=r"has no select\('rooms'\)"):
        AimmsClient.local().select("rooms")


@attrs.frozen(kw_only=True)
class Writable(AimmsDialect):
    """A dialect whose service has the verbs that AIMMS lacks."""

    @property
    def capabilities(self) -> Capabilities:
        verbs = frozenset({"insert", "update", "upsert", "delete"})
        return Capabilities(reconcile=Reconcile.NONE, resources={"rooms": verbs})

    def insert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        return self._say("insert", row)

    def update(
        self, resource: str, key: str, row: Mapping[str, Any]
    ) -> Flow[Mapping[str, Any]]:
        return self._say(f"update {key}", row)

    def upsert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        return self._say("upsert", row)

    def delete_rows(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        said = yield from self._say("delete", where)
        return len(said)

    def _say(self, verb: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        yield Request("GET", "/api/v2/tasks/x")
        return {"verb": verb, **row}


@virtual
async def test_writing_verbs_are_the_dialects() -> None:
    """Where the service has them, rows are written through the same client."""
    dialect = Writable(hosted=False, version="v2", root="/api/v2")
    transport: Transport = MemoryTransport(Scripted(x="running"))
    async with TaskClient(
        dialect, "http://localhost", NoAuth(), {"transport": transport}
    ) as client:
        assert {"verb": "insert", "a": 1} == await client.insert("rooms", {"a": 1})
        assert {"verb": "update k", "a": 1} == await client.update(
            "rooms", "k", {"a": 1}
        )
        assert {"verb": "upsert"} == await client.upsert("rooms", {})
        assert 2 == await client.delete("rooms", {"a": 1})


@virtual
async def test_submit_of_any_dialect() -> None:
    """The generic client submits, runs and cleans up as its subclasses do."""
    dialect = AimmsDialect.local()
    transport: Transport = MemoryTransport(Scripted(t1="completed"))
    async with TaskClient(
        dialect, "http://localhost", NoAuth(), {"transport": transport}
    ) as client:
        assert {"answer": 42} == await client.run("solve", {"x": 1})


@virtual
async def test_own_flows_are_driven(connect: Connect) -> None:
    """A flow of the dialect that the client has no verb for can be driven."""
    client = connect(Scripted())
    dialect = client.dialect
    assert isinstance(dialect, AimmsDialect)
    response = await client.drive(dialect.echo(b"", None, 0))

    assert 200 == response.status


@virtual
async def test_runs_are_paced_by_the_poll_policy(connect: Connect) -> None:
    """Looking for new runs waits as looking at tasks does."""
    begun = now()
    runs = [
        run async for run in connect(Scripted(t1="completed")).recurring("t1").runs()
    ]

    assert (1, 3.0) == (len(runs), round(now() - begun, 3))
