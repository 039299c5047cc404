"""The shell around the halves that speak first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
import threading
from typing import Any

import pytest

from asynctasks.sansio.http import Request, Response
from asynctasks.server.connection import Connection
from asynctasks.server.live import Item
from asynctasks.server.speakers import Speakers
from asynctasks.server.vantiq.service import VantiqService
from tests.server.vantiq.worlds import NOW, make_world


SOCKET = Request("GET", "/api/v1/wsock/websocket")


class Memory:
    """A storage that may be slow or full."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.full = False
        self.writes = 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Sequence[Item]:
        return self.items

    def write(self, items: Iterable[Item]) -> None:
        self.gate.wait(5.0)
        if self.full:
            raise OSError("no space left")
        self.writes += 1
        self.items += items

    def close(self) -> None:
        pass


class Stage:
    """Speakers with a Vantiq half, and one that is not live."""

    def __init__(self, storage: Memory | None = None) -> None:
        self.world = make_world()
        half = VantiqService(self.world)
        self.speakers = Speakers([object(), half], storage)
        self.speakers.start(lambda: NOW, lambda: None, [])
        self.desk = self.world.desk()


async def test_broken_half(caplog: pytest.LogCaptureFixture) -> None:
    """A half that breaks does not keep the others from what is due."""

    class Broken(VantiqService):
        def advance(self, now: float) -> None:
            raise LookupError("oops")

    world = make_world()
    speakers = Speakers([Broken(make_world()), VantiqService(world)])
    speakers.start(lambda: NOW, lambda: None, [])
    done: list[int] = []

    async def job() -> None:
        done.append(1)

    world.functions.jobs.append(job)
    speakers.advance(NOW)
    await asyncio.sleep(0)

    assert [1] == done
    assert "oops" in caplog.text


async def test_connect() -> None:
    """Connections are opened where there is a socket, and ended with the server."""
    stage = Stage()
    connection = stage.speakers.connect(SOCKET)
    other = stage.speakers.connect(SOCKET)
    assert isinstance(connection, Connection)
    assert isinstance(other, Connection)
    stage.speakers.disconnect(other)
    stage.speakers.disconnect(other)
    before = len(stage.world.sockets)
    await stage.speakers.aclose()

    assert (1, 0) == (before, len(stage.world.sockets))
    assert stage.speakers.connect(Request("GET", "/other")) is None


async def test_refused_handshake() -> None:
    """A half may refuse a handshake."""

    class Refusing(VantiqService):
        def connect(self, request: Request, wake: Any) -> Response:
            return Response(403)

    speakers = Speakers([Refusing(make_world())])

    assert Response(403) == speakers.connect(SOCKET)


async def test_jobs(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs run in the background; what fails is logged, what runs is ended."""
    stage = Stage()
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def fail() -> None:
        raise ValueError("bad job")

    async def hang() -> None:
        await asyncio.sleep(3600)

    stage.world.functions.jobs += [work, fail, hang]
    stage.speakers.advance(NOW)
    await asyncio.sleep(0)
    await stage.speakers.aclose()

    assert (["work"], 1) == (done, len(caplog.records))


async def test_wakeup() -> None:
    """The first of what is due counts."""
    stage = Stage()
    found = [stage.speakers.next_wakeup()]
    stage.world.delay_events(2.0)
    connection = stage.speakers.connect(SOCKET)
    assert isinstance(connection, Connection)
    connection.receive('{"op":"validate","object":"1234accessToken"}')
    connection.receive(
        '{"op":"subscribe","resourceName":"events","resourceId":"/topics/t"}'
    )
    stage.desk.publish("topics", "/t", 1)
    found.append(stage.speakers.next_wakeup())
    stage.speakers.advance(NOW + 2.0)
    found.append(stage.speakers.next_wakeup())
    connection.end()
    frames = [frame async for frame in connection.outgoing()]

    assert ([None, NOW + 2.0, None], 3) == (found, len(frames))


async def test_settle() -> None:
    """What changed is stored when this returns, and once."""
    memory = Memory()
    stage = Stage(memory)
    stage.desk.insert("system.topics", {"name": "/t"})
    await stage.speakers.settle()
    await stage.speakers.settle()

    assert (1, ["vantiq system.topics local"]) == (
        memory.writes,
        [item.realm for item in memory.items],
    )


async def test_advance_stores() -> None:
    """What changes between requests is stored, too, in the background."""
    memory = Memory()
    stage = Stage(memory)
    stage.speakers.advance(NOW)
    memory.gate.clear()
    stage.desk.insert("system.topics", {"name": "/t"})
    stage.speakers.advance(NOW)
    await asyncio.sleep(0)
    stage.desk.insert("system.topics", {"name": "/u"})
    stage.speakers.advance(NOW)
    memory.gate.set()
    await stage.speakers.settle()

    assert (2, 2) == (memory.writes, len(memory.items))


async def test_full_disk() -> None:
    """What could not be stored is stored later."""
    memory = Memory()
    memory.full = True
    stage = Stage(memory)
    stage.desk.insert("system.topics", {"name": "/t"})
    with pytest.raises(OSError, match="no space"):
        await stage.speakers.settle()
    memory.full = False
    await stage.speakers.aclose()

    assert 1 == len(memory.items)


async def test_nothing_to_store() -> None:
    """Without a storage nothing is stored."""
    stage = Stage()
    stage.desk.insert("system.topics", {"name": "/t"})
    await stage.speakers.settle()

    assert [] == stage.world.store.kept.take()
