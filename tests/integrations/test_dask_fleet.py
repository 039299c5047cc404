"""Leases of a fleet: who waits for what, whatever a worker says and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asynctasks.exceptions import ConnectionLost, TaskLost
from asynctasks.sansio.dialect import Payload, Prepared
from asynctasks.sansio.http import Response
from asynctasks.sansio.task import TaskState, TaskStatus


pytest.importorskip("distributed")

from asynctasks.integrations.dask_fleet import Fleet, Lease
from asynctasks.integrations.dask_worker import News


DONE = TaskStatus(state=TaskState.SUCCEEDED)

PREPARED = Prepared(service="s", payload=Payload())


def lease(**errand: Any) -> Lease:
    """Have something done by a fleet that has nobody yet."""
    fleet = Fleet(None, lambda: None, size=1, chunk=1)  # type: ignore[arg-type, return-value]
    return fleet.lease(**errand)


async def test_news_come_to_who_waits() -> None:
    """Token, end and result each have somebody who waits for them."""
    got = lease(prepared=PREPARED)
    over = []
    for news in (
        News(1, token="t"),
        News(1, status=DONE),
        News(1, response=Response(200)),
    ):
        got.receive(news)
        over.append(got.over)

    assert ("t", DONE, 200) == (
        await got.accepted,
        await got.ended,
        (await got.fetched).status,
    )
    assert [False, False, True] == over


async def test_accepted_errand_is_only_watched() -> None:
    """What was accepted is never submitted again, by whichever worker."""
    got = lease(prepared=PREPARED)
    got.receive(News(1, token="t"))

    assert (None, "t") == (got.errand.prepared, got.errand.token)


async def test_old_news_change_nothing() -> None:
    """What is told twice counts once."""
    got = lease(token="t")
    for state in (TaskState.SUCCEEDED, TaskState.FAILED):
        got.receive(News(1, token="other", status=TaskStatus(state=state)))

    assert ("t", TaskState.SUCCEEDED) == (await got.accepted, (await got.ended).state)


@pytest.mark.parametrize(
    ("news", "waits"),
    [
        ([], "accepted"),
        ([News(1, token="t")], "ended"),
        ([News(1, token="t"), News(1, status=DONE)], "fetched"),
    ],
)
async def test_error_is_for_who_waits_next(news: list[News], waits: str) -> None:
    """What was told before stays; the next one waited for is what fails."""
    got = lease(prepared=PREPARED)
    for each in news:
        got.receive(each)
    got.receive(News(1, error=TaskLost("t")))

    assert got.over
    with pytest.raises(TaskLost):
        await getattr(got, waits)


async def test_error_after_the_end_harms_nobody() -> None:
    """A lease that is over has nobody who could be told."""
    got = lease(token="t")
    got.receive(News(1, status=DONE, response=Response(200)))
    got.fail(ConnectionLost("gone"))

    assert 200 == (await got.fetched).status


class Cluster:
    """Answers for its workers, some time later."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, what: Any, *args: Any, workers: list[str], **_: Any) -> Any:
        await asyncio.sleep(0)
        self.asked += workers
        return {worker: [] for worker in workers}


async def test_news_that_come_together_are_asked_for_by_one() -> None:
    """A worker is asked again when there is more, but never twice at once."""
    cluster = Cluster()
    fleet = Fleet(cluster, lambda: None, size=1, chunk=1)  # type: ignore[arg-type, return-value]
    fleet._held["worker"] = {}
    for _ in range(3):
        fleet._hear((0.0, "worker"))
    for _ in range(20):
        await asyncio.sleep(0)
    fleet._hear((0.0, "worker"))
    for _ in range(20):
        await asyncio.sleep(0)

    assert {} == fleet._asked
    assert ["worker"] * 2 == cluster.asked
