"""Credentials sign requests, and show themselves nowhere else."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
import pickle
import traceback
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
)
from asynctasks.sansio.auth import (
    Auth,
    NoAuth,
    OAuth2Password,
    Resolve,
    Secret,
    api_key,
    basic,
    bearer,
)
from asynctasks.sansio.http import Request, Response


CANARY = "canary-5f3a9c"


async def fetch() -> str:
    raise AssertionError("a pure module awaits nothing")


# --- secrets -----------------------------------------------------------------


@attrs.frozen
class Holder:
    """A value that holds a secret."""

    key: Secret


SHOWN = {
    "repr": repr(Secret(CANARY)),
    "str": str(Secret(CANARY)),
    "f-string": f"{Secret(CANARY)} {Secret(CANARY):>40} {Secret(CANARY)!r}",
    "percent": "%s %r" % (Secret(CANARY), Secret(CANARY)),  # noqa: UP031
    "attrs": repr(Holder(Secret(CANARY))),
    "asdict": repr(attrs.asdict(Holder(Secret(CANARY)))),
    "astuple": repr(attrs.astuple(Holder(Secret(CANARY)))),
    "list": repr([Secret(CANARY)]),
    "api_key": repr(api_key(CANARY)),
    "bearer": repr(bearer(Secret(CANARY))),
    "basic": repr(basic("me", CANARY)),
}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN.keys())
def test_no_text_shows_a_secret(shown: str) -> None:
    """However a secret or its holder is written, its text is not in it."""
    assert CANARY not in shown


def test_format_keeps_to_its_width() -> None:
    """A secret can be formatted as its placeholder can."""
    assert "  <Secret>" == f"{Secret(CANARY):>10}"


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_does_not_travel(act: Any) -> None:
    """A secret is neither pickled nor copied, and the refusal does not show it."""
    with pytest.raises(TypeError, match="not pickled") as caught:
        act(Secret(CANARY))

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_secrets_compare_by_their_text() -> None:
    """Two secrets of one text are equal, and equal to nothing else."""
    assert Secret("a") == Secret("a")
    assert {Secret("a")} == {Secret("a"), Secret("a")}
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_reveal() -> None:
    """The text of a secret is there for who asks."""
    assert CANARY == Secret(CANARY).reveal()


# --- what is sent ------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (NoAuth(), {}),
        (api_key("k1"), {"apiKey": "k1"}),
        (api_key("k1", header="X-Key"), {"X-Key": "k1"}),
        (api_key(Secret("k1")), {"apiKey": "k1"}),
        (bearer("t1"), {"Authorization": "Bearer t1"}),
        (basic("me", "pw"), {"Authorization": "Basic bWU6cHc="}),
        (basic("me", "p:w d"), {"Authorization": "Basic bWU6cDp3IGQ="}),
        (api_key(fetch), {}),
    ],
)
def test_headers(auth: Auth, expected: dict[str, str]) -> None:
    """Each scheme signs with its one header; none before a key is fetched."""
    assert expected == auth.headers()


def test_basic_is_utf8() -> None:
    """User name and password beyond ASCII are sent in UTF-8."""
    sent = basic("jürgen", "pässword").headers()["Authorization"]

    assert "jürgen:pässword" == base64.b64decode(sent[6:]).decode()


@pytest.mark.parametrize(
    ("auth", "secret", "renewable"),
    [
        (NoAuth(), False, False),
        (api_key("k"), True, False),
        (api_key(fetch), True, True),
        (bearer(fetch), True, True),
        (basic("me", fetch), True, True),
    ],
)
def test_kinds(auth: Auth, secret: bool, renewable: bool) -> None:
    """An auth says whether it is secret and whether it can be renewed."""
    assert (secret, renewable) == (auth.secret, auth.renewable)


BAD = [
    ("", "must not be empty"),
    (f"{CANARY}\n", "remove the blanks or line ends around it (read from a file?)"),
    (f" {CANARY}", "remove the blanks or line ends around it (read from a file?)"),
    (f"{CANARY}\r\nX: y", "only printable ASCII characters can be sent in a header"),
    (f"{CANARY}\0", "only printable ASCII characters can be sent in a header"),
    (f"{CANARY}é", "only printable ASCII characters can be sent in a header"),
]


@pytest.mark.parametrize(("value", "remedy"), BAD)
@pytest.mark.parametrize("scheme", [api_key, bearer])
def test_unsendable_keys(scheme: Any, value: str, remedy: str) -> None:
    """A key that a header cannot carry is refused with a remedy, and not shown."""
    with pytest.raises(InvalidArgument) as caught:
        scheme(value)

    assert remedy == caught.value.remedy
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("password", ["", f"{CANARY}\n", f"{CANARY}\0", "\ud800"])
def test_unsendable_passwords(password: str) -> None:
    """A password of several lines, or of none, is refused and not shown."""
    with pytest.raises(InvalidArgument) as caught:
        basic("me", password)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert "password" == caught.value.name


@pytest.mark.parametrize("username", ["", None, 7, "a:b", "a\nb", "\ud800"])
def test_unsendable_user_names(username: Any) -> None:
    """A user name with a colon or a control character is refused."""
    with pytest.raises(InvalidArgument) as caught:
        basic(username, "pw")

    assert "username" == caught.value.name


@pytest.mark.parametrize("credential", [None, 5, b"bytes", Secret(5)])
def test_credentials_of_other_types(credential: Any) -> None:
    """A credential that is neither text nor callable is refused."""
    with pytest.raises(InvalidArgument, match="give the text, or an async callable"):
        api_key(credential)


# --- renewal -----------------------------------------------------------------


def test_a_fetched_key_is_due_until_it_is_there() -> None:
    """A key that has to be fetched is due once, asked for, and then used."""
    auth = api_key(fetch)
    due = auth.due(0.0)
    renewal = auth.renew()
    asked = next(renewal)
    with pytest.raises(StopIteration):
        renewal.send("k1")

    assert (True, Resolve(fetch)) == (due, asked)
    assert (False, {"apiKey": "k1"}, 1) == (
        auth.due(0.0),
        auth.headers(),
        auth.generation,
    )


def test_a_renewal_replaces_the_key() -> None:
    """Each renewal is counted, and the last key counts."""
    auth = bearer(fetch)
    for token in ["t1", "t2"]:
        renewal = auth.renew()
        next(renewal)
        with pytest.raises(StopIteration):
            renewal.send(token)

    assert ({"Authorization": "Bearer t2"}, 2) == (auth.headers(), auth.generation)


@pytest.mark.parametrize("fetched", [None, b"k1", "k1\n"])
def test_a_bad_renewal_changes_nothing(fetched: Any) -> None:
    """What was fetched is checked as a given key is; the old one stays in use."""
    auth = api_key(fetch)
    renewal = auth.renew()
    next(renewal)
    with pytest.raises(InvalidArgument):
        renewal.send(fetched)

    assert (True, 0) == (auth.due(0.0), auth.generation)


@pytest.mark.parametrize("auth", [NoAuth(), api_key("k1")])
def test_what_is_given_is_not_renewed(auth: Auth) -> None:
    """A renewal of what cannot be renewed asks nothing and counts nothing."""
    assert (False, [], 0) == (auth.due(0.0), list(auth.renew()), auth.generation)


# --- OAuth 2 -----------------------------------------------------------------

TOKEN_URL = "https://id.test/realms/x/token"


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
