"""The direct way to a connection: when it is taken, and what it looks after itself."""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import DataQueue
import pytest

from asynctasks.exceptions import (
    AttemptTimeout,
    ConnectionLost,
    InvalidArgument,
    ResponseTooLarge,
)
from asynctasks.files import StreamBody
from asynctasks.sansio.http import Headers, Request
from asynctasks.transport import AiohttpTransport
from asynctasks.transport.direct import fits
from tests.faults.raw_server import Connection, RawServer, answer, pieces, raw
from tests.timing import MS


MIB = 1024 * 1024


class Asked:
    """Counts what aiohttp's session is asked, as a tool that records does."""

    def __init__(self) -> None:
        self.times = 0
        self._real = aiohttp.ClientSession._request

    def __enter__(self) -> Self:
        real = self._real

        @functools.wraps(real)
        async def counted(*args: Any, **kwargs: Any) -> aiohttp.ClientResponse:
            self.times += 1
            return await real(*args, **kwargs)

        aiohttp.ClientSession._request = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        aiohttp.ClientSession._request = self._real  # type: ignore[method-assign]


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what a session needs for a request fail, but not what we look at."""

    def refuse(*_: object) -> None:
        raise AssertionError("the session was asked")

    monkeypatch.setattr(aiohttp.ClientSession, "_build_url", refuse)


async def ask(transport: AiohttpTransport, request: Request, limit: int = MIB) -> bytes:
    return (await transport.send(request, timeout=5.0, max_bytes=limit)).body


@pytest.mark.usefixtures("no_session")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_small_requests_ask_no_session(method: str) -> None:
    """A request of any method goes straight to a connection, and tells its length."""
    async with RawServer(answer(200, b"6")) as server, AiohttpTransport() as transport:
        body = await ask(transport, Request(method, f"{server.url}/a?b=c"))
    head = server.received[0]

    assert b"6" == body
    assert head.startswith(f"{method} /a?b=c HTTP/1.1\r\n".encode())
    assert (b"\r\nContent-Length: 0\r\n" in head) is (method != "GET")


class AskingMore(aiohttp.ClientRequest):
    def __init__(self, method: str, url: Any, *, more: Any, **rest: Any) -> None: ...


@pytest.mark.parametrize(
    ("part", "name", "changed"),
    [
        (ResponseHandler, "set_response_params", lambda _: None),
        (DataQueue, "read", None),
        (aiohttp, "ClientRequest", AskingMore),
        (aiohttp.BaseConnector, "connect", lambda _: None),
        (aiohttp, "client_proto", None),
    ],
)
async def test_aiohttp_that_has_changed(
    monkeypatch: pytest.MonkeyPatch, part: Any, name: str, changed: Any
) -> None:
    """Parts of aiohttp that are not as expected are noticed; the session is asked."""
    assert fits()
    fits.cache_clear()
    with monkeypatch.context() as patch:
        if changed is None:
            patch.delattr(part, name)
        else:
            patch.setattr(part, name, changed)
        transport = AiohttpTransport()
    fits.cache_clear()
    with Asked() as asked:
        async with RawServer(answer(200, b"6")) as server, transport:
            body = await ask(transport, Request("GET", f"{server.url}/"))

    assert (b"6", 1) == (body, asked.times)


async def test_tools_that_replace_the_session_are_obeyed() -> None:
    """While a tool has replaced the session's method, the session is asked."""
    async with RawServer(answer(keep=True)) as server, AiohttpTransport() as transport:
        request = Request("GET", f"{server.url}/")
        await ask(transport, request)
        with Asked() as asked:
            await ask(transport, request)
        await ask(transport, request)

    assert (1, 3) == (asked.times, len(server.received))


class Proxy:
    """Looks like what it stands for, as the wrappers of tracing tools do."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __get__(self, session: Any, kind: Any) -> Any:
        return self if session is None else functools.partial(self, session)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.times += 1
        return self._real(*args, **kwargs)


@pytest.mark.parametrize("name", ["_request", "request"])
async def test_tools_that_wrap_are_obeyed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A wrapper that has the code of aiohttp's function is none of aiohttp's."""
    proxy = Proxy(getattr(aiohttp.ClientSession, name))
    async with RawServer(answer()) as server, AiohttpTransport() as transport:
        monkeypatch.setattr(aiohttp.ClientSession, name, proxy)
        await ask(transport, Request("GET", f"{server.url}/"))

    assert 1 == proxy.times


