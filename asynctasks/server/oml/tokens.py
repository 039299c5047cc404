"""The token service of the OML half: who signs in, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import hmac
from typing import Any

import attrs

from .answers import OmlRefused, answer, read_object
from ...sansio.http import Request, Response


__all__ = ["Tokens"]

LIFE = 3600
SESSION = 8 * 3600


@attrs.frozen
class Grant:
    """What a token stands for."""

    user: str
    expires: float
    session_ends: float


class Tokens:
    """
    Gives, refreshes, revokes and checks tokens.

    Args:
        new_token: gives a new token, which nobody can guess.
        password: what everybody signs in with; None accepts any password.
        users: the passwords by user name; None accepts any user.
    """

    def __init__(
        self,
        new_token: Callable[[], str],
        *,
        password: str | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self._new_token = new_token
        self._password = password
        self._users = users
        self._grants: dict[str, Grant] = {}

    def handle(self, request: Request, tail: str, now: float) -> Response:
        """Answer a request for a token, or one to revoke one."""
        if request.method != "POST" or tail not in {"", "/revoke"}:
            raise OmlRefused(404, f"nothing is served at {request.describe()}")
        if tail:
            self.check(request, now)
            del self._grants[bearer(request)]
            return answer({"status": "ok"})
        document = read_object(request)
        kind = document.get("grant_type")
        if kind == "password":
            return self._sign_in(document, now)
        if kind == "refresh_token":
            return self._refresh(document, now)
        raise OmlRefused(400, "grant_type must be password or refresh_token")

    def check(self, request: Request, now: float) -> str:
        """
        Return the user whose token a request carries.

        Raises:
            OmlRefused: it carries none that is valid.
        """
        grant = self._valid(bearer(request), now)
        if grant is None:
            raise OmlRefused(401, "The token is missing, has expired or was revoked.")
        return grant.user

    def revoke_all(self) -> None:
        """Revoke every token there is."""
        self._grants.clear()

    def _valid(self, token: str, now: float) -> Grant | None:
        grant = self._grants.get(token)
        return grant if grant is not None and now < grant.expires else None

    def _sign_in(self, document: Mapping[str, Any], now: float) -> Response:
        user, password = document.get("username"), document.get("password")
        if not isinstance(user, str) or not isinstance(password, str) or not user:
            raise OmlRefused(400, "username and password are needed")
        if not self._accepts(user, password):
            # Neither status nor body are documented.
            raise OmlRefused(401, "The user name or the password is wrong.")
        self._forget_expired(now)
        life = self._grant(user, now, now + SESSION)
        return answer({**life, "tokenType": "Bearer"})

    def _accepts(self, user: str, password: str) -> bool:
        if self._users is not None:
            known = {name.upper(): each for name, each in self._users.items()}
            expected = known.get(user.upper())
            return expected is not None and same(password, expected)
        return self._password is None or same(password, self._password)

    def _refresh(self, document: Mapping[str, Any], now: float) -> Response:
        # dbt-oracle calls it "token".
        token = document.get("refresh_token", document.get("token"))
        grant = self._valid(token, now) if isinstance(token, str) else None
        if grant is None:
            raise OmlRefused(401, "The token has expired or was revoked.")
        return answer(self._grant(grant.user, now, grant.session_ends))

    def _grant(self, user: str, now: float, session_ends: float) -> dict[str, Any]:
        """Make a token; the order of the keys matters to the vendor's samples."""
        token = self._new_token()
        expires = min(now + LIFE, session_ends)
        self._grants[token] = Grant(user, expires, session_ends)
        return {"accessToken": token, "expiresIn": int(expires - now)}

    def _forget_expired(self, now: float) -> None:
        for token, grant in list(self._grants.items()):
            if grant.expires <= now:
                del self._grants[token]


def same(given: str, expected: str) -> bool:
    """Compare two secrets in the same time, whatever they have in common."""
    return hmac.compare_digest(given.encode(), expected.encode())


def bearer(request: Request) -> str:
    """Return the token that a request carries; empty where there is none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
