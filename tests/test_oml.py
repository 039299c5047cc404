"""The client for Oracle Machine Learning, against the simulated service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import json
import logging
from pathlib import Path
from typing import Any
import warnings

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
    SubmitOutcomeUnknown,
    TaskCancelled,
    TaskFailed,
    UnsupportedOperation,
    UntrustedUrl,
)
from asynctasks.oml import OmlClient, decode_images, rows_of
from asynctasks.sansio.auth import api_key
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.server.app import LocalServer
from asynctasks.server.context import TaskContext
from asynctasks.server.oml.calls import OmlQuirks
from asynctasks.server.oml.service import OmlService
from asynctasks.server.oml.tables import Row
from asynctasks.server.oml.tokens import Tokens
from asynctasks.server.simulator import Simulator
from asynctasks.server.worker import Worker
from asynctasks.testing import MemoryTransport, build_simulator


BASE = "https://db.example"

USER: dict[str, Any] = {"username": "OMLUSER", "password": "PASSWORD-canary"}

IRIS = "select * from IRIS"

POLL = PollPolicy(wait_initial=0.01, wait_max=0.05)

PATIENT: dict[str, Any] = {"poll": PollPolicy(wait_max=60.0)}
"""For hours of virtual time."""


async def nap(inputs: dict[str, float]) -> dict[str, float]:
    """Sleep without looking up in between, as hours of virtual time need it."""
    await asyncio.sleep(inputs["seconds"])
    return inputs


class Service:
    """An OML service in memory, and what was asked of it."""

    def __init__(self, *, parallel: int = 2, **quirks: Any) -> None:
        self.simulator: Simulator = build_simulator(parallel=parallel)
        self.simulator.service("nap", nap)
        numbers = iter(range(1, 1000))
        self.tokens = Tokens(lambda: f"TOKEN-canary-{next(numbers)}")
        oml = OmlService(self.simulator, self.tokens, quirks=OmlQuirks(**quirks))
        self.worker = Worker(self.simulator, oml)
        self.asked: list[Request] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        self.before: Callable[[Request], Response | None] = lambda _: None
        self.transport = MemoryTransport(self.answer)

    async def answer(self, request: Request) -> Response:
        """Answer; a test may say something else before."""
        self.asked.append(request)
        response = self.before(request) or await self.worker.handle(request)
        self.answers[request.method, response.status] += 1
        return response

    def grants(self) -> list[str]:
        """Return the kinds of the tokens that were asked for."""
        bodies = [
            json.loads(each.body)
            for each in self.asked
            if each.path.endswith("/token") and isinstance(each.body, bytes)
        ]
        return [body["grant_type"] for body in bodies]


@asynccontextmanager
async def serving(
    *, client: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Service, OmlClient]]:
    """Run a service and a client of it."""
    service = Service(**options)
    given = {**USER, "transport": service.transport, "poll": POLL, **(client or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = OmlClient(f"{BASE}/oml/", **given)
    try:
        async with made:
            yield service, made
    finally:
        await service.worker.aclose()


@pytest.fixture
async def both() -> AsyncIterator[tuple[Service, OmlClient]]:
    """Provide a service and a client of it."""
    async with serving() as made:
        yield made


@pytest.fixture
def service(both: tuple[Service, OmlClient]) -> Service:
    """Provide the service."""
    return both[0]


@pytest.fixture
def client(both: tuple[Service, OmlClient]) -> OmlClient:
    """Provide the client."""
    return both[1]


# --- making one --------------------------------------------------------------


def test_v1_warns_once() -> None:
    """The deprecated version is said to be so when a client is made of it."""
    with pytest.warns(DeprecationWarning, match="use v2") as caught:
        client = OmlClient(BASE, **USER, api_version="v1")

    assert [__file__] == [warning.filename for warning in caught]
    assert "<OmlClient OML4Py v1 at https://db.example>" == repr(client)


@pytest.mark.parametrize(
    "given",
    [{}, {"username": "ME"}, {**USER, "token": "t"}, {"token": ""}],
    ids=["none", "no password", "both", "empty"],
)
def test_unusable_credentials(given: dict[str, Any]) -> None:
    """A client needs a token, or a user name and a password."""
    with pytest.raises(InvalidArgument):
        OmlClient(BASE, **given)


def test_user_and_token_of_a_callable() -> None:
    """A user name beside a token makes no sense, whatever the token."""

    async def fetch() -> str:
        raise AssertionError

    with pytest.raises(InvalidArgument, match="or a token"):
        OmlClient(BASE, username="ME", token=fetch)


def test_no_password_in_the_clear() -> None:
    """A password does not travel over plain http to another machine."""
    with pytest.raises(InvalidArgument, match="https"):
        OmlClient("http://db.example/oml/", **USER)


# --- scripts -----------------------------------------------------------------


def mean(dat: list[Row], column: str) -> float:
    return round(sum(row[column] for row in dat) / len(dat), 3)


def square(index: int) -> int:
    return index * index


async def test_seed_example(client: OmlClient) -> None:
    """The documented group-apply gives the documented columns."""
    task = await client.group_apply(
        "group_count",
        {"oml_input_type": "pandas.DataFrame"},
        query=IRIS,
        group_by="Species",
        order_by="Sepal_Length",
        parallel=True,
    )
    result = await task.result()

    assert {
        "SEPAL_LENGTH": {"0": 5.7},
        "SPECIES": {"0": "versicolor"},
        "COUNT": {"0": 5},
    } == result["versicolor_8"]
    assert 150 == sum(row["COUNT"] for row in rows_of(result))
    assert TaskState.SUCCEEDED is (await task.status()).state


async def test_typed_calls(service: Service, client: OmlClient) -> None:
    """Each function of the service runs a script over what it is for."""
    service.simulator.service("mean", mean)
    service.simulator.service("square", square)
    column = {"column": "SEPAL_LENGTH"}
    tasks = [
        await client.do_eval("echo", {"a": 1}),
        await client.table_apply("mean", column, query=IRIS),
        await client.row_apply("mean", column, query=IRIS, rows=50, parallel=4),
        await client.group_apply("mean", column, query=IRIS, group_by=["SPECIES"]),
        await client.index_apply("square", times=3, service_level="HIGH"),
    ]

    assert [
        {"a": 1},
        5.843,
        [5.006, 5.936, 6.588],
        {"setosa": 5.006, "versicolor": 5.936, "virginica": 6.588},
        [1, 4, 9],
    ] == await asyncio.gather(*tasks)


async def test_run(client: OmlClient) -> None:
    """The general verbs take the same options."""
    result = await client.run(
        "echo", {"a": 1}, service_level="LOW", time_limit=1800, timeout=5
    )

    assert {"a": 1} == result


async def test_call(service: Service, client: OmlClient) -> None:
    """A synchronous call returns what the script returns, and leaves no job."""
    service.simulator.service("square", square)

    assert {"a": 1} == await client.call("echo", {"a": 1})
    assert [1, 4] == await client.call("square", function="index-apply", times=2)
    assert 0 == await client.count("tasks")


async def test_call_that_fails(client: OmlClient) -> None:
    """A script that fails is told with its words and its name."""
    with pytest.raises(TaskFailed, match="task fail failed: no luck"):
        await client.call("fail", {"message": "no luck"})


@pytest.mark.virtual_time
async def test_call_that_is_cut_off() -> None:
    """What takes longer than the server holds a connection has an open outcome."""
    async with serving() as (service, client):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(SubmitOutcomeUnknown, match="cut the connection"):
            await client.call("nap", {"seconds": 500})

        assert 120 == pytest.approx(asyncio.get_running_loop().time() - begun, abs=1)
        assert 1 == service.simulator.submissions.total()


async def test_local_checks(service: Service, client: OmlClient) -> None:
    """What the service would refuse is refused before anything is sent."""
    refused = [
        client.submit("f", function="row-apply", query=IRIS),
        client.submit("f", time_limit=300),
        client.do_eval("f", service_level="ULTRA"),
        client.index_apply("f", times=0),
        client.submit("../jobs"),
        client.call("f", comments="why"),
        client.submit("f", [1]),  # type: ignore[arg-type]
    ]
    for each in refused:
        with pytest.raises(InvalidArgument):
            await each
    with pytest.raises(UnsupportedOperation):
        await client.submit("f", content="text")

    assert [] == service.asked


async def test_images(client: OmlClient) -> None:
    """Images of a script are decoded to bytes when asked for."""
    task = await client.do_eval("RandomRedDots", {"num_dots": 3}, graphics=True)
    (image,) = decode_images(await task)

    assert image.content.startswith(b"\x89PNG")
    assert [0.0, 0.01, 0.02] == [row["val"] for row in image.data]


async def test_comments(client: OmlClient) -> None:
    """The description of a job can be read when it is over."""
    task = await client.do_eval("echo", {}, comments="nightly")
    await task

    assert "nightly" == await client.comments(task)
    assert "nightly" == await client.comments(task.token)


@pytest.mark.parametrize("quirks", [{"semicolon": True}, {"location": True}])
async def test_quirks(quirks: dict[str, Any]) -> None:
    """A semicolon after the Location, and a Location on the 302, do no harm."""
    async with serving(**quirks) as (_, client):
        assert {"a": 1} == await client.run("echo", {"a": 1})


async def test_download(client: OmlClient, tmp_path: Path) -> None:
    """A file has the answer of the service, envelope and all."""
    task = await client.do_eval("echo", {"a": 1})
    path = await task.download(tmp_path / "result.json")

    assert {"result": {"a": 1}} == json.loads(path.read_bytes())


async def test_failure_is_no_download(client: OmlClient, tmp_path: Path) -> None:
    """The words of a failed script are no result to be saved."""
    task = await client.do_eval("fail", {"message": "no luck"})
    with pytest.raises(TaskFailed, match="no luck") as caught:
        await task.download(tmp_path / "result.json")

    assert task.token == caught.value.token
    assert not (tmp_path / "result.json").exists()


@pytest.mark.virtual_time
async def test_time_limit() -> None:
    """A job that runs for longer than it may is told to have failed so."""
    async with serving(client=PATIENT) as (_, client):
        task = await client.do_eval("nap", {"seconds": 4000}, time_limit=1800)
        with pytest.raises(TaskFailed, match="timed out after 1800 seconds"):
            await task


async def test_cancelled_elsewhere(client: OmlClient) -> None:
    """A job that somebody else cancelled fails, with the service's words."""
    task = await client.do_eval("sleep", {"seconds": 60})
    await client.handle(task.token).cancel()
    with pytest.raises(TaskFailed, match="cancelled"):
        await client.handle(task.token)
    await task.cancel()
    with pytest.raises((TaskCancelled, TaskFailed)):
        await task


