"""What a service quotes is told without the secrets in it."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import ConnectionLost, NotFound, VantiqException
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.secrecy import (
    conceal,
    conceal_error,
    conceal_response,
    forms_of,
    secrets_of,
)


ANSWER = Response(404, body=b"secret")

CANARY = 'canary "5f/3a'

ASKED = Request("GET", "/x", replayable=True, confidential=(CANARY, "short"))


def test_secrets_are_known_in_every_form() -> None:
    """As they were given, quoted, and in JSON; Basic hides nothing."""
    pair = base64.b64encode(b"me:hidden-word").decode()
    signed = ASKED.with_headers({"Authorization": f"Basic {pair}"})
    found = forms_of(["Bearer token-123"]) | secrets_of(signed)

    assert {CANARY, "token-123", pair, "hidden-word"} <= found
    assert {"canary%20%225f%2F3a", "canary+%225f%2F3a", json.dumps(CANARY)[1:-1]} <= (
        found
    )
    assert not {"short", "Bearer", "Basic", "me"} & found


@pytest.mark.parametrize("signing", ["", "Basic", "Basic nonsense!", "Basic /w=="])
def test_odd_signatures_are_no_trouble(signing: str) -> None:
    """What cannot be taken apart is a secret as it is."""
    assert all(len(form) >= 6 for form in forms_of([signing]))


def test_request_without_secrets() -> None:
    """Most requests have none of their own."""
    assert frozenset() == secrets_of(Request("GET", "/x"))


def test_secrets_beyond_ascii() -> None:
    """Bytes of a body are searched for what they stand for."""
    answer = Response(403, body="wrong: größe-日本".encode())
    hidden = conceal_response(answer, forms_of([], ["größe-日本"]))

    assert b"wrong: ..." == hidden.body


def test_longest_secret_goes_first() -> None:
    """Of a secret that contains another one nothing is left."""
    assert "a … b" == conceal("a secret-long b", {"secret", "secret-long"})


@given(st.text(), st.sets(st.text(min_size=6), max_size=3))
def test_no_secret_is_left(text: str, secrets: set[str]) -> None:
    """Whatever the text, no secret is in what comes of it; others stay as they are."""
    shown = conceal(text + "".join(secrets), secrets)

    assert not [secret for secret in secrets if secret in shown.split("…")]
    assert text == conceal(text, set())


def test_answer_that_quotes_nothing_stays_the_same() -> None:
    """No copy is made of it."""
    answer = Response(403, Headers({"Server": "x"}), b"no")

    assert answer is conceal_response(answer, {"secret"})


def test_answer_that_quotes() -> None:
    """Neither headers nor body show a secret; other bytes stay what they are."""
    answer = Response(403, Headers({"X": "it is secret"}), b"\xff secret \x00")
    hidden = conceal_response(answer, {"secret"})

    assert ({"X": "it is …"}, b"\xff ... \x00") == (dict(hidden.headers), hidden.body)


def test_errors_are_searched_to_their_roots() -> None:
    """Texts, answers, arguments and causes; an error of others that quotes is cut."""
    root = NotFound(Response(404, body=b"secret"), "no secret")
    root.__cause__ = ValueError("secret")
    error = VantiqException("code", "secret {0}", ["secret"])
    error.__cause__ = root
    conceal_error(error, {"secret"})

    assert "secret" not in f"{error} {error.args} {root} {root.response.body!r}"
    assert root is error.__cause__
    assert root.__cause__ is None


def test_errors_are_searched_once() -> None:
    """Both ways back are gone, errors of others included, and circles end."""
    error, other, deep = ConnectionLost("x"), OSError(104, "reset"), NotFound(ANSWER)
    error.__cause__ = error
    error.__context__ = other
    other.__context__ = deep
    deep.__context__ = ValueError("secret")
    conceal_error(error, {"secret"})

    assert b"..." == deep.response.body
    assert (other, deep, None) == (
        error.__context__,
        other.__context__,
        deep.__context__,
    )


def test_cause_that_cannot_be_searched() -> None:
    """It is cut off, too: nobody knows what is in it."""
    error = ConnectionLost("it broke")
    error.__cause__ = ValueError(10**5000)
    conceal_error(error, {"secret"})

    assert error.__cause__ is None


def test_harmless_causes_stay() -> None:
    """What quotes nothing is kept, and nothing is no error."""
    error = ConnectionLost("it broke")
    error.__cause__ = cause = OSError(104, "reset")
    conceal_error(error, {"secret"})
    conceal_error(None, {"secret"})

    assert cause is error.__cause__
