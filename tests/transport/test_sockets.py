"""WebSockets over aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

import aiohttp
from aiohttp import web
import pytest

from asynctasks.exceptions import (
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    RemoteProtocolError,
)
from asynctasks.sansio.http import Request
from asynctasks.transport import AiohttpTransport, WebSocketStream
from tests.faults.raw_server import RawServer, answer, closed_port, never
from tests.transport.asking import (
    AUTHORITY,
    CANARY,
    HERE,
    LONG,
    get,
    hung_up,
    serve_tls,
    tell_tales,
    trust,
)


class SocketServer:
    """Opens WebSockets on loopback and does to each what a function says."""

    def __init__(
        self, play: Callable[[web.WebSocketResponse], Awaitable[None]]
    ) -> None:
        self._play = play
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/socket", self._open)
        application.router.add_get("/moved", self._move)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _open(self, request: web.Request) -> web.WebSocketResponse:
        self.headers.append(request.headers)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await self._play(socket)
        return socket

    async def _move(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/socket")


async def connect(
    transport: AiohttpTransport,
    request: Request,
    *,
    timeout: float = LONG,
    heartbeat: float = LONG,
) -> WebSocketStream:
    return await transport.connect(
        request, timeout=timeout, heartbeat=heartbeat, max_bytes=1000
    )


async def mirror(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        await socket.send_str(message.data)
        await socket.send_bytes(message.data.encode())


async def test_a_socket(transport: AiohttpTransport) -> None:
    """Texts go out, texts and bytes come in as bytes; headers are sent."""
    async with SocketServer(mirror) as server:
        socket = await connect(transport, get(server.url, "/socket"))
        await socket.send("größe")
        got = [await socket.receive(), await socket.receive()]
        await socket.aclose()
        await socket.aclose()
        with pytest.raises(ConnectionLost):
            await socket.send("after close")
        with pytest.raises(ConnectionLost, match="the WebSocket was closed"):
            await socket.receive()

    assert ["größe".encode()] * 2 == got
    assert CANARY == server.headers[0]["apiKey"]


async def silent(socket: web.WebSocketResponse) -> None:
    await socket.receive()
    await asyncio.sleep(0.3)


async def too_large(socket: web.WebSocketResponse) -> None:
    await socket.send_str("x" * 2000)
    await socket.receive()


async def close_at_once(socket: web.WebSocketResponse) -> None:
    await socket.close(code=4000)


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (silent, r"closed \(1006\)"),
        (too_large, r"closed \(1009\)"),
        (close_at_once, r"closed \(4000\)"),
    ],
)
async def test_sockets_that_end(
    transport: AiohttpTransport,
    play: Callable[[web.WebSocketResponse], Awaitable[None]],
    expected: str,
) -> None:
    """A socket that is dead, floods or closes tells it to who waits."""
    async with SocketServer(play) as server:
        request = get(server.url, "/socket")
        socket = await connect(transport, request, heartbeat=0.1)
        with pytest.raises(ConnectionLost, match=expected) as caught:
            await socket.receive()
        await socket.aclose()

    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize(
    ("path", "found"), [("/moved", "status 302"), ("/other", "status 404")]
)
async def test_places_without_a_socket(
    transport: AiohttpTransport, path: str, found: str
) -> None:
    """A server that has none there, or sends elsewhere, contradicts its documents."""
    async with SocketServer(mirror) as server:
        with pytest.raises(RemoteProtocolError, match=found) as caught:
            await connect(transport, get(server.url, path))

    assert [] == tell_tales(caught.value)


async def test_sockets_that_are_sent_elsewhere(transport: AiohttpTransport) -> None:
    """A socket that is redirected sends nothing to the other place."""
    async with SocketServer(mirror) as server:
        elsewhere = answer(307, b"", f"Location: {server.url}/socket")
        async with RawServer(elsewhere) as moved:
            with pytest.raises(RemoteProtocolError, match="status 307"):
                await connect(transport, get(moved.url, "/socket"))

    assert [] == server.headers


async def test_sockets_of_a_session_of_the_caller() -> None:
    """A session that follows redirects does not make a socket of another place."""
    async with SocketServer(mirror) as server, aiohttp.ClientSession() as session:
        with pytest.raises(RemoteProtocolError, match="status 302"):
            await connect(AiohttpTransport(session), get(server.url, "/moved"))


async def test_sockets_that_do_not_open(transport: AiohttpTransport) -> None:
    """A socket that is refused, or does not open in time, is a transport error."""
    with pytest.raises(ConnectError) as refused:
        await connect(transport, get(f"http://127.0.0.1:{closed_port()}"))
    async with RawServer(never) as server:
        with pytest.raises(AttemptTimeout) as late:
            await connect(transport, get(server.url), timeout=0.1)

        assert await hung_up(server)
    assert [] == tell_tales(refused.value) + tell_tales(late.value)


async def test_sockets_over_tls() -> None:
    """A WebSocket trusts whom the requests trust."""
    async with (
        RawServer(answer(404), ssl_context=serve_tls(HERE)) as server,
        AiohttpTransport(ssl_context=trust(AUTHORITY)) as transport,
    ):
        with pytest.raises(RemoteProtocolError, match="status 404"):
            await connect(transport, get(server.url))