async def test_other_resources(client: OmlClient) -> None:
    """Scripts, environments, versions and preloads are rows."""
    scripts = {row["name"] for row in await client.select("scripts")}
    (environment,) = await client.select("environments")
    name = environment["name"]
    await client.insert("preloads", {"envName": name})

    assert {"group_count", "RandomRedDots", "echo"} <= scripts
    assert ["v1", "v2"] == [row["version"] for row in await client.select("versions")]
    assert [name] == [row["envName"] for row in await client.select("preloads")]
    assert [True, False] == [
        await client.delete_one("preloads", name) for _ in range(2)
    ]


# --- hostile links -----------------------------------------------------------

EVIL = [
    "https://evil.example/oml/api/py-scripts/v2/jobs/J1",
    "//evil.example/jobs/J1",
    "https://db.example:8443/jobs/J1",
    "https://db.example@evil.example/jobs/J1",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("link", EVIL)
async def test_foreign_location(service: Service, client: OmlClient, link: str) -> None:
    """A job whose URL is elsewhere may run, but nothing is asked there."""
    created = Response(201, Headers({"Location": link}))
    service.before = lambda request: created if "/do-eval/" in request.path else None
    with pytest.raises(SubmitOutcomeUnknown) as caught:
        await client.submit("echo")

    assert isinstance(caught.value.cause, UntrustedUrl)
    assert {"https://db.example"} == {
        each.url[:18] for each in service.transport.requests
    }


@pytest.mark.parametrize("link", EVIL)
async def test_foreign_result(service: Service, client: OmlClient, link: str) -> None:
    """A result that is elsewhere is not fetched."""
    over = Response(302, Headers({"Content-Location": link, "Location": link}))
    service.before = lambda request: over if "/jobs/" in request.path else None
    task = await client.submit("echo")
    with pytest.raises(UntrustedUrl):
        await task.result()

    assert not [each for each in service.asked if each.path.endswith("/result")]


# --- tokens ------------------------------------------------------------------


async def test_one_sign_in(service: Service, client: OmlClient) -> None:
    """However many begin at once, one token is fetched."""
    await asyncio.gather(*[client.run("echo", {"a": n}) for n in range(20)])

    assert ["password"] == service.grants()


@pytest.mark.virtual_time
async def test_long_batch() -> None:
    """Over a day, tokens are refreshed, and after eight hours the password is used."""
    async with serving(parallel=4, client=PATIENT) as (service, client):
        jobs = {"seconds": 12 * 3600 - 1}
        results = await asyncio.gather(
            *[
                client.run("nap", jobs, time_limit=43200, timeout=2 * 86400)
                for _ in range(8)
            ]
        )

        assert [jobs] * 8 == results
        assert Counter(refresh_token=27, password=4) == Counter(service.grants())
        assert 0 == service.answers["GET", 401]


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("revoked", "grants"),
    [
        (False, ["password", "refresh_token"]),
        (True, ["password", "refresh_token", "password"]),
    ],
)
async def test_401_among_500_open_tasks(
    revoked: bool, grants: list[str], version: str
) -> None:
    """However many tasks are open, one refresh serves them all; none is lost."""
    options = {**PATIENT, "api_version": version}
    async with serving(parallel=500, client=options) as (service, client):
        tasks = [await client.submit("nap", {"seconds": 60}) for _ in range(500)]
        waiting = asyncio.gather(*[task.result() for task in tasks])
        await asyncio.sleep(5)
        spoil(service, revoked=revoked)

        assert [{"seconds": 60}] * 500 == await waiting
        assert grants == service.grants()
        refused = service.answers["GET", 401]
        assert 0 < refused <= 64  # one for each request that was under way
        assert 500 == service.simulator.submissions.total()


