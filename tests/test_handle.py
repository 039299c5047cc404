"""Handles: waiting for tasks, fetching results, ending tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
import gc
import logging
import math
from pathlib import Path
import re
import traceback
from typing import Any

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidArgument,
    NotFound,
    PatienceExceeded,
    ResultUnavailable,
    ServiceBroken,
    TaskCancelled,
    TaskError,
    TaskFailed,
    TaskLost,
)
from asynctasks.handle import TaskHandle
from asynctasks.sansio.http import Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.testing import MemoryTransport
from tests.scripted import EVERY_SECOND, Scripted, answer, client_of


pytestmark = pytest.mark.virtual_time

Connect = Callable[..., AimmsClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Provide a function that makes a client of a scripted service."""
    clients: list[AimmsClient] = []

    def make(service: Scripted, **options: Any) -> AimmsClient:
        clients.append(client_of(service, **options))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


def handle_of(connect: Connect, *script: Any, **options: Any) -> TaskHandle:
    """Return the handle of a task ``t1`` with a script of its own."""
    return connect(Scripted(t1=script), **options).handle("t1")


def now() -> float:
    return asyncio.get_running_loop().time()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def watched(task: TaskHandle) -> int:
    """Count what the watcher of a handle's client looks at."""
    desk: Any = task._tasks
    return len(desk.watcher)


# --- what it is --------------------------------------------------------------


async def test_handle_shows_what_it_is(connect: Connect) -> None:
    """A handle shows its id, its run and what was last seen."""
    client = connect(Scripted(t1="running"))
    task = client.handle("t1")
    run = client.recurring("t1").run(3)

    assert ("t1", TaskRef(id="t1"), None) == (task.id, task.ref, task.last_status)
    assert "<TaskHandle t1: not seen yet>" == repr(task)
    assert "<TaskHandle t1 run 3: not seen yet>" == repr(run)

    await task.status()

    assert "<TaskHandle t1: RUNNING>" == repr(task)


async def test_making_a_handle_asks_nothing(connect: Connect) -> None:
    """A handle, its token and a handle of the token need no service."""
    service = Scripted()
    client = connect(service)
    again = client.handle(client.handle("t1").token)

    assert "t1" == again.id
    assert 0 == service.calls.total()


async def test_status_asks_once(connect: Connect) -> None:
    """One look, with the retries of any request."""
    service = Scripted(t1=(Response(503), "running"))
    task = connect(service).handle("t1")
    status = await task.status()

    assert TaskState.RUNNING is status.state
    assert status is task.last_status
    assert 2 == service.calls["GET t1"]


async def test_status_of_a_task_that_is_not_there(connect: Connect) -> None:
    """One look at an id that the service does not know is NotFound."""
    with pytest.raises(NotFound):
        await handle_of(connect, Response(404)).status()


# --- updates -----------------------------------------------------------------


async def test_updates_go_through_the_states(connect: Connect) -> None:
    """Each state is told once, the last one last."""
    task = handle_of(connect, "queued", "running", "running", "solving", "completed")
    words = [status.word async for status in task.updates()]

    assert ["queued", "running", "solving", "completed"] == words
    assert 0 == watched(task)


async def test_updates_begin_with_what_is_known(connect: Connect) -> None:
    """The state that the submit told comes first, without a look."""
    service = Scripted(t1="completed")
    task = await connect(service).submit("solve")
    async with aclosing(task.updates()) as updates:
        first = await anext(updates)

        assert "queued" == first.word
        assert 0 == service.calls["GET t1"]

        assert ["completed"] == [status.word async for status in updates]


async def test_updates_of_a_task_that_is_over(connect: Connect) -> None:
    """Whoever comes late gets the last state, and that is all."""
    task = handle_of(connect, "completed")
    await task.wait()

    assert ["completed"] == [status.word async for status in task.updates()]


