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
        ("wait_initial", 10**400),
        ("wait_initial", True),
        ("wait_initial", "1"),
        ("wait_max", 1.1e9),
        ("wait_max", -1),
        ("wait_max", float("inf")),
        ("wait_exp_base", 0.5),
        ("wait_exp_base", float("nan")),
        ("wait_exp_base", 1001),
        ("wait_exp_base", True),
        ("wait_jitter", -0.1),
        ("wait_jitter", 1),
        ("wait_jitter", False),
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


class Item:
    """Something that is due at times, and shows its name."""

    def __init__(self, name: object) -> None:
        self.name = name
        self.due = 0.0
        self.appointed = False

    def __repr__(self) -> str:
        return f"<{self.name}>"


def names(items: list[Item]) -> list[object]:
    return [item.name for item in items]


def test_empty_schedule() -> None:
    """Nothing is due in an empty schedule."""
    schedule: Schedule[Item] = Schedule()

    assert (0, None, []) == (len(schedule), schedule.next_due(), schedule.pop_due(9e9))


@pytest.mark.parametrize("scale", [0.001, 0.1, 1.0, 1000.0])
def test_appointments_come_in_order(scale: float) -> None:
    """What is due comes earliest first, then as it was added; the rest stays."""
    schedule: Schedule[Item] = Schedule()
    items = {name: Item(name) for name in ("c", "a", "b", "a2")}
    for name, due in [("c", 3.0), ("a", 1.0), ("b", 2.0), ("a2", 1.0)]:
        schedule.add(items[name], due * scale)

    assert ["a", "a2", "b"] == names(schedule.pop_due(2.0 * scale))
    assert (3.0 * scale, 1) == (schedule.next_due(), len(schedule))
    assert (True, False) == (items["c"].appointed, items["a"].appointed)


def test_a_new_time_replaces_the_old_one() -> None:
    """An appointment counts once, at the time that was named last."""
    schedule: Schedule[Item] = Schedule()
    item = Item("a")
    for due in (1.0, 9.0, 5.0):
        schedule.add(item, due)

    assert [] == schedule.pop_due(4.0)
    assert ["a"] == names(schedule.pop_due(5.0))
    assert (0, []) == (len(schedule), schedule.pop_due(99.0))


def test_what_is_added_late_comes_in_order() -> None:
    """The page that is open takes what is due before the rest of it."""
    schedule: Schedule[Item] = Schedule()
    schedule.add(Item("last"), 10.05)
    first_due = schedule.next_due()
    for name, due in [("second", 10.01), ("first", 3.0), ("third", 10.01)]:
        schedule.add(Item(name), due)

    assert (10.05, 3.0) == (first_due, schedule.next_due())
    assert ["first", "second", "third"] == names(schedule.pop_due(10.04))


def test_what_comes_soon_stays() -> None:
    """What will be due by a time can be looked at, in order, without taking it."""
    schedule: Schedule[Item] = Schedule()
    items = [Item(number) for number in range(6)]
    for item, due in zip(items, [5.0, 0.2, 0.1, 0.7, 2.0, 0.3], strict=True):
        schedule.add(item, due)
    schedule.next_due()  # opens a page
    schedule.remove(items[5])

    assert [2, 1, 3] == names(schedule.soon(1.0))
    assert (5, []) == (len(schedule), schedule.soon(0.05))


@pytest.mark.parametrize("step", [0.001, 1.0])
def test_moving_appointments_keeps_the_calendar_small(step: float) -> None:
    """Those that are moved over and over leave a bounded number of old places."""
    schedule: Schedule[Item] = Schedule()
    items = [Item(number) for number in range(3)]
    for turn in range(10_000):
        schedule.add(items[turn % 3], turn * step)
    places = len(schedule._items) + sum(map(len, schedule._pages.values()))

    assert 3 == len(schedule)
    assert places <= 2 * 3 + 65


STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 5), st.integers(0, 60)),
    st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("pop"), st.just(0), st.integers(0, 60)),
    st.tuples(st.just("soon"), st.just(0), st.integers(0, 60)),
)


@given(st.lists(STEPS, max_size=200), st.sampled_from([0.01, 0.05, 1.0]))
def test_schedule_behaves_as_a_dictionary(
    steps: list[tuple[str, int, int]], scale: float
) -> None:
    """Whatever is done to it, it says what a dict from name to time would say."""
    schedule: Schedule[Item] = Schedule()
    items = [Item(number) for number in range(6)]
    model: dict[object, float] = {}
    for verb, key, time in steps:
        due = time * scale
        expected = {name: at for name, at in model.items() if at <= due}
        if verb == "add":
            schedule.add(items[key], due)
            model[key] = due
        elif verb == "remove":
            schedule.remove(items[key])
            model.pop(key, None)
        else:
            take = schedule.pop_due if verb == "pop" else schedule.soon
            found = take(due)

            assert sorted(expected.values()) == [item.due for item in found]
            assert expected == {item.name: item.due for item in found}
            if verb == "pop":
                model = {name: at for name, at in model.items() if at > due}
        known = {item.name for item in items if item.appointed}

        assert (set(model), len(model)) == (known, len(schedule))
        assert min(model.values(), default=None) == schedule.next_due()


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
