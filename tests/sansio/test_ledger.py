"""The legal steps of an item, from the table and from whatever is tried."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidState
from asynctasks.sansio.ledger import (
    LEGAL,
    Entry,
    Failure,
    ItemState,
    Step,
    Timings,
    advance,
)


NEW = Entry(key="k", index=0)

FAILED = Failure("TaskFailed", "it failed")


def walk(*steps: Step, **facts: object) -> Entry:
    """Take steps one second after the other; the facts come with the last."""
    entry = NEW
    for at, step in enumerate(steps, 1):
        entry = advance(entry, step, float(at), **(facts if at == len(steps) else {}))
    return entry


def test_success_passes_all_states() -> None:
    """An item that succeeds was intended, then accepted, and knows when."""
    entry = walk(Step.INTEND, Step.ACCEPT, Step.SUCCEED, result=b"42")

    assert ItemState.SUCCEEDED is entry.state
    assert Timings(submitted=1.0, queued=2.0, fetched=3.0) == entry.timings
    assert (1, b"42") == (entry.attempts, entry.result)


def test_retry_remembers_what_was() -> None:
    """An item that is submitted again keeps the failure's kind and the task's id."""
    entry = walk(Step.INTEND, Step.ACCEPT, task_id="t1", token="{}")
    entry = advance(entry, Step.FAIL, 3.0, failure=FAILED)
    entry = advance(entry, Step.INTEND, 4.0)

    assert (2, ("TaskFailed",), ("t1",)) == (
        entry.attempts,
        entry.retries,
        entry.earlier,
    )
    assert ("", "", None) == (entry.token, entry.task_id, entry.failure)
    assert Timings(submitted=4.0) == entry.timings


def test_withdrawn_item_was_never_submitted() -> None:
    """A submit that was certainly not accepted does not count."""
    entry = walk(Step.INTEND, Step.WITHDRAW)

    assert NEW == entry


def test_candidates_are_not_taken_for_new_tasks() -> None:
    """The candidates of an unknown submit stay accounted for when it is repeated."""
    entry = walk(Step.INTEND, Step.DOUBT, failure=FAILED, candidates=("t1", "t2"))
    entry = advance(entry, Step.INTEND, 3.0)

    assert ("t1", "t2") == entry.earlier
    assert () == entry.candidates


@pytest.mark.parametrize("state", ItemState)
@pytest.mark.parametrize("step", Step)
def test_only_the_table_is_legal(state: ItemState, step: Step) -> None:
    """Every other step is refused, and the error names state, step and key."""
    entry = Entry(key="k", index=0, state=state)
    if (state, step) in LEGAL:
        assert LEGAL[state, step] is advance(entry, step, 1.0).state
    else:
        with pytest.raises(
            InvalidState, match=rf"{state.value} cannot {step.value}.*k"
        ):
            advance(entry, step, 1.0)


@given(st.lists(st.sampled_from(Step)))
def test_nothing_is_submitted_without_intent(steps: list[Step]) -> None:
    """Whatever happens: what is accepted was intended, once for each attempt."""
    entry, intents, withdrawn = NEW, 0, 0
    for step in steps:
        try:
            entry = advance(entry, step, 0.0)
        except InvalidState:
            continue
        intents += step is Step.INTEND
        withdrawn += step is Step.WITHDRAW

    assert intents - withdrawn == entry.attempts
    assert entry.attempts > 0 or entry.state in {ItemState.WAITING, ItemState.FAILED}


def test_settled_states_are_the_ends() -> None:
    """An item that is over is done, failed or unknown."""
    over = {state for state in ItemState if state.settled}

    assert {ItemState.SUCCEEDED, ItemState.FAILED, ItemState.UNKNOWN} == over
