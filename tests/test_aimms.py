"""The client for AIMMS, with what only AIMMS has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from asynctasks.aimms import AimmsClient, read_api_key
from asynctasks.config import Profile
from asynctasks.exceptions import (
    AuthenticationFailed,
    ConfigError,
    InvalidArgument,
    UnsupportedOperation,
)
from asynctasks.handle import TaskHandle
from asynctasks.recurring import RecurringTask
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.auth import Secret
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.server.context import TaskContext
from asynctasks.server.simulator import Simulator
from asynctasks.testing import MemoryTransport, build_simulator
from tests.scripted import Scripted
from tests.timing import MS


virtual = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)


@pytest.fixture
def simulator() -> Simulator:
    """Provide a world whose services are awaited on the test's own clock."""
    simulator = build_simulator()

    @simulator.service("solve")
    async def solve(inputs: Any, task: TaskContext) -> dict[str, Any]:
        task.log("it begins")
        task.publish({"gap": 0.5})
        with task.solving():
            for _ in range(3600):
                await asyncio.sleep(1)
                if task.stop_requested:
                    break
        return {"interrupted": True}

    @simulator.service("echo")
    async def echo(inputs: Any) -> Any:
        return inputs

    return simulator


@pytest.fixture
async def transport(simulator: Simulator) -> AsyncIterator[MemoryTransport]:
    """Provide the world, whose cloud wants a key."""
    async with MemoryTransport(simulator, api_key="secret") as transport:
        yield transport


@pytest.fixture
async def cloud(transport: MemoryTransport) -> AsyncIterator[AimmsClient]:
    """Provide a client of the cloud."""
    async with AimmsClient.cloud(
        "acme",
        app="Scheduling",
        version="007",
        api_key="secret",
        transport=transport,
        poll=EVERY_SECOND,
    ) as client:
        yield client


@pytest.fixture
async def local(transport: MemoryTransport) -> AsyncIterator[AimmsClient]:
    """Provide a client of the local server."""
    async with AimmsClient.local(transport=transport, poll=EVERY_SECOND) as client:
        yield client


def dialect_of(client: AimmsClient) -> AimmsDialect:
    assert isinstance(client.dialect, AimmsDialect)
    return client.dialect


def last_request(transport: MemoryTransport) -> Request:
    return transport.requests[-1]


# --- where it is -------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "origin", "root"),
    [
        ("acme", "https://acme.aimms.cloud", "/pro-api/v2"),
        ("acme-2", "https://acme-2.aimms.cloud", "/pro-api/v2"),
        ("https://aimms.example/", "https://aimms.example", "/pro-api/v2"),
        ("https://aimms.example/pro-api/v2", "https://aimms.example", "/pro-api/v2"),
        ("https://x.example/a/pro-api/v2/", "https://x.example", "/a/pro-api/v2"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/pro-api/v2"),
    ],
)
def test_cloud_is_named_by_account_or_url(account: str, origin: str, root: str) -> None:
    """An account is a name below aimms.cloud; a URL is taken as it is."""
    client = AimmsClient.cloud(account, app="A", api_key="secret")

    assert (origin, root) == (client.origin, dialect_of(client).root)


