"""
Reading the inputs of the scheduling service.

::

    {"resources": [{"resource": "oven-1"}, {"resource": "oven-2"}],
     "activities": [{"act": "rye", "processTime": 6, "releaseDate": 2, "dueDate": 20}],
     "timeLimit": 10}

The keys of ``activities`` are those that the client of AIMMS' article 567 reads; how
that service is told its machines is nowhere said. ``resources`` may also be a list of
names or a number, and be called ``machines``. ``releaseDate`` (0), ``dueDate`` (none)
and ``timeLimit`` (60 seconds) may be left out. Other members are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from .scheduling import Activity


__all__ = ["Instance", "parse_instance"]

ASSUMED_RESOURCES = 3
"""How many machines there are when the inputs do not say."""

MAX_ACTIVITIES = 200
"""More are refused: they would be far from what an exact method can do."""

TIME_LIMIT = 60.0
"""Seconds to search, unless the inputs say otherwise."""


@frozen
class Instance:
    """What is to be scheduled."""

    activities: tuple[Activity, ...]

    resources: tuple[str, ...]
    """The names of the machines."""

    time_limit: float = TIME_LIMIT
    """Seconds after which the best schedule so far will do."""

    assumed: bool = False
    """Whether the inputs left the machines out."""


def parse_instance(inputs: Any) -> Instance:
    """
    Read the inputs.

    Raises:
        ValueError: they cannot be used; its text begins with the place.
    """
    members = inputs if isinstance(inputs, Mapping) else {}
    given = members.get("resources", members.get("machines"))
    return Instance(
        parse_activities(members.get("activities")),
        parse_resources(ASSUMED_RESOURCES if given is None else given),
        parse_time_limit(members.get("timeLimit", TIME_LIMIT)),
        assumed=given is None,
    )


def parse_activities(rows: Any) -> tuple[Activity, ...]:
    """Read the rows of ``activities``."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ACTIVITIES:
        raise ValueError(f"activities: an array of 1 to {MAX_ACTIVITIES} is needed")
    activities = tuple(
        parse_activity(row, f"activities[{index}]") for index, row in enumerate(rows)
    )
    require_distinct([activity.name for activity in activities], "activities")
    return activities


def parse_activity(row: Any, where: str) -> Activity:
    """Read one row of ``activities``."""
    cells = row if isinstance(row, Mapping) else {}
    due = cells.get("dueDate")
    return Activity(
        parse_name(cells.get("act"), f"{where}.act"),
        parse_whole(cells.get("processTime"), f"{where}.processTime", least=1),
        parse_whole(cells.get("releaseDate", 0), f"{where}.releaseDate"),
        None if due is None else parse_whole(due, f"{where}.dueDate"),
    )


def parse_resources(given: Any) -> tuple[str, ...]:
    """Read the machines: rows, names, or how many."""
    if not isinstance(given, list):
        count = parse_whole(given, "resources", least=1)
        given = [f"res-{number}" for number in range(1, min(count, MAX_ACTIVITIES) + 1)]
    if not given:
        raise ValueError("resources: at least one is needed")
    names = tuple(
        parse_name(
            row.get("resource") if isinstance(row, Mapping) else row,
            f"resources[{index}]",
        )
        for index, row in enumerate(given)
    )
    require_distinct(names, "resources")
    return names


def parse_name(value: Any, where: str) -> str:
    """Read a name."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}: a name is needed, not {value!r}")
    return value


def parse_whole(value: Any, where: str, *, least: int = 0) -> int:
    """Read a whole number; 28.0 is one, as AIMMS writes them so."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or value != value // 1 or value < least:
        raise ValueError(
            f"{where}: a whole number from {least} is needed, not {value!r}"
        )
    return int(value)


def parse_time_limit(value: Any) -> float:
    """Read the seconds to search."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or value <= 0:
        raise ValueError(f"timeLimit: seconds above 0 are needed, not {value!r}")
    return float(value)


def require_distinct(names: list[str] | tuple[str, ...], where: str) -> None:
    """Refuse names that occur twice."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise ValueError(f"{where}[{index}]: {name!r} is there twice")
        seen.add(name)
