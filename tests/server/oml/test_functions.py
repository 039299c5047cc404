"""What a client of the OML half wants to have run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.sansio.http import Request
from asynctasks.server.oml.answers import OmlRefused
from asynctasks.server.oml.functions import ScriptCall, parse_call


TABLES = {"T": [{"a": "x", "b": 2}, {"a": "y", "b": 3}, {"a": "x", "b": 1}]}

X2, Y3, X1 = [{"A": row["a"], "B": row["b"]} for row in TABLES["T"]]

ALL = "select * from T"


def parse(
    function: str, document: Any, *, version: str = "v2", strict: bool = True
) -> ScriptCall:
    request = Request("POST", "/", body=json.dumps(document).encode())
    return parse_call(function, request, version, TABLES, strict=strict)


def test_defaults() -> None:
    """A call with nothing said is synchronous, and of the lowest level."""
    call = parse("do-eval", {})

    assert (False, b"", "LOW", 1800, False, None) == (
        call.asynchronous,
        call.parameters,
        call.level,
        call.time_limit,
        call.graphics,
        call.comments,
    )


@pytest.mark.parametrize(
    ("function", "document", "pieces", "names"),
    [
        ("do-eval", {}, (), ()),
        ("index-apply", {"times": 3}, (1, 2, 3), ()),
        ("table-apply", {"input": ALL}, ([X2, Y3, X1],), ()),
        ("row-apply", {"input": ALL, "rows": 2}, ([X2, Y3], [X1]), ()),
        ("group-apply", {"input": ALL, "groupBy": "A"}, ([X2, X1], [Y3]), ("x", "y")),
        (
            "group-apply",
            {"input": ALL, "groupBy": "a", "orderBy": "B"},
            ([X1, X2], [Y3]),
            ("x", "y"),
        ),
    ],
)
def test_pieces(
    function: str, document: Any, pieces: tuple[Any, ...], names: tuple[str, ...]
) -> None:
    """The data are cut into what the script is called with."""
    call = parse(function, document)

    assert (pieces, names) == (tuple(call.pieces), call.names)


@pytest.mark.parametrize("key", ["parameters", "parameter"])
def test_parameters(key: str) -> None:
    """The keyword arguments are JSON in a string, under either name."""
    assert b'{"a":1}' == parse("do-eval", {key: '{"a":1}'}).parameters


def test_settings() -> None:
    """Settings are taken; what nobody knows is tolerated."""
    call = parse(
        "do-eval",
        {
            "asyncFlag": True,
            "service": "tp",
            "timeout": 43200,
            "graphicsFlag": True,
            "comments": "why",
            "envName": "any",
            "parallelFlag": True,
            "surprise": 1,
            "parameters": None,
        },
    )

    assert (True, "TP", 43200, True, "why") == (
        call.asynchronous,
        call.level,
        call.time_limit,
        call.graphics,
        call.comments,
    )


@pytest.mark.parametrize(("seconds", "limit"), [(300, 1800), (10**6, 43200)])
def test_lenient_time_limit(seconds: int, limit: int) -> None:
    """A server that is not strict moves a timeout into its range."""
    call = parse("do-eval", {"timeout": seconds}, strict=False)

    assert limit == call.time_limit


@pytest.mark.parametrize(
    ("function", "document", "complaint"),
    [
        ("table-apply", {}, "input is required"),
        ("row-apply", {"input": ALL}, "rows is required"),
        ("group-apply", {"input": ALL}, "groupBy is required"),
        ("index-apply", {}, "times is required"),
        ("index-apply", {"times": 0}, "at least 1"),
        ("index-apply", {"times": True}, "wrong type"),
        ("row-apply", {"input": ALL, "rows": "2"}, "wrong type"),
        ("table-apply", {"input": "select * from NOPE"}, "does not exist"),
        ("group-apply", {"input": ALL, "groupBy": "Z"}, "invalid identifier"),
        ("do-eval", {"service": "ULTRA"}, "service must be"),
        ("do-eval", {"timeout": 1799}, "timeout must be"),
        ("do-eval", {"timeout": 43201}, "timeout must be"),
        ("do-eval", {"parameters": {"a": 1}}, "wrong type"),
        ("do-eval", {"parameters": "[1]"}, "JSON object in a string"),
        ("do-eval", {"parameters": "{"}, "JSON object in a string"),
        ("do-eval", {"asyncFlag": "yes"}, "wrong type"),
        ("do-eval", [], "JSON object"),
    ],
)
def test_refusals(function: str, document: Any, complaint: str) -> None:
    """What is missing, of another type or out of range is refused."""
    with pytest.raises(OmlRefused, match=complaint):
        parse(function, document)


def test_levels_of_v1() -> None:
    """Two levels came with v2."""
    with pytest.raises(OmlRefused):
        parse("do-eval", {"service": "TP"}, version="v1")