@pytest.mark.parametrize(
    "account", ["", "acme.aimms.cloud", "a/b", "acme\n", "ácme", "https://", "a b"]
)
def test_account_that_is_none(account: str) -> None:
    """The error says what an account is."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.cloud(account, app="A", api_key="secret")

    assert "account" == caught.value.name


@pytest.mark.parametrize(
    ("url", "origin", "root"),
    [
        (8080, "http://localhost:8080", "/api/v2"),
        ("http://localhost:9000/", "http://localhost:9000", "/api/v2"),
        ("http://127.0.0.1/api/v2", "http://127.0.0.1", "/api/v2"),
        ("http://[::1]:8080/x", "http://[::1]:8080", "/x/api/v2"),
    ],
)
def test_local_is_named_by_port_or_url(url: str | int, origin: str, root: str) -> None:
    """A local server is a port of this machine, or a URL."""
    client = AimmsClient.local(url)

    assert (origin, root) == (client.origin, dialect_of(client).root)
    assert "http://localhost:8080" == AimmsClient.local().origin


@pytest.mark.parametrize("port", [0, -1, 65_536, True])
def test_port_that_cannot_be(port: int) -> None:
    """Nothing listens there; it is refused before a request is."""
    with pytest.raises(InvalidArgument, match=f"^url={port}: give a URL, or a port"):
        AimmsClient.local(port)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"api_version": "v3"}, "api_version"),
        ({"app": "../x"}, "app"),
        ({"version": ""}, "version"),
        ({"version": 7}, "version"),
        ({"api_key": ""}, "apiKey"),
        ({"api_key": "secret\n"}, "apiKey"),
        ({"api_key": 3}, "apiKey"),
    ],
)
def test_cloud_argument_that_cannot_be_used(
    arguments: dict[str, Any], name: str
) -> None:
    """The error names the argument, and shows no key."""
    given: dict[str, Any] = {"app": "A", "api_key": "secret", **arguments}
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.cloud("acme", **given)

    assert name == caught.value.name
    assert "secret" not in str(caught.value)


@virtual
async def test_version_stays_text(
    cloud: AimmsClient, transport: MemoryTransport
) -> None:
    """The version 007 is not the version 7."""
    await cloud.submit("echo", {})

    assert "/pro-api/v2/tasks/Scheduling/007/echo" == last_request(transport).url[24:]


@virtual
async def test_view_of_another_app(
    cloud: AimmsClient, transport: MemoryTransport
) -> None:
    """A view submits to another app; without a version to the latest."""
    await cloud.app("Routing").submit("echo", {})

    assert last_request(transport).path.endswith("/tasks/Routing/echo")


def test_local_server_has_no_other_app() -> None:
    """A local server serves one application."""
    with pytest.raises(InvalidArgument, match="a local server has one application"):
        AimmsClient.local().app("Routing")


# --- keys --------------------------------------------------------------------


def key_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "apikey.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        '{"apiKey": "secret"}',
        '{"APIKEY": "secret", "note": 1}\n',
        "secret",
        "  secret\r\n",
        "\ufeffsecret",
        '\ufeff{"apikey": "secret"}',
    ],
)
def test_key_file(tmp_path: Path, text: str) -> None:
    """A key file holds a JSON object or the bare key, as editors write them."""
    assert Secret("secret") == read_api_key(key_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no apiKey"),
        ("{}", "holds no apiKey"),
        ('{"apiKey": ""}', "holds no apiKey"),
        ('{"apiKey": 7}', "holds no apiKey"),
        ('{"apiKey": "secret"', "is not JSON"),
    ],
)
def test_key_file_that_holds_none(tmp_path: Path, text: str, reason: str) -> None:
    """The error names the file and what to write, not what is in it."""
    path = key_file(tmp_path, text)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_api_key(path)

    assert str(path) == caught.value.source
    assert 'write {"apiKey": "..."}' in str(caught.value)
    assert "secret" not in str(caught.value)


def test_key_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The error names the file and the reason."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=f"{path.name}: cannot be read: "):
            read_api_key(path)


async def fetch_key() -> str:
    return "secret"


@pytest.mark.parametrize("kind", ["text", "secret", "callable", "path"])
async def test_key_may_come_from_anywhere(
    transport: MemoryTransport, tmp_path: Path, kind: str
) -> None:
    """A key is text, a Secret, an async callable or the path of a file."""
    keys: dict[str, Any] = {
        "text": "secret",
        "secret": Secret("secret"),
        "callable": fetch_key,
        "path": key_file(tmp_path, '{"apiKey": "secret"}'),
    }
    client = AimmsClient.cloud("acme", app="A", api_key=keys[kind], transport=transport)
    async with client:
        assert 0 == await client.count("tasks")


async def test_key_file_is_read_again_after_a_refusal(
    transport: MemoryTransport, tmp_path: Path
) -> None:
    """A key that was replaced on disk is taken up without a new client."""
    path = key_file(tmp_path, "old")
    client = AimmsClient.cloud("acme", app="A", api_key=path, transport=transport)
    async with client:
        with pytest.raises(AuthenticationFailed):
            await client.count("tasks")
        key_file(tmp_path, "secret")

        assert 0 == await client.count("tasks")


@virtual
async def test_local_server_gets_no_key(
    local: AimmsClient, transport: MemoryTransport
) -> None:
    """A local server would take a request with a key for one of the cloud."""
    await local.count("tasks")

    assert "apiKey" not in last_request(transport).headers


# --- submits -----------------------------------------------------------------


@virtual
@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, {}),
        (
            {"schedule_for": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)},
            {"scheduleFor": ["2030-01-02 03:04:05.000 +00:00"]},
        ),
        ({"schedule_in": 90}, {"scheduleIn": ["P0DT0H1M30S"]}),
        ({"schedule_in": timedelta(days=1)}, {"scheduleIn": ["P1DT0H0M0S"]}),
        ({"schedule_in": "1 day"}, {"scheduleIn": ["1 day"]}),
    ],
    ids=["now", "for", "seconds", "timedelta", "text"],
)
async def test_submit_may_be_scheduled(
    cloud: AimmsClient,
    transport: MemoryTransport,
    options: dict[str, Any],
    query: dict[str, list[str]],
) -> None:
    """A time or a duration goes into the query; a handle comes back."""
    task = await cloud.submit("echo", {}, **options)

    assert isinstance(task, TaskHandle)
    assert query == parse_qs(last_request(transport).query)


@virtual
async def test_scheduled_task_waits_for_its_time(cloud: AimmsClient) -> None:
    """A task for later ends later."""
    begun = asyncio.get_running_loop().time()
    task = await cloud.submit("echo", {"x": 1}, schedule_in=timedelta(minutes=5))

    assert {"x": 1} == await task
    assert 300 <= asyncio.get_running_loop().time() - begun < 302


@virtual
async def test_hook_is_named_in_a_header(
    cloud: AimmsClient, transport: MemoryTransport
) -> None:
    """The URL that the service shall call is sent with the submit."""
    await cloud.submit("echo", {}, task_state_hook="http://127.0.0.1:9/hook")

    assert "http://127.0.0.1:9/hook" == last_request(transport).headers["taskStateHook"]


@virtual
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"schedule_for": datetime(2030, 1, 2)}, "schedule_for"),  # noqa: DTZ001 - the point
        ({"schedule_in": 0}, "schedule_in"),
        ({"schedule_every": timedelta(-1)}, "schedule_every"),
        ({"task_state_hook": "hook"}, "task_state_hook"),
        ({"task_state_hook": "http://x/\n"}, "task_state_hook"),
    ],
)
async def test_schedule_that_cannot_be_said(
    cloud: AimmsClient,
    transport: MemoryTransport,
    options: dict[str, Any],
    name: str,
) -> None:
    """The error names the option; nothing was sent."""
    with pytest.raises(InvalidArgument) as caught:
        await cloud.submit("echo", {}, **options)

    assert (name, []) == (caught.value.name, transport.requests)


@virtual
async def test_local_server_schedules_nothing(local: AimmsClient) -> None:
    """The local server has plain submits only, and that is said."""
    with pytest.raises(UnsupportedOperation, match="has no schedule_in; it has: plain"):
        await local.submit("echo", {}, schedule_in=5)


@virtual
async def test_recurring_task(cloud: AimmsClient) -> None:
    """Each run is a task of its own; stopping ends the recurrence."""
    recurring = await cloud.submit("echo", {"x": 1}, schedule_every=60)

    assert isinstance(recurring, RecurringTask)

    again = cloud.recurring(recurring.token)
    seen: list[Any] = []
    async for run in again.runs():
        if run.ref.run == 3:
            await recurring.stop()
        else:
            seen.append((run.ref.run, await run))

    assert [(0, {"x": 1}), (1, {"x": 1}), (2, {"x": 1})] == seen


# --- what else a task has ----------------------------------------------------


async def started(client: AimmsClient) -> TaskHandle:
    """Submit a solve that does not end by itself, and wait until it runs."""
    task = await client.submit("solve", {})
    async for status in task.updates():
        if status.word == "solving":
            break
    return task


@virtual
async def test_interrupted_solve_completes(
    cloud: AimmsClient, local: AimmsClient
) -> None:
    """The rest of the procedure runs on; the local server says what it will do."""
    in_cloud, here = await started(cloud), await started(local)

    assert await cloud.interrupt(in_cloud) is None
    assert "interrupt-solve" == await local.interrupt(here.token)
    assert {"interrupted": True} == await in_cloud == await here
    assert "interrupt-processed" == await local.interrupt(here)


@virtual
async def test_interrupted_execution_fails(cloud: AimmsClient) -> None:
    """The task ends at once, as one that failed."""
    task = await started(cloud)
    await cloud.interrupt(task, "interrupt-execution")

    assert TaskState.FAILED is (await task.wait()).state


@virtual
async def test_unknown_interrupt(cloud: AimmsClient) -> None:
    """There are two ways to interrupt."""
    with pytest.raises(InvalidArgument, match="how='all': choose one of interrupt-exe"):
        await cloud.interrupt("t1", "all")


@virtual
async def test_logs_and_stats_of_the_cloud(cloud: AimmsClient) -> None:
    """The cloud has logs and statistics, and tells its version."""
    task = await started(cloud)
    (line,) = await cloud.logs(task)

    assert line.endswith("it begins")
    assert {"solving": 1} == await cloud.task_stats(current=True)
    assert {"solving": 1} == await cloud.task_stats()
    assert "v2.0" == await cloud.server_version()


async def test_log_file_of_the_cloud(cloud: AimmsClient, tmp_path: Path) -> None:
    """The log is streamed to a file."""
    task = await cloud.submit("solve", {})
    await asyncio.sleep(10 * MS)
    path = await cloud.download_log(task.token, tmp_path / "log.txt")

    assert path.read_text("utf-8").endswith("it begins\n")


@virtual
async def test_status_and_echo_of_the_local_server(local: AimmsClient) -> None:
    """The local server has the model's own status, and an echo."""
    task = await started(local)
    begun = asyncio.get_running_loop().time()

    assert {"gap": 0.5} == await local.intermediate_status(task)
    assert b'{"gap":0.5}' == await local.intermediate_status(task.id, decode="bytes")
    assert b"hello" == await local.echo(b"hello", content_type="text/plain", delay=2)
    assert 2.0 == round(asyncio.get_running_loop().time() - begun, 3)
    assert b"" == await local.echo()


