"""The proxy does what is asked of it; a client lives through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import AttemptTimeout, SubmitOutcomeUnknown
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.server.app import LocalServer
from tests.faults.chaos_proxy import ChaosProxy


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer(parallel=20) as server:
        yield server


def client_of(proxy: ChaosProxy, **options: float) -> AimmsClient:
    """Make a client that tries again soon."""
    retry = RetryPolicy(wait_initial=0.01, wait_max=0.02)
    return AimmsClient.local(proxy.url, retry=retry, **options)


async def test_latency_and_throttle_slow_down(server: LocalServer) -> None:
    """Each way takes its time."""
    clock = asyncio.get_running_loop().time
    async with (
        ChaosProxy(server.url, latency=0.05) as proxy,
        client_of(proxy) as client,
    ):
        begun = clock()
        await client.count("tasks")
        late = clock() - begun
        proxy.latency, proxy.throttle = 0.0, 4000
        begun = clock()
        await client.count("tasks")
        throttled = clock() - begun

    assert late > 0.1
    assert throttled > 0.05


async def test_reset_after_loses_the_answer(server: LocalServer) -> None:
    """The request arrives, the answer does not: a submit's outcome is unknown."""
    async with (
        ChaosProxy(server.url, reset_after=0) as proxy,
        client_of(proxy) as client,
    ):
        with pytest.raises(SubmitOutcomeUnknown):
            await client.submit("echo", {})

        assert (1, [1]) == (server.simulator.submissions.total(), proxy.resets)


async def test_blackhole_answers_nothing(server: LocalServer) -> None:
    """Whoever has no timeout waits for ever."""
    async with (
        ChaosProxy(server.url, blackhole=True) as proxy,
        client_of(proxy, attempt_timeout=0.1) as client,
    ):
        with pytest.raises(AttemptTimeout):
            await asyncio.wait_for(client.count("tasks"), 5)


async def test_sever_cuts_what_there_is(server: LocalServer) -> None:
    """Connections end at once; new ones are made."""
    async with ChaosProxy(server.url) as proxy, client_of(proxy) as client:
        task = await client.submit("sleep", {"seconds": 0.3})
        await proxy.sever()
        await task.result(timeout=10)

        assert proxy.accepted > 1


async def test_dice_depend_on_the_seed(server: LocalServer) -> None:
    """The same seed cuts the same connections, and a client gets through all of it."""

    async def resets(seed: int) -> list[int]:
        async with (
            ChaosProxy(server.url, seed=seed, cut=0.3) as proxy,
            client_of(proxy) as client,
        ):
            for _ in range(20):
                await client.count("tasks")
        return proxy.resets

    seen = [await resets(1), await resets(1), await resets(3)]

    assert seen[0] == seen[1] != seen[2]


async def test_server_that_is_gone(server: LocalServer) -> None:
    """A connection that cannot be passed on is hung up."""
    async with ChaosProxy("http://127.0.0.1:1") as proxy:
        reader, writer = await asyncio.open_connection(*proxy.url[7:].split(":"))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")

        with pytest.raises(ConnectionError):
            await reader.readexactly(1)

        writer.close()
