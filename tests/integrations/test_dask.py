"""Batches on a real cluster of Dask, whose worker is killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
import os
from pathlib import Path
import signal
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.journal import Journal
from asynctasks.oml import OmlClient
from asynctasks.sansio.ledger import Entry, ItemState
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.server.app import LocalServer


distributed = pytest.importorskip("distributed")

from asynctasks.integrations.dask import submit_on_dask  # noqa: E402 - needs it


pytestmark = [
    pytest.mark.dask,
    pytest.mark.timeout(120),
    # What the cluster does at its start and end is its own business.
    pytest.mark.filterwarnings("ignore:::distributed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parent.parent.parent

KEY = "key"

POLL = PollPolicy(wait_initial=0.02, wait_max=0.1)

CONNECT = {
    "aimms": lambda url: partial(
        AimmsClient.cloud, url, app="Demo", version="1", api_key=KEY, poll=POLL
    ),
    "oml": lambda url: partial(
        OmlClient, url, username="OMLUSER", password=KEY, poll=POLL
    ),
}


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Start two workers, each a process with one thread."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    async with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            asynchronous=True,
        ) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        yield client


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer(parallel=40, api_key=KEY) as server:
        yield server


def inputs(count: int, seconds: float = 0.05) -> list[Any]:
    """Make inputs, no two alike."""
    return [{"seconds": seconds + number / 1e6} for number in range(count)]


def entries(path: Path) -> list[Entry]:
    """Read the journal."""
    with Journal.read(path) as reader:
        return list(reader.items())


@pytest.mark.parametrize("service", CONNECT)
async def test_worker_is_killed(
    cluster: Any, server: LocalServer, tmp_path: Path, service: str
) -> None:
    """What it watched is watched by another; nothing is submitted twice."""
    path = tmp_path / "run.db"
    pids = await cluster.run(os.getpid)
    ended: list[int] = []

    def kill_soon(item: Any) -> None:
        ended.append(item.index)
        if len(ended) == 30:
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    report = await submit_on_dask(
        cluster,
        CONNECT[service](server.url),
        "sleep",
        inputs(200),
        journal=path,
        limit=40,
        grace=2.0,
        on_item=kill_soon,
    )
    states = Counter(entry.state for entry in entries(path))

    assert {1} == set(server.simulator.submissions.values())
    assert 200 == states[ItemState.SUCCEEDED] + states[ItemState.UNKNOWN]
    assert states[ItemState.UNKNOWN] <= 1
    assert (200, sorted(ended)) == (report.items, list(range(200)))


async def test_work_is_shared_and_resumed(
    cluster: Any, server: LocalServer, tmp_path: Path
) -> None:
    """Both workers have a part of it; a batch that is over gives its items again."""
    path = tmp_path / "run.db"
    run = partial(
        submit_on_dask,
        cluster,
        CONNECT["aimms"](server.url),
        "sleep",
        inputs(60),
        journal=path,
    )
    recorded: list[bool] = []
    await run()
    await run(resume=True, on_item=lambda item: recorded.append(item.recorded))

    assert 60 == server.simulator.submissions.total()
    assert [True] * 60 == recorded


async def test_cancel_reaches_the_remote_tasks(
    cluster: Any, server: LocalServer, tmp_path: Path
) -> None:
    """Where it is wanted, tasks end with the call; the batch can be resumed."""
    path = tmp_path / "run.db"
    batch = asyncio.create_task(
        submit_on_dask(
            cluster,
            CONNECT["aimms"](server.url),
            "sleep",
            inputs(10, seconds=30),
            journal=path,
            on_cancel="cancel_remote",
        )
    )
    async with asyncio.timeout(30):
        while server.simulator.submissions.total() < 10:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
    batch.cancel()
    await asyncio.gather(batch, return_exceptions=True)
    async with AimmsClient.cloud(
        server.url, app="Demo", version="1", api_key=KEY
    ) as client:
        rows = await client.select("tasks")
        ends = {(await client.poll(row["id"])).message for row in rows}

    assert batch.cancelled()
    assert (10, {"interrupted"}) == (len(rows), ends)
    assert {ItemState.WAITING} == {entry.state for entry in entries(path)}


async def test_rate_is_shared(
    cluster: Any, server: LocalServer, tmp_path: Path
) -> None:
    """All workers together keep the rate."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    await submit_on_dask(
        cluster,
        CONNECT["oml"](server.url),
        "echo",
        [{"n": n} for n in range(20)],
        journal=tmp_path / "run.db",
        max_rate=60,
    )

    # A submit, a look and a result each, on two of three shares of the rate.
    assert clock() - begun > 20 * 3 / 60 * 0.7


async def test_errors_come_as_they_are(
    cluster: Any, server: LocalServer, tmp_path: Path
) -> None:
    """Tasks that fail, and submits that are refused, are failures of their items."""
    path = tmp_path / "run.db"
    run = partial(submit_on_dask, cluster, CONNECT["aimms"](server.url))
    failed = await run("fail", [{"message": "boom"}], journal=path)
    refused = await run("nothing", [{}], journal=tmp_path / "other.db")

    assert [("TaskFailed", "boom")] == [(f.error, f.message) for f in failed.failures]
    assert ["NotFound"] == [f.error for f in refused.failures]
