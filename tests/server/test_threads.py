"""Functions in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asynctasks.server.threads import run_in_thread


async def test_returned() -> None:
    """What the function returns comes back, from a thread with the given name."""
    name = await run_in_thread(lambda: threading.current_thread().name, "worker 7")

    assert "worker 7" == name


def explode() -> None:
    """Fail."""
    raise KeyError("x")


def stop() -> None:
    """Fail as an iterator does that has no more."""
    raise StopIteration(3)


async def test_raised() -> None:
    """What the function raises comes back, too."""
    with pytest.raises(KeyError, match="x"):
        await run_in_thread(explode, "explode")


async def test_stop_iteration() -> None:
    """The exception that no future takes is an error like any other."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_in_thread(stop, "stop")


async def test_cancelled() -> None:
    """Who is cancelled stops waiting at once; the function ends when it likes."""
    started, release, ended = (threading.Event() for _ in range(3))

    def block() -> None:
        started.set()
        release.wait(20)
        ended.set()

    waiting = asyncio.create_task(run_in_thread(block, "block"))
    await asyncio.to_thread(started.wait, 20)
    waiting.cancel()
    await asyncio.wait([waiting])
    was_ended = ended.is_set()
    release.set()
    await asyncio.to_thread(ended.wait, 20)

    assert (True, False, True) == (waiting.cancelled(), was_ended, ended.is_set())


def test_closed_loop() -> None:
    """A function that outlives its loop ends without a word, and keeps nobody."""
    started, release = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def block() -> None:
        threads.append(threading.current_thread())
        started.set()
        release.wait(20)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_in_thread(block, "block"), 0.01)

    asyncio.run(leave())
    started.wait(20)
    daemon = threads[0].daemon
    release.set()
    threads[0].join(20)

    assert (True, False) == (daemon, threads[0].is_alive())
