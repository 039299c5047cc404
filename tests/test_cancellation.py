"""
Cancelling at every await there is.

Whatever is cancelled, and wherever: the cancellation comes out, nothing is left
behind, the client goes on working, and the remote task is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
import sys
import threading
from typing import Any

import attrs
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.completion import as_completed
from asynctasks.handle import TaskHandle
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.server.app import LocalServer
from asynctasks.subscriber import StatusSubscription
from tests.faults.cancel_at import CancelAt, sweep
from tests.timing import MS


Act = Coroutine[Any, Any, Any]

POLL = PollPolicy(wait_initial=5 * MS, wait_max=5 * MS)

NAP = {"seconds": 0.012}
"""A task that takes some looks."""


def open_files() -> int:
    """Count what this process has open, sockets included."""
    if sys.platform != "linux":
        pytest.skip("/proc is of Linux")
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> set[str]:
    """Name the threads but those of pools, which are kept to be used again."""
    pools = ("asyncio_", "asynctasks_")
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if not name.startswith(pools)}


@attrs.define
class Bench:
    """A client of a server, and what must be there again after each cancellation."""

    server: LocalServer
    helper: AimmsClient
    """Prepares what is to be cancelled, so that the client has no connection yet."""

    client: AimmsClient
    submits: int = 0

    async def renew(self) -> None:
        """Make a new client."""
        await self.client.close()
        self.client = connect(self.server)

    async def check(self) -> None:
        """See that nothing is left behind and that the client works."""
        await self.settle()

        assert await self.client.count("tasks") >= 0

        interrupted = [
            task.id
            for task in self.server.simulator.tasks("aimms")
            if task.interrupt is not None
        ]

        assert [] == interrupted

    async def settle(self) -> None:
        """Wait until no asyncio task of a client is left."""
        for _ in range(400):
            if not ours():
                break
            await asyncio.sleep(5 * MS)

        assert set() == ours()


def ours() -> set[asyncio.Task[Any]]:
    """Return the tasks of clients; the server's are in the same loop."""
    tasks = asyncio.all_tasks()
    return {task for task in tasks if task.get_name().startswith("asynctasks-")}


def connect(server: LocalServer) -> AimmsClient:
    return AimmsClient.local(server.url, poll=POLL)


