"""An answer as it comes: its body up to a limit, and what it then is to us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Self

import aiohttp

from .failures import host_of
from .unpacking import PIECE, unpacker_of
from ..exceptions import ProxyError, ResponseTooLarge
from ..sansio.http import ERROR_BODY, Headers, Request, Response


__all__ = ["REFUSED", "Incoming", "body_limit", "give_up", "read_body", "respond"]

REFUSED = 400
"""Statuses from here on are refusals."""

PROXY_REFUSED = 407
"""Only a proxy says so."""


def body_limit(status: int, max_bytes: int) -> int:
    """Return how many bytes of a body are read: of a refusal at most 64 KiB."""
    return min(max_bytes, ERROR_BODY) if status >= REFUSED else max_bytes


class Incoming:
    """
    The body of an answer on its way.

    Args:
        headers: of the answer.
        content: what aiohttp gives of the body.
        protocol: of its connection, if that is known.
        packed: whether *content* is as it travelled.
    """

    __slots__ = ("_content", "_protocol", "_unpacker")

    def __init__(
        self,
        headers: Mapping[str, str],
        content: aiohttp.StreamReader,
        protocol: aiohttp.client_proto.ResponseHandler | None,
        *,
        packed: bool = True,
    ) -> None:
        self._content = content
        self._unpacker = unpacker_of(headers) if packed else None
        self._protocol = protocol if _ends_with_connection(headers, content) else None

    @classmethod
    def nothing(cls) -> Self:
        """Return a body that has nothing in it."""
        return cls({}, aiohttp.EMPTY_PAYLOAD, None)

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Read up to a limit of unpacked bytes; tell whether that is all."""
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.pieces()) as coming:
            async for piece in coming:
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    return b"".join(pieces)[:limit], False
        return b"".join(pieces), True

    async def pieces(self) -> AsyncGenerator[bytes]:
        """
        Give the body, unpacked, piece by piece.

        Raises:
            aiohttp.ClientPayloadError: there is no more, and that was not all.
        """
        async for piece in self._content.iter_any():
            if self._unpacker is None:
                yield piece
                continue
            for unpacked in self._unpacker.feed(piece):
                yield unpacked
                if len(unpacked) == PIECE:
                    await asyncio.sleep(0)  # little that came may unpack to much
        if self._is_cut_off():
            raise aiohttp.ClientPayloadError

    def _is_cut_off(self) -> bool:
        if self._unpacker is not None and not self._unpacker.whole:
            return True
        # aiohttp takes the reset of a connection for its end.
        broken = None if self._protocol is None else self._protocol.exception()
        return isinstance(broken, OSError)


async def read_body(
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    protocol: aiohttp.client_proto.ResponseHandler | None,
    limit: int,
    *,
    packed: bool = True,
) -> tuple[bytes, bool]:
    """
    Read a body up to a limit of unpacked bytes; tell whether that is all.

    The other arguments are those of :class:`Incoming`.
    """
    plain = "Content-Length" in headers and "Content-Encoding" not in headers
    if plain and content.is_eof():  # it came with its head, as most do
        body = content.read_nowait()
        return (body, True) if len(body) <= limit else (body[:limit], False)
    return await Incoming(headers, content, protocol, packed=packed).read(limit)


def _ends_with_connection(
    headers: Mapping[str, str], content: aiohttp.StreamReader
) -> bool:
    """Tell whether nothing else says where a body ends."""
    return (
        "Content-Length" not in headers
        and content is not aiohttp.EMPTY_PAYLOAD
        and "chunked" not in headers.get("Transfer-Encoding", "").lower()
    )


def give_up(connector: aiohttp.BaseConnector | None) -> None:
    """Tell all who read a body that no more will come; aiohttp lets them wait."""
    for protocol in getattr(connector, "_acquired", ()):
        content = getattr(protocol, "_payload", None)
        if isinstance(content, aiohttp.StreamReader) and not content.is_eof():
            content.set_exception(aiohttp.ClientPayloadError())


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
