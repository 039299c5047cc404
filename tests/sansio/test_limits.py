"""Tests of the limits: rate, width, pause, budget, outage."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.limits import (
    AdaptiveLimit,
    Outage,
    Pause,
    RetryBudget,
    TokenBucket,
)


# --- TokenBucket -------------------------------------------------------------


def test_bucket_gives_its_burst_then_says_how_long_to_wait() -> None:
    """A quiet bucket gives its burst at once, then makes the next one wait."""
    bucket = TokenBucket(10, burst=2)

    assert [0.0, 0.0] == [bucket.take(5.0), bucket.take(5.0)]
    assert bucket.take(5.0) == pytest.approx(0.1)


def test_bucket_fills_up_with_time() -> None:
    """After the wait that was named there is a token."""
    bucket = TokenBucket(10, burst=1)
    bucket.take(0.0)
    wait = bucket.take(0.0)

    assert bucket.take(wait) == 0.0


def test_bucket_without_a_limit_never_waits() -> None:
    """An infinite rate gives whatever is asked."""
    bucket = TokenBucket(math.inf)

    assert [0.0] * 1000 == [bucket.take(0.0) for _ in range(1000)]


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_bucket_refuses_a_rate_that_is_none(rate: float) -> None:
    """A rate is a positive number."""
    with pytest.raises(InvalidArgument, match="max_rate"):
        TokenBucket(rate)


@given(
    st.floats(0.5, 100),
    st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_bucket_never_exceeds_its_rate(rate: float, gaps: list[float]) -> None:
    """Whatever the moments, no more is given than burst and rate allow."""
    bucket = TokenBucket(rate)
    now, given_out = 0.0, 0
    for gap in gaps:
        now += gap
        given_out += bucket.take(now) == 0.0

    assert given_out <= bucket.burst + rate * now + 1e-6


def test_bucket_survives_a_clock_that_goes_back() -> None:
    """An earlier moment brings no tokens and takes none back."""
    bucket = TokenBucket(1, burst=1)
    bucket.take(10.0)

    assert bucket.take(9.0) == pytest.approx(1.0)


# --- AdaptiveLimit -----------------------------------------------------------


def test_limit_halves_on_a_refusal_and_grows_back() -> None:
    """A refusal halves the limit; successes bring it back by one a round."""
    limit = AdaptiveLimit(64)
    limit.refused(sent_at=1.0, now=2.0)
    halved = limit.limit
    for _ in range(33):
        limit.succeeded()

    assert (32, 33) == (halved, limit.limit)


def test_limit_counts_refusals_of_one_moment_once() -> None:
    """Many refusals of requests that were under way together halve it once."""
    limit = AdaptiveLimit(64)
    for _ in range(10):
        limit.refused(sent_at=1.0, now=2.0)

    assert limit.limit == 32


def test_limit_counts_a_wave_within_one_tick_once() -> None:
    """Where the clock did not move, refusals are of one wave, too."""
    limit = AdaptiveLimit(64)
    for _ in range(10):
        limit.refused(sent_at=1.0, now=1.0)
    wave = limit.limit
    limit.refused(sent_at=1.5, now=1.5)

    assert (32, 16) == (wave, limit.limit)


@given(st.lists(st.booleans(), max_size=300))
def test_limit_stays_within_its_bounds(outcomes: list[bool]) -> None:
    """Whatever happens, at least one and at most all requests may run."""
    limit = AdaptiveLimit(8)
    for now, succeeded in enumerate(outcomes):
        if succeeded:
            limit.succeeded()
        else:
            limit.refused(sent_at=float(now), now=float(now))

        assert 1 <= limit.limit <= 8


def test_limit_refuses_to_be_none() -> None:
    """At least one request must be allowed."""
    with pytest.raises(InvalidArgument, match="width"):
        AdaptiveLimit(0)


# --- Pause -------------------------------------------------------------------


def test_pause_lasts_as_long_as_the_longest_wish() -> None:
    """A shorter wish does not shorten a pause."""
    pause = Pause()
    before = pause.left(0.0)
    pause.ask(10.0, 0.0)
    pause.ask(1.0, 0.0)

    assert (0.0, 7.0, 0.0) == (before, pause.left(3.0), pause.left(11.0))


# --- RetryBudget -------------------------------------------------------------


def test_budget_is_emptied_by_a_storm() -> None:
    """A storm of retries comes to an end; a success earns a retry back."""
    budget = RetryBudget()
    paid = 0
    while budget.spend(throttled=False):
        paid += 1
    budget.earn(RetryBudget.COST)

    assert (35, 14.0, 0.0) == (
        paid,
        budget.spend(throttled=False),
        budget.spend(throttled=False),
    )


def test_budget_gives_back_what_was_paid() -> None:
    """A service that refuses each request once makes nobody rich."""
    budget = RetryBudget(100)
    budget.spend(throttled=False)
    for _ in range(10):
        budget.earn(budget.spend(throttled=True))

    assert 86 == budget.tokens


def test_budget_never_grows_beyond_its_start() -> None:
    """Successes without retries do not pile up credit."""
    budget = RetryBudget(20)
    budget.earn()
    budget.earn(budget.spend(throttled=True))
    budget.earn()

    assert budget.tokens == 20


# --- Outage ------------------------------------------------------------------


def test_outage_lets_one_probe_through() -> None:
    """After failures in a row, one request at a time goes to see."""
    outage = Outage(after=2)
    outage.unreached(sent_at=0, now=0)
    before = outage.on
    outage.unreached(sent_at=0, now=0)

    assert (False, True) == (before, outage.on)
    assert [True, False] == [outage.admit(), outage.admit()]


def test_outage_ends_with_the_first_answer() -> None:
    """The probe that is answered opens the way for all."""
    outage = Outage(after=1)
    outage.unreached(sent_at=0, now=0)
    outage.admit()
    outage.reached()

    assert [True, True] == [outage.admit(), outage.admit()]


def test_failed_or_abandoned_probe_makes_room_for_the_next() -> None:
    """A probe that fails, or is cancelled, is followed by another."""
    outage = Outage(after=1)
    outage.unreached(sent_at=0, now=0)
    first = outage.admit()
    outage.unreached(sent_at=0, now=0)
    second = outage.admit()
    outage.abandoned(sent_at=0)

    assert (True, True, True) == (first, second, outage.admit())


def test_stragglers_are_not_the_probe() -> None:
    """Requests that were sent before the outage fail without making room."""
    outage = Outage(after=1)
    outage.unreached(sent_at=0, now=10)
    probe = outage.admit()
    outage.unreached(sent_at=1, now=11)
    outage.abandoned(sent_at=2)
    others = outage.admit()
    outage.unreached(sent_at=10, now=12)

    assert (True, False, True) == (probe, others, outage.admit())


def test_pause_knows_whether_it_was_asked_for() -> None:
    """Without a wish for a pause nobody has to look at the clock."""
    pause = Pause()
    before = pause.asked
    pause.ask(0.0, 5.0)

    assert (False, True) == (before, pause.asked)


def test_time_that_was_counted_counts_once() -> None:
    """When a clock went back, the time up to where it was brings nothing again."""
    bucket = TokenBucket(1, burst=1)
    bucket.take(10.0)
    bucket.take(9.0)

    assert bucket.take(10.0) == pytest.approx(1.0)
    assert bucket.take(11.0) == 0.0


def test_budget_is_spent_to_its_last_token() -> None:
    """A retry that costs exactly what is left can be paid, once."""
    budget = RetryBudget(RetryBudget.COST)

    assert [14.0, 0.0] == [budget.spend(throttled=False) for _ in range(2)]
    assert 0 == budget.tokens


def test_next_outage_has_a_probe_again() -> None:
    """A probe that was answered does not stand in the way of later ones."""
    outage = Outage(after=1)
    for _ in range(2):
        outage.unreached(sent_at=0, now=0)

        assert [True, False] == [outage.admit(), outage.admit()]

        outage.reached()


@given(
    st.lists(st.tuples(st.sampled_from(["take", "ask"]), st.floats(0, 60)), max_size=60)
)
def test_no_pause_ends_before_its_time(steps: list[tuple[str, float]]) -> None:
    """Whatever is asked for in whatever order, the last moment counts."""
    pause, now, until = Pause(), 0.0, 0.0
    for verb, seconds in steps:
        if verb == "ask":
            pause.ask(seconds, now)
            until = max(until, now + seconds)
        else:
            now += seconds

        assert pause.left(now) == max(0.0, until - now)


@given(
    st.lists(st.sampled_from(["retry", "throttled", "ok", "ok after"]), max_size=400)
)
def test_budget_is_never_overdrawn(steps: list[str]) -> None:
    """Retries cost what they cost, never more than there is, never less."""
    budget = RetryBudget(100)
    for step in steps:
        before = budget.tokens
        if step.startswith("ok"):
            budget.earn(budget.COST if step == "ok after" else 0.0)

            assert before <= budget.tokens <= 100
            continue
        cost = budget.THROTTLED if step == "throttled" else budget.COST
        paid = budget.spend(throttled=step == "throttled")

        assert paid == (cost if before >= cost else 0.0)
        assert budget.tokens == before - paid >= 0


class OutageMachine(RuleBasedStateMachine):
    """Requests that begin and end in whatever order, while a service comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.outage = Outage(after=3)
        self.now = 0.0
        self.running: list[tuple[float, bool]] = []
        """When each was sent, and whether it was sent as a probe."""

    @rule()
    def begin(self) -> None:
        self.now += 1
        on = self.outage.on
        if self.outage.admit():
            self.running.append((self.now, on))

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0, 100), how=st.sampled_from(["answer", "fail", "cancel"]))
    def end(self, index: int, how: str) -> None:
        self.now += 1
        sent_at, _ = self.running.pop(index % len(self.running))
        if how == "answer":
            self.outage.reached()
            # Whoever was a probe is one among many now.
            self.running = [(at, False) for at, _ in self.running]
        elif how == "fail":
            self.outage.unreached(sent_at=sent_at, now=self.now)
        else:
            self.outage.abandoned(sent_at=sent_at)

    @invariant()
    def one_probe_at_most(self) -> None:
        assert sum(probe for _, probe in self.running) <= 1

    @invariant()
    def never_stuck(self) -> None:
        # With nothing under way, somebody may go and see.
        if not self.running:
            assert self.outage.admit()
            self.outage.abandoned(sent_at=self.now)


def test_probes_of_any_outage() -> None:
    """One request at a time goes to see, and there is always one that may."""
    bounds = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(OutageMachine, settings=bounds)
