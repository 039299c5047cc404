"""Compressed bodies: what they unpack to, and whether that is all."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
import pytest

from asynctasks.transport.unpacking import PIECE, Unpacker, unpacker_of


TEXT = bytes(random.Random(7).choices(b"abcd ", k=3 * PIECE)) + bytes(3 * PIECE)


def packed(window: int, text: bytes = TEXT) -> bytes:
    packer = zlib.compressobj(wbits=window)
    return packer.compress(text) + packer.flush()


STREAMS = {
    "gzip": ("gzip", packed(31)),
    "gzip by its old name": (" X-GZIP ", packed(31)),
    "several streams": (
        "gzip",
        b"".join(packed(31, bytes([n]) * n) for n in range(99)),
    ),
    "deflate": ("deflate", packed(15)),
    "deflate without a frame": ("deflate", packed(-15)),
    "a piece exactly": ("deflate", packed(-15, bytes(PIECE))),
    "nothing, packed": ("gzip", packed(31, b"")),
}

EXPECTED = {
    "several streams": b"".join(bytes([n]) * n for n in range(99)),
    "a piece exactly": bytes(PIECE),
    "nothing, packed": b"",
}


def opened(coding: str) -> Unpacker:
    unpacker = unpacker_of({"Content-Encoding": coding})
    assert unpacker is not None
    return unpacker


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize("name", STREAMS)
def test_all_of_it(name: str, step: int) -> None:
    """A body unpacks to the same, however it comes; at its end it is whole."""
    coding, data = STREAMS[name]
    unpacker = opened(coding)
    parts = [data[start : start + step] for start in range(0, len(data), step)]
    pieces = [piece for part in parts for piece in unpacker.feed(part)]

    assert EXPECTED.get(name, TEXT) == b"".join(pieces)
    assert unpacker.whole
    assert max(map(len, pieces), default=0) <= PIECE


@pytest.mark.parametrize("window", [31, 15, -15])
def test_no_part_is_whole(window: int) -> None:
    """Wherever a stream breaks off, it is not whole; nothing at all is."""
    data = packed(window, b"some text, and some more text" * 9)
    coding = "gzip" if window == 31 else "deflate"
    for end in range(1, len(data)):
        unpacker = opened(coding)
        list(unpacker.feed(data[:end]))

        assert not unpacker.whole
    assert opened(coding).whole


def test_little_that_unpacks_to_much() -> None:
    """Of a bomb no more is unpacked than is asked for."""
    data = packed(31, bytes(10**7)) * 50
    tracemalloc.start()
    pieces = opened("gzip").feed(data)
    sizes = [len(next(pieces)) for _ in range(500)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert max(sizes) <= PIECE
    assert peak < 16 * PIECE


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"plain"),
        ("gzip", packed(31) + b"and more"),
        ("gzip", packed(31)[:-8] + bytes(8)),
        ("deflate", b"\xff"),
        ("br", b"\x8b\x02\x80hello\x03"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
    ],
)
def test_what_is_something_else(coding: str, data: bytes) -> None:
    """What is not packed as it says, or as nobody was offered, is an error."""
    with pytest.raises(aiohttp.ClientPayloadError) as caught:
        list(opened(coding).feed(data))

    assert isinstance(caught.value.__cause__, ContentEncodingError)


@pytest.mark.parametrize("coding", ["", "identity", "utf-8", "gzip, gzip"])
def test_what_is_not_packed(coding: str) -> None:
    """Words that are no coding leave a body as it is."""
    assert None is unpacker_of({"Content-Encoding": coding}) is unpacker_of({})
