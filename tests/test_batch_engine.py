"""The moving part of a batch, without a facade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch_book import Book
from asynctasks.batch_engine import Engine
from asynctasks.batch_inputs import Inputs
from asynctasks.batch_item import BatchItem, Terms
from asynctasks.exceptions import InvalidState
from tests.batches import POLL, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


@pytest.fixture
async def client(world: World) -> AsyncIterator[AimmsClient]:
    async with AimmsClient.local(transport=world.transport, poll=POLL) as made:
        yield made


def build(client: AimmsClient, *given: Any, **terms: Any) -> Engine:
    inputs = Inputs()
    inputs.add(given)
    agreed = Terms(**{"service": "work", "limit": 3, **terms})
    return Engine(agreed, inputs, client._remote(), Book())


async def take_all(engine: Engine) -> list[BatchItem]:
    found = []
    try:
        while True:
            found.append(await engine.next())
    except StopAsyncIteration:
        return found


async def test_end_is_told_again(client: AimmsClient) -> None:
    """Whoever asks after the end is told of the end again."""
    engine = build(client, {"x": 1})
    first = await take_all(engine)

    assert (1, []) == (len(first), await take_all(engine))


async def test_inputs_after_the_end_of_the_others(client: AimmsClient) -> None:
    """While items wait to be taken, inputs may be added."""
    engine = build(client, {"x": 1})
    await engine.next()
    engine.add([{"x": 2}])
    more = await take_all(engine)

    assert [{"x": 2}] == [item.result for item in more]
    with pytest.raises(InvalidState, match="over"):
        engine.add([])


async def test_bug_in_the_book_ends_the_batch(client: AimmsClient) -> None:
    """What nobody expects is raised to the consumer, not lost in a task."""
    engine = build(client, {"x": 1})

    def claim(*_: Any) -> Any:
        raise ZeroDivisionError

    engine._book.claim = claim  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await take_all(engine)


async def test_impatient_close(client: AimmsClient, world: World) -> None:
    """A close that is cancelled itself leaves no task behind."""
    engine = build(client, *({"x": n, "seconds": 5} for n in range(9)))
    taking = asyncio.ensure_future(engine.next())
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(engine.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing, taking], timeout=1)
    await asyncio.sleep(0.01)
    names = [task.get_name() for task in asyncio.all_tasks()]

    assert [] == [name for name in names if name.startswith("asynctasks-item")]
    assert 3 == world.submissions
    assert taking.done()
    assert isinstance(taking.exception(), StopAsyncIteration)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.lists(st.sampled_from([0.0, 0.001, 0.01]), max_size=12),
    limit=st.integers(1, 5),
    ordered=st.booleans(),
    fails=st.integers(0, 2),
)
def test_every_input_is_one_item(
    seconds: list[float], limit: int, ordered: bool, fails: int
) -> None:
    """However long tasks take and often they fail: each input is an item, once."""

    async def run() -> tuple[list[BatchItem], World]:
        world = World()
        given = [
            {"x": number, "seconds": each, "fail": fails}
            for number, each in enumerate(seconds)
        ]
        terms = {"limit": limit, "ordered": ordered, "retry_failed": 1}
        async with AimmsClient.local(transport=world.transport, poll=POLL) as client:
            items = await take_all(build(client, *given, **terms))
        await world.transport.aclose()
        return items, world

    items, world = asyncio.run(run())
    indexes = [item.index for item in items]

    assert list(range(len(seconds))) == (indexes if ordered else sorted(indexes))
    assert {fails < 2} >= {item.ok for item in items}
    assert world.submissions == len(seconds) * (1 + (fails > 0))
    assert world.most <= limit
