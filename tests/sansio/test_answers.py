"""What answers say: refusals, fields and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ServiceBroken,
)
from asynctasks.sansio.answers import decode_content, expect, field, refusal
from asynctasks.sansio.http import Headers, Response


if TYPE_CHECKING:
    pass


# --- refusals ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRejected),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (409, Conflict),
        (410, RequestRejected),
        (422, RequestRejected),
        (429, RateLimited),
        (499, RequestRejected),
        (500, ServiceBroken),
        (503, ServiceBroken),
        (599, ServiceBroken),
    ],
)
def test_refusal(status: int, kind: type) -> None:
    """The status decides the class of the error."""
    headers = Headers({"Set-Cookie": "secret"})
    error = refusal(Response(status, headers, b"no", attempts=2))

    assert (kind, status, 2, "no") == (
        type(error),
        error.status,
        error.attempts,
        error.message,
    )
    assert not error.response.headers


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_with_a_pause(status: int) -> None:
    """A service that names a pause limits our rate, whatever status it chose."""
    error = refusal(Response(status, Headers({"Retry-After": "7"})))

    assert isinstance(error, RateLimited)
    assert 7.0 == error.retry_after


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "m", "error": "e"}', "m"),
        (b'{"errorMessage": "m"}', "m"),
        (b'{"error": "e", "error_description": "d"}', "d"),
        (b'{"error": "e", "message": ""}', "e"),
        (b'{"error": {"code": 7}}', '{"error": {"code": 7}}'),
        (b'["m"]\n', '["m"]'),
        (b" plain words\n", "plain words"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b"<html>error 500</html>", ""),
        (b"<?xml version='1.0'?>", ""),
        (b"", ""),
    ],
)
def test_words_of_the_service(body: bytes, words: str) -> None:
    """The service's own words are found in an answer of whatever form."""
    assert words == refusal(Response(500, body=body)).message


def test_expected_status() -> None:
    """An answer with a documented status is returned."""
    response = Response(202)

    assert response is expect(response, 200, 202)


def test_unexpected_success() -> None:
    """A success or a redirect that is not documented is no refusal."""
    with pytest.raises(RemoteProtocolError) as caught:
        expect(Response(302), 200, 202)

    assert "expected status 200 or 202, found status 302" == str(caught.value)


def test_unexpected_refusal() -> None:
    """A refusal is raised as such."""
    with pytest.raises(Conflict):
        expect(Response(409), 200)


# --- fields ------------------------------------------------------------------

OK = Response(200)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("x", str),
        ("", str),
        (7, int),
        (7, (int, float)),
        (7.5, (int, float)),
        (True, bool),
        (False, (int, bool)),
        ([], list),
        ({}, dict),
    ],
)
def test_field(value: object, kinds: Any) -> None:
    """A field of the right type is returned as it is."""
    assert value == field({"a": value}, "a", kinds, OK, required=True)


@pytest.mark.parametrize("document", [{}, {"a": None}], ids=["missing", "null"])
def test_optional_field(document: object) -> None:
    """A field that may be missing is None where it is missing or null."""
    assert field(document, "a", str, OK) is None


@pytest.mark.parametrize(
    ("document", "kinds", "expected", "found"),
    [
        ({}, str, "a value at $.a", "no such field"),
        ({"a": None}, str, "a value at $.a", "null"),
        ({"a": 1}, str, "a string at $.a", "a whole number"),
        ({"a": "1"}, int, "a whole number at $.a", "a string"),
        ({"a": True}, int, "a whole number at $.a", "a boolean"),
        ({"a": True}, (int, float), "a whole number or a number at $.a", "a boolean"),
        ({"a": 1.5}, int, "a whole number at $.a", "a number"),
        ({"a": []}, dict, "an object at $.a", "an array"),
        ([], str, "a JSON object", "an array"),
        (None, str, "a JSON object", "null"),
    ],
    ids=str,
)
def test_wrong_field(document: object, kinds: Any, expected: str, found: str) -> None:
    """A field is never converted; the error says where and what it is."""
    with pytest.raises(RemoteProtocolError) as caught:
        field(document, "a", kinds, Response(200, body=b"{}"), required=True)

    assert (expected, found, 200) == (
        caught.value.expected,
        caught.value.found,
        caught.value.status,
    )


# --- results -----------------------------------------------------------------

JSON = "application/json"


@pytest.mark.parametrize(
    ("content_type", "body", "decode", "expected"),
    [
        (JSON, b"[1]", "auto", [1]),
        (JSON, b"7", "auto", 7),
        ("application/hal+json; charset=utf-8", b"{}", "auto", {}),
        ("application/octet-stream", b' \n{"a": 1}', "auto", {"a": 1}),
        ("", b"\xef\xbb\xbf[1]", "auto", [1]),
        ("text/plain", b"[1]", "auto", [1]),
        ("text/plain", b"[draft]", "auto", "[draft]"),
        ("", b"{\xff", "auto", b"{\xff"),
        ("text/csv", b"a;b", "auto", "a;b"),
        ("text/plain", b"7", "auto", "7"),
        ("image/png", b"\x89PNG", "auto", b"\x89PNG"),
        ("", b"", "auto", b""),
        ("image/png", b"7", "json", 7),
        (JSON, b"[1]", "text", "[1]"),
        (JSON, b"[1]", "bytes", b"[1]"),
        (JSON, b"nonsense", "bytes", b"nonsense"),
    ],
    ids=str,
)
def test_decode_content(
    content_type: str, body: bytes, decode: str, expected: object
) -> None:
    """A result is what it is labelled, or what it obviously is, or bytes."""
    response = Response(200, Headers({"Content-Type": content_type}), body)

    assert expected == decode_content(response, decode)


@pytest.mark.parametrize(
    ("content_type", "body", "decode"),
    [
        (JSON, b"", "auto"),
        (JSON, b"{", "auto"),
        ("text/plain", b"\xff", "auto"),
        ("", b"nonsense", "json"),
        ("", b"\xff", "text"),
    ],
    ids=str,
)
def test_decode_refuses(content_type: str, body: bytes, decode: str) -> None:
    """A body that is not of the kind that was insisted on is an error."""
    response = Response(200, Headers({"Content-Type": content_type}), body)
    with pytest.raises(ResponseDecodeError):
        decode_content(response, decode)


def test_unknown_decoder() -> None:
    """A word that names no decoder is refused with those that there are."""
    with pytest.raises(InvalidArgument, match="choose one of auto, json, text, bytes"):
        decode_content(OK, "xml")
