"""What Vantiq answers, and the names of its resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.exceptions import (
    RemoteProtocolError,
    ResponseDecodeError,
    VantiqException,
)
from asynctasks.sansio.http import Headers, Response
from asynctasks.sansio.vantiq import (
    VantiqError,
    VantiqResources,
    VantiqResponse,
    parse_errors,
    parse_response,
    raise_refusal,
    read_errors,
)


JSON = "application/json"


def answer(status: int, body: Any, kind: str | None = JSON, **more: str) -> Response:
    headers = {} if kind is None else {"Content-Type": kind}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, Headers(headers), raw)


def facts(errors: list[VantiqError]) -> list[tuple[str, str, list[Any]]]:
    return [(error.code, error.message, error.params) for error in errors]


# --- names -------------------------------------------------------------------


def test_resources() -> None:
    """There are 46 names; their values are in lower case, but for one capital."""
    values = {n: v for n, v in vars(VantiqResources).items() if n.isupper()}
    odd = {"TRACKING_REGIONS": "system.trackingRegions"}

    assert 46 == len(values)
    assert values == {
        name: odd.get(name, "system." + name.replace("_", "").lower())
        for name in values
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("system.types", "types"),
        ("MyType", "MyType"),
        ("", ""),
        (None, None),
    ],
)
def test_unqualified_name(name: str | None, expected: str | None) -> None:
    """The prefix is taken off where there is one."""
    assert expected == VantiqResources.unqualified_name(name)


# --- bodies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (answer(200, [{"a": 1}]), [{"a": 1}]),
        (answer(200, b"", "application/json; charset=utf-8"), None),
        (answer(200, b"  "), None),
        (
            answer(200, "héllo".encode("latin-1"), "text/plain; charset=latin-1"),
            "héllo",
        ),
        (answer(200, "héllo".encode(), "text/html"), "héllo"),
        (answer(200, b"\xff", "text/plain; charset=no-such"), "\ufffd"),
        (answer(200, b"x", "application/octet-stream"), b"x"),
        (answer(200, b"{}", "application/problem+json"), b"{}"),
        (answer(204, b"", None), b""),
    ],
    ids=["json", "empty", "blank", "latin", "utf8", "charset", "bytes", "+json", "204"],
)
def test_bodies(response: Response, body: Any) -> None:
    """The content type says what a body is decoded to."""
    parsed = parse_response(response)

    assert body == parsed.body
    assert parsed.is_success
    assert parsed.errors is None
    assert response.status == parsed.status_code


@pytest.mark.parametrize(
    "charset",
    [
        "idna",
        "Punycode",
        "undefined",
        "unicode-escape",
        "raw_unicode_escape",
        "hex",
        "utf-8; x=y",
        "\0",
        "utf\ud800",
        "",
        '"',
    ],
)
def test_odd_charsets(charset: str) -> None:
    """Text in what is no charset is read as UTF-8, in answers and refusals."""
    kind = f"text/plain; charset={charset}"
    escaped = "\\x41 \u00e9 \ufffd"
    body = "\\x41 \u00e9 ".encode() + b"\xff"

    assert escaped == parse_response(answer(200, body, kind)).body
    assert [500, escaped] == parse_errors(answer(500, body, kind))[0].params


def test_charset_costs_no_time() -> None:
    """A charset of quadratic time is not used."""
    body = b"-" + b"a" * 10_000_000

    assert (
        body.decode()
        == parse_response(answer(200, body, "text/plain; charset=punycode")).body
    )


def test_reader_is_the_body() -> None:
    """An answer that is streamed has its stream as its body."""
    reader = object()
    response = Response(200, Headers({"Content-Type": "text/plain"}), reader=reader)

    assert reader is parse_response(response).body


def test_content_type() -> None:
    """The content type comes without parameters, and never is empty."""
    plain = parse_response(answer(200, b"", "text/plain; charset=utf-8"))
    without = parse_response(answer(200, b"", None))

    assert ["text/plain", "application/octet-stream"] == [
        plain.content_type,
        without.content_type,
    ]


def test_count() -> None:
    """The count is what the header says, for failures too."""
    assert 7 == parse_response(answer(200, [], X_Total_Count="7")).count
    assert 0 == parse_response(answer(404, [], X_Total_Count="0")).count
    assert parse_response(answer(200, [])).count is None


@pytest.mark.parametrize("text", ["many", "-1", "", "9" * 30])
def test_count_that_is_none(text: str) -> None:
    """A count that is no number breaks the protocol."""
    with pytest.raises(RemoteProtocolError, match="X-Total-Count"):
        parse_response(answer(200, [], X_Total_Count=text))


def test_success_that_is_no_json() -> None:
    """A success that is labelled JSON and is none is an error."""
    with pytest.raises(ResponseDecodeError):
        parse_response(answer(200, b"{"))


# --- errors ------------------------------------------------------------------

ERROR = {"code": "c", "message": "m {0}", "params": [1]}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(404, [ERROR, ERROR]), [("c", "m {0}", [1])] * 2),
        (answer(404, ERROR), [("c", "m {0}", [1])]),
        (answer(401, [{"code": "c", "message": "m"}]), [("c", "m", [])]),
        (
            answer(401, [{"code": "c", "message": "m", "parms": ["x"]}]),
            [("c", "m", ["x"])],
        ),
        (answer(401, [{"code": 7}]), [("7", "", [])]),
        (answer(401, {"error": "no"}), [("401", "no", [])]),
        (
            answer(500, [{"x": 1}]),
            [
                (
                    "io.vantiq.python.unknownerrorprops",
                    "Received error in an unknown format: {0}",
                    [{"x": 1}],
                )
            ],
        ),
        (
            answer(500, ["x"]),
            [
                (
                    "io.vantiq.python.unknownerrorprops",
                    "Received error in an unknown format: {0}",
                    ["x"],
                )
            ],
        ),
        (
            answer(500, "oops"),
            [
                (
                    "io.vantiq.python.unknownerrorformat",
                    "Received error in an unknown format: {0}",
                    ["oops"],
                )
            ],
        ),
        (
            answer(404, b""),
            [
                (
                    "io.vantiq.python.unknownerrorformat",
                    "Received error in an unknown format: {0}",
                    [None],
                )
            ],
        ),
        (
            answer(502, b"<html>", "text/html"),
            [
                (
                    "io.vantiq.python.nonjson.error",
                    "Status: {0}, non-json error: {1}",
                    [502, "<html>"],
                )
            ],
        ),
        (
            answer(500, b"{"),
            [
                (
                    "io.vantiq.python.parse.exception",
                    "Error parsing error messages: {0}",
                    ["{"],
                )
            ],
        ),
    ],
    ids=[
        "list",
        "object",
        "no-params",
        "parms",
        "code-only",
        "error",
        "unknown-object",
        "unknown-entry",
        "unknown-format",
        "empty",
        "html",
        "broken",
    ],
)
def test_errors(response: Response, expected: list[Any]) -> None:
    """Whatever form a refusal has, there is an error for it."""
    assert expected == facts(parse_errors(response))
    parsed = parse_response(response)
    assert not parsed.is_success
    assert parsed.body is None
    assert expected == facts(parsed.errors or [])


def test_errors_of_frames() -> None:
    """The errors of a frame are read as those of an answer."""
    assert [("c", "m {0}", [1])] == facts(read_errors([ERROR], 404))


def test_raising_a_refusal() -> None:
    """A refusal can be raised, with the first error's facts and the status."""
    with pytest.raises(VantiqException, match="message=m 1") as caught:
        raise_refusal(parse_response(answer(404, [ERROR])))

    assert ("c", "m {0}", [1], 404) == (
        caught.value.code,
        caught.value.message,
        caught.value.params,
        caught.value.status,
    )
    raise_refusal(parse_response(answer(200, [])))