async def test_slow_reader_gets_the_newest_state(connect: Connect) -> None:
    """States that passed while the reader was busy are skipped."""
    task = handle_of(connect, "queued", "assigned", "running", "solving", "completed")
    words = []
    async for status in task.updates():
        words.append(status.word)
        await asyncio.sleep(2.5)

    assert ["queued", "running", "completed"] == words


async def test_reader_slower_than_the_task_gets_its_end(connect: Connect) -> None:
    """The last state is told although it came while the reader was busy."""
    task = handle_of(connect, "queued", "running", "completed")
    words = []
    async for status in task.updates():
        words.append(status.word)
        await asyncio.sleep(3600)

    assert ["queued", "completed"] == words


async def test_updates_raise_what_ends_them(connect: Connect) -> None:
    """A task that cannot be looked at any more ends the iteration with the reason."""
    task = handle_of(connect, "running", Response(401))
    updates = task.updates()

    assert "running" == (await anext(updates)).word
    with pytest.raises(AuthenticationFailed):
        await anext(updates)
    assert 0 == watched(task)


async def test_reader_that_leaves_lets_go(connect: Connect) -> None:
    """Leaving the iteration early ends the looking."""
    task = handle_of(connect, "running")
    async for _ in task.updates():
        break
    gc.collect()
    await asyncio.sleep(0.1)

    assert 0 == watched(task)


# --- waiting -----------------------------------------------------------------


async def test_wait_returns_however_it_ended(connect: Connect) -> None:
    """Waiting is not fetching: a failure is a status here."""
    status = await handle_of(connect, "running", "failed").wait()

    assert (TaskState.FAILED, True) == (status.state, status.done)


async def test_one_look_serves_all_waiters(connect: Connect) -> None:
    """Any number of coroutines wait; the result is fetched once for all of them."""
    service = Scripted(t1=("running", "running", "completed"))
    service.write("GET t1/response", 0.5, answer({"answer": 42}))
    task = connect(service).handle("t1")
    results = await asyncio.gather(*[task.result() for _ in range(50)], task)

    assert [{"answer": 42}] * 51 == results
    assert (3, 1) == (service.calls["GET t1"], service.calls["GET t1/response"])


async def test_two_handles_of_one_task_share_their_looks(connect: Connect) -> None:
    """Handles of the same id are looked at together."""
    service = Scripted(t1=("running", "completed"))
    client = connect(service)
    await asyncio.gather(client.handle("t1").wait(), client.handle("t1").wait())

    assert 2 == service.calls["GET t1"]


async def test_waiters_that_give_up_harm_nobody(connect: Connect) -> None:
    """One is cancelled, one runs out of patience; the third gets the result."""
    service = Scripted(t1=(*["running"] * 9, "completed"))
    task = connect(service).handle("t1")
    cancelled = asyncio.create_task(task.result())
    hasty = asyncio.create_task(task.result(timeout=3))
    patient = asyncio.create_task(task.result())
    await asyncio.sleep(2.5)
    cancelled.cancel()
    ends = await asyncio.gather(cancelled, hasty, patient, return_exceptions=True)

    assert [asyncio.CancelledError, PatienceExceeded, dict] == [type(x) for x in ends]
    assert 0 == watched(task)


async def test_patience_names_the_task_and_the_last_failure(connect: Connect) -> None:
    """The error says what was last seen and why, and brings the handle back."""
    service = Scripted(t1=("running", Response(500)))
    client = connect(service)
    task = client.handle("t1")
    begun = now()
    with pytest.raises(PatienceExceeded) as caught:
        await task.result(timeout=10)
    error = caught.value

    assert 10.0 == round(now() - begun, 3)
    assert ("t1", task.token, 10) == (error.task_id, error.token, error.timeout)
    assert error.status is not None
    assert TaskState.RUNNING is error.status.state
    assert isinstance(error.__cause__, ServiceBroken)
    assert isinstance(error, TimeoutError)
    assert 0 == watched(task)

    service.write("GET t1", "completed")

    assert {"answer": 42} == await client.handle(error.token)
    assert {"answer": 42} == await task


