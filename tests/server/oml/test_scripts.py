"""The packaged scripts."""

from __future__ import annotations

import struct
from typing import Any
import zlib

import pytest

from asynctasks.server.oml.scripts import draw_png, register
from asynctasks.server.simulator import Simulator


def run(name: str, inputs: Any) -> Any:
    simulator = Simulator(new_id=lambda: "t1")
    register(simulator)
    return simulator.services[name].function(inputs)


def test_table() -> None:
    """The table that the scripts are for is there."""
    simulator = Simulator(new_id=lambda: "t1")
    register(simulator)

    assert 150 == len(simulator.tables["IRIS"])


def test_group_count() -> None:
    """Each sepal length of a group has a table of its own, in their order."""
    rows = [{"SEPAL_LENGTH": length, "SPECIES": "s"} for length in (5.0, 5.1, 5.0)]

    assert [
        [{"SEPAL_LENGTH": 5.0, "SPECIES": "s", "COUNT": 2}],
        [{"SEPAL_LENGTH": 5.1, "SPECIES": "s", "COUNT": 1}],
    ] == run("group_count", rows)


@pytest.mark.parametrize(
    ("inputs", "number"), [(None, 100), ({"num_dots": 2}, 2), ({"num_dots": 0}, 0)]
)
def test_red_dots(inputs: Any, number: int) -> None:
    """The dots are drawn, and their coordinates returned."""
    drawn = run("RandomRedDots", inputs)

    assert number == len(drawn.value)
    assert drawn.images[0].startswith(b"\x89PNG\r\n\x1a\n")


def test_too_many_dots() -> None:
    """More dots than memory are refused."""
    with pytest.raises(ValueError, match="num_dots"):
        run("RandomRedDots", {"num_dots": 10**12})


def test_png() -> None:
    """The image has its size, its colours and checksums that are right."""
    data = draw_png({(0, 0)})[8:]
    chunks = {}
    while data:
        (size,) = struct.unpack(">I", data[:4])
        name, content = data[4:8], data[8 : 8 + size]
        assert (
            zlib.crc32(name + content)
            == struct.unpack(">I", data[8 + size : 12 + size])[0]
        )
        chunks[name], data = content, data[12 + size :]

    assert [b"IHDR", b"IDAT", b"IEND"] == list(chunks)
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert (24 * 3 + 1) * 24 == len(pixels)
    assert b"\xff\0\0\xff\xff\xff" == pixels[1:7]
