"""The transports that the tests of this folder run with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asynctasks.transport import AiohttpTransport


@pytest.fixture(params=["direct", "by session"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[AiohttpTransport]:
    """Give a transport that goes straight to connections, and one that does not."""
    options = {} if request.param == "direct" else {"max_redirects": 1}
    async with AiohttpTransport(options=options) as transport:
        yield transport
