"""What tasks leave when they end: fetched, saved, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.client import TaskClient
from asynctasks.exceptions import (
    AsyncTasksError,
    ConnectionLost,
    ResultUnavailable,
    TaskFailed,
    TlsError,
)
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.auth import NoAuth
from asynctasks.sansio.http import Flow, Request, Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.task import TaskRef, TaskStatus
from asynctasks.testing import MemoryTransport
from asynctasks.transport import Transport
from tests.scripted import Scripted


virtual = pytest.mark.virtual_time

QUICK = RetryPolicy(attempts=3, wait_initial=0.01, wait_jitter=0.0)

Connect = Callable[..., AimmsClient]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service."""
    async with AsyncExitStack() as stack:

        def make(world: Any, **options: Any) -> AimmsClient:
            given = {"transport": MemoryTransport(world), "retry": QUICK, **options}
            client = AimmsClient.local(**given)
            stack.push_async_callback(client.close)
            return client

        yield make


class Breaking(MemoryTransport):
    """A transport whose downloads break off as often as it was told."""

    def __init__(self, world: Any, times: int, error: AsyncTasksError) -> None:
        super().__init__(world)
        self.times = times
        self.error = error

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Any]:
        async with super().open(request, timeout=timeout, idle=idle) as download:
            yield attrs.evolve(download, chunks=self._chunks(download.chunks))

    async def _chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk[:10]
            if self.times > 0:
                self.times -= 1
                raise self.error
            yield chunk[10:]


async def test_download_that_breaks_off_starts_again(
    connect: Connect, tmp_path: Path
) -> None:
    """A body that ends too early is fetched again, from its start."""
    service = Scripted(t1="completed")
    transport = Breaking(service, 2, ConnectionLost("too early"))
    client = connect(None, transport=transport, cleanup="delete")
    path = await client.handle("t1").download(tmp_path / "result.json")

    assert b'{"answer":42}' == path.read_bytes()
    assert (3, 1) == (service.calls["GET t1/response"], service.calls["DELETE t1"])


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(ConnectionLost("too early"), 3), (TlsError("changed"), 1)],
    ids=["lost", "tls"],
)
async def test_download_that_keeps_breaking_off(
    connect: Connect, tmp_path: Path, error: AsyncTasksError, attempts: int
) -> None:
    """After some tries, or where trying is vain, the error stands; no file is left."""
    service = Scripted(t1="completed")
    client = connect(None, transport=Breaking(service, 99, error), cleanup="delete")
    with pytest.raises(type(error)):
        await client.handle("t1").download(tmp_path / "result.json")

    assert (attempts, 0) == (
        service.calls["GET t1/response"],
        service.calls["DELETE t1"],
    )
    assert [] == names_in(tmp_path)


@pytest.mark.parametrize(("cleanup", "deletes"), [("keep", 0), ("delete", 1)])
async def test_download_cleans_up_if_wanted(
    connect: Connect,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    cleanup: str,
    deletes: int,
) -> None:
    """The task is removed only if that was asked for; failing to is a warning."""
    service = Scripted(t1="completed")
    service.write("DELETE t1", Response(403))
    client = connect(service, cleanup=cleanup)
    path = await client.handle("t1").download(tmp_path / "result.json")

    assert b'{"answer":42}' == path.read_bytes()
    assert deletes == service.calls["DELETE t1"] == len(caplog.records)


async def test_download_that_is_not_there(connect: Connect, tmp_path: Path) -> None:
    """A finished task without a result to stream is ResultUnavailable."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(404))
    with pytest.raises(ResultUnavailable):
        await connect(service).handle("t1").download(tmp_path / "result.json")


@virtual
async def test_result_that_is_not_there(connect: Connect) -> None:
    """A finished task without a result is ResultUnavailable, with its token."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(404))
    client = connect(service)
    with pytest.raises(ResultUnavailable) as caught:
        await client.result("t1")

    assert client.handle("t1").token == caught.value.token


class Telling(AimmsDialect):
    """A dialect whose service says with the result how the task ended."""

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        yield Request("GET", f"/api/v2/tasks/{ref.id}/response")
        raise TaskFailed(ref.id)

    def find_download(self, ref: TaskRef) -> Flow[Request]:
        yield Request("GET", f"/api/v2/tasks/{ref.id}/response")
        raise TaskFailed(ref.id)


@virtual
async def test_errors_of_the_dialect_get_their_token(tmp_path: Path) -> None:
    """A dialect knows no tokens; its errors about a task carry one all the same."""
    dialect = Telling(hosted=False, version="v2", root="/api/v2")
    transport: Transport = MemoryTransport(Scripted(t1="completed"))
    async with TaskClient(
        dialect, "http://localhost", NoAuth(), {"transport": transport}
    ) as client:
        task = client.handle("t1")
        for use in (task.result(), task.download(tmp_path / "result")):
            with pytest.raises(TaskFailed) as caught:
                await use

            assert task.token == caught.value.token
