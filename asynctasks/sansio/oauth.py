"""The token of an OAuth 2 server: had for a password, and refreshed."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from .answers import expect, field
from .auth import Auth, AuthFlow, Credential, check_token, decode_secret, obtain
from .http import Headers, Request, Response
from .urls import is_loopback, split_base
from ..exceptions import AuthenticationFailed, InvalidArgument, RequestRejected


__all__ = ["OAuth2Password"]

FORM = Headers(
    {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
)

OK = 200

AHEAD = 30.0
"""Seconds before its end in which a token is renewed, or a tenth of a short life."""

LONGEST_LIFE = 1e9
"""Seconds of a token's life at most, some thirty years; a server may say anything."""


SECRET_FIELDS = ("password", "refresh_token", "client_secret")


class OAuth2Password(Auth):
    """
    Sign with a bearer token of an OAuth 2 server (RFC 6749 sections 4.3 and 6).

    A token is fetched with the password, renewed with the refresh token while there
    is one that is accepted, and else with the password again.

    Args:
        token_url: where tokens are asked for; https, or on this machine.
        username: of the user.
        password: of the user, or an async callable that fetches it.
        client_id: as the server knows the client.
        client_secret: of a client that has one.
        scope: what is asked for.

    Raises:
        InvalidArgument: the URL cannot be trusted with a password, or a name is none.
    """

    def __init__(
        self,
        token_url: str,
        *,
        username: str,
        password: Credential,
        client_id: str,
        client_secret: str | None = None,
        scope: str | None = None,
    ) -> None:
        origin, path = split_base(token_url, "token_url")
        if not (origin.startswith("https:") or is_loopback(origin)):
            remedy = "refusing to send a password over plain http; use https"
            raise InvalidArgument("token_url", token_url, remedy)
        for name, text in {"username": username, "client_id": client_id}.items():
            if not isinstance(text, str) or not text:
                raise InvalidArgument(name, text, "must be text, and not empty")
        self._url = origin + path
        self._username = username
        self._password = password
        client = {"client_id": client_id, "client_secret": client_secret}
        self._client = {name: text for name, text in client.items() if text is not None}
        self._scope = {} if scope is None else {"scope": scope}
        self._headers: Mapping[str, str] = {}
        self._refresh_token: str | None = None
        self._renew_at: float | None = None

    def __repr__(self) -> str:
        return f"<OAuth2Password of {self._username!r} at {self._url}>"

    @property
    def renewable(self) -> bool:
        """A new token can always be asked for."""
        return True

    def due(self, now: float) -> bool:
        """Tell whether there is no token yet, or it ends soon."""
        ends = self._renew_at is not None and now >= self._renew_at
        return not self._headers or ends

    def headers(self) -> Mapping[str, str]:
        """Return the header that carries the token."""
        return self._headers

    def renew(self) -> AuthFlow:
        """Ask for a new token."""
        refresh, self._refresh_token = self._refresh_token, None
        if refresh is not None:
            fields = {"grant_type": "refresh_token", "refresh_token": refresh}
            response = yield self._build(fields)
            if response.status == OK:
                self._take(response)
                return
        password = yield from obtain(self._password, "password")
        fields = {"grant_type": "password", "username": self._username}
        response = yield self._build({**fields, **self._scope, "password": password})
        try:
            self._take(expect(response, OK))
        except RequestRejected as exc:  # RFC 6749 refuses wrong passwords with 400
            raise AuthenticationFailed(response.redacted(), exc.message) from exc

    def _build(self, fields: Mapping[str, str]) -> Request:
        try:
            body = urlencode({**self._client, **fields}).encode()
        except UnicodeEncodeError:  # which holds the whole text
            remedy = "user name, password and secret must be valid Unicode text"
            raise InvalidArgument("credentials", "…", remedy) from None
        # Asking twice gives two tokens and does no other harm.
        given = {**self._client, **fields}
        return Request(
            "POST",
            self._url,
            FORM,
            body,
            anonymous=True,
            replayable=True,
            confidential=tuple(given[name] for name in SECRET_FIELDS if name in given),
        )

    def _take(self, response: Response) -> None:
        document, bare = decode_secret(response)
        token = field(document, "access_token", str, bare, required=True)
        life = field(document, "expires_in", (int, float), bare)
        self._refresh_token = field(document, "refresh_token", str, bare)
        self._headers = {"Authorization": f"Bearer {check_token(token, bare)}"}
        self._renew_at = None
        if life is not None:
            life = min(life, LONGEST_LIFE)
            self._renew_at = response.at + life - min(AHEAD, life / 10)
        self.generation += 1
