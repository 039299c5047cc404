"""The values of HTTP that both halves of a dialect exchange."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    InvalidArgument,
    ResponseDecodeError,
    UnexpectedContent,
)
from asynctasks.sansio.http import (
    ERROR_BODY,
    BodySource,
    Headers,
    JoinedBody,
    Part,
    Request,
    Response,
    Sleep,
    body_length,
    body_replayable,
    build_multipart,
    check_header,
)
from tests.converse import converse


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asynctasks.sansio.http import Flow


@attrs.frozen
class Source:
    """A body that is never read here."""

    length: int | None = None
    replayable: bool = False

    def open(self) -> AsyncIterator[bytes]:
        raise NotImplementedError


# --- headers -----------------------------------------------------------------


def test_headers_ignore_case() -> None:
    """A header is found however its name is spelled, and keeps its spelling."""
    headers = Headers({"Content-Type": "text/plain", "ETag": "x"})

    assert "text/plain" == headers["content-type"]
    assert "x" == headers.get("etag")
    assert headers.get("missing") is None
    assert "CONTENT-TYPE" in headers
    assert 7 not in headers
    assert ["Content-Type", "ETag"] == list(headers)
    assert 2 == len(headers)


def test_repeated_headers_are_joined() -> None:
    """Repeated headers are one with a comma, under the first spelling."""
    headers = Headers([("Link", "a"), ("link", "b"), ("LINK", "c")])

    assert {"Link": "a, b, c"} == dict(headers)


def test_headers_as_dict() -> None:
    """The dict has the names as they were given."""
    headers = Headers([("X-One", "1"), ("x-two", "2"), ("X-ONE", "3")])

    assert dict(headers) == headers.as_dict() == {"X-One": "1, 3", "x-two": "2"}


def test_headers_show_no_secrets() -> None:
    """The representation shows the values of harmless headers only."""
    headers = Headers({"Apikey": "secret", "Date": "today", "Set-Cookie": "secret"})

    assert "<Headers Apikey: …, Date: today, Set-Cookie: …>" == repr(headers)


def test_headers_equal_ignoring_case() -> None:
    """Headers are equal when they say the same, however they are spelled."""
    headers = Headers({"A": "1"})

    assert headers == Headers({"a": "1"})
    assert headers != Headers({"A": "2"})
    assert headers == {"A": "1"}
    assert headers != 7
    assert hash(headers) == hash(Headers({"a": "1"}))


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_headers_copy(clone: Any) -> None:
    """Copied headers are the same headers."""
    headers = Headers({"Content-Type": "a"})

    assert [("Content-Type", "a")] == list(clone(headers).items())


def test_headers_pickle() -> None:
    """Headers survive the way to another process."""
    headers = pickle.loads(pickle.dumps(Headers({"Content-Type": "a"})))

    assert "a" == headers["content-type"]


# --- bodies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "length", "replayable"),
    [
        (b"abc", 3, True),
        (Source(5, True), 5, True),
        (Source(), None, False),
        (JoinedBody((b"ab", Source(5, True))), 7, True),
        (JoinedBody((b"ab", Source(None, True))), None, True),
        (JoinedBody((b"ab", Source(5, False))), 7, False),
        (JoinedBody(()), 0, True),
    ],
    ids=["bytes", "file", "stream", "joined", "no-length", "one-shot", "empty"],
)
def test_body(body: Any, length: int | None, replayable: bool) -> None:
    """A joined body is as long as its pieces, and replayable if all of them are."""
    assert length == body_length(body)
    assert replayable == body_replayable(body)


def test_source_is_recognised() -> None:
    """Whatever has the three members is a body source."""
    assert isinstance(Source(), BodySource)
    assert not isinstance(b"", BodySource)


# --- requests ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", True),
        ("HEAD", True),
        ("OPTIONS", True),
        ("POST", False),
        ("PUT", False),
        ("DELETE", False),
        ("PATCH", False),
    ],
)
def test_only_safe_methods_are_replayable(method: str, expected: bool) -> None:
    """Unless the dialect says otherwise, only safe methods may be repeated."""
    assert expected == Request(method, "/").replayable
    assert not Request(method, "/", replayable=False).replayable
    assert Request(method, "/", replayable=True).replayable


def test_request_hides_its_secrets() -> None:
    """Query, headers and body are in no text about a request."""
    request = Request("POST", "/a?key=secret", {"Apikey": "secret"}, b"secret")

    assert "secret" not in repr(request)
    assert "secret" not in repr(attrs.asdict(request.redacted()))
    assert "POST /a" == request.describe()
    assert ("/a", "key=secret") == (request.path, request.query)
    assert ("/a", "") == (request.redacted().path, request.redacted().query)


def test_with_headers_adds_and_replaces() -> None:
    """A copy carries the headers of both; the new ones win."""
    request = Request("GET", "/", Headers({"Accept": "a", "X": "1"}))
    richer = request.with_headers({"accept": "b", "Y": "2"})

    assert {"accept": "b", "x": "1", "y": "2"} == {
        name.lower(): value for name, value in richer.headers.items()
    }
    assert "a" == request.headers["Accept"]


# --- responses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" text/html ;x", "text/html"),
        ("", ""),
    ],
)
def test_media_type(content_type: str, expected: str) -> None:
    """The media type is the content type without parameters and case."""
    response = Response(200, Headers({"content-type": content_type}))

    assert expected == response.media_type
    assert "" == Response(200).media_type


def test_request_id() -> None:
    """The service's own id of a request is found under its various names."""
    assert "7" == Response(200, Headers({"X-Request-Id": "7"})).request_id
    assert "8" == Response(200, Headers({"opc-request-id": "8"})).request_id
    assert Response(200).request_id is None


