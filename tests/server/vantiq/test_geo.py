"""GeoJSON in queries."""

from __future__ import annotations

import math
from typing import Any

import pytest

from asynctasks.server.vantiq.geo import GEO_OPERATORS, parse_near, parse_shape
from asynctasks.server.vantiq.refusals import Refused


def point(*position: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(position)}


def line(*positions: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(p) for p in positions]}


def polygon(*rings: list[tuple[float, float]]) -> dict[str, Any]:
    closed = [[list(p) for p in (*ring, ring[0])] for ring in rings]
    return {"type": "Polygon", "coordinates": closed}


SQUARE = polygon([(0, 0), (4, 0), (4, 4), (0, 4)])
RING = polygon([(0, 0), (4, 0), (4, 4), (0, 4)], [(1, 1), (3, 1), (3, 3), (1, 3)])


@pytest.mark.parametrize(
    ("operator", "shape", "value", "expected"),
    [
        ("$geoWithin", SQUARE, point(1, 1), True),
        ("$geoWithin", SQUARE, point(1, 1, 300), True),
        ("$geoWithin", SQUARE, point(0, 2), True),
        ("$geoWithin", SQUARE, point(5, 1), False),
        ("$geoWithin", RING, point(2, 2), False),
        ("$geoWithin", RING, point(0.5, 2), True),
        ("$geoWithin", SQUARE, line((1, 1), (2, 3)), True),
        ("$geoWithin", SQUARE, line((1, 1), (5, 3)), False),
        ("$geoWithin", RING, line((0.5, 2), (3.5, 2)), False),
        ("$geoWithin", SQUARE, "no shape", False),
        ("$geoIntersects", SQUARE, line((-1, 2), (5, 2)), True),
        ("$geoIntersects", SQUARE, line((-1, 5), (5, 5)), False),
        ("$geoIntersects", line((0, 0), (2, 2)), line((0, 2), (2, 0)), True),
        ("$geoIntersects", point(1, 1), point(1, 1), True),
        ("$geoIntersects", point(1, 1), SQUARE, True),
        ("$geoIntersects", SQUARE, None, False),
    ],
)
def test_shapes(operator: str, shape: Any, value: Any, expected: bool) -> None:
    """Shapes are within others, or have points in common."""
    test = GEO_OPERATORS[operator]({"$geometry": shape})

    assert expected is test(value)


@pytest.mark.parametrize("word", ["$near", "$nearSphere"])
def test_near(word: str) -> None:
    """Near is a distance in metres, at least and at most."""
    operand = {
        "$geometry": point(13, 42),
        "$maxDistance": 100_000,
        "$minDistance": 1000,
    }
    test = GEO_OPERATORS[word](operand)

    assert [False, True, False, False] == [
        test(point(13, 42)),
        test(point(13.5, 42.5)),
        test(point(15, 42)),
        test(None),
    ]


def test_distance() -> None:
    """A degree of a meridian is 111 km; what is no geometry is nowhere."""
    near = parse_near({"$geometry": point(0, 0)})

    assert 111.3 == round(near.distance(point(0, 1)) / 1000, 1)
    assert math.inf == near.distance({"type": "Point"})


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"type": "Circle", "coordinates": [0, 0]},
        {"type": "Point", "coordinates": ["0", 0]},
        {"type": "Point", "coordinates": [True, 0]},
        {"type": "Point", "coordinates": [0]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [2, 2]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "LineString", "coordinates": []},
        {"type": "LineString", "coordinates": [[0, 0]]},
        {"type": "Point", "coordinates": [10**400, 0]},
        {"type": "Point", "coordinates": [1e308, 0]},
    ],
)
def test_no_shape(value: Any) -> None:
    """What is no geometry is refused."""
    with pytest.raises(Refused, match="geometry"):
        parse_shape(value)


@pytest.mark.parametrize(
    "operand",
    [
        1,
        {},
        {"$geometry": line((0, 0), (1, 1))},
        {"$geometry": point(0, 0), "$maxDistance": "far"},
    ],
)
def test_no_near(operand: Any) -> None:
    """Near needs a point, and numbers."""
    with pytest.raises(Refused):
        parse_near(operand)


@pytest.mark.parametrize("operator", ["$geoIntersects", "$geoWithin"])
def test_too_many_sides(operator: str) -> None:
    """A geometry is refused whose comparison with many would take too long."""
    many = line(*((each / 1000, 0) for each in range(1002)))
    fewer = line(*((each / 1000, 0) for each in range(1001)))
    with pytest.raises(Refused, match="1000 sides at most"):
        GEO_OPERATORS[operator]({"$geometry": many})

    assert GEO_OPERATORS[operator]({"$geometry": fewer})(point(0, 0)) is True


def test_operand() -> None:
    """Operators need a geometry."""
    with pytest.raises(Refused):
        GEO_OPERATORS["$geoWithin"](3)