async def test_tools_that_trace_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that a tool puts into every new session is told of the request."""
    told: list[str] = []

    async def begun(*args: Any) -> None:
        told.append(args[-1].method)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begun)
    real = aiohttp.ClientSession.__init__
    traced = functools.partialmethod(real, trace_configs=[trace])
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    async with RawServer(answer()) as server, AiohttpTransport() as transport:
        await ask(transport, Request("GET", f"{server.url}/"))

    assert ["GET"] == told


@pytest.mark.parametrize(
    "request_of",
    [
        lambda url: Request("HEAD", f"{url}/"),
        lambda url: Request("PUT", f"{url}/", body=StreamBody(pieces(b"x"))),
        lambda url: Request("PUT", f"{url}/", body=bytes(2 * MIB)),
    ],
    ids=["no body wanted", "streamed", "large"],
)
async def test_other_requests_ask_the_session(request_of: Any) -> None:
    """What takes more than one write and one read is the session's."""
    async with RawServer(answer(200)) as server, AiohttpTransport() as transport:
        with Asked() as asked:
            await ask(transport, request_of(server.url))

    assert 1 == asked.times


async def unasked(connection: Connection) -> None:
    """Answer, and some time later say what nobody asked for."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
    await asyncio.sleep(10 * MS)
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    await connection.closed()


@pytest.mark.usefixtures("no_session")
async def test_answers_that_nobody_asked_for() -> None:
    """What a server says on an idle connection is no answer to the next request."""
    async with (
        RawServer(unasked, answer(200, b"fine")) as server,
        AiohttpTransport() as transport,
    ):
        request = Request("GET", f"{server.url}/")
        first = await ask(transport, request)
        await asyncio.sleep(50 * MS)
        second = await ask(transport, request)

    assert [b"good", b"fine"] == [first, second]


@pytest.mark.usefixtures("no_session")
async def test_what_was_not_sent_yet_precedes_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that was answered before all was sent is not used again."""
    async with RawServer(answer(keep=True)) as server, AiohttpTransport() as transport:
        request = Request("POST", f"{server.url}/", body=b"much")
        with monkeypatch.context() as patch:
            # The buffers of this machine would take more than is sent in one go.
            sockets = asyncio.selector_events._SelectorTransport
            patch.setattr(sockets, "get_write_buffer_size", lambda _: 1)
            await ask(transport, request)
        for _ in range(2):
            await ask(transport, request)

    assert 2 == server.accepted


@pytest.mark.usefixtures("no_session")
async def test_stale_connection_is_given_up_for_a_new_one() -> None:
    """A safe request is said again, at once; one that changes something is not."""

    async def once(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await connection.request()  # and hang up without an answer

    async with RawServer(once) as server, AiohttpTransport() as transport:
        get = Request("GET", f"{server.url}/")
        for _ in range(2):
            await ask(transport, get)
        with pytest.raises(ConnectionLost) as caught:
            await ask(transport, Request("POST", f"{server.url}/"))

    assert (2, True) == (server.accepted, caught.value.sent)


@pytest.mark.usefixtures("no_session")
async def test_body_without_length_is_not_whole_because_time_is_over() -> None:
    """We hang up when time is over; that is no end of a body."""
    head = b"HTTP/1.1 200 OK\r\n\r\nhalf"

    async def half(connection: Connection) -> None:
        await connection.request()
        await connection.send(head)
        await connection.closed()

    async with RawServer(half) as server, AiohttpTransport() as transport:
        request = Request("GET", f"{server.url}/")
        with pytest.raises(AttemptTimeout):
            await transport.send(request, timeout=0.1, max_bytes=MIB)


@pytest.mark.usefixtures("no_session")
async def test_body_beyond_the_limit_that_came_with_its_head() -> None:
    """The limit holds for a body that is all there at once, too."""
    async with RawServer(answer(200, b"12345")) as server, AiohttpTransport() as ours:
        with pytest.raises(ResponseTooLarge):
            await ask(ours, Request("GET", f"{server.url}/"), limit=4)


@pytest.mark.usefixtures("no_session")
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", {}),
        ("/\xe4", {}),
        ("/a\r\nX: y", {}),
        ("/", {"X": "a\r\nY: b"}),
        ("/", {"X\nY": "a"}),
        ("/", {"X": "a\0b"}),
    ],
)
async def test_lines_cannot_be_broken(path: str, headers: dict[str, str]) -> None:
    """What would end a line, or not be one target, is not sent."""
    async with RawServer(answer()) as server, AiohttpTransport() as transport:
        request = Request("GET", f"{server.url}{path}", Headers(headers))
        with pytest.raises(InvalidArgument):
            await ask(transport, request)

    assert [] == server.received


@pytest.mark.usefixtures("no_session")
async def test_length_and_coding_are_not_the_callers() -> None:
    """Headers that contradict the body that is sent are left out."""
    lies = {"content-length": "99", "Transfer-Encoding": "chunked"}
    async with RawServer(answer()) as server, AiohttpTransport() as transport:
        await ask(transport, Request("POST", f"{server.url}/", Headers(lies), b"{}"))
    head = server.received[0].lower()

    assert (1, 0) == (head.count(b"content-length: 2"), head.count(b"chunked"))
    assert 1 == head.count(b"content-length")


