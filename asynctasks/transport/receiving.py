"""An answer as it comes: its body up to a limit, and what it then is to us."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from .failures import host_of
from ..exceptions import ProxyError, ResponseTooLarge
from ..sansio.http import ERROR_BODY, Headers, Request, Response


__all__ = ["REFUSED", "body_limit", "read_body", "respond"]

REFUSED = 400
"""Statuses from here on are refusals."""

PROXY_REFUSED = 407
"""Only a proxy says so."""


def body_limit(status: int, max_bytes: int) -> int:
    """Return how many bytes of a body are read: of a refusal at most 64 KiB."""
    return min(max_bytes, ERROR_BODY) if status >= REFUSED else max_bytes


async def read_body(content: aiohttp.StreamReader, limit: int) -> tuple[bytes, bool]:
    """Read a body up to a limit of decompressed bytes; tell whether that is all."""
    if content.is_eof():  # it came with its head
        body = content.read_nowait()
        return (body, True) if len(body) <= limit else (body[:limit], False)
    pieces: list[bytes] = []
    size = 0
    async for piece in content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return b"".join(pieces)[:limit], False
    return b"".join(pieces), True


def respond(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request: Request,
    *,
    whole: bool = True,
) -> Response:
    """
    Return an answer as a response.

    Args:
        status: of the answer.
        headers: of the answer.
        body: what was read of it.
        request: what it answers.
        whole: whether that is all of the body; of a refusal the start is enough.

    Raises:
        ResponseTooLarge: of another answer it is not.
        ProxyError: a proxy answered instead of the service.
    """
    if status == PROXY_REFUSED:
        raise ProxyError(
            f"the proxy did not connect to {host_of(request)}: it answered {status}",
            request.redacted(),
        )
    if not whole and status < REFUSED:
        raise ResponseTooLarge(len(body), request.redacted())
    now = asyncio.get_running_loop().time()
    return Response(status, Headers(headers), body, at=now)
