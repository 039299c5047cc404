"""
Batches whose tasks are submitted and watched by the workers of a Dask cluster.

::

    connect = partial(AimmsClient.cloud, "acme", app="Scheduling", api_key=read_key)

    async with Client("scheduler:8786", asynchronous=True) as cluster:
        report = await submit_on_dask(
            cluster, connect, "solve", inputs, journal="run.db", limit=2000
        )

The process that calls it coordinates: it holds the journal, and hands chunks of
intended submits and open tasks to the workers, each of which has one client. Dask runs
a task again when its worker dies, so that no Dask task is made of them: chunks are
handed over once. What a dead worker may have submitted is found out as after any lost
answer; what it watched is watched by another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
import math
import os
from typing import TYPE_CHECKING, Any, Protocol, cast

import attrs

from .dask_fleet import Fleet, Lease
from ..batch import BatchItem, BatchSubmitter
from ..batch_remote import Remote
from ..exceptions import AsyncTasksError, PatienceExceeded
from ..handle import TaskHandle
from ..manners import UnknownPolicy
from ..once import share
from ..report import BatchReport
from ..sansio.dialect import Prepared
from ..sansio.http import Response
from ..sansio.task import TaskRef, TaskStatus


if TYPE_CHECKING:
    from distributed import Client

    from ..client import TaskClient


__all__ = ["Connect", "submit_on_dask"]


class Connect(Protocol):
    """Makes a client; it is called in each worker, and must be picklable."""

    def __call__(self, *, max_rate: float) -> TaskClient:
        """Make a client whose requests a second are limited."""


async def submit_on_dask(  # noqa: PLR0913 - each is a fact of a batch
    dask_client: Client,
    connect: Connect,
    service: str,
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    journal: str | os.PathLike[str],
    resume: bool = False,
    limit: int = 500,
    chunk: int = 100,
    max_rate: float = math.inf,
    on_item: Callable[[BatchItem], object] | None = None,
    on_unknown: UnknownPolicy = "skip",
    grace: float = 30.0,
    **terms: Any,
) -> BatchReport:
    """
    Run a service on many inputs, by way of the workers of a cluster.

    Args:
        dask_client: of the cluster; asynchronous.
        connect: makes the client of each worker, and one here. Let it read keys
            where it is called, so that they do not travel.
        service: what to run.
        inputs: read as they are needed.
        journal: the path of the file, on this machine.
        resume: go on with a journal that has items.
        limit: tasks in all that are submitted and have not ended.
        chunk: items that are handed to a worker at a time, at most.
        max_rate: requests a second of all workers together. Workers that join later
            are used when others have left, so that it holds.
        on_item: called with each item as it ends.
        on_unknown: see :class:`BatchSubmitter`.
        grace: see :class:`BatchSubmitter`.
        terms: what else :meth:`BatchSubmitter.map` takes, such as ``retry_failed``.

    Returns:
        The report of the journal, which has the results.

    When it is cancelled, workers stop; remote tasks go on unless
    ``on_cancel="cancel_remote"`` is given, and are found again with *resume*.
    """
    size = max(1, len(await dask_client.nthreads()))
    share = max_rate / (size + 1)  # one for this process
    fleet = Fleet(dask_client, partial(connect, max_rate=share), size, chunk)
    async with connect(max_rate=share) as client, fleet:
        spread = cast("TaskClient", Spread(client, fleet))
        submitter = BatchSubmitter(
            spread, journal, resume=resume, on_unknown=on_unknown, grace=grace
        )
        async with (
            submitter,
            submitter.map(service, inputs, limit=limit, **terms) as batch,
        ):
            async for item in batch:
                if on_item is not None:
                    on_item(item)
        about = f"{client.dialect.title} at {client.origin}, by way of Dask"
    return await asyncio.to_thread(BatchReport.from_journal, journal, about=about)


class FarHandle(TaskHandle):
    """A task that a worker watches."""

    lease: Lease

    async def wait(self, *, timeout: float | None = None) -> TaskStatus:
        """Wait until a worker has seen the end; see :meth:`TaskHandle.wait`."""
        patience = self._patience(timeout)
        try:
            async with asyncio.timeout(patience):
                return await share(self.lease.ended)
        except TimeoutError as exc:
            if isinstance(exc, AsyncTasksError):
                raise
            raise PatienceExceeded(self.id, self.token, None, patience) from None

    async def response(self, status: TaskStatus) -> Response:
        """Return what the worker fetched."""
        return await share(self.lease.fetched)


class FarRemote(Remote):
    """
    The service, by way of workers; what needs one look only is asked from here.

    Args:
        near: the service as this process reaches it.
        fleet: the workers.
    """

    def __init__(self, near: Remote, fleet: Fleet) -> None:
        super().__init__(near._client, near._prepare, near._start)  # noqa: SLF001
        self._fleet = fleet

    async def start(self, prepared: Prepared) -> TaskHandle:
        """Have a worker start a task; see :meth:`Remote.start`."""
        lease = self._fleet.lease(prepared=prepared)
        token = await share(lease.accepted)
        return self._far(super().attach(token).ref, lease)

    def adopt(self, ref: TaskRef) -> TaskHandle:
        """Have a worker watch a task that was found."""
        token = super().adopt(ref).token
        return self._far(ref, self._fleet.lease(token=token))

    def _far(self, ref: TaskRef, lease: Lease) -> TaskHandle:
        handle = FarHandle(self._desk, ref)
        handle.lease = lease
        return handle


@attrs.frozen
class Spread:
    """A client whose batches are spread over workers."""

    client: TaskClient
    fleet: Fleet

    def _remote(self) -> Remote:
        return FarRemote(self.client._remote(), self.fleet)  # noqa: SLF001
