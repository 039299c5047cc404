"""What every transport does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asynctasks.exceptions import ConnectError
from asynctasks.sansio.http import Request, Response
from asynctasks.transport import AiohttpTransport, Transport
from tests.transport.asking import get, tell_tales


@pytest.mark.virtual_time
async def test_sleep(transport: AiohttpTransport) -> None:
    """A transport waits on the event loop's clock."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    await transport.sleep(3600)

    assert 3600 == pytest.approx(clock() - begun)


class Deaf(Transport):
    """A transport that only sends."""

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        return Response(204)

    def open(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Have nothing to close."""


async def test_transport_without_sockets_says_so() -> None:
    """A transport that opens no WebSockets refuses, and nothing was sent."""
    async with Deaf() as transport:
        with pytest.raises(ConnectError, match="opens no WebSockets") as caught:
            await transport.connect(
                get("http://127.0.0.1"), timeout=1, heartbeat=1, max_bytes=1
            )

    assert (False, []) == (caught.value.sent, tell_tales(caught.value))
