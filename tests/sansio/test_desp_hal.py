"""HAL documents are read in all the forms that Insula has written them in."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from asynctasks.exceptions import RemoteProtocolError
from asynctasks.sansio.desp_hal import (
    PageInfo,
    build_cursor,
    find_id,
    id_of,
    parse_page,
    parse_rows,
    with_id,
)
from asynctasks.sansio.dialect import Query
from asynctasks.sansio.http import Headers, Response


ANSWER = Response(200)
HREF = "https://x.test/secure/api/v2.0/jobs/793"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (HREF, "793"),
        (f"{HREF}/", "793"),
        (f"{HREF}{{?projection}}", "793"),
        (f"{HREF}?projection=shortJob#top", "793"),
        ("https://x.test/v2.0//jobs/a%20b", "a b"),
        ("https://x.testsecure/api/v2.0/services/20", "20"),
        ("793", "793"),
        ("", None),
        ("///", None),
        (f"{HREF[:-3]}..", None),
        (f"{HREF}%2F1", None),
        (f"{HREF}%0A", None),
        (HREF + "7" * 300, None),
    ],
)
def test_id_of_a_link(link: str, expected: str | None) -> None:
    """The id is the last segment, whatever the host and the template say."""
    assert expected == id_of(link)


def test_endless_template() -> None:
    """A link made to be slow to read is not."""
    begun = time.perf_counter()
    id_of("{" * 1_000_000)

    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"id": 7}, "7"),
        ({"id": "7"}, "7"),
        ({"content": {"id": 7}}, "7"),
        ({"id": None, "_links": {"self": {"href": HREF}}}, "793"),
        ({"_links": {"job": {"href": f"{HREF}{{?projection}}"}}}, "793"),
        (
            {"_links": {"self": "odd", "job": {"href": 1}, "file": {"href": HREF}}},
            "793",
        ),
        ({"_links": [], "content": []}, "5"),
        ([], "5"),
    ],
)
def test_find_id(document: Any, expected: str) -> None:
    """An id is found where releases have it, and last in the Location."""
    response = Response(201, Headers({"Location": "https://x.test/jobs/5"}))

    assert expected == find_id(document, response)


@pytest.mark.parametrize("document", [{}, None, {"id": True}, {"id": ""}])
def test_no_id(document: Any) -> None:
    """Without an id anywhere there is an error."""
    with pytest.raises(RemoteProtocolError):
        find_id(document, ANSWER)


@pytest.mark.parametrize(
    "embedded",
    [
        {"platformFiles": [{"id": 1}]},
        {"fstepFiles": [{"id": 1}]},
        {"other": {}, "ftepFiles": [{"_links": {"self": {"href": "x/1"}}}]},
    ],
)
def test_rows(embedded: Any) -> None:
    """The list of rows is found under the names of all releases; ids are added."""
    found = parse_rows({"_embedded": embedded}, "platformFiles", ANSWER)

    assert [1] == [row["id"] for row in found]


@pytest.mark.parametrize(
    "document",
    [{}, {"_embedded": None}, {"_embedded": {}}, {"_embedded": {"a": [], "b": []}}],
)
def test_no_rows(document: Any) -> None:
    """An empty list may be missing."""
    assert [] == parse_rows(document, "jobs", ANSWER)


@pytest.mark.parametrize(
    "document",
    [[], {"_embedded": []}, {"_embedded": {"jobs": {}}}, {"_embedded": {"jobs": [1]}}],
)
def test_bad_rows(document: Any) -> None:
    """What is no list of objects is an error."""
    with pytest.raises(RemoteProtocolError):
        parse_rows(document, "jobs", ANSWER)


def test_rows_without_an_id() -> None:
    """A row that says its id nowhere stays as it is; ids need not be numbers."""
    nowhere: dict[str, Any] = {"name": "x"}
    text = {"_links": {"self": {"href": "x/y"}}}

    assert (nowhere, "y") == (with_id(nowhere), with_id(text)["id"])


def test_cursor() -> None:
    """The mark of a page says which it is, and how many rows there were."""
    marks = [build_cursor(3, 40), build_cursor(3, None), None]
    found = [PageInfo.of(Query(cursor=mark)) for mark in marks]

    assert [(3, 40), (3, None), (0, None)] == [(i.number, i.total) for i in found]


def page(number: int, document: Any, limit: int | None = 20) -> Any:
    body = {"_embedded": {"jobs": [{"id": 1}]}, **document}
    response = Response(200, body=json.dumps(body).encode())
    found, size = parse_page(
        response.json(), "jobs", Query(limit=limit), number, response
    )
    return found.total, found.next and found.next.cursor, size


@pytest.mark.parametrize(
    ("number", "document", "expected"),
    [
        (0, {}, (1, None, 1)),
        (0, {"page": {"number": 0, "size": 20}}, (None, None, 20)),
        (0, {"page": {"size": 1, "totalPages": 3}}, (None, "1:", 1)),
        (2, {"page": {"number": 2, "totalPages": 3}}, (None, None, 20)),
        (
            0,
            {"page": {"number": 0}, "_links": {"next": {"href": "x"}}},
            (None, "1:", 20),
        ),
        (0, {"page": {"totalElements": 9, "totalPages": 9}}, (9, "1:9", 20)),
        (0, {"_embedded": {}, "page": {"totalPages": 9}}, (None, None, 20)),
    ],
)
def test_page(number: int, document: Any, expected: Any) -> None:
    """Pages are numbered by us; what a page does not say is done without."""
    assert expected == page(number, document)


def test_page_of_unknown_size() -> None:
    """A page whose size nobody said is as large as it is."""
    assert (None, None, 1) == page(0, {"page": {"number": 0}}, limit=None)


def test_another_page() -> None:
    """Another page than the one asked for is an error."""
    with pytest.raises(RemoteProtocolError, match="page 2"):
        page(2, {"page": {"number": 0}})
