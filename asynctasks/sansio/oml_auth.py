"""
The tokens of Oracle Machine Learning: had for a password, kept alive, given back.

Sources: "Authenticate" of the OML4Py REST guide, "Authorization" of OML Services and
its LiveLabs workshop. A token lives for an hour; it can be refreshed, by itself and
before it expires, until eight hours after the sign-in.
"""

from __future__ import annotations

from typing import Any

import attrs

from . import codec
from .answers import expect, refusal
from .auth import Auth, AuthFlow, Credential, Secret, obtain
from .http import Flow, Headers, Request, Response, check_header
from ..exceptions import (
    AuthenticationFailed,
    InvalidArgument,
    RemoteProtocolError,
    ResponseError,
)


__all__ = ["OmlAuth"]

OK = 200
UNAUTHORIZED = 401

LIFE = 3600.0
"""Seconds that a token lives where its answer does not say."""

SESSION = 8 * 3600.0
"""Seconds after the sign-in within which its token can be refreshed."""

MARGIN = 1 / 6
"""The share of its life that a token has left when it is refreshed: ten minutes."""

GAIN = 60.0
"""Seconds that a refresh has to be good for; else a new sign-in is better."""

JSON = Headers({"Content-Type": "application/json", "Accept": "application/json"})


class OmlAuth(Auth):
    """
    Signs with a token of the service ``omlusers``.

    Args:
        root: the path of that service, such as ``"/omlusers"``.
        username: who signs in.
        password: the password; or an async callable that fetches it.
        token: instead of both, a token that was had elsewhere. Its age is not
            known: it is taken to be new when it is first used, and refreshed as
            any other until the service refuses.

    Raises:
        InvalidArgument: neither a token, nor user name and password, are usable.
    """

    def __init__(
        self,
        root: str,
        *,
        username: str | None = None,
        password: Credential | None = None,
        token: str | Secret | None = None,
    ) -> None:
        if (username is None) is (token is None):
            remedy = "give username and password, or a token"
            raise InvalidArgument("username", username or "", remedy)
        if username is not None and not (username and password):
            remedy = "neither the user name nor the password may be missing or empty"
            raise InvalidArgument("username", username, remedy)
        self._url = f"{root}/api/oauth2/v1/token"
        self._username = username
        given = password or ""
        self._password = Secret(given) if isinstance(given, str) else given
        self._token: Secret | None = None
        self._expires: float | None = None
        self._due = 0.0
        self._session_ends = 0.0
        if token is not None:
            text = token.reveal() if isinstance(token, Secret) else token
            self._token = Secret(check_header("token", text, secret=True))

    def __repr__(self) -> str:
        return f"<OmlAuth {self._username or 'token'}>"

    @property
    def renewable(self) -> bool:
        """Whether there is a token to refresh, or a password to sign in with."""
        return self._username is not None or self._token is not None

    def due(self, now: float) -> bool:
        """Tell whether there is no token yet, or one that expires soon."""
        if self._token is None:
            return self._username is not None
        if self._expires is None:
            self._keep(self._token, now, LIFE, session_ends=now + SESSION)
        return now >= self._due

    def headers(self) -> dict[str, str]:
        """Return the header that carries the token."""
        return {} if self._token is None else _bearer(self._token)

    def renew(self) -> AuthFlow:
        """
        Refresh the token; where that cannot be, sign in again.

        Raises:
            AuthenticationFailed: the service refuses the password, or to refresh
                a token that came without one.
        """
        if self._token is not None and (self._lasting or self._username is None):
            response = yield self._build_refresh(self._token)
            if response.status == OK or self._username is None:
                self._take(response, self._session_ends)
                return
        password = yield from obtain(self._password, "password")
        response = yield self._build_sign_in(password)
        self._take(response, response.at + SESSION)

    def revoke(self) -> Flow[bool]:
        """
        Have the token declared invalid, and forget it.

        Returns:
            False where there was none, or the service took it for invalid already.
        """
        token = self._token
        if token is None:
            return False
        headers = Headers({**JSON, **_bearer(token)})
        # Signed by hand: no token must be fetched to have one revoked.
        response = yield Request(
            "POST", f"{self._url}/revoke", headers, anonymous=True, replayable=True
        )
        if response.status != UNAUTHORIZED:
            expect(response, OK)
        if self._token == token:
            self._token = self._expires = None
        return response.status == OK

    # --- what is asked -------------------------------------------------------

    def _build_sign_in(self, password: str) -> Request:
        return self._build(
            {
                "grant_type": "password",
                "username": self._username,
                "password": password,
            }
        )

    def _build_refresh(self, token: Secret) -> Request:
        # There is no other refresh token: the access token plays both parts.
        document = {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        return self._build(document, _bearer(token))

    def _build(
        self, document: dict[str, Any], extra: dict[str, str] | None = None
    ) -> Request:
        headers = Headers({**JSON, **(extra or {})})
        # Not expect_json: what cannot be read would be shown, and it is a secret.
        body = codec.dumps(document, name="credentials")
        secrets = [document.get(name) or "" for name in ("password", "refresh_token")]
        return Request(
            "POST",
            self._url,
            headers,
            body,
            replayable=True,
            confidential=tuple(secrets),
        )

    # --- what is answered ----------------------------------------------------

    @property
    def _lasting(self) -> bool:
        """Whether a refresh can give a token that outlives the present one."""
        return self._expires is None or self._expires + GAIN < self._session_ends

    def _take(self, response: Response, session_ends: float) -> None:
        if response.status != OK:
            raise _refused(response)
        token, life = _parse_token(response)
        self._keep(token, response.at, life, session_ends=session_ends)
        self.generation += 1

    def _keep(
        self, token: Secret, now: float, life: float, *, session_ends: float
    ) -> None:
        self._token = token
        self._session_ends = session_ends
        self._expires = min(now + life, session_ends)
        self._due = self._expires - life * MARGIN


def _bearer(token: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.reveal()}"}


def _refused(response: Response) -> ResponseError:
    """Return the error of a refusal; which status a wrong password has is unknown."""
    error = refusal(response)
    if response.status in {400, 403}:
        return AuthenticationFailed(error.response, error.message)
    return error


def _parse_token(response: Response) -> tuple[Secret, float]:
    """Read token and seconds; an error must not show what may be a token."""
    try:
        document = codec.loads(response.body)
        token = check_header("accessToken", document["accessToken"], secret=True)
        life = float(document.get("expiresIn", LIFE))  # a refresh may leave it out
        if not 0 < life < float("inf"):
            raise ValueError("expiresIn")
    except (RemoteProtocolError, InvalidArgument, *SHAPELESS):
        pass
    else:
        return Secret(token), life
    blank = attrs.evolve(response, body=b"").redacted()
    raise RemoteProtocolError("a JSON object with accessToken and expiresIn", blank)


SHAPELESS = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What comes of a document that has another shape."""
