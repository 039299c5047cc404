"""What goes into a service's function and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.http import Part, build_multipart
from asynctasks.server.payload import Result, decode_inputs, encode_output
from asynctasks.server.worker import read_body


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", None),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b"5", "application/problem+json", 5),
        (b"broken {", "application/json", "broken {"),
        (b'{"a": 1}', "", {"a": 1}),
        (b" [1]", "application/x-www-form-urlencoded", [1]),
        (b"{not json", "", "{not json"),
        (b"* *** **", "", "* *** **"),
        (b"5", "", "5"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b"a;b", "text/csv", "a;b"),
        (b"\xff\xfe", "text/plain", b"\xff\xfe"),
        (b"\xff\xfe", "", b"\xff\xfe"),
        (b"PK", "application/zip", b"PK"),
    ],
)
def test_decode_inputs(body: bytes, content_type: str, expected: Any) -> None:
    """JSON is decoded, text is text, anything else is bytes."""
    assert expected == decode_inputs(body, content_type)


async def test_first_file() -> None:
    """Of a form the first file is given, whatever bytes it has."""
    content = b"PK\r\n--almost\r\n\r\n\x00\xff"
    parts = [
        Part("comment", b"hello"),
        Part("file", content, "input.xlsx", "application/zip"),
        Part("file", b"second", "other.xlsx"),
    ]
    body, kind = build_multipart(parts, boundary="b0undary")

    assert content == decode_inputs(await read_body(body), kind)


async def test_first_part() -> None:
    """A form without files gives its first part."""
    parts = [Part("one", b"1"), Part("two", b"2")]
    body, kind = build_multipart(parts, boundary="b0undary")

    assert b"1" == decode_inputs(await read_body(body), kind)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=other"],
)
def test_broken_form(content_type: str) -> None:
    """A form whose boundary is not there gives the bytes as they are."""
    body = b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"

    assert body == decode_inputs(body, content_type)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, Result(b'{"a":1}', "application/json")),
        ([], Result(b"[]", "application/json")),
        (1.5, Result(b"1.5", "application/json")),
        (None, Result(b"")),
        ("é", Result("é".encode(), "text/plain; charset=utf-8")),
        (b"\x00", Result(b"\x00")),
        (bytearray(b"1"), Result(b"1")),
        (Result(b"a;b", "text/csv"), Result(b"a;b", "text/csv")),
    ],
)
def test_encode_output(value: Any, expected: Result) -> None:
    """What a function returns becomes bytes with a content type."""
    assert expected == encode_output(value)


def test_encode_nonsense() -> None:
    """A value that JSON cannot say is named."""
    with pytest.raises(InvalidArgument, match=r"result\.gap"):
        encode_output({"gap": float("nan")})
