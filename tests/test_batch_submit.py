"""Submits of a batch: intents, refusals, full disks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
import sys
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchSubmitter
from asynctasks.exceptions import JournalFull, JournalLocked
from asynctasks.journal import Journal
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.ledger import Entry, ItemState
from asynctasks.testing import MemoryTransport
from tests.batches import POLL, World, collect
from tests.test_journal import limited_files


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.transport.aclose()


class Watching(MemoryTransport):
    """Looks into the journal whenever a submit goes out."""

    path: Path
    seen: list[Entry]

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        if request.method == "POST":
            with Journal.read(self.path) as reader:
                self.seen += reader.items(ItemState.INTENDED)
        return await super().send(request, timeout=timeout, max_bytes=max_bytes)


async def test_intent_is_durable_before_the_submit(
    world: World, tmp_path: Path
) -> None:
    """When a submit goes out its intent is on the disk, and no other with it."""
    transport = Watching(world.simulator)
    transport.path, transport.seen = tmp_path / "run.db", []
    async with (
        AimmsClient.local(transport=transport, poll=POLL) as client,
        BatchSubmitter(client, transport.path) as submitter,
    ):
        items = await collect(submitter.map("work", [{"x": n} for n in range(9)]))
    await transport.aclose()

    assert {item.key for item in items} == {each.key for each in transport.seen}
    assert 9 == len(transport.seen)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
async def test_full_disk_stops_submitting_only(world: World, tmp_path: Path) -> None:
    """On a full disk nothing more is submitted; what runs is waited for and given."""
    path = tmp_path / "run.db"
    given = [{"x": number, "seconds": 0.2} for number in range(200)]
    got: list[Any] = []
    async with AimmsClient.local(transport=world.transport, poll=POLL) as client:
        async with BatchSubmitter(client, path) as submitter:
            batch = submitter.map("work", given, limit=5)
            got.append(await anext(batch))
            wal = path.with_name("run.db-wal")
            with limited_files(wal.stat().st_size), pytest.raises(JournalFull):  # noqa: PT012 - what came before the error counts
                async for item in batch:
                    got.append(item)  # noqa: PERF401
        submitted = world.submissions
        async with BatchSubmitter(client, path, resume=True) as submitter:
            items = await collect(submitter.map("work", given[:20], limit=5))

    assert [True] * len(got) == [item.ok for item in got]
    assert len(got) == submitted < 20
    assert (20, {}) == (len(items), world.twice)
    assert [True] * 20 == [item.ok for item in items]


async def test_lost_lock_ends_the_batch(world: World, tmp_path: Path) -> None:
    """Once another process has the journal, nothing more is submitted."""
    path = tmp_path / "run.db"
    given = ({"x": number} for number in range(1000))
    async with (
        AimmsClient.local(transport=world.transport, poll=POLL) as client,
        BatchSubmitter(client, path) as submitter,
    ):
        batch = submitter.map("work", given, limit=2)
        await anext(batch)
        steal(path)
        with pytest.raises(JournalLocked, match="taken it over"):
            await collect(batch)

    assert world.submissions < 20
    assert {} == world.twice


def steal(path: Path) -> None:
    """Take the lock over, as a process does that takes the other for dead."""
    import sqlite3  # noqa: PLC0415 - only here

    connection = sqlite3.connect(path)
    connection.execute("UPDATE lock SET owner = 'x'")
    connection.commit()
    connection.close()
