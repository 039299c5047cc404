"""
GeoJSON in queries: points, lines and polygons; longitude first.

Shapes are compared in the plane of their degrees, which is right for shapes that are
small and far from the poles and the date line. Distances are metres on a sphere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
import math
from typing import Any

import attrs

from .refusals import Refused, malformed


__all__ = ["GEO_OPERATORS", "Near", "Shape", "parse_near", "parse_shape"]

EARTH_RADIUS = 6_378_100.0
"""Metres; the radius that MongoDB uses."""

TOLERANCE = 1e-12

MOST_SEGMENTS = 1000
"""Straight pieces of a geometry that stored ones are compared with."""

FARTHEST = 360.0
"""Degrees; what is beyond is no place."""

Point = tuple[float, float]
Ring = tuple[Point, ...]


@attrs.frozen
class Shape:
    """A geometry, taken apart."""

    points: tuple[Point, ...]
    lines: tuple[Ring, ...] = ()
    polygon: tuple[Ring, ...] = ()
    """The outer ring of a polygon, and its holes."""

    def segments(self) -> Iterator[tuple[Point, Point]]:
        """Yield the straight pieces."""
        for line in (*self.lines, *self.polygon):
            yield from pairwise(line)

    def covers(self, point: Point) -> bool:
        """Tell whether a point is on this shape, its edge included."""
        if point in self.points or any(on_segment(point, *s) for s in self.segments()):
            return True
        outer, *holes = self.polygon or ((),)
        return inside(point, outer) and not any(inside(point, hole) for hole in holes)

    def intersects(self, other: Shape) -> bool:
        """Tell whether two shapes have a point in common."""
        return (
            any(other.covers(point) for point in self.points)
            or any(self.covers(point) for point in other.points)
            or any(cross(*a, *b) for a in self.segments() for b in other.segments())
        )

    def within(self, other: Shape) -> bool:
        """Tell whether this shape leaves the other one nowhere."""
        middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in self.segments()]
        return all(other.covers(point) for point in (*self.points, *middles))


@attrs.frozen
class Near:
    """A point, and how far from it is near: metres."""

    center: Point
    least: float = 0.0
    most: float = math.inf

    def distance(self, value: Any) -> float:
        """Return how far a stored geometry is; infinity where it is none."""
        shape = shape_or_none(value)
        if shape is None:
            return math.inf
        return min(distance(self.center, point) for point in shape.points)

    def accepts(self, value: Any) -> bool:
        """Tell whether a stored geometry is near."""
        far = self.distance(value)
        return far < math.inf and self.least <= far <= self.most


def parse_shape(value: Any) -> Shape:
    """
    Read a geometry.

    Raises:
        Refused: it is none.
    """
    try:
        kind, coordinates = value["type"], value["coordinates"]
        if kind == "Point":
            return Shape((position(coordinates),))
        if kind == "LineString":
            line = tuple(map(position, coordinates))
            if len(line) > 1:
                return Shape(line, lines=(line,))
        if kind == "Polygon":
            rings = tuple(tuple(map(position, ring)) for ring in coordinates)
            if all(len(ring) > 3 and ring[0] == ring[-1] for ring in rings) and rings:  # noqa: PLR2004 - a triangle and its closing point
                return Shape(rings[0], polygon=rings)
    except (TypeError, KeyError, ValueError, OverflowError):
        pass
    raise malformed("A geometry is a Point, a LineString or a closed Polygon.", value)


def parse_near(operand: Any) -> Near:
    """
    Read the operand of ``$near``.

    Raises:
        Refused: it has no point, or distances that are no numbers.
    """
    if not isinstance(operand, Mapping):
        raise malformed("$near needs a $geometry that is a Point.", operand)
    shape = parse_shape(operand.get("$geometry"))
    least = operand.get("$minDistance", 0.0)
    most = operand.get("$maxDistance", math.inf)
    if len(shape.points) != 1 or not all(map(is_number, (least, most))):
        raise malformed("$near needs a Point, and distances in metres.", operand)
    return Near(shape.points[0], least, most)


def shape_or_none(value: Any) -> Shape | None:
    """Read a stored value, which may be no geometry."""
    try:
        return parse_shape(value)
    except Refused:
        return None


def near(operand: Any) -> Callable[[Any], bool]:
    """Build the test of ``$near`` and ``$nearSphere``."""
    return parse_near(operand).accepts


def geo_intersects(operand: Any) -> Callable[[Any], bool]:
    """Build the test of ``$geoIntersects``."""
    wanted = parse_wanted(operand)
    return lambda value: bool((s := shape_or_none(value)) and s.intersects(wanted))


def geo_within(operand: Any) -> Callable[[Any], bool]:
    """Build the test of ``$geoWithin``."""
    wanted = parse_wanted(operand)
    return lambda value: bool((s := shape_or_none(value)) and s.within(wanted))


GEO_OPERATORS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    "$geoIntersects": geo_intersects,
    "$geoWithin": geo_within,
    "$near": near,
    "$nearSphere": near,
}


def parse_wanted(operand: Any) -> Shape:
    """
    Read the geometry of an operand, each of whose pieces is compared with each stored.

    Raises:
        Refused: it is none, or has too many pieces.
    """
    given = operand.get("$geometry") if isinstance(operand, Mapping) else None
    shape = parse_shape(given)
    if sum(1 for _ in shape.segments()) > MOST_SEGMENTS:
        raise malformed(
            f"A geometry to compare with has {MOST_SEGMENTS} sides at most."
        )
    return shape


def position(value: Sequence[Any]) -> Point:
    """Read longitude and latitude; a third element, the altitude, does not count."""
    longitude, latitude, *_ = value
    if not (is_number(longitude) and is_number(latitude)):
        raise TypeError("coordinates are numbers")
    point = float(longitude), float(latitude)
    if max(map(abs, point)) > FARTHEST:
        raise ValueError("coordinates are degrees")
    return point


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def distance(one: Point, other: Point) -> float:
    """Return the distance on the sphere in metres (haversine)."""
    east, north, east2, north2 = map(math.radians, (*one, *other))
    half = (
        math.sin((north2 - north) / 2) ** 2
        + math.cos(north) * math.cos(north2) * math.sin((east2 - east) / 2) ** 2
    )
    return 2 * EARTH_RADIUS * math.asin(min(1.0, math.sqrt(half)))


def side(a: Point, b: Point, c: Point) -> float:
    """Return on which side of the line from a to b a point is: its sign."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def on_segment(point: Point, a: Point, b: Point) -> bool:
    """Tell whether a point is between two others, on their line."""
    return (
        abs(side(a, b, point)) <= TOLERANCE
        and min(a[0], b[0]) <= point[0] <= max(a[0], b[0])
        and min(a[1], b[1]) <= point[1] <= max(a[1], b[1])
    )


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Tell whether two segments cross; a mere touch is found by their ends."""
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def inside(point: Point, ring: Sequence[Point]) -> bool:
    """Tell whether a point is inside a ring (by the crossings of a ray)."""
    x, y = point
    found = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            found = not found
    return found
