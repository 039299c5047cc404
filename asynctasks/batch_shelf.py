"""What a batch counts: the items that wait to be taken, and the slots of its tasks."""

from __future__ import annotations

import asyncio
from collections import deque

from .batch_item import BatchItem


__all__ = ["Shelf", "Slots"]


class Slots:
    """
    The remote tasks that may be submitted and not yet ended.

    Args:
        limit: how many at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._semaphore = asyncio.Semaphore(limit)

    async def acquire(self) -> None:
        """Wait for a slot, in order, and take it."""
        await self._semaphore.acquire()
        self.used += 1

    def release(self) -> None:
        """Give a slot back."""
        self.used -= 1
        self._semaphore.release()


class Shelf:
    """
    Items that wait to be taken: as they end, or in the order of their index.

    Args:
        ordered: in the order of their index.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._next = 0
        self._ready: deque[BatchItem] = deque()
        self._early: dict[int, BatchItem] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._early)

    def put(self, item: BatchItem, *, last: bool = False) -> None:
        """Put an item down; *last*: it has no place in the order."""
        if not self._ordered or last:
            self._ready.append(item)
            return
        self._early[item.index] = item
        self._advance()

    def skip(self, index: int) -> None:
        """Expect no item of this index."""
        if self._ordered and index == self._next:
            self._next += 1
            self._advance()

    def flush(self) -> None:
        """Wait for no missing item any more."""
        for index in sorted(self._early):
            self._ready.append(self._early.pop(index))

    def take(self) -> BatchItem | None:
        """Take the next item, if there is one."""
        return self._ready.popleft() if self._ready else None

    def _advance(self) -> None:
        while self._next in self._early:
            self._ready.append(self._early.pop(self._next))
            self._next += 1
