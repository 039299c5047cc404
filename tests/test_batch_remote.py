"""The service as a batch sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch_remote import is_postponed
from asynctasks.exceptions import (
    AsyncTasksError,
    ConnectError,
    ConnectionLost,
    RateLimited,
    RequestRejected,
    ServiceBroken,
)
from asynctasks.sansio.dialect import Reconcile
from asynctasks.sansio.http import Response
from tests.batches import POLL, World


@pytest.fixture
async def client() -> AsyncIterator[AimmsClient]:
    world = World()
    async with AimmsClient.local(
        transport=world.transport, poll=POLL, cleanup="delete"
    ) as made:
        yield made
    await world.transport.aclose()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectError("refused"), True),
        (RateLimited(Response(429)), True),
        (ServiceBroken(Response(503)), True),
        (ServiceBroken(Response(500)), False),
        (RequestRejected(Response(422)), False),
        (ConnectionLost("reset"), False),
    ],
)
def test_what_passes_is_put_off(error: AsyncTasksError, expected: bool) -> None:
    """Only what was certainly not accepted, and will pass, is put off."""
    assert expected is is_postponed(error)


async def test_removal_waits_for_the_batch(client: AimmsClient) -> None:
    """A client that removes tasks does so when the batch says, not at the fetch."""
    remote = client._remote()
    handle = await remote.start(await remote.prepare("work", {"x": 1}, {}))
    result = await handle.result()
    before = await client.count("tasks")
    await remote.clean_up(handle)

    assert ({"x": 1}, 1, 0) == (result, before, await client.count("tasks"))


async def test_tokens_and_refs_are_the_clients(client: AimmsClient) -> None:
    """A handle that is found again is that of the client."""
    remote = client._remote()
    handle = await remote.start(await remote.prepare("work", {"x": 1}, {}))

    assert handle.token == remote.attach(handle.token).token
    assert client.handle(handle.token).id == remote.adopt(handle.ref).id
    assert (Reconcile.ORPHANS, client.origin) == (remote.reconcile, remote.origin)
    assert client.patience == remote.manners.patience


async def test_cancel_that_fails_is_no_error(client: AimmsClient) -> None:
    """Asking for the end of a task that is gone does no harm."""
    remote = client._remote()
    handle = await remote.start(await remote.prepare("work", {"x": 1}, {}))
    await handle.wait()
    await handle.delete()
    await remote.ask_cancel(handle)
