"""What happens inside, told to callables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

from asynctasks import hooks as hooks_module
from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import (
    ConnectionLost,
    PermissionDenied,
    ResultUnavailable,
    SubmitOutcomeUnknown,
    TaskLost,
)
from asynctasks.hooks import (
    Details,
    Hooks,
    RequestDetails,
    ResultDetails,
    RetryDetails,
    StatusDetails,
    SubmitDetails,
    SubscriberDetails,
)
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskState
from asynctasks.testing import MemoryTransport
from tests.scripted import ROOT, Scripted, answer


pytestmark = pytest.mark.virtual_time

LOGGER = logging.getLogger("tests.hooks")

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

QUICK = RetryPolicy(attempts=3, wait_initial=0.5, wait_jitter=0.0)

CANARY = "canary-7f3a"

KINDS: tuple[type, ...] = (
    RequestDetails,
    RetryDetails,
    SubmitDetails,
    StatusDetails,
    ResultDetails,
    SubscriberDetails,
)

Connect = Callable[..., AimmsClient]


@pytest.fixture
def told() -> list[Details]:
    """Provide a list that a hook fills."""
    return []


@pytest.fixture
async def connect(told: list[Details]) -> AsyncIterator[Connect]:
    """Provide a function that makes a client whose hook fills the list."""
    async with AsyncExitStack() as stack:

        def make(world: Any, **options: Any) -> AimmsClient:
            given = {"poll": EVERY_SECOND, "retry": QUICK, "hooks": (told.append,)}
            given["transport"] = MemoryTransport(world)
            client = AimmsClient.local(**{**given, **options})
            stack.push_async_callback(client.close)
            return client

        yield make


def of_kind(told: list[Details], kind: type) -> list[Any]:
    return [details for details in told if isinstance(details, kind)]


# --- each kind, once per event -----------------------------------------------


async def test_life_of_a_task_is_told_once(
    connect: Connect, told: list[Details]
) -> None:
    """One submit, each change, one result; waiting twice tells nothing twice."""
    client = connect(Scripted(t1=("queued", "running", "running", "completed")))
    task = await client.submit("solve")
    await task.wait()
    await task.wait()
    await task.result()
    (submit,) = of_kind(told, SubmitDetails)
    changes = of_kind(told, StatusDetails)
    (result,) = of_kind(told, ResultDetails)

    assert ("solve", task.ref, task.token, None) == (
        submit.service,
        submit.task,
        submit.token,
        submit.error,
    )
    assert TaskState.QUEUED is submit.status.state
    assert [
        (TaskState.QUEUED, TaskState.RUNNING),
        (TaskState.RUNNING, TaskState.SUCCEEDED),
    ] == [(c.before.state, c.status.state) for c in changes]
    assert {(task.ref, task.token)} == {(c.task, c.token) for c in changes}
    assert (task.ref, len(b'{"answer":42}'), None) == (
        result.task,
        result.received,
        result.error,
    )


async def test_task_of_another_process_is_told_from_its_first_look(
    connect: Connect, told: list[Details]
) -> None:
    """Of a task that was not submitted here, nothing was known before."""
    client = connect(Scripted(t1=("running", "completed")))
    await client.handle("t1").wait()
    changes = of_kind(told, StatusDetails)

    assert [None, TaskState.RUNNING] == [
        change.before and change.before.state for change in changes
    ]


async def test_wait_that_is_taken_up_again_tells_news_only(
    connect: Connect, told: list[Details]
) -> None:
    """Giving up and waiting again repeats no change."""
    client = connect(Scripted(t1=("running", "running", "running", "completed")))
    task = client.handle("t1")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await task.wait(timeout=0.5)
    await task.wait()

    assert 2 == len(of_kind(told, StatusDetails))


async def test_task_that_is_lost_is_told(connect: Connect, told: list[Details]) -> None:
    """The last word of a task may be that there will be no more news."""
    client = connect(Scripted(t1=("running", Response(404))))
    with pytest.raises(TaskLost):
        await client.handle("t1").wait()
    last = of_kind(told, StatusDetails)[-1]

    assert isinstance(last.error, TaskLost)
    assert TaskState.RUNNING is last.status.state


async def test_attempts_and_retries_are_told(
    connect: Connect, told: list[Details]
) -> None:
    """Each attempt with its number and what came back; each retry with its wait."""
    service = Scripted()
    broken, lost = Response(503), ConnectionLost("it broke")
    found = answer({"id": "t1", "state": "running"})
    service.write("GET t1", broken, lost, found)
    await connect(service).handle("t1").status()
    attempts, retries = of_kind(told, RequestDetails), of_kind(told, RetryDetails)
    path = "/api/v2/tasks/t1"

    assert [
        ("GET", path, 1, 503, 0, None),
        ("GET", path, 2, None, 0, lost),
        ("GET", path, 3, 200, len(found.body), None),
    ] == [
        (a.method, a.path, a.attempt, a.status, a.received, a.error) for a in attempts
    ]
    assert [(1, "503"), (2, "ConnectionLost")] == [
        (retry.attempt, retry.reason) for retry in retries
    ]
    assert [0.5, 1.0] == [pytest.approx(retry.wait, abs=0.5) for retry in retries]
    assert {"http://localhost"} == {
        details.origin.rpartition(":")[0] for details in [*attempts, *retries]
    }


async def test_seconds_of_an_attempt_are_its_own(
    connect: Connect, told: list[Details]
) -> None:
    """Waiting for a place, or for the next attempt, is no part of an attempt."""
    service = Scripted()
    service.write("GET t1", 2.0)
    client = connect(service, attempt_timeout=1.5)
    with pytest.raises(TimeoutError):
        await client.handle("t1").status()

    assert [1.5] * 3 == [
        pytest.approx(details.seconds, abs=0.01)
        for details in of_kind(told, RequestDetails)
    ]


async def test_cancelled_attempt_is_told_without_an_outcome(
    connect: Connect, told: list[Details]
) -> None:
    """Neither an answer nor an error."""
    service = Scripted()
    service.write("GET t1", 100.0)
    asking = asyncio.create_task(connect(service).handle("t1").status())
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.wait([asking])
    (attempt,) = of_kind(told, RequestDetails)

    assert (None, None) == (attempt.status, attempt.error)


async def test_download_is_told(
    connect: Connect, told: list[Details], tmp_path: Path
) -> None:
    """The attempt for a streamed body too, and the result it made."""
    client = connect(Scripted(t1="completed"))
    await client.handle("t1").download(tmp_path / "answer.json")
    paths = [details.path for details in of_kind(told, RequestDetails)]

    assert "/api/v2/tasks/t1/response" == paths[-1]
    assert 1 == len(of_kind(told, ResultDetails))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (Response(403), PermissionDenied),
        (ConnectionLost("it broke"), SubmitOutcomeUnknown),
    ],
)
async def test_submit_that_fails_is_told(
    connect: Connect, told: list[Details], line: Any, kind: type[Exception]
) -> None:
    """The error is the one that the caller gets."""
    service = Scripted()
    service.write("POST solve", line)
    with pytest.raises(kind) as caught:
        await connect(service).submit("solve")
    (submit,) = of_kind(told, SubmitDetails)

    assert (None, "", None, caught.value) == (
        submit.task,
        submit.token,
        submit.status,
        submit.error,
    )


async def test_result_that_fails_is_told(
    connect: Connect, told: list[Details], tmp_path: Path
) -> None:
    """The error is what the caller gets a copy of, in memory or to a file."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(404))
    task = connect(service).handle("t1")
    with pytest.raises(ResultUnavailable) as first:
        await task.result()
    with pytest.raises(ResultUnavailable) as second:
        await task.download(tmp_path / "answer")

    assert [(type(e.value), vars(e.value)) for e in (first, second)] == [
        (type(details.error), vars(details.error))
        for details in of_kind(told, ResultDetails)
    ]