async def files_are_closed(files: int) -> None:
    """See that no more files are open than so many; sockets take a moment."""
    for _ in range(100):
        if open_files() <= files:
            break
        await asyncio.sleep(5 * MS)

    assert open_files() <= files


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Provide clients of a server; in the end, all must be as it was before."""
    before = threads()
    async with LocalServer(parallel=8) as server:
        files = open_files()
        bench = Bench(server, connect(server), connect(server))
        yield bench
        await bench.helper.close()
        await bench.client.close()
        await files_are_closed(files)

    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert before == threads()


async def napping(bench: Bench) -> TaskHandle:
    """Return a task that runs; the client has not asked for it yet."""
    return bench.client.handle((await bench.helper.submit("sleep", NAP)).token)


async def finished(bench: Bench) -> TaskHandle:
    """Return a task that is over, which the client has not seen yet."""
    task = await bench.helper.submit("echo", {"x": 1})
    await task.wait()
    return bench.client.handle(task.token)


async def make_submit(bench: Bench, path: Path) -> Act:
    bench.submits += 1
    return bench.client.submit("echo", {"number": bench.submits})


async def make_upload(bench: Bench, path: Path) -> Act:
    await asyncio.to_thread(path.write_bytes, bytes(300_000))
    return bench.client.submit("echo", content=path)


async def make_poll(bench: Bench, path: Path) -> Act:
    return bench.client.poll(await napping(bench))


async def make_result(bench: Bench, path: Path) -> Act:
    return (await napping(bench)).result()


async def make_run(bench: Bench, path: Path) -> Act:
    return bench.client.run("sleep", NAP)


async def make_updates(bench: Bench, path: Path) -> Act:
    task = await napping(bench)

    async def read() -> None:
        async for _ in task.updates():
            pass

    return read()


async def make_as_completed(bench: Bench, path: Path) -> Act:
    tasks = [await napping(bench) for _ in range(3)]

    async def read() -> None:
        async for _ in as_completed(tasks):
            pass

    return read()


async def make_cancel_of_what_is_over(bench: Bench, path: Path) -> Act:
    return (await finished(bench)).cancel()


async def make_download(bench: Bench, path: Path) -> Act:
    return (await finished(bench)).download(path)


async def make_select(bench: Bench, path: Path) -> Act:
    async def read() -> None:
        async for _ in bench.client.select("tasks", limit=10):
            pass

    return read()


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (make_submit, 2),
        (make_upload, 3),
        (make_poll, 2),
        (make_result, 2),  # one more where the body comes after its head
        (make_run, 4),
        (make_updates, 2),
        (make_as_completed, 1),
        (make_cancel_of_what_is_over, 2),
        (make_download, 5),
        (make_select, 2),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_cancelled_anywhere(
    bench: Bench,
    tmp_path: Path,
    make: Callable[[Bench, Path], Coroutine[Any, Any, Act]],
    least: int,
) -> None:
    """Wherever it is cancelled, nothing is left and the client works on."""

    async def renewed() -> Act:
        await bench.renew()
        return await make(bench, tmp_path / "file")

    suspensions = await sweep(renewed, bench.check)

    assert least <= suspensions
    assert [] == parts_in(tmp_path)
    assert make is not make_submit or {1} == set(
        bench.server.simulator.submissions.values()
    )


def parts_in(folder: Path) -> list[str]:
    """Name the files that were begun and not finished."""
    return [path.name for path in folder.iterdir() if path.name != "file"]


async def test_cancelled_while_it_ends_a_task(bench: Bench) -> None:
    """Ending a remote task can be cancelled too; it was asked for or it was not."""

    async def make() -> Act:
        await bench.renew()
        task = await bench.helper.submit("sleep", {"seconds": 60})
        async for status in task.updates():
            if status.word == "running":
                break
        return bench.client.cancel(task.token)

    assert 3 <= await sweep(make, bench.settle)

    for task in bench.server.simulator.tasks("aimms"):
        if not task.state.ended:
            await bench.client.cancel(task.id)


async def test_subscribing_waits_for_nothing(bench: Bench) -> None:
    """Subscribing does not suspend, so that it cannot be cancelled half-way."""
    subscriptions: list[StatusSubscription] = []
    task = await finished(bench)

    async def subscribe() -> None:
        subscriptions.append(await bench.client.subscribe(print, task=task))

    async def make() -> Act:
        return subscribe()

    assert 0 == await sweep(make, bench.check)

    for subscription in subscriptions:
        subscription.unsubscribe()


async def test_cancelled_while_it_closes(bench: Bench) -> None:
    """Whoever is cancelled while closing leaves; the closing goes on to its end."""
    files = 0

    async def make() -> Act:
        nonlocal files
        files = open_files()
        await bench.renew()
        waiting = await bench.client.submit("sleep", {"seconds": 60})
        await bench.client.subscribe(print, task=waiting)
        await asyncio.sleep(10 * MS)
        return bench.client.close()

    async def check() -> None:
        await bench.client.close()
        await bench.settle()
        await files_are_closed(files)

    assert 1 == await sweep(make, check)


# --- the harness -------------------------------------------------------------


async def steps(seen: list[str]) -> str:
    """Suspend twice."""
    for name in ("one", "two"):
        await asyncio.sleep(0)
        seen.append(name)
    return "done"


@pytest.mark.parametrize(("at", "passed"), [(1, []), (2, ["one"])])
async def test_harness_cancels_where_it_should(at: int, passed: list[str]) -> None:
    """The coroutine gets no further than to its n-th suspension."""
    seen: list[str] = []
    attempt = CancelAt(at)
    with pytest.raises(asyncio.CancelledError):
        await attempt.run(steps(seen))

    assert (passed, True) == (seen, attempt.cancelled)


async def test_harness_lets_the_rest_run() -> None:
    """Beyond the last suspension nothing is cancelled, and the value comes out."""
    seen: list[str] = []
    attempt = CancelAt(3)

    assert "done" == await attempt.run(steps(seen))
    assert (["one", "two"], False) == (seen, attempt.cancelled)


async def test_harness_finds_what_swallows() -> None:
    """A coroutine that keeps a cancellation to itself is found out."""

    async def swallow() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)

    async def make() -> Act:
        return swallow()

    async def check() -> None:
        pass

    with pytest.raises(AssertionError, match="swallowed at suspension 1"):
        await sweep(make, check)
