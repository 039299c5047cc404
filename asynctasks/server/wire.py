"""Requests and answers as aiohttp has them, and as the halves of the protocols do."""

from __future__ import annotations

import logging
import sys
from typing import Any

from aiohttp import WSCloseCode, web
from aiohttp.http_exceptions import HttpProcessingError

from .connection import Connection
from .live import Streamed
from .strangers import target_of
from ..sansio.http import Headers, Request, Response


__all__ = [
    "HttpLog",
    "asked_of",
    "drop",
    "is_handshake",
    "pour",
    "send_frames",
    "whole",
]

LOGGER = logging.getLogger("asynctasks.server")


class HttpLog(logging.LoggerAdapter[logging.Logger]):
    """Tells of requests that are no HTTP in one line, as befits others' mistakes."""

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        """Log an exception with its traceback, if it is not the client's."""
        exc = options.get("exc_info") or sys.exception()
        if isinstance(exc, HttpProcessingError | ConnectionError):
            self.info("a request could not be read: %s", type(exc).__name__)
        else:
            self.error(msg, *args, **{"exc_info": True, **options})


def is_handshake(request: web.Request) -> bool:
    """Tell whether a request wants to become a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def asked_of(request: web.Request, body: bytes) -> Request:
    """Return a request as the halves take it."""
    headers = Headers((n, text_of(value)) for n, value in request.headers.items())
    return Request(request.method, target_of(request.raw_path), headers, body)


def text_of(value: str) -> str:
    """Return the value of a header; what is not UTF-8 is read as Latin 1."""
    # aiohttp keeps such bytes as lone surrogates, which nothing else can write.
    if value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def whole(response: Response) -> web.Response:
    """Return an answer whose body is there."""
    headers = dict(response.headers)
    return web.Response(status=response.status, headers=headers, body=response.body)


async def pour(request: web.Request, response: Streamed) -> web.StreamResponse:
    """Send an answer piece by piece; if it fails midway, the connection breaks."""
    stream = web.StreamResponse(status=response.status, headers=dict(response.headers))
    await stream.prepare(request)
    try:
        async for piece in response.pieces:
            await stream.write(piece)
    except ConnectionError:  # the client went away
        return drop(request)
    except Exception:
        LOGGER.exception("a streamed answer failed")
        return drop(request)
    await stream.write_eof()
    return stream


async def send_frames(
    connection: Connection, socket: web.WebSocketResponse, request: web.Request
) -> None:
    """Send what a connection has to say, until it ends."""
    async for frame in connection.outgoing():
        await socket.send_bytes(frame)
    if connection.is_cut:
        drop(request)
    else:
        await socket.close(code=WSCloseCode.GOING_AWAY)


def drop(request: web.Request) -> web.Response:
    """Break the connection of a request; the answer goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
