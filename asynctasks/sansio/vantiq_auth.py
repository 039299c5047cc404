"""The token of a Vantiq client: how it signs requests, and how it is renewed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .answers import field, refusal
from .auth import (
    Auth,
    AuthFlow,
    Credential,
    Secret,
    check_token,
    decode_secret,
    obtain,
)
from .http import Response, check_header
from .vantiq_requests import Api


__all__ = ["VantiqAuth"]

PATIENCE = 60.0
"""Seconds until the next try, when a token that is still good was not renewed."""


class VantiqAuth(Auth):
    """
    Signs with a token; tells the server of another namespace or user.

    Args:
        api: of the server that renews the token.
        refresh_after: seconds of age at which the token is renewed before the next
            request; None leaves that to the user.
    """

    def __init__(self, api: Api, refresh_after: float | None = None) -> None:
        self._api = api
        self._refresh_after = refresh_after
        self._due: float | None = None
        self._token: Secret | None = None
        self._id_token: Secret | None = None
        self._namespace: str | None = None
        self._impersonated: str | None = None
        self._headers: Mapping[str, str] = {}
        self._username: str | None = None
        self._source: Credential | None = None

    def __repr__(self) -> str:
        return f"<VantiqAuth {'with a' if self._token else 'without'} token>"

    @property
    def token(self) -> str | None:
        """The access token, if there is one."""
        return self._token.reveal() if self._token is not None else None

    @property
    def id_token(self) -> str | None:
        """The id token, if the server gave one."""
        return self._id_token.reveal() if self._id_token is not None else None

    @property
    def namespace(self) -> str | None:
        """The namespace that requests are for; None means the token's own."""
        return self._namespace

    @namespace.setter
    def namespace(self, namespace: str | None) -> None:
        if namespace is not None:
            check_header("namespace", namespace)
        self._namespace = namespace
        self._build()

    @property
    def impersonated(self) -> str | None:
        """The user in whose name requests are made; None means the token's own."""
        return self._impersonated

    @impersonated.setter
    def impersonated(self, username: str | None) -> None:
        if username is not None:
            check_header("username", username)
        self._impersonated = username
        self._build()

    @property
    def usable(self) -> bool:
        """Whether there is a token, or what one is had for."""
        return self._token is not None or self._source is not None

    def obtain_with(self, source: Credential, username: str | None = None) -> None:
        """
        Have a token when the first one is needed, and when one is refused.

        Args:
            source: the user's password; without a user, the token.
            username: whose password it is.
        """
        self._source = Secret(source) if isinstance(source, str) else source
        self._username = username

    def accept(self, token: str, id_token: str | None, now: float | None) -> None:
        """
        Sign with this token from now on.

        Args:
            token: the access token.
            id_token: the id token, if there is one.
            now: seconds on the event loop's clock; None where that is not known: then
                the token's age counts from when somebody first asks whether it is due.

        Raises:
            InvalidArgument: it cannot be sent.
        """
        self._token = Secret(check_header("access_token", token, secret=True))
        self._id_token = Secret(id_token) if id_token is not None else None
        self._due = None
        if now is not None:
            self._begin(now)
        self.generation += 1
        self._build()

    def _begin(self, now: float) -> None:
        """Count the token's age from now on."""
        if self._refresh_after is not None:
            self._due = now + self._refresh_after

    def accept_answer(self, response: Response) -> None:
        """
        Take the tokens out of the answer to an authentication.

        Raises:
            RemoteProtocolError: it holds none that can be sent; the error shows
                nothing of it.
        """
        document, bare = decode_secret(response)
        token = field(document, "accessToken", str, bare, required=True)
        id_token = field(document, "idToken", str, bare)
        self.accept(check_token(token, bare), id_token, response.at)

    def clear(self) -> None:
        """Forget who we are; not what a token is obtained with."""
        self._token = self._id_token = self._due = None
        self._namespace = self._impersonated = None
        self._build()

    def _build(self) -> None:
        headers = {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        if self._namespace is not None:
            headers["X-Target-Namespace"] = self._namespace
        if self._impersonated is not None:
            headers["X-Impersonate-User"] = self._impersonated
        self._headers = headers

    # --- what the driver needs -----------------------------------------------

    @property
    def renewable(self) -> bool:
        """Whether a refused token may be renewed."""
        aged = self._refresh_after is not None and self._token is not None
        return aged or self._source is not None

    def due(self, now: float) -> bool:
        """Tell whether the token has reached the age at which it is renewed."""
        if self._token is None:
            return self._source is not None
        if self._due is None:
            self._begin(now)
        return self._due is not None and now >= self._due

    def renew(self) -> AuthFlow:
        """
        Renew the token, or obtain one.

        Where a renewal is refused and nothing else is known, the old one is used a
        bit longer.

        Raises:
            AuthenticationFailed: the server refuses the password.
        """
        if self._token is not None and self._refresh_after is not None:
            response = yield self._api.refresh(self._token.reveal())
            if not response.refused:
                self.accept_answer(response)
                return
            self._due = response.at + PATIENCE
        if self._source is not None:
            yield from self._obtain(self._source)

    def _obtain(self, source: Credential) -> AuthFlow:
        text = yield from obtain(source, "credential")
        if self._username is None:
            self.accept(text, None, None)
            return
        response = yield self._api.authenticate(self._username, text)
        if response.refused:
            raise refusal(response)
        self.accept_answer(response)

    def headers(self) -> Mapping[str, str]:
        """Return the headers that sign a request."""
        return self._headers

    def secrets(self) -> Collection[str]:
        """Return the tokens; namespaces and users may be shown."""
        tokens = (self._token, self._id_token)
        return [token.reveal() for token in tokens if token is not None]