NOON = "Sun, 06 Nov 1994 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        ("7", "", 7.0),
        (" 1.5 ", "", 1.5),
        ("0", "", 0.0),
        ("Sun, 06 Nov 1994 12:01:30 GMT", NOON, 90.0),
        ("Sunday, 06-Nov-94 12:01:30 GMT", NOON, 90.0),
        ("Sun Nov  6 12:01:30 1994", "Sun Nov  6 12:00:00 1994", 90.0),
        ("Sun, 06 Nov 1994 11:00:00 GMT", NOON, None),
        ("Sun, 06 Nov 1994 12:01:30 GMT", "", None),
        ("Sun Nov  6 12:01:30 1994", NOON, None),
        ("soon", NOON, None),
        ("", "", None),
        ("-1", "", None),
        ("nan", "", None),
        ("inf", "", None),
        ("1e3", "", None),
        ("1_0", "", None),
        ("+7", "", None),
        ("\u0667", "", None),
        ("9" * 20, "", 1e20),
        ("9" * 5000, "", None),
        ("Sun, 06 Nov 99999999999 12:01:30 GMT", NOON, None),
        (NOON, "Sun, 06 Nov 99999999999 12:01:30 GMT", None),
    ],
)
def test_retry_after(value: str, date: str, expected: float | None) -> None:
    """Both forms are read, dates by the service's own clock; nonsense is none."""
    response = Response(429, Headers({"Retry-After": value, "Date": date}))

    assert expected == response.retry_after


def test_no_retry_after() -> None:
    """An answer without the header asks for no pause."""
    assert Response(503).retry_after is None


def test_json_is_decoded_once() -> None:
    """The value is kept, whatever content type the body carries."""
    response = Response(200, Headers({"Content-Type": "text/html"}), b'{"a": 1}')

    assert {"a": 1} == response.json()
    assert response.json() is response.json()


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html>",
        b" \r\n<html lang=en>",
        b"\xef\xbb\xbf<!doctype html>",
        b"<HTML>",
    ],
)
def test_html_instead_of_json(body: bytes) -> None:
    """A page where JSON is documented is called what it is."""
    with pytest.raises(UnexpectedContent, match="an HTML page") as caught:
        Response(200, body=body).json()

    assert Response(200, body=body) == caught.value.response


@pytest.mark.parametrize("body", [b"", b"{", b"<a/>"], ids=["empty", "cut", "xml"])
def test_json_error_carries_the_answer(body: bytes) -> None:
    """What is not JSON is our error, with the answer but not its secrets."""
    headers = Headers({"Set-Cookie": "secret", "X-Request-Id": "7"})
    with pytest.raises(ResponseDecodeError) as caught:
        Response(200, headers, body, attempts=3).json()

    assert (200, "7", 3) == (
        caught.value.status,
        caught.value.request_id,
        caught.value.attempts,
    )
    assert caught.value.response is not None
    assert "Set-Cookie" not in caught.value.response.headers


def test_text() -> None:
    """Text is UTF-8, with or without a byte order mark."""
    assert "é" == Response(200, body="é".encode()).text()
    assert "é" == Response(200, body="é".encode("utf-8-sig")).text()


def test_text_that_is_not_utf8() -> None:
    """Other encodings are refused, not guessed."""
    with pytest.raises(ResponseDecodeError, match="expected UTF-8 text"):
        Response(200, body=b"\xe9").text()


@pytest.mark.parametrize("status", [399, 400, 599])
def test_refusals(status: int) -> None:
    """From 400 on a status says no."""
    assert Response(status).refused is (status >= 400)


@pytest.mark.parametrize("name", ["Location", "content-location"])
def test_links_are_shown_without_their_secrets(name: str) -> None:
    """Their queries may be signatures, and what is before an @ a password."""
    headers = Headers({name: "https://me:secret@a.example/7?sig=secret#secret"})
    kept = Response(302, headers).redacted()

    assert "https://…@a.example/7?…" == kept.headers[name]
    assert f"<Headers {name}: https://…@a.example/7?…>" == repr(headers)


