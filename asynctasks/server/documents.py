"""JSON that clients send: read by the one contract, and not nested without end."""

from __future__ import annotations

from typing import Any

from ..exceptions import ResponseDecodeError
from ..sansio import codec


__all__ = ["DEEPEST", "read_json"]

DEEPEST = 100
"""Levels of arrays and objects at most, so that recursion over them is safe."""


def read_json(data: bytes) -> Any:
    """
    Read JSON.

    Raises:
        ResponseDecodeError: it is none, or nested more than ``DEEPEST`` levels.
    """
    value = codec.loads(data)
    # Most documents cannot be that deep, and need no second look.
    if data.count(b"[") + data.count(b"{") > DEEPEST and is_deep(value):
        found = f"more than {DEEPEST} nested levels"
        raise ResponseDecodeError("JSON", found=found)
    return value


def is_deep(value: Any) -> bool:
    """Tell whether a value has too many levels, without recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, list | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, list | dict) for each in level)