@virtual
@pytest.mark.parametrize(
    ("deployment", "use"),
    [
        ("local", lambda client: client.logs("t1")),
        ("local", lambda client: client.download_log("t1", "log.txt")),
        ("local", lambda client: client.task_stats()),
        ("local", lambda client: client.server_version()),
        ("cloud", lambda client: client.intermediate_status("t1")),
        ("cloud", lambda client: client.echo()),
    ],
    ids=["logs", "log-file", "task_stats", "version", "status", "echo"],
)
async def test_operation_of_the_other_deployment(
    cloud: AimmsClient,
    local: AimmsClient,
    transport: MemoryTransport,
    deployment: str,
    use: Any,
) -> None:
    """What only the other one has is refused with that remedy; nothing is sent."""
    client = cloud if deployment == "cloud" else local
    other = "the local server" if deployment == "cloud" else "AIMMS PRO in the cloud"
    with pytest.raises(UnsupportedOperation, match=f"only {other}"):
        await use(client)

    assert [] == transport.requests


# --- profiles ----------------------------------------------------------------


def test_profile_of_the_cloud(tmp_path: Path) -> None:
    """A profile names account, app, version, key and clocks; options win."""
    profile = Profile(
        name="work",
        account="acme",
        app="Scheduling",
        version="007",
        api_key_file=key_file(tmp_path, "secret"),
        patience=60.0,
        attempt_timeout=5.0,
    )
    client = AimmsClient.from_profile(profile)
    dialect = dialect_of(client)

    assert ("https://acme.aimms.cloud", 60.0) == (client.origin, client.patience)
    assert ("Scheduling", "007") == (dialect.app, dialect.app_version)
    assert 9.0 == AimmsClient.from_profile(profile, patience=9.0).patience


