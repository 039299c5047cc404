"""
Batches whose tasks are submitted and watched by the workers of a Dask cluster.

::

    connect = partial(AimmsClient.cloud, "acme", app="Scheduling", api_key=read_key)

    async with Client("scheduler:8786", asynchronous=True) as cluster:
        report = await submit_on_dask(
            cluster, connect, "solve", inputs, journal="run.db", limit=2000
        )

The process that calls it coordinates: it holds the journal, and hands chunks of
intended submits and open tasks to the workers, each of which has one client. Dask runs
a task again when its worker dies, so that no Dask task is made of them: chunks are
handed over once. What a dead worker may have submitted is found out as after any lost
answer; what it watched is watched by another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from functools import partial
import math
import os
from typing import TYPE_CHECKING, Any, Protocol, Self, cast
import uuid

import attrs
from distributed import Worker, WorkerPlugin

from ..batch import BatchItem, BatchSubmitter
from ..batch_remote import Remote
from ..exceptions import (
    AsyncTasksError,
    ConnectionLost,
    PatienceExceeded,
    SubmitOutcomeUnknown,
)
from ..handle import TaskHandle
from ..report import BatchReport
from ..sansio.dialect import Prepared
from ..sansio.http import Response
from ..sansio.task import TaskRef, TaskStatus


if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client

    from ..client import TaskClient


__all__ = ["Connect", "submit_on_dask"]

GATHER = 0.005
"""Seconds in which what is to be handed over becomes one chunk."""

LOOK = 0.5
"""Seconds between two looks at who is alive."""

SILENCE = 30.0
"""Seconds after which a worker that does not answer is given up."""


class Connect(Protocol):
    """Makes a client; it is called in each worker, and must be picklable."""

    def __call__(self, *, max_rate: float) -> TaskClient:
        """Make a client whose requests a second are limited."""


async def submit_on_dask(  # noqa: PLR0913 - each is a fact of a batch
    dask_client: Client,
    connect: Connect,
    service: str,
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    journal: str | os.PathLike[str],
    resume: bool = False,
    limit: int = 500,
    chunk: int = 100,
    max_rate: float = math.inf,
    on_item: Callable[[BatchItem], object] | None = None,
    on_unknown: str = "skip",
    grace: float = 30.0,
    **terms: Any,
) -> BatchReport:
    """
    Run a service on many inputs, by way of the workers of a cluster.

    Args:
        dask_client: of the cluster; asynchronous.
        connect: makes the client of each worker, and one here. Let it read keys
            where it is called, so that they do not travel.
        service: what to run.
        inputs: read as they are needed.
        journal: the path of the file, on this machine.
        resume: go on with a journal that has items.
        limit: tasks in all that are submitted and have not ended.
        chunk: items that are handed to a worker at a time, at most.
        max_rate: requests a second of all workers together. Workers that join later
            are used when others have left, so that it holds.
        on_item: called with each item as it ends.
        on_unknown: see :class:`BatchSubmitter`.
        grace: see :class:`BatchSubmitter`.
        terms: what else :meth:`BatchSubmitter.map` takes, such as ``retry_failed``.

    Returns:
        The report of the journal, which has the results.

    When it is cancelled, workers stop; remote tasks go on unless
    ``on_cancel="cancel_remote"`` is given, and are found again with *resume*.
    """
    size = max(1, len(await dask_client.nthreads()))
    share = max_rate / (size + 1)  # one for this process
    fleet = Fleet(dask_client, partial(connect, max_rate=share), size, chunk)
    async with connect(max_rate=share) as client, fleet:
        spread = cast("TaskClient", Spread(client, fleet))
        submitter = BatchSubmitter(
            spread, journal, resume=resume, on_unknown=on_unknown, grace=grace
        )
        async with (
            submitter,
            submitter.map(service, inputs, limit=limit, **terms) as batch,
        ):
            async for item in batch:
                if on_item is not None:
                    on_item(item)
        about = f"{client.dialect.title} at {client.origin}, by way of Dask"
    return await asyncio.to_thread(BatchReport.from_journal, journal, about=about)


# --- in the worker -----------------------------------------------------------


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


# --- in the coordinator ------------------------------------------------------


@attrs.define(eq=False)
class Lease:
    """An errand under way: whose it is, and what is waited for."""

    errand: Errand
    accepted: asyncio.Future[str]
    ended: asyncio.Future[TaskStatus]
    fetched: asyncio.Future[Response]

    def receive(self, news: News) -> None:
        """Take in what a worker says."""
        if news.token:
            self.errand = attrs.evolve(self.errand, prepared=None, token=news.token)
            resolve(self.accepted, news.token)
        if news.status is not None:
            resolve(self.ended, news.status)
        if news.response is not None:
            resolve(self.fetched, news.response)
        if news.error is not None:
            self.fail(news.error)

    def fail(self, error: BaseException) -> None:
        """Let whoever waits next have an error."""
        waited = (self.accepted, self.ended, self.fetched)
        future = next((each for each in waited if not each.done()), None)
        if future is not None:
            future.set_exception(error)
            future.exception()  # it may be that nobody waits any more

    @property
    def over(self) -> bool:
        """Whether no more news will come."""
        futures = (self.accepted, self.ended, self.fetched)
        failed = any(each.done() and each.exception() for each in futures)
        return failed or self.fetched.done()


def resolve(future: asyncio.Future[Any], value: Any) -> None:
    """Give a future its value, unless nobody waits for it any more."""
    if not future.done():
        future.set_result(value)


class Fleet:
    """
    The workers, and what each of them has in hand.

    Args:
        dask_client: of the cluster.
        connect: makes the client of a worker.
        size: how many workers are used at a time.
        chunk: errands in one hand-over, at most.
    """

    def __init__(
        self,
        dask_client: Client,
        connect: Callable[[], TaskClient],
        size: int,
        chunk: int,
    ) -> None:
        self._dask = dask_client
        self._size = size
        self._chunk = chunk
        self._name = f"asynctasks-{uuid.uuid4().hex}"
        self._hands = Hands(self._name, connect)
        self._outbox: list[Lease] = []
        self._held: dict[str, dict[int, Lease]] = {}
        """Leases by the address of their worker."""

        self._lives: dict[str, str] = {}
        self._count = 0
        self._wake = asyncio.Event()
        self._asked: dict[str, bool] = {}
        """Whom we are asking for news, and whether to ask once more."""

        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._dask.register_plugin(self._hands, name=self._name)
        self._dask.subscribe_topic(self._name, self._hear)
        self._start(self._ship())
        self._start(self._watch())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._dask.unsubscribe_topic(self._name)
        await self._dask.unregister_worker_plugin(self._name)

    def lease(self, *, prepared: Prepared | None = None, token: str = "") -> Lease:
        """Have a worker submit and watch something, or watch it only."""
        loop = asyncio.get_running_loop()
        self._count += 1
        errand = Errand(self._count, prepared, token)
        lease = Lease(
            errand, loop.create_future(), loop.create_future(), loop.create_future()
        )
        if token:
            lease.accepted.set_result(token)
        self._give(lease)
        return lease

    def _give(self, lease: Lease) -> None:
        self._outbox.append(lease)
        self._wake.set()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- handing over --------------------------------------------------------

    async def _ship(self) -> None:
        """Hand what is in the outbox to the workers with the least in hand."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()
            while self._outbox and self._held:
                size = max(1, min(self._chunk, len(self._outbox) // len(self._held)))
                leases, self._outbox = self._outbox[:size], self._outbox[size:]
                address = min(self._held, key=lambda each: len(self._held[each]))
                held = {lease.errand.number: lease for lease in leases}
                self._held[address].update(held)
                self._start(self._hand_over(address, leases))

    async def _hand_over(self, address: str, leases: list[Lease]) -> None:
        errands = [lease.errand for lease in leases]
        life = await self._ask(address, take, errands)
        if life is None or self._lives.setdefault(address, life) != life:
            self._lose(address)

    async def _ask(self, address: str, what: Any, *args: Any) -> Any:
        """Call a function in a worker; None if it does not answer."""
        try:
            async with asyncio.timeout(SILENCE):
                answers = await self._dask.run(
                    what, self._name, *args, workers=[address], on_error="return"
                )
        except (OSError, KeyError, ValueError):  # TimeoutError is an OSError
            return None
        answer = answers.get(address)
        return None if isinstance(answer, Exception) else answer

    # --- hearing -------------------------------------------------------------

    def _hear(self, event: tuple[float, str]) -> None:
        """Take in that a worker has news."""
        address = event[1]
        if address in self._asked:
            self._asked[address] = True
        elif address in self._held:
            self._start(self._collect(address))

    async def _collect(self, address: str) -> None:
        """Ask a worker for its news, one answer after the other."""
        self._asked[address] = True
        while self._asked[address]:
            self._asked[address] = False
            for news in await self._ask(address, tell) or ():
                self._receive(self._held.get(address, {}), news)
        del self._asked[address]

    @staticmethod
    def _receive(held: dict[int, Lease], news: News) -> None:
        lease = held.get(news.number)
        if lease is not None:
            lease.receive(news)
            if lease.over:
                del held[news.number]

    # --- life and death ------------------------------------------------------

    async def _watch(self) -> None:
        """Know who is alive, and ask for news that may have been missed."""
        while True:
            alive: Mapping[str, int] = await self._dask.nthreads()
            for address in [each for each in self._held if each not in alive]:
                self._lose(address)
            for address in alive:
                if len(self._held) < self._size and address not in self._held:
                    self._held[address] = {}
                    self._wake.set()
            for address, held in self._held.items():
                if held:
                    self._hear((0.0, address))
            await asyncio.sleep(LOOK)

    def _lose(self, address: str) -> None:
        """Let others watch what a worker watched; doubt what it was submitting."""
        held = self._held.pop(address, {})
        self._lives.pop(address, None)
        for lease in held.values():
            if lease.accepted.done():
                self._give(lease)
            else:
                cause = ConnectionLost("the worker that submits it is gone", sent=True)
                lease.fail(SubmitOutcomeUnknown(cause))


# --- what a batch sees -------------------------------------------------------


class FarHandle(TaskHandle):
    """A task that a worker watches."""

    lease: Lease

    async def wait(self, *, timeout: float | None = None) -> TaskStatus:
        """Wait until a worker has seen the end; see :meth:`TaskHandle.wait`."""
        patience = self._tasks.patience if timeout is None else timeout
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(self.lease.ended)
        except TimeoutError as exc:
            if isinstance(exc, AsyncTasksError):
                raise
            raise PatienceExceeded(self.id, self.token, None, patience) from None

    async def response(self, status: TaskStatus) -> Response:
        """Return what the worker fetched."""
        return await asyncio.shield(self.lease.fetched)


class FarRemote(Remote):
    """
    The service, by way of workers; what needs one look only is asked from here.

    Args:
        near: the service as this process reaches it.
        fleet: the workers.
    """

    def __init__(self, near: Remote, fleet: Fleet) -> None:
        super().__init__(near._client, near._prepare, near._start)  # noqa: SLF001
        self._fleet = fleet

    async def start(self, prepared: Prepared) -> TaskHandle:
        """Have a worker start a task; see :meth:`Remote.start`."""
        lease = self._fleet.lease(prepared=prepared)
        token = await asyncio.shield(lease.accepted)
        return self._far(super().attach(token).ref, lease)

    def adopt(self, ref: TaskRef) -> TaskHandle:
        """Have a worker watch a task that was found."""
        token = super().adopt(ref).token
        return self._far(ref, self._fleet.lease(token=token))

    def _far(self, ref: TaskRef, lease: Lease) -> TaskHandle:
        handle = FarHandle(self._desk, ref)
        handle.lease = lease
        return handle


@attrs.frozen
class Spread:
    """A client whose batches are spread over workers."""

    client: TaskClient
    fleet: Fleet

    def _remote(self) -> Remote:
        return FarRemote(self.client._remote(), self.fleet)  # noqa: SLF001
