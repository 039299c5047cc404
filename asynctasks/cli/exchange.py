"""
What goes over the wire, as documents without secrets.

The form is that of the samples in ``tests/samples``: a request has method, path,
headers and body, a response status, headers and body. A body that is no JSON is
``{"text": ...}``, ``{"base64": ...}``, or ``{"bytes": how many}`` where it is read
from a file while it is sent.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
import re
from typing import Any
from urllib.parse import urlsplit

from ..exceptions import RemoteProtocolError
from ..sansio.http import SHOWN_HEADERS, Body, Request, Response, body_length
from ..sansio.secrecy import forms_of
from ..transport import Download, Transport


__all__ = ["DryRun", "Recorder", "WouldSend", "build_request_document"]

REDACTED = "redacted"

PLAIN_HEADERS = SHOWN_HEADERS | {"accept", "accept-encoding", "allow", "cache-control"}
"""Headers that are shown, the query of a link apart; of others only the name."""

SECRET_NAME = re.compile(
    r"key|token|secret|passw|credential|authorization|signature|hmac|cookie|^sig$",
    re.IGNORECASE,
)
"""Names of query parameters and JSON members whose values are secret."""

LINK = re.compile(r"(^|[?&])([^=&#?\s]+)=([^&#\s\"']*)")
"""A parameter of a link, or of a form."""


class WouldSend(Exception):
    """Raised instead of sending a request."""

    def __init__(self, request: Request) -> None:
        self.request = request


class DryRun(Transport):
    """Sends nothing: raises what would be sent."""

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Raise :class:`WouldSend`."""
        raise WouldSend(request)

    def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AbstractAsyncContextManager[Download]:
        """Raise :class:`WouldSend`."""
        raise WouldSend(request)

    async def aclose(self) -> None:
        """Do nothing."""


class Recorder(Transport):
    """Keeps what goes through another transport, without secrets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._secrets: set[str] = set()
        self._exchange: list[dict[str, Any]] = []

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Make one attempt; keep it if an answer arrives."""
        response = await self._transport.send(
            request, timeout=timeout, max_bytes=max_bytes
        )
        self._keep(request, response)
        return response

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Download]:
        """Make one attempt; keep its head."""
        async with self._transport.open(
            request, timeout=timeout, idle=idle
        ) as download:
            self._keep(request, download.head)
            yield download

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._transport.aclose()

    def _keep(self, request: Request, response: Response) -> None:
        self._secrets |= forms_of(find_secrets(request.headers), request.confidential)
        self._exchange.append(
            {
                "request": build_request_document(request),
                "response": build_response_document(response),
            }
        )

    def sample(self, source: str) -> dict[str, Any]:
        """
        Return what was kept.

        Args:
            source: says where it is from.
        """
        kept = {"source": source, "exchange": self._exchange}
        # A service may repeat the key in a place where nobody expects it.
        document: dict[str, Any] = purge(kept, self._secrets)
        return document


# --- documents ---------------------------------------------------------------


def build_request_document(request: Request) -> dict[str, Any]:
    """Show a request: its path, without the origin that names an account."""
    parts = urlsplit(request.url)
    url = parts.path + (f"?{parts.query}" if parts.query else "")
    return {
        "method": request.method,
        "url": redact_links(url),
        "headers": redact_headers(request.headers),
        "body": build_body_document(request.body),
    }


def build_response_document(response: Response) -> dict[str, Any]:
    """Show a response."""
    return {
        "status": response.status,
        "headers": redact_headers(response.headers),
        "body": build_body_document(response.body),
    }


def build_body_document(body: Body) -> Any:
    """Show a body."""
    if not isinstance(body, bytes):
        return {"bytes": body_length(body)}
    try:
        document = Response(200, body=body).json()
    except RemoteProtocolError:
        document = None
    if isinstance(document, dict | list):
        return redact_members(document)
    try:
        return {"text": redact_links(body.decode())}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


# --- secrets -----------------------------------------------------------------


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Show the values of harmless headers only."""
    return {
        name: redact_links(value) if name.lower() in PLAIN_HEADERS else REDACTED
        for name, value in headers.items()
    }


def redact_links(text: str) -> str:
    """Replace the secret values in the queries of a text."""

    def replace(found: re.Match[str]) -> str:
        mark, name, value = found.groups()
        return f"{mark}{name}={REDACTED if SECRET_NAME.search(name) else value}"

    return LINK.sub(replace, text)


def redact_members(value: Any) -> Any:
    """Replace the secret values in a JSON document."""
    if isinstance(value, dict):
        return {
            name: REDACTED
            if isinstance(member, str) and SECRET_NAME.search(name)
            else redact_members(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [redact_members(member) for member in value]
    return redact_links(value) if isinstance(value, str) else value


def find_secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """Find what signs a request."""
    for name, value in headers.items():
        if SECRET_NAME.search(name):
            yield value
            yield from value.split()[1:]  # behind the word Bearer or Basic


def purge(value: Any, secrets: set[str]) -> Any:
    """Replace secrets wherever they are in a document."""
    if isinstance(value, dict):
        return {purge(name, secrets): purge(v, secrets) for name, v in value.items()}
    if isinstance(value, list):
        return [purge(member, secrets) for member in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, REDACTED)
    return value