async def test_patience_without_a_failure_has_no_cause(connect: Connect) -> None:
    """A task that just takes longer is no failure."""
    with pytest.raises(PatienceExceeded) as caught:
        await handle_of(connect, "running").wait(timeout=1.5)

    assert caught.value.__cause__ is None


async def test_patience_is_bounded_by_default(connect: Connect) -> None:
    """Without a timeout the client's patience holds; 24 hours if it has none."""
    begun = now()
    hourly = PollPolicy(wait_initial=3600.0, wait_max=3600.0)
    with pytest.raises(PatienceExceeded):
        await handle_of(connect, "pondering", poll=hourly, patience=7200.0).result()

    assert 7200.0 == round(now() - begun, 3)
    with pytest.raises(PatienceExceeded, match="within 86400 s"):
        await handle_of(connect, "running", poll=hourly).result()


async def test_no_patience_at_all(connect: Connect) -> None:
    """A timeout of 0 asks for what is known: a result, or PatienceExceeded."""
    task = handle_of(connect, 1.0, "completed")
    with pytest.raises(PatienceExceeded, match="not seen yet"):
        await task.result(timeout=0)
    await task.status()

    assert {"answer": 42} == await task.result(timeout=0)


@pytest.mark.parametrize("timeout", [math.nan, -1, True, "5", [5]])
@pytest.mark.parametrize("verb", ["wait", "result", "download", "cancel"])
async def test_timeout_that_is_no_number_of_seconds(
    connect: Connect, tmp_path: Path, verb: str, timeout: Any
) -> None:
    """It is refused before anything is asked of the service."""
    service = Scripted(t1="running")
    task = connect(service).handle("t1")
    path = [tmp_path / "x"] if verb == "download" else []
    shown = re.escape(f"timeout={timeout!r}: give a number of seconds, 0 or more")
    with pytest.raises(InvalidArgument, match=f"^{shown}$"):
        await getattr(task, verb)(*path, timeout=timeout)

    assert {} == service.calls


async def test_timeouts_of_others_stay_theirs(connect: Connect) -> None:
    """A timeout around the wait is the caller's, not ours."""
    task = handle_of(connect, "running")
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(2):
            await task.result(timeout=60)

    assert TimeoutError is type(caught.value)


async def test_timeout_within_a_look_is_no_loss_of_patience(connect: Connect) -> None:
    """A TimeoutError that a key's callable raises comes out as it is."""

    async def key() -> str:
        raise TimeoutError("the vault is slow")

    client = AimmsClient.cloud(
        "acme",
        app="A",
        api_key=key,
        transport=MemoryTransport(Scripted()),
        poll=EVERY_SECOND,
    )
    async with client:
        with pytest.raises(TimeoutError, match="the vault is slow"):
            await client.handle("t1").result(timeout=5)


async def test_end_at_the_last_moment_counts(connect: Connect) -> None:
    """A task that ends in the moment in which patience does has ended."""
    task = handle_of(connect, "running")
    waiting = asyncio.create_task(task.wait(timeout=2.0))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    done = TaskStatus(state=TaskState.SUCCEEDED, word="completed")
    # Called in the same round as the timer, in whatever order.
    loop.call_at(now() + 2.0, task.see, done)
    status = await waiting

    assert "completed" == status.word


async def test_lost_task(connect: Connect) -> None:
    """A task that the service does not know three times in a row is lost."""
    service = Scripted(t1=("running", Response(404)))
    task = connect(service).handle("t1")
    with pytest.raises(TaskLost) as caught:
        await task

    assert task.token == caught.value.token
    assert 4 == service.calls["GET t1"]


# --- results -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("decode", "expected"),
    [
        ("auto", {"answer": 42}),
        ("json", {"answer": 42}),
        ("text", '{"answer":42}'),
        ("bytes", b'{"answer":42}'),
    ],
)
async def test_result_is_decoded_as_wanted(
    connect: Connect, decode: str, expected: object
) -> None:
    """The caller chooses what the bytes become."""
    task = handle_of(connect, "completed")

    assert expected == await task.result(decode=decode)


