"""
Moving bytes: one attempt, no policy.

A :class:`Transport` sends one request and brings one answer. It knows nothing of
credentials, retries or tasks. Its errors are ours: those of aiohttp end here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    suppress,
)
import inspect
import math
import ssl
from types import TracebackType
from typing import Any, ClassVar, Self, TypeGuard
import warnings

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
import attrs
import yarl

from .exceptions import (
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    InvalidState,
    ProxyError,
    RemoteProtocolError,
    ResponseTooLarge,
    TlsError,
)
from .sansio.http import (
    ERROR_BODY,
    SAFE_METHODS,
    Body,
    Headers,
    JoinedBody,
    Request,
    Response,
    body_length,
)


__all__ = [
    "AiohttpTransport",
    "Download",
    "Transport",
    "WebSocketStream",
    "body_chunks",
]

SOCKET_OPTIONS = frozenset(
    {"auth", "proxy", "proxy_auth", "proxy_headers", "server_hostname", "ssl"}
)
"""Options of a request that concern the connection, and so a WebSocket too."""

SAY_GOODBYE = aiohttp.ClientWSTimeout(ws_close=2.0)
"""How long the other side of a WebSocket has to answer a close."""

LARGE = 1024 * 1024
"""Bytes of a body that are handed over whole at most."""


@attrs.frozen
class Download:
    """An answer whose body is still to come."""

    head: Response
    """Status and headers; of a refusal (>= 400) also up to 64 KiB of its body."""

    chunks: AsyncIterator[bytes] = attrs.field(repr=False)
    """The body, decompressed, piece by piece; empty for a refusal."""


class Transport(ABC):
    """
    Sends requests that are complete: absolute URL, credentials and all.

    Implementations follow no redirects, retry nothing and keep no cookies.
    """

    has_sockets: ClassVar[bool] = False
    """Whether it opens WebSockets, too."""

    @abstractmethod
    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """
        Make one attempt.

        Args:
            request: with an absolute URL.
            timeout: seconds for the whole attempt; a large or streamed body may take
                as long for each of its pieces.
            max_bytes: of the body after decompression.

        Raises:
            TransportError: no usable answer arrived; ``sent`` says whether the
                request may have reached the service.
            ResponseTooLarge: the body is larger than *max_bytes*. A refusal
                (>= 400) is cut off at 64 KiB instead.

        The body of a 2xx answer to a request that says ``streamed`` is left in
        ``Response.reader``; *timeout* then bounds the head, and each wait for more.
        """

    @abstractmethod
    def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AbstractAsyncContextManager[Download]:
        """
        Make one attempt whose body is streamed.

        Args:
            request: with an absolute URL.
            timeout: seconds until the head of the answer is there.
            idle: seconds between two pieces of the body at most.

        Raises:
            TransportError: as ``send``; also while the body is read.
        """

    async def connect(
        self, request: Request, *, timeout: float, heartbeat: float, max_bytes: int
    ) -> WebSocketStream:
        """
        Open a WebSocket.

        Args:
            request: a GET of an absolute http or https URL.
            timeout: seconds until it is open.
            heartbeat: seconds of silence after which the other side is pinged; it
                has half of that to answer.
            max_bytes: of one message.

        Raises:
            TransportError: no connection could be made.
            RemoteProtocolError: the server opens no WebSocket there, or sends the
                client elsewhere.
        """
        del timeout, heartbeat, max_bytes
        raise ConnectError("this transport opens no WebSockets", request.redacted())

    async def sleep(self, seconds: float) -> None:
        """Wait. A transport of another kind of time overrides it."""
        await asyncio.sleep(seconds)

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of what the transport opened itself; may be called twice."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


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
        }
        if ssl_context is not None:
            self._options["ssl"] = ssl_context
        if proxy is not None:
            self._options["proxy"] = _proxy_url(proxy)

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Make one attempt; see :meth:`Transport.send`."""
        if request.streamed:
            return await self._send_streamed(request, timeout)
        connect = self._connect_within(timeout)
        sending = _Sending(request)
        try:
            # One timer of asyncio's costs less than those that aiohttp would set.
            async with (
                sending.within(timeout),
                self._request(sending, self._without_total(connect)) as answer,
            ):
                body = await self._read(answer, max_bytes, request)
                return _response(answer, body, request)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            error, cause = sending.failure, None
            if error is None:
                error, cause = translate(exc, request, timeout, connect)
        finally:
            if sending.streams:
                await sending.aclose()
        # Raised here, not above: aiohttp's error, which may show credentials, must
        # not even be the context of ours.
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
        try:
            yield Download(head, self._chunks(answer, request, idle))
        finally:
            answer.close()

    async def _head(
        self, request: Request, limits: aiohttp.ClientTimeout, timeout: float
    ) -> tuple[aiohttp.ClientResponse, Response]:
        """Send the request; return the open answer, and its head as ours."""
        sending = _Sending(request)
        try:
            async with (
                sending.within(timeout),
                aclosing(sending),
                AsyncExitStack() as stack,
            ):
                answer = await self._request(sending, limits)
                stack.callback(answer.close)
                body = b""
                if answer.status >= 400:  # noqa: PLR2004 - refusals
                    body = await self._read(answer, ERROR_BODY, request)
                head = _response(answer, body, request)
                stack.pop_all()  # from here on it is the caller's to close
                return answer, head
        except (aiohttp.ClientError, OSError, ValueError) as exc:
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
                return WebSocketStream(socket, request.redacted())
            await socket.close()
            error: Exception = _no_websocket(request, history[0].status)
            cause: BaseException | None = None
        except aiohttp.WSServerHandshakeError as exc:
            error, cause = _no_websocket(request, exc.status), None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
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
            await self._session.close()

    def _connect_within(self, timeout: float) -> float:
        # Before the attempt's own end, so that it is known that nothing was sent.
        return min(self._connect_timeout, 0.9 * timeout)

    def _running_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise InvalidState("the transport is closed")
        if self._session is None:
            # How many requests run at once is the driver's decision.
            self._session = self._open_session(aiohttp.TCPConnector(limit=0))
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
                session.connector, connector_owner=False, middlewares=(_stay_here,)
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
            **options,
        )

    def _target(self, request: Request) -> yarl.URL:
        url = request.url
        if self._base_url is not None and url.startswith(f"{self._base_url}/"):
            url = url[len(self._base_url) :]
        return yarl.URL(url, encoded=True)

    def _request(
        self, sending: _Sending, limits: aiohttp.ClientTimeout
    ) -> aiohttp.client._RequestContextManager:
        session = self._running_session()
        request = sending.request
        data = sending.data()
        options = self._options
        # aiohttp would name one wherever a body may be.
        if request.method not in SAFE_METHODS and "Content-Type" not in request.headers:
            options = {**options, "skip_auto_headers": ("Content-Type",)}
        return session.request(
            request.method,
            self._target(request),
            headers=sending.headers(),
            data=data,
            timeout=limits,
            **options,
        )

    async def _read(
        self, answer: aiohttp.ClientResponse, max_bytes: int, request: Request
    ) -> bytes:
        """Read the body up to a limit that counts decompressed bytes."""
        refused = answer.status >= 400  # noqa: PLR2004
        limit = min(max_bytes, ERROR_BODY) if refused else max_bytes
        length = answer.content_length
        plain = "Content-Encoding" not in answer.headers
        if plain and length is not None and length <= limit:
            return await answer.read()
        pieces: list[bytes] = []
        size = 0
        async for piece in answer.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                answer.close()
                if refused:
                    return b"".join(pieces)[:limit]
                raise ResponseTooLarge(max_bytes, request.redacted())
        return b"".join(pieces)

    async def _chunks(
        self, answer: aiohttp.ClientResponse, request: Request, idle: float
    ) -> AsyncIterator[bytes]:
        if answer.status >= 400:  # noqa: PLR2004 - its body is in the head
            return
        try:
            async for piece in answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            error, cause = translate(exc, request, idle, self._connect_timeout)
        else:
            return
        raise error from cause