@pytest.mark.usefixtures("no_session")
async def test_changed_headers_are_sent_changed() -> None:
    """Only headers that cannot change are remembered as they were written."""
    headers = {"X": "1"}
    async with RawServer(answer(keep=True)) as server, AiohttpTransport() as transport:
        request = Request("GET", f"{server.url}/", headers)
        await ask(transport, request)
        headers["X"] = "2"
        await ask(transport, request)

    assert [b"X: 1", b"X: 2"] == [
        next(line for line in each.split(b"\r\n") if line.startswith(b"X:"))
        for each in server.received
    ]


@pytest.mark.usefixtures("no_session")
async def test_many_credentials_are_not_all_remembered() -> None:
    """What is remembered of headers is bounded."""
    async with RawServer(answer(keep=True)) as server, AiohttpTransport() as transport:
        for number in range(200):
            headers = Headers({"apiKey": str(number)})
            await ask(transport, Request("GET", f"{server.url}/", headers))
        direct = transport._direct
        assert direct is not None

        assert len(direct._heads) <= 64


@pytest.mark.usefixtures("no_session")
async def test_switch_to_another_protocol_is_only_a_status() -> None:
    """A 101 that nobody asked for is an answer, after which the connection is left."""
    upgrade = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with (
        RawServer(raw(upgrade), answer(200, b"fine")) as server,
        AiohttpTransport() as transport,
    ):
        request = Request("GET", f"{server.url}/")
        switched = await transport.send(request, timeout=5, max_bytes=MIB)
        second = await ask(transport, request)

    assert (101, b"fine") == (switched.status, second)


@pytest.mark.usefixtures("no_session")
async def test_second_stale_connection_is_an_error() -> None:
    """A safe request is said again once, not for ever."""

    async def hang_up(connection: Connection) -> None:
        await connection.request()

    async with RawServer(hang_up) as server, AiohttpTransport() as transport:
        with pytest.raises(ConnectionLost):
            await ask(transport, Request("GET", f"{server.url}/"))

    assert 2 == server.accepted


@pytest.mark.usefixtures("no_session")
async def test_headers_are_those_of_the_request() -> None:
    """What was sent to one place, or signed by one user, is not sent for another."""
    alike = [Headers({"Authorization": f"Bearer {who}"}) for who in ("ann", "bob")]
    async with (
        RawServer(answer(keep=True)) as one,
        RawServer(answer(keep=True)) as other,
        AiohttpTransport() as transport,
    ):
        for server in (one, other):
            for headers in alike * 2:
                await ask(transport, Request("GET", f"{server.url}/", headers))

    for server in (one, other):
        host = server.url.removeprefix("http://").encode()
        sent = [each.split(b"\r\n") for each in server.received]

        assert 4 == sum(b"Host: " + host in lines for lines in sent)
        assert [b"ann", b"bob"] * 2 == [
            line.rpartition(b" ")[2]
            for lines in sent
            for line in lines
            if line.startswith(b"Authorization")
        ]


@pytest.mark.usefixtures("no_session")
async def test_second_connection_has_the_time_that_is_left() -> None:
    """An attempt that needs two connections takes no longer than one."""

    async def late(connection: Connection) -> None:
        await connection.request()
        await asyncio.sleep(200 * MS)  # and hang up without an answer

    async with RawServer(late) as server, AiohttpTransport() as transport:
        request = Request("GET", f"{server.url}/")
        begun = asyncio.get_running_loop().time()
        with pytest.raises(AttemptTimeout):
            await transport.send(request, timeout=0.3, max_bytes=MIB)
        took = asyncio.get_running_loop().time() - begun

    assert 2 == server.accepted
    assert took < 0.39


@pytest.mark.usefixtures("no_session")
async def test_request_that_nobody_takes_is_not_sent_later() -> None:
    """What was not sent when the caller went away is not sent behind his back."""

    async def late_reader(connection: Connection) -> None:
        await connection.request()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await go_on.wait()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await connection.request()

    go_on = asyncio.Event()
    async with RawServer(late_reader) as server, AiohttpTransport() as transport:
        await ask(transport, Request("GET", f"{server.url}/"))
        assert transport._session is not None
        ((((protocol, _),)),) = transport._session.connector._conns.values()  # type: ignore[union-attr]
        # As it is, all that is sent directly has room in the buffers of this machine.
        own = protocol.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        request = Request("POST", f"{server.url}/", body=bytes(MIB))
        sending = asyncio.create_task(ask(transport, request))
        await asyncio.sleep(20 * MS)
        sending.cancel()
        await asyncio.wait([sending])
        go_on.set()
        await asyncio.sleep(50 * MS)

    assert (1, 0) == (len(server.received), server.open)


@pytest.mark.usefixtures("no_session")
@pytest.mark.parametrize("url", ["?a=/b", "#a/b", "", "@/x"])
async def test_place_is_a_place(url: str) -> None:
    """What stands before the path names a server, and nothing else."""
    async with RawServer(answer()) as server, AiohttpTransport() as transport:
        with pytest.raises(InvalidArgument):
            await ask(transport, Request("GET", f"{server.url}{url}"))

    assert [] == server.received
