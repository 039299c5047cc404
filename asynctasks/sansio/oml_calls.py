"""
Calls of scripts: which of the five functions, over what, and how.

Source: the pages of ``do-eval``, ``table-apply``, ``row-apply``, ``group-apply`` and
``index-apply`` in the OML4Py REST guide. What they say of ranges is checked here,
before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import attrs

from . import codec
from .urls import segment
from ..exceptions import InvalidArgument


__all__ = ["OmlOptions", "OmlSettings", "build_body", "build_path"]

LARGEST = 2**31 - 1
"""Whole numbers are int32 in the service's schema."""

TIME_LIMITS = (1800, 43200)
"""Seconds that an asynchronous job may be given: half an hour to twelve."""

LEVELS = {
    "v1": ("LOW", "MEDIUM", "HIGH"),
    "v2": ("LOW", "MEDIUM", "HIGH", "TP", "TPURGENT"),
}
"""The service levels of the database, by the version of the API."""


class OmlSettings(TypedDict, total=False):
    """How a script is run."""

    owner: str
    """Whose script it is, if it is not your own: it is global, or granted to you."""

    service_level: str
    """``"LOW"`` (the service's default), ``"MEDIUM"``, ``"HIGH"``; v2 also has
    ``"TP"`` and ``"TPURGENT"``. High levels allow fewer jobs at the same time."""

    time_limit: int
    """Seconds that the job may take: 1800 (the service's default) to 43200."""

    graphics: bool
    """Have the rendered images captured; see :func:`~.decode_images`."""

    environment: str
    """The name of a conda environment."""

    comments: str
    """What the job is about (v2); the result repeats it."""

    key: str | None
    """Names the submit in the client's journal; see :meth:`TaskClient.submit`."""


class OmlOptions(OmlSettings, total=False):
    """Which script execution function is called, over what, and how."""

    function: str
    """``"do-eval"`` (the default), ``"table-apply"``, ``"row-apply"``,
    ``"group-apply"`` or ``"index-apply"``."""

    query: str
    """The data, such as ``"select * from IRIS"`` (all but do-, index-apply)."""

    rows: int
    """Rows a chunk (row-apply)."""

    group_by: str | Sequence[str]
    """The columns that make the groups (group-apply)."""

    order_by: str | Sequence[str] | None
    """The columns that order the rows of a group (group-apply)."""

    times: int
    """How often (index-apply)."""

    parallel: bool | int
    """Whether the database may run several at once, and how many (row-, group- and
    index-apply). It caps them at 2, 4 or 8 by service level."""


@attrs.frozen
class Function:
    """What a script execution function takes."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


FUNCTIONS = {
    "do-eval": Function(),
    "table-apply": Function(("query",)),
    "row-apply": Function(("query", "rows"), ("parallel",)),
    "group-apply": Function(("query", "group_by"), ("order_by", "parallel")),
    "index-apply": Function(("times",), ("parallel",)),
}


def build_path(script: str, options: Mapping[str, Any]) -> str:
    """
    Return the path of a call below the version, such as ``"do-eval/MyScript"``.

    Raises:
        InvalidArgument: the function is unknown, or a name is no path segment.
    """
    parts = [_function(options), segment(script, "script")]
    if options.get("owner") is not None:
        parts.append(segment(options["owner"], "owner"))
    return "/".join(parts)


def build_body(
    inputs: Any, options: Mapping[str, Any], version: str, *, asynchronous: bool
) -> bytes:
    """
    Write the body of a call.

    Args:
        inputs: the keyword arguments of the script: a mapping, or None.
        options: see :class:`OmlOptions`; None means not given.
        version: of the API.
        asynchronous: whether a job is made of it.

    Raises:
        InvalidArgument: something is missing, out of range, or of another function.
    """
    given = {name: value for name, value in options.items() if value is not None}
    function = _function(given)
    _check_names(given, function)
    document: dict[str, Any] = {}
    for name in FUNCTIONS[function].needs + FUNCTIONS[function].takes + HOW:
        if name in given:
            document |= FIELDS[name](name, given[name])
    if document.get("service", "LOW") not in LEVELS[version]:
        remedy = f"choose one of {', '.join(LEVELS[version])} (API {version})"
        raise InvalidArgument("service_level", document["service"], remedy)
    if "comments" in document and version == "v1":
        raise InvalidArgument("comments", document["comments"], "needs the API v2")
    if asynchronous:
        document["asyncFlag"] = True
    else:
        _check_synchronous(given)
    return codec.dumps(document | _parameters(inputs), name="options")


def _function(options: Mapping[str, Any]) -> str:
    function = options.get("function") or "do-eval"
    if function not in FUNCTIONS:
        remedy = f"choose one of {', '.join(FUNCTIONS)}"
        raise InvalidArgument("function", function, remedy)
    return str(function)


def _check_names(given: Mapping[str, Any], function: str) -> None:
    needs, takes = FUNCTIONS[function].needs, FUNCTIONS[function].takes
    for name in needs:
        if name not in given:
            raise InvalidArgument(name, "", f"{function} needs it")
    known = {"function", "owner", *needs, *takes, *HOW}
    for name in sorted(set(given) - known):
        remedy = f"{function} takes {', '.join(sorted(known - {'function'}))}"
        raise InvalidArgument(name, given[name], remedy)


def _check_synchronous(given: Mapping[str, Any]) -> None:
    for name in ("time_limit", "comments"):
        if name in given:
            remedy = "is for jobs; a synchronous call has none"
            raise InvalidArgument(name, given[name], remedy)


def _parameters(inputs: Any) -> dict[str, Any]:
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        remedy = "a script takes keyword arguments: give a mapping"
        raise InvalidArgument("inputs", type(inputs).__name__, remedy)
    # A JSON document in a string: that is how the service wants it.
    return {"parameters": codec.dumps(dict(inputs)).decode()}


# --- one option each ---------------------------------------------------------


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= most:
            remedy = f"must be a whole number, {least} to {most}"
            raise InvalidArgument(name, value, remedy)
        return int(value)

    return check


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(name, value, "must be text, and not empty")
    return value


def _columns(name: str, value: Any) -> str:
    if isinstance(value, str):
        return _text(name, value)
    return ", ".join(_text(name, column) for column in value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(name, value, "must be True or False")
    return value


def _parallel(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"parallelFlag": value}
    degree = _whole(1, LARGEST)(name, value)
    return {"parallelFlag": True, "parallel": degree}


def _field(key: str, check: Callable[[str, Any], Any]) -> Build:
    return lambda name, value: {key: check(name, value)}


Build = Callable[[str, Any], dict[str, Any]]

FIELDS: Mapping[str, Build] = {
    "query": _field("input", _text),
    "rows": _field("rows", _whole(1, LARGEST)),
    "group_by": _field("groupBy", _columns),
    "order_by": _field("orderBy", _columns),
    "times": _field("times", _whole(1, LARGEST)),
    "parallel": _parallel,
    "service_level": _field("service", lambda name, value: _text(name, value).upper()),
    "time_limit": _field("timeout", _whole(*TIME_LIMITS)),
    "graphics": _field("graphicsFlag", _flag),
    "environment": _field("envName", _text),
    "comments": _field("comments", _text),
}
"""What each option becomes in the body."""

HOW = ("service_level", "time_limit", "graphics", "environment", "comments")
"""What every function takes."""
