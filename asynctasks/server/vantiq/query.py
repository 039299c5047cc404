"""What a query is besides its ``where``: substitutions, ``sort`` and ``props``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .geo import Near, parse_near
from .refusals import malformed
from .where import MISSING, kind, reach


__all__ = ["nearness", "project", "sort_rows", "substitute"]


def substitute(where: Any, values: Mapping[str, Any]) -> Any:
    """
    Put the server's values in place of ``{"ars_substitution": name}``.

    Raises:
        Refused: there is no such value.
    """
    if isinstance(where, list):
        return [substitute(each, values) for each in where]
    if not isinstance(where, Mapping):
        return where
    if [*where] == ["ars_substitution"]:
        name = where["ars_substitution"]
        if not isinstance(name, str) or name not in values:
            raise malformed(f"{name} cannot be substituted.", name)
        return values[name]
    return {name: substitute(value, values) for name, value in where.items()}


def nearness(where: Mapping[str, Any]) -> Callable[[Any], float] | None:
    """Return how to sort by distance, if the query asks for what is near."""
    for name, value in where.items():
        for word in ("$near", "$nearSphere"):
            if isinstance(value, Mapping) and word in value:
                return by_distance(parse_near(value[word]), name.split("."))
    return None


def by_distance(near: Near, path: Sequence[str]) -> Callable[[Any], float]:
    """Return what gives the distance of a document."""
    return lambda document: min(map(near.distance, reach(document, path)))


KINDS = ["NoneType", "number", "str", "dict", "list", "bool"]
"""The kinds of values in MongoDB's order."""


def sort_rows(rows: Sequence[Any], sort: Any) -> list[Any]:
    """
    Sort documents: by the first property, then by the next.

    Raises:
        Refused: the order is no object of names with 1 or -1.
    """
    if not isinstance(sort, Mapping) or not all(v in (1, -1) for v in sort.values()):
        raise malformed("sort is a JSON object of names with 1 or -1.", sort)
    found = list(rows)
    for name, direction in reversed([*sort.items()]):
        path = name.split(".")
        found.sort(key=lambda row, p=path: rank(row, p), reverse=direction == -1)  # type: ignore[misc]
    return found


def rank(row: Any, path: Sequence[str]) -> tuple[int, Any]:
    """Return what a document is sorted by; arrays and objects are alike."""
    value = next(iter(reach(row, path)), None)
    word = "NoneType" if value is MISSING else kind(value)
    return KINDS.index(word), value if word in {"number", "str", "bool"} else 0


def project(row: Mapping[str, Any], props: Any) -> dict[str, Any]:
    """
    Keep the properties that were asked for, and nothing else.

    Raises:
        Refused: they are no array of names.
    """
    if not isinstance(props, list) or not all(isinstance(p, str) for p in props):
        raise malformed("props is a JSON array of names.", props)
    tops = {name.partition(".")[0] for name in props}
    return {name: value for name, value in row.items() if name in tops}
