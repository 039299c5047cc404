"""The transport over HTTP and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
import ssl
from typing import Any
import warnings

import aiohttp
import attrs
import yarl

from .base import Download, Transport, WebSocketStream
from .direct import Direct, fits
from .failures import FAILURES, translate
from .receiving import REFUSED, Incoming, body_limit, give_up, read_body, respond
from .sending import Sending
from .sockets import (
    SAY_GOODBYE,
    SOCKET_OPTIONS,
    AiohttpSocket,
    no_websocket,
    stay_here,
)
from .unpacking import OFFERED
from ..exceptions import InvalidArgument, InvalidState
from ..sansio.http import ERROR_BODY, SAFE_METHODS, Request, Response


__all__ = ["AiohttpTransport"]


class AiohttpTransport(Transport):
    """
    The transport over HTTP and TLS.

    Args:
        session: an ``aiohttp.ClientSession`` to use; it stays the caller's and is
            not closed. By default one is opened, and closed with the transport.
        ssl_context: which certificates to trust. Verification cannot be switched
            off.
        proxy: the URL of an HTTP proxy; the environment is not asked.
        connect_timeout: seconds until a connection stands.
        base_url: an origin; what goes there is asked of the session by its path
            alone, so that tools that replace sessions see what they expect.
        trust_env: take proxies and netrc credentials from the environment after
            all. It makes each request much dearer.
        options: keyword arguments of aiohttp for every request; those that concern
            the connection (``ssl``, ``proxy``, ...) are for WebSockets as well.
    """

    has_sockets = True

    def __init__(
        self,
        session: aiohttp.ClientSession | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        connect_timeout: float = 10.0,
        base_url: str | None = None,
        trust_env: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._session = session
        self._sockets: aiohttp.ClientSession | None = None
        self._owned = session is None
        self._closed = False
        self._connect_timeout = connect_timeout
        self._limits = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._base_url = base_url
        self._trust_env = trust_env
        # What a refusal means is the dialect's to say, whatever the session says.
        self._options: dict[str, Any] = {
            **(options or {}),
            "allow_redirects": False,
            "raise_for_status": False,
            "auto_decompress": False,
        }
        if ssl_context is not None:
            self._options["ssl"] = ssl_context
        if proxy is not None:
            self._options["proxy"] = _proxy_url(proxy)
        plain = session is None and not options and proxy is None and not trust_env
        self._plain = plain and fits()
        self._ssl = ssl_context
        self._direct: Direct | None = None

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Make one attempt; see :meth:`Transport.send`."""
        if request.streamed:
            return await self._send_streamed(request, timeout)
        self._running_session()
        if self._direct is not None and self._direct.takes(request):
            return await self._send_directly(self._direct, request, timeout, max_bytes)
        return await self._send_by_session(request, timeout, max_bytes)

    async def _send_directly(
        self, direct: Direct, request: Request, timeout: float, max_bytes: int
    ) -> Response:
        connect = self._connect_within(timeout)
        try:
            return await direct.send(
                request, timeout=timeout, connect=connect, max_bytes=max_bytes
            )
        except FAILURES as exc:
            error, cause = translate(exc, request, timeout, connect)
        # Raised here, not above: aiohttp's error, which may show credentials, must
        # not even be the context of ours.
        raise error from cause

    async def _send_by_session(
        self, request: Request, timeout: float, max_bytes: int
    ) -> Response:
        connect = self._connect_within(timeout)
        sending = Sending(request)
        try:
            # One timer of asyncio's costs less than those that aiohttp would set.
            async with (
                sending.within(timeout),
                self._request(sending, self._without_total(connect)) as answer,
            ):
                return await _read(answer, request, max_bytes)
        except FAILURES as exc:
            error, cause = sending.failure, None
            if error is None:
                error, cause = translate(exc, request, timeout, connect)
        finally:
            if sending.streams:
                await sending.aclose()
        raise error from cause

    def _without_total(self, connect: float) -> aiohttp.ClientTimeout:
        """Return limits for the connection only; they are mostly the same."""
        if self._limits.sock_connect != connect:
            self._limits = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        return self._limits

    async def _send_streamed(self, request: Request, timeout: float) -> Response:
        """Send the request and leave the body of a success to its reader."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._connect_within(timeout), sock_read=timeout
        )
        answer, head = await self._head(request, limits, timeout)
        if head.status >= 300:  # noqa: PLR2004 - no success
            answer.close()
            return head
        # Until its end is read, the stream keeps the answer and its connection.
        return attrs.evolve(head, reader=answer.content)

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Download]:
        """Make one attempt whose body is streamed; see :meth:`Transport.open`."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._connect_within(timeout), sock_read=idle
        )
        answer, head = await self._head(request, limits, timeout)
        if head.status >= REFUSED:
            body = Incoming.nothing()  # it is in the head
        else:
            body = Incoming(
                answer.headers,
                answer.content,
                _protocol(answer),
                packed=not request.streamed,
            )
        try:
            yield Download(head, self._chunks(body, request, idle))
        finally:
            answer.close()

    async def _head(
        self, request: Request, limits: aiohttp.ClientTimeout, timeout: float
    ) -> tuple[aiohttp.ClientResponse, Response]:
        """Send the request; return the open answer, and its head as ours."""
        sending = Sending(request)
        try:
            async with (
                sending.within(timeout),
                aclosing(sending),
                AsyncExitStack() as stack,
            ):
                answer = await self._request(sending, limits)
                stack.callback(answer.close)
                if answer.status >= REFUSED:
                    head = await _read(answer, request, ERROR_BODY)
                else:
                    head = respond(answer.status, answer.headers, b"", request)
                stack.pop_all()  # from here on it is the caller's to close
                return answer, head
        except FAILURES as exc:
            error, cause = sending.failure, None
            if error is None:
                connect = self._connect_within(timeout)
                error, cause = translate(exc, request, timeout, connect)
        raise error from cause

    async def connect(
        self, request: Request, *, timeout: float, heartbeat: float, max_bytes: int
    ) -> WebSocketStream:
        """Open a WebSocket; see :meth:`Transport.connect`."""
        options = {k: v for k, v in self._options.items() if k in SOCKET_OPTIONS}
        try:
            async with asyncio.timeout(timeout):
                socket = await self._socket_session().ws_connect(
                    self._target(request),
                    headers=dict(request.headers),
                    timeout=SAY_GOODBYE,
                    heartbeat=heartbeat,
                    max_msg_size=max_bytes,
                    decode_text=False,
                    **options,
                )
            # A session of the caller follows redirects; what is said is meant for
            # one origin.
            history = socket._response.history  # noqa: SLF001 - nothing else tells
            if not history:
                return AiohttpSocket(socket, request.redacted())
            await socket.close()
            error: Exception = no_websocket(request, history[0].status)
            cause: BaseException | None = None
        except aiohttp.WSServerHandshakeError as exc:
            error, cause = no_websocket(request, exc.status), None
        except FAILURES as exc:
            error, cause = translate(exc, request, timeout, self._connect_timeout)
        raise error from cause

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        # With tracemalloc on, the warning tells where it was made.
        left = getattr(self, "_owned", False) and self._session is not None
        if left and not self._closed:
            message = "a client was not closed; use it with async with, or close it"
            warn(message, ResourceWarning, stacklevel=2, source=self)

    async def aclose(self) -> None:
        """Close the session if it is ours."""
        self._closed = True
        if self._sockets is not None:
            await self._sockets.close()
        if self._owned and self._session is not None:
            give_up(self._session.connector)
            await self._session.close()

    def _connect_within(self, timeout: float) -> float:
        # Before the attempt's own end, so that it is known that nothing was sent.
        return min(self._connect_timeout, 0.9 * timeout)

    def _running_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise InvalidState("the transport is closed")
        if self._session is None:
            # How many requests run at once is the driver's decision.
            connector = aiohttp.TCPConnector(limit=0)
            self._session = self._open_session(connector)
            # Tools that trace requests put themselves into every new session.
            if self._plain and not self._session.trace_configs:
                self._direct = Direct(self._session, connector, self._ssl)
        if self._session.closed:
            raise InvalidState("the session that was given is closed")
        return self._session

    def _socket_session(self) -> aiohttp.ClientSession:
        """
        Return the session that WebSockets are opened with.

        It has the connections of the other, and a middleware that every request of
        the other would have to pay for.
        """
        session = self._running_session()
        if not self._owned:
            return session
        if self._sockets is None:
            self._sockets = self._open_session(
                session.connector, connector_owner=False, middlewares=(stay_here,)
            )
        return self._sockets

    def _open_session(
        self, connector: aiohttp.BaseConnector | None, **options: Any
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            self._base_url,
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
            headers={"Accept-Encoding": OFFERED},
            **options,
        )

    def _target(self, request: Request) -> yarl.URL:
        url = request.url
        if self._base_url is not None and url.startswith(f"{self._base_url}/"):
            url = url[len(self._base_url) :]
        return yarl.URL(url, encoded=True)

    def _request(
        self, sending: Sending, limits: aiohttp.ClientTimeout
    ) -> aiohttp.client._RequestContextManager:
        session = self._running_session()
        request = sending.request
        data = sending.data()
        options = self._options
        # aiohttp would name one wherever a body may be.
        if request.method not in SAFE_METHODS and "Content-Type" not in request.headers:
            options = {**options, "skip_auto_headers": ("Content-Type",)}
        if request.streamed:  # the reader is aiohttp's, which unpacks by itself
            options = {**options, "auto_decompress": True}
        return session.request(
            request.method,
            self._target(request),
            headers=self._headers(sending),
            data=data,
            timeout=limits,
            **options,
        )

    def _headers(self, sending: Sending) -> dict[str, str]:
        headers = sending.headers()
        if "Accept-Encoding" not in sending.request.headers:
            if sending.request.streamed:
                headers["Accept-Encoding"] = "identity"
            elif not self._owned:  # ours says so by itself
                headers["Accept-Encoding"] = OFFERED
        return headers

    async def _chunks(
        self, body: Incoming, request: Request, idle: float
    ) -> AsyncIterator[bytes]:
        try:
            async with aclosing(body.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except FAILURES as exc:
            error, cause = translate(exc, request, idle, self._connect_timeout)
        else:
            return
        raise error from cause


async def _read(
    answer: aiohttp.ClientResponse, request: Request, max_bytes: int
) -> Response:
    """Read an answer of the session."""
    limit = body_limit(answer.status, max_bytes)
    packed = not request.streamed
    body, whole = await read_body(
        answer.headers, answer.content, _protocol(answer), limit, packed=packed
    )
    if not whole:
        answer.close()
    return respond(answer.status, answer.headers, body, request, whole=whole)


def _protocol(
    answer: aiohttp.ClientResponse,
) -> aiohttp.client_proto.ResponseHandler | None:
    """Return what reads the connection of an answer, while it has one."""
    return None if answer.connection is None else answer.connection.protocol


def _proxy_url(proxy: str) -> yarl.URL:
    try:
        url = yarl.URL(proxy)
    except (TypeError, ValueError):
        url = yarl.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        # What was given may hold a password anywhere.
        raise InvalidArgument("proxy", "…", "must be a URL such as http://host:3128")
    return url
