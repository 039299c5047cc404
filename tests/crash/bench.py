"""Starts batches in processes of their own, and compares what both sides say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs
import pytest

from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry, ItemState
from tests.crash.batch_process import LIMIT, run_batch
from tests.crash.server_process import Site


__all__ = ["PATIENCE", "Bench", "assert_accounted", "share", "tell"]

ITEMS = 300

PATIENCE = 60
"""Seconds for a batch that is let alone."""


@attrs.define
class Bench:
    """Starts batches, all with one journal, and looks into it."""

    processes: ForkServerContext
    server: Site
    journal: Path
    dialect: str
    items: int = ITEMS
    run: Callable[..., None] = run_batch
    """What a process does."""

    @property
    def submits(self) -> int:
        """How many submits may be in doubt at the same time."""
        return 1 if self.dialect in {"aimms", "oml-v2"} else LIMIT

    def start(self, **options: Any) -> BaseProcess:
        """Start a batch, or go on with it."""
        process = self.processes.Process(
            target=self.run,
            args=(self.dialect, self.server.url, str(self.journal), self.items),
            kwargs=options,
        )
        process.start()
        return process

    def finish(self, **options: Any) -> int | None:
        """Let a batch alone; return its exit code."""
        process = self.start(**options)
        process.join(PATIENCE)
        process.kill()
        process.join()
        return process.exitcode

    def entries(self) -> list[Entry]:
        """Read the journal."""
        if not self.journal.exists():
            return []
        with Journal.read(self.journal) as reader:
            return list(reader.items())

    def doubts(self) -> set[tuple[str, float | None]]:
        """Return the submits of which nobody can say here whether they were sent."""
        return {
            (entry.key, entry.timings.submitted)
            for entry in self.entries()
            if entry.state is ItemState.INTENDED
        }

    def states(self) -> Counter[ItemState]:
        """Count the items by their states."""
        return Counter(entry.state for entry in self.entries())


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Print what was found, whatever pytest captures."""
    with capsys.disabled():
        print(f"\n  {text}", end="")  # noqa: T201 - it is the point


def share(settled: int, doubts: int) -> str:
    """Say how many doubts were settled without asking anybody."""
    return f"{settled} of {doubts}" + (f" ({settled / doubts:.0%})" if doubts else "")


def assert_accounted(bench: Bench) -> None:
    """Every item has a result or is unknown; none was accepted twice."""
    states, accepted = bench.states(), Counter(bench.server.accepted)

    assert {1} == set(accepted.values())
    assert bench.items == states[ItemState.SUCCEEDED] + states[ItemState.UNKNOWN]
    # What was never submitted is among those that are reported.
    assert states[ItemState.SUCCEEDED] <= len(accepted) <= bench.items
