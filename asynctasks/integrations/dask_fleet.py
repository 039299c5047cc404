"""
The workers of a batch on Dask, as the coordinator sees them: who has what in hand.

What a worker that died was submitting is in doubt; what it watched is given to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Self
import uuid

import attrs

from .dask_worker import Errand, Hands, News, take, tell
from ..exceptions import ConnectionLost, SubmitOutcomeUnknown
from ..sansio.dialect import Prepared
from ..sansio.http import Response
from ..sansio.task import TaskStatus


if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client

    from ..client import TaskClient


__all__ = ["Fleet", "Lease"]

GATHER = 0.005
"""Seconds in which what is to be handed over becomes one chunk."""

LOOK = 0.5
"""Seconds between two looks at who is alive."""

SILENCE = 30.0
"""Seconds after which a worker that does not answer is given up."""


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
            self._asked[address] = True  # at once: more news may come before it begins
            self._start(self._collect(address))

    async def _collect(self, address: str) -> None:
        """Ask a worker for its news, one answer after the other."""
        try:
            while self._asked[address]:
                self._asked[address] = False
                for news in await self._ask(address, tell) or ():
                    self._receive(self._held.get(address, {}), news)
        finally:
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
