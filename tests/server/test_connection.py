"""A socket's half and the shell around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asynctasks.server.connection import Connection


class Echo:
    """A socket that answers with what it got."""

    def __init__(self, connection: Connection) -> None:
        self.cut = False
        self.losses = 0
        self.frames: list[bytes] = []
        self.connection = connection
        connection.attach(self)

    def receive(self, frame: str | bytes) -> None:
        self.frames.append(frame.encode() if isinstance(frame, str) else frame)
        self.connection.wake()

    def to_send(self) -> Sequence[bytes]:
        frames, self.frames = self.frames, []
        return frames

    def lost(self) -> None:
        self.losses += 1


async def collect(connection: Connection) -> list[bytes]:
    return [frame async for frame in connection.outgoing()]


async def test_converse() -> None:
    """Frames go in and out until the end, which sends what is left."""
    connection = Connection()
    echo = Echo(connection)
    sent = asyncio.create_task(collect(connection))
    connection.receive("a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection.receive(b"b")
    connection.end()
    connection.end()
    connection.receive("late")

    assert ([b"a", b"b"], 1, False) == (await sent, echo.losses, connection.is_cut)


async def test_wake_from_thread() -> None:
    """A socket may be woken from any thread."""
    connection = Connection()
    echo = Echo(connection)
    echo.frames.append(b"x")
    await asyncio.to_thread(connection.wake)

    assert b"x" == await anext(connection.outgoing())
    connection.end()


async def test_cut() -> None:
    """A cut connection sends nothing more."""
    connection = Connection()
    echo = Echo(connection)
    connection.receive("a")
    echo.cut = True

    assert ([], True) == (await collect(connection), connection.is_cut)


async def test_without_socket() -> None:
    """A connection whose socket was refused ends, too."""
    connection = Connection()
    connection.receive("a")
    connection.end()

    assert ([], False) == (await collect(connection), connection.is_cut)
