"""Tables in memory, and the little of SQL that is understood."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.server.oml.tables import columns_of, ordered, select, split


TABLES = {"People": [{"name": "Ada", "Age": 36}, {"name": "Bob", "Age": None}]}


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (
            "select * from PEOPLE",
            [{"NAME": "Ada", "AGE": 36}, {"NAME": "Bob", "AGE": None}],
        ),
        (" SELECT age\nFROM\tOMLUSER.people ; ", [{"AGE": 36}, {"AGE": None}]),
        (
            'select "AGE", Name from "PEOPLE"',
            [{"AGE": 36, "NAME": "Ada"}, {"AGE": None, "NAME": "Bob"}],
        ),
    ],
)
def test_select(statement: str, rows: list[dict[str, Any]]) -> None:
    """Rows are taken whole, or some of their columns, as the statement has them."""
    assert rows == select(TABLES, statement)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("", "understands"),
        ("drop table PEOPLE", "understands"),
        ("select * from PEOPLE where AGE > 3", "understands"),
        ("select * from PEOPLE; drop table PEOPLE", "understands"),
        ("select * from NOBODY", "does not exist"),
        ("select SHOE from PEOPLE", "invalid identifier"),
        ("select from PEOPLE", "understands"),
        ("select * from PEOPLE;;", "understands"),
        ("select" + " " * 100_000 + "from", "understands"),
        ("select " + "a " * 50_000, "understands"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_not_understood(statement: str, complaint: str) -> None:
    """Any other statement is refused."""
    with pytest.raises(InvalidArgument, match=complaint):
        select(TABLES, statement)


def test_columns_of_nothing() -> None:
    """Without rows any column will do."""
    assert ["A", "B"] == columns_of("a, b", [])


def test_order() -> None:
    """Rows are sorted by several columns; what is missing comes last."""
    rows = [{"A": 2, "B": 1}, {"A": None, "B": 0}, {"A": 2, "B": 0}, {"A": 1, "B": 5}]

    assert [rows[3], rows[2], rows[0], rows[1]] == ordered(rows, ["A", "B"])


def test_values_that_have_no_order() -> None:
    """Text and numbers cannot be sorted together."""
    with pytest.raises(InvalidArgument):
        ordered([{"A": 1}, {"A": "x"}], ["A"])


def test_groups() -> None:
    """Groups keep the order of their rows, and are named by their values."""
    rows = [{"A": "y", "B": 1}, {"A": "x", "B": 2}, {"A": "y", "B": 3}]

    assert {"x": [rows[1]], "y": [rows[0], rows[2]]} == split(rows, ["A"])
    assert ["x_2", "y_1", "y_3"] == list(split(rows, ["A", "B"]))
