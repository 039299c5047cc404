"""Batches are killed, again and again, and nothing is lost or submitted twice."""

from __future__ import annotations

import os
import random

import pytest

from asynctasks.sansio.ledger import ItemState
from tests.crash.batch_process import FULL, run_submits
from tests.crash.bench import Bench, assert_accounted, share, tell


pytestmark = [pytest.mark.crash, pytest.mark.timeout(200)]

KILLS = 25

SINGLE = 150
"""Submits without a batch."""

SEED = os.environ.get("CRASH_SEED", "kill")
"""Chooses the moments; another one chooses others."""


def test_batch_is_killed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """
    At random moments, and while a submit is being answered; then it is resumed.

    The server's own count says that no item was accepted twice.
    """
    kill_and_resume(bench, capsys)


def test_single_submits_are_killed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submits with a key and a client's journal survive the same."""
    bench.run, bench.items = run_submits, SINGLE
    kill_and_resume(bench, capsys)


def kill_and_resume(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Kill a process again and again, let it alone, and compare."""
    dice = random.Random(f"{SEED}/{bench.dialect}")
    kills, doubted = 0, set()
    for number in range(KILLS):
        process = bench.start()
        if number % 2:
            bench.server.kill_on_submit(process.pid or 0, dice.randint(1, 20))
            process.join(5)
        else:
            process.join(dice.uniform(0.05, 0.4))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        kills += 1
        doubted |= bench.doubts()

    assert 0 == bench.finish()

    doubts, unknown = len(doubted), bench.states()[ItemState.UNKNOWN]
    tell(
        capsys,
        f"{bench.dialect}: {kills} kills, {bench.items} items, submits in doubt "
        f"settled by the service: {share(doubts - unknown, doubts)}, "
        f"reported as unknown: {unknown}",
    )
    assert_accounted(bench)
    if bench.dialect == "oml-v1":
        assert doubts == unknown
    else:
        assert 0 == unknown


def test_disk_is_full(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A journal that cannot grow stops the batch; with room again, it goes on.

    Nothing that was written down is lost, and nothing is submitted twice.
    """
    code = bench.finish(file_size=100_000)
    before = bench.states()
    doubts = len(bench.doubts())

    assert (FULL, True) == (code, before.total() < bench.items)
    assert 0 == bench.finish()

    unknown = bench.states()[ItemState.UNKNOWN]
    tell(
        capsys,
        f"{bench.dialect}: full after {before.total()} items, submits in doubt "
        f"settled by the service: {share(doubts - unknown, doubts)}",
    )
    assert_accounted(bench)