def test_raising_a_refusal_without_words() -> None:
    """A response that says nothing is refused by its status."""
    with pytest.raises(VantiqException, match="code: 418"):
        raise_refusal(VantiqResponse(False, 418, None))


# --- values ------------------------------------------------------------------


def test_error_texts() -> None:
    """The texts of an error are those that programs look at."""
    error = VantiqError("c", "m {0}", ["x"])

    assert "VantiqError: code: c, message: m {0}" == str(error)
    assert "VantiqError(code=c, message=m {0}, params=['x'])" == repr(error)
    assert [] == VantiqError("c", "m").params


def test_response_from_error() -> None:
    """What the client refuses has the status of a bad request."""
    error = VantiqError("c", "m", [])
    response = VantiqResponse.from_error(error)

    assert (False, 400, None, [error], None, None) == (
        response.is_success,
        response.status_code,
        response.content_type,
        response.errors,
        response.body,
        response.count,
    )


class Stream:
    """What looks like a stream."""

    def readany(self) -> None: ...


@pytest.mark.parametrize(
    ("success", "body", "lines"),
    [
        (True, [1, {"a": 2}], "\n\t body: 1\n\t body: {'a': 2}"),
        (True, [], "\n\t body: empty"),
        (True, {"a": 1}, "\n\t body: {'a': 1}"),
        (True, None, "\n\t body: None"),
        (True, Stream(), "\n\t body: <<streaming body>>"),
        (False, None, "\n\t Error: VantiqError: code: c, message: m"),
    ],
    ids=["list", "empty", "dict", "none", "stream", "errors"],
)
def test_response_text(success: bool, body: Any, lines: str) -> None:
    """The text of a response is a header and a line for each thing in it."""
    response = VantiqResponse(success, 200, JSON)
    response.body = body
    response.errors = None if success else [VantiqError("c", "m", [])]
    head = (
        f"VantiqResponse: successful: {success}, status_code: 200, "
        "content_type:application/json, count: None)"
    )

    assert head + lines == str(response)


def test_response_representation() -> None:
    """The representation of a response has all its facts."""
    response = VantiqResponse(True, 200, JSON)
    response.count, response.body = 1, [1]

    assert (
        "VantiqResponse(successful=True, status_code=200, "
        "content_type=application/json) # count=1, errors=None, body=[1]"
    ) == repr(response)
    assert "failed" not in str(VantiqResponse(False, 500, None))