def spoil(service: Service, *, revoked: bool) -> None:
    """Have the present token refused, for all but a refresh if it is not revoked."""
    if revoked:
        service.tokens.revoke_all()
        return
    refused = Response(401, body=b'{"errorMessage":"The token has expired."}')

    def refuse(request: Request) -> Response | None:
        scripts = request.path.startswith("/oml/")
        return refused if scripts and request.headers.get(NAME) in spoiled else None

    spoiled = {each.headers.get(NAME, "") for each in service.asked} - {""}
    service.before = refuse


NAME = "Authorization"


async def test_wrong_password(service: Service, client: OmlClient) -> None:
    """A password that is refused is said at once, and not tried for ever."""
    service.before = lambda _: Response(401, body=b'{"errorMessage":"wrong"}')
    with pytest.raises(AuthenticationFailed, match="wrong"):
        await client.submit("echo")

    assert ["password"] == service.grants()


async def test_ready_token() -> None:
    """A token that was had elsewhere is used as it is."""
    async with serving() as (service, client):
        await client.run("echo", {})
        token = service.asked[-1].headers[NAME].removeprefix("Bearer ")
        del service.asked[:]
        other = OmlClient(BASE, token=token, transport=service.transport)

        assert {"a": 1} == await other.run("echo", {"a": 1})
        assert [] == service.grants()


