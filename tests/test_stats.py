"""What a client did so far, and what limits it: each limit is forced once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.stats import BACKLOG, UNFETCHED, Bottleneck, ClientStats, judge
from asynctasks.testing import MemoryTransport
from tests.scripted import Scripted, answer


pytestmark = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

Connect = Callable[..., AimmsClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a handler."""
    async with AsyncExitStack() as stack:

        def make(world: Any, **options: Any) -> AimmsClient:
            given = {"poll": EVERY_SECOND, "transport": MemoryTransport(world)}
            client = AimmsClient.local(**{**given, **options})
            stack.push_async_callback(client.close)
            return client

        yield make


@asynccontextmanager
async def meanwhile(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Let work go on for a while, and end it."""
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.sleep(1.5)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def service(state: str, *, submit: float = 0.0, poll: float = 0.0) -> Any:
    """Answer every look with the same state."""
    count = 0

    async def handler(request: Request) -> Response:
        nonlocal count
        name = request.path.rpartition("/")[2]
        await asyncio.sleep(submit if request.method == "POST" else poll)
        if request.method == "POST":
            count += 1
            return answer({"id": f"t{count}", "state": "queued"})
        if name == "tasks":
            return answer({"message": "not here"}, 404)
        if name == "response":
            return answer({})
        return answer({"id": name, "state": state})

    return handler


async def test_nothing_limits_an_idle_client(connect: Connect) -> None:
    """All numbers of a new client are nothing."""
    assert (
        ClientStats(
            submitted=0,
            finished=0,
            fetched=0,
            open=0,
            looks=0,
            surveys=0,
            surveyed=0,
            polls_per_finished=0.0,
            lateness=0.0,
            limited_by=Bottleneck.NOTHING,
            submits_waiting=0,
            submits_allowed=16,
            looks_waiting=0,
            queued=0,
            running=0,
            unfetched=0,
            events_waiting=0,
        )
        == connect(Scripted()).stats()
    )


async def test_nothing_limits_tasks_that_run(connect: Connect) -> None:
    """Tasks that run as they should are no bottleneck."""
    client = connect(service("running"))
    handles = [client.handle(f"t{number}") for number in range(20)]
    async with meanwhile(*[handle.wait() for handle in handles]):
        stats = client.stats()

    assert (Bottleneck.NOTHING, 20, 20) == (
        stats.limited_by,
        stats.running,
        stats.open,
    )


async def test_submit_lane_limits(connect: Connect) -> None:
    """More submits than their lane takes: they wait, and that is said."""
    client = connect(service("running", submit=10.0))
    async with meanwhile(*[client.submit("solve") for _ in range(50)]):
        stats = client.stats()

    assert (Bottleneck.SUBMIT_LANE, 34, 16) == (
        stats.limited_by,
        stats.submits_waiting,
        stats.submits_allowed,
    )


async def test_poll_budget_limits(connect: Connect) -> None:
    """More looks than the rate allows: they wait, and begin late."""
    client = connect(service("running"), max_rate=5.0)
    handles = [client.handle(f"t{number}") for number in range(100)]
    async with meanwhile(*[handle.wait() for handle in handles]):
        stats = client.stats()

    assert (Bottleneck.POLL_BUDGET, 100) == (stats.limited_by, stats.open)
    assert stats.looks_waiting >= BACKLOG
    assert stats.lateness > 0


async def test_poll_lane_limits(connect: Connect) -> None:
    """Looks that are slow fill their lane: the others wait."""
    client = connect(service("running", poll=20.0), merge=False)
    handles = [client.handle(f"t{number}") for number in range(100)]
    async with meanwhile(*[handle.wait() for handle in handles]):
        stats = client.stats()

    assert (Bottleneck.POLL_BUDGET, 100 - 24) == (
        stats.limited_by,
        stats.looks_waiting,
    )


async def test_remote_queue_limits(connect: Connect) -> None:
    """Most open tasks wait at the service."""
    client = connect(service("queued"))
    handles = [client.handle(f"t{number}") for number in range(20)]
    async with meanwhile(*[handle.wait() for handle in handles]):
        stats = client.stats()

    assert (Bottleneck.REMOTE_QUEUE, 20, 0) == (
        stats.limited_by,
        stats.queued,
        stats.running,
    )


async def test_consumer_limits_who_does_not_fetch(connect: Connect) -> None:
    """Finished tasks whose results nobody takes."""
    client = connect(service("completed"))
    handles = [client.handle(f"t{number}") for number in range(UNFETCHED)]
    await asyncio.gather(*[handle.wait() for handle in handles])
    stats = client.stats()

    assert (Bottleneck.CONSUMER, UNFETCHED) == (stats.limited_by, stats.unfetched)

    await handles[0].result()

    assert Bottleneck.NOTHING == client.stats().limited_by


async def test_consumer_limits_who_does_not_listen(connect: Connect) -> None:
    """Events that a slow callback leaves waiting."""
    client = connect(service("running"))

    async def slow(_: Any) -> None:
        await asyncio.sleep(3600)

    await client.subscribe(slow)
    for _ in range(UNFETCHED + 1):
        await client.submit("solve")
    await asyncio.sleep(1.5)
    stats = client.stats()

    assert Bottleneck.CONSUMER == stats.limited_by
    assert stats.events_waiting >= UNFETCHED


async def test_failed_tasks_have_nothing_to_fetch(connect: Connect) -> None:
    """A task that failed waits for nobody."""
    client = connect(service("failed"))
    await asyncio.gather(*[client.handle(f"t{n}").wait() for n in range(20)])
    stats = client.stats()

    assert (20, 0, Bottleneck.NOTHING) == (
        stats.finished,
        stats.unfetched,
        stats.limited_by,
    )


async def test_polls_per_finished_task_are_counted(connect: Connect) -> None:
    """Looks and lists, over the tasks that are over."""
    client = connect(Scripted(t1=("running", "running", "completed")))
    await client.run("solve")
    stats = client.stats()

    assert (3.0, 1, 1, 1) == (
        stats.polls_per_finished,
        stats.submitted,
        stats.finished,
        stats.fetched,
    )


async def test_views_count_together(connect: Connect) -> None:
    """What a view does is in the numbers of the client, and the other way round."""
    client = connect(Scripted(t1="completed"))
    view = client.with_auth(client._driver.auth)
    await view.run("solve")

    assert client.stats() == view.stats()
    assert 1 == client.stats().fetched


NUMBERS = {
    "submits_waiting": 0,
    "looks_waiting": 0,
    "queued": 0,
    "running": 0,
    "unfetched": 0,
    "events_waiting": 0,
}


def test_the_first_thing_in_the_way_is_named() -> None:
    """From the consumer to the service: what is nearer to you hides what is behind."""
    limits = {
        Bottleneck.CONSUMER: {"unfetched": 5, "events_waiting": 3},
        Bottleneck.SUBMIT_LANE: {"submits_waiting": 1},
        Bottleneck.POLL_BUDGET: {"looks_waiting": BACKLOG},
        Bottleneck.REMOTE_QUEUE: {"queued": 2, "running": 1},
    }
    for on in product([False, True], repeat=len(limits)):
        numbers = dict(NUMBERS)
        forced = [limit for limit, is_on in zip(limits, on, strict=True) if is_on]
        for limit in forced:
            numbers |= limits[limit]

        assert [*forced, Bottleneck.NOTHING][0] == judge(numbers)