async def test_result_that_failed_keeps_the_words(connect: Connect) -> None:
    """A failed task is TaskFailed, with what the service says about it."""
    document = {"id": "t1", "state": "failed", "errorMessage": "the oven is cold"}
    task = handle_of(connect, "running", answer(document))
    with pytest.raises(TaskFailed) as caught:
        await task

    assert "task t1 failed (failed): the oven is cold" == str(caught.value)
    assert task.last_status == caught.value.status


async def test_result_that_is_not_there(connect: Connect) -> None:
    """A finished task without a result is ResultUnavailable, after some tries."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(404))
    task = connect(service).handle("t1")
    with pytest.raises(ResultUnavailable) as caught:
        await task

    assert task.token == caught.value.token
    assert isinstance(caught.value.__cause__, NotFound)


async def test_result_can_be_fetched_again(connect: Connect) -> None:
    """Nothing is kept in memory: a second call fetches again."""
    service = Scripted(t1="completed")
    task = connect(service).handle("t1")
    await task
    await task

    assert (1, 2) == (service.calls["GET t1"], service.calls["GET t1/response"])


async def test_fetch_that_all_gave_up_ends(connect: Connect) -> None:
    """When nobody waits for the result any more, the request is ended."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", 3600.0, answer({"answer": 42}))
    task = connect(service).handle("t1")
    await task.status()
    waiting = [asyncio.create_task(task.result()) for _ in range(2)]
    await asyncio.sleep(1)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)

    assert all(each.cancelled() for each in waiting)
    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert {"answer": 42} == await task


async def test_fetch_goes_on_for_those_who_stay(connect: Connect) -> None:
    """One of two who wait for the fetch is cancelled; the other gets it."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", 5.0, answer({"answer": 42}))
    task = connect(service).handle("t1")
    one, other = (asyncio.create_task(task.result()) for _ in range(2))
    await asyncio.sleep(1)
    one.cancel()

    assert {"answer": 42} == await other
    assert 1 == service.calls["GET t1/response"]


# --- cleanup -----------------------------------------------------------------


async def test_cleanup_comes_after_the_result(connect: Connect) -> None:
    """The task is removed once its result is here; the handle keeps it."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(500), answer({"answer": 42}))
    task = connect(service, cleanup="delete").handle("t1")
    results = [*(await asyncio.gather(task.result(), task.result())), await task]

    assert [{"answer": 42}] * 3 == results
    assert ["GET t1", "GET t1/response", "DELETE t1"] == list(service.calls)
    assert 1 == service.calls["DELETE t1"]


async def test_cleanup_keeps_what_failed(connect: Connect) -> None:
    """A task without a result to fetch is not removed."""
    service = Scripted(t1="failed", t2="completed")
    service.write("GET t2/response", Response(403))
    client = connect(service, cleanup="delete")
    ends = await asyncio.gather(
        client.handle("t1"), client.handle("t2"), return_exceptions=True
    )

    assert all(isinstance(end, Exception) for end in ends)
    assert {"DELETE t1", "DELETE t2"}.isdisjoint(service.calls)