async def test_token_of_a_callable() -> None:
    """A token may be fetched by a callable, which cannot be revoked here."""
    async with serving() as (service, client):
        await client.run("echo", {})
        token = service.asked[-1].headers[NAME].removeprefix("Bearer ")

        async def fetch() -> str:
            return token

        other = OmlClient(BASE, token=fetch, transport=service.transport)

        assert {"a": 1} == await other.run("echo", {"a": 1})
        with pytest.raises(InvalidArgument, match="this client manages"):
            await other.revoke()


async def test_revoke(service: Service, client: OmlClient) -> None:
    """A revoked token is gone; the next request signs in again."""
    assert not await client.revoke()
    await client.run("echo", {})

    assert await client.revoke()
    assert {"a": 1} == await client.run("echo", {"a": 1})
    assert ["password"] * 2 == service.grants()


async def test_views(client: OmlClient) -> None:
    """A view with other credentials is refused for itself."""
    stranger = client.with_auth(api_key("wrong"))

    with pytest.raises(AuthenticationFailed):
        await stranger.submit("echo")
    assert {} == await client.run("echo", {})


async def test_secrets_are_not_shown(
    service: Service, client: OmlClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither logs nor errors show a password or a token."""
    caplog.set_level(logging.DEBUG, "asynctasks")
    task = await client.do_eval("fail")
    errors: list[BaseException] = []
    with pytest.raises(TaskFailed) as failed:
        await task
    errors.append(failed.value)
    service.tokens.revoke_all()
    service.before = lambda request: (
        Response(200, body=b'{"accessToken":"TOKEN-canary-X"')
        if request.path.endswith("/token")
        else None
    )
    with pytest.raises(RemoteProtocolError) as garbled:
        await client.count("scripts")
    errors.append(garbled.value)

    shown = caplog.text + "".join(f"{e} {e!r} {vars(e)}" for e in errors)
    assert "canary" not in shown + repr(client) + task.token


# --- over a socket -----------------------------------------------------------


async def test_cookie_is_not_kept() -> None:
    """The session's cookie is not sent back: every request has its token."""
    cookies: list[str | None] = []
    async with LocalServer() as server:

        @server.service("look")
        def look(inputs: Any, task: TaskContext) -> Any:
            return task.task_id

        handle = server._handle

        async def spy(request: Any) -> Response:
            cookies.append(request.headers.get("Cookie"))
            return await handle(request)

        server._handle = spy  # type: ignore[method-assign]
        async with OmlClient(f"{server.url}/oml/", **USER, poll=POLL) as client:
            assert await client.run("look", {})
            assert 200 <= len(str(await client.select("versions")))

    assert {None} == set(cookies)
    assert 4 <= len(cookies)


async def test_compressed_answer() -> None:
    """A long result is compressed on the way, and read all the same."""
    async with (
        LocalServer() as server,
        OmlClient(server.url, **USER, poll=POLL) as client,
    ):
        text = "x" * 100_000

        assert {"a": text} == await client.run("echo", {"a": text})


async def test_loopback_of_a_v1_client() -> None:
    """The deprecated version works to its end."""
    async with LocalServer() as server:
        with pytest.warns(DeprecationWarning, match="v1"):
            client = OmlClient(server.url, **USER, api_version="v1", poll=POLL)
        async with client:
            task = await client.submit("echo", {"a": 1})

            assert 36 == len(task.id)
            assert {"a": 1} == await task
            with pytest.raises(UnsupportedOperation):
                await client.comments(task)
