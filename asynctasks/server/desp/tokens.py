"""Who asks: API keys by Basic, and the bearer tokens of an OAuth 2 server."""

from __future__ import annotations

import base64
from collections.abc import Callable
import hmac
from typing import Any
from urllib.parse import parse_qsl

import attrs

from ...sansio import codec
from ...sansio.http import Headers, Request, Response


__all__ = ["Tokens"]

ANYBODY = "user"
"""Who asks, where nobody says."""

MOST_TOKENS = 10_000
"""Tokens of a kind that are remembered; the oldest are forgotten."""

REFRESH_LIFE = 6
"""How many times longer than an access token its refresh token lives."""


@attrs.frozen
class Issued:
    """A token that was given out."""

    user: str
    ends: float


class Tokens:
    """
    Gives out tokens, and tells who signed a request.

    Args:
        api_key: the key or password; None takes any.
        life: seconds until an access token ends.
        new_id: gives tokens, each once.
    """

    def __init__(
        self, *, api_key: str | None, life: float, new_id: Callable[[], str]
    ) -> None:
        self._api_key = api_key
        self._life = life
        self._new_id = new_id
        self._access: dict[str, Issued] = {}
        self._refresh: dict[str, Issued] = {}

    def user_of(self, authorization: str, now: float) -> str | None:
        """Return who signed; None where the signature is not accepted."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer":
            issued = self._access.get(given)
            if issued is not None:
                return issued.user if now < issued.ends else None
            return ANYBODY if self._is_key(given) else None
        name, password = read_basic(given) if scheme.lower() == "basic" else ("", "")
        return (name or ANYBODY) if self._is_key(password) else None

    def _is_key(self, given: str) -> bool:
        if self._api_key is None:
            return True
        return hmac.compare_digest(given.encode(), self._api_key.encode())

    def give(self, request: Request, now: float) -> Response:
        """Answer a request for a token (RFC 6749 sections 4.3 and 6)."""
        body = request.body if isinstance(request.body, bytes) else b""
        fields = dict(parse_qsl(body.decode(errors="replace")))
        kind = fields.get("grant_type")
        if request.method != "POST" or kind not in {"password", "refresh_token"}:
            return answer(400, {"error": "unsupported_grant_type"})
        if kind == "password":
            if not self._is_key(fields.get("password", "")):
                return refuse("Invalid user credentials")
            return self._issue(fields.get("username", ANYBODY), now)
        # A refresh token is good for one refresh.
        issued = self._refresh.pop(fields.get("refresh_token", ""), None)
        if issued is None or now >= issued.ends:
            return refuse("Invalid refresh token", 400)
        return self._issue(issued.user, now)

    def _issue(self, user: str, now: float) -> Response:
        for issued in (self._access, self._refresh):
            # An ended token is known for a while: where any key is good, it is not.
            while len(issued) >= MOST_TOKENS:
                del issued[next(iter(issued))]
        access, refresh = self._new_id(), self._new_id()
        life, longer = self._life, self._life * REFRESH_LIFE
        self._access[access] = Issued(user, now + life)
        self._refresh[refresh] = Issued(user, now + longer)
        return answer(
            200,
            {
                "access_token": access,
                "expires_in": int(life),
                "refresh_expires_in": int(longer),
                "refresh_token": refresh,
                "token_type": "Bearer",
                "not-before-policy": 0,
                "session_state": self._new_id(),
                "scope": "openid",
            },
        )


def read_basic(given: str) -> tuple[str, str]:
    """Return user name and password."""
    try:
        text = base64.b64decode(given, validate=True).decode()
    except ValueError:  # no base64, or no text
        return "", ""
    name, _, password = text.partition(":")
    return name, password


def answer(status: int, document: dict[str, Any]) -> Response:
    """Answer with JSON."""
    kind = {"Content-Type": "application/json"}
    return Response(status, Headers(kind), codec.dumps(document, name="token"))


def refuse(words: str, status: int = 401) -> Response:
    """Refuse a grant."""
    return answer(status, {"error": "invalid_grant", "error_description": words})
