"""The search for a feasible order of jobs."""

from __future__ import annotations

import pytest

import asynctasks.server.branching
from asynctasks.server.branching import Job, Question, predecessors


def never() -> None:
    """Do not stop the search."""


def test_order_is_found() -> None:
    """Jobs that fit into their windows get an order."""
    jobs = [Job(0, 3, 9), Job(0, 3, 3), Job(0, 3, 6)]

    assert [1, 2, 0] == Question(jobs, 1, never).answer()


def test_waiting_is_found() -> None:
    """A machine waits where only this meets all deadlines."""
    jobs = [Job(0, 5, 20), Job(1, 2, 3)]

    assert [1, 0] == Question(jobs, 1, never).answer()


def test_overload_is_refuted() -> None:
    """Windows that hold too much work need no search."""
    jobs = [Job(4, 3, 10), Job(4, 3, 10), Job(0, 1, 10), Job(5, 3, 10)]

    assert Question(jobs, 1, never).refuted


def test_short_window_is_refuted() -> None:
    """A job that is longer than its window needs no search."""
    assert Question([Job(2, 3, 4)], 2, never).refuted


def test_indivisible_jobs_are_not_refuted_but_answered() -> None:
    """Work that only fits when cut into pieces passes the windows, not the search."""
    question = Question([Job(0, 2, 3)] * 3, 2, never)

    assert (False, None) == (question.refuted, question.answer())


def test_tick_ends_the_search() -> None:
    """What the callback raises gets out."""

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Question([Job(0, 1, 1)], 1, tick).answer()


def test_full_memory_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that may remember nothing finds the same."""
    monkeypatch.setattr(asynctasks.server.branching, "MEMORY_STATES", 0)

    assert Question([Job(0, 2, 3)] * 3, 2, never).answer() is None


def test_wider_window_waits() -> None:
    """Of equal durations, the job whose window opens and closes first goes first."""
    jobs = [Job(2, 3, 9), Job(1, 3, 8), Job(1, 4, 8), Job(2, 3, 9)]

    assert [0b0010, 0, 0, 0b0011] == [predecessors(jobs, j) for j in range(4)]
