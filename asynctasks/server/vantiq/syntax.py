"""What a program in VAIL consists of; the grammar is that of the parser."""

from __future__ import annotations

from typing import Any, Union

import attrs


__all__ = [
    "Array",
    "Assign",
    "Call",
    "Insert",
    "Literal",
    "Name",
    "Object",
    "Program",
    "Publish",
    "Return",
    "Statement",
    "Value",
]


@attrs.frozen
class Literal:
    """A constant."""

    value: Any


@attrs.frozen
class Name:
    """A variable, and the members of its value."""

    parts: tuple[str, ...]


@attrs.frozen
class Array:
    """An array of values."""

    items: tuple[Value, ...]


@attrs.frozen
class Object:
    """An object of values."""

    members: tuple[tuple[str, Value], ...]


@attrs.frozen
class Call:
    """The call of a function."""

    function: str
    arguments: tuple[Value, ...]


@attrs.frozen
class Return:
    """Ends a procedure with a value."""

    value: Value


@attrs.frozen
class Publish:
    """Publishes a value to a topic or a service event."""

    value: Value
    resource: str
    target: Value


@attrs.frozen
class Insert:
    """Inserts a value into a type."""

    type: str
    value: Value


@attrs.frozen
class Assign:
    """Gives a variable its value."""

    variable: str
    value: Value


Value = Union[Literal, Name, Array, Object, Call]  # noqa: UP007 - used before its end
Statement = Union[Return, Publish, Insert, Assign, Call]  # noqa: UP007


@attrs.frozen
class Program:
    """A procedure, or a rule, which has a topic."""

    name: str
    parameters: tuple[str, ...]
    block: tuple[Statement, ...]
    topic: str | None = None
