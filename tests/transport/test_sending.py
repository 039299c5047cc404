"""The body of a request on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asynctasks.files import StreamBody
from asynctasks.sansio.http import JoinedBody
from asynctasks.transport.sending import body_chunks
from tests.faults.raw_server import pieces


class Plain:
    """A source whose iterator cannot be closed."""

    length = 5
    replayable = True

    def open(self) -> AsyncIterator[bytes]:
        return self.Pieces()

    class Pieces(AsyncIterator[bytes]):
        def __init__(self) -> None:
            self._left = [b"plain"]

        async def __anext__(self) -> bytes:
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop()


async def test_pieces_of_bodies() -> None:
    """Bytes, sources and joined bodies all come piece by piece."""
    body = JoinedBody((b"a", StreamBody(pieces(b"b", b"c")), Plain(), b"d"))

    assert [b"a", b"b", b"c", b"plain", b"d"] == [
        piece async for piece in body_chunks(body)
    ]
    assert [b"a"] == [piece async for piece in body_chunks(b"a")]
