"""The token of a Vantiq client."""

from __future__ import annotations

import json
import pickle
import traceback

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
)
from asynctasks.sansio.auth import Resolve, Secret
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.vantiq_auth import VantiqAuth
from asynctasks.sansio.vantiq_requests import Api
from tests.converse import converse


API = Api("https://dev.example")


def tokens(status: int = 200, at: float = 100.0, **body: object) -> Response:
    kind = Headers({"Content-Type": "application/json"})
    return Response(status, kind, json.dumps(body).encode(), at=at)


def test_headers() -> None:
    """Requests carry the token, the namespace and the user that are set."""
    auth = VantiqAuth(API)

    assert {} == auth.headers()
    auth.accept("tok", "id", 0.0)
    auth.namespace = "ns"
    auth.impersonated = "u"
    assert {
        "Authorization": "Bearer tok",
        "X-Target-Namespace": "ns",
        "X-Impersonate-User": "u",
    } == auth.headers()
    assert ("tok", "id", "ns", "u") == (
        auth.token,
        auth.id_token,
        auth.namespace,
        auth.impersonated,
    )
    auth.namespace = auth.impersonated = None
    assert {"Authorization": "Bearer tok"} == auth.headers()


def test_clear_forgets_everything() -> None:
    """After clear there is nothing to sign with."""
    auth = VantiqAuth(API, refresh_after=1.0)
    auth.accept("tok", "id", 0.0)
    auth.namespace = "ns"
    auth.clear()

    assert {} == auth.headers()
    assert (None, None, None) == (auth.token, auth.id_token, auth.namespace)
    assert not auth.due(1e9)
    assert not auth.renewable


@pytest.mark.parametrize("token", ["", "a\nb", " x"])
def test_what_cannot_be_sent(token: str) -> None:
    """A token, a namespace or a user that is no header is refused, unseen."""
    auth = VantiqAuth(API)
    with pytest.raises(InvalidArgument, match="…"):
        auth.accept(token, None, 0.0)
    with pytest.raises(InvalidArgument):
        auth.namespace = token
    with pytest.raises(InvalidArgument):
        auth.impersonated = token


def test_representation_shows_no_token() -> None:
    """The representation tells only whether there is a token."""
    auth = VantiqAuth(API)

    assert "<VantiqAuth without token>" == repr(auth)
    auth.accept("secret", "secret", 0.0)
    assert "<VantiqAuth with a token>" == repr(auth)


def test_answers() -> None:
    """The tokens are taken out of an answer; the id token may be missing."""
    auth = VantiqAuth(API)
    auth.accept_answer(tokens(accessToken="a", idToken="i"))

    assert ("a", "i", 1) == (auth.token, auth.id_token, auth.generation)
    auth.accept_answer(tokens(accessToken="b"))
    assert ("b", None, 2) == (auth.token, auth.id_token, auth.generation)
    with pytest.raises(RemoteProtocolError, match="accessToken"):
        auth.accept_answer(tokens(idToken="i"))


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, body=b'{"accessToken": "canary"'),
        tokens(accessToken="canary", idToken=1),
        tokens(accessToken=1, idToken="canary"),
        tokens(accessToken="canary\n"),
    ],
    ids=["cut off", "odd id token", "odd token", "unusable token"],
)
def test_odd_answers_show_no_token(answer: Response) -> None:
    """An answer that cannot be used is an error of the server that does not show it."""
    with pytest.raises(RemoteProtocolError) as caught:
        VantiqAuth(API).accept_answer(answer)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)

    assert "canary" not in shown
    assert b"canary" not in pickle.dumps(caught.value)


def test_tokens_are_renewed_on_request_only() -> None:
    """Without an age, a token is used as long as it works."""
    auth = VantiqAuth(API)
    auth.accept("a", None, 0.0)

    assert not auth.due(1e9)
    assert not auth.renewable


def test_renewal() -> None:
    """A token of the age is exchanged for a new one, which is young."""
    auth = VantiqAuth(API, refresh_after=10.0)
    auth.accept("a", None, 90.0)

    assert not auth.due(99.0)
    assert auth.due(100.0)
    assert auth.renewable
    asked, _ = converse(auth.renew(), tokens(accessToken="b"))
    (request,) = asked
    assert isinstance(request, Request)
    assert ("/authenticate/refresh", b"a") == (request.url, request.body)
    assert "b" == auth.token
    assert not auth.due(109.0)
    assert auth.due(110.0)


def test_refused_renewal_is_tried_again_later() -> None:
    """A token that was not renewed is used on, for a while."""
    auth = VantiqAuth(API, refresh_after=10.0)
    auth.accept("a", None, 0.0)
    converse(auth.renew(), tokens(503))

    assert "a" == auth.token
    assert not auth.due(159.0)
    assert auth.due(160.0)


def test_token_is_obtained_for_a_password() -> None:
    """Without a token, the password is changed for one; so it is after a 401."""
    auth = VantiqAuth(API)
    assert (False, False, False) == (auth.usable, auth.renewable, auth.due(0.0))
    auth.obtain_with("secret", "ann")

    assert (True, True, True) == (auth.usable, auth.renewable, auth.due(0.0))
    for token in ("first", "second"):
        asked, _ = converse(auth.renew(), tokens(accessToken=token))
        assert ["/authenticate"] == [request.path for request in asked]
        assert (token, False) == (auth.token, auth.due(1e9))
    with pytest.raises(AuthenticationFailed):
        converse(auth.renew(), tokens(401, error="no"))
    assert "secret" not in repr(auth)


def test_token_is_fetched() -> None:
    """A token that a callable fetches is fetched when it is needed."""
    auth = VantiqAuth(API)

    async def fetch() -> str:
        return "never called here"

    auth.obtain_with(fetch)
    flow = auth.renew()
    assert Resolve(fetch) == next(flow)
    with pytest.raises(StopIteration):
        flow.send("tok")

    assert "tok" == auth.token


def test_fetched_token_is_young_when_it_is_first_used() -> None:
    """The age of a token that came without a time counts from the first look."""
    auth = VantiqAuth(API, refresh_after=10.0)
    auth.accept("tok", None, None)

    assert [False, False, True] == [auth.due(now) for now in (1e6, 1e6 + 9, 1e6 + 10)]


def test_refused_renewal_is_followed_by_the_password() -> None:
    """Where an old token is not renewed, the password still is good."""
    auth = VantiqAuth(API, refresh_after=10.0)
    auth.obtain_with(Secret("secret"), "ann")
    auth.accept("old", None, 0.0)
    answers = [tokens(401, error="old"), tokens(accessToken="new")]
    asked, _ = converse(auth.renew(), *answers)

    assert ["/authenticate/refresh", "/authenticate"] == [r.path for r in asked]
    assert "new" == auth.token
