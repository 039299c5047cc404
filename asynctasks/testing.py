"""
What we test with, for your tests: a service in memory, without sockets.

::

    simulator = build_simulator()

    @simulator.service("double")
    def double(inputs): return {"twice": 2 * inputs["x"]}

    async with (
        MemoryTransport(simulator) as transport,
        AimmsClient.local(transport=transport) as client,
    ):
        assert await client.run("double", {"x": 2}) == {"twice": 4}

It works under a virtual clock too: hours of waiting pass in milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
import inspect
import threading
from typing import Any, TypeVar, Union
from urllib.parse import urlsplit, urlunsplit

import attrs

from .exceptions import (
    AttemptTimeout,
    ConnectionLost,
    InvalidState,
    RemoteProtocolError,
    ResponseTooLarge,
)
from .sansio.http import ERROR_BODY, Request, Response
from .server.app import LocalServer
from .server.connection import Connection
from .server.half import Half
from .server.simulator import Simulator
from .server.worker import Worker, read_body
from .server.world import build_halves, build_simulator
from .transport import Download, Transport, WebSocketStream


__all__ = [
    "Handler",
    "LocalServer",
    "MemoryTransport",
    "Simulator",
    "build_simulator",
    "serving",
]

Handler = Callable[[Request], Union[Response, Awaitable[Response]]]  # noqa: UP007
"""Answers a request, whose URL is a path and whose body is bytes."""

T = TypeVar("T")

PIECE = 64 * 1024

KEPT = 10_000
"""Requests that a :class:`MemoryTransport` remembers."""


class MemoryTransport(Transport):
    """
    Answers requests in this process.

    Args:
        world: a simulator, whose services are run; or a function that answers each
            request, plain or async. It may raise what transports raise.
        api_key: the key that the simulated services want.
        halves: makes the server's halves of further services, of your own.
    """

    has_sockets = True

    def __init__(
        self,
        world: Simulator | Handler,
        *,
        api_key: str | None = None,
        halves: Callable[[Simulator], Sequence[Half]] = lambda _: (),
    ) -> None:
        self.requests: list[Request] = []
        """The requests that were sent last, as they were sent, bodies read; of more
        than :data:`KEPT`, the oldest are forgotten."""

        self._worker: Worker | None = None
        self._closed = False
        if isinstance(world, Simulator):
            ours = build_halves(world, api_key=api_key)
            self._worker = Worker(world, *halves(world), *ours)
            self._handler: Handler = self._worker.handle
        else:
            self._handler = world

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Make one attempt; see :meth:`Transport.send`."""
        response = await self._answer(request, timeout)
        if response.status >= 400:  # noqa: PLR2004 - refusals are cut off
            return attrs.evolve(response, body=response.body[:ERROR_BODY])
        if len(response.body) > max_bytes:
            raise ResponseTooLarge(max_bytes, request.redacted())
        return response

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Download]:
        """Make one attempt whose body is streamed; see :meth:`Transport.open`."""
        del idle  # memory does not crawl
        response = await self._answer(request, timeout)
        if response.status >= 400:  # noqa: PLR2004 - refusals are cut off
            head = attrs.evolve(response, body=response.body[:ERROR_BODY])
            yield Download(head, _pieces(b""))
            return
        yield Download(attrs.evolve(response, body=b""), _pieces(response.body))

    async def connect(
        self, request: Request, *, timeout: float, heartbeat: float, max_bytes: int
    ) -> WebSocketStream:
        """Open a WebSocket; see :meth:`Transport.connect`."""
        if self._worker is None or self._closed:
            return await super().connect(
                request, timeout=timeout, heartbeat=heartbeat, max_bytes=max_bytes
            )
        opened = self._worker.connect(attrs.evolve(request, url=_target(request.url)))
        if isinstance(opened, Response):
            found = f"status {opened.status}"
            raise RemoteProtocolError("a WebSocket", opened, found, request.redacted())
        return MemoryStream(self._worker, opened, request.redacted())

    async def aclose(self) -> None:
        """End what runs; may be called twice."""
        self._closed = True
        if self._worker is not None:
            await self._worker.aclose()

    async def _answer(self, request: Request, timeout: float) -> Response:
        if self._closed:
            raise InvalidState("the transport is closed")
        body = await read_body(request.body)
        self.requests.append(attrs.evolve(request, body=body))
        if len(self.requests) > KEPT:
            del self.requests[0]
        local = attrs.evolve(request, url=_target(request.url), body=body)
        try:
            async with asyncio.timeout(timeout) as clock:
                answer = self._handler(local)
                response = await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            if not clock.expired():
                raise
            reason = f"no answer within {timeout:g} s"
            raise AttemptTimeout(reason, request.redacted()) from None
        now = asyncio.get_running_loop().time()
        return attrs.evolve(response, at=now)


class MemoryStream(WebSocketStream):
    """
    A WebSocket in memory.

    Args:
        worker: the server.
        connection: its side.
        asked: the handshake, for errors.
    """

    def __init__(self, worker: Worker, connection: Connection, asked: Request) -> None:
        self._worker = worker
        self._connection = connection
        self._asked = asked
        self._frames = connection.outgoing()
        self._closed = False

    async def send(self, text: str) -> None:
        """Send a text; see :meth:`WebSocketStream.send`."""
        if self._closed or self._connection.is_cut:
            raise ConnectionLost("the WebSocket broke", self._asked)
        self._worker.receive(self._connection, text)

    async def receive(self) -> bytes:
        """Wait for the next message; see :meth:`WebSocketStream.receive`."""
        async for frame in self._frames:
            return frame
        raise ConnectionLost("the WebSocket was closed", self._asked)

    async def aclose(self) -> None:
        """Close it; see :meth:`WebSocketStream.aclose`."""
        self._closed = True
        self._worker.disconnect(self._connection)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


@contextmanager
def serving(**options: Any) -> Iterator[LocalServer]:
    """
    Run a :class:`LocalServer` in a thread of its own, for code without a loop.

    Args:
        options: of the server.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="asynctasks-server")
    thread.start()

    def call(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    try:
        server = LocalServer(**options)
        call(server.start())
        try:
            yield server
        finally:
            call(server.aclose())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
