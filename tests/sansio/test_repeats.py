"""Which reliable events were told lately."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.repeats import REMEMBERED, Repeats, key_of


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"partitionId": 3, "sequenceId": 17, "value": {}}, (3, 17)),
        ({"partitionId": "a", "sequenceId": 1.5}, ("a", 1.5)),
        ({"sequenceId": 17}, None),
        ({"partitionId": 3, "sequenceId": [17]}, None),
        ([3, 17], None),
        (None, None),
    ],
)
def test_key(body: Any, expected: Any) -> None:
    """Partition and sequence identify an event, where both are plain."""
    assert expected == key_of(body)


def test_repeats_within_the_window() -> None:
    """An event is a repeat until its window has passed; then it is new."""
    repeats = Repeats(60.0)
    noted = [repeats.note((1, 1), now) for now in (0.0, 0.0, 59.9, 60.0, 119.9)]

    assert [False, True, True, False, True] == noted


def test_without_a_window_nothing_is_a_repeat() -> None:
    """Where every delivery is told, nothing is remembered."""
    repeats = Repeats(0.0)

    assert [False, False] == [repeats.note((1, 1), 5.0), repeats.note((1, 1), 5.0)]
    assert 0 == len(repeats)


def test_memory_is_bounded() -> None:
    """Only so many events are remembered; the oldest are forgotten."""
    repeats = Repeats(60.0)
    for number in range(REMEMBERED + 1):
        repeats.note((1, number), 0.0)

    assert REMEMBERED == len(repeats)
    assert [True, False] == [repeats.note((1, 1), 0.0), repeats.note((1, 0), 0.0)]


def test_acknowledgement_is_forgotten_with_its_event() -> None:
    """An event that is new again was not dealt with yet."""
    repeats = Repeats(60.0)
    repeats.note((1, 1), 0.0)
    repeats.acknowledge((1, 1))
    repeats.acknowledge((1, 2))
    known = repeats.acknowledged((1, 1)), repeats.acknowledged((1, 2))
    repeats.forget((1, 1))

    assert ((True, False), False) == (known, repeats.acknowledged((1, 1)))
    assert not repeats.note((1, 1), 0.0)
    repeats.acknowledge((1, 1))
    assert not repeats.note((1, 1), 60.0)
    assert not repeats.acknowledged((1, 1))


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 30)), max_size=40))
def test_no_event_is_told_twice_within_the_window(events: list[Any]) -> None:
    """Whatever comes when, what is told again is as old as the window."""
    repeats = Repeats(20.0)
    now, told = 0.0, dict[int, float]()
    for number, gap in events:
        now += gap
        expected = number in told and now - told[number] < 20.0

        assert expected == repeats.note((1, number), now)
        if not expected:
            told[number] = now