class _Sending:
    """A request on its way: its body, and how the body failed if it did."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.failure: Exception | None = None
        self._pieces: AsyncGenerator[bytes] | None = None
        self._timeout = math.inf
        self._clock: asyncio.Timeout | None = None

    def within(self, timeout: float) -> asyncio.Timeout:
        """Bound the attempt; each piece of the body that went out prolongs it."""
        self._timeout = timeout
        self._clock = asyncio.timeout(timeout)
        return self._clock

    def headers(self) -> dict[str, str]:
        """Return the headers; with the length of a streamed body where known."""
        given = self.request.headers
        headers = given.as_dict() if isinstance(given, Headers) else dict(given)
        body = self.request.body
        length = None if is_small(body) else body_length(body)
        if length is not None:
            headers["Content-Length"] = str(length)
        return headers

    def data(self) -> bytes | AsyncIterator[bytes] | None:
        """Return the body as aiohttp takes it."""
        body = self.request.body
        if is_small(body):
            return body or None
        self._pieces = self._chunks()
        return self._pieces

    @property
    def streams(self) -> bool:
        """Whether the body is produced while it is sent."""
        return self._pieces is not None

    async def aclose(self) -> None:
        """Close the body."""
        # aiohttp does not ask for an end that the length has told already; while it
        # still reads, it has been cancelled, which closes the body too.
        if inspect.isasyncgen(self._pieces) and not self._pieces.ag_running:
            await self._pieces.aclose()

    async def _chunks(self) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(body_chunks(self.request.body)) as chunks:
                async for chunk in chunks:
                    yield chunk
                    self._prolong()
        except Exception as exc:
            # To aiohttp it is a broken connection; the caller must see his own error.
            self.failure = exc
            raise

    def _prolong(self) -> None:
        if self._clock is not None:
            now = asyncio.get_running_loop().time()
            with suppress(RuntimeError):  # it ran out, or was answered, already
                self._clock.reschedule(now + self._timeout)


def is_small(body: Body) -> TypeGuard[bytes]:
    """Tell whether a body is handed over whole; others let the loop go on."""
    return isinstance(body, bytes) and len(body) <= LARGE


class WebSocketStream:
    """An open WebSocket: texts go out, texts and bytes come in."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[bool], asked: Request
    ) -> None:
        self._socket = socket
        self._asked = asked

    async def send(self, text: str) -> None:
        """
        Send a text.

        Raises:
            ConnectionLost: it is not open any more.
        """
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as exc:
            reason = _reason("the WebSocket broke", exc)
            raise ConnectionLost(reason, self._asked) from exc

    async def receive(self) -> bytes:
        """
        Wait for the next message; a text comes as its bytes.

        Raises:
            ConnectionLost: there will be none: either side closed it, or it is dead.
        """
        message = await self._socket.receive()
        kind = message.type
        if kind is aiohttp.WSMsgType.BINARY or kind is aiohttp.WSMsgType.TEXT:
            data: bytes = message.data
            return data
        failure = self._socket.exception() or message.data
        said = f": {failure}" if isinstance(failure, Exception) else ""
        reason = f"the WebSocket was closed ({self._socket.close_code}){said}"
        raise ConnectionLost(reason, self._asked)

    async def aclose(self) -> None:
        """Close it; may be called twice, and while somebody waits to receive."""
        await self._socket.close()


