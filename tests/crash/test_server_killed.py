"""
The server is killed while a batch runs, and started again without a memory.

What it accepted in an earlier life is gone with it, and so are its tasks: the batch
ends all the same, and says of every item what it knows.
"""

from __future__ import annotations

from collections import Counter
import time

import pytest

from asynctasks.sansio.ledger import ItemState
from tests.crash.bench import PATIENCE, Bench, tell


pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

LIVES = 3

ENDS = {"TaskLost", "ResultUnavailable", "NotFound", "TaskFailed"}
"""
What becomes of a task that the server has forgotten; no task of this batch fails, but
OML says of a job that it forgot after its end what it says of a script that failed.
"""


def wait_for_submits(bench: Bench, count: int) -> None:
    """Wait until this life of the server has accepted some."""
    deadline = time.monotonic() + PATIENCE
    while len(bench.server.lives[-1]) < count:
        assert time.monotonic() < deadline, "nothing is submitted"
        time.sleep(0.005)  # another process is waited for, on a real clock


def test_server_is_killed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every item is done, failed because its task is lost, unknown, or given up.

    No life of the server accepted an item twice; and another life accepted again only
    what was in doubt when the one before ended.
    """
    process = bench.start()
    for _ in range(LIVES - 1):
        wait_for_submits(bench, bench.items // (LIVES + 1))
        bench.server.kill()
        bench.server.start()
    process.join(PATIENCE)
    process.kill()
    process.join()
    if bench.states()[ItemState.SUBMITTED] and bench.dialect != "oml-v1":
        # Its patience for a result ran out while the server was away: that is no end,
        # and the batch can be resumed.
        assert 0 == bench.finish()
    states = bench.states()
    kinds = Counter(e.failure.kind for e in bench.entries() if e.failure is not None)
    unknown = kinds.pop("SubmitOutcomeUnknown", 0)
    twice = [n for n in Counter(bench.server.accepted).values() if n > 1]
    tell(
        capsys,
        f"{bench.dialect}: {LIVES} lives, {states[ItemState.SUCCEEDED]} of "
        f"{bench.items} done, {kinds.total()} lost with the server, {unknown} unknown, "
        f"{states[ItemState.SUBMITTED]} not heard of, "
        f"{len(twice)} submitted to a later life again",
    )

    assert 0 == process.exitcode
    assert bench.items == states.total()
    assert {1} == {n for life in bench.server.lives for n in Counter(life).values()}
    assert set(kinds) <= ENDS
    # This version answers to an id that it does not know as to trouble of its own:
    # such tasks are waited for as long as patience lasts, and may be resumed.
    assert not states[ItemState.SUBMITTED] or bench.dialect == "oml-v1"
    assert states[ItemState.UNKNOWN] == unknown
    assert len(twice) <= (LIVES - 1) * bench.submits
