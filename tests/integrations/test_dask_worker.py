"""The hands of a worker: errands, and the news of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import InvalidArgument, TaskFailed
from asynctasks.sansio import codec
from asynctasks.sansio.dialect import Payload, Prepared
from asynctasks.sansio.task import TaskState
from tests.batches import POLL, World, connect


pytest.importorskip("distributed")

from asynctasks.integrations.dask_worker import (
    Errand,
    Hands,
    News,
    take,
    tell,
)


class Worker:
    """What hands need of a worker of Dask."""

    address = "tcp://worker"

    def __init__(self) -> None:
        self.plugins: dict[str, Hands] = {}
        self.called = asyncio.Event()

    def log_event(self, topic: str, what: str) -> None:
        """Take in that there are news."""
        assert ("fleet", self.address) == (topic, what)
        self.called.set()

    async def news(self, count: int) -> list[News]:
        """Collect so many news."""
        found: list[News] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                await self.called.wait()
                self.called.clear()
                found += tell("fleet", self)  # type: ignore[arg-type]
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


@pytest.fixture
async def worker(world: World) -> AsyncIterator[Worker]:
    made = Worker()

    def build() -> AimmsClient:
        return AimmsClient.local(transport=world.transport, poll=POLL)

    hands = Hands("fleet", build)
    hands.setup(made)  # type: ignore[arg-type]
    made.plugins["fleet"] = hands
    yield made
    await hands.teardown(made)  # type: ignore[arg-type]


def prepared(x: str, **facts: Any) -> Prepared:
    inputs = {"x": x, **facts}
    return Prepared(
        service="work",
        payload=Payload(
            body=codec.dumps(inputs),
            content_type="application/json",
            inputs=inputs,
        ),
    )


async def test_errand_is_done_to_its_end(worker: Worker, world: World) -> None:
    """It tells the token, then the end with the result."""
    life = take("fleet", [Errand(7, prepared("a"))], worker)  # type: ignore[arg-type]
    first, last = await worker.news(2)

    assert {7} == {first.number, last.number}
    assert first.token.startswith("{")
    assert last.status is not None
    assert last.response is not None
    assert (TaskState.SUCCEEDED, {"x": "a"}) == (
        last.status.state,
        last.response.json(),
    )
    assert (life, 1) == (worker.plugins["fleet"].life, world.submissions)


async def test_token_is_only_watched(worker: Worker, world: World) -> None:
    """What another worker submitted is not submitted again."""
    async with connect("aimms", world.transport) as client:
        task = await client.submit("work", {"x": "a"})
    take("fleet", [Errand(1, token=task.token)], worker)  # type: ignore[arg-type]
    (news,) = await worker.news(1)

    assert news.response is not None
    assert ({"x": "a"}, 1) == (news.response.json(), world.submissions)


async def test_failure_is_told(worker: Worker) -> None:
    """A task that failed tells how it ended, and why it has no result."""
    take("fleet", [Errand(1, prepared("a", fail=1))], worker)  # type: ignore[arg-type]
    _, news = await worker.news(2)

    assert news.status is not None
    assert TaskState.FAILED is news.status.state
    assert isinstance(news.error, TaskFailed)


async def test_errand_that_makes_no_sense_is_told(worker: Worker) -> None:
    """Whatever goes wrong comes back as the error of that errand."""
    take("fleet", [Errand(1, token="{")], worker)  # type: ignore[arg-type]
    (news,) = await worker.news(1)

    assert isinstance(news.error, InvalidArgument)


async def test_teardown_leaves_nothing(worker: Worker, world: World) -> None:
    """What is under way is stopped; the remote task goes on."""
    errand = Errand(1, prepared("a", seconds=60))
    take("fleet", [errand], worker)  # type: ignore[arg-type]
    await worker.news(1)
    await worker.plugins["fleet"].teardown(worker)  # type: ignore[arg-type]

    assert (1, []) == (world.open, tell("fleet", worker))  # type: ignore[arg-type]
