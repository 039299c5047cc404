"""
No server-given URL leads a request, or a credential, away; no id changes a path.

Every public method of every client is called against a service that hands out bad
links wherever a service may, and with ids that would climb if they could.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import inspect
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import pytest

from asynctasks import (
    AiohttpTransport,
    AsyncTasksError,
    PollPolicy,
    RetryPolicy,
    TaskState,
    TaskStatus,
    UntrustedUrl,
    Vantiq,
    VantiqException,
    VantiqOptions,
)
from asynctasks.sansio import codec
from asynctasks.sansio.dialect import Payload, Prepared
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.testing import MemoryTransport
from tests.every_method import (
    ACCESS_TOKEN,
    API_KEY,
    BEARER,
    CLIENTS,
    PASSWORD,
    TASK,
    Maker,
    call,
    calls_of,
    examples,
    methods_of,
)
from tests.faults.raw_server import RawServer, answer, never
from tests.timing import MS


HOME = "https://home.example"

SAME = {
    "relative": "other",
    "climbing": "../other",
    "absolute path": "/x/other",
    "absolute": f"{HOME}/x/other",
    "default port": f"{HOME}:443/x/other",
    "capitals": "HTTPS://HOME.example/x/other",
    "network path": "//home.example/x/other",
    "fragment": "/x/other#https://evil.example/",
    "query": "/x/other?next=https://evil.example/",
    "encoded dots": "/x/%2e%2e/other",
    "encoded slashes": "/%2F%2Fevil.example/other",
    "three slashes": "///evil.example/other",
    "empty": "",
}
"""Links to the service itself."""

FOREIGN = {
    "other host": "https://evil.example/x/other",
    "other host without scheme": "//evil.example/x/other",
    "other port": f"{HOME}:8443/x/other",
    "downgrade": "http://home.example/x/other",
    "downgrade with the port": "http://home.example:443/x/other",
    "home as user": "https://home.example@evil.example/x/other",
    "user at home": "https://user:password@home.example/x/other",
    "home as subdomain": "https://home.example.evil.example/x/other",
    "subdomain of home": "https://evil.home.example/x/other",
    "backslash": "https://home.example\\@evil.example/x/other",
    "backslashes": "\\\\evil.example\\other",
    "slash and backslash": "/\\evil.example/other",
    "line end": "/x\r\nX-Injected: yes",
    "tab": "ht\ttps://evil.example/other",
    "nul": "/x/\x00other",
    "line separator": "/x/\u2028other",
    "data": "data:text/plain,other",
    "file": "file:///etc/passwd",
    "script": "javascript:alert(1)",
    "websocket": "wss://home.example/x/other",
    "unicode host": "https://hоme.example/x/other",  # noqa: RUF001 - that is the point
    "full-width dot": "https://home\uff0eexample/x/other",
    "encoded host": "https://home%2Eexample/x/other",
    "bad port": "https://home.example:port/x/other",
    "bad address": "https://[::1/x/other",
    "too long": "/" + "x" * 10_000,
}
"""Links that lead elsewhere, or hide where they lead."""

LINKS = {**SAME, **FOREIGN}

TELLING = (
    "relative",
    "encoded dots",
    "empty",
    "other host",
    "other host without scheme",
    "other port",
    "downgrade",
    "home as user",
    "backslash",
    "slash and backslash",
    "line end",
    "data",
    "file",
    "unicode host",
)
"""One of each kind."""

DIALECTS = [
    maker
    for maker in CLIENTS
    if maker.name not in {"desp-bearer", "desp-oauth2", "oml-token"}
]

OPTIONS: dict[str, Any] = {
    "poll": PollPolicy(wait_initial=0.05, wait_max=0.05),
    "retry": RetryPolicy(attempts=1),
    "patience": 0.1,
}

TOKENS = {"accessToken": ACCESS_TOKEN, "expiresIn": 3600}


def document(content: Any, status: int = 200, **headers: str) -> Response:
    kind = {"Content-Type": "application/json", **headers}
    return Response(status, Headers(kind), codec.dumps(content))


def after_signing_in(
    handler: Callable[[Request], Response],
) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        if request.path.endswith(("/token", "/authenticate")):
            return document(TOKENS)
        return handler(request)

    return handle


def redirecting(link: str) -> Response:
    headers = {"Location": link, "Content-Location": link, "Link": f"<{link}>"}
    return Response(302, Headers(headers))


def creating(link: str) -> Response:
    return document({}, 201, Location=link)


def linking(link: str) -> Response:
    names = ("self", "next", "first", "last", "download", "job", "service", "file")
    links = {name: {"href": link} for name in names}
    row = {"_links": links, "content": link, "url": link, "href": link, "name": "echo"}
    rows = [row, row]
    page = {"number": 0, "size": 2}
    embedded = {"services": rows, "jobs": rows, "outputFiles": rows}
    return document({**row, "_embedded": embedded, "page": page, "items": rows})


SHAPES = {"redirect": redirecting, "created": creating, "links": linking}


def stays_home(request: Request) -> bool:
    """Tell whether a request goes where it should, as the HTTP library sees it."""
    parts = urlsplit(request.url)
    return (parts.scheme, parts.hostname, parts.port) in {
        ("https", "home.example", None),
        ("https", "home.example", 443),
    } and parts.username is None


async def play(client: Any, maker: Maker, folder: Path) -> None:
    """Call everything; what is raised is an error of ours."""
    for _, make in calls_of(client, maker, folder):
        try:
            async with asyncio.timeout(1):
                await make()
        except (AsyncTasksError, TimeoutError):
            pass


@pytest.mark.virtual_time
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("maker", DIALECTS, ids=lambda maker: maker.name)
async def test_no_link_leads_away(
    maker: Maker, shape: Callable[[str], Response], tmp_path: Path
) -> None:
    """Whatever is called, and whatever links are handed out: all is asked at home."""
    astray: dict[str, list[str]] = {}
    for name in TELLING:
        link = LINKS[name]
        handler = after_signing_in(lambda _, link=link: shape(link))
        async with MemoryTransport(handler) as transport:
            options = OPTIONS if maker.name != "vantiq" else {}
            client = maker.make(HOME, transport=transport, **options)
            await play(client, maker, tmp_path)
        assert len(transport.requests) >= 10
        gone = [each.url for each in transport.requests if not stays_home(each)]
        if gone:
            astray[name] = gone

    assert {} == astray


# --- each place where a link is read -----------------------------------------


async def submit_to_oml(client: Any, _: Path) -> None:
    await client.submit("echo", {})


async def poll(client: Any, _: Path) -> None:
    await client.poll(TASK)


async def fetch(client: Any, _: Path) -> None:
    ended = TaskStatus(state=TaskState.SUCCEEDED)
    await client.handle(TASK).response(ended)


async def fetch_log(client: Any, _: Path) -> None:
    await client.logs(TASK)


async def download(client: Any, folder: Path) -> None:
    await client.download_log(TASK, folder / "log")


async def download_from_vantiq(client: Any, _: Path) -> None:
    await client.download("/docs/a")


def by_name(name: str) -> Maker:
    return next(maker for maker in CLIENTS if maker.name == name)


@attrs.frozen
class Reader:
    """A place where a link of the service is read."""

    maker: Maker
    read: Callable[[Any, Path], Any]
    status: int
    header: str = "Location"
    followed: bool = True
    """Whether the link is asked; else it is only looked at."""


READERS = {
    "oml-v1 submit": Reader(by_name("oml-v1"), submit_to_oml, 201, followed=False),
    "oml-v2 submit": Reader(by_name("oml-v2"), submit_to_oml, 201, followed=False),
    "oml-v1 poll": Reader(by_name("oml-v1"), poll, 302, followed=False),
    "oml-v2 poll": Reader(
        by_name("oml-v2"), poll, 302, "Content-Location", followed=False
    ),
    "aimms-v1-cloud result": Reader(by_name("aimms-v1-cloud"), fetch, 302),
    "aimms-v2-cloud result": Reader(by_name("aimms-v2-cloud"), fetch, 307),
    "aimms-v1-local result": Reader(by_name("aimms-v1-local"), fetch, 303),
    "aimms-v2-local result": Reader(by_name("aimms-v2-local"), fetch, 301),
    "aimms-v2-cloud log": Reader(by_name("aimms-v2-cloud"), fetch_log, 308),
    "aimms-v2-cloud download": Reader(by_name("aimms-v2-cloud"), download, 302),
    "vantiq download": Reader(by_name("vantiq"), download_from_vantiq, 302),
}


async def read_link(reader: Reader, link: str, folder: Path) -> list[Request]:
    """Have a link read; return what was asked after it was handed out."""
    asked: list[Request] = []

    def handler(request: Request) -> Response:
        asked.append(request)
        if len(asked) == 1:
            return document({}, reader.status, **{reader.header: link})
        return document({})

    async with MemoryTransport(after_signing_in(handler)) as transport:
        options = OPTIONS if reader.maker.name != "vantiq" else {}
        client = reader.maker.make(HOME, transport=transport, **options)
        try:
            await reader.read(client, folder)
        finally:
            await client.close()
            asked[:] = transport.requests[-len(asked) :]
    return asked[1:]


def untrusted(error: BaseException | None) -> bool:
    """Tell whether an error is, or comes of, a link that is not trusted."""
    while error is not None and not isinstance(error, UntrustedUrl):
        error = getattr(error, "cause", None) or error.__cause__
    return error is not None


@pytest.mark.virtual_time
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
async def test_foreign_link_is_refused(reader: Reader, tmp_path: Path) -> None:
    """A link that leads elsewhere is UntrustedUrl, and nothing is asked after it."""
    # Of OML only an id is taken: no request is ever sent to its links, which call an
    # https service by http where a proxy is before it.
    tolerated = set() if reader.followed else {"downgrade", "downgrade with the port"}
    for name, link in FOREIGN.items():
        if name in tolerated:
            continue
        with pytest.raises((AsyncTasksError, VantiqException)) as caught:
            await read_link(reader, link, tmp_path)

        assert untrusted(caught.value), name


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "reader",
    [reader for reader in READERS.values() if reader.followed],
    ids=[name for name, reader in READERS.items() if reader.followed],
)
async def test_link_to_the_service_is_followed_once(
    reader: Reader, tmp_path: Path
) -> None:
    """It is asked with the credentials, as it is written but for its fragment."""
    for name, link in SAME.items():
        (asked,) = await read_link(reader, link, tmp_path)
        signed = {"apiKey", "Authorization"} & set(asked.headers)

        assert stays_home(asked), name
        assert signed, name
        assert "#" not in asked.url, name


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "reader",
    [reader for reader in READERS.values() if reader.followed],
    ids=[name for name, reader in READERS.items() if reader.followed],
)
async def test_trusted_origin_gets_no_credentials(
    reader: Reader, tmp_path: Path
) -> None:
    """An origin that the user trusts is asked for a result, unsigned."""
    store = "https://store.example/result?signature=x"

    def handler(request: Request) -> Response:
        here = not request.path.endswith("/result")
        return document({}, reader.status, Location=store) if here else document({})

    async with MemoryTransport(after_signing_in(handler)) as transport:
        given: dict[str, Any] = {"trusted_origins": {"https://store.example"}}
        if reader.maker.name == "vantiq":
            client: Any = Vantiq(
                HOME, transport=transport, options=VantiqOptions(**given)
            )
            client.session.open()
            client.session.auth.accept(BEARER, None, 0.0)
        else:
            client = reader.maker.make(HOME, transport=transport, **OPTIONS, **given)
        await reader.read(client, tmp_path)
        await client.close()
    home, away = transport.requests[-2:]

    assert (store, {}) == (away.url, {**away.headers} if signs(away) else {})
    assert signs(home)


def signs(request: Request) -> bool:
    secrets = (API_KEY, BEARER, PASSWORD, ACCESS_TOKEN)
    return any(secret in repr(dict(request.headers)) for secret in secrets)


async def test_nobody_is_asked_elsewhere(tmp_path: Path) -> None:
    """A server that a redirect points to hears nothing; over real connections."""
    async with RawServer(never) as elsewhere:
        there = f"Location: {elsewhere.url}/stolen"
        async with RawServer(answer(302, b"", there)) as server:
            for maker in DIALECTS:
                async with AiohttpTransport() as transport:
                    client = maker.make(server.url, transport=transport)
                    for _, make in calls_of(client, maker, tmp_path):
                        try:
                            async with asyncio.timeout(20 * MS):
                                await make()
                        except (AsyncTasksError, TimeoutError):
                            pass

    assert 0 == elsewhere.accepted
    assert server.accepted >= len(DIALECTS)


# --- ids -----------------------------------------------------------------------

MARK = "marker-0"

HOSTILE = {
    "empty": "",
    "up": "..",
    "dot": ".",
    "climbing": "../../users/admin",
    "climbing inside": "a/../../b",
    "climbing back": "..\\..\\admin",
    "encoded dots": "%2e%2e",
    "encoded twice": "%252e%252e%252fadmin",
    "full-width dots": "\uff0e\uff0e/a",
    "slash": "a/b",
    "leading slash": "/etc/passwd",
    "two slashes": "//evil.example/x",
    "backslash": "a\\b",
    "query": "a?admin=true",
    "fragment": "a#b",
    "parameter": "a;admin=true",
    "encoded slash": "a%2fb",
    "encoded nul": "a%00b",
    "line end": "a\r\nX-Injected: yes",
    "line separator": "a\u2028b",
    "nul": "a\x00b",
    "delete": "a\x7fb",
    "surrogate": "a\ud800b",
    "at": "user:password@evil.example",
    "url": "https://evil.example/x",
    "blank": "a b",
    "plus": "a+b",
    "letters": "größe-日本",
    "right to left": "a\u202eb",
    "long": "x" * 5000,
}

IDS = (
    "task",
    "token",
    "key",
    "service",
    "script",
    "resource",
    "resource_id",
    "procedure_id",
    "source_id",
    "name",
    "namespace",
    "file",
    "prepared",
)
"""Parameters that may end up in a path."""


NAMED_BY_PATHS = {"vantiq"}
"""Where slashes stay what they are: documents and topics are named by paths."""

USED_LATER: dict[str, Callable[[Any], Any]] = {
    "app": lambda client: client.submit("echo"),
    "handle": lambda task: task.status(),
    "recurring": lambda task: task.stop(),
}
"""Methods whose id is in the paths of what they return."""


def prepared(config_id: str) -> Prepared:
    return Prepared(service="echo", payload=Payload(), config_id=config_id)


async def paths_of(
    maker: Maker, method: str, name: str, value: Any, folder: Path
) -> list[str]:
    """Call a method with an id; return the paths that were asked."""

    def handler(request: Request) -> Response:
        return document({"message": "no"}, 404)

    async with MemoryTransport(after_signing_in(handler)) as transport:
        options = OPTIONS if maker.name != "vantiq" else {}
        client = maker.make(HOME, transport=transport, **options)
        known = examples(client, maker, TASK, folder)
        known[name] = value if name != "prepared" else prepared(value)
        try:
            async with asyncio.timeout(1):
                came = await call(client, method, known)
                if method in USED_LATER:
                    await USED_LATER[method](came)
        except (AsyncTasksError, TimeoutError):
            pass
        finally:
            if "flow" in known:
                known["flow"].close()
            await client.close()
    return [urlsplit(each.url).path for each in transport.requests]


def ids_of(maker: Maker) -> list[tuple[str, str]]:
    """Return all methods with all their parameters that are ids."""
    kind = type(maker.make(HOME, transport=MemoryTransport(lambda _: Response(404))))
    return [
        (method, name)
        for method in methods_of(kind)
        for name in inspect.signature(getattr(kind, method)).parameters
        if name in IDS
    ]


def decoded(path: str, maker: Maker) -> list[str]:
    """Take a path apart as the server does."""
    if maker.name in NAMED_BY_PATHS:
        return [unquote(path, errors="strict")]
    return [unquote(part, errors="strict") for part in path.split("/")]


def placed(path: str, value: str, maker: Maker) -> list[str]:
    """Put an id where the mark is."""
    return [part.replace(MARK, value) for part in decoded(path, maker)]


@pytest.mark.virtual_time
@pytest.mark.parametrize("maker", DIALECTS, ids=lambda maker: maker.name)
async def test_no_id_changes_a_path(maker: Maker, tmp_path: Path) -> None:
    """The server sees the very id in its very place, or nothing at all."""
    changed: list[str] = []
    in_paths = 0
    for method, name in ids_of(maker):
        expected = await paths_of(maker, method, name, MARK, tmp_path)
        if not any(MARK in path for path in expected):
            continue
        in_paths += 1
        for kind, value in HOSTILE.items():
            found = await paths_of(maker, method, name, value, tmp_path)
            allowed = [placed(path, value, maker) for path in expected]
            astray = [path for path in found if decoded(path, maker) not in allowed]
            if astray:
                changed.append(f"{method}({name}) {kind}: {astray}")

    assert [] == changed
    assert in_paths >= 2
