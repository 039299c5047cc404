"""
The embedded server: the simulated world behind a socket.

This is the only module of the server that knows aiohttp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from aiohttp import ClientSession, ClientTimeout, web

from .aimms_submits import AimmsApp
from .half import refuse
from .simulator import Simulator
from .tasks import Executor
from .worker import Worker
from .world import build_halves, build_simulator
from ..exceptions import ConfigError, ConnectionLost, InvalidState
from ..sansio.http import Headers, Request, Response
from ..sansio.urls import is_loopback


__all__ = ["LocalServer"]

HOOK_TIMEOUT = ClientTimeout(total=5)
"""A task-state hook has to answer within this time, and is not called again."""

ABSOLUTE = re.compile(r"\Ahttps?://[^/?]*", re.IGNORECASE)

PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))

GRACE = 1.0
"""Seconds that the answers under way have when the server is closed."""


class LocalServer:
    """
    A server of the task protocols on this machine.

    ::

        async with LocalServer() as server:
            server.service("double", lambda inputs: {"twice": 2 * inputs["x"]})
            ...  # talk to server.url

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

    Raises:
        ConfigError: the address can be reached by others, and there is no key.
    """

    def __init__(
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
    ) -> None:
        self._guarded = not is_loopback(f"http://{bracketed(host)}")
        if self._guarded and not api_key:
            reason = "others can reach this address: set an API key, or use 127.0.0.1"
            raise ConfigError(f"host {host!r}", reason)
        if simulator is None:
            simulator = build_simulator(parallel=parallel, services=services)
        self.simulator = simulator
        """The world: its services, tasks, faults and counts."""

        self._address = (host, port)
        self._max_body = max_body
        self._halves = build_halves(
            simulator, api_key=api_key, guard_local=self._guarded, apps=apps
        )
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
            ConfigError: the port is taken or the address is not of this machine.
            InvalidState: the server is running already.
        """
        if self._runner is not None:
            raise InvalidState("the server is running already")
        app = web.Application(client_max_size=self._max_body)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
        self._worker = Worker(self.simulator, *self._halves, send=self._send)
        await self._runner.setup()
        try:
            await self._listen(self._runner)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop listening, end what runs, and wait for it. May be called twice."""
        runner, self._runner = self._runner, None
        worker, self._worker = self._worker, None
        session, self._session = self._session, None
        self._url = ""
        if worker is not None:
            await worker.aclose()
        if runner is not None:
            await runner.cleanup()
        if session is not None:
            await session.close()

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
            reason = exc.strerror or str(exc)
            raise ConfigError(f"address {host}:{port}", reason) from exc
        bound = runner.addresses[0][1]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
        self._url = f"http://{bracketed(reachable)}:{bound}"

    # --- requests ------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            response = await self._handle(request)
        except ConnectionLost:
            return drop(request)
        except web.HTTPRequestEntityTooLarge:
            message = f"a body has {self._max_body:,} bytes at most"
            response = refuse(413, "TooLarge", message)
        except InvalidState:
            response = refuse(503, "Closing", "the server is being closed")
        headers = dict(response.headers)
        return web.Response(status=response.status, headers=headers, body=response.body)

    async def _handle(self, request: web.Request) -> Response:
        stranger = self._stranger(request)
        if stranger:
            return refuse(403, "Forbidden", stranger)
        if (request.content_length or 0) > self._max_body:
            raise web.HTTPRequestEntityTooLarge(self._max_body)
        body = await request.read()
        if self._worker is None:
            raise InvalidState("the server is closed")
        headers = Headers(request.headers.items())
        asked = Request(request.method, target_of(request), headers, body)
        return await self._worker.handle(asked)

    def _stranger(self, request: web.Request) -> str:
        """
        Say why a request must come from a foreign web page; empty if it need not.

        A page may make a browser send requests to this machine, under a name of its
        own that it lets resolve to 127.0.0.1 (DNS rebinding) or across sites.
        """
        if self._guarded:
            return ""
        host = request.headers.get("Host", "")
        if not is_here(f"http://{host}"):
            return f"the host {host!r} is not this machine"
        origin = request.headers.get("Origin")
        if origin is not None and not is_here(origin):
            return "web pages of other sites may not use this server"
        return ""

    async def _send(self, request: Request) -> None:
        """Call a task-state hook; what it answers does not matter."""
        if self._session is None:
            self._session = ClientSession(timeout=HOOK_TIMEOUT)
        async with self._session.request(
            request.method, request.url, allow_redirects=False
        ):
            pass


def is_here(origin: str) -> bool:
    """Tell whether what a client calls an origin is on this machine."""
    try:
        return is_loopback(origin)
    except ValueError:
        return False


def target_of(request: web.Request) -> str:
    """Return path and query as they were sent, percent-encoded where they are not."""
    # aiohttp keeps bytes that are not UTF-8 as lone surrogates.
    raw = request.raw_path.encode("utf-8", "surrogateescape")
    target = quote(raw, safe=PRINTABLE)
    # RFC 9112 section 3.2.2: a server accepts a whole URL, too.
    return ABSOLUTE.sub("", target)


def bracketed(host: str) -> str:
    """Return a host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def drop(request: web.Request) -> web.Response:
    """Break the connection of a request; the answer goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
