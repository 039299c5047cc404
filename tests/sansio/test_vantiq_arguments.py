"""What users give, as Vantiq wants it."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument, VantiqException
from asynctasks.sansio.http import JoinedBody
from asynctasks.sansio.vantiq import VantiqResources as Names
from asynctasks.sansio.vantiq_arguments import (
    build_event_path,
    build_part,
    check_upload,
    content_of,
    count_query,
    select_query,
    topic_id,
    without_id,
)
from asynctasks.sansio.vantiq_requests import Api


API = Api("https://dev.example")


def test_select_query_leaves_out_what_is_not_given() -> None:
    """Empty properties, no limit and no sort leave no trace; an empty where does."""
    assert {} == select_query([], None, {}, 0, {})
    assert {} == select_query(None, None, None, -1, None)
    assert {"where": "{}"} == select_query(None, {}, None, None, None)


def test_select_query_says_what_is_given() -> None:
    """What is given is JSON with Python's separators; a limit asks for the count."""
    assert {
        "props": '["a", "b"]',
        "where": '{"a": 1}',
        "sort": '{"a": -1}',
        "limit": "5",
        "count": "true",
    } == select_query(["a", "b"], {"a": 1}, {"a": -1}, 5, None)


def test_count_query() -> None:
    """A count asks for one row, and of that only the id."""
    expected = {"count": "true", "limit": "1", "props": '["_id"]'}

    assert expected == count_query(None)
    assert {**expected, "where": '{"a": 1}'} == count_query({"a": 1})


def test_options_win() -> None:
    """Options come last and override."""
    query = select_query(None, None, None, 5, {"limit": "9", "page": "2"})

    assert {"limit": "9", "count": "true", "page": "2"} == query


@pytest.mark.parametrize("options", [{"page": 2}, {3: "x"}])
def test_options_are_texts(options: Any) -> None:
    """An option that is no text is refused, with its types."""
    with pytest.raises(VantiqException, match="stringsrequired") as caught:
        select_query(None, None, None, None, options)

    assert 4 == len(caught.value.params)


def test_id_is_left_out_of_a_copy() -> None:
    """The id is taken out of what is sent, never out of what was given."""
    row = {"_id": 1, "a": {"_id": 2}}

    assert {"a": {"_id": 2}} == without_id(row)
    assert [{"a": 1}] == without_id(({"_id": 1, "a": 1},))
    assert {"_id": 1, "a": {"_id": 2}} == row
    assert "x" == without_id("x")


# --- events ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "resource_id", "operation", "path"),
    [
        (Names.TOPICS, "/a/b", None, "/topics/a/b"),
        (Names.TOPICS, "a", "", "/topics/a"),
        (Names.SOURCES, "s", None, "/sources/s"),
        (Names.SERVICES, "p.S/E", None, "/services/p.S/E"),
        (Names.TYPES, "T", "INSERT", "/types/T/insert"),
    ],
)
def test_event_paths(
    resource: str, resource_id: str, operation: str | None, path: str
) -> None:
    """Events have a path; those of types name the operation."""
    assert path == build_event_path(resource, resource_id, operation)


@pytest.mark.parametrize(
    ("resource", "operation", "code"),
    [
        (Names.TOPICS, "insert", "operationillegal"),
        (Names.TYPES, None, "operationrequired"),
        (Names.RULES, None, "invalidsubscribetype"),
        ("MyType", "insert", "invalidsubscribetype"),
    ],
)
def test_event_paths_that_are_refused(
    resource: str, operation: str | None, code: str
) -> None:
    """What has no events, or no such operation, has a code."""
    with pytest.raises(VantiqException, match=f"io.vantiq.python.{code}"):
        build_event_path(resource, "x", operation)


def test_event_path_needs_an_id() -> None:
    """There are no events of nothing."""
    with pytest.raises(InvalidArgument):
        build_event_path(Names.TYPES, "", "insert")


@pytest.mark.parametrize(
    ("resource", "resource_id", "expected"),
    [
        (Names.TOPICS, "/a", "/a"),
        (Names.TOPICS, "a", "/a"),
        (Names.SOURCES, "a", "a"),
    ],
)
def test_topics_begin_with_a_slash(
    resource: str, resource_id: str, expected: str
) -> None:
    """A topic without its slash gets it."""
    assert expected == topic_id(resource, resource_id)


# --- uploads -----------------------------------------------------------------


def test_form_of_an_upload() -> None:
    """A document is called as the part's file; the part as the local file."""
    part = build_part(b"x", "text/plain", "/tmp/a b.txt", "docs/a b.txt")
    body = API.upload(Names.DOCUMENTS, part, boundary="b").body

    assert isinstance(body, JoinedBody)
    head = b'form-data; name="/tmp/a b.txt"; filename="docs/a b.txt"\r\n'
    assert head in b"".join(p for p in body.pieces if isinstance(p, bytes))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("r", None, "f", None, None), "upload.contenttype"),
        ((None, "t", "f", None, None), "upload.resource"),
        (("r", "t", None, "d", None), "content"),
        (("r", "t", "f", "d", b"x"), "duplicatename"),
        (("r", "t", "f", "d", b""), "duplicatename"),
        (("r", "t", None, None, b"x"), "noname"),
        (("r", "t", "f", "d", None), None),
        (("r", "t", "f", None, b""), None),
        (("r", "t", None, "d", b"x"), None),
    ],
)
def test_uploads_that_are_refused(arguments: tuple[Any, ...], code: str | None) -> None:
    """What is missing for an upload, or twice there, has a code."""
    error = check_upload(*arguments)

    assert (code and f"io.vantiq.python.{code}") == (error and error.code)


@pytest.mark.parametrize("content", ["ü", "ü".encode(), bytearray("ü".encode())])
def test_content_in_memory(content: str | bytes | bytearray) -> None:
    """Text and bytes are content."""
    assert "ü".encode() == content_of(content)


@pytest.mark.parametrize("content", [5, None, "\ud800", ["x"]])
def test_no_content(content: Any) -> None:
    """A number is not that many zero bytes; odd things are refused."""
    with pytest.raises(InvalidArgument, match="inmem"):
        content_of(content)
