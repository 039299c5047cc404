"""
A server on loopback that does to each connection what a script says.

A script is a coroutine that is given the :class:`Connection`; the first connection
gets the first script, and so on; the last script serves all further ones::

    async with RawServer(reset_after_request, answer(200, b"{}")) as server:
        ...  # the client's first attempt is reset, the second one answered
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
import socket
import ssl
import struct
from types import TracebackType
from typing import Self


__all__ = [
    "Connection",
    "RawServer",
    "Script",
    "answer",
    "closed_port",
    "crawl",
    "full_backlog",
    "never",
    "pieces",
    "raw",
]


class Connection:
    """One connection as its script sees it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: list[bytes],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._received = received

    async def head(self) -> bytes:
        """Read a request up to and with its empty line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """Read a request whole; a chunked body is kept as it was sent."""
        request = await self._request()
        self._received.append(request)
        return request

    async def _request(self) -> bytes:
        head = await self.head()
        lines = head.decode("latin-1").lower().split("\r\n")
        for line in lines:
            name, _, value = line.partition(":")
            if name == "content-length":
                return head + await self.reader.readexactly(int(value))
            if name == "transfer-encoding":
                return head + await self._chunked()
        return head

    async def _chunked(self) -> bytes:
        pieces = []
        while True:
            size = await self.reader.readline()
            pieces += [size, await self.reader.readexactly(int(size, 16) + 2)]
            if int(size, 16) == 0:
                return b"".join(pieces)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def closed(self) -> None:
        """Wait until the client hangs up; take what it still says."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """Hang up with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """
    Plays scripts to connections.

    Args:
        scripts: one per connection; the last serves all that follow.
        ssl_context: makes it a server of https.
    """

    def __init__(
        self, *scripts: Script, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._scripts = scripts
        self._ssl = ssl_context
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """How many connections there were."""

        self.received: list[bytes] = []
        """The requests that scripts read, byte for byte."""

        self.open = 0
        """How many connections there are."""

        self.port = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._ssl
        )
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "http" if self._ssl is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
        self.accepted += 1
        self.open += 1
        connection = Connection(reader, writer, self.received)
        task = asyncio.ensure_future(self._play(script, connection))
        self._tasks.add(task)

    async def _play(self, script: Script, connection: Connection) -> None:
        try:
            await script(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up
        finally:
            self.open -= 1
            # An orderly end may wait for a client that does not read any more.
            if connection.writer.transport.get_write_buffer_size():
                connection.writer.transport.abort()
            connection.writer.close()


# --- scripts -----------------------------------------------------------------


def answer(
    status: int = 200, body: bytes = b"", *headers: str, keep: bool = False
) -> Script:
    """Answer the request as a server should; with *keep*, more than one."""
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{header}\r\n" for header in headers)
    head += "" if keep else "Connection: close\r\n"

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(head.encode() + b"\r\n" + body)
            if not keep:
                return

    return script


def raw(data: bytes, *, reset: bool = False, hang: bool = False) -> Script:
    """Read the request, send these bytes; then hang up, by RST or not, or wait."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)
        if hang:
            await connection.closed()
        if reset:
            connection.reset()

    return script


async def never(connection: Connection) -> None:
    """Read whatever comes and never answer."""
    await connection.closed()


def crawl(start: bytes, piece: bytes, every: float) -> Script:
    """Begin an answer, then send a piece at each interval for ever."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(start)
        while True:
            await asyncio.sleep(every)
            await connection.send(piece)

    return script


# --- ports that do not answer ------------------------------------------------


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port whose connections stall: its queue is full, nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(address)
            yield address[1]
        finally:
            for each in waiting:
                each.close()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    """Give the pieces, one after the other."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
