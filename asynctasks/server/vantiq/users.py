"""
Who may ask: users, their tokens, and the namespaces that they are authorized in.

Access tokens of a login are valid for 24 hours; long-lived ones until they are taken
away. What is given is compared in constant time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
import hashlib
import hmac

import attrs

from .refusals import unauthorized


__all__ = ["LIFETIME", "Login", "Users", "bearer_of", "parse_basic"]

LIFETIME = 24 * 3600.0
"""Seconds that the token of a login is valid."""


@attrs.frozen
class Login:
    """One valid token."""

    username: str
    expires: float | None = None
    """Seconds since the epoch; None for one that does not expire."""


class Users:
    """
    The users and their tokens.

    Args:
        passwords: of the users by their names, whose case does not matter.
        new_token: gives tokens that nobody can guess.
    """

    def __init__(
        self, passwords: Mapping[str, str], new_token: Callable[[], str]
    ) -> None:
        self._passwords = {name.lower(): word for name, word in passwords.items()}
        self._preferred = {name.lower(): name for name in passwords}
        self._tokens: dict[bytes, Login] = {}
        self._new_token = new_token

    def add(self, username: str, password: str) -> None:
        """Add a user, or change the password of one."""
        self._passwords[username.lower()] = password
        self._preferred[username.lower()] = username

    def add_token(self, token: str, username: str) -> None:
        """Accept a long-lived token in the name of a user."""
        self._tokens[digest_of(token)] = Login(username.lower())

    def renew(self, username: str, secret: str) -> None:
        """Let a user have this password and long-lived token, and no others."""
        name = username.lower()
        self._tokens = {
            t: each for t, each in self._tokens.items() if each.username != name
        }
        self.add(username, secret)
        self.add_token(secret, username)

    def listed(self) -> list[dict[str, str]]:
        """Return the users as ``authorizedUsers`` does: stored names in lower case."""
        return [
            {"username": name, "preferredUsername": preferred}
            for name, preferred in sorted(self._preferred.items())
        ]

    def knows(self, username: str) -> bool:
        """Tell whether there is such a user."""
        return username.lower() in self._preferred

    def check_password(self, username: str, password: str) -> str:
        """
        Return the stored name of a user.

        Raises:
            Refused: name or password is wrong.
        """
        wanted = self._passwords.get(username.lower())
        right = hmac.compare_digest((wanted or "").encode(), password.encode())
        if wanted is None or not right:
            raise unauthorized()
        return username.lower()

    def check_token(self, token: str, now: float) -> str:
        """
        Return the stored name of the user of a token.

        Raises:
            Refused: it is unknown, revoked or expired.
        """
        # Looked up by what is no secret: how long that takes tells nothing of a token.
        found = self._tokens.get(digest_of(token))
        if found is None or (found.expires is not None and found.expires <= now):
            raise unauthorized()
        return found.username

    def log_in(self, username: str, now: float) -> dict[str, str]:
        """Return new tokens of a user, as the answer to ``/authenticate``."""
        self._forget_expired(now)
        token = self._new_token()
        self._tokens[digest_of(token)] = Login(username, now + LIFETIME)
        # Clients keep the id token and need not look into it.
        return {"accessToken": token, "idToken": self._new_token()}

    def revoke(self, token: str) -> None:
        """Accept a token no more."""
        self._tokens.pop(digest_of(token), None)

    def expire(self) -> None:
        """Let the tokens of all logins expire now; long-lived ones stay."""
        self._forget_expired(float("inf"))

    def _forget_expired(self, now: float) -> None:
        self._tokens = {
            token: login
            for token, login in self._tokens.items()
            if login.expires is None or login.expires > now
        }


def digest_of(token: str) -> bytes:
    """Return what a token is found by."""
    return hashlib.sha256(token.encode()).digest()


def parse_basic(value: str) -> tuple[str, str]:
    """
    Return name and password of HTTP basic authentication.

    Raises:
        Refused: there are none.
    """
    scheme, _, encoded = value.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:  # no base64, or no text
        text = ""
    name, colon, password = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise unauthorized()
    return name, password


def bearer_of(value: str) -> str:
    """Return the token of an Authorization header; empty where it has none."""
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
