"""Batches and single submits in processes of their own, to be killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
import resource
import signal
from typing import Any
import warnings

from asynctasks.aimms import AimmsClient
from asynctasks.batch import BatchSubmitter
from asynctasks.client import TaskClient
from asynctasks.desp import DespClient
from asynctasks.exceptions import JournalFull, SubmitOutcomeUnknown
from asynctasks.oml import OmlClient
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from tests.crash.server_process import KEY


__all__ = [
    "DIALECTS",
    "FULL",
    "GRACE",
    "build_inputs",
    "run_batch",
    "run_submits",
    "submit_all",
]

LIMIT = 20

GRACE = 1.0
"""Seconds after which a submit that left no task was not accepted."""

SECONDS = 0.02
"""What a task takes."""

PATIENCE = 8.0
"""Seconds for each task, most of which pass in outages."""

FULL = 28
"""Exit code of a batch whose journal could not be written."""


def aimms(url: str, **options: Any) -> TaskClient:
    return AimmsClient.cloud(url, app="Demo", version="1", api_key=KEY, **options)


def desp(url: str, **options: Any) -> TaskClient:
    return DespClient(url, username="user", token=KEY, **options)


def oml_v1(url: str, **options: Any) -> TaskClient:
    with warnings.catch_warnings(action="ignore"):
        return OmlClient(
            url, username="OMLUSER", password=KEY, api_version="v1", **options
        )


def oml_v2(url: str, **options: Any) -> TaskClient:
    return OmlClient(url, username="OMLUSER", password=KEY, **options)


DIALECTS: Mapping[str, Callable[..., TaskClient]] = {
    "aimms": aimms,
    "desp": desp,
    "oml-v1": oml_v1,
    "oml-v2": oml_v2,
}


def build_inputs(count: int) -> list[Any]:
    """Make inputs, no two alike."""
    return [{"seconds": SECONDS + number / 1e6} for number in range(count)]


def connect(dialect: str, url: str, **options: Any) -> TaskClient:
    """Make a client that looks often, and goes through outages of some seconds."""
    poll = PollPolicy(wait_initial=SECONDS, wait_max=0.1)
    retry = RetryPolicy(attempts=30, wait_initial=0.05, wait_max=0.5)
    given = {"poll": poll, "retry": retry, "patience": PATIENCE, **options}
    return DIALECTS[dialect](url, **given)


async def submit_all(
    dialect: str, url: str, journal: str, count: int, **options: Any
) -> None:
    """Run a batch, or go on with it."""
    async with (
        connect(dialect, url, **options) as client,
        BatchSubmitter(client, journal=journal, resume=True, grace=GRACE) as submitter,
        submitter.map("sleep", build_inputs(count), limit=LIMIT) as batch,
    ):
        async for _ in batch:
            pass


async def submit_singly(dialect: str, url: str, journal: str, count: int) -> None:
    """Submit under keys what was not acknowledged; take back what runs, first."""
    inputs = {f"k{index}": each for index, each in enumerate(build_inputs(count))}
    slots = asyncio.Semaphore(LIMIT)

    async def run(client: TaskClient, key: str) -> None:
        async with slots:
            try:
                task = await client.submit("sleep", inputs[key], key=key)
            except SubmitOutcomeUnknown:
                return
            await task.wait()
            await client.acknowledge(task)

    async with connect(dialect, url, journal=journal, grace=GRACE) as client:
        async for each in client.journalled():
            if each.task is not None:
                await each.task.wait()
                await client.acknowledge(each.task)
                del inputs[each.key]
        async with asyncio.TaskGroup() as group:
            for key in inputs:
                group.create_task(run(client, key))


def run_submits(dialect: str, url: str, journal: str, count: int) -> None:
    """Be the process that submits one by one."""
    asyncio.run(submit_singly(dialect, url, journal, count))


def run_batch(
    dialect: str, url: str, journal: str, count: int, file_size: int | None = None
) -> None:
    """
    Be the process.

    Args:
        dialect: what is spoken.
        url: of the server.
        journal: the path of the journal.
        count: of items.
        file_size: bytes from which on no file can grow, as on a full disk.
    """
    if file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    try:
        asyncio.run(submit_all(dialect, url, journal, count))
    except JournalFull:
        raise SystemExit(FULL) from None
