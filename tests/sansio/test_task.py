"""The states of a task, and what a late answer may change about them."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import attrs
from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.task import RANKS, TaskState, TaskStatus, merge_status


if TYPE_CHECKING:
    pass


QUEUED = TaskStatus(state=TaskState.QUEUED)
RUNNING = TaskStatus(state=TaskState.RUNNING)
SUCCEEDED = TaskStatus(state=TaskState.SUCCEEDED)
FAILED = TaskStatus(state=TaskState.FAILED)
UNKNOWN = TaskStatus(state=TaskState.UNKNOWN, word="levitating")

# --- states ------------------------------------------------------------------


def test_three_states_are_terminal() -> None:
    """A task is over when it succeeded, failed or was cancelled; else it is not."""
    terminal = {state for state in TaskState if state.terminal}

    assert {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED} == terminal
    assert {state.value for state in TaskState} == set(RANKS)


@pytest.mark.parametrize("state", TaskState, ids=lambda state: state.name)
def test_status_is_done_when_terminal(state: TaskState) -> None:
    """Unless it is said otherwise, a status is done when its state is terminal."""
    assert state.terminal == TaskStatus(state=state).done
    assert not TaskStatus(state=state, done=False).done


# --- merging -----------------------------------------------------------------

STATUSES = st.builds(
    TaskStatus,
    state=st.sampled_from(TaskState),
    done=st.booleans(),
    outcome_known=st.booleans(),
    cancel_requested=st.booleans(),
    generation=st.integers(0, 2),
)
ENDS = st.sampled_from([TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED])


def merge_all(*statuses: TaskStatus) -> TaskStatus:
    merged = None
    for status in statuses:
        merged = merge_status(merged, status)
    assert merged is not None
    return merged


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, RUNNING, RUNNING),
        (QUEUED, RUNNING, RUNNING),
        (RUNNING, QUEUED, RUNNING),
        (RUNNING, SUCCEEDED, SUCCEEDED),
        (SUCCEEDED, RUNNING, SUCCEEDED),
        (SUCCEEDED, FAILED, SUCCEEDED),
        (FAILED, SUCCEEDED, FAILED),
    ],
    ids=[
        "first",
        "forward",
        "late",
        "end",
        "late-after-end",
        "second-end",
        "other-second-end",
    ],
)
def test_merge(old: TaskStatus | None, new: TaskStatus, expected: TaskStatus) -> None:
    """A status only moves forward, and its first end stays."""
    assert expected == merge_status(old, new)


def test_merge_takes_the_newer_of_equals() -> None:
    """Of two answers in the same state the later one counts, with its progress."""
    half = attrs.evolve(RUNNING, progress=0.5)

    assert half == merge_status(RUNNING, half)
    assert UNKNOWN == merge_status(half, UNKNOWN)
    assert half == merge_status(UNKNOWN, half)


def test_merge_keeps_a_request_to_cancel() -> None:
    """That a cancel was asked for is not forgotten, whichever answer says it."""
    asked = attrs.evolve(RUNNING, cancel_requested=True)

    assert asked == merge_status(asked, RUNNING)
    assert asked == merge_status(RUNNING, asked)
    assert merge_status(asked, SUCCEEDED).cancel_requested
    assert merge_status(SUCCEEDED, asked) == attrs.evolve(
        SUCCEEDED, cancel_requested=True
    )


def test_merge_learns_the_outcome() -> None:
    """A service may say first that a task ended, and later how."""
    ended = attrs.evolve(SUCCEEDED, outcome_known=False)

    assert FAILED == merge_status(ended, FAILED)
    assert FAILED == merge_status(FAILED, ended)


def test_merge_waits_for_the_parts() -> None:
    """A parent in error is not done before its parts are."""
    waiting = attrs.evolve(FAILED, done=False)

    assert waiting == merge_status(RUNNING, waiting)
    assert waiting == merge_status(waiting, RUNNING)
    assert FAILED == merge_status(waiting, FAILED)
    assert FAILED == merge_status(FAILED, waiting)


def test_relaunch_starts_again() -> None:
    """A newer generation replaces what was known; an older one is forgotten."""
    again = attrs.evolve(QUEUED, generation=1)

    assert again == merge_status(SUCCEEDED, again)
    assert again == merge_status(again, SUCCEEDED)


@given(st.lists(STATUSES, min_size=1, max_size=6))
def test_end_is_never_left(statuses: list[TaskStatus]) -> None:
    """Once done, a generation stays done, in the same state once that is known."""
    merged = statuses[0]
    for status in statuses[1:]:
        before, merged = merged, merge_status(merged, status)

        assert merged.generation >= before.generation
        if merged.generation == before.generation:
            assert merged.done >= before.done
            if before.done and before.outcome_known and before.state.terminal:
                assert before.state is merged.state


@given(st.lists(STATUSES, min_size=1, max_size=5))
def test_duplicates_do_no_harm(statuses: list[TaskStatus]) -> None:
    """Hearing everything twice gives what hearing it once gives."""
    once = merge_all(*statuses)

    assert once == merge_all(*[s for s in statuses for _ in range(2)])
    assert once == merge_status(once, once)


@given(
    st.lists(st.sampled_from([QUEUED, RUNNING]), max_size=3),
    ENDS,
    st.booleans(),
)
def test_order_does_not_matter(
    before: list[TaskStatus], end: TaskState, asked: bool
) -> None:
    """The answers about one task give the same, in whatever order they arrive."""
    statuses = [*before, TaskStatus(state=end, cancel_requested=asked)]
    merged = {
        (status.state, status.done, status.cancel_requested)
        for order in permutations(statuses)
        for status in [merge_all(*order)]
    }

    assert {(end, True, asked)} == merged
