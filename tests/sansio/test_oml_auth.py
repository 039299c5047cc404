"""The tokens of Oracle Machine Learning, by hand: no clock, no network."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
    ServiceBroken,
)
from asynctasks.sansio import codec
from asynctasks.sansio.auth import Resolve, Secret
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.oml_auth import OmlAuth
from tests.converse import converse
from tests.sansio.oml_samples import body_of, exchange


TOKEN = "eyJhbGciOiJSUzI1NiJ9.token"

HOUR = 3600.0

USER = {"username": "OMLUSER", "password": "omluserPassword1"}


def token(value: str = TOKEN, life: float = 3600, *, at: float = 0.0) -> Response:
    body = codec.dumps({"accessToken": value, "expiresIn": life, "tokenType": "Bearer"})
    return Response(200, Headers({"Content-Type": "application/json"}), body, at=at)


def refusal(status: int = 401) -> Response:
    return Response(status, body=b'{"errorMessage":"no"}')


def renew(auth: OmlAuth, *answers: Any) -> list[Any]:
    """Renew; return what was asked. A text answers a :class:`Resolve`."""
    flow = auth.renew()
    asked: list[Any] = []
    answer: Any = None
    left = list(answers)
    try:
        while True:
            asked.append(flow.send(answer))
            answer = left.pop(0)
    except StopIteration:
        assert not left
        return asked


def signed_in(at: float = 0.0, life: float = 3600) -> OmlAuth:
    auth = OmlAuth("/omlusers", **USER)
    renew(auth, token(life=life, at=at))
    return auth


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("token-password", "/omlusers"),
        ("token-password-tenant", "/omlusers/tenants/OCID1.TENANCY/databases/OMLDB"),
    ],
)
def test_documented_sign_in(name: str, root: str) -> None:
    """A password is exchanged for a token, as documented."""
    ((request, response),) = exchange(name)
    auth = OmlAuth(root, **USER)
    (said,) = renew(auth, response)

    assert ("POST", request.url) == (said.method, said.url)
    assert body_of(request) == body_of(said)
    assert request.headers == said.headers
    assert {"Authorization": f"Bearer {TOKEN}"} == auth.headers()
    assert 1 == auth.generation


def test_documented_refresh() -> None:
    """The access token is its own refresh token; the answer has no tokenType."""
    ((request, response),) = exchange("token-refresh")
    auth = signed_in()
    (said,) = renew(auth, response)

    assert body_of(request) == body_of(said)
    assert request.headers == said.headers
    assert {"Authorization": f"Bearer {TOKEN}2"} == auth.headers()


def test_documented_revocation() -> None:
    """A token is revoked with itself, signed by hand, and forgotten."""
    ((request, response),) = exchange("token-revoke")
    auth = signed_in()
    (said,), revoked = converse(auth.revoke(), response)

    assert isinstance(said, Request)
    assert (request.url, request.headers) == (said.url, said.headers)
    assert (True, True) == (said.anonymous, revoked)
    assert {} == auth.headers()
    assert auth.due(1.0)


def test_revocation_of_nothing() -> None:
    """Without a token nothing is asked."""
    assert ([], False) == converse(OmlAuth("/omlusers", **USER).revoke())


def test_revocation_of_an_invalid_token() -> None:
    """A token that is invalid already is forgotten too."""
    auth = signed_in()
    _, revoked = converse(auth.revoke(), refusal(401))

    assert (False, {}) == (revoked, auth.headers())


def test_revocation_that_fails() -> None:
    """A token that could not be revoked is kept."""
    auth = signed_in()
    with pytest.raises(ServiceBroken):
        converse(auth.revoke(), refusal(500))

    assert auth.headers()


def test_revocation_while_renewing() -> None:
    """A token that came meanwhile is not forgotten with the old one."""
    auth = signed_in()
    flow = auth.revoke()
    next(flow)
    renew(auth, token("new"))
    with pytest.raises(StopIteration):
        flow.send(Response(200, body=b'{"status":"ok"}'))

    assert {"Authorization": "Bearer new"} == auth.headers()


def test_first_token() -> None:
    """With a password, the first request waits for a token."""
    auth = OmlAuth("/omlusers", **USER)

    assert (True, True, {}) == (auth.due(0.0), auth.renewable, auth.headers())


def test_refresh_before_the_end() -> None:
    """A token is renewed when a sixth of its life is left."""
    auth = signed_in(at=100.0)

    assert not auth.due(100.0 + 2999)
    assert auth.due(100.0 + 3000)


def test_refused_refresh() -> None:
    """Where a refresh is refused, the password is used again."""
    auth = signed_in()
    asked = renew(auth, refusal(401), token("new", at=50.0))

    assert ["refresh_token", "password"] == [
        body_of(each)["grant_type"] for each in asked
    ]
    assert {"Authorization": "Bearer new"} == auth.headers()


def test_eight_hours() -> None:
    """Eight hours after the sign-in a refresh is no use: the password is used."""
    auth = signed_in()
    used = []
    now = 0.0
    while now < 9 * HOUR:
        if auth.due(now):
            (asked,) = renew(auth, token(at=now))
            used.append((body_of(asked)["grant_type"], now / HOUR))
        now += 60.0

    assert ["password"] == [kind for kind, _ in used if kind != "refresh_token"]
    ((_, hour),) = [each for each in used if each[0] == "password"]
    assert 7.5 < hour < 8.0


def test_password_that_is_fetched() -> None:
    """A password may come from an async callable; it is asked each time."""

    async def fetch() -> str:
        raise AssertionError

    auth = OmlAuth("/omlusers", username="ME", password=fetch)
    resolve, request = renew(auth, "fetched", token())

    assert Resolve(fetch) == resolve
    assert "fetched" == body_of(request)["password"]
    with pytest.raises(InvalidArgument, match="the callable must return text"):
        renew(OmlAuth("/omlusers", username="ME", password=fetch), None)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_wrong_password(status: int) -> None:
    """Whatever status a wrong password has, it is an authentication that failed."""
    with pytest.raises(AuthenticationFailed, match="no"):
        renew(OmlAuth("/omlusers", **USER), refusal(status))


def test_broken_service() -> None:
    """A fault of the service is none of the password."""
    with pytest.raises(ServiceBroken):
        renew(OmlAuth("/omlusers", **USER), refusal(500))


@pytest.mark.parametrize(
    "body",
    [
        b'{"accessToken":"SECRET',
        b'["SECRET"]',
        b'"SECRET"',
        b'{"token":"SECRET"}',
        b'{"accessToken":["SECRET"]}',
        b'{"accessToken":"SECRET\\r\\nX: y"}',
        b'{"accessToken":"SECRET","expiresIn":"soon"}',
        b'{"accessToken":"SECRET","expiresIn":0}',
        b'{"accessToken":"SECRET","expiresIn":null}',
        b'{"accessToken":"SECRET","expiresIn":1' + b"0" * 400 + b"}",
    ],
)
def test_answer_of_another_form(body: bytes) -> None:
    """An answer that cannot be read is an error that shows nothing of it."""
    with pytest.raises(RemoteProtocolError) as caught:
        renew(OmlAuth("/omlusers", **USER), Response(200, body=body))

    error = caught.value
    assert error.response is not None
    assert b"" == error.response.body
    assert "SECRET" not in f"{error} {error!r} {error.__cause__!r} {error.__context__}"


def test_life_that_is_not_told() -> None:
    """A token whose life is not told lives for an hour."""
    auth = OmlAuth("/omlusers", **USER)
    renew(auth, Response(200, body=codec.dumps({"accessToken": TOKEN}), at=10.0))

    assert (False, True) == (auth.due(3009.0), auth.due(3010.0))


# --- a token that was had elsewhere ------------------------------------------


@pytest.mark.parametrize("given", [TOKEN, Secret(TOKEN)])
def test_ready_token(given: str | Secret) -> None:
    """A token is used as it is, and refreshed as if it were new."""
    auth = OmlAuth("/omlusers", token=given)

    assert {"Authorization": f"Bearer {TOKEN}"} == auth.headers()
    assert (False, False, True) == (auth.due(5.0), auth.due(3004.0), auth.due(3005.0))
    (asked,) = renew(auth, token("new", at=3005.0))
    assert "refresh_token" == body_of(asked)["grant_type"]


def test_ready_token_that_cannot_be_refreshed() -> None:
    """Without a password a refused refresh is the end."""
    auth = OmlAuth("/omlusers", token=TOKEN)

    with pytest.raises(AuthenticationFailed):
        renew(auth, refusal())
    assert auth.renewable


def test_ready_token_that_was_revoked() -> None:
    """After it was revoked, there is nothing to renew or to wait for."""
    auth = OmlAuth("/omlusers", token=TOKEN)
    converse(auth.revoke(), Response(200))

    assert (False, False) == (auth.renewable, auth.due(0.0))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"username": "ME"},
        {"username": "ME", "password": ""},
        {"username": "", "password": "x"},
        {"username": "ME", "password": "x", "token": "t"},
        {"token": "line\n"},
        {"token": ""},
    ],
)
def test_unusable_credentials(given: dict[str, str]) -> None:
    """Credentials that cannot be used are refused when they are given."""
    with pytest.raises(InvalidArgument):
        OmlAuth("/omlusers", **given)


def test_nothing_is_shown() -> None:
    """The representation shows who signs in, and no secret."""
    assert "<OmlAuth OMLUSER>" == repr(signed_in())
    assert "<OmlAuth token>" == repr(OmlAuth("/omlusers", token=TOKEN))
