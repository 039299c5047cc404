"""Metrics for Prometheus: counted once, with bounded labels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import ConnectionLost, PermissionDenied, TaskLost
from asynctasks.hooks import StatusDetails, SubmitDetails
from asynctasks.integrations import prometheus
from asynctasks.integrations.prometheus import PrometheusHook
from asynctasks.sansio.http import Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.testing import MemoryTransport
from tests.scripted import Scripted, answer


pytestmark = pytest.mark.virtual_time

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

QUICK = RetryPolicy(attempts=3, wait_initial=0.1, wait_jitter=0.0)

RUNNING = TaskStatus(state=TaskState.RUNNING, word="running")

Connect = Callable[[Scripted], AimmsClient]


@pytest.fixture
def registry() -> CollectorRegistry:
    """Provide a registry of this test's own."""
    return CollectorRegistry()


@pytest.fixture
async def connect(registry: CollectorRegistry) -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service."""
    hook = PrometheusHook(registry)
    async with AsyncExitStack() as stack:

        def make(service: Scripted) -> AimmsClient:
            client = AimmsClient.local(
                transport=MemoryTransport(service),
                poll=EVERY_SECOND,
                retry=QUICK,
                hooks=(hook,),
            )
            stack.push_async_callback(client.close)
            return client

        yield make


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by its labels, without its origin."""
    return {
        tuple(value for key, value in sample.labels.items() if key != "origin"): value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == f"asynctasks_{name}"
        for value in [sample.value]
    }


async def test_life_of_a_task_is_counted(
    connect: Connect, registry: CollectorRegistry
) -> None:
    """One submit, one end, one result, and how long it ran."""
    service = Scripted()
    done = {"id": "t1", "state": "completed", "queueTime": 1.0, "runTime": 4.0}
    service.write("GET t1", "running", answer(done))
    task = await connect(service).submit("solve")
    opened = samples(registry, "tasks_open")
    await task.wait()
    await task.wait()
    await task.result()

    assert {("solve",): 1.0} == opened
    assert {("solve",): 0.0} == samples(registry, "tasks_open")
    assert {("solve", "accepted"): 1.0} == samples(registry, "submits_total")
    assert {("solve", "succeeded"): 1.0} == samples(registry, "tasks_ended_total")
    assert {("solve", "fetched"): 1.0} == samples(registry, "results_total")
    assert {("solve",): 4.0} == samples(registry, "task_run_seconds_sum")
    assert {("POST", "200"): 1.0, ("GET", "200"): 3.0} == samples(
        registry, "request_seconds_count"
    )


async def test_waits_that_are_given_up_do_not_count_twice(
    connect: Connect, registry: CollectorRegistry
) -> None:
    """A task that is waited for again and again is one open task."""
    task = connect(Scripted(t1=("running",) * 9 + ("failed",))).handle("t1")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await task.wait(timeout=1.5)
    opened = samples(registry, "tasks_open")
    await task.wait()

    assert {("",): 1.0} == opened
    assert {("",): 0.0} == samples(registry, "tasks_open")
    assert {("", "failed"): 1.0} == samples(registry, "tasks_ended_total")


async def test_failures_are_counted_by_their_class(
    connect: Connect, registry: CollectorRegistry
) -> None:
    """Retries by reason; attempts, submits and ends by what came out."""
    service = Scripted(t1=("running", Response(404)))
    service.write("POST refused", Response(403))
    service.write("GET t2", Response(503), ConnectionLost("it broke"), "running")
    client = connect(service)
    with pytest.raises(PermissionDenied):
        await client.submit("refused")
    await client.handle("t2").status()
    with pytest.raises(TaskLost):
        await (await client.submit("solve")).wait()

    assert {("503",): 1.0, ("ConnectionLost",): 1.0} == samples(
        registry, "retries_total"
    )
    assert {("refused", "PermissionDenied"): 1.0, ("solve", "accepted"): 1.0} == (
        samples(registry, "submits_total")
    )
    assert {("solve", "lost"): 1.0} == samples(registry, "tasks_ended_total")
    assert 1.0 == samples(registry, "request_seconds_count")["GET", "ConnectionLost"]


async def test_cancelled_attempts_have_a_label_of_their_own(
    connect: Connect, registry: CollectorRegistry
) -> None:
    """An attempt that we gave up came to nothing."""
    service = Scripted()
    service.write("GET t1", 100.0)
    asking = asyncio.create_task(connect(service).handle("t1").status())
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.wait([asking])

    assert {("GET", "cancelled"): 1.0} == samples(registry, "request_seconds_count")


async def test_subscriber_is_counted(
    connect: Connect, registry: CollectorRegistry
) -> None:
    """What happens to the subscriber, by its name."""

    def broken(_: Any) -> None:
        raise KeyError("x")

    client = connect(Scripted(t1="completed"))
    await client.subscribe(broken)
    await client.run("solve")
    await client.close()

    assert {("started",): 1.0, ("callback",): 2.0, ("closed",): 1.0} == samples(
        registry, "subscriber_events_total"
    )


def test_open_tasks_that_are_remembered_are_bounded(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is no longer counted; its end is, once."""
    monkeypatch.setattr(prometheus, "REMEMBERED", 2)
    hook = PrometheusHook(registry)
    for number in range(3):
        ref = TaskRef(id=str(number), service=f"s{number}")
        token = str(number)
        hook(SubmitDetails(service=f"s{number}", seconds=1, task=ref, token=token))
    done = TaskStatus(state=TaskState.SUCCEEDED)
    ref = TaskRef(id="0", service="s0")
    hook(StatusDetails(task=ref, token="0", status=done, before=RUNNING))

    assert {("s0",): 0.0, ("s1",): 1.0, ("s2",): 1.0} == samples(registry, "tasks_open")
    assert {("s0", "succeeded"): 1.0} == samples(registry, "tasks_ended_total")


async def test_no_id_is_a_label(connect: Connect, registry: CollectorRegistry) -> None:
    """Ids and paths would make as many series as there are tasks."""
    service = Scripted()
    service.write("POST solve", answer({"id": "canary-7f3a", "state": "queued"}))
    service.write("GET canary-7f3a", "completed")
    await connect(service).run("solve")

    assert b"solve" in generate_latest(registry)
    assert b"canary-7f3a" not in generate_latest(registry)