async def body_chunks(body: Body) -> AsyncGenerator[bytes]:
    """Produce the bytes of a body, piece by piece."""
    for piece in body.pieces if isinstance(body, JoinedBody) else (body,):
        if isinstance(piece, bytes):
            for start in range(0, len(piece), LARGE):
                yield piece[start : start + LARGE]
            continue
        async with AsyncExitStack() as stack:
            chunks = piece.open()
            if isinstance(chunks, AsyncGenerator):
                await stack.enter_async_context(aclosing(chunks))
            async for chunk in chunks:
                yield chunk


def _response(
    answer: aiohttp.ClientResponse, body: bytes, request: Request
) -> Response:
    if answer.status == 407:  # noqa: PLR2004 - only a proxy says so
        raise ProxyError(
            f"the proxy did not connect to {_host(request)}: it answered 407",
            request.redacted(),
        )
    now = asyncio.get_running_loop().time()
    return Response(answer.status, Headers(answer.headers), body, at=now)


async def _stay_here(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Refuse the redirect of a WebSocket, for which aiohttp has no option."""
    answer = await handler(request)
    if "Upgrade" in request.headers and 300 <= answer.status < 400:  # noqa: PLR2004
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info, answer.history, status=answer.status
        )
    return answer


def _no_websocket(request: Request, status: int) -> RemoteProtocolError:
    found = f"status {status}"
    return RemoteProtocolError(
        "a WebSocket", Response(status), found, request.redacted()
    )


def _proxy_url(proxy: str) -> yarl.URL:
    try:
        url = yarl.URL(proxy)
    except (TypeError, ValueError):
        url = yarl.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        # What was given may hold a password anywhere.
        raise InvalidArgument("proxy", "…", "must be a URL such as http://host:3128")
    return url


# --- errors ------------------------------------------------------------------


def translate(
    exc: Exception, request: Request, timeout: float, connect_timeout: float
) -> tuple[Exception, BaseException | None]:
    """
    Turn an error of aiohttp or of the operating system into ours.

    Returns:
        Our error, and the cause it may be chained to: never one that holds the
        request's headers or a proxy's password.
    """
    asked = request.redacted()
    build = next(build for kinds, build in TRANSLATIONS if isinstance(exc, kinds))
    return build(exc, asked, timeout, connect_timeout), _harmless(exc)


def _harmless(exc: BaseException) -> BaseException | None:
    # Those of aiohttp hold headers, queries, or the proxy with its password.
    plain = exc.__cause__ if isinstance(exc, aiohttp.ClientError) else exc
    return None if isinstance(plain, aiohttp.ClientError) else plain


def _reason(what: str, exc: BaseException) -> str:
    words = getattr(_harmless(exc), "strerror", None)
    return f"{what}: {words}" if words else what


def _host(request: Request) -> str:
    return yarl.URL(request.url, encoded=True).authority


def _tls(exc: Exception, asked: Request, *_: float) -> Exception:
    reason = f"no trusted TLS connection to {_host(asked)}: {_harmless(exc)}"
    return TlsError(reason, asked)


def _proxy(exc: Exception, asked: Request, *_: float) -> Exception:
    status = getattr(exc, "status", None)
    said = f"it answered {status}" if status else "it cannot be reached"
    return ProxyError(f"the proxy did not connect to {_host(asked)}: {said}", asked)


def _connect(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectError(_reason(f"cannot connect to {_host(asked)}", exc), asked)


def _connect_timeout(
    _: Exception, asked: Request, __: float, connect_timeout: float
) -> Exception:
    reason = f"no connection to {_host(asked)} within {connect_timeout:g} s"
    return ConnectError(reason, asked)


def _attempt_timeout(
    _: Exception, asked: Request, timeout: float, __: float
) -> Exception:
    return AttemptTimeout(f"no answer within {timeout:g} s", asked)


def _url(exc: Exception, asked: Request, *_: float) -> Exception:
    del exc
    return InvalidArgument("url", asked.url, "is not a usable URL")


def _garbage(exc: Exception, asked: Request, *_: float) -> Exception:
    words = str(getattr(exc, "message", "")) or type(exc).__name__
    return RemoteProtocolError("an HTTP answer", None, words, asked)


def _lost(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectionLost(_reason("the connection broke", exc), asked)


def _cut_off(exc: Exception, asked: Request, *_: float) -> Exception:
    if isinstance(exc.__cause__, ContentEncodingError):
        found = "what cannot be decompressed"
        return RemoteProtocolError("a body in its content encoding", None, found, asked)
    return ConnectionLost("the answer ended too early", asked)


def _failed(exc: Exception, asked: Request, *_: float) -> Exception:
    return ConnectionLost(f"the exchange failed: {type(exc).__name__}", asked)


def _unsayable(exc: Exception, asked: Request, *_: float) -> Exception:
    return InvalidArgument("request", asked.describe(), f"HTTP cannot say it: {exc}")


TRANSLATIONS: tuple[tuple[Any, Any], ...] = (
    # The first match counts: subclasses stand before their bases.
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError), _tls),
    (aiohttp.ClientProxyConnectionError, _proxy),
    (aiohttp.ClientHttpProxyError, _proxy),
    (aiohttp.ClientConnectorError, _connect),
    (aiohttp.ConnectionTimeoutError, _connect_timeout),
    (TimeoutError, _attempt_timeout),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), _url),
    (aiohttp.ClientResponseError, _garbage),
    (aiohttp.ServerDisconnectedError, _lost),
    (aiohttp.ClientPayloadError, _cut_off),
    (OSError, _lost),
    (aiohttp.ClientError, _failed),
    (ValueError, _unsayable),
)
