"""
Which reliable events were told lately: servers deliver them at least once.

Pure: time comes in as ``now``, in seconds on any clock that does not go back.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


__all__ = ["Key", "Repeats", "key_of"]

Key = tuple[Any, Any]
"""Partition and sequence: what identifies a reliable event of a subscription."""

REMEMBERED = 10_000
"""Events at most that are remembered."""


def key_of(body: Any) -> Key | None:
    """Return what identifies the event of a frame's body; None where nothing does."""
    if not isinstance(body, dict):
        return None
    key = body.get("partitionId"), body.get("sequenceId")
    hashable = all(isinstance(part, str | int | float) for part in key)
    return key if hashable else None


class Repeats:
    """
    Remembers events for a while.

    Args:
        window: seconds within which an event that comes again is a repeat; 0 for
            none.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        # Not a dict, whose first key takes the longer to find the more were deleted.
        self._told: OrderedDict[Key, float] = OrderedDict()
        self._acknowledged: set[Key] = set()

    def __len__(self) -> int:
        return len(self._told)

    def note(self, key: Key, now: float) -> bool:
        """Tell whether an event is a repeat; remember it if it is none."""
        told = self._told.get(key)
        if told is not None and now - told < self._window:
            return True
        self.forget(key)
        self._told[key] = now
        self._prune(now)
        return False

    def _prune(self, now: float) -> None:
        """Forget what came before the window; the oldest stand first."""
        while self._told:
            oldest = next(iter(self._told))
            lately = now - self._told[oldest] < self._window
            if lately and len(self._told) <= REMEMBERED:
                return
            self.forget(oldest)

    def forget(self, key: Key) -> None:
        """Take an event for a new one when it comes again."""
        self._told.pop(key, None)
        self._acknowledged.discard(key)

    def acknowledge(self, key: Key) -> None:
        """Remember that an event was dealt with, while the event is remembered."""
        if key in self._told:
            self._acknowledged.add(key)

    def acknowledged(self, key: Key) -> bool:
        """Tell whether an event is remembered as dealt with."""
        return key in self._acknowledged
