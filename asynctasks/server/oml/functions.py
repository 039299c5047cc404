"""What a client of the OML half wants to have run: read, checked, cut into pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .answers import OmlRefused, read_object
from .tables import Row, Tables, columns_of, ordered, select, split
from ..documents import read_json
from ...exceptions import InvalidArgument, ResponseDecodeError
from ...sansio.http import Request


__all__ = ["FUNCTIONS", "ScriptCall", "parse_call"]

FUNCTIONS = {
    "do-eval": (),
    "table-apply": ("input",),
    "row-apply": ("input", "rows"),
    "group-apply": ("input", "groupBy"),
    "index-apply": ("times",),
}
"""The script execution functions, and what a call of each must say."""

LEVELS = {
    "v1": ("LOW", "MEDIUM", "HIGH"),
    "v2": ("LOW", "MEDIUM", "HIGH", "TP", "TPURGENT"),
}

TIME_LIMITS = (1800, 43200)

LARGEST = 2**31 - 1


@attrs.frozen(kw_only=True)
class ScriptCall:
    """One call of a script."""

    function: str
    asynchronous: bool
    parameters: bytes = attrs.field(repr=False)
    """The keyword arguments as JSON; empty where there are none."""

    level: str = "LOW"
    time_limit: int = TIME_LIMITS[0]
    graphics: bool = False
    comments: str | None = None
    pieces: Sequence[Any] = attrs.field(default=(), repr=False)
    """What the script is called with, one after the other: rows, or an index."""

    names: tuple[str, ...] = ()
    """The names of the groups that the pieces are."""


def parse_call(
    function: str, request: Request, version: str, tables: Tables, *, strict: bool
) -> ScriptCall:
    """
    Read the body of a call.

    Args:
        function: which script execution function.
        request: with the body as it was sent.
        version: of the API.
        tables: what there is to select from.
        strict: refuse a ``timeout`` out of range, instead of moving it there.

    Raises:
        OmlRefused: something is missing, of another type, or out of range.
    """
    document = read_object(request)
    for name in FUNCTIONS[function]:
        if document.get(name) is None:
            raise OmlRefused(400, f"{name} is required for {function}")
    level = member(document, "service", str, "LOW").upper()
    if level not in LEVELS[version]:
        raise OmlRefused(400, f"service must be one of {', '.join(LEVELS[version])}")
    pieces, names = cut(function, document, tables)
    return ScriptCall(
        function=function,
        asynchronous=member(document, "asyncFlag", bool, False),  # noqa: FBT003
        parameters=parameters(document),
        level=level,
        time_limit=time_limit(document, strict=strict),
        graphics=member(document, "graphicsFlag", bool, False),  # noqa: FBT003
        comments=member(document, "comments", str, None),
        pieces=pieces,
        names=names,
    )


def member(document: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """Return a member of the body, checked; what nobody knows is tolerated."""
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise OmlRefused(400, f"{name} is of the wrong type")
    return value


def whole(document: Mapping[str, Any], name: str) -> int:
    """Return a number of things, at least one."""
    value = member(document, name, int, 0)
    if not 1 <= value <= LARGEST:
        raise OmlRefused(400, f"{name} must be at least 1")
    return int(value)


def time_limit(document: Mapping[str, Any], *, strict: bool) -> int:
    """Return the seconds that a job may take."""
    seconds = member(document, "timeout", int, TIME_LIMITS[0])
    least, most = TIME_LIMITS
    # The vendor's notebooks show 300, which is below the documented minimum.
    if strict and not least <= seconds <= most:
        raise OmlRefused(400, f"timeout must be from {least} to {most}")
    return int(min(max(seconds, least), most))


def parameters(document: Mapping[str, Any]) -> bytes:
    """Return the keyword arguments: a JSON object within a string."""
    # One example in the guide spells it "parameter".
    text = member(document, "parameters", str, None)
    if text is None:
        text = member(document, "parameter", str, "")
    if text and not isinstance(parsed(text), dict):
        raise OmlRefused(400, "parameters must be a JSON object in a string")
    return bytes(text.encode())


def parsed(text: str) -> Any:
    """Return what a JSON text says; None where it is none."""
    try:
        return read_json(text.encode())
    except ResponseDecodeError:
        return None


# --- pieces ------------------------------------------------------------------


def cut(
    function: str, document: Mapping[str, Any], tables: Tables
) -> tuple[Sequence[Any], tuple[str, ...]]:
    """Return what the script is called with, and the names of the groups."""
    if function == "do-eval":
        return (), ()
    if function == "index-apply":
        return range(1, whole(document, "times") + 1), ()
    try:
        rows = select(tables, member(document, "input", str, ""))
        if function == "group-apply":
            groups = grouped(rows, document)
            return tuple(groups.values()), tuple(groups)
    except InvalidArgument as exc:
        raise OmlRefused(400, str(exc)) from exc
    if function == "table-apply":
        return (rows,), ()
    size = whole(document, "rows")
    starts = range(0, len(rows), size)
    return tuple(rows[start : start + size] for start in starts), ()


def grouped(rows: list[Row], document: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Make the groups, and order the rows within them."""
    by = columns_of(member(document, "groupBy", str, ""), rows)
    order = member(document, "orderBy", str, None)
    if order is not None:
        rows = ordered(rows, columns_of(order, rows))
    return split(rows, by)
