"""Processes to be killed; they start fast, because their modules are loaded once."""

from __future__ import annotations

from collections.abc import Iterator
import multiprocessing
from multiprocessing.context import ForkServerContext
import os
from pathlib import Path

import pytest

from tests.crash.batch_process import DIALECTS
from tests.crash.bench import Bench
from tests.crash.server_process import Site, site


ROOT = Path(__file__).parent.parent.parent

MODULES = ["tests.crash.batch_process", "tests.crash.server_process"]


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Make processes as forks of one that has loaded everything and runs nothing."""
    os.environ["PYTHONPATH"] = str(ROOT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    return context


@pytest.fixture
def server(processes: ForkServerContext) -> Iterator[Site]:
    """Provide a server in a process of its own."""
    with site(processes) as place:
        yield place


@pytest.fixture(params=list(DIALECTS))
def bench(
    request: pytest.FixtureRequest,
    processes: ForkServerContext,
    server: Site,
    tmp_path: Path,
) -> Bench:
    """Provide batches of each service."""
    return Bench(processes, server, tmp_path / "run.db", request.param)
