"""
Exchanges on aiohttp's connections, without the work of its session.

A session makes everything anew for each request: it merges headers, and asks for
cookies, proxies, netrc and traces. A poll wants none of it. It goes straight to a
connection of the session's pool; connecting, TLS and parsing stay aiohttp's. That
saves two fifths of what a poll costs.

aiohttp does not promise the parts that this takes: :func:`fits` looks whether they are
as expected. If not, and where a request wants more, the session is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
import inspect
import math
import re
import ssl
from types import FunctionType

import aiohttp
from aiohttp.connector import Connection
import yarl

from .receiving import body_limit, read_body, respond
from .sending import is_small
from .unpacking import OFFERED
from ..sansio.http import SAFE_METHODS, Headers, Request, Response


__all__ = ["Direct", "fits"]

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

REMEMBERED = 64
"""Heads that are kept; those of one credential and all kinds of bodies are few."""

OWN_HEADERS = ("Content-Length", "Transfer-Encoding")
"""What is said of a body by the one who writes it."""

CONTROLS = re.compile(r"[\r\n\0]")

SHORTEST = 0.001
"""Seconds until a connection stands at least: to aiohttp, 0 means any number."""

INTERIM = range(100, 200)
"""Statuses that come before the answer; but for the one that is one."""

SWITCHING = 101

STALE = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)
"""How an exchange fails on a connection that the other side was closing already."""


@cache
def fits() -> bool:
    """Tell whether this aiohttp has the parts that are taken from it."""
    try:
        protocol = aiohttp.client_proto.ResponseHandler
        # Whether they can be called as they are called here.
        for part, names in (
            (aiohttp.BaseConnector.connect, ("self", "req", "traces", "timeout")),
            (
                protocol.set_response_params,
                ("self", "read_until_eof", "auto_decompress"),
            ),
            (aiohttp.ClientRequest, ("method", "url", "loop", "session", "ssl")),
        ):
            inspect.signature(part).bind(**dict.fromkeys(names))
    except (AttributeError, TypeError):
        return False
    taken = (protocol, ("read", "should_close")), (Connection, ("protocol", "release"))
    return all(hasattr(part, name) for part, names in taken for name in names)


class Direct:
    """
    Sends small requests straight to the connections of a session.

    Args:
        session: of our own, without cookies, proxy and traces.
        connector: of the session.
        ssl_context: which certificates to trust, if not the usual ones.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: aiohttp.BaseConnector,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._session = session
        self._connector = connector
        self._ssl: ssl.SSLContext | bool = ssl_context or True
        self._origins: dict[str, aiohttp.ClientRequest] = {}
        self._heads: dict[tuple[str, int], tuple[Headers, str]] = {}
        self._limits = aiohttp.ClientTimeout(total=None)
        self._judged: object = None
        self._untouched = False

    def takes(self, request: Request) -> bool:
        """Tell whether nothing but an exchange is wanted."""
        session = aiohttp.ClientSession
        asking = session._request, session.request  # noqa: SLF001 - what tools replace
        if asking != self._judged:
            self._judged, self._untouched = asking, all(map(_is_of_aiohttp, asking))
        return (
            self._untouched
            and request.method in METHODS
            and is_small(request.body)
            and not request.streamed
        )

    async def send(
        self, request: Request, *, timeout: float, connect: float, max_bytes: int
    ) -> Response:
        """
        Make one attempt.

        Args:
            request: one that :meth:`takes` accepts.
            timeout: seconds for all of it.
            connect: seconds until a connection stands.
            max_bytes: of the body of the answer; of a refusal at most 64 KiB.

        Raises:
            TimeoutError: there was no answer in time.
            aiohttp.ClientError: as a session does; or an HttpProcessingError.
            ValueError: HTTP cannot say the request.
            ResponseTooLarge: as :meth:`Transport.send`; also ProxyError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        origin, message = self._write(request)
        # As a session does: once more, should the connection have become stale.
        again = request.method in SAFE_METHODS
        while True:
            connection = await self._connect(origin, connect)
            clock = _Clock(loop, deadline, connection)
            try:
                response = await _exchange(connection, message, request, max_bytes)
            except aiohttp.ClientError as exc:
                if not clock.rang:
                    if not (again and isinstance(exc, STALE)) or self._connector.closed:
                        raise
                    again = False
                    connect = max(SHORTEST, min(connect, deadline - loop.time()))
                    continue
            else:
                # A body without a length ends as well when we hang up.
                if not clock.rang:
                    return response
            finally:
                clock.stop()
                _leave(connection)
            # Not above: aiohttp's error must not even be the context of this one.
            raise TimeoutError

    async def _connect(
        self, origin: aiohttp.ClientRequest, seconds: float
    ) -> Connection:
        if self._limits.connect != seconds:
            self._limits = aiohttp.ClientTimeout(
                total=None, connect=seconds, ceil_threshold=math.inf
            )
        while True:
            try:
                connection = await self._connector.connect(
                    origin, traces=[], timeout=self._limits
                )
            except TimeoutError as exc:
                raise aiohttp.ConnectionTimeoutError from exc
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()  # something came on it that nobody had asked for

    # --- what goes out -------------------------------------------------------

    def _write(self, request: Request) -> tuple[aiohttp.ClientRequest, bytes]:
        """Return a request as bytes, and what names the place where it goes."""
        place = request.url.find("/", len("https://"))
        if place < 0:
            raise aiohttp.InvalidURL(request.url)
        place_name, target = request.url[:place], request.url[place:]
        if not target.isascii() or not target.isprintable() or " " in target:
            raise ValueError("its path must be percent-encoded")
        origin = self._origins.get(place_name) or self._origin(place_name)
        head = self._head(place_name, origin, request.headers)
        start = f"{request.method} {target.partition('#')[0]} HTTP/1.1\r\n{head}"
        body = request.body
        if not isinstance(body, bytes):
            raise ValueError("its body must be bytes")  # noqa: TRY004 - as the others
        if body or request.method not in SAFE_METHODS:
            start += f"Content-Length: {len(body)}\r\n"
        return origin, f"{start}\r\n".encode() + body

    def _origin(self, name: str) -> aiohttp.ClientRequest:
        """Return a request that is never sent: connections are asked for with it."""
        url = yarl.URL(name)
        if url.scheme not in {"http", "https"}:
            raise aiohttp.NonHttpUrlClientError(url)
        if not url.raw_host or url.raw_user is not None or url != url.origin():
            raise aiohttp.InvalidURL(url)
        if len(self._origins) >= REMEMBERED:
            self._origins.clear()
        loop = asyncio.get_running_loop()
        origin = self._origins[name] = aiohttp.ClientRequest(
            "GET", url / "", loop=loop, session=self._session, ssl=self._ssl
        )
        return origin

    def _head(
        self, name: str, origin: aiohttp.ClientRequest, headers: Mapping[str, str]
    ) -> str:
        """Return the lines of the headers, which are mostly the same ones again."""
        key = (name, id(headers))
        kept = self._heads.get(key)
        if kept is not None:
            return kept[1]
        merged = origin.headers.copy()
        merged["Accept-Encoding"] = OFFERED
        merged.update(headers)
        for own in OWN_HEADERS:
            merged.popall(own, None)
        head = "".join(_line(*each) for each in merged.items())
        if isinstance(headers, Headers):  # others may change
            if len(self._heads) >= REMEMBERED:
                self._heads.clear()
            self._heads[key] = (headers, head)
        return head


class _Clock:
    """
    Hangs up when the time of an attempt is over.

    It costs a third of ``asyncio.timeout()``: nobody has to be cancelled, who waits
    for the connection wakes by himself.
    """

    __slots__ = ("_connection", "_timer", "rang")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deadline: float, connection: Connection
    ) -> None:
        self.rang = False
        self._connection = connection
        self._timer = loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self.rang = True
        if self._connection.transport is not None:
            self._connection.transport.abort()

    def stop(self) -> None:
        self._timer.cancel()


async def _exchange(
    connection: Connection, message: bytes, request: Request, max_bytes: int
) -> Response:
    """Say it all and hear it all; a connection that can be used again is released."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    transport.write(message)
    head, content = await protocol.read()
    while head.code in INTERIM and head.code != SWITCHING:
        head, content = await protocol.read()
    if head.code == SWITCHING:
        return respond(head.code, head.headers, b"", request)
    limit = body_limit(head.code, max_bytes)
    body, whole = await read_body(head.headers, content, protocol, limit)
    # An answer may be early: what is not sent yet must not precede the next request.
    if whole and not transport.get_write_buffer_size():
        connection.release()
    return respond(head.code, head.headers, body, request, whole=whole)


def _leave(connection: Connection) -> None:
    """Close a connection that was not released."""
    transport = connection.transport
    # In order, it would only end when the other side has taken all of a request.
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()
    connection.close()


def _line(name: str, value: str) -> str:
    """Return the line of a header; aiohttp itself would look for the same."""
    line = f"{name}: {value}"
    if CONTROLS.search(line):
        raise ValueError(f"the header {name!r} holds a line end")
    return f"{line}\r\n"


def _is_of_aiohttp(function: object) -> bool:
    """Tell whether a function was not put there by a tool for tests or recording."""
    # The proxies of some tools look like what they stand for, but for their type.
    return (
        type(function) is FunctionType
        and function.__code__.co_filename == aiohttp.client.__file__
    )
