"""A socket's half and the asyncio shell around it: frames in, frames out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .live import Socket


__all__ = ["Connection"]


class Connection:
    """
    One connection that is a stream of frames.

    It is made before its socket, which is told how to wake it.
    """

    def __init__(self) -> None:
        self._socket: Socket | None = None
        self._ended = False
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def is_cut(self) -> bool:
        """Whether the connection has to break, without a farewell."""
        return self._socket is not None and self._socket.cut

    def attach(self, socket: Socket) -> None:
        """Take the socket."""
        self._socket = socket

    def wake(self) -> None:
        """Look for what is to be sent; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._news.set)

    def receive(self, frame: str | bytes) -> None:
        """Take what the client sent."""
        if self._socket is not None and not self._ended:
            self._socket.receive(frame)

    async def outgoing(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent, until the connection ends."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self.is_cut:
                return
            for frame in [] if self._socket is None else self._socket.to_send():
                yield frame
            if self._ended:
                return

    def end(self) -> None:
        """End the connection; may be called twice."""
        if not self._ended and self._socket is not None:
            self._socket.lost()
        self._ended = True
        self._news.set()
