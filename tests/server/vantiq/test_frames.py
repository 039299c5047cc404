"""Frames of clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.server.vantiq.frames import CALCULATIONS, OPERATIONS, parse_frame
from asynctasks.server.vantiq.refusals import Refused
from tests.server.vantiq.worlds import Site


def test_parse() -> None:
    """A frame has an operation, and what goes with it."""
    asked = parse_frame(
        b'{"op":"subscribe","resourceName":"types","resourceId":"/x",'
        b'"parameters":{"requestId":7,"subscriptionId":"s"},"targetNamespace":"ns"}'
    )

    assert ("subscribe", "system.types", "/x", "7", "s", "ns") == (
        asked.op,
        asked.name,
        asked.ident,
        asked.request_id,
        asked.subscription_name(),
        asked.namespace,
    )


def test_parse_least() -> None:
    """Text frames are as good as binary ones, and little is needed."""
    asked = parse_frame('{"op":"select","resourceName":"T","parameters":null}')

    assert ("T", "", None, None, None) == (
        asked.name,
        asked.ident,
        asked.request_id,
        asked.subscription_name(),
        asked.namespace,
    )


@pytest.mark.parametrize(
    "frame", ["", "[]", "{}", '{"op":1}', '{"op":"x","parameters":1}']
)
def test_no_frame(frame: str) -> None:
    """What is no frame is refused."""
    with pytest.raises(Refused):
        parse_frame(frame)


@pytest.mark.parametrize("name", ["limit", "page"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, [1]], ids=repr)
def test_no_number(name: str, value: Any) -> None:
    """Limits and pages are whole numbers from 1."""
    site = Site()
    site.define()
    with pytest.raises(Refused, match=name):
        do(site, "select", parameters={name: value})


def do(site: Site, op: str, **frame: Any) -> Any:
    """Do an operation of the API."""
    names = {"resourceName": "TestType", "op": op} | frame

    return OPERATIONS[op](site.desk, parse_frame(json.dumps(names)))


def test_operations() -> None:
    """All operations of the API are there; counts come first in the body."""
    site = Site()
    site.define()
    do(site, "insert", object={"id": "a", "k": 1})
    do(site, "upsert", object={"id": "b", "k": 2})
    do(site, "update", resourceId="a", object={"k": 3})
    patch = [{"op": "replace", "path": "k", "value": 4}]
    do(site, "patch", resourceId="b", object=patch)
    query = {"sort": {"k": -1}, "props": ["k"], "count": True}
    rows = do(site, "select", parameters=query)
    bare = do(site, "select", parameters={"props": ["id"]})
    one = do(site, "select", resourceId="a")
    published = do(site, "publish", resourceName="topics", resourceId="/t", object=1)
    gone = [
        do(site, "delete", resourceId="a"),
        do(site, "delete", parameters={"where": {"id": "b"}, "count": "true"}),
    ]

    assert (200, [{"count": 2}, {"k": 4}, {"k": 3}]) == rows
    assert (200, [{"id": "a"}, {"id": "b"}]) == bare
    assert (200, 3) == (one[0], one[1]["k"])
    assert ((200, None), [(204, None), (204, [{"count": 1}])]) == (published, gone)


async def test_calculations() -> None:
    """Procedures are executed and sources queried."""
    site = Site()
    site.world.procedure("twice")(lambda n: 2 * n)
    site.world.source("s", query=lambda body: body["q"])
    execute = parse_frame('{"op":"execute","resourceId":"twice","object":[4]}')
    query = parse_frame('{"op":"query","resourceId":"s","object":{"q":5}}')

    assert [8, 5] == [
        await CALCULATIONS["execute"](site.desk, execute),
        await CALCULATIONS["query"](site.desk, query),
    ]
