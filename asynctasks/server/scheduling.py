"""
An exact solver for activities on identical parallel machines.

The problem is P | r_j, d_j | Cmax: every activity runs on one machine, without
interruption, not before its release and done by its deadline, and the last end of
all (the makespan) is to be as early as possible.

The method: rules of thumb give a first schedule, windows that hold too much work
give a first bound, and bisection closes the gap between them. Each of its steps
asks :mod:`.branching` one question: *can all be done by C?*

Everything is whole numbers and nothing is random: equal inputs, equal answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from heapq import heapreplace

from attrs import field, frozen, validators

from .branching import Job, Question


__all__ = ["Activity", "Placement", "Solution", "SolveStatus", "makespan_of", "solve"]

POLL_STATES = 256
"""States between two looks at whether to stop: some milliseconds."""


class SolveStatus(StrEnum):
    """How a search ended."""

    OPTIMAL = "optimal"
    """There is a schedule, and none is shorter."""

    FEASIBLE = "feasible"
    """There is a schedule; the search was stopped before it ruled out shorter ones."""

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

    states: int
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


class Stopped(Exception):
    """The caller wants the search to end."""


def solve(
    activities: Sequence[Activity],
    machines: int,
    *,
    stop: Callable[[], bool] = bool,
    on_improvement: Callable[[int | None, int], None] | None = None,
) -> Solution:
    """
    Find a schedule with the smallest makespan, and prove that it is.

    Args:
        activities: what is to be done, at least one.
        machines: how many run side by side, at least one.
        stop: asked every few milliseconds; when it is true, the best so far is
            returned. What it raises ends the search and is passed on.
        on_improvement: called with the best makespan (None before the first) and
            the proven bound, whenever one of them got better.

    Raises:
        ValueError: there are no activities or no machines.
    """
    if not activities or machines < 1:
        what = "activity" if not activities else "machine"
        raise ValueError(f"at least one {what} is needed")
    solver = Solver(activities, machines, stop, on_improvement)
    return solver.run()


def makespan_of(placements: Sequence[Placement]) -> int:
    """Return the last end of a schedule that is not empty."""
    return max(placement.end for placement in placements)


def arrange(
    activities: Sequence[Activity], machines: int, order: Sequence[int]
) -> tuple[Placement, ...]:
    """Put activities, in this order, each on the machine that is free first."""
    free = [(0, machine) for machine in range(machines)]
    placements = {}
    for index in order:
        since, machine = free[0]
        activity = activities[index]
        placed = Placement(activity, machine, max(since, activity.release))
        heapreplace(free, (placed.end, machine))
        placements[index] = placed
    return tuple(placements[index] for index in range(len(activities)))


class Solver:
    """Bisection between a bound and the best schedule so far."""

    def __init__(
        self,
        activities: Sequence[Activity],
        machines: int,
        stop: Callable[[], bool],
        on_improvement: Callable[[int | None, int], None] | None,
    ) -> None:
        self.activities = activities
        self.machines = machines
        self.stop = stop
        self.on_improvement = on_improvement
        self.best: tuple[Placement, ...] = ()
        self.states = 0
        total = sum(activity.duration for activity in activities)
        self.bound = -(-total // machines)
        # One machine alone would be done by then.
        self.horizon = max(activity.release for activity in activities) + total

    def run(self) -> Solution:
        """Search until it is proved or stopped."""
        status = None
        try:
            self.apply_rules()
            self.raise_bound()
            self.bisect()
        except Stopped:
            status = SolveStatus.FEASIBLE if self.best else SolveStatus.UNKNOWN
        if self.best and self.bound == self.upper:
            status = SolveStatus.OPTIMAL
        return Solution(
            status or SolveStatus.INFEASIBLE, self.best, self.bound, self.states
        )

    @property
    def upper(self) -> int:
        """The first makespan that is not worth a question."""
        return makespan_of(self.best) if self.best else self.horizon + 1

    def apply_rules(self) -> None:
        """Begin with what a planner would do by hand."""
        rules: list[Callable[[Activity], int]] = [
            self.due,
            lambda activity: -activity.duration,
            lambda activity: self.due(activity) - activity.duration,
            lambda activity: activity.release,
        ]
        for rule in rules:
            self.offer(self.dispatch(rule))

    def due(self, activity: Activity) -> int:
        """Return the deadline, which everything has at the horizon."""
        deadline = activity.deadline
        return self.horizon if deadline is None else deadline

    def dispatch(self, rule: Callable[[Activity], int]) -> list[int]:
        """Order the activities: of those that may start first, by the rule."""
        free = [0] * self.machines
        left = set(range(len(self.activities)))
        order = []
        while left:
            begins = {j: max(free[0], self.activities[j].release) for j in left}
            first = min(begins.values())
            ready = [j for j in left if begins[j] == first]
            chosen = min(ready, key=lambda j: (rule(self.activities[j]), j))
            heapreplace(free, first + self.activities[chosen].duration)
            left.remove(chosen)
            order.append(chosen)
        return order

    def offer(self, order: Sequence[int]) -> None:
        """Take a schedule if it meets the deadlines and is the best so far."""
        schedule = arrange(self.activities, self.machines, order)
        met = all(item.end <= self.due(item.activity) for item in schedule)
        if met and makespan_of(schedule) < self.upper:
            self.best = schedule
            self.report()

    def raise_bound(self) -> None:
        """Raise the bound to where the windows hold all the work."""
        low, high = self.bound, self.upper
        while low < high:
            limit = (low + high) // 2
            if self.question(limit).refuted:
                low = limit + 1
            else:
                high = limit
        self.prove(low)

    def bisect(self) -> None:
        """Close the gap by questions."""
        while self.bound < self.upper:
            # Without a schedule, whether there is any comes first.
            middle = (self.bound + self.upper) // 2
            limit = middle if self.best else self.horizon
            order = self.question(limit).answer()
            if order is None:
                self.prove(limit + 1)
            else:
                self.offer(order)

    def question(self, limit: int) -> Question:
        """Ask whether all can be done by *limit*."""
        jobs = [
            Job(activity.release, activity.duration, min(self.due(activity), limit))
            for activity in self.activities
        ]
        return Question(jobs, self.machines, self.tick)

    def prove(self, bound: int) -> None:
        """Note that no schedule is shorter than that."""
        if bound > self.bound:
            self.bound = bound
            self.report()

    def report(self) -> None:
        """Tell the caller how far it is."""
        if self.on_improvement is not None:
            best = makespan_of(self.best) if self.best else None
            self.on_improvement(best, self.bound)

    def tick(self) -> None:
        """Count a state, and stop when asked to."""
        self.states += 1
        if self.states % POLL_STATES == 0 and self.stop():
            raise Stopped
