"""One request, taken apart."""

from __future__ import annotations

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.http import JoinedBody, Request
from asynctasks.server.aimms.calls import Call, Refused
from asynctasks.server.aimms.documents import Flavour, parse_day
from tests.server.worlds import NOW, World


def build(request: Request, world: World | None = None, **query: str) -> Call:
    """Take a request apart."""
    flavour = Flavour(cloud=True, version=2)
    simulator = (world or World()).simulator
    return Call(simulator, flavour, request, ["tasks", "task-1"], query, NOW)


def test_answer() -> None:
    """An answer is compact, or laid out for people."""
    request = Request("GET", "/pro-api/v2/tasks/x")
    found = [
        build(request, **query).answer({"a": 1.0}).body
        for query in ({}, {"prettyFormat": "false"}, {"prettyFormat": "True"})
    ]

    assert [b'{"a":1.0}', b'{"a":1.0}', b'{\n    "a": 1.0\n}'] == found


def test_body_must_be_read() -> None:
    """A body that nobody read is a mistake of the shell."""
    request = Request("POST", "/pro-api/v2/tasks/x", body=JoinedBody((b"1",)))
    with pytest.raises(InvalidArgument, match="read it before"):
        assert build(request).body


@pytest.mark.parametrize("text", ["", "-1", "1.5", "²", "x" * 99, "0"])
def test_bad_number(text: str) -> None:
    """What is no whole number, or too small, is refused by name."""
    with pytest.raises(Refused, match="limit must be a whole number, at least 1"):
        build(Request("GET", "/"), limit=text).number("limit", 1)


def test_huge_number() -> None:
    """A number of thousands of digits is no trouble."""
    found = build(Request("GET", "/"), limit="9" * 9999).number("limit", 1)

    assert int("9" * 18) == found


def test_find() -> None:
    """A task that is not there is refused with 404."""
    with pytest.raises(Refused) as caught:
        build(Request("GET", "/")).find()

    assert 404 == caught.value.response.status


def test_find_and_describe() -> None:
    """A task that is there is found, of the wanted run, and written down."""
    world = World()
    world.submit("/pro-api/v2/tasks/App/1.0/Test")
    call = build(Request("GET", "/"), world)

    assert ("task-1", "queued") == (call.find().id, call.describe(call.find())["state"])


def test_parsed() -> None:
    """A value is parsed where it is given."""
    call = build(Request("GET", "/"), after="1970-01-02")

    assert (86400.0, None) == (
        call.parsed("after", parse_day),
        call.parsed("before", parse_day),
    )


def test_bad_value() -> None:
    """A value that cannot be parsed is refused by name."""
    with pytest.raises(Refused, match="after: 'soon' is no date"):
        build(Request("GET", "/"), after="soon").parsed("after", parse_day)


def test_number() -> None:
    """A number is given where it is in the query."""
    call = build(Request("GET", "/"), limit="5")

    assert (5, None) == (call.number("limit", 1), call.number("offset", 0))


def test_body() -> None:
    """The body is what was sent."""
    assert b"1" == build(Request("POST", "/", body=b"1")).body
