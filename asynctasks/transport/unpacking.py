"""
Compressed bodies: unpacked piece by piece, and known to be whole.

aiohttp unpacks them too, but does not ask whether a gzip stream came to its end. A
gateway that lost its own source half-way passes half of a stream on, with its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import zlib

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError


__all__ = ["OFFERED", "PIECE", "Unpacker", "unpacker_of"]

OFFERED = "gzip, deflate"
"""The codings that services may choose from: those whose end can be seen."""

WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib calls a coding (its ``wbits``)."""

BARE = -15
"""What it calls the deflate of servers that leave the frame of zlib away."""

UNREADABLE = frozenset({"br", "compress", "x-compress", "zstd"})
"""Codings that nobody was offered. Other words, such as ``utf-8``, are no codings."""

SLICE = 4096
"""Bytes that are looked at at a time: all that follows a stream in them is copied."""

PIECE = 64 * 1024
"""Bytes that are given at a time at most."""


class Unpacker:
    """
    Unpacks a body of one stream, or of several in a row (RFC 1952 section 2.2).

    Args:
        window: of :data:`WINDOWS`; 0 for a coding that cannot be read.
    """

    __slots__ = ("_stream", "_window")

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream: zlib._Decompress | None = None

    @property
    def whole(self) -> bool:
        """Whether what came so far ends with a stream, or nothing came."""
        return self._stream is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Take more and give what it unpacks to.

        Raises:
            aiohttp.ClientPayloadError: it is not what it says it is.
        """
        for start in range(0, len(data), SLICE):
            yield from self._feed(data[start : start + SLICE])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        more = False
        while data or more:
            stream = self._stream = self._stream or self._begin(data)
            piece = _unpack(stream, data)
            # A full piece may not be all that is known already.
            more = len(piece) == PIECE and not stream.eof
            data = stream.unconsumed_tail
            if stream.eof:
                data, self._stream = stream.unused_data, None
            if piece:
                yield piece

    def _begin(self, data: bytes) -> zlib._Decompress:
        if not self._window:
            raise aiohttp.ClientPayloadError from ContentEncodingError("unknown")
        bare = self._window == WINDOWS["deflate"] and data[0] & 0x0F != zlib.DEFLATED
        return zlib.decompressobj(BARE if bare else self._window)


def _unpack(stream: zlib._Decompress, data: bytes) -> bytes:
    try:
        return stream.decompress(data, PIECE)
    except zlib.error as exc:
        raise aiohttp.ClientPayloadError from ContentEncodingError(str(exc))


def unpacker_of(headers: Mapping[str, str]) -> Unpacker | None:
    """Return what unpacks the body of an answer; None if it is not compressed."""
    coding = headers.get("Content-Encoding")
    if coding is None:
        return None
    coding = coding.strip().lower()
    window = 0 if coding in UNREADABLE else WINDOWS.get(coding)
    return None if window is None else Unpacker(window)
