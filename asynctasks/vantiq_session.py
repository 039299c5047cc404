"""
One session with a Vantiq server: its settings, its connection, its credentials.

Everything that is asked over HTTP goes through :meth:`Session.perform`, which explains
whatever goes wrong in the words of Vantiq's SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
import logging
from types import TracebackType
from typing import Any

import attrs

from .driver import Driver, Limits
from .exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    InvalidArgument,
    SubscriberClosed,
    VantiqException,
)
from .hooks import Hook, Hooks
from .lanes import Kind, Lanes
from .options import collect_hooks
from .sansio.http import Flow, Headers, Request, Response
from .sansio.retry import RetryPolicy
from .sansio.urls import is_loopback, split_base
from .sansio.vantiq import VantiqResources, VantiqResponse, parse_response
from .sansio.vantiq_arguments import select_query
from .sansio.vantiq_auth import VantiqAuth
from .sansio.vantiq_requests import Api
from .transport import AiohttpTransport, Transport, WebSocketStream


__all__ = ["QUEUE_POLICIES", "Session", "VantiqOptions", "explained"]

EXPLAINED = (AsyncTasksError, TypeError, ValueError, RecursionError)
"""What the application may cause or meet; anything else is a fault of ours."""

QUEUE_POLICIES = ("block", "drop_oldest", "error")


WIDTH = 1024
"""
Requests at the same time.

