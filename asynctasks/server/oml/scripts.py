"""
The packaged scripts, for protocols that run scripts over data.

===================  =========================================================
``group_count``      counts the rows of a group by ``SEPAL_LENGTH``
``RandomRedDots``    draws red dots; answers with their coordinates
===================  =========================================================

Both go by scripts of Oracle's documentation. The table ``IRIS`` is there for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import struct
from typing import TYPE_CHECKING, Any
import zlib

import attrs

from .iris import build_iris
from .tables import Row


if TYPE_CHECKING:
    from ..simulator import Simulator


__all__ = ["Drawn", "draw_png", "register"]

MOST_DOTS = 100_000

SIDE = 24
"""Pixels of a side of the image."""


@attrs.frozen
class Drawn:
    """What a script returns that rendered images."""

    value: Any
    images: Sequence[bytes] = attrs.field(repr=False)


def register(simulator: Simulator) -> None:
    """Offer the packaged scripts, and the table that they are for."""
    simulator.service("group_count", group_count)
    simulator.service("RandomRedDots", red_dots)
    simulator.tables["IRIS"] = build_iris()


def group_count(dat: Sequence[Row]) -> list[list[Row]]:
    """Count the rows of each sepal length: one table for each, of one row."""
    counts = Counter((row["SEPAL_LENGTH"], row["SPECIES"]) for row in dat)
    return [
        [{"SEPAL_LENGTH": length, "SPECIES": species, "COUNT": count}]
        for (length, species), count in counts.items()
    ]


def red_dots(inputs: Mapping[str, Any] | None) -> Drawn:
    """Draw ``num_dots`` dots (100 by default) on a falling line."""
    number = int((inputs or {}).get("num_dots", 100))
    if number > MOST_DOTS:
        raise ValueError(f"num_dots: {MOST_DOTS} at most")
    rows = [{"id": each, "val": each / 100} for each in range(number)]
    dots = {(each % SIDE, each * SIDE // max(number, 1)) for each in range(number)}
    return Drawn(rows, [draw_png(dots)])


def draw_png(dots: set[tuple[int, int]]) -> bytes:
    """Draw red dots on white, as a file in the format PNG."""
    lines = b"".join(
        b"\0"  # no filter
        + b"".join(
            b"\xff\0\0" if (x, y) in dots else b"\xff\xff\xff" for x in range(SIDE)
        )
        for y in range(SIDE)
    )
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
