"""The life of an item where it ends in another way than most."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchSubmitter
from asynctasks.exceptions import (
    PermissionDenied,
    ResponseDecodeError,
    ResponseTooLarge,
    ResultUnavailable,
    TaskLost,
)
from asynctasks.sansio.http import Response
from asynctasks.sansio.ledger import ItemState
from asynctasks.server.faults import Fault
from tests.batches import POLL, World, collect


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


@pytest.fixture
async def client(world: World) -> AsyncIterator[AimmsClient]:
    async with AimmsClient.local(
        transport=world.transport, poll=POLL, max_response_bytes=2000
    ) as made:
        yield made


async def test_lost_task_fails(client: AimmsClient, world: World) -> None:
    """A task that the service forgot is a failure, which retries may repair."""
    batch = client.map("work", [{"x": 1, "seconds": 0.1}], retry_failed=1)
    gone = Fault(response=Response(404))
    world.simulator.faults.add(gone, method="GET", times=3)
    (item,) = await collect(batch)

    assert item.ok
    assert ("TaskLost",) == item.retries


async def test_lost_task_without_retries(client: AimmsClient, world: World) -> None:
    """Without retries the loss is the outcome."""
    gone = Fault(response=Response(404))
    world.simulator.faults.add(gone, method="GET", times=99)
    (item,) = await collect(client.map("work", [{"x": 1, "seconds": 0.1}]))

    assert isinstance(item.outcome, TaskLost)
    assert ItemState.FAILED is item.state


async def test_missing_result_fails(client: AimmsClient, world: World) -> None:
    """A task that ended without a result is a failure."""
    gone = Fault(response=Response(404))
    world.simulator.faults.add(gone, method="GET", path="response", times=99)
    (item,) = await collect(client.map("work", [{"x": 1}]))

    assert isinstance(item.outcome, ResultUnavailable)
    assert item.timings.ended is not None


@pytest.mark.parametrize("where", ["/tasks/", "response"])
async def test_task_that_cannot_be_seen_stays_open(
    client: AimmsClient, world: World, tmp_path: Path, where: str
) -> None:
    """A refused look or fetch ends the wait, not the item: the next run goes on."""
    path = tmp_path / "run.db"
    given = [{"x": 1, "seconds": 0.05}]
    no = Fault(response=Response(403))
    world.simulator.faults.add(no, method="GET", path=where, times=99)
    async with BatchSubmitter(client, path) as submitter:
        (first,) = await collect(submitter.map("work", given))
    world.simulator.faults.clear()
    async with BatchSubmitter(client, path, resume=True) as submitter:
        (second,) = await collect(submitter.map("work", given))

    assert ItemState.SUBMITTED is first.state
    assert isinstance(first.error, PermissionDenied)
    assert (True, {"x": 1}, 1) == (second.ok, second.result, world.submissions)


@pytest.mark.parametrize(
    ("body", "options", "kind"),
    [
        (b"no json", {"decode": "json"}, ResponseDecodeError),
        (b"x" * 5000, {}, ResponseTooLarge),
    ],
)
async def test_unusable_result_fails(
    client: AimmsClient,
    world: World,
    body: bytes,
    options: dict[str, Any],
    kind: type[Exception],
) -> None:
    """A result that is not as it was asked for is a failure."""
    world.simulator.service("other", lambda _: body)
    (item,) = await collect(client.map("other", [{}], **options))

    assert ItemState.FAILED is item.state
    assert isinstance(item.error, kind)
