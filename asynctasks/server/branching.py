"""
The question behind :mod:`.scheduling`: do all jobs fit into their windows?

The search goes depth first and always fills the machine that is free first. It
stays exact, and small, by four observations:

* some schedule, if there is any, continues there with a job that starts before
  any other one could be over, so only those are tried;
* of two jobs of equal duration, the one whose window opens and closes later waits;
* a state whose machines are all free no earlier than those of another state with
  the same jobs left is not worth a look;
* neither is one in which some window holds more work than machine time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import le

from attrs import frozen


__all__ = ["Job", "Question"]

MEMORY_STATES = 300_000
"""States kept for comparison; beyond, the search is slower but as exact."""

Free = tuple[int, ...]
"""Since when the machines are free, sorted."""


@frozen
class Job:
    """Work of some duration, to be done between release and deadline."""

    release: int
    duration: int
    deadline: int


class Question:
    """
    Can these jobs all be done in their windows?

    Args:
        jobs: at least one.
        machines: how many run side by side, at least one.
        tick: called once per state; what it raises ends the search.
    """

    def __init__(
        self, jobs: Sequence[Job], machines: int, tick: Callable[[], None]
    ) -> None:
        self.tick = tick
        self.releases = [job.release for job in jobs]
        self.durations = [job.duration for job in jobs]
        self.deadlines = [job.deadline for job in jobs]
        self.last = max(self.deadlines)
        everything = range(len(jobs))
        self.urgent = sorted(everything, key=lambda j: (self.deadlines[j], j))
        self.first = [predecessors(jobs, j) for j in everything]
        self.all = (1 << len(jobs)) - 1
        self.idle: Free = (0,) * machines
        self.seen: dict[int, list[Free]] = {}
        self.stored = 0

    @property
    def refuted(self) -> bool:
        """Whether the answer is no at first sight."""
        return self.overloaded(self.urgent, self.idle)

    def answer(self) -> list[int] | None:
        """
        Search.

        Returns:
            An order in which to put the jobs, each on the machine that is free
            first; or None: it cannot be done.
        """
        path: list[int] = []
        levels = [self.explore(self.all, self.idle)]
        while levels:
            step = next(levels[-1], None)
            if step is None:
                levels.pop()
                del path[-1:]
                continue
            job, left, free = step
            path.append(job)
            if not left:
                return path
            levels.append(self.explore(left, free))
        return None

    def explore(self, left: int, free: Free) -> Iterator[tuple[int, int, Free]]:
        """Look at one state; yield what may come next, with the states it leads to."""
        self.tick()
        jobs = [j for j in self.urgent if left >> j & 1]
        free = self.rounded(jobs, free)
        if self.overloaded(jobs, free) or self.dominated(left, free):
            return
        rest = free[1:]
        for job, end in self.candidates(jobs, left, free[0]):
            yield job, left & ~(1 << job), tuple(sorted((*rest, end)))

    def rounded(self, jobs: list[int], free: Free) -> Free:
        """Make states equal that differ only in time that nobody can use."""
        opening = min([self.releases[j] for j in jobs])
        closing = self.last - min([self.durations[j] for j in jobs])
        return tuple(
            [self.last if f > closing else max(f, opening) for f in free],
        )

    def overloaded(self, jobs: list[int], free: Free) -> bool:
        """Whether some window holds more work than machine time."""
        now, ends = free[0], {}
        for j in jobs:
            ends[j] = end = max(now, self.releases[j]) + self.durations[j]
            if end > self.deadlines[j]:
                return True
        openings = {ends[j] - self.durations[j] for j in jobs}
        return any(self.crowded(ends, free, opening) for opening in openings)

    def crowded(self, ends: dict[int, int], free: Free, opening: int) -> bool:
        """Whether the windows that close first need too much time from then on."""
        since = [max(f, opening) for f in free]
        work = 0
        for j, end in ends.items():
            if end <= opening:
                continue
            work += min(end - opening, self.durations[j])
            room, deadline = 0, self.deadlines[j]
            for f in since:
                if f < deadline:
                    room += deadline - f
            if work > room:
                return True
        return False

    def dominated(self, left: int, free: Free) -> bool:
        """Whether a state at least as good was looked at; remember this one."""
        for other in self.seen.get(left, ()):
            if all(map(le, other, free)):
                return True
        if self.stored < MEMORY_STATES:
            self.seen.setdefault(left, []).append(free)
            self.stored += 1
        return False

    def candidates(self, jobs: list[int], left: int, now: int) -> list[tuple[int, int]]:
        """List who may run next, with their ends, the urgent and long first."""
        begins = {j: max(now, self.releases[j]) for j in jobs}
        over = min([begins[j] + self.durations[j] for j in jobs])
        tried = [j for j in jobs if begins[j] < over and not self.first[j] & left]
        tried.sort(key=lambda j: (self.deadlines[j], -self.durations[j]))
        return [(j, begins[j] + self.durations[j]) for j in tried]


def predecessors(jobs: Sequence[Job], index: int) -> int:
    """Return, as bits, the jobs that may always go before the one at *index*."""
    mine, bits = jobs[index], 0
    for i, job in enumerate(jobs):
        sooner = job.release <= mine.release and job.deadline <= mine.deadline
        alike = job == mine and i >= index
        if job.duration == mine.duration and sooner and not alike:
            bits |= 1 << i
    return bits
