"""
An exact solver for activities on identical parallel machines.

The problem is P | r_j, d_j | Cmax: every activity runs on one machine, without
interruption, not before its release and done by its deadline, and the last end of
all (the makespan) is to be as early as possible.

The method is bisection of the makespan between a proven bound and the best
schedule so far. Each step asks one question, *can all be done by C?*, of a
depth-first search that always fills the machine that is free first:

* some optimal schedule continues there with an activity that starts before any
  other one could be over, so only those are tried;
* of two activities of equal duration the one with the wider window waits;
* a state whose machines are all free no earlier than those of another state with
  the same activities left is not worth a look;
* neither is one in which some window holds more work than machine time.

Everything is whole numbers and nothing is random: equal inputs, equal answers.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from heapq import heapify, heapreplace

from attrs import field, frozen, validators


__all__ = ["Activity", "Placement", "Solution", "SolveStatus", "makespan_of", "solve"]

POLL_NODES = 256
"""States between two questions whether to stop: some milliseconds."""

MEMORY_STATES = 500_000
"""States remembered for dominance; beyond, the search forgets but stays exact."""


class SolveStatus(StrEnum):
    """How a search ended."""

    OPTIMAL = "optimal"
    """There is a schedule, and none is shorter."""

    FEASIBLE = "feasible"
    """There is a schedule; the search was stopped before shorter ones were ruled out."""

    INFEASIBLE = "infeasible"
    """No schedule meets all deadlines."""

    UNKNOWN = "unknown"
    """The search was stopped before it knew."""


@frozen
class Activity:
    """One piece of work; times are whole numbers of any one unit."""

    name: str

    duration: int = field(validator=validators.ge(1))

    release: int = field(default=0, validator=validators.ge(0))
    """Not to be started before."""

    deadline: int | None = None
    """To be over by then; None is never."""


@frozen
class Placement:
    """Where and when one activity runs."""

    activity: Activity

    machine: int
    """Counted from 0."""

    start: int

    @property
    def end(self) -> int:
        """When it is over."""
        return self.start + self.activity.duration


@frozen
class Solution:
    """What a search found and proved."""

    status: SolveStatus

    placements: tuple[Placement, ...]
    """The best schedule, in the order of the activities; empty when there is none."""

    bound: int
    """No schedule has a smaller makespan."""

    nodes: int
    """States that the search looked at."""

    @property
    def makespan(self) -> int | None:
        """The last end, or None without a schedule."""
        return makespan_of(self.placements) if self.placements else None

    @property
    def gap(self) -> float | None:
        """The part of the makespan that could at most be saved: 0.0 is optimal."""
        makespan = self.makespan
        return None if makespan is None else (makespan - self.bound) / makespan


class Stopped(Exception):  # noqa: N818 - a signal, not an error
    """The caller wants the search to end."""


type_stop = Callable[[], bool]