async def test_cleanup_that_fails_is_only_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The result counts; that the task stays at the service is a warning."""
    service = Scripted(t1="completed")
    service.write("DELETE t1", Response(403))
    with caplog.at_level(logging.WARNING):
        result = await connect(service, cleanup="delete").handle("t1")

    assert {"answer": 42} == result
    assert "task t1 could not be removed" in caplog.text


async def test_result_survives_a_cancelled_cleanup(connect: Connect) -> None:
    """Cancelled while the task is removed: the result is still in the handle."""
    service = Scripted(t1="completed")
    service.write("DELETE t1", 3600.0)
    task = connect(service, cleanup="delete").handle("t1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await task.result()

    assert {"answer": 42} == await task.result()
    assert 1 == service.calls["GET t1/response"]


# --- downloads ---------------------------------------------------------------


async def test_download_streams_to_a_file(connect: Connect, tmp_path: Path) -> None:
    """The result is in the file, whole, and nothing else is there."""
    body = b"0123456789" * 50_000
    service = Scripted(t1=("running", "completed"))
    service.write("GET t1/response", Response(200, body=body))
    path = await connect(service).handle("t1").download(tmp_path / "result.bin")

    assert [path.name] == names_in(tmp_path)
    assert body == path.read_bytes()


async def test_download_to_what_is_no_path_is_refused_before_the_wait(
    connect: Connect,
) -> None:
    """Nobody waits for hours to be told that there is no file."""
    service = Scripted(t1="running")
    path: Any = None
    with pytest.raises(TypeError):
        await connect(service).handle("t1").download(path)

    assert {} == service.calls


async def test_download_of_a_failed_task(connect: Connect, tmp_path: Path) -> None:
    """A failed task has no result; no file is made."""
    with pytest.raises(TaskFailed):
        await handle_of(connect, "failed").download(tmp_path / "result.bin")

    assert [] == names_in(tmp_path)


async def test_download_is_bounded_by_patience(
    connect: Connect, tmp_path: Path
) -> None:
    """Waiting for the task ends as it does for a result."""
    with pytest.raises(PatienceExceeded):
        await handle_of(connect, "running").download(tmp_path / "x", timeout=1)


# --- cancelling --------------------------------------------------------------


async def test_cancel_a_queued_task(connect: Connect) -> None:
    """A queued task is removed, which is all that the service needs."""
    service = Scripted(t1="queued")
    task = connect(service).handle("t1")
    waiting = asyncio.create_task(task.result())
    await asyncio.sleep(0.5)
    status = await task.cancel()

    assert TaskState.CANCELLED is status.state
    assert 1 == service.calls["DELETE t1"]
    with pytest.raises(TaskCancelled):
        await waiting


async def test_cancel_a_running_task(connect: Connect) -> None:
    """A running task is interrupted, and its end is waited for."""
    service = Scripted(t1=("running", "running", "running", "failed"))
    task = connect(service).handle("t1")
    waiting = asyncio.create_task(task.result())
    await asyncio.sleep(0.5)
    status = await task.cancel()

    assert (TaskState.FAILED, True) == (status.state, status.cancel_requested)
    assert 1 == service.calls["PUT t1"]
    with pytest.raises(TaskCancelled):
        await waiting


async def test_cancel_comes_too_late(connect: Connect) -> None:
    """A task that is over is left alone; its status is returned."""
    service = Scripted(t1="completed")
    status = await connect(service).handle("t1").cancel()

    assert TaskState.SUCCEEDED is status.state
    assert {"GET t1"} == set(service.calls)


async def test_cancel_without_waiting(connect: Connect) -> None:
    """With a timeout of 0 the request is made, and that is all."""
    status = await handle_of(connect, "running").cancel(timeout=0)

    assert (False, True) == (status.done, status.cancel_requested)


async def test_cancel_that_is_not_confirmed(connect: Connect) -> None:
    """A service that does not end the task runs out of our patience."""
    begun = now()
    with pytest.raises(PatienceExceeded) as caught:
        await handle_of(connect, "running").cancel()

    assert 60.0 == round(now() - begun, 3)
    assert caught.value.status is not None
    assert caught.value.status.cancel_requested
    assert "(now: RUNNING); it was asked to end, and may yet" in str(caught.value)


async def test_delete_removes_the_task(connect: Connect) -> None:
    """Deleting is one request."""
    service = Scripted()
    await connect(service).handle("t1").delete()

    assert {"DELETE t1": 1} == service.calls


# --- giving up with the task -------------------------------------------------


@pytest.mark.parametrize("where", ["call", "client"])
async def test_cancelled_wait_may_cancel_the_task(connect: Connect, where: str) -> None:
    """Who says so has the remote task ended, and that confirmed, before leaving."""
    said: dict[str, Any] = {"on_cancel": "cancel_remote"}
    service = Scripted(t1=(*["running"] * 3, "failed"))
    client = connect(service, **(said if where == "client" else {}))
    task = client.handle("t1")
    waiting = asyncio.create_task(task.result(**(said if where == "call" else {})))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.sleep(0.1)
    waiting.cancel()  # impatience does not cut it short
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert 1 == service.calls["PUT t1"]
    assert task.last_status is not None
    assert task.last_status.done


async def test_patience_may_cancel_the_task(connect: Connect) -> None:
    """A wait that runs out ends the remote task if that was said."""
    service = Scripted(t1=(*["running"] * 4, "failed"))
    task = connect(service).handle("t1")
    with pytest.raises(PatienceExceeded):
        await task.result(timeout=1.5, on_timeout="cancel_remote")

    assert 1 == service.calls["PUT t1"]


async def test_task_that_cannot_be_cancelled_is_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait ends as it would have; that the task goes on is a warning."""
    service = Scripted(t1="running")
    service.write("PUT t1", Response(403))
    task = connect(service).handle("t1")
    with pytest.raises(PatienceExceeded):
        await task.result(timeout=1.5, on_timeout="cancel_remote")

    assert "task t1 could not be cancelled" in caplog.text


