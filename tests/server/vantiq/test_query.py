"""Sorting, projection and substitution."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.query import nearness, project, sort_rows, substitute
from asynctasks.server.vantiq.refusals import Refused


def test_sort() -> None:
    """Rows are sorted by the first property, then by the next; either way."""
    rows = [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]

    assert [(1, 2), (1, 1), (2, 1)] == [
        (row["a"], row["b"]) for row in sort_rows(rows, {"a": 1, "b": -1})
    ]


def test_sort_of_kinds() -> None:
    """Values of different kinds have MongoDB's order; what is not there is first."""
    values: list[Any] = [True, [1], {"a": 1}, "x", 2, None]
    rows: list[dict[str, Any]] = [{"v": value} for value in values]

    assert [None, None, 2, "x", {"a": 1}, [1], True] == [
        row.get("v") for row in sort_rows([*rows, {}], {"v": 1})
    ]


@pytest.mark.parametrize("sort", [1, {"a": 2}, ["a"]])
def test_bad_sort(sort: Any) -> None:
    """An order is an object of names with 1 or -1."""
    with pytest.raises(Refused):
        sort_rows([], sort)


def test_project() -> None:
    """Only the properties that were asked for are there."""
    assert {"a": 1, "c": {"d": 1}} == project(
        {"_id": "1", "a": 1, "b": 2, "c": {"d": 1}}, ["a", "c.d", "x"]
    )


@pytest.mark.parametrize("props", ["a", [1]])
def test_bad_props(props: Any) -> None:
    """Properties are an array of names."""
    with pytest.raises(Refused):
        project({}, props)


def test_substitute() -> None:
    """The server's values are put in, wherever they are asked for."""
    where = {"$or": [{"who": {"ars_substitution": "ars_username"}}, {"n": 1}]}

    assert {"$or": [{"who": "joe"}, {"n": 1}]} == substitute(
        where, {"ars_username": "joe"}
    )


def test_unknown_substitution() -> None:
    """What cannot be substituted is refused."""
    with pytest.raises(Refused, match="ars_secret"):
        substitute({"a": {"ars_substitution": "ars_secret"}}, {})


def test_nearness() -> None:
    """What is near is sorted by its distance."""
    here = {"$geometry": {"type": "Point", "coordinates": [0, 0]}}
    by = nearness({"name": "x", "at": {"$near": here}})
    rows: list[Any] = [
        {"at": {"type": "Point", "coordinates": [x, 0]}} for x in (3, 1, 2)
    ]

    assert by is not None
    assert [1, 2, 3] == [row["at"]["coordinates"][0] for row in sorted(rows, key=by)]
    assert nearness({"name": {"$gt": 1}}) is None