def test_redacted_response() -> None:
    """What an error keeps is bounded and harmless."""
    headers = Headers({"Set-Cookie": "secret", "Location": "/a"})
    response = Response(200, headers, b"x" * (ERROR_BODY + 1), at=7.0, attempts=3)
    kept = response.redacted()

    assert ["Location"] == list(kept.headers)
    assert ERROR_BODY == len(kept.body)
    assert (200, 7.0, 3) == (kept.status, kept.at, kept.attempts)


@pytest.mark.parametrize(
    "value",
    [
        Request("POST", "/a?b", Headers({"A": "1"}), b"x"),
        Response(200, Headers({"A": "1"}), b"x", at=1.0),
        Sleep(3.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_pickle_and_copy(value: object) -> None:
    """Requests, responses and pauses travel between processes."""
    assert value == pickle.loads(pickle.dumps(value))
    assert value == copy.deepcopy(value)


# --- header values -----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("", "must not be empty"),
        ("key\n", "read from a file"),
        (" key", "read from a file"),
        ("a\r\nX: y", "only printable ASCII"),
        ("a\0b", "only printable ASCII"),
        ("clé", "only printable ASCII"),
        ("a\tb", "only printable ASCII"),
    ],
)
def test_check_header_refuses(value: str, remedy: str) -> None:
    """What no header can carry is refused, and a secret is not shown."""
    with pytest.raises(InvalidArgument, match=remedy) as caught:
        check_header("api_key", value)
    with pytest.raises(InvalidArgument, match=r"^api_key='…'"):
        check_header("api_key", value, secret=True)

    assert ("api_key", value) == (caught.value.name, caught.value.value)


def test_check_header_returns_the_value() -> None:
    """A value that can be sent is returned as it is."""
    assert "a b;c=1" == check_header("X", "a b;c=1")


# --- multipart ---------------------------------------------------------------


def test_build_multipart() -> None:
    """Parts become the pieces of RFC 7578; sources stay sources."""
    source = Source(5, True)
    body, content_type = build_multipart(
        [
            Part("field", b"1"),
            Part("file", source, "päth name.csv", "text/csv"),
        ],
        boundary="B",
    )

    assert "multipart/form-data; boundary=B" == content_type
    assert (
        b'--B\r\nContent-Disposition: form-data; name="field"\r\n\r\n',
        b"1",
        b"\r\n",
        '--B\r\nContent-Disposition: form-data; name="file"; '
        'filename="päth name.csv"\r\nContent-Type: text/csv\r\n\r\n'.encode(),
        source,
        b"\r\n",
        b"--B--\r\n",
    ) == body.pieces


def test_multipart_name_is_escaped() -> None:
    """A quote in a name does not end it."""
    body, _ = build_multipart([Part('a"; x="', b"", 'b"c')], boundary="B")

    assert b'name="a%22; x=%22"; filename="b%22c"\r\n\r\n' in body.pieces[0]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parts", "remedy"),
    [
        ([], "at least one file"),
        ([Part("", b"")], "one line of printable text"),
        ([Part("a\r\nX: y", b"")], "one line of printable text"),
        ([Part("a", b"", "b\nc")], "one line of printable text"),
        ([Part("a", b"", "")], "one line of printable text"),
        ([Part("a", b"", "b", "text/csv\r\nX: y")], "printable ASCII"),
        ([Part("a", b"", "b", "")], "must not be empty"),
    ],
    ids=["none", "empty", "name", "filename", "no-filename", "type", "no-type"],
)
def test_multipart_refuses(parts: list[Part], remedy: str) -> None:
    """Names and types that could end a header are refused."""
    with pytest.raises(InvalidArgument, match=remedy):
        build_multipart(parts, boundary="B")


@given(st.binary(), st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"])))
def test_multipart_length(content: bytes, name: str) -> None:
    """The announced length is the length of the pieces."""
    body, _ = build_multipart([Part(f"a{name}", content, name or None)], boundary="B")
    sent = b"".join(piece for piece in body.pieces if isinstance(piece, bytes))

    assert len(sent) == body_length(body)


# --- flows -------------------------------------------------------------------


def test_flow() -> None:
    """A flow is driven by hand: it yields, is answered, and returns."""

    def flow() -> Flow[int]:
        first = yield Request("GET", "/a")
        yield Sleep(1.5)
        try:
            yield Request("GET", "/b")
        except ConnectionError:
            return first.status
        return 0

    requests, result = converse(flow(), Response(201), ConnectionError())

    assert [Request("GET", "/a"), Sleep(1.5), Request("GET", "/b")] == requests
    assert 201 == result