Far more than helps: what limits a Vantiq application is the application, and a
procedure may take minutes. Slow calls, reads and changes have lanes of their own.
"""

KINDS = {"GET": Kind.POLL}

POLICY = RetryPolicy(attempts=4, timeout=60.0, wait_jitter=0.3, wait_max=2.0)


@attrs.frozen(kw_only=True)
class VantiqOptions:
    """What a :class:`Vantiq` client can be told beyond the SDK that it replaces."""

    retry: RetryPolicy = POLICY
    """How one request is repeated, where that is harmless."""

    attempt_timeout: float = 60.0
    """Seconds for one HTTP attempt."""

    slow_timeout: float = 300.0
    """Seconds for one attempt to execute, query or upload, which may take long."""

    connect_timeout: float = 10.0
    """Seconds until a connection stands; for the subscriber, until it is accepted."""

    max_response_bytes: int = 64 * 1024 * 1024
    """Bytes of an answer, or of one event, at most."""

    refresh_after: float | None = None
    """
    Seconds of age at which the token is refreshed before the next request.

    Tokens of ``authenticate()`` last 24 hours.
    """

    trusted_origins: Collection[str] = ()
    """Other origins to which a download may be redirected, without credentials."""

    trust_env: bool = False
    """Take proxies and netrc from the environment; it makes each call much dearer."""

    heartbeat: float = 20.0
    """Seconds of silence after which the subscriber pings the server."""

    queue_size: int = 1000
    """Events that may wait for one callback."""

    queue_policy: str = attrs.field(
        default="block", validator=attrs.validators.in_(QUEUE_POLICIES)
    )
    """
    What happens when a callback's queue is full.

    ``"block"`` reads no further until there is room, for a few seconds; a callback
    that does not move by then loses its oldest events. ``"drop_oldest"`` does so at
    once. Both tell it by a ``gap``. ``"error"`` ends the subscription.
    """

    duplicate_window: float = 60.0
    """Seconds within which a reliable event that comes again is not told again."""

    reconnect_for: float = 3600.0
    """Seconds after which the subscriber gives up connecting again."""

    hooks: Iterable[Hook] = attrs.field(default=(), converter=collect_hooks)
    """Told of requests, retries and the subscriber; see :mod:`asynctasks.hooks`."""


class explained:  # noqa: N801 - reads as the function that it replaces
    """
    Raises whatever goes wrong inside as a :class:`VantiqException`.

    A class, because a generator would cost each request a few microseconds.
    """

    __slots__ = ("_operation",)

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, EXPLAINED) and not isinstance(exc, VantiqException):
            local = isinstance(exc, InvalidArgument)
            what = "operation.unexpectederror" if local else "operationerror"
            raise _explain(f"io.vantiq.python.{what}", self._operation, exc) from exc


def _explain(code: str, operation: str, exc: BaseException) -> VantiqException:
    message = "Unexpected error during {0} operation: {1}"
    explanation = VantiqException(code, message, [operation, str(exc)])
    if isinstance(exc, AsyncTasksError):
        explanation.retryable = exc.retryable
        explanation.attempts = exc.attempts
        explanation.status = exc.status
    return explanation


def _ask(request: Request) -> Flow[VantiqResponse]:
    return parse_response((yield request))


def _ask_plainly(request: Request) -> Flow[Response]:
    return (yield request)


class Session:
    """
    The connection of one client, as often as it is opened.

    Args:
        server: the URL of the server.
        api_version: of the REST API.
        options: see :class:`VantiqOptions`.
        connect_args: keyword arguments of aiohttp for every request and for the
            WebSocket: ``ssl``, ``proxy``, ``headers``, ``timeout``, ...
        logger: of the client.
        transport: what moves the bytes; stays the caller's. None opens one.
    """

    def __init__(
        self,
        server: str,
        api_version: str,
        options: VantiqOptions,
        connect_args: Mapping[str, Any],
        logger: logging.Logger,
        transport: Transport | None = None,
    ) -> None:
        origin, prefix = split_base(server, "server")
        self.api = Api(origin, prefix, api_version)
        self.auth = VantiqAuth(self.api, options.refresh_after)
        self.options = options
        self.logger = logger
        given = {name: v for name, v in connect_args.items() if v is not None}
        self._headers = Headers(given.pop("headers", {}))
        timeout = given.pop("timeout", None)
        self._limits, self._connect_timeout = _limits(options, timeout)
        self._connect_args = given
        self._given = transport
        self._opened: tuple[Transport, Driver] | None = None

    @property
    def opened(self) -> bool:
        """Whether there is a connection, or will be with the first request."""
        return self._opened is not None

    @property
    def authenticated(self) -> bool:
        """Whether requests can be signed."""
        return self._opened is not None and self.auth.usable

    def open(self) -> tuple[Transport, Driver]:
        """Open the session if it is not open; nothing is sent."""
        if self._opened is None:
            self._opened = self._open()
            self._warn()
        return self._opened

    def _open(self) -> tuple[Transport, Driver]:
        options = self.options
        transport = self._given or AiohttpTransport(
            connect_timeout=self._connect_timeout,
            base_url=self.api.origin,
            trust_env=options.trust_env,
            options=self._connect_args,
        )
        driver = Driver(
            Lanes(transport, width=WIDTH),
            origin=self.api.origin,
            auth=self.auth,
            retry=options.retry,
            limits=self._limits,
            trusted_origins=options.trusted_origins,
            hooks=Hooks(options.hooks, self.logger),
        )
        return transport, driver

    def _warn(self) -> None:
        origin = self.api.origin
        if self._connect_args.get("ssl") is False:
            self.logger.warning("Certificates of %s are not verified", origin)
        elif origin.startswith("http:") and not is_loopback(origin):
            self.logger.warning("Credentials travel in the clear to %s", origin)

    async def close(self) -> None:
        """Close the session and forget the credentials; may be called twice."""
        self.auth.clear()
        opened, self._opened = self._opened, None
        if opened is not None:
            transport, driver = opened
            driver.lanes.closed = True
            if transport is not self._given:
                await transport.aclose()

    # --- requests ------------------------------------------------------------

    async def perform(
        self,
        operation: str,
        build: Callable[[], Request],
        *,
        timeout: float | None = None,
        slow: bool = False,
    ) -> VantiqResponse:
        """
        Ask the server and read its answer; a refusal is an answer.

        Args:
            operation: its name, for errors.
            build: builds the request.
            timeout: seconds for all of it; None leaves it to the options.
            slow: whether the server may take long.

        Raises:
            VantiqException: there is no session, the request cannot be built, or no
                usable answer arrived.
        """
        driver = self.ready_for(operation)
        with explained(operation):
            request = self._shaped(build(), timeout, slow=slow)
            kind = Kind.SUBMIT if slow else KINDS.get(request.method, Kind.ADMIN)
            if timeout is None:
                return await driver.drive(_ask(request), kind=kind)
            try:
                async with asyncio.timeout(timeout):
                    return await driver.drive(_ask(request), kind=kind)
            except TimeoutError as exc:
                reason = f"no answer within {timeout:g} s"
                raise AttemptTimeout(reason, request.redacted()) from exc

    async def converse(self, operation: str, request: Request) -> Response:
        """
        Ask the server without a token.

        Raises:
            VantiqException: no usable answer arrived.
        """
        _, driver = self.open()
        with explained(operation):
            return await driver.drive(_ask_plainly(self._shaped(request, None)))

    def ready_for(self, operation: str) -> Driver:
        """
        Return what drives requests.

        Raises:
            VantiqException: there is no token to sign them with.
        """
        if self._opened is None or not self.auth.usable:
            code = "io.vantiq.python.request.notauthenticated"
            message = "A {0} request was made on a session that is not connected."
            raise VantiqException(code, message, [operation])
        return self._opened[1]

    def _shaped(
        self, request: Request, timeout: float | None, *, slow: bool = False
    ) -> Request:
        """Return the request with the user's headers and its own time limit."""
        if self._headers:
            headers = Headers({**self._headers, **request.headers})
            request = attrs.evolve(request, headers=headers)
        limit = self.options.slow_timeout if slow and timeout is None else timeout
        if limit is not None:
            request = attrs.evolve(request, attempt_timeout=limit)
        return request

    async def see_to_token(self) -> None:
        """
        See that there is a token, if what one is had for is known.

        Raises:
            VantiqException: none could be obtained.
        """
        _, driver = self.open()
        with explained("authenticate"):
            await driver.see_to_credential()

    async def try_token(self) -> None:
        """
        Ask for next to nothing: a token that is refused is renewed on the way.

        Raises:
            VantiqException: no other could be obtained, or no usable answer arrived.
        """
        query = select_query(["_id"], None, None, None, {"limit": "1"})
        request = self.api.get(VantiqResources.TYPES, query=query)
        await self.perform("authenticate", lambda: request)

    async def connect_socket(self) -> WebSocketStream:
        """
        Open the WebSocket of the subscriber.

        Raises:
            AsyncTasksError: no connection could be made.
            SubscriberClosed: the client was closed.
        """
        if self._opened is None:
            raise SubscriberClosed("the client was closed")
        transport, _ = self._opened
        return await transport.connect(
            self._shaped(self.api.socket, None),
            timeout=self._connect_timeout,
            heartbeat=self.options.heartbeat,
            max_bytes=self.options.max_response_bytes,
        )


def _limits(options: VantiqOptions, timeout: Any) -> tuple[Limits, float]:
    """Read the timeout that the user gave for aiohttp: seconds, or a ClientTimeout."""
    attempt, connect = options.attempt_timeout, options.connect_timeout
    if isinstance(timeout, int | float):
        attempt = float(timeout)
    elif timeout is not None:
        attempt = timeout.total or attempt
        connect = timeout.sock_connect or timeout.connect or connect
    limits = Limits(
        attempt_timeout=attempt, max_response_bytes=options.max_response_bytes
    )
    return limits, connect
