"""
Named tables in memory, and the little of SQL that takes rows from them.

Understood is ``select * from T`` and ``select A, B from T``. As in the database,
names that are not quoted are those of upper case, whatever way they are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...exceptions import InvalidArgument


__all__ = ["Row", "Tables", "columns_of", "ordered", "select", "split"]

Row = dict[str, Any]

Tables = Mapping[str, Sequence[Mapping[str, Any]]]

SHORTEST = 4
"""Words of a statement: select, a column, from, a table."""

MAX_SHOWN = 200
"""Characters of a statement that an error shows."""


def select(tables: Tables, statement: str) -> list[Row]:
    """
    Take the rows that a statement asks for.

    Raises:
        InvalidArgument: it is not understood, or names what there is not.
    """
    columns, table = parse_select(statement)
    named = {name.upper(): rows for name, rows in tables.items()}
    name = fold(table)
    if name not in named:
        raise InvalidArgument("input", statement, "table or view does not exist")
    rows = [{key.upper(): value for key, value in row.items()} for row in named[name]]
    if columns == "*":
        return rows
    wanted = columns_of(columns, rows)
    return [{column: row.get(column) for column in wanted} for row in rows]


def parse_select(statement: str) -> tuple[str, str]:
    """
    Return the columns and the table of a statement, as they are written.

    Raises:
        InvalidArgument: it is not understood.
    """
    text = statement.strip().removesuffix(";")
    words = text.split()
    lower = [word.lower() for word in words[:1] + words[-2:-1]]
    if len(words) < SHORTEST or lower != ["select", "from"] or ";" in text:
        remedy = "this server understands select * from T and select A, B from T"
        raise InvalidArgument("input", statement[:MAX_SHOWN], remedy)
    return " ".join(words[1:-2]), words[-1]


def columns_of(text: str, rows: Sequence[Row]) -> list[str]:
    """
    Read names of columns, separated by commas.

    Raises:
        InvalidArgument: the rows have no such column.
    """
    names = [fold(name) for name in text.split(",")]
    for name in names:
        if rows and name not in rows[0]:
            raise InvalidArgument("column", name, "invalid identifier")
    return names


def fold(name: str) -> str:
    """Return a name as the database has it; without its owner."""
    return name.strip().rpartition(".")[2].replace('"', "").upper()


def ordered(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Sort rows by columns; what is missing comes last, as in the database."""

    def key(row: Row) -> list[tuple[bool, Any]]:
        return [(row.get(name) is None, row.get(name)) for name in columns]

    try:
        return sorted(rows, key=key)
    except TypeError as exc:
        raise InvalidArgument("column", ", ".join(columns), str(exc)) from exc


def split(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, list[Row]]:
    """Make groups of rows that are equal in these columns, in order of their names."""
    groups: dict[str, list[Row]] = {}
    for row in ordered(rows, columns):
        name = "_".join(str(row.get(column)) for column in columns)
        groups.setdefault(name, []).append(row)
    return groups
