"""
Taking secrets out of what a service quotes.

A service that refuses a request may quote it, key and all; so may a proxy. What is told
of the refusal ends up in logs and error trackers, where no secret belongs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable, Iterator, Mapping
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

import attrs

from .http import Headers, Request, Response
from ..exceptions import AsyncTasksError


__all__ = [
    "conceal",
    "conceal_bytes",
    "conceal_error",
    "conceal_response",
    "forms_of",
    "secrets_of",
]

HIDDEN = "…"

SHORTEST = 6
"""Characters of a secret at least: shorter ones are in many a text by chance."""

NOTHING: frozenset[str] = frozenset()


def secrets_of(request: Request) -> frozenset[str]:
    """Return what a request holds of its own that must not be shown."""
    signed = request.headers.get("Authorization", "")
    if not (signed or request.confidential):
        return NOTHING
    return forms_of([signed], request.confidential)


def forms_of(signing: Iterable[str], texts: Iterable[str] = ()) -> frozenset[str]:
    """
    Return all forms in which secrets may be quoted.

    Args:
        signing: values of headers, with or without a scheme such as ``Bearer``.
        texts: other secrets, such as passwords.
    """
    parts = {part for value in signing for part in _unpacked(value)}
    plain = {text for text in (*texts, *parts) if len(text) >= SHORTEST}
    return frozenset(form for text in plain for form in _forms(text))


def _unpacked(value: str) -> Iterator[str]:
    """Take a header apart: without its scheme, and what Basic hides."""
    scheme, _, credential = value.rpartition(" ")
    yield credential
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(credential).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return


def _forms(text: str) -> Iterator[str]:
    yield text
    wire = text.encode("utf-8", "replace")
    # Latin 1 gives every byte back: so bodies are searched.
    yield from (wire.decode("latin-1"), quote(wire, safe=""), quote_plus(wire))
    yield json.dumps(text)[1:-1]


def conceal(text: str, secrets: Collection[str]) -> str:
    """Return a text without the secrets that are in it."""
    found = [secret for secret in secrets if secret in text]
    if not found:
        return text
    # The longest first: one may be a part of another.
    longest = sorted(found, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest)), HIDDEN, text)


def conceal_bytes(data: bytes, secrets: Collection[str]) -> bytes:
    """Return the bytes of a text without the secrets that are in it."""
    text = data.decode("latin-1")
    hidden = conceal(text, secrets)
    return data if hidden is text else hidden.replace(HIDDEN, "...").encode("latin-1")


def conceal_response(response: Response, secrets: Collection[str]) -> Response:
    """Return an answer without the secrets that it quotes."""
    body = conceal_bytes(response.body, secrets)
    headers = _conceal_headers(response.headers, secrets)
    if body is response.body and headers is response.headers:
        return response
    return attrs.evolve(response, headers=headers, body=body)


def _conceal_headers(
    headers: Mapping[str, str], secrets: Collection[str]
) -> Mapping[str, str]:
    values = "\n".join(headers.values())
    if conceal(values, secrets) is values:
        return headers
    return Headers((name, conceal(value, secrets)) for name, value in headers.items())


def conceal_error(error: BaseException | None, secrets: Collection[str]) -> None:
    """
    Take the secrets out of an error of ours, and of those behind it.

    An error of somebody else's that quotes one is cut off.
    """
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:  # an error may be its own cause
            continue
        seen.add(id(each))
        if isinstance(each, AsyncTasksError):
            for name, value in vars(each).items():
                setattr(each, name, _concealed(value, secrets))
            each.args = tuple(_concealed(fact, secrets) for fact in each.args)
        for link in ("__cause__", "__context__"):
            if _quotes(getattr(each, link), secrets):
                setattr(each, link, None)
        left += [each.__cause__, each.__context__]


def _concealed(fact: Any, secrets: Collection[str]) -> Any:
    if isinstance(fact, str):
        return conceal(fact, secrets)
    if isinstance(fact, Response):
        return conceal_response(fact, secrets)
    return [_concealed(each, secrets) for each in fact] if type(fact) is list else fact


def _quotes(error: BaseException | None, secrets: Collection[str]) -> bool:
    if error is None or isinstance(error, AsyncTasksError):
        return False
    try:
        facts = f"{error} {error.args!r} {getattr(error, 'doc', '')}"
    except Exception:  # noqa: BLE001 - the code of others; what it hides is not known
        return True
    return any(secret in facts for secret in secrets)
