"""
A proxy on loopback that makes a network bad, the same way for the same seed.

::

    async with ChaosProxy(server.url, seed=7, cut=0.1) as proxy:
        ...  # every tenth answer of proxy.url is cut off by an RST
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
import random
import socket
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


__all__ = ["ChaosProxy"]

PIECE = 16 * 1024


class ChaosProxy:
    """
    Passes TCP connections on to a server, more or less.

    What goes wrong can be changed while it runs, by its attributes. The dice of the
    n-th connection depend on the seed and on n only.

    Args:
        target: the URL of the server; may be changed when the server moves.
        seed: of the dice.
        latency: seconds by which each piece is late, each way.
        throttle: bytes a second that each way passes; None for all.
        cut: the share of pieces of answers at which the connection is reset, after
            a part of the piece.
        reset_after: bytes of an answer after which its connection is reset; None
            for never. 0 resets when an answer begins, after the request was passed.
        blackhole: take everything, pass nothing, answer nothing.
    """

    def __init__(
        self,
        target: str,
        *,
        seed: int = 0,
        latency: float = 0.0,
        throttle: float | None = None,
        cut: float = 0.0,
        reset_after: int | None = None,
        blackhole: bool = False,
    ) -> None:
        self.target = target
        self.seed = seed
        self.latency = latency
        self.throttle = throttle
        self.cut = cut
        self.reset_after = reset_after
        self._clear = asyncio.Event()
        self.blackhole = blackhole
        self.accepted = 0
        """How many connections there were."""

        self.resets: list[int] = []
        """Which of them were reset by the dice or the count, from 1."""

        self.url = ""
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.sever()

    @property
    def blackhole(self) -> bool:
        """Whether nothing passes."""
        return not self._clear.is_set()

    @blackhole.setter
    def blackhole(self, value: bool) -> None:
        if value:
            self._clear.clear()
        else:
            self._clear.set()

    async def sever(self) -> None:
        """Reset every connection that there is."""
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        dice = random.Random(f"{self.seed}/{self.accepted}")
        link = asyncio.ensure_future(self._link(reader, writer, dice, self.accepted))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        dice: random.Random,
        number: int,
    ) -> None:
        ends = [writer]
        try:
            address = urlsplit(self.target)
            far = await asyncio.open_connection(address.hostname, address.port)
            ends.append(far[1])
            ways = [
                asyncio.ensure_future(self._pass(reader, far[1], None)),
                asyncio.ensure_future(self._pass(far[0], writer, dice, number)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server is not there: the client is hung up on
        finally:
            for end in ends:
                reset(end)

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        dice: random.Random | None,
        number: int = 0,
    ) -> None:
        """Pass one way on; answers are those with dice."""
        passed = 0
        with suppress(ConnectionError):
            while piece := await source.read(PIECE):
                await self._delay(piece)
                await self._clear.wait()
                room = None if dice is None else self._room(piece, passed, dice)
                sink.write(piece[:room])
                await sink.drain()
                passed += len(piece)
                if room is not None:
                    self.resets.append(number)
                    return

    async def _delay(self, piece: bytes) -> None:
        seconds = self.latency
        if self.throttle is not None:
            seconds += len(piece) / self.throttle
        if seconds:
            await asyncio.sleep(seconds)

    def _room(self, piece: bytes, passed: int, dice: random.Random) -> int | None:
        """Return how much of a piece may pass before the reset; None for all."""
        if self.reset_after is not None and passed + len(piece) > self.reset_after:
            return max(0, self.reset_after - passed)
        return dice.randrange(len(piece)) if dice.random() < self.cut else None


def reset(writer: asyncio.StreamWriter) -> None:
    """Hang up with an RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
