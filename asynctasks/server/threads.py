"""
Plain functions in threads that nobody has to wait for.

Those of :mod:`concurrent.futures` are joined when the interpreter ends: one function
that never returns would keep the process alive for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
import threading
from typing import TypeVar


__all__ = ["Threads"]

T = TypeVar("T")

Work = Callable[[], None]

MOMENT = 0.001
"""Seconds after which threads are looked at again that are about to end."""


class Threads:
    """As many threads as are needed; one that has nothing to do is used again."""

    def __init__(self) -> None:
        self._threads: dict[SimpleQueue[Work | None], threading.Thread] = {}
        self._idle: list[SimpleQueue[Work | None]] = []
        self._closed = False

    async def run(self, function: Callable[[], T]) -> T:
        """
        Run a function in a thread and return what it returns.

        Who is cancelled here stops waiting; the function goes on, and what becomes
        of it is dropped.

        Raises:
            BaseException: what the function raised; ``StopIteration`` is a
                ``RuntimeError``, as in any coroutine.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Callable[[], T]] = loop.create_future()
        queue = self._idle.pop() if self._idle else self._start()

        def work() -> None:
            outcome = outcome_of(function)
            self._idle.append(queue)  # before anybody can want another thread
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know
                loop.call_soon_threadsafe(tell, ended, outcome)

        queue.put(work)
        outcome = await ended
        return outcome()

    async def aclose(self, seconds: float) -> None:
        """
        Let the threads end: the idle ones now, the others when they have done.

        Args:
            seconds: how long to wait for the idle ones, which takes a moment.
        """
        self._closed = True
        ending = [self._threads[queue] for queue in self._idle]
        for queue in self._idle:
            queue.put(None)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        # Nothing tells of the end of a thread but the thread that waits for it.
        while any(each.is_alive() for each in ending) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(MOMENT)

    def _start(self) -> SimpleQueue[Work | None]:
        queue: SimpleQueue[Work | None] = SimpleQueue()
        thread = threading.Thread(target=self._serve, args=(queue,), daemon=True)
        thread.name = "asynctasks"
        self._threads[queue] = thread
        thread.start()
        return queue

    def _serve(self, queue: SimpleQueue[Work | None]) -> None:
        while (work := queue.get()) is not None:
            work()
            if self._closed:
                return


def outcome_of(function: Callable[[], T]) -> Callable[[], T]:
    """Call a function and return what does again what it did: return, or raise."""
    try:
        value = function()
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is raised again
        raised = exc
    else:
        return lambda: value

    def fail() -> T:
        raise raised

    return fail


def tell(ended: asyncio.Future[T], outcome: T) -> None:
    """Give somebody what they wait for, if they still do."""
    if not ended.done():
        ended.set_result(outcome)
