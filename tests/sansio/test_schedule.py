"""Tasks are looked at when they are due, once, and no two in step."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.schedule import PollPolicy, Schedule


SHARES = st.floats(0, 1)

# --- the policy --------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "expected"),
    [(0, 0.1), (1, 0.2), (2, 0.4), (3, 0.5), (4, 0.5), (10_000, 0.5)],
)
def test_waits_grow_to_the_maximum(looks: int, expected: float) -> None:
    """Each wait is longer than the one before, up to wait_max."""
    policy = PollPolicy(wait_initial=0.1, wait_exp_base=2, wait_max=0.5)

    assert expected == pytest.approx(policy.next_wait(looks, 0.0))


def test_jitter_shortens_waits() -> None:
    """The dice take away at most the share that the jitter says."""
    policy = PollPolicy(wait_initial=1.0, wait_jitter=0.25)

    assert 0.75 == pytest.approx(policy.next_wait(0, 1.0))


@given(
    initial=st.floats(1e-9, 1e9),
    most=st.floats(1e-9, 1e9),
    base=st.floats(1, 1000) | st.integers(1, 1000),
    jitter=st.floats(0, 1, exclude_max=True),
    looks=st.integers(0, 10**9),
    dice=SHARES,
)
def test_waits_stay_within_bounds(
    initial: float, most: float, base: float, jitter: float, looks: int, dice: float
) -> None:
    """No number of looks makes a wait overflow, negative or longer than wait_max."""
    policy = PollPolicy(
        wait_initial=initial, wait_max=most, wait_exp_base=base, wait_jitter=jitter
    )

    assert 0 <= policy.next_wait(looks, dice) <= most


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait_initial", 0),
        ("wait_initial", float("nan")),
        ("wait_max", -1),
        ("wait_max", float("inf")),
        ("wait_exp_base", 0.5),
        ("wait_exp_base", float("nan")),
        ("wait_exp_base", 1001),
        ("wait_jitter", -0.1),
        ("wait_jitter", 1),
        ("wait_jitter", float("nan")),
    ],
)
def test_unusable_numbers_are_refused(name: str, value: float) -> None:
    """A policy that would never or always look cannot be made."""
    numbers: dict[str, Any] = {name: value}
    with pytest.raises(InvalidArgument) as caught:
        PollPolicy(**numbers)

    assert name == caught.value.name


# --- the schedule ------------------------------------------------------------


def test_empty_schedule() -> None:
    """Nothing is due in an empty schedule."""
    schedule: Schedule[str] = Schedule()

    assert (0, None, []) == (len(schedule), schedule.next_due(), schedule.pop_due(9e9))


def test_keys_come_in_order() -> None:
    """What is due comes earliest first, then as it was added; the rest stays."""
    schedule: Schedule[str] = Schedule()
    for key, due in [("c", 3.0), ("a", 1.0), ("b", 2.0), ("a2", 1.0)]:
        schedule.add(key, due)

    assert ["a", "a2", "b"] == schedule.pop_due(2.0)
    assert (3.0, True, False) == (schedule.next_due(), "c" in schedule, "a" in schedule)


def test_a_new_time_replaces_the_old_one() -> None:
    """A key is due once, at the time that was named last."""
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 1.0)
    schedule.add("a", 5.0)

    assert [] == schedule.pop_due(4.0)
    assert ["a"] == schedule.pop_due(5.0)


def test_keys_need_no_order() -> None:
    """Keys that cannot be compared may be due at the same time."""
    schedule: Schedule[object] = Schedule()
    keys = [object(), object(), object()]
    for key in keys:
        schedule.add(key, 1.0)

    assert keys == schedule.pop_due(1.0)


def test_moving_keys_does_not_grow_the_heap() -> None:
    """Keys that are moved over and over leave a bounded number of old entries."""
    schedule: Schedule[int] = Schedule()
    for turn in range(10_000):
        schedule.add(turn % 3, float(turn))

    assert 3 == len(schedule)
    assert len(schedule._heap) <= 2 * 3 + 65


STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 5), st.integers(0, 20)),
    st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("pop"), st.just(0), st.integers(0, 20)),
)


@given(st.lists(STEPS, max_size=200))
def test_schedule_behaves_as_a_dictionary(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is done to it, it says what a dict from key to time would say."""
    schedule: Schedule[int] = Schedule()
    model: dict[int, float] = {}
    for verb, key, time in steps:
        if verb == "add":
            schedule.add(key, float(time))
            model.pop(key, None)  # the order of equal times is that of adding
            model[key] = float(time)
        elif verb == "remove":
            schedule.remove(key)
            model.pop(key, None)
        else:
            due = sorted((k for k in model if model[k] <= time), key=model.__getitem__)
            for each in due:
                del model[each]

            assert due == schedule.pop_due(float(time))
        expected = (set(model), len(model), min(model.values(), default=None))
        keys = {key for key in range(6) if key in schedule}

        assert expected == (keys, len(schedule), schedule.next_due())


@given(
    initial=st.floats(1e-6, 1e6),
    most=st.floats(1e-6, 1e6),
    base=st.floats(1, 1000),
    jitter=st.floats(0, 1, exclude_max=True),
    looks=st.integers(0, 200),
    dice=SHARES,
)
def test_waits_are_monotone(
    initial: float, most: float, base: float, jitter: float, looks: int, dice: float
) -> None:
    """A later wait is no shorter, by the same dice; jitter only shortens it."""
    policy = PollPolicy(
        wait_initial=initial, wait_max=most, wait_exp_base=base, wait_jitter=jitter
    )
    wait, longest = policy.next_wait(looks, dice), policy.next_wait(looks, 0.0)

    assert wait <= policy.next_wait(looks + 1, dice)
    assert longest * (1 - jitter) <= wait * (1 + 1e-9)
    assert wait <= longest
