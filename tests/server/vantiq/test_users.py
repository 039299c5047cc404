"""Users and their tokens."""

from __future__ import annotations

import base64
from itertools import count

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.users import (
    LIFETIME,
    Users,
    bearer_of,
    digest_of,
    parse_basic,
)


def make_users() -> Users:
    numbers = count(1)
    return Users({"SomeUser": "word"}, lambda: f"token-{next(numbers)}")


def test_password() -> None:
    """The case of a name does not matter, that of a password does."""
    users = make_users()

    assert "someuser" == users.check_password("SOMEUSER", "word")
    for name, word in [("someuser", "Word"), ("someuser", ""), ("nobody", "")]:
        with pytest.raises(Refused):
            users.check_password(name, word)


def test_login() -> None:
    """A login gives two tokens; the access token is valid for a day."""
    users = make_users()
    tokens = users.log_in("someuser", 0.0)

    assert {"accessToken": "token-1", "idToken": "token-2"} == tokens
    assert "someuser" == users.check_token("token-1", LIFETIME - 1)
    with pytest.raises(Refused):
        users.check_token("token-1", LIFETIME)


def test_revoke_and_expire() -> None:
    """Tokens end when they are revoked or expire; long-lived ones do not expire."""
    users = make_users()
    users.add_token("long", "SomeUser")
    for _ in range(2):
        users.log_in("someuser", 0.0)
    users.revoke("token-1")
    users.revoke("unknown")
    with pytest.raises(Refused):
        users.check_token("token-1", 1.0)

    assert "someuser" == users.check_token("token-3", 1.0)
    users.expire()
    with pytest.raises(Refused):
        users.check_token("token-3", 1.0)
    assert "someuser" == users.check_token("long", 1e12)


def test_renew() -> None:
    """A new secret takes the place of all that a user had."""
    users = make_users()
    users.add_token("old", "SomeUser")
    users.add_token("other", "alice")
    users.renew("SomeUser", "new")

    assert ["someuser", "alice"] == [
        users.check_token(t, 0.0) for t in ("new", "other")
    ]
    assert "someuser" == users.check_password("someuser", "new")
    with pytest.raises(Refused):
        users.check_token("old", 0.0)


def test_expired_are_forgotten() -> None:
    """Tokens that have expired are not kept for ever."""
    users = make_users()
    users.log_in("someuser", 0.0)
    users.log_in("someuser", LIFETIME + 1)

    assert [digest_of("token-3")] == list(users._tokens)


def test_listed() -> None:
    """Names are listed in lower case, with the spelling that users prefer."""
    users = make_users()
    users.add("Alice", "secret")

    assert [
        {"username": "alice", "preferredUsername": "Alice"},
        {"username": "someuser", "preferredUsername": "SomeUser"},
    ] == users.listed()
    assert (True, False) == (users.knows("ALICE"), users.knows("bob"))


def test_basic() -> None:
    """Names and passwords may hold any text; a password may hold colons."""
    encoded = base64.b64encode("jürgen:a:b".encode()).decode()

    assert ("jürgen", "a:b") == parse_basic(f"basic {encoded}")


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!", "Basic /w==", "Basic YQ==", "Digest YTpi"]
)
def test_no_basic(header: str) -> None:
    """Without a name and a password nobody is authenticated."""
    with pytest.raises(Refused):
        parse_basic(header)


def test_bearer() -> None:
    """A bearer's token is what comes after the word."""
    assert ["abc", ""] == [bearer_of(each) for each in ("bearer abc ", "Basic abc")]
