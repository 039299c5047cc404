"""
When an open task is looked at next.

Pure: :class:`PollPolicy` says how long to wait, :class:`Schedule` what is due; time
and dice come in as numbers.
"""

from __future__ import annotations

from bisect import bisect_right
import heapq
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

import attrs

from ..arguments import check_number


__all__ = ["Appointment", "PollPolicy", "Schedule"]

A = TypeVar("A", bound="Appointment")

PAGES = 8
"""Pages of the calendar a second."""

SPARE = 64
"""Places that do not count any more, and are no reason to tidy up."""

LONGEST = 1e9
"""Seconds of a wait at most, some thirty years: what is due then still has a page."""

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
        base, share = self.wait_exp_base, self.wait_jitter
        for name in ("wait_initial", "wait_max"):
            remedy = f"must be a number of seconds above 0, at most {LONGEST:g}"
            wait = getattr(self, name)
            check_number(name, wait, lambda wait: 0 < wait <= LONGEST, remedy)
        remedy = f"must be a number from 1 to {MAX_EXP_BASE}"
        check_number("wait_exp_base", base, lambda n: 1 <= n <= MAX_EXP_BASE, remedy)
        remedy = "is a share: a number, 0 or more, below 1"
        check_number("wait_jitter", share, lambda share: 0 <= share < 1, remedy)

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


class Appointment(Protocol):
    """What a schedule holds: it keeps its time itself, and its own memory small."""

    due: float
    """The time it is, or was last, due."""

    appointed: bool
    """Whether it is in the schedule; False before it was added."""


class Schedule(Generic[A]):
    """
    What is due when: a calendar, with at most one time for each appointment.

    A page holds what is due within an eighth of a second, as it comes. Only the page
    that is open, the earliest, is in order: an appointment costs one place in a list
    and is sorted once, among its neighbours. Moving or removing one leaves its old
    place, which is passed over later; the pages are made anew when such places are
    the majority.
    """

    def __init__(self) -> None:
        self._pages: dict[int, list[A]] = {}
        self._numbers: list[int] = []  # of the pages, a heap
        self._open = -1
        self._times: list[float] = []
        self._items: list[A] = []
        self._at = 0
        self._places = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, item: A, due: float) -> None:
        """Make *item* due at a finite time; an earlier appointment is replaced."""
        if not item.appointed:
            item.appointed = True
            self._size += 1
        elif item.due == due:
            return
        item.due = due
        self._places += 1
        number = int(due * PAGES)
        if number <= self._open:
            at = bisect_right(self._times, due, self._at)
            self._times.insert(at, due)
            self._items.insert(at, item)
        elif number in self._pages:
            self._pages[number].append(item)
        else:
            self._pages[number] = [item]
            heapq.heappush(self._numbers, number)
        if self._places > 2 * self._size + SPARE:
            self._renew()

    def remove(self, item: A) -> None:
        """Forget *item*; it need not be there."""
        if item.appointed:
            item.appointed = False
            self._size -= 1
            if not self._size:
                self._clear()

    def next_due(self) -> float | None:
        """Return the earliest time at which something is due; None if nothing is."""
        while True:
            while self._at < len(self._items):
                due = self._times[self._at]
                if _holds(self._items[self._at], due):
                    return due
                self._at += 1
                self._places -= 1
            if not self._numbers:
                return None
            self._turn()

    def pop_due(self, now: float) -> list[A]:
        """Return what is due, in order, and forget it."""
        popped: list[A] = []
        due = self.next_due()
        while due is not None and due <= now:
            start, self._at = self._at, bisect_right(self._times, now, self._at)
            for at in range(start, self._at):
                item = self._items[at]
                if _holds(item, self._times[at]):
                    item.appointed = False
                    popped.append(item)
            self._places -= self._at - start
            due = self.next_due()
        self._size -= len(popped)
        if not self._size:
            self._clear()
        elif self._at > SPARE:
            del self._items[: self._at], self._times[: self._at]
            self._at = 0
        return popped

    def soon(self, horizon: float) -> list[A]:
        """Return what will be due by a time, in order, and keep it."""
        end = bisect_right(self._times, horizon, self._at)
        found = [
            item
            for item, due in zip(
                self._items[self._at : end], self._times[self._at : end], strict=True
            )
            if _holds(item, due)
        ]
        last = int(horizon * PAGES)
        for number in sorted(n for n in self._numbers if n <= last):
            page = _in_order(self._pages[number], number)
            found += [item for item in page if item.due <= horizon]
        return found

    def _turn(self) -> None:
        """Open the next page."""
        self._open = heapq.heappop(self._numbers)
        page = self._pages.pop(self._open)
        self._items = _in_order(page, self._open)
        self._times = [item.due for item in self._items]
        self._at = 0
        self._places -= len(page) - len(self._items)

    def _clear(self) -> None:
        """Hold on to nothing."""
        self._pages, self._numbers = {}, []
        self._items, self._times = [], []
        self._at = self._places = 0

    def _renew(self) -> None:
        """Drop all places that do not count any more."""
        pages = {n: _in_order(page, n) for n, page in self._pages.items()}
        self._pages = {n: page for n, page in pages.items() if page}
        self._numbers = sorted(self._pages)
        open_page = zip(self._items[self._at :], self._times[self._at :], strict=True)
        self._items = list({item: 0 for item, due in open_page if _holds(item, due)})
        self._times = [item.due for item in self._items]
        self._at = 0
        self._places = len(self._items) + sum(map(len, self._pages.values()))


def _holds(item: Appointment, due: float) -> bool:
    """Tell whether a place in the open page is that of its appointment."""
    return item.appointed and item.due == due


def _in_order(page: list[A], number: int) -> list[A]:
    """Return those of a page whose place it is, earliest first."""
    left = [i for i in page if i.appointed and int(i.due * PAGES) == number]
    return sorted(dict.fromkeys(left), key=attrgetter("due"))
