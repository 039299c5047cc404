"""What several callers want at the same time, done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from .exceptions import fresh


__all__ = ["Once", "share"]

T = TypeVar("T")


async def share(doing: asyncio.Future[T]) -> T:
    """
    Wait for what others wait for, too.

    One who gives up does not take it from them, and each gets an error of his own.
    """
    # Unlike awaiting it, this neither cancels it nor raises its error.
    await asyncio.wait([doing])
    error = None if doing.cancelled() else doing.exception()
    if error is not None:
        raise fresh(error)
    return doing.result()


class Once(Generic[T]):
    """
    Work that is begun by the first who asks, and awaited by everybody who does.

    It is cancelled when the last of them gave up; who asks after that, or after its
    end, begins it anew. Each of them gets the same value, or an error of his own.

    Args:
        name: of its asyncio task.
    """

    __slots__ = ("_askers", "_doing", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._doing: asyncio.Task[T] | None = None
        self._askers = 0

    async def ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the work; *work* begins it if nobody has."""
        if self._doing is None:
            self._doing = asyncio.create_task(work(), name=self._name)
        doing = self._doing
        self._askers += 1
        try:
            return await share(doing)
        finally:
            self._askers -= 1
            if self._askers == 0:
                await self._end(doing)

    async def _end(self, doing: asyncio.Task[T]) -> None:
        self._doing = None
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
