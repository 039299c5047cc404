"""
What a transport is: one attempt, no policy.

A :class:`Transport` sends one request and brings one answer. It knows nothing of
credentials, retries or tasks. Its errors are ours: those of a library end in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import ClassVar, Self

import attrs

from ..exceptions import ConnectError
from ..sansio.http import Request, Response


__all__ = ["Download", "Transport", "WebSocketStream"]


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


class WebSocketStream(ABC):
    """An open WebSocket: texts go out, texts and bytes come in."""

    @abstractmethod
    async def send(self, text: str) -> None:
        """
        Send a text.

        Raises:
            ConnectionLost: it is not open any more.
        """

    @abstractmethod
    async def receive(self) -> bytes:
        """
        Wait for the next message; a text comes as its bytes.

        Raises:
            ConnectionLost: there will be none: either side closed it, or it is dead.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close it; may be called twice, and while somebody waits to receive."""
