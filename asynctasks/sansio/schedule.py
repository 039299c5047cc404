"""
When an open task is looked at next.

Pure: :class:`PollPolicy` says how long to wait, :class:`Schedule` what is due; time
and dice come in as numbers.
"""

from __future__ import annotations

from collections.abc import Hashable
import heapq
from typing import Generic, TypeVar

import attrs

from ..exceptions import InvalidArgument


__all__ = ["PollPolicy", "Schedule"]

K = TypeVar("K", bound=Hashable)

MAX_EXP_BASE = 1000
"""Its 64th power is still a finite number."""


@attrs.frozen(kw_only=True)
class PollPolicy:
    """
    The seconds between two looks at a task that is not over.

    The first wait is ``wait_initial``; each further one grows by ``wait_exp_base``
    up to ``wait_max``. Every wait is shortened by a random part of ``wait_jitter``
    (a share from 0 to 1), so that many tasks do not ask in step.
    """

    wait_initial: float = 0.1
    wait_max: float = 5.0
    wait_exp_base: float = 1.5
    wait_jitter: float = 0.2

    def __attrs_post_init__(self) -> None:
        for name in ("wait_initial", "wait_max"):
            if not 0 < getattr(self, name) < float("inf"):
                remedy = "must be a finite number of seconds above 0"
                raise InvalidArgument(name, getattr(self, name), remedy)
        if not 1 <= self.wait_exp_base <= MAX_EXP_BASE:
            remedy = f"must be a number from 1 to {MAX_EXP_BASE}"
            raise InvalidArgument("wait_exp_base", self.wait_exp_base, remedy)
        if not 0 <= self.wait_jitter < 1:
            remedy = "is a share: 0 or more, below 1"
            raise InvalidArgument("wait_jitter", self.wait_jitter, remedy)

    def next_wait(self, looks: int, dice: float) -> float:
        """
        Return the seconds until the next look.

        Args:
            looks: how many looks there were since the task was submitted.
            dice: a random number from 0 to 1.
        """
        # The exponent is capped: 1.5 ** 64 is beyond every wait_max in use.
        grown = self.wait_initial * self.wait_exp_base ** min(looks, 64)
        return min(grown, self.wait_max) * (1 - dice * self.wait_jitter)


class Schedule(Generic[K]):
    """
    What is due when: a heap of times with at most one per key.

    Moving or removing a key leaves its old entry in the heap, where it is passed
    over later; the heap is rebuilt when such entries are the majority.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._current: dict[K, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, key: K) -> bool:
        return key in self._current

    def add(self, key: K, due: float) -> None:
        """Make *key* due at a time; an earlier appointment of it is replaced."""
        self._count += 1
        self._current[key] = self._count
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._current) + 64:
            self._rebuild()

    def remove(self, key: K) -> None:
        """Forget *key*; it need not be there."""
        self._current.pop(key, None)

    def next_due(self) -> float | None:
        """Return the earliest time at which something is due; None if nothing is."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[K]:
        """Return the keys that are due, in order, and forget them."""
        keys: list[K] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._is_current(entry):
                del self._current[entry[2]]
                keys.append(entry[2])
        return keys

    def _is_current(self, entry: tuple[float, int, K]) -> bool:
        return self._current.get(entry[2]) == entry[1]

    def _rebuild(self) -> None:
        self._heap = [entry for entry in self._heap if self._is_current(entry)]
        heapq.heapify(self._heap)
