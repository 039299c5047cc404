"""Answers of the Vantiq half."""

from __future__ import annotations

from asynctasks.sansio.http import Request
from asynctasks.server.vantiq.answers import (
    EMPTY,
    json_response,
    read,
    refusal,
    rejected,
)
from asynctasks.server.vantiq.refusals import unauthorized


def test_json() -> None:
    """A count goes into a header, where it was asked for."""
    plain, counted = json_response([1]), json_response([1], count=7)

    assert (200, b"[1]", None, "7") == (
        plain.status,
        plain.body,
        plain.headers.get("X-Total-Count"),
        counted.headers["X-Total-Count"],
    )


def test_errors() -> None:
    """Errors have parameters, which the vendor calls otherwise at the door."""
    refused = unauthorized()

    assert (401, 401) == (refusal(refused).status, rejected(refused).status)
    assert "params" in refusal(refused).json()[0]
    assert {
        "code": "io.vantiq.authentication.failed",
        "message": "Unauthorized",
        "parms": [],
    } == rejected(refused).json()[0]


def test_empty() -> None:
    """Success that has nothing to say is JSON without content."""
    assert (200, "application/json", b"") == (
        EMPTY.status,
        EMPTY.media_type,
        EMPTY.body,
    )


def test_read() -> None:
    """The body has been read by the shell."""
    assert b"x" == read(Request("POST", "/", body=b"x"))