def test_profile_of_this_machine() -> None:
    """A URL of this machine without an app is a local server."""
    here = Profile(name="here", url="http://localhost:9000", api_version="v1")
    bare = Profile(name="bare", deployment="local")

    assert "AIMMS v1 (local)" == AimmsClient.from_profile(here).dialect.title
    assert "http://localhost:8080" == AimmsClient.from_profile(bare).origin


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"app": "A", "api_key": "k"}, "it needs an account or a url"),
        ({"app": "A", "account": "acme"}, "needs a key"),
    ],
)
def test_profile_that_is_not_enough(settings: dict[str, Any], reason: str) -> None:
    """The error names the profile and what it lacks."""
    profile = Profile(name="work", **settings)
    with pytest.raises(ConfigError, match=reason) as caught:
        AimmsClient.from_profile(profile)

    assert "profile work" == caught.value.source


def test_profile_of_another_protocol() -> None:
    """A profile of another service is not taken for one of AIMMS."""
    profile = Profile(name="work", protocol="oml", url="https://adb.example")
    with pytest.raises(ConfigError, match="of Oracle Machine Learning, not of AIMMS"):
        AimmsClient.from_profile(profile)


# --- what the words mean to a wait -------------------------------------------


@virtual
@pytest.mark.parametrize("word", ["completed", "finished", "COMPLETED"])
async def test_words_of_either_version_end_a_wait(word: str) -> None:
    """Libraries of one version answer below the URL of the other."""
    async with AimmsClient.local(
        transport=MemoryTransport(Scripted(t1=word))
    ) as client:
        assert {"answer": 42} == await client.result("t1")


@pytest.mark.parametrize("account", [None, 5, b"acme"])
def test_account_that_is_no_text(account: Any) -> None:
    """The error says what an account is."""
    with pytest.raises(InvalidArgument, match=r"^account=.*: give the account's name"):
        AimmsClient.cloud(account, app="A", api_key="k")


@pytest.mark.parametrize(("app", "version"), [(5, None), ("", None), ("A", 7)])
async def test_view_of_what_is_no_application(app: Any, version: Any) -> None:
    """A wrong name is refused with the view, not with its first submit."""
    client = AimmsClient.cloud("acme", app="A", version="1", api_key="k")
    with pytest.raises(InvalidArgument, match=r"^(app|version)[=:].*must"):
        client.app(app, version)


@pytest.mark.parametrize(
    "wrong", [{"content": "text"}, {"delay": "5"}, {"delay": -1}], ids=str
)
async def test_echo_of_what_cannot_be_sent(wrong: dict[str, Any]) -> None:
    """It takes bytes and seconds."""
    client = AimmsClient.local(transport=MemoryTransport(lambda _: Response(200)))
    (name,) = wrong
    with pytest.raises(InvalidArgument, match=f"^{name}=.*: give"):
        await client.echo(**{"content": b"", **wrong})
