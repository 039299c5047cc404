"""
Plain functions in threads that nobody has to wait for.

Those of :mod:`concurrent.futures` are joined when the interpreter ends: one function
that never returns would keep the process alive for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
import threading
from typing import TypeVar


__all__ = ["run_in_thread"]

T = TypeVar("T")


async def run_in_thread(function: Callable[[], T], name: str) -> T:
    """
    Run a function in a thread of its own and return what it returns.

    Who is cancelled here stops waiting; the function goes on, and what becomes of it
    is dropped.

    Args:
        function: what blocks.
        name: the name of the thread.

    Raises:
        BaseException: what the function raised; ``StopIteration`` is a
            ``RuntimeError``, as in any coroutine.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Callable[[], T]] = loop.create_future()

    def work() -> None:
        outcome = outcome_of(function)
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know
            loop.call_soon_threadsafe(tell, ended, outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    outcome = await ended
    return outcome()


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
