"""Tests of the schedule that is learned from durations."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.history import DurationHistory, LearnedPolicy, hazard


def lognormal(median: float, sigma: float, dice: random.Random) -> float:
    return median * math.exp(sigma * dice.gauss(0, 1))


def simulate(median: float, sigma: float, known: int) -> tuple[float, float]:
    """Return polls per task and mean relative lateness of many simulated tasks."""
    dice = random.Random(7)
    looks, lateness = [], []
    for _ in range(20):
        history = DurationHistory(LearnedPolicy())
        for _ in range(known):
            history.add(lognormal(median, sigma, dice))
        for _ in range(60):
            duration, elapsed, count = lognormal(median, sigma, dice), 0.0, 0
            while elapsed < duration:
                elapsed += history.next_wait(elapsed)
                count += 1
            looks.append(count)
            lateness.append((elapsed - duration) / duration)
    return sum(looks) / len(looks), sum(lateness) / len(lateness)


def test_schedule_polls_a_fifth_as_often_as_each_second() -> None:
    """Ten durations are enough for a fifth of the polls at a fifth of lateness."""
    polls, lateness = simulate(30, 1.0, 10)

    assert polls <= 50.1 / 5
    assert lateness <= 0.2


@pytest.mark.parametrize(("median", "known"), [(30, 10), (30, 100), (2, 10)])
def test_schedule_is_close_for_regular_services(median: float, known: int) -> None:
    """A service whose durations are alike is asked seldom and noticed soon."""
    polls, lateness = simulate(median, 0.3, known)

    assert polls <= 9
    assert lateness <= 0.1


@given(
    st.lists(st.floats(0, 1e6), min_size=5, max_size=40),
    st.floats(0, 1e7),
)
def test_wait_is_bounded_whatever_the_history(
    durations: list[float], elapsed: float
) -> None:
    """A wait is finite and positive, and does not starve a task that takes long."""
    policy = LearnedPolicy()
    history = DurationHistory(policy)
    for duration in durations:
        history.add(duration)
    wait = history.next_wait(elapsed)

    assert policy.shortest <= wait < math.inf
    if elapsed > history.median:
        assert wait <= max(policy.shortest, policy.stretch * elapsed) * (1 + 1e-9)


def test_first_look_comes_early() -> None:
    """A task that fails at once is noticed at a share of the median."""
    history = DurationHistory(LearnedPolicy())
    for _ in range(50):
        history.add(1000.0)

    assert history.next_wait(0.0) <= 251


def test_history_forgets_the_oldest() -> None:
    """Only the last durations count."""
    history = DurationHistory(LearnedPolicy(remembered=5))
    for duration in [1.0] * 5 + [100.0] * 5:
        history.add(duration)

    assert len(history) == 5
    assert history.median == pytest.approx(100.0)


def test_history_learns_from_enough() -> None:
    """A few durations are not enough; nonsense is not remembered."""
    history = DurationHistory(LearnedPolicy(least=3))
    seen = []
    for duration in (1.0, math.nan, math.inf, -1.0, 1e300, 1.1e9, 2.0, 3.0):
        history.add(duration)
        seen.append(history.learned)

    assert seen == [False] * 7 + [True]


def test_few_durations_are_trusted_less() -> None:
    """With few durations, the fitted spread is wider than with many alike."""
    few, many = DurationHistory(LearnedPolicy()), DurationHistory(LearnedPolicy())
    for duration in (20.0, 40.0):
        few.add(duration)
        for _ in range(20):
            many.add(duration)

    assert few.spread > many.spread


@pytest.mark.parametrize("z", [-8.0, -2.0, 0.0, 2.0, 5.9, 6.1, 30.0, 300.0])
def test_hazard_is_finite_and_grows(z: float) -> None:
    """The hazard of the normal distribution grows without end."""
    assert 0 <= hazard(z) < hazard(z + 0.1) < math.inf


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", 0.0),
        ("cost", 10**400),
        ("cost", True),
        ("remembered", 7.5),
        ("stretch", math.inf),
        ("first", -1.0),
        ("shortest", math.nan),
        ("least", 1),
    ],
)
def test_policy_refuses_nonsense(name: str, value: float) -> None:
    """A setting that cannot work is refused by name."""
    with pytest.raises(InvalidArgument, match=name):
        LearnedPolicy(**{name: value})


def test_spread_forgets_the_oldest_too() -> None:
    """Durations that are forgotten no longer widen the distribution."""
    history = DurationHistory(LearnedPolicy(remembered=5))
    for duration in [1.0, 1e6] * 3 + [100.0] * 5:
        history.add(duration)

    assert history.spread == pytest.approx(0.1)


@pytest.mark.parametrize("z", [6.01, 37.0, 38.0, 40.0, 55.0])
def test_hazard_where_the_tail_is_nothing(z: float) -> None:
    """Beyond what floats can tell of the tail, its limit is taken."""
    assert hazard(z) == pytest.approx(z + 1 / z, rel=1e-3)


SPREADS = st.lists(st.floats(1e-3, 1e6), min_size=5, max_size=40)


@given(SPREADS, st.floats(0, 1))
def test_no_wait_starves_a_task(durations: list[float], share: float) -> None:
    """
    Before a quarter of the median there is a look, and then no wait is long.

    It is bounded by a fixed multiple of the time since the submit, whatever the
    durations were: a misfitted distribution must not leave a task alone.
    """
    policy = LearnedPolicy()
    history = DurationHistory(policy)
    for duration in durations:
        history.add(duration)
    first = policy.first * history.median
    early = share * first * (1 - 1e-9)

    assert history.next_wait(early) <= max(policy.shortest, first - early) * (1 + 1e-9)

    for elapsed in (first, (first + history.median) / 2, 0.999 * history.median):
        wait = history.next_wait(elapsed)

        assert wait <= max(policy.shortest, 3 * elapsed)


@given(SPREADS)
def test_looks_go_on_for_ever(durations: list[float]) -> None:
    """Each look is later than the one before by no less than the shortest wait."""
    policy = LearnedPolicy()
    history = DurationHistory(policy)
    for duration in durations:
        history.add(duration)
    elapsed = 0.0
    for _ in range(60):
        wait = history.next_wait(elapsed)

        assert policy.shortest <= wait < math.inf

        elapsed += wait
