"""How soon an open task is looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import random
from typing import Any

import pytest

from asynctasks.pace import LONGEST, Pace
from asynctasks.sansio.history import LearnedPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.watch import Group, Watch


POLICY = PollPolicy(wait_initial=1.0, wait_max=8.0, wait_exp_base=2.0, wait_jitter=0.5)
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


class Looker:
    """A view of one service."""

    origin = "http://service.test"
    merges = False

    def token_of(self, ref: TaskRef) -> str:
        return ref.id

    look_once: Any = None
    survey: Any = None


class Dice(random.Random):
    """Always throws the same."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


GROUP = Group(Looker(), lists=False)


def watch_of(service: str | None = "solve", since: float | None = 0.0) -> Watch:
    return Watch(TaskRef(id="t1", service=service), GROUP, since)


def ended(**facts: Any) -> TaskStatus:
    return TaskStatus(**{"state": TaskState.SUCCEEDED, **facts})


@pytest.mark.parametrize(("looks", "dice", "wait"), [(0, 0.0, 1.0), (2, 1.0, 2.0)])
def test_policy_holds_before_there_is_history(
    looks: int, dice: float, wait: float
) -> None:
    """The wait is that of the policy, for so many looks, shortened by the dice."""
    watch = watch_of()
    watch.looks = looks

    assert wait == Pace(POLICY, LearnedPolicy(), Dice(dice)).next_wait(watch, 100.0)


def test_learned_wait_is_shortened_a_little() -> None:
    """What is learned from a service's durations holds, but for a tenth of jitter."""
    waits = []
    for dice in (0.0, 1.0):
        pace = Pace(POLICY, LearnedPolicy(), Dice(dice))
        for _ in range(10):
            pace.learn_from(watch_of(), ended(), 100.0)
        waits.append(pace.next_wait(watch_of(), 0.0))
        other = pace.next_wait(watch_of("other"), 0.0)

        assert POLICY.next_wait(0, dice) == other
    longest, shortest = waits

    assert 20 <= longest <= 25 + 1e-9  # a quarter of the median at the latest
    assert 0.9 * longest == pytest.approx(shortest)


def test_no_wait_is_longer_than_an_hour() -> None:
    """Whatever was learned, and however old a task seems, it is looked at."""
    pace = Pace(POLICY, LearnedPolicy(), Dice(0.0))
    for _ in range(10):
        pace.learn_from(watch_of(), ended(), 1e8)

    assert LONGEST == pace.next_wait(watch_of(since=-1e9), 1e8)


@pytest.mark.parametrize(
    ("since", "status", "seconds"),
    [
        (0.0, ended(queue_time=1.0, run_time=2.0), 3.0),
        (0.0, ended(run_time=2.0), 50.0),
        (0.0, ended(), 50.0),
        (None, ended(created_at=CREATED, ended_at=CREATED + timedelta(seconds=9)), 9.0),
        (None, ended(created_at=CREATED), None),
        (0.0, ended(state=TaskState.CANCELLED), None),
    ],
)
def test_durations_are_reported_or_seen(
    since: float | None, status: TaskStatus, seconds: float | None
) -> None:
    """The service's own figures count, then what was seen; a cancel tells nothing."""
    pace = Pace(POLICY, LearnedPolicy())
    pace.learn_from(watch_of(since=since), status, 50.0)
    medians = [round(known.median, 6) for known in pace._histories.values()]

    assert [seconds] * (seconds is not None) == medians


def test_nothing_is_learned_unless_wanted() -> None:
    """Without a learned policy the plain one holds for ever."""
    pace = Pace(POLICY, None, Dice(0.0))
    for _ in range(100):
        pace.learn_from(watch_of(), ended(), 100.0)

    assert ({}, 1.0) == (pace._histories, pace.next_wait(watch_of(), 1.0))
