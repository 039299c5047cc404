"""A request on its way: its body, and the clock of the attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
import inspect
import math
from typing import TypeGuard

from ..sansio.http import Body, Headers, JoinedBody, Request, body_length


__all__ = ["Sending", "body_chunks", "is_small"]

LARGE = 1024 * 1024
"""Bytes of a body that are handed over whole at most."""


class Sending:
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
