"""
What a batch on Dask does in a worker: errands, all with one client.

The coordinator hands errands over and asks for news; see :mod:`.dask`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast
import uuid

import attrs
from distributed import Worker, WorkerPlugin

from ..batch_remote import Remote
from ..exceptions import AsyncTasksError
from ..sansio.dialect import Prepared
from ..sansio.http import Response
from ..sansio.task import TaskStatus


if TYPE_CHECKING:
    from ..client import TaskClient


__all__ = ["Errand", "Hands", "News", "take", "tell"]


@attrs.frozen
class Errand:
    """What a worker is to do: submit and watch, or watch only."""

    number: int
    prepared: Prepared | None = None
    token: str = ""


@attrs.frozen
class News:
    """What came of an errand so far."""

    number: int
    token: str = ""
    """It was accepted; this is its task."""

    status: TaskStatus | None = None
    """It has ended."""

    response: Response | None = None
    """Its result."""

    error: BaseException | None = None
    """Why there is no more news of it."""


class Hands(WorkerPlugin):
    """
    Does errands in a worker, all with one client.

    Args:
        name: of the fleet.
        connect: makes the client.
    """

    idempotent = False

    def __init__(self, name: str, connect: Callable[[], TaskClient]) -> None:
        self.name = name
        self._connect = connect
        self._client: TaskClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: list[News] = []

    def setup(self, worker: Worker) -> None:
        """Begin; called in the worker."""
        self._worker = worker
        self.life = uuid.uuid4().hex

    async def teardown(self, worker: Worker) -> None:
        """Do no more; remote tasks go on."""
        del worker
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def take(self, errands: Iterable[Errand]) -> str:
        """Do errands; return which life of the worker does them."""
        if self._client is None:
            self._client = self._connect()
        remote = self._client._remote()  # noqa: SLF001 - made for batches
        for errand in errands:
            task = asyncio.create_task(self._do(errand, remote))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self.life

    def tell(self) -> list[News]:
        """Return the news since the last time."""
        news, self._news = self._news, []
        return news

    def _report(self, news: News) -> None:
        self._news.append(news)
        if len(self._news) == 1:
            # Small: the scheduler keeps what is said here for a while.
            self._worker.log_event(self.name, self._worker.address)

    async def _do(self, errand: Errand, remote: Remote) -> None:
        number = errand.number
        try:
            if errand.prepared is None:
                handle = remote.attach(errand.token)
            else:
                handle = await remote.start(errand.prepared)
                self._report(News(number, token=handle.token))
            status = await handle.wait()
            try:
                response = await handle.response(status)
            except AsyncTasksError as exc:
                self._report(News(number, status=status, error=exc))
            else:
                self._report(News(number, status=status, response=response))
        except Exception as exc:  # noqa: BLE001 - raised where the batch is
            self._report(News(number, error=exc))


def take(name: str, errands: list[Errand], dask_worker: Worker) -> str:
    """Hand errands to a worker; called in it."""
    return cast("Hands", dask_worker.plugins[name]).take(errands)


def tell(name: str, dask_worker: Worker) -> list[News]:
    """Ask a worker for its news; called in it."""
    return cast("Hands", dask_worker.plugins[name]).tell()