async def test_subscriber_is_told(connect: Connect, told: list[Details]) -> None:
    """Its start, a callback that raises, a queue that overflows, and its end."""
    client = connect(Scripted(), cleanup="keep")
    problem = KeyError("x")

    async def callback(_: Any) -> None:
        await asyncio.sleep(10)
        raise problem

    await client.subscribe(callback, queue_size=1)
    for _ in range(5):
        await client.submit("solve")
    await asyncio.sleep(15)
    await client.close()
    events = [(d.event, d.error) for d in of_kind(told, SubscriberDetails)]

    assert ("started", None) == events[0]
    assert ("closed", None) == events[-1]
    assert ("callback", problem) in events
    assert ("gap", None) in events


# --- nobody is harmed --------------------------------------------------------


async def test_hook_that_raises_harms_nobody(
    connect: Connect, told: list[Details], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the next hook is told, and the work goes on."""

    def broken(_: Details) -> None:
        raise ZeroDivisionError

    client = connect(Scripted(t1="completed"), hooks=(broken, told.append))
    await client.subscribe(print)

    assert {"answer": 42} == await client.run("solve")
    assert {"a hook raised"} == {record.getMessage() for record in caplog.records}
    assert len(told) == len(caplog.records)


def test_hooks_are_called_in_order() -> None:
    """One after the other, as they were given."""
    heard: list[str] = []
    hooks = Hooks([lambda _: heard.append("a"), lambda _: heard.append("b")], LOGGER)
    hooks.tell(SubscriberDetails(event="started"))

    assert ["a", "b"] == heard
    assert hooks


async def everything(client: AimmsClient, service: Scripted, path: Path) -> None:
    """Do all that hooks are told of, failures included."""
    await client.subscribe(print)
    await client.run("solve", {"secret": CANARY})
    await client.handle("t1").download(path)
    service.write("GET t2", Response(503), "running")
    await client.handle("t2").status()
    refusal = Response(403, Headers({"Set-Cookie": CANARY}), b"no")
    service.write("POST refused", refusal)
    with pytest.raises(PermissionDenied):
        await client.submit("refused", content=CANARY)
    service.write("POST lost", ConnectionLost("it broke"))
    with pytest.raises(SubmitOutcomeUnknown):
        await client.submit("lost", {"secret": CANARY})


async def test_no_secret_is_told(told: list[Details], tmp_path: Path) -> None:
    """Neither keys nor inputs, contents, results or cookies are in any details."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", answer({"result": CANARY}))

    async def cloud(request: Request) -> Response:
        name = request.path.removeprefix("/pro-api/v2/tasks/").removeprefix("Plan/1/")
        return await service(attrs.evolve(request, url=ROOT + name))

    client = AimmsClient.cloud(
        "acme",
        app="Plan",
        version="1",
        api_key=CANARY,
        transport=MemoryTransport(cloud),
        poll=EVERY_SECOND,
        retry=QUICK,
        hooks=(told.append,),
    )
    await everything(client, service, tmp_path / "answer")
    await client.close()
    shown = [f"{details!r} {getattr(details, 'error', '')!r}" for details in told]

    assert set(KINDS) == {type(details) for details in told}
    assert [] == [text for text in shown if CANARY in text]