async def test_giving_up_leaves_the_task_alone(connect: Connect) -> None:
    """Without a word nothing is asked of the service."""
    service = Scripted(t1="running")
    task = connect(service).handle("t1")
    waiting = asyncio.create_task(task.result())
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.wait([waiting])
    with pytest.raises(PatienceExceeded):
        await task.result(timeout=1)

    assert {"GET t1"} == set(service.calls)


@pytest.mark.parametrize("name", ["on_cancel", "on_timeout"])
async def test_policy_that_is_none(connect: Connect, name: str) -> None:
    """The error names the argument and the policies there are."""
    options: dict[str, Any] = {name: "kill"}
    with pytest.raises(InvalidArgument, match=f"{name}='kill': choose .*cancel_remote"):
        await handle_of(connect, "running").result(**options)


# --- errors of several who wait ----------------------------------------------


async def errors_of(*waits: Coroutine[Any, Any, Any]) -> list[BaseException]:
    """Have waits fail at the same time; return their errors."""
    return [e for e in await asyncio.gather(*waits, return_exceptions=True) if e]


@pytest.mark.parametrize(
    ("script", "kind"),
    [((Response(404),), TaskLost), (("completed",), ResultUnavailable)],
    ids=["watched", "fetched"],
)
async def test_each_waiter_gets_an_error_of_its_own(
    connect: Connect, script: tuple[Any, ...], kind: type[TaskError]
) -> None:
    """What one notes on it, and the way it takes, does not show in the others'."""
    service = Scripted(t1=script)
    service.write("GET t1/response", Response(404))
    task = connect(service).handle("t1")
    errors = await errors_of(*[task.result() for _ in range(3)])
    errors[0].add_note("the first one's")

    assert 3 == len({id(error) for error in errors})
    assert [{kind}, {NotFound}] == [
        {type(error) for error in errors},
        {type(error.__cause__) for error in errors},
    ]
    assert [True, False, False] == [hasattr(error, "__notes__") for error in errors]
    assert 1 == len({len(traceback.extract_tb(e.__traceback__)) for e in errors})


async def test_updates_and_waits_do_not_share_their_errors(connect: Connect) -> None:
    """Whoever goes through the states gets a copy, too."""
    task = handle_of(connect, Response(404))

    async def read() -> None:
        async for _ in task.updates():
            pass

    first, second = await errors_of(read(), task.wait())

    assert [TaskLost, TaskLost] == [type(first), type(second)]
    assert first is not second


# --- what else is told ------------------------------------------------------


