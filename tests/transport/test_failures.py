"""What errors of aiohttp mean, and what they must not tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aioresponses import aioresponses
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    TransportError,
)
from asynctasks.sansio.http import Request
from asynctasks.transport import AiohttpTransport
from asynctasks.transport.failures import translate
from tests.transport.asking import CANARY, download, get, send, tell_tales


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ServerDisconnectedError(CANARY), ConnectionLost),
        (aiohttp.ClientOSError(104, f"for http://x/?token={CANARY}"), ConnectionLost),
        (aiohttp.ClientConnectionError(CANARY), ConnectionLost),
        (aiohttp.ClientError(CANARY), ConnectionLost),
        (aiohttp.ClientPayloadError(CANARY), ConnectionLost),
        (aiohttp.SocketTimeoutError(CANARY), AttemptTimeout),
        (aiohttp.ConnectionTimeoutError(CANARY), ConnectError),
        (aiohttp.NonHttpUrlClientError(CANARY), InvalidArgument),
        (ConnectionResetError(104, "Connection reset by peer"), ConnectionLost),
        (TimeoutError(), AttemptTimeout),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("verb", [send, download])
async def test_translations(
    transport: AiohttpTransport,
    verb: Callable[..., Awaitable[Any]],
    error: Exception,
    expected: type[AsyncTasksError],
) -> None:
    """Each error of aiohttp becomes one of ours that tells no secret of it."""
    with aioresponses() as mocked:
        mocked.get(f"http://127.0.0.1/tasks/7?token={CANARY}", exception=error)
        with pytest.raises(expected) as caught:
            await verb(transport, get("http://127.0.0.1"))

    assert [] == tell_tales(caught.value)
    if isinstance(caught.value, TransportError):
        assert "(GET http://127.0.0.1/tasks/7)" in str(caught.value)


def test_cause_is_never_an_error_of_aiohttp() -> None:
    """It would show what was asked, headers and all; errors of the system may stay."""
    asked = Request("GET", "http://127.0.0.1:1/")
    for cause in (aiohttp.ClientError(CANARY), aiohttp.ClientPayloadError(CANARY)):
        outer = aiohttp.ClientOSError(104, "broken")
        outer.__cause__ = cause

        assert translate(outer, asked, 1.0, 1.0)[1] is None

    reset = ConnectionResetError(104, "reset")

    assert translate(reset, asked, 1.0, 1.0)[1] is reset
