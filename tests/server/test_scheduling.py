"""The exact solver, against enumeration of all orders."""

from __future__ import annotations

from itertools import pairwise, permutations
import random

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from asynctasks.server.instances import parse_instance
from asynctasks.server.scheduling import (
    Activity,
    Placement,
    Solution,
    SolveStatus,
    arrange,
    makespan_of,
    solve,
)
from asynctasks.server.services import load_instance


def draw(dice: random.Random, count: int) -> list[Activity]:
    """Throw some activities, about half of them with a deadline."""
    activities = []
    for number in range(count):
        duration, release = dice.randint(1, 7), dice.choice([0, dice.randint(0, 10)])
        latest = release + duration + dice.randint(0, 9)
        deadline = dice.choice([None, latest])
        activities.append(Activity(f"a{number}", duration, release, deadline))
    return activities


def enumerate_makespan(activities: list[Activity], machines: int) -> int | None:
    """Try all orders: some order of an optimal schedule rebuilds it."""
    makespans = [
        makespan_of(schedule)
        for order in permutations(range(len(activities)))
        if in_time(schedule := arrange(activities, machines, order))
    ]
    return min(makespans, default=None)


def in_time(schedule: tuple[Placement, ...]) -> bool:
    """Tell whether all releases and deadlines are kept."""
    return all(
        item.activity.release <= item.start
        and (item.activity.deadline is None or item.end <= item.activity.deadline)
        for item in schedule
    )


def collide(schedule: tuple[Placement, ...]) -> bool:
    """Tell whether two activities run on one machine at one time."""
    ordered = sorted(schedule, key=lambda item: (item.machine, item.start))
    return any(
        one.machine == two.machine and two.start < one.end
        for one, two in pairwise(ordered)
    )


def assert_valid(solution: Solution, activities: list[Activity], machines: int) -> None:
    """Check all that a schedule promises."""
    schedule = solution.placements

    assert [item.activity for item in schedule] == activities
    assert {item.machine for item in schedule} <= set(range(machines))
    assert in_time(schedule)
    assert not collide(schedule)


@pytest.mark.parametrize("seed", range(300))
def test_optimum_is_that_of_enumeration(seed: int) -> None:
    """Small instances get the makespan that trying everything gives."""
    dice = random.Random(seed)
    machines = dice.randint(1, 3)
    activities = draw(dice, dice.randint(1, 5))
    expected = enumerate_makespan(activities, machines)

    solution = solve(activities, machines)

    assert expected == solution.makespan
    if expected is None:
        assert SolveStatus.INFEASIBLE == solution.status
    else:
        assert (SolveStatus.OPTIMAL, expected) == (solution.status, solution.bound)
        assert_valid(solution, activities, machines)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    durations=st.lists(st.integers(1, 30), min_size=1, max_size=14),
    machines=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_larger_schedules_are_valid(
    durations: list[int], machines: int, seed: int
) -> None:
    """Whatever is found keeps the rules, and never beats its own bound."""
    dice = random.Random(seed)
    activities = [
        Activity(str(number), duration, dice.randint(0, 20))
        for number, duration in enumerate(durations)
    ]
    looks = iter([False] * 10)
    solution = solve(activities, machines, stop=lambda: next(looks, True))

    assert_valid(solution, activities, machines)
    assert (solution.gap or 0.0) >= 0.0
    assert (solution.status is SolveStatus.OPTIMAL) == (solution.gap == 0.0)


def test_packaged_instance_is_solved() -> None:
    """The packaged bakery takes some search, and its optimum is 73."""
    instance = parse_instance(load_instance())
    activities = list(instance.activities)
    steps: list[tuple[int | None, int]] = []

    solution = solve(
        activities, 3, on_improvement=lambda found, bound: steps.append((found, bound))
    )

    assert (SolveStatus.OPTIMAL, 73) == (solution.status, solution.makespan)
    assert [(80, 69), (74, 69), (74, 72), (73, 72), (73, 73)] == steps
    assert_valid(solution, activities, 3)


def test_stop_returns_the_best_so_far() -> None:
    """A search that is stopped hands back its schedule with the gap."""
    instance = parse_instance(load_instance())
    solution = solve(instance.activities, 3, stop=lambda: True)

    assert SolveStatus.FEASIBLE == solution.status
    assert (80, 69) == (solution.makespan, solution.bound)
    assert (80 - 69) / 80 == solution.gap


def hard_to_start() -> list[Activity]:
    """Make windows that no rule of thumb and no bound can settle."""
    windows = [(14, 0, 30), (13, 0, 30), (11, 0, 30), (10, 0, 30), (9, 3, 30)]
    return [Activity(f"a{n}", *window) for n, window in enumerate(windows * 3)]


def test_stop_without_a_schedule_is_unknown() -> None:
    """A search that is stopped before it found anything says so."""
    solution = solve(hard_to_start(), 6, stop=lambda: True)

    assert SolveStatus.UNKNOWN == solution.status
    assert ((), None, None) == (solution.placements, solution.makespan, solution.gap)


def test_stop_may_raise() -> None:
    """What the stop callback raises ends the search and gets out."""

    def stop() -> bool:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        solve(parse_instance(load_instance()).activities, 3, stop=stop)


def test_infeasible_is_proved() -> None:
    """Deadlines that cannot all be met are found out."""
    activities = [Activity(name, 4, 0, 7) for name in "abc"]

    assert SolveStatus.INFEASIBLE == solve(activities, 2).status


@pytest.mark.parametrize(
    ("activities", "machines", "lack"),
    [([], 1, "activity"), ([Activity("a", 1)], 0, "machine")],
)
def test_nothing_to_do_is_refused(
    activities: list[Activity], machines: int, lack: str
) -> None:
    """Without activities or machines there is no question."""
    with pytest.raises(ValueError, match=f"at least one {lack} is needed"):
        solve(activities, machines)


@pytest.mark.parametrize("times", [(0, 0), (1, -1)])
def test_impossible_times_are_refused(times: tuple[int, int]) -> None:
    """An activity takes time, and does not start before time does."""
    with pytest.raises(ValueError, match="must be >="):
        Activity("a", *times)
