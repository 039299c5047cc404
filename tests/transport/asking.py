"""What the tests of the transport ask, and what must not show in any error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
import pickle
import ssl
import traceback
from typing import Any

import trustme

from asynctasks.exceptions import AsyncTasksError
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.transport import Transport
from tests.faults.raw_server import RawServer
from tests.timing import MS


__all__ = [
    "AUTHORITY",
    "CANARY",
    "HERE",
    "LONG",
    "MIB",
    "SHORT",
    "SIGNED",
    "chain",
    "download",
    "get",
    "hung_up",
    "post",
    "send",
    "serve_tls",
    "tell_tales",
    "trust",
]

CANARY = "canary-5f3a9c"
SHORT = 100 * MS
LONG = 5.0
MIB = 1024 * 1024

SIGNED = Headers({"apiKey": CANARY, "Authorization": f"Bearer {CANARY}"})

AUTHORITY = trustme.CA()
HERE = AUTHORITY.issue_cert("127.0.0.1")


def get(base: str, path: str = "/tasks/7") -> Request:
    """Build a request that is full of secrets."""
    return Request("GET", f"{base}{path}?token={CANARY}", SIGNED)


def post(base: str, body: Any = b"{}", **headers: str) -> Request:
    """Build another, with a body."""
    signed = Headers({**SIGNED, **headers})
    return Request("POST", f"{base}/tasks/svc?token={CANARY}", signed, body)


async def send(
    transport: Transport, request: Request, timeout: float = LONG, limit: int = MIB
) -> Response:
    """Send a request."""
    return await transport.send(request, timeout=timeout, max_bytes=limit)


async def download(
    transport: Transport, request: Request, timeout: float = LONG, idle: float = LONG
) -> tuple[Response, bytes]:
    """Send a request and stream its answer."""
    async with transport.open(request, timeout=timeout, idle=idle) as opened:
        body = b"".join([piece async for piece in opened.chunks])
        return opened.head, body


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Give the exception and all that it was caused by or came up beside."""
    seen: set[int] = set()
    left = [exc]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__cause__, each.__context__]


def tell_tales(exc: BaseException) -> list[str]:
    """Return whatever of an error can be written down and holds the canary."""
    texts = ["".join(traceback.format_exception(exc))]
    for each in chain(exc):
        texts += [repr(each), str(each), repr(each.args), repr(vars(each))]
    if isinstance(exc, AsyncTasksError):
        texts.append(pickle.dumps(exc).decode("latin-1"))
    return [text for text in texts if CANARY in text]


async def hung_up(server: RawServer) -> bool:
    """Wait until the client has closed its connections."""
    for _ in range(100):
        if not server.open:
            return True
        await asyncio.sleep(5 * MS)
    return False


def serve_tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Make a server of https of a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trust(authority: trustme.CA) -> ssl.SSLContext:
    """Trust an authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
