"""AIMMS' own Python library against the embedded server (extra ``peers``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date
import json
import threading
from typing import Any
import uuid

import pytest

from asynctasks.server.app import LocalServer
from tests.timing import MS


aimmscloud = pytest.importorskip("aimmscloud")

pytestmark = pytest.mark.peers

KEY = "1" * 44


class Site:
    """A server, and the library's client of it; the library blocks."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.tasks = aimmscloud.Task(f"{server.url}/pro-api/v2", KEY)

    async def ask(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make a call of the library in a thread."""
        return await asyncio.to_thread(call, *args, **options)

    async def submit(self, service: str, inputs: Any = None) -> str:
        """Submit and return the id."""
        create = self.tasks.create_task
        answer = await self.ask(create, "My App", "007", service, inputs)
        task_id: str = answer["id"]
        return task_id

    def wait(self, task_id: str) -> Any:
        """Poll until the task has ended; the library has nothing for it."""
        while True:
            task = self.tasks.get_task(task_id)
            if task["state"] in {"completed", "failed"}:
                return task
            threading.Event().wait(5 * MS)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Give a server that asks for the key."""
    async with LocalServer(api_key=KEY) as server:
        site = Site(server)
        yield site
        site.tasks.api_client.rest_client.pool_manager.clear()


async def test_run(site: Site) -> None:
    """A task is submitted, polled and fetched."""
    task_id = await site.submit("echo", {"a": 1})
    task = await site.ask(site.wait, task_id)
    response = await site.ask(site.tasks.get_task_response, task_id)

    assert {"a": 1} == json.loads(response)
    assert ("My App", "007", "echo", "completed", 1) == (
        task["appName"],
        task["appVersion"],
        task["serviceName"],
        task["state"],
        task["returnCode"],
    )


async def test_failed(site: Site) -> None:
    """A failed task has its message."""
    task_id = await site.submit("fail", {"message": "no more"})
    task = await site.ask(site.wait, task_id)

    assert ("failed", "no more") == (task["state"], task["errorMessage"])


async def test_list(site: Site) -> None:
    """Tasks are listed by application, version and day."""
    task_id = await site.submit("echo", {"a": 1})
    tasks = site.tasks.get_tasks
    found = await site.ask(tasks, "My App", "007", after_date=date(2020, 1, 1))
    older = await site.ask(tasks, "My App", "007", before_date=date(2020, 1, 1))

    assert (1, [task_id], 0) == (
        found["total_tasks"],
        [task["id"] for task in found["current_batch"]],
        older["total_tasks"],
    )


async def test_interrupt_and_delete(site: Site) -> None:
    """A task is interrupted, which lets it complete, and deleted."""

    @site.server.service("patient")
    async def patient(inputs: Any, context: Any) -> Any:
        while not context.stop_requested:  # noqa: ASYNC110 - as a solver looks
            await asyncio.sleep(MS)
        return {"gap": 0.1}

    task_id = await site.submit("patient")
    await site.ask(site.tasks.interrupt_task, task_id)
    task = await site.ask(site.wait, task_id)
    await site.ask(site.tasks.delete_task, task_id)
    found = await site.ask(site.tasks.get_tasks, "My App", "007")

    assert ("completed", 0) == (task["state"], found["total_tasks"])


async def test_latest_and_schedule(site: Site) -> None:
    """The generated client underneath submits to the latest version, for later."""
    api = site.tasks.task_api
    task = await site.ask(
        api.create_task_latest_version, "My App", "echo", schedule_in="1 day"
    )

    assert ("queued", True) == (task.state, task.schedule_for is not None)


async def test_unknown_task(site: Site) -> None:
    """An unknown id raises the library's own error with our message."""
    from aimms_openapi_client.exceptions import NotFoundException  # noqa: PLC0415

    with pytest.raises(NotFoundException, match="TaskNotFound"):
        await site.ask(site.tasks.get_task, str(uuid.uuid4()))


async def test_wrong_key(site: Site) -> None:
    """A wrong key raises the library's own error."""
    from aimms_openapi_client.exceptions import UnauthorizedException  # noqa: PLC0415

    wrong = aimmscloud.Task(f"{site.server.url}/pro-api/v2", "wrong")
    with pytest.raises(UnauthorizedException):
        await site.ask(wrong.get_task, "x")
    wrong.api_client.rest_client.pool_manager.clear()


async def test_version(site: Site) -> None:
    """The server tells its version."""
    from aimms_openapi_client.api.server_api import ServerApi  # noqa: PLC0415

    answer = await site.ask(ServerApi(site.tasks.api_client).get_version)

    assert "v2.0" == answer.version
