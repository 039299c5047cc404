"""How soon an open task is looked at again: by a policy, or as its service taught."""

from __future__ import annotations

import random

from .sansio.history import DurationHistory, LearnedPolicy
from .sansio.schedule import PollPolicy
from .sansio.task import TaskState, TaskStatus
from .watch import Watch


__all__ = ["LONGEST", "Pace"]

JITTER = 0.1
"""The part of a learned wait that is random, so that tasks do not ask in step."""

LONGEST = 3600.0
"""Seconds between two looks at most, whatever was learned or a service asks for."""

SERVICES = 1000
"""Services whose durations are remembered; beyond, the oldest is forgotten."""


class Pace:
    """
    Decides on waits, and remembers how long the tasks of each service took.

    Args:
        policy: the waits between looks, before a service's durations are known.
        learn: how the schedule is learned from durations; None leaves it at *policy*.
        dice: returns random numbers from 0 to 1.
    """

    def __init__(
        self,
        policy: PollPolicy,
        learn: LearnedPolicy | None,
        dice: random.Random | None = None,
    ) -> None:
        self.policy = policy
        self.learn = learn
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not secrecy
        self._histories: dict[object, DurationHistory] = {}

    def next_wait(self, watch: Watch, now: float) -> float:
        """Return the seconds until the next look; *now* is on the loop's clock."""
        history = self._histories.get(_service(watch)) if self._histories else None
        if history is None or not history.learned or watch.since is None:
            return self.policy.next_wait(watch.looks, self._dice.random())
        wait = min(LONGEST, history.next_wait(now - watch.since))
        return wait * (1 - JITTER * self._dice.random())

    def learn_from(self, watch: Watch, status: TaskStatus, now: float) -> None:
        """Remember how long a task took that ended now."""
        duration = _duration(watch, status, now)
        if self.learn is None or duration is None:
            return
        service = _service(watch)
        if service not in self._histories:
            if len(self._histories) >= SERVICES:
                del self._histories[next(iter(self._histories))]
            self._histories[service] = DurationHistory(self.learn)
        self._histories[service].add(duration)


def _service(watch: Watch) -> object:
    """Return what tasks have in common whose durations are alike."""
    ref = watch.ref
    return (watch.looker.origin, ref.app, ref.app_version, ref.service)


def _duration(watch: Watch, status: TaskStatus, now: float) -> float | None:
    """Return how long a task took: as reported, or else as seen, if it was seen."""
    if status.state is TaskState.CANCELLED:
        return None  # that tells nothing of how long it would have taken
    if status.queue_time is not None and status.run_time is not None:
        return status.queue_time + status.run_time
    if watch.submitted is not None:
        return now - watch.submitted
    if status.created_at is not None and status.ended_at is not None:
        return (status.ended_at - status.created_at).total_seconds()
    return None
