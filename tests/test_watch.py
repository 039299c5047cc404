"""One open task, as it was last seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from asynctasks.exceptions import ServiceBroken
from asynctasks.sansio.dialect import Known, Survey
from asynctasks.sansio.http import Response
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.watch import Group, Seen, Watch


QUEUED = TaskStatus(state=TaskState.QUEUED, word="queued")
RUNNING = TaskStatus(state=TaskState.RUNNING, word="running")
DONE = TaskStatus(state=TaskState.SUCCEEDED, word="completed")

BROKEN = ServiceBroken(Response(500))


class Looker:
    """Names tokens; nobody looks here."""

    origin = "http://service.test"
    merges = False

    def token_of(self, ref: TaskRef) -> str:
        return f"token-{ref.id}"

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        raise NotImplementedError

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        raise NotImplementedError


def watch_of(since: float | None = None) -> Watch:
    return Group(Looker(), lists=False).add(TaskRef(id="t1"), since)


def test_token_is_the_lookers() -> None:
    """The token names the task as the view does that watches it."""
    assert "token-t1" == watch_of().token


def test_age_of_a_submitted_task_is_known() -> None:
    """When it was submitted is known of own tasks only."""
    known, unknown = watch_of(7.0), watch_of()

    assert (7.0, 7.0) == (known.submitted, known.since)
    assert (None, None) == (unknown.submitted, unknown.since)


def test_version_counts_changes_only() -> None:
    """The same status twice is one change."""
    watch = watch_of()
    versions = []
    for status in (QUEUED, QUEUED, RUNNING, QUEUED, DONE, RUNNING):
        watch.offer(status)
        versions.append(watch.version)

    assert [1, 1, 2, 2, 3, 3] == versions


def test_error_ends_it_once() -> None:
    """The first error stands; a task that is over takes none."""
    watch, done = watch_of(), watch_of()
    watch.fail(BROKEN)
    watch.fail(KeyError("x"))
    done.offer(DONE)
    done.fail(BROKEN)

    assert (True, BROKEN, 1) == (watch.over, watch.error, watch.version)
    assert done.error is None
    with pytest.raises(ServiceBroken):
        watch.known()


def test_listener_that_leaves_during_a_change() -> None:
    """A listener may leave in the midst of a change; the others are still told."""
    watch, heard = watch_of(), []

    def leave(watch: Watch) -> None:
        heard.append("leave")
        watch.unlisten(leave)

    def stay(_: Watch) -> None:
        heard.append("stay")

    watch.listen(leave)
    watch.listen(stay)
    watch.offer(QUEUED)
    watch.offer(RUNNING)
    watch.unlisten(leave)

    assert ["leave", "stay", "stay"] == heard
    assert [stay] == watch.listeners


async def test_change_that_was_before_is_not_waited_for() -> None:
    """Who has an old version gets the new one at once."""
    watch = watch_of()
    watch.offer(QUEUED)

    assert 1 == await watch.change(0)


async def test_waiters_that_give_up_leave_nothing() -> None:
    """A waiter that is cancelled is no longer waited for."""
    watch = watch_of()
    waiting = [asyncio.create_task(watch.change(0)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    left = len(watch._waiters or ())
    watch.offer(DONE)
    versions = [await waiting[0], await waiting[2]]

    assert (2, [1, 1], None) == (left, versions, watch._waiters)


# --- groups ------------------------------------------------------------------


def test_group_finds_what_it_watches() -> None:
    """Tasks of one id are told apart by run and generation; what is dropped is gone."""
    group = Group(Looker(), lists=True)
    refs = [
        TaskRef(id="a"),
        TaskRef(id="a", run=1),
        TaskRef(id="a", run=2),
        TaskRef(id="b", generation=1),
    ]
    watches = [group.add(ref, None) for ref in refs]
    found = [group.find(ref) for ref in refs]
    group.drop(watches[1])

    assert watches == found
    assert [False, False, False, True] == [watch.alone for watch in watches]
    assert (None, group) == (watches[1].group, watches[2].group)
    assert [None, watches[2]] == [group.find(ref) for ref in refs[1:3]]


def test_seen_is_what_a_group_watches() -> None:
    """By id, the last status; of an id with runs, that there is something to see."""
    group = Group(Looker(), lists=True)
    plain, run = (
        group.add(TaskRef(id="a"), None),
        group.add(TaskRef(id="b", run=3), 0),
    )
    plain.offer(RUNNING)
    run.offer(RUNNING)
    seen = Seen(group)

    assert {"a": RUNNING, "b": None} == dict(seen)
    assert (True, True, False) == ("a" in seen, "b" in seen, "c" in seen)
    with pytest.raises(KeyError):
        seen["c"]

    group.drop(run)

    assert {"a": RUNNING} == dict(seen)
    assert 1 == len(seen)
