"""What a client did so far, and what limits its throughput now."""

from __future__ import annotations

from collections import Counter
import enum

import attrs

from .lanes import Kind
from .options import Hub
from .sansio.task import TaskState


__all__ = ["Bottleneck", "ClientStats", "build_stats"]

BACKLOG = 8
"""Looks that are due and wait, from which on the poll budget limits."""

UNFETCHED = 8
"""Finished tasks whose result nobody has fetched, from which on you limit."""


class Bottleneck(enum.Enum):
    """What limits throughput."""

    NOTHING = "nothing"
    """There is nothing to do, or everything goes as fast as it can."""

    SUBMIT_LANE = "submit lane"
    """Submits wait for a place: the service refuses more, or ``width`` is small."""

    POLL_BUDGET = "poll budget"
    """Looks are due and wait: for ``max_rate``, or for a place in the poll lane."""

    REMOTE_QUEUE = "remote queue"
    """Most open tasks wait at the service."""

    CONSUMER = "your consumer"
    """Finished tasks or events wait for you to take them."""


@attrs.frozen(kw_only=True)
class ClientStats:
    """
    What a client did so far; the numbers at the end say why ``limited_by``.

    Counted, never sampled. Views of one client count together.
    """

    submitted: int
    """Tasks that the service accepted."""

    finished: int
    """Tasks that were seen to end."""

    fetched: int
    """Results that were fetched."""

    open: int
    """Tasks that are watched."""

    looks: int
    """Requests for the status of one task."""

    surveys: int
    """Times that a list was read instead, and looks that this saved."""

    surveyed: int
    polls_per_finished: float
    """Looks and surveys per finished task; 0.0 before the first."""

    lateness: float
    """Mean seconds by which looks began after they were due."""

    limited_by: Bottleneck

    submits_waiting: int
    """Submits that wait for a place in their lane."""

    submits_allowed: int
    """Submits that may run at the same time now."""

    looks_waiting: int
    """Looks that are due and have not begun."""

    queued: int
    """Open tasks that wait at the service, as last seen."""

    running: int
    """Open tasks that run at the service, as last seen."""

    unfetched: int
    """Tasks that were seen to end and whose result nobody has fetched."""

    events_waiting: int
    """Events that wait for a callback."""


def build_stats(hub: Hub) -> ClientStats:
    """Count what there is, and judge it."""
    done = hub.watcher.stats
    states = Counter(hub.watcher.states())
    submits, polls = hub.lanes.lanes[Kind.SUBMIT], hub.lanes.lanes[Kind.POLL]
    looked = done.looks + done.surveys
    numbers = {
        "submits_waiting": submits.waiting,
        "looks_waiting": hub.watcher.backlog + polls.waiting,
        "queued": states[TaskState.QUEUED],
        "running": states[TaskState.RUNNING],
        "unfetched": max(0, done.succeeded - hub.counts.fetched),
        "events_waiting": hub.subscriber.waiting,
    }
    return ClientStats(
        submitted=hub.counts.submitted,
        finished=done.finished,
        fetched=hub.counts.fetched,
        open=len(hub.watcher),
        looks=done.looks,
        surveys=done.surveys,
        surveyed=done.surveyed,
        polls_per_finished=looked / done.finished if done.finished else 0.0,
        lateness=done.late / done.begun if done.begun else 0.0,
        limited_by=judge(numbers),
        submits_allowed=submits.limit.limit,
        **numbers,
    )


def judge(numbers: dict[str, int]) -> Bottleneck:
    """
    Choose what limits: the first thing, from you to the service, that is in the way.

    A consumer that does not take what is finished comes first: nothing behind it can
    help. Then what this side holds back; then what waits remotely.
    """
    if numbers["events_waiting"] + numbers["unfetched"] >= UNFETCHED:
        return Bottleneck.CONSUMER
    if numbers["submits_waiting"] > 0:
        return Bottleneck.SUBMIT_LANE
    if numbers["looks_waiting"] >= BACKLOG:
        return Bottleneck.POLL_BUDGET
    if numbers["queued"] > numbers["running"]:
        return Bottleneck.REMOTE_QUEUE
    return Bottleneck.NOTHING
