"""Worlds for batches: services that count, and a process that dies at a moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
import json
from pathlib import Path
import shutil
import threading
from typing import Any
import warnings

import attrs

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchItem, BatchSubmitter
from asynctasks.client import TaskClient
from asynctasks.desp import DespClient
from asynctasks.oml import OmlClient
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.server.simulator import Simulator
from asynctasks.testing import MemoryTransport, build_simulator
from asynctasks.transport import Download, Transport


__all__ = ["POLL", "SERVICES", "Dying", "World", "collect", "connect", "run_to_death"]

POLL = PollPolicy(
    wait_initial=0.01, wait_max=0.02, wait_exp_base=1.5, wait_jitter=0.001
)

SERVICES = ("aimms", "desp", "oml-v1", "oml-v2")
"""One for each way to settle a lost submit, but for keys."""


def connect(service: str, transport: Transport, **options: Any) -> TaskClient:
    """Make a client of one of the services."""
    given = {"transport": transport, "poll": POLL, **options}
    if service == "aimms":
        return AimmsClient.local(**given)
    if service == "desp":
        return DespClient("https://desp.example", username="u", token="k", **given)
    with warnings.catch_warnings(action="ignore"):
        return OmlClient(
            "https://oml.example",
            username="OMLUSER",
            password="k",
            api_version=service.removeprefix("oml-"),
            **given,
        )


class World:
    """
    A service ``work`` that counts what it is asked for.

    Its inputs are ``{"x": ..., "seconds": ..., "fail": n}``: it fails n times.
    """

    def __init__(self, *, parallel: int = 1000) -> None:
        self.simulator: Simulator = build_simulator(parallel=parallel)
        self.runs: Counter[str] = Counter()
        self.open = 0
        self.most = 0
        """Tasks that ran at the same time at most."""

        self.simulator.service("work", self._work)
        self.transport = MemoryTransport(self.simulator)

    @property
    def submissions(self) -> int:
        """How many tasks were accepted: the truth."""
        return sum(self.simulator.submissions.values())

    @property
    def twice(self) -> dict[Any, int]:
        """What was submitted more than once."""
        found = self.simulator.submissions.items()
        return {what: times for what, times in found if times > 1}

    async def _work(self, inputs: Any) -> Any:
        key = json.dumps(inputs["x"])
        self.runs[key] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(inputs.get("seconds", 0.0))
        finally:
            self.open -= 1
        if self.runs[key] <= inputs.get("fail", 0):
            raise RuntimeError("not yet")
        return {"x": inputs["x"]}


async def collect(batch: Any) -> list[BatchItem]:
    """Take all items."""
    return [item async for item in batch]


class Dying(Transport):
    """
    A process that dies: from a moment on, nothing goes out or comes back.

    Args:
        transport: of the world, which lives on.
        at: how many moments it lives; each request has one before and one after.
        die: called at that moment.
    """

    def __init__(self, transport: Transport, at: int, die: Callable[[], None]) -> None:
        self._transport = transport
        self._left = at
        self._die = die
        self.dead = asyncio.Event()

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        """Make one attempt."""
        await self._pass()
        response = await self._transport.send(
            request, timeout=timeout, max_bytes=max_bytes
        )
        await self._pass()
        return response

    def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AbstractAsyncContextManager[Download]:
        """Stream an answer."""
        return self._transport.open(request, timeout=timeout, idle=idle)

    async def aclose(self) -> None:
        """Leave the world as it is."""

    async def _pass(self) -> None:
        if not self.dead.is_set():
            self._left -= 1
            if self._left > 0:
                return
            self._die()
            self.dead.set()
        await asyncio.Event().wait()


@attrs.frozen
class Death:
    """What is left of a process that died."""

    journal: Path
    items: list[BatchItem] | None
    """What it gave, if it lived to its end."""


async def run_to_death(
    world: World,
    service: str,
    inputs: list[Any],
    folder: Path,
    at: int,
    **options: Any,
) -> Death:
    """Run a batch until a moment; return the journal as the disk has it then."""
    left = folder / "left"
    await asyncio.to_thread(left.mkdir, parents=True)

    def die() -> None:
        for file in folder.glob("run.db*"):
            shutil.copy(file, left)

    transport = Dying(world.transport, at, die)

    async def run() -> list[BatchItem]:
        async with (
            connect(service, transport) as client,
            BatchSubmitter(client, folder / "run.db", **options) as submitter,
            submitter.map("work", inputs, limit=3) as batch,
        ):
            return await collect(batch)

    running = asyncio.create_task(run())
    dead = asyncio.create_task(transport.dead.wait())
    await asyncio.wait([running, dead], return_when=asyncio.FIRST_COMPLETED)
    dead.cancel()
    if running.done():
        return Death(folder / "run.db", running.result())
    async for _ in beats():
        running.cancel()
        if running.done() and not writers():
            break
    return Death(left / "run.db", None)


async def beats() -> AsyncIterator[None]:
    """Yield now and again."""
    while True:
        yield
        await asyncio.sleep(0.001)


def writers() -> list[threading.Thread]:
    """List the threads that write journals."""
    return [t for t in threading.enumerate() if t.name == "asynctasks_journal"]
