"""What procedures return, as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asynctasks.server.vantiq.pieces import Flushing, collect, encode, is_sequence, pour
from asynctasks.server.vantiq.refusals import Refused


async def count_up(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1], True),
        ((1,), True),
        (range(2), True),
        (iter([1]), True),
        (count_up(1), True),
        ({"a": 1}, False),
        ("text", False),
        (b"", False),
        (7, False),
        (None, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_is_sequence(value: Any, expected: bool) -> None:
    """Lists, iterators and generators of both kinds are sequences."""
    assert expected is is_sequence(value)


async def test_collect() -> None:
    """Sequences become arrays; all else stays as it is."""
    assert [0, 1] == await collect(count_up(2))
    assert [0, 1] == await collect(range(2))
    assert {"a": 1} == await collect({"a": 1})


@pytest.mark.parametrize(
    ("flushing", "expected"),
    [
        (Flushing(), [b"[0,1,2]"]),
        (Flushing(interval=-1), [b"[0", b",1", b",2", b"]"]),
        (Flushing(size=2), [b"[0,1", b",2]"]),
        (Flushing(interval=1500), [b"[0,1", b",2]"]),
    ],
    ids=str,
)
async def test_pour(flushing: Flushing, expected: list[bytes]) -> None:
    """Pieces are sent by size, by time, or at once; together they are an array."""
    clock = iter(range(100))
    pieces = pour(count_up(3), flushing, lambda: float(next(clock)))

    assert expected == [piece async for piece in pieces]


async def test_pour_nothing() -> None:
    """Nothing is an empty array."""
    assert [b"[]"] == [piece async for piece in pour([], Flushing(), float)]


def test_parse() -> None:
    """The parameters are whole numbers, with documented defaults."""
    assert Flushing(65536, 0) == Flushing.parse({})
    assert Flushing(10, -1) == Flushing.parse(
        {"maxBufferSize": "10", "maxFlushInterval": "-1"}
    )
    with pytest.raises(Refused):
        Flushing.parse({"maxBufferSize": "much"})


def test_encode() -> None:
    """What JSON cannot say is refused."""
    with pytest.raises(Refused) as caught:
        encode({"a": object()})

    assert (500, b"[1]") == (caught.value.status, encode([1]))
