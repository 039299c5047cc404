"""Credentials sign requests, and show themselves nowhere else."""

from __future__ import annotations

import base64
import copy
import pickle
import traceback
from typing import Any

import attrs
import pytest

from asynctasks.exceptions import (
    InvalidArgument,
    RemoteProtocolError,
    ResponseDecodeError,
)
from asynctasks.sansio.auth import (
    Auth,
    NoAuth,
    Resolve,
    Secret,
    api_key,
    basic,
    bearer,
    check_token,
    decode_secret,
    obtain,
)
from asynctasks.sansio.http import Headers, Response


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


# --- what servers and callables hand out -------------------------------------


@pytest.mark.parametrize("credential", ["hidden", Secret("hidden")])
def test_credential_that_is_there(credential: Any) -> None:
    """A text, or a secret, is had without asking."""
    with pytest.raises(StopIteration) as returned:
        next(obtain(credential, "password"))

    assert "hidden" == returned.value.value


def test_credential_that_is_fetched() -> None:
    """A callable is awaited by whoever can; it must return text."""
    asked = obtain(fetch, "password")
    fetched = next(asked)
    with pytest.raises(StopIteration) as returned:
        asked.send("hidden")
    refused = obtain(fetch, "password")
    next(refused)
    with pytest.raises(InvalidArgument, match="the callable must return text"):
        refused.send(None)

    assert (Resolve(fetch), "hidden") == (fetched, returned.value.value)


def test_decoded_secret() -> None:
    """The answer that errors may show has no body."""
    answer = Response(200, Headers({"Date": "today"}), b'{"a": 1}')

    assert ({"a": 1}, Response(200, answer.headers)) == decode_secret(answer)


@pytest.mark.parametrize("body", [CANARY.encode(), b"null", b""])
def test_secret_that_cannot_be_decoded(body: bytes) -> None:
    """The error of an odd answer does not show it, nor has it one that does."""
    with pytest.raises(ResponseDecodeError) as caught:
        decode_secret(Response(200, body=body))

    assert caught.value.response is not None
    assert b"" == caught.value.response.body
    assert caught.value.__context__ is None


def test_token_that_is_handed_out() -> None:
    """A token that cannot be sent is the server's mistake, and not shown."""
    assert "abc" == check_token("abc", Response(200))
    with pytest.raises(RemoteProtocolError, match="a usable token") as caught:
        check_token(f"{CANARY}\n", Response(200))

    assert CANARY not in "".join(traceback.format_exception(caught.value))
