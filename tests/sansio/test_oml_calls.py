"""The bodies of calls, and what is checked before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.oml_calls import build_body, build_path


def body(
    inputs: Any = None,
    *,
    version: str = "v2",
    asynchronous: bool = True,
    **options: Any,
) -> Any:
    return json.loads(build_body(inputs, options, version, asynchronous=asynchronous))


QUERY = "select * from IRIS"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "do-eval/f"),
        ({"function": None, "owner": None}, "do-eval/f"),
        ({"function": "row-apply"}, "row-apply/f"),
        ({"owner": "ME/YOU"}, "do-eval/f/ME%2FYOU"),
    ],
)
def test_path(options: dict[str, Any], path: str) -> None:
    """A call is named by its function, the script and its owner."""
    assert path == build_path("f", options)


def test_unknown_function() -> None:
    """There are five functions."""
    with pytest.raises(InvalidArgument, match="group-apply"):
        build_path("f", {"function": "cube-apply"})


@pytest.mark.parametrize(
    ("options", "document"),
    [
        ({}, {}),
        ({"function": "table-apply", "query": QUERY}, {"input": QUERY}),
        (
            {"function": "row-apply", "query": QUERY, "rows": 5, "parallel": 4},
            {"input": QUERY, "rows": 5, "parallelFlag": True, "parallel": 4},
        ),
        (
            {"function": "group-apply", "query": QUERY, "group_by": "A,B"},
            {"input": QUERY, "groupBy": "A,B"},
        ),
        (
            {
                "function": "group-apply",
                "query": QUERY,
                "group_by": ["A", "B"],
                "order_by": ("C",),
                "parallel": False,
            },
            {"input": QUERY, "groupBy": "A, B", "orderBy": "C", "parallelFlag": False},
        ),
        ({"function": "index-apply", "times": 2}, {"times": 2}),
        (
            {
                "service_level": "tp",
                "time_limit": 1800,
                "graphics": True,
                "environment": "seaborn",
                "comments": "why",
                "owner": None,
            },
            {
                "service": "TP",
                "timeout": 1800,
                "graphicsFlag": True,
                "envName": "seaborn",
                "comments": "why",
            },
        ),
    ],
)
def test_fields(options: dict[str, Any], document: dict[str, Any]) -> None:
    """Each option becomes the field that the service has for it."""
    assert {"asyncFlag": True, **document} == body(**options)


def test_parameters_are_json_in_a_string() -> None:
    """The keyword arguments are a JSON document within the JSON document."""
    assert {"parameters": '{"a":[1,"é"]}'} == body({"a": [1, "é"]}, asynchronous=False)


def test_synchronous() -> None:
    """A synchronous call with nothing to say is an empty object."""
    assert {} == body(asynchronous=False)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"function": "table-apply"}, "query.*needs it"),
        ({"function": "row-apply", "query": QUERY}, "rows.*needs it"),
        ({"function": "group-apply", "query": QUERY}, "group_by.*needs it"),
        ({"function": "index-apply"}, "times.*needs it"),
        ({"query": QUERY}, "do-eval takes"),
        ({"parallel": True}, "do-eval takes"),
        ({"function": "table-apply", "query": QUERY, "parallel": 2}, "apply takes"),
        ({"timeout": 1800}, "time_limit"),
        ({"function": "index-apply", "times": 0}, "1 to"),
        ({"function": "index-apply", "times": True}, "1 to"),
        ({"function": "index-apply", "times": 2**31}, "1 to"),
        ({"function": "index-apply", "times": 1.5}, "1 to"),
        ({"function": "index-apply", "times": 1, "parallel": 0}, "1 to"),
        ({"function": "row-apply", "query": QUERY, "rows": -1}, "1 to"),
        ({"function": "table-apply", "query": " "}, "not empty"),
        ({"function": "table-apply", "query": 7}, "must be text"),
        ({"function": "group-apply", "query": QUERY, "group_by": [""]}, "not empty"),
        ({"time_limit": 1799}, "1800 to 43200"),
        ({"time_limit": 43201}, "1800 to 43200"),
        ({"service_level": "ULTRA"}, "LOW, MEDIUM, HIGH, TP, TPURGENT"),
        ({"service_level": "TP", "version": "v1"}, "LOW, MEDIUM, HIGH .API v1"),
        ({"comments": "why", "version": "v1"}, "needs the API v2"),
        ({"graphics": 1}, "True or False"),
        ({"time_limit": 1800, "asynchronous": False}, "synchronous"),
        ({"comments": "why", "asynchronous": False}, "synchronous"),
        ({"inputs": [1]}, "mapping"),
        ({"inputs": {"a": b"x"}}, "JSON"),
    ],
)
def test_local_checks(options: dict[str, Any], remedy: str) -> None:
    """What the service would refuse is refused here, with what to do instead."""
    with pytest.raises(InvalidArgument, match=remedy):
        body(**options)
