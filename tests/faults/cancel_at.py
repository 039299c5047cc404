"""Cancels a coroutine at its n-th suspension, for every n there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
import types
from typing import Any


__all__ = ["CancelAt", "sweep"]


class CancelAt:
    """
    Runs a coroutine as an asyncio task, which is cancelled at a suspension.

    It is cancelled in the very step in which it suspends: nothing of what it waits
    for can happen in between.

    Args:
        suspension: which one, from 1.
    """

    def __init__(self, suspension: int) -> None:
        self.suspension = suspension
        self.reached = 0
        """How often it suspended."""

    @property
    def cancelled(self) -> bool:
        """Whether the suspension was reached, so that it was cancelled."""
        return self.reached >= self.suspension

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end, and return or raise what comes out."""
        return await asyncio.create_task(self._wrap(coroutine))

    async def _wrap(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await self._drive(coroutine)

    @types.coroutine
    def _drive(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                awaited = coroutine.throw(error) if error else coroutine.send(None)
            except StopIteration as stop:
                return stop.value
            self._count()
            try:
                yield awaited
            except BaseException as exc:  # noqa: BLE001 - whatever it is, it is passed on
                error = exc
            else:
                error = None

    def _count(self) -> None:
        self.reached += 1
        task = asyncio.current_task()
        if self.reached == self.suspension and task is not None:
            task.cancel()


async def sweep(
    make: Callable[[], Awaitable[Coroutine[Any, Any, Any]]],
    check: Callable[[], Awaitable[None]],
) -> int:
    """
    Cancel at the first suspension, then at the second, until it runs to its end.

    Args:
        make: makes the coroutine anew; awaited before, it is never cancelled.
        check: looks, after each cancellation, at what is left.

    Returns:
        At how many suspensions it was cancelled.

    Raises:
        AssertionError: a cancellation did not come out.
    """
    suspension = 1
    while True:
        attempt = CancelAt(suspension)
        try:
            await attempt.run(await make())
        except asyncio.CancelledError:
            assert attempt.cancelled, "cancelled by somebody else"
        else:
            assert not attempt.cancelled, f"swallowed at suspension {suspension}"
            return suspension - 1
        await check()
        suspension += 1
