"""Requests are taken apart and answered as Spring Data REST does."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from asynctasks.sansio.http import BodySource, Headers, Request
from asynctasks.server.desp.calls import Call, Refused
from tests.server.desp.worlds import NOW, DespWorld


def call(
    method: str = "GET", query: str = "", body: bytes = b"", **headers: str
) -> Call:
    world = DespWorld()
    pairs = [tuple(pair.split("=")) for pair in query.split("&") if pair]
    request = Request(method, f"/jobs?{query}", Headers(headers), body)
    user = world.store.user("user")
    return Call(world.store, user, request, ["jobs"], pairs, NOW)  # type: ignore[arg-type]


@attrs.frozen
class Row:
    """Something to be listed."""

    id: int
    name: str | None = None


def listed(query: str, count: int = 5) -> Any:
    rows = [Row(n, None if n == 3 else f"{9 - n}") for n in range(count)]
    answer = call(query=query).page("jobs", rows, lambda row: {"id": row.id})
    return answer.json()


@pytest.mark.parametrize(
    ("query", "ids", "meta"),
    [
        ("", [0, 1, 2, 3, 4], (0, 20, 1)),
        ("page=1&size=2", [2, 3], (1, 2, 3)),
        ("page=2&size=2", [4], (2, 2, 3)),
        ("page=9&size=2", [], (9, 2, 3)),
        ("page=x&size=-1", [0, 1, 2, 3, 4], (0, 20, 1)),
        ("size=5000", [0, 1, 2, 3, 4], (0, 1000, 1)),
        ("size=0", [0, 1, 2, 3, 4], (0, 20, 1)),
        ("sort=id,desc", [4, 3, 2, 1, 0], (0, 20, 1)),
        ("sort=name", [3, 4, 2, 1, 0], (0, 20, 1)),
        ("sort=odd,asc", [0, 1, 2, 3, 4], (0, 20, 1)),
        ("sort=startTime", [0, 1, 2, 3, 4], (0, 20, 1)),
    ],
)
def test_page(query: str, ids: list[int], meta: tuple[int, int, int]) -> None:
    """Pages are cut, counted and sorted; what cannot be understood is ignored."""
    found = listed(query)
    page = found["page"]

    assert ids == [row["id"] for row in found["_embedded"]["jobs"]]
    assert meta == (page["number"], page["size"], page["totalPages"])
    assert 5 == page["totalElements"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"self", "profile"}),
        ("page=0&size=2", {"self", "first", "next", "last", "profile"}),
        ("page=1&size=2", {"self", "first", "prev", "next", "last", "profile"}),
        ("page=2&size=2", {"self", "first", "prev", "last", "profile"}),
    ],
)
def test_page_links(query: str, expected: set[str]) -> None:
    """The last page has no next, and a single one no links to others."""
    assert expected == set(listed(query)["_links"])


def test_links_keep_the_query() -> None:
    """The link to the next page asks the same in all else."""
    link = listed("page=0&size=2&sort=id")["_links"]["next"]["href"]

    assert "http://localhost/secure/api/v2.0/jobs?size=2&sort=id&page=1" == link


def test_whole_list() -> None:
    """A list of relations has no pages."""
    found = call().whole_list("jobs", [{"id": 1}]).json()

    assert {"_embedded", "_links"} == set(found)
    assert found["_links"]["self"]["href"].endswith("/jobs")


@pytest.mark.parametrize(
    ("method", "accept", "status", "expected"),
    [
        ("GET", "", 200, (200, True)),
        ("POST", "*/*", 201, (201, True)),
        ("POST", "", 201, (201, False)),
        ("PATCH", "", 200, (204, False)),
    ],
)
def test_answer(method: str, accept: str, status: int, expected: Any) -> None:
    """What changes things shows it only to those who accept it."""
    answer = call(method, Accept=accept).answer({"a": 1}, status, "x/1")

    assert expected == (answer.status, bool(answer.body))
    assert "x/1" == answer.headers["Location"]


@pytest.mark.parametrize("body", [b"", b"[]", b"no json"])
def test_no_document(body: bytes) -> None:
    """A body that is no object is refused as Spring Boot does."""
    with pytest.raises(Refused) as caught:
        call("POST", body=body).document()
    refusal = caught.value.response

    assert (400, "/jobs") == (refusal.status, refusal.json()["path"])


def test_document() -> None:
    """An object is decoded."""
    assert {"a": 1} == call("POST", body=json.dumps({"a": 1}).encode()).document()


def test_unread_body() -> None:
    """A body that nobody read is none."""

    class Source:
        length = None
        replayable = False

        def open(self) -> Any:
            raise AssertionError

    source: BodySource = Source()
    request = Request("POST", "/jobs", body=source)

    assert b"" == attrs.evolve(call(), request=request).body


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("x/jobs/1", "one"),
        ("x/jobs/2", None),
        ("x/jobs/a", None),
        ("", None),
        (1, None),
    ],
)
def test_referred(link: Any, expected: str | None) -> None:
    """Of a link the last segment alone counts."""
    assert expected == call().referred({1: "one"}, link)


@pytest.mark.parametrize(
    ("document", "kind", "body"),
    [
        (None, None, b""),
        ("words", "text/plain;charset=UTF-8", b"words"),
        ({"a": 1}, "application/json", b'{"a":1}'),
    ],
)
def test_refused(document: Any, kind: str | None, body: bytes) -> None:
    """A refusal has no body, or text, or JSON."""
    answer = Refused(404, document).response

    assert (kind, body) == (answer.headers.get("Content-Type"), answer.body)


def test_entity() -> None:
    """An entity is found by the number in the path, or there is none."""
    asked = attrs.evolve(call(), parts=["jobs", "1"])
    with pytest.raises(Refused):
        asked.entity({})

    assert "one" == asked.entity({1: "one"})


def test_plain_and_projection() -> None:
    """Logs are plain JSON; a projection is that of the query."""
    asked = call(query="projection=shortJob")

    assert ("application/json", "shortJob") == (
        asked.plain([]).media_type,
        asked.projection,
    )
