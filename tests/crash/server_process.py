"""A server in a process of its own, which tells the truth through a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
import os
import signal
import threading
from typing import Any
import uuid

from asynctasks.server.app import LocalServer
from asynctasks.server.desp.processors import register as register_processors
from asynctasks.server.services import register
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Order, SimulatedTask, Submitted


__all__ = ["KEY", "Site"]

KEY = "key"

PARALLEL = 20


class Truth(Simulator):
    """
    Says what is submitted, before it is answered; may kill whoever submits it.

    No dialect shows this: a client knows what the answers and the lists say.
    """

    def __init__(self, pipe: Connection) -> None:
        super().__init__(parallel=PARALLEL, new_id=lambda: str(uuid.uuid4()))
        self._pipe = pipe
        self._victim = 0
        self._left = 0

    def submit(self, order: Order, now: float) -> SimulatedTask:
        """Accept a task."""
        task = super().submit(order, now)
        self._pipe.send(Submitted.of(order.service, order.payload).digest)
        self._left -= 1
        if self._victim and self._left == 0:
            os.kill(self._victim, signal.SIGKILL)
            self._victim = 0
        return task

    def listen(self) -> None:
        """Take in whom to kill, and after how many submits."""
        while True:
            try:
                victim, left = self._pipe.recv()
            except EOFError:
                return
            self._victim, self._left = 0, left
            self._victim = victim


def serve(pipe: Connection, port: int) -> None:
    """Serve until killed."""
    asyncio.run(serve_forever(pipe, port))


async def serve_forever(pipe: Connection, port: int) -> None:
    """Tell the address, then what is submitted."""
    world = Truth(pipe)
    register(world)
    register_processors(world)
    threading.Thread(target=world.listen, daemon=True).start()
    async with LocalServer(world, port=port, api_key=KEY) as server:
        pipe.send(server.url)
        await asyncio.Event().wait()


class Site:
    """
    The server as a test sees it.

    Args:
        processes: makes processes.
    """

    def __init__(self, processes: ForkServerContext) -> None:
        self._processes = processes
        self.url = ""
        self.lives: list[list[str]] = []
        """What each life of the server accepted, in order."""

        self._process: BaseProcess | None = None
        self._reader: threading.Thread | None = None
        self._pipe: Any = None

    def start(self) -> None:
        """Start the server, or start it again at the same place without a memory."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._pipe, theirs = self._processes.Pipe()
        self._process = self._processes.Process(
            target=serve, args=(theirs, port), daemon=True
        )
        self._process.start()
        theirs.close()
        assert self._pipe.poll(30), "the server does not start"
        self.url = self._pipe.recv()
        life: list[str] = []
        self.lives.append(life)
        self._reader = threading.Thread(target=self._read, args=(self._pipe, life))
        self._reader.start()

    def kill(self) -> None:
        """Kill the server; what it said is all here afterwards."""
        assert self._process is not None
        assert self._reader is not None
        self._process.kill()
        self._process.join()
        self._reader.join()
        self._pipe.close()

    def kill_on_submit(self, pid: int, after: int) -> None:
        """Have a process killed at a submit, which is accepted and not answered."""
        self._pipe.send((pid, after))

    @property
    def accepted(self) -> list[str]:
        """All that was accepted, in all lives."""
        return [digest for life in self.lives for digest in life]

    @staticmethod
    def _read(pipe: Connection, life: list[str]) -> None:
        while True:
            try:
                life.append(pipe.recv())
            except (EOFError, OSError):
                return


@contextmanager
def site(processes: ForkServerContext) -> Iterator[Site]:
    """Run a server."""
    place = Site(processes)
    place.start()
    try:
        yield place
    finally:
        place.kill()
