"""Keys and tokens: who asks, and for how long."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.desp import tokens as module
from asynctasks.server.desp.tokens import Tokens


URL = "/realms/desp/protocol/openid-connect/token"


def tokens(api_key: str | None = "sesame") -> Tokens:
    numbers = iter(range(1, 100))
    return Tokens(api_key=api_key, life=300.0, new_id=lambda: f"t{next(numbers)}")


def ask(server: Tokens, now: float = 0.0, **fields: str) -> Response:
    body = urlencode(fields).encode()
    return server.give(Request("POST", URL, Headers(), body), now)


def grant(server: Tokens, now: float = 0.0) -> dict[str, Any]:
    found: dict[str, Any] = ask(
        server, now, grant_type="password", username="me", password="sesame"
    ).json()
    return found


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (basic(b"me:sesame"), "me"),
        (basic(b":sesame"), "user"),
        ("bearer sesame", "user"),
        (basic(b"me:wrong"), None),
        (basic(b"\xff\xfe"), None),
        ("Basic ???", None),
        ("Bearer wrong", None),
        ("Digest x", None),
        ("", None),
    ],
)
def test_key(signature: str, expected: str | None) -> None:
    """The key is taken as a password or as a token, and nothing else is."""
    assert expected == tokens().user_of(signature, 0.0)


@pytest.mark.parametrize("signature", ["", "Bearer any", basic(b"user:any")])
def test_no_key(signature: str) -> None:
    """Without a key anybody is admitted."""
    assert "user" == tokens(None).user_of(signature, 0.0)


@pytest.mark.parametrize("api_key", ["sesame", None])
def test_access_token_ends(api_key: str | None) -> None:
    """A token that was given out is good until its end, even where none is needed."""
    server = tokens(api_key)
    signed = f"Bearer {grant(server, now=10.0)['access_token']}"
    found = [server.user_of(signed, now) for now in (10.0, 309.9, 310.0)]

    assert ["me", "me", None] == found


def test_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many tokens the oldest are forgotten."""
    monkeypatch.setattr(module, "MOST_TOKENS", 2)
    server = tokens()
    signed = [f"Bearer {grant(server)['access_token']}" for _ in range(3)]

    assert [None, "me", "me"] == [server.user_of(each, 0.0) for each in signed]


def test_refresh() -> None:
    """A refresh token gives new tokens of the same user, once."""
    server = tokens()
    first = grant(server)
    fields = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = ask(server, 1000.0, **fields).json()
    again = ask(server, 1000.0, **fields)

    assert "me" == server.user_of(f"Bearer {second['access_token']}", 1000.0)
    assert (400, "invalid_grant") == (again.status, again.json()["error"])


def test_refresh_too_late() -> None:
    """A refresh token ends too."""
    server = tokens()
    refresh = grant(server)["refresh_token"]
    answer = ask(server, 1800.0, grant_type="refresh_token", refresh_token=refresh)

    assert 400 == answer.status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"grant_type": "password", "password": "wrong"}, 401),
        ({"grant_type": "refresh_token"}, 400),
        ({"grant_type": "client_credentials"}, 400),
        ({}, 400),
    ],
)
def test_refused(fields: dict[str, str], status: int) -> None:
    """What is no good grant gets no token."""
    assert status == ask(tokens(), **fields).status


def test_not_posted() -> None:
    """Tokens are asked for with POST."""
    assert 400 == tokens().give(Request("GET", URL), 0.0).status
