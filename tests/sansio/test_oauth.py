"""The token of an OAuth 2 server is had, refreshed, and shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path
import pickle
import traceback
from typing import Any
from urllib.parse import parse_qsl

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
)
from asynctasks.sansio.auth import Auth, Secret
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.oauth import OAuth2Password


CANARY = "canary-5f3a9c"

TOKEN_URL = "https://id.test/realms/x/token"


async def fetch() -> str:
    raise AssertionError("a pure module awaits nothing")


def oauth(**options: Any) -> OAuth2Password:
    given = {"username": "me", "password": CANARY, "client_id": "app", **options}
    return OAuth2Password(TOKEN_URL, **given)


def tokens(number: int, at: float = 0.0, **facts: Any) -> Response:
    document = {
        "access_token": f"{CANARY}-{number}",
        "refresh_token": f"r-{number}",
        "expires_in": 300,
        **facts,
    }
    return Response(200, body=json.dumps(document).encode(), at=at)


def renew(auth: Auth, *answers: Any) -> list[dict[str, str]]:
    """Answer what a renewal asks; return the forms that it sent."""
    renewal = auth.renew()
    sent = []
    left = list(answers)
    answer: Any = None
    try:
        while True:
            step = renewal.send(answer)
            answer = left.pop(0)
            if isinstance(step, Request):
                assert isinstance(step.body, bytes)
                assert (TOKEN_URL, True) == (step.url, step.anonymous)
                sent.append(dict(parse_qsl(step.body.decode())))
    except StopIteration:
        return sent


def test_recorded_grants() -> None:
    """Tokens are asked for and refreshed as the recorded exchange has it."""
    samples = Path(__file__).parent.parent / "samples" / "desp"
    document = json.loads((samples / "token.json").read_text("utf-8"))
    auth = oauth(
        username="user", password="token", client_id="insula-public", scope="openid"
    )
    for each in document["exchange"]:
        body = json.dumps(each["response"]["body"]).encode()
        sent = renew(auth, Response(200, body=body))
        wanted = dict(parse_qsl(each["request"]["body"]["text"]))

        assert [wanted] == sent
    assert {"Authorization": "Bearer access-2"} == auth.headers()


def test_token_is_renewed_before_its_end() -> None:
    """A token is due before it has ended, on the clock of the answers."""
    auth = oauth()
    first = auth.due(0.0), auth.headers()
    renew(auth, tokens(1, at=1000.0))

    assert (True, {}) == first
    assert [False, False, True] == [auth.due(now) for now in (1000.0, 1269.9, 1270.0)]
    assert (1, True) == (auth.generation, auth.renewable)


def test_token_of_a_short_life() -> None:
    """A token that lives a minute is not due as soon as it is there."""
    auth = oauth()
    renew(auth, tokens(1, expires_in=60))

    assert [False, True] == [auth.due(now) for now in (53.9, 54.0)]


def test_token_that_lives_for_ever() -> None:
    """A life beyond all numbers is a long one."""
    auth = oauth()
    renew(auth, tokens(1, expires_in=10**400))

    assert [False, True] == [auth.due(now) for now in (1e8, 1e10)]


def test_token_without_an_end() -> None:
    """A token whose life nobody said is used until it is refused."""
    auth = oauth()
    renew(auth, tokens(1, expires_in=None))

    assert not auth.due(1e9)


def test_refused_refresh() -> None:
    """A refresh token that is refused is forgotten: the password is asked again."""
    auth = oauth(client_secret="s")
    renew(auth, tokens(1))
    sent = renew(auth, Response(400), tokens(2, refresh_token=None))
    again = renew(auth, tokens(3))

    assert ["refresh_token", "password"] == [form["grant_type"] for form in sent]
    assert [("app", "s")] == [(f["client_id"], f["client_secret"]) for f in again]
    assert {"Authorization": f"Bearer {CANARY}-3"} == auth.headers()


def test_password_that_is_fetched() -> None:
    """A password may come from a callable, and may be a Secret."""
    [fetched] = renew(oauth(password=fetch), "from-vault", tokens(1))
    [secret] = renew(oauth(password=Secret("hidden")), tokens(1))

    assert ("from-vault", "hidden") == (fetched["password"], secret["password"])


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_password(status: int) -> None:
    """A refused password is an authentication that failed, in the server's words."""
    words = {"error": "invalid_grant", "error_description": "Invalid user credentials"}
    refusal = Response(status, body=json.dumps(words).encode())
    with pytest.raises(
        AuthenticationFailed, match="Invalid user credentials"
    ) as caught:
        renew(oauth(), refusal)

    assert status == caught.value.status


@pytest.mark.parametrize(
    "body",
    [
        b"<html>" + CANARY.encode(),
        json.dumps({"access_token": CANARY, "expires_in": "soon"}).encode(),
        json.dumps({"refresh_token": CANARY}).encode(),
        json.dumps([CANARY]).encode(),
    ],
)
def test_odd_token_answers_show_no_token(body: bytes) -> None:
    """An answer that cannot be read is an error that does not show it."""
    with pytest.raises(RemoteProtocolError) as caught:
        renew(oauth(), Response(200, body=body))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)

    assert CANARY not in shown
    assert CANARY.encode() not in pickle.dumps(caught.value)
    assert caught.value.__context__ is None


def test_token_that_cannot_be_sent() -> None:
    """A token with a line end is the server's mistake, and not shown."""
    with pytest.raises(RemoteProtocolError, match="a usable token") as caught:
        renew(oauth(), tokens(1, access_token=f"{CANARY}\n"))

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_password_that_is_no_text() -> None:
    """What a callable returns is checked before it is sent as a password."""
    with pytest.raises(InvalidArgument, match="password='NoneType'"):
        renew(oauth(password=fetch), None)


@pytest.mark.parametrize("url", ["http://id.test/token", "id.test/token", "ftp://x/y"])
def test_token_url_in_the_clear(url: str) -> None:
    """A password is not sent in the clear to another machine."""
    with pytest.raises(InvalidArgument):
        OAuth2Password(url, username="me", password=CANARY, client_id="app")


@pytest.mark.parametrize("name", ["username", "client_id"])
@pytest.mark.parametrize("value", ["", None, 7])
def test_names_are_texts(name: str, value: Any) -> None:
    """A name that was forgotten is not sent as one."""
    with pytest.raises(InvalidArgument, match=name):
        oauth(**{name: value})


def test_password_that_is_no_unicode() -> None:
    """A password that cannot be sent is in no text, and in no context, of the error."""
    with pytest.raises(InvalidArgument, match="valid Unicode") as caught:
        renew(oauth(password=f"{CANARY}\ud800"))

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_oauth_shows_no_secret() -> None:
    """What is shown of it is who and where."""
    auth = OAuth2Password(
        "http://127.0.0.1:1/token", username="me", password=CANARY, client_id="app"
    )

    assert "<OAuth2Password of 'me' at http://127.0.0.1:1/token>" == repr(auth)


def test_refresh_token_that_was_refused_is_not_sent_again() -> None:
    """It is forgotten before it is tried, so that a failure does not bring it back."""
    auth = oauth()
    renew(auth, tokens(1))
    with pytest.raises(AuthenticationFailed):
        renew(auth, Response(400), Response(401))
    [sent] = renew(auth, tokens(2))

    assert "password" == sent["grant_type"]


def test_life_of_an_earlier_token_is_not_that_of_the_next() -> None:
    """A token whose life nobody said is not renewed when the last one would be."""
    auth = oauth()
    renew(auth, tokens(1, expires_in=60))
    renew(auth, tokens(2, expires_in=None))

    assert not auth.due(1e9)