async def test_result_of_an_open_outcome_tells_the_rest(connect: Connect) -> None:
    """Where the service only says that a task is over, its result says how."""
    task = handle_of(connect, "running")
    over = TaskStatus(state=TaskState.UNKNOWN, done=True, outcome_known=False)
    task.see(over)

    assert {"answer": 42} == await task.result()
    assert task.last_status is not None
    assert TaskState.SUCCEEDED is task.last_status.state


class Telling:
    """Stands in for a client whose service says with the result how a task ended."""

    def __init__(self, tasks: Any, error: TaskError) -> None:
        self._tasks = tasks
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tasks, name)

    @property
    def results(self) -> Telling:
        """It fetches them, too."""
        return self

    async def fetch(self, ref: TaskRef, status: TaskStatus) -> Response:
        raise self._error


@pytest.mark.parametrize(
    "told",
    [TaskStatus(state=TaskState.FAILED, message="it was empty"), None],
    ids=["status", "nothing"],
)
async def test_result_may_say_that_the_task_failed(
    connect: Connect, told: TaskStatus | None
) -> None:
    """A failure that only the fetch reveals is kept as the last status."""
    over = TaskStatus(state=TaskState.UNKNOWN, done=True, outcome_known=False)
    tasks: Any = Telling(connect(Scripted())._desk, TaskFailed("t1", "", told))
    task = TaskHandle(tasks, TaskRef(id="t1"), over)
    with pytest.raises(TaskFailed):
        await task.result()

    assert (told or over) == task.last_status


async def test_connection_that_breaks_in_a_look_is_looked_through(
    connect: Connect,
) -> None:
    """A wait survives an outage of the service."""
    outage = [ConnectionLost("the connection broke")] * 500
    task = handle_of(connect, "running", *outage, "completed")

    assert {"answer": 42} == await task


async def test_wrong_decode_is_refused_before_the_wait(connect: Connect) -> None:
    """A typing error does not wait for hours to be told."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(InvalidArgument, match="choose one of auto, json, text, bytes"):
        await connect(Scripted(t1="running")).handle("t1").result(decode="yaml")

    assert begun == asyncio.get_running_loop().time()


@pytest.mark.parametrize("policy", ["on_cancel", "on_timeout"])
async def test_cancel_of_a_task_is_bounded(
    connect: Connect, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that confirms nothing is not waited for without end."""
    task = connect(Scripted(t1="running"), **{policy: "cancel_remote"}).handle("t1")
    waiting = asyncio.create_task(task.result(timeout=1.5))
    begun = now()
    await asyncio.sleep(1)
    if policy == "on_cancel":
        waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled() is (policy == "on_cancel")
    assert 10 <= now() - begun <= 12
    assert "task t1 could not be cancelled" in caplog.text


async def test_cancel_of_a_task_that_we_break(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a fault of ours does not keep the cancellation from coming out."""
    service = Scripted(t1="running")
    service.write("PUT t1", ZeroDivisionError("a fault of ours"))
    task = connect(service, on_cancel="cancel_remote").handle("t1")
    waiting = asyncio.create_task(task.result())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert "task t1 could not be cancelled" in caplog.text


async def test_timeout_from_outside_cancels_the_task_and_is_told(
    connect: Connect,
) -> None:
    """``asyncio.timeout()`` around it still raises what it promises."""
    service = Scripted(t1=("running", "running", "running", "failed"))
    task = connect(service, on_cancel="cancel_remote").handle("t1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await task.result()

    assert 1 == service.calls["PUT t1"]


async def test_cancelled_while_patience_cancels_the_task(connect: Connect) -> None:
    """Who is cancelled while the task is being ended is cancelled, after it ended."""
    service = Scripted(t1=(*["running"] * 5, "failed"))
    task = connect(service).handle("t1")
    waiting = asyncio.create_task(task.result(timeout=1.5, on_timeout="cancel_remote"))
    await asyncio.sleep(2)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert task.last_status is not None
    assert task.last_status.done
