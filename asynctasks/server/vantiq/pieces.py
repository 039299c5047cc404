"""What procedures return, as JSON: whole, or piece by piece while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import attrs

from .refusals import Refused, malformed
from ...exceptions import InvalidArgument
from ...sansio import codec


__all__ = ["Flushing", "collect", "encode", "is_sequence", "pour"]

BUFFER = 64 * 1024
"""Bytes that are collected before they are sent, where the client does not say."""


@attrs.frozen
class Flushing:
    """When what was collected is sent."""

    size: int = BUFFER
    """The bytes above which it is sent."""

    interval: int = 0
    """Milliseconds after which it is sent; 0 for never, -1 for at once."""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Flushing:
        """
        Read the parameters of a streaming call.

        Raises:
            Refused: they are no numbers.
        """
        try:
            size = int(query.get("maxBufferSize", BUFFER))
            return cls(size, int(query.get("maxFlushInterval", 0)))
        except ValueError as exc:
            message = "maxBufferSize and maxFlushInterval are whole numbers."
            raise malformed(message) from exc

    def due(self, size: int, passed: float) -> bool:
        """Tell whether to send so many bytes after so many seconds."""
        if self.interval < 0 or size > self.size:
            return True
        return self.interval > 0 and passed * 1000 >= self.interval


def is_sequence(value: Any) -> bool:
    """Tell whether a value is one that can be sent item by item."""
    if isinstance(value, Mapping | str | bytes | bytearray):
        return False
    return isinstance(value, AsyncIterable | Iterable)


async def items(value: Any) -> AsyncIterator[Any]:
    """Yield the items of a sequence, async or not."""
    if isinstance(value, AsyncIterable):
        async for item in value:
            yield item
        return
    for item in value:
        yield item


async def collect(value: Any) -> Any:
    """Return a value that JSON can say: sequences of any kind become arrays."""
    if not is_sequence(value):
        return value
    return [item async for item in items(value)]


async def pour(
    value: Any, flushing: Flushing, clock: Callable[[], float]
) -> AsyncIterator[bytes]:
    """Yield a sequence as a JSON array in pieces."""
    buffer = bytearray(b"[")
    sent = clock()
    comma = b""
    async for item in items(value):
        buffer += comma + encode(item)
        comma = b","
        if flushing.due(len(buffer), clock() - sent):
            yield bytes(buffer)
            buffer.clear()
            sent = clock()
    yield bytes(buffer + b"]")


def encode(value: Any) -> bytes:
    """
    Write a value as JSON.

    Raises:
        Refused: it is something that JSON cannot say.
    """
    try:
        return codec.dumps(value, name="result")
    except InvalidArgument as exc:
        raise Refused(500, "io.asynctasks.result", str(exc)) from exc
