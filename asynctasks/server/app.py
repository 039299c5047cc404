"""
The embedded server: the simulated world behind a socket.

With :mod:`.wire` it is all of the server that knows aiohttp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
import logging
import os
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, WSMsgType, web

from .aimms.submits import AimmsApp
from .half import Half, refuse
from .live import Item, Streamed
from .simulator import Simulator
from .storage import SqliteStorage
from .strangers import bracketed, complaint
from .tasks import Executor
from .vantiq.world import VantiqWorld
from .wire import HttpLog, asked_of, drop, is_handshake, pour, send_frames, whole
from .worker import Worker
from .world import build_halves, build_simulator, vantiq_world
from ..exceptions import ConfigError, ConnectionLost, InvalidState
from ..sansio.http import Request, Response
from ..sansio.urls import is_loopback


__all__ = ["LocalServer"]

LOGGER = logging.getLogger("asynctasks.server")

FRAMES = {WSMsgType.BINARY, WSMsgType.TEXT}

HOOK_TIMEOUT = ClientTimeout(total=5)
"""A task-state hook has to answer within this time, and is not called again."""

GRACE = 1.0
"""Seconds that the answers under way have when the server is closed."""


class LocalServer:
    """
    A server of the task protocols on this machine.

    ::

        async with LocalServer() as server:
            server.service("double", lambda inputs: {"twice": 2 * inputs["x"]})
            ...  # talk to server.url

    What clients can make it do has bounds: a body has *max_body* bytes, JSON nests 100
    levels deep, a recurring task runs once a second at most, patterns that could take
    exponential time are refused, and of the tasks that have ended the last 100,000 are
    remembered, or fewer with large results.

    Args:
        simulator: the world; by default a new one with the packaged services.
        host: the address to listen at. Others than loopback need *api_key*.
        port: the port; 0 takes a free one.
        parallel: how many tasks run at the same time at most (of a new world).
        api_key: the key that clients must send. On an address that others can reach
            every path asks for it, also those that need none in AIMMS.
        max_body: the size of a request's body at most, in bytes.
        apps: the published AIMMS applications; None accepts any.
        services: register the packaged services (in a new world).
        data: a file that keeps what Vantiq's clients store; None keeps it in memory.
        halves: makes the server's halves of further services, of your own.

    Raises:
        ConfigError: the address can be reached by others, and there is no key.
    """

    def __init__(  # noqa: PLR0913 - each is a fact of one server
        self,
        simulator: Simulator | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        parallel: int = 2,
        api_key: str | None = None,
        max_body: int = 128 * 1024 * 1024,
        apps: Mapping[str, AimmsApp] | None = None,
        services: bool = True,
        data: str | os.PathLike[str] | None = None,
        halves: Callable[[Simulator], Sequence[Half]] = lambda _: (),
    ) -> None:
        self._guarded = not is_loopback(f"http://{bracketed(host)}")
        if self._guarded and not api_key:
            reason = "others can reach this address: set an API key, or use 127.0.0.1"
            raise ConfigError(f"host {host!r}", reason)
        if simulator is None:
            simulator = build_simulator(parallel=parallel, services=services)
        self.simulator = simulator
        """The world: its services, tasks, faults and counts."""

        self.vantiq: VantiqWorld = vantiq_world(simulator, api_key=api_key)
        """The part of the world with Vantiq's data, functions and subscriptions."""

        self._address = (host, port)
        self._data = data
        self._storage: SqliteStorage | None = None
        self._max_body = max_body
        ours = build_halves(
            simulator, api_key=api_key, guard_local=self._guarded, apps=apps
        )
        self._halves = (*halves(simulator), *ours)
        self._runner: web.AppRunner | None = None
        self._worker: Worker | None = None
        self._session: ClientSession | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """
        The address, such as ``"http://127.0.0.1:8080"``.

        Raises:
            InvalidState: the server is not running.
        """
        if not self._url:
            raise InvalidState("the server is not running")
        return self._url

    def service(
        self,
        name: str,
        function: Callable[..., Any] | None = None,
        *,
        executor: Executor = "thread",
    ) -> Any:
        """Register a service; see :meth:`Simulator.service`."""
        if function is None:
            return self.simulator.service(name, executor=executor)
        return self.simulator.service(name, function, executor=executor)

    async def start(self) -> None:
        """
        Listen.

        Raises:
            ConfigError: the port is taken, the address is not of this machine, or
                the file with the data cannot be used.
            InvalidState: the server is running already.
        """
        if self._runner is not None:
            raise InvalidState("the server is running already")
        app = web.Application(client_max_size=self._max_body)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=GRACE, logger=HttpLog(LOGGER, {})
        )
        try:
            items = await self._stored()
            self._worker = Worker(
                self.simulator, *self._halves, send=self._send, storage=self._storage
            )
            await self._runner.setup()
            self._worker.start(items)
            await self._listen(self._runner)
        except BaseException:
            await self.aclose()
            raise

    async def _stored(self) -> Sequence[Item]:
        """Open the file with the data, if there is one, and return what is in it."""
        if self._data is None:
            return ()
        self._storage = await asyncio.to_thread(SqliteStorage, self._data)
        return await asyncio.to_thread(self._storage.read)

    async def aclose(self) -> None:
        """
        Stop listening, end what runs, and wait a few seconds for it.

        May be called twice. A function in a thread cannot be ended: if it does not
        heed its context it is left behind, and does not keep the process alive.
        """
        runner, self._runner = self._runner, None
        worker, self._worker = self._worker, None
        session, self._session = self._session, None
        storage, self._storage = self._storage, None
        self._url = ""
        # The last that is put in goes first; whatever fails, the others follow.
        async with AsyncExitStack() as closing:
            if storage is not None:
                closing.push_async_callback(asyncio.to_thread, storage.close)
            if session is not None:
                closing.push_async_callback(session.close)
            if runner is not None:
                closing.push_async_callback(runner.cleanup)
            if worker is not None:
                closing.push_async_callback(worker.aclose)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._address
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as exc:
            # What asyncio says itself repeats the address.
            reason = os.strerror(exc.errno) if exc.errno else str(exc)
            raise ConfigError(f"address {host}:{port}", reason) from exc
        bound = runner.addresses[0][1]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
        self._url = f"http://{bracketed(reachable)}:{bound}"

    # --- requests ------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            if is_handshake(request):
                return await self._converse(request)
            response = await self._handle(request)
        except (ConnectionLost, ConnectionError):  # by a fault; by the client
            return drop(request)
        except web.HTTPRequestEntityTooLarge:
            message = f"a body has {self._max_body:,} bytes at most"
            response = refuse(413, "TooLarge", message)
        except InvalidState:
            response = refuse(503, "Closing", "the server is being closed")
        if isinstance(response, Streamed):
            return await pour(request, response)
        return whole(response)

    async def _handle(self, request: web.Request) -> Response:
        stranger = self._stranger(request)
        if stranger:
            return refuse(403, "Forbidden", stranger)
        if (request.content_length or 0) > self._max_body:
            raise web.HTTPRequestEntityTooLarge(self._max_body)
        body = await request.read()
        return await self._running().open(asked_of(request, body))

    def _running(self) -> Worker:
        if self._worker is None:
            raise InvalidState("the server is closed")
        return self._worker

    # --- WebSockets ----------------------------------------------------------

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        """Move the frames of a WebSocket until it ends."""
        stranger = self._stranger(request)
        if stranger:
            return whole(refuse(403, "Forbidden", stranger))
        worker = self._running()
        connection = worker.connect(asked_of(request, b""))
        if isinstance(connection, Response):
            return whole(connection)
        socket = web.WebSocketResponse(max_msg_size=self._max_body)
        sending = asyncio.create_task(send_frames(connection, socket, request))
        try:
            await socket.prepare(request)
            frames = (each.data async for each in socket if each.type in FRAMES)
            async for frame in frames:
                worker.receive(connection, frame)
        finally:
            worker.disconnect(connection)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    def _stranger(self, request: web.Request) -> str:
        """Say why a request must come from a foreign page; empty if it need not."""
        if self._guarded:
            return ""
        headers = request.headers
        host, site = headers.get("Host", ""), headers.get("Sec-Fetch-Site")
        return complaint(host, headers.get("Origin"), site)

    async def _send(self, request: Request) -> None:
        """Call a task-state hook; what it answers does not matter."""
        if self._session is None:
            self._session = ClientSession(timeout=HOOK_TIMEOUT)
        async with self._session.request(
            request.method, request.url, allow_redirects=False
        ):
            pass
