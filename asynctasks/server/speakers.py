"""The asyncio shell around the halves that speak first, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
import logging

from .connection import Connection
from .live import Item, Job, Live, Storage
from ..sansio.http import Request, Response


__all__ = ["Speakers"]

LOGGER = logging.getLogger("asynctasks.server")

GRACE = 1.0
"""Seconds that jobs have to end when they are cancelled."""


class Speakers:
    """
    Runs the jobs of live halves, moves their frames and stores their items.

    Args:
        halves: all halves; those that are not live are left alone.
        storage: where items are kept; None keeps nothing.
    """

    def __init__(
        self, halves: Iterable[object], storage: Storage | None = None
    ) -> None:
        self._halves = [half for half in halves if isinstance(half, Live)]
        self._storage = storage
        self._writing = asyncio.Lock()
        self._unsaved: list[Item] = []
        self._running: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()

    def start(
        self,
        clock: Callable[[], float],
        wake: Callable[[], None],
        items: Iterable[Item],
    ) -> None:
        """Give the halves their clock, and what was stored."""
        for half in self._halves:
            half.start(clock, wake)
            if self._storage is not None:
                half.load(items)

    def connect(self, request: Request) -> Connection | Response | None:
        """Open a connection, or refuse; None where nothing is served."""
        for half in self._halves:
            connection = Connection()
            socket = half.connect(request, connection.wake)
            if isinstance(socket, Response):
                return socket
            if socket is not None:
                connection.attach(socket)
                self._connections.add(connection)
                return connection
        return None

    def disconnect(self, connection: Connection) -> None:
        """End a connection; may be called twice."""
        connection.end()
        self._connections.discard(connection)

    def advance(self, now: float) -> None:
        """Do what is due, and start what is to run in the background."""
        for half in self._halves:
            try:
                half.advance(now)
            except Exception:  # what others have to do must not suffer
                LOGGER.exception("%r could not do what is due", half)
            for job in half.take_jobs():
                self._run(job)
        if self._storage is not None:
            self._collect()
            if self._unsaved and not self._writing.locked():
                self._run(self.settle)

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        due = [half.next_wakeup() for half in self._halves]
        return min((at for at in due if at is not None), default=None)

    async def settle(self) -> None:
        """Store what changed; it is on the disk when this returns."""
        if self._storage is None:
            return
        async with self._writing:
            self._collect()
            items = list(self._unsaved)
            if items:
                # Kept until written: a full disk may have room again.
                await asyncio.to_thread(self._storage.write, items)
                del self._unsaved[: len(items)]

    async def aclose(self) -> None:
        """End connections and jobs, and store what is left."""
        for connection in list(self._connections):
            self.disconnect(connection)
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=GRACE)
        await self.settle()

    def _collect(self) -> None:
        for half in self._halves:
            self._unsaved += half.take_items()

    def _run(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(job())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOGGER.error("a job of the server failed", exc_info=task.exception())
