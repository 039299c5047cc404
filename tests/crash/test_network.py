"""The network is cut, slow and silent while a batch runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from asynctasks.journal import Journal
from asynctasks.sansio.ledger import ItemState
from asynctasks.server.app import LocalServer
from tests.crash.batch_process import DIALECTS, submit_all
from tests.crash.bench import tell
from tests.crash.server_process import KEY, PARALLEL
from tests.faults.chaos_proxy import ChaosProxy


pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

ITEMS = 150

SILENCE = 0.6


async def torment(proxy: ChaosProxy) -> None:
    """Cut everything now and then, and swallow everything for a while."""
    while True:
        await asyncio.sleep(0.4)
        await proxy.sever()
        await asyncio.sleep(0.4)
        proxy.blackhole = True
        await asyncio.sleep(SILENCE)
        proxy.blackhole = False


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_network_is_bad(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every item has a result or is unknown, and the server accepted none twice."""
    path = tmp_path / "run.db"
    async with (
        LocalServer(parallel=PARALLEL, api_key=KEY) as server,
        ChaosProxy(server.url, seed=6, latency=0.001, cut=0.02) as proxy,
    ):
        tormentor = asyncio.create_task(torment(proxy))
        await submit_all(
            dialect, proxy.url, str(path), ITEMS, attempt_timeout=SILENCE / 2
        )
        tormentor.cancel()
    with Journal.read(path) as reader:
        counts = reader.summary().counts
    accepted = server.simulator.submissions
    tell(
        capsys,
        f"{dialect}: {proxy.accepted} connections, {len(proxy.resets)} cut off, "
        f"{counts[ItemState.UNKNOWN]} of {ITEMS} unknown",
    )

    assert {1} == set(Counter(accepted).values())
    assert ITEMS == counts[ItemState.SUCCEEDED] + counts[ItemState.UNKNOWN]
    assert counts[ItemState.SUCCEEDED] <= accepted.total() <= ITEMS