# --- what is not used costs nothing ------------------------------------------


async def test_unused_hooks_build_no_details(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without hooks no value is made for them."""
    made: list[str] = []

    def counting(kind: type) -> type:
        class Counted(kind):  # type: ignore[misc]
            def __new__(cls, *_: Any, **__: Any) -> Any:
                made.append(kind.__name__)
                return object.__new__(cls)

        return Counted

    for module in ("driver", "desk", "results", "subscriber"):
        for kind in KINDS:
            name = f"asynctasks.{module}.{kind.__name__}"
            monkeypatch.setattr(name, counting(kind), raising=False)

    async def use(**options: Any) -> list[str]:
        made.clear()
        service = Scripted(t1="completed")
        transport = MemoryTransport(service)
        client = AimmsClient.local(
            transport=transport, poll=EVERY_SECOND, retry=QUICK, **options
        )
        await everything(client, service, tmp_path / "answer")
        await client.close()
        return sorted(set(made))

    assert sorted(kind.__name__ for kind in KINDS) == await use(hooks=(print,))
    assert [] == await use()


def test_every_kind_is_frozen() -> None:
    """A hook cannot change what the next one is told; all kinds are tested here."""
    public = {getattr(hooks_module, name) for name in hooks_module.__all__}

    assert set(KINDS) == {kind for kind in public if attrs.has(kind)}
    for kind in KINDS:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(object.__new__(kind), "event", "other")  # noqa: B010
