"""Functions in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import threading

import pytest

from asynctasks.server.threads import Threads


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    """Give threads that end with the test."""
    threads = Threads()
    yield threads
    await threads.aclose(20)


async def test_returned(threads: Threads) -> None:
    """What the function returns comes back, from a thread that keeps nobody."""
    thread = await threads.run(threading.current_thread)

    assert (True, True) == (thread is not threading.main_thread(), thread.daemon)


async def test_used_again(threads: Threads) -> None:
    """A thread that has done is used again; one that has not is not waited for."""
    first = [await threads.run(threading.get_ident) for _ in range(3)]
    release = threading.Event()
    waiting = asyncio.create_task(threads.run(lambda: release.wait(20)))
    await asyncio.sleep(0)
    other = await threads.run(threading.get_ident)
    release.set()
    await waiting

    assert (1, True) == (len(set(first)), other not in first)


async def test_closed() -> None:
    """Idle threads have ended when closing has; others end when they have done."""
    threads = Threads()
    release = threading.Event()
    found: list[threading.Thread] = []

    def block() -> None:
        found.append(threading.current_thread())
        release.wait(20)

    busy = asyncio.create_task(threads.run(block))
    await asyncio.sleep(0)
    idle = await threads.run(threading.current_thread)
    await threads.aclose(20)
    alive = [idle.is_alive(), found[0].is_alive()]
    release.set()
    await busy
    await asyncio.to_thread(found[0].join, 20)

    assert ([False, True], False) == (alive, found[0].is_alive())


def explode() -> None:
    """Fail."""
    raise KeyError("x")


def stop() -> None:
    """Fail as an iterator does that has no more."""
    raise StopIteration(3)


async def test_raised(threads: Threads) -> None:
    """What the function raises comes back, too."""
    with pytest.raises(KeyError, match="x"):
        await threads.run(explode)


async def test_stop_iteration(threads: Threads) -> None:
    """The exception that no future takes is an error like any other."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(stop)


async def test_cancelled(threads: Threads) -> None:
    """Who is cancelled stops waiting at once; the function ends when it likes."""
    started, release, ended = (threading.Event() for _ in range(3))

    def block() -> None:
        started.set()
        release.wait(20)
        ended.set()

    waiting = asyncio.create_task(threads.run(block))
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
    found: list[threading.Thread] = []

    def block() -> None:
        found.append(threading.current_thread())
        started.set()
        release.wait(20)

    async def leave() -> None:
        threads = Threads()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run(block), 0.01)
        await threads.aclose(20)

    asyncio.run(leave())
    started.wait(20)
    release.set()
    found[0].join(20)

    assert not found[0].is_alive()
