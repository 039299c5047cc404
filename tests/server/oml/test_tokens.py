"""The token service of the OML half."""

from __future__ import annotations

from collections.abc import Iterator
import itertools
import json
from typing import Any

import pytest

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.oml.answers import OmlRefused
from asynctasks.server.oml.tokens import Tokens


def names() -> Iterator[str]:
    return (f"t{number}" for number in itertools.count(1))


def make(**options: Any) -> Tokens:
    return Tokens(names().__next__, **options)


def ask(
    tokens: Tokens, document: Any, *, tail: str = "", token: str = "", now: float = 0.0
) -> Response:
    headers = Headers({"Authorization": f"Bearer {token}"} if token else {})
    body = b"" if document is None else json.dumps(document).encode()
    try:
        return tokens.handle(Request("POST", "/token", headers, body), tail, now)
    except OmlRefused as refused:
        return refused.response


def sign_in(tokens: Tokens, user: str = "ME", password: str = "pw") -> Response:
    return ask(
        tokens, {"grant_type": "password", "username": user, "password": password}
    )


def user_of(tokens: Tokens, token: str, now: float = 0.0, kind: str = "Bearer") -> str:
    headers = Headers({"Authorization": f"{kind} {token}"})
    return tokens.check(Request("GET", "/", headers), now)


def test_sign_in() -> None:
    """The answer is compact and in the order that samples parse."""
    tokens = make()
    answer = sign_in(tokens)

    assert b'{"accessToken":"t1","expiresIn":3600,"tokenType":"Bearer"}' == answer.body
    assert "ME" == user_of(tokens, "t1") == user_of(tokens, "t1", kind="bearer")


@pytest.mark.parametrize(
    ("options", "user", "password", "accepted"),
    [
        ({}, "ANY", "any", True),
        ({"password": "pw"}, "ANY", "pw", True),
        ({"password": "pw"}, "ANY", "other", False),
        ({"users": {"ME": "pw"}}, "me", "pw", True),
        ({"users": {"ME": "pw"}}, "ME", "other", False),
        ({"users": {"ME": "pw"}}, "OTHER", "pw", False),
    ],
)
def test_who_may_sign_in(
    options: dict[str, Any], user: str, password: str, accepted: bool
) -> None:
    """Users and passwords are checked where they are given."""
    answer = sign_in(make(**options), user, password)

    assert (200 if accepted else 401) == answer.status


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"grant_type": "client_credentials"},
        {"grant_type": "password"},
        {"grant_type": "password", "username": "", "password": "x"},
        {"grant_type": "password", "username": "ME", "password": 1},
        [],
    ],
)
def test_other_grants(document: Any) -> None:
    """What is no documented grant is refused."""
    assert 400 == ask(make(), document).status


@pytest.mark.parametrize("key", ["refresh_token", "token"])
def test_refresh(key: str) -> None:
    """A token is refreshed by itself, under either name; the old one lives on."""
    tokens = make()
    sign_in(tokens)
    answer = ask(
        tokens, {"grant_type": "refresh_token", key: "t1"}, token="t1", now=60.0
    )

    assert {"accessToken": "t2", "expiresIn": 3600} == answer.json()
    assert "ME" == user_of(tokens, "t1", 3599.0) == user_of(tokens, "t2", 3659.0)


@pytest.mark.parametrize("token", ["other", 7, None])
def test_refresh_of_no_token(token: Any) -> None:
    """What is no valid token is not refreshed."""
    document = {"grant_type": "refresh_token", "refresh_token": token}

    assert 401 == ask(make(), document).status


def test_eight_hours() -> None:
    """A token can be refreshed for eight hours, and no longer."""
    tokens = make()
    sign_in(tokens)
    token, now, lives = "t1", 0.0, []
    while True:
        now += 3000.0
        document = {"grant_type": "refresh_token", "refresh_token": token}
        answer = ask(tokens, document, now=now)
        if answer.status != 200:
            break
        token = answer.json()["accessToken"]
        lives.append(answer.json()["expiresIn"])

    assert 28_800.0 + 1200 == now
    assert [3600] * 8 == lives[:8]
    assert [1800] == lives[8:]


def test_expiry() -> None:
    """A token is good for an hour."""
    tokens = make()
    sign_in(tokens)

    assert "ME" == user_of(tokens, "t1", 3599.9)
    with pytest.raises(OmlRefused):
        user_of(tokens, "t1", 3600.0)


@pytest.mark.parametrize("kind", ["Basic", ""])
def test_other_credentials(kind: str) -> None:
    """Only a bearer's token counts."""
    tokens = make()
    sign_in(tokens)

    with pytest.raises(OmlRefused):
        user_of(tokens, "t1", kind=kind)


def test_revocation() -> None:
    """A revoked token is invalid, also to be refreshed."""
    tokens = make()
    sign_in(tokens)
    revoked = ask(tokens, None, tail="/revoke", token="t1")

    assert b'{"status":"ok"}' == revoked.body
    assert 401 == ask(tokens, None, tail="/revoke", token="t1").status
    document = {"grant_type": "refresh_token", "refresh_token": "t1"}
    assert 401 == ask(tokens, document).status


def test_all_revoked() -> None:
    """All tokens can be revoked at once."""
    tokens = make()
    sign_in(tokens)
    tokens.revoke_all()

    with pytest.raises(OmlRefused):
        user_of(tokens, "t1")


def test_expired_tokens_are_forgotten() -> None:
    """Tokens that expired do not pile up."""
    tokens = make()
    sign_in(tokens)
    document = {"grant_type": "password", "username": "ME", "password": "pw"}
    ask(tokens, document, now=10.0)
    ask(tokens, document, now=3601.0)

    assert {"t2", "t3"} == set(tokens._grants)


def test_other_methods() -> None:
    """Tokens are had by POST."""
    with pytest.raises(OmlRefused) as caught:
        make().handle(Request("GET", "/token"), "", 0.0)

    assert 404 == caught.value.response.status
