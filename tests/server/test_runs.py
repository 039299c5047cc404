"""One run of a service's function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import sys
import threading
from typing import Any

import pytest

from asynctasks.server.context import TaskContext
from asynctasks.server.runs import Run
from asynctasks.server.tasks import (
    Executor,
    Interrupt,
    Order,
    Outcome,
    Service,
    SimulatedTask,
    Start,
    State,
)
from asynctasks.server.threads import Threads
from tests.server import staged


class Stage:
    """Where a function runs, and what it reports."""

    def __init__(self) -> None:
        self.threads = Threads()
        self.noted: list[tuple[Any, ...]] = []
        self.first = asyncio.Event()

    def note(self, task: SimulatedTask, *words: Any) -> None:
        """Take a report; called on the loop."""
        asyncio.get_running_loop()
        self.noted.append(words)
        self.first.set()

    def build(
        self, function: Any, payload: bytes = b"", executor: Executor = "thread"
    ) -> Run:
        """Make a run of a function."""
        order = Order(service="test", payload=payload, query={"a": "1"})
        task = SimulatedTask(id="task-1", number=1, order=order, created_at=0.0)
        service = Service("test", function, executor)
        return Run(Start(task, service, payload), self.threads, self.note)

    async def run(self, function: Any, *args: Any) -> Outcome:
        """Run a function to its end."""
        return await self.build(function, *args).outcome()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Give a place to run functions."""
    stage = Stage()
    yield stage
    await stage.threads.aclose(20)


async def test_async(stage: Stage) -> None:
    """An async function is awaited on the loop."""

    async def function(inputs: Any) -> Any:
        await asyncio.sleep(0)
        return {"got": inputs}

    outcome = await stage.run(function, b"[1]")

    assert (State.COMPLETED, b'{"got":[1]}', "application/json", 1) == (
        outcome.state,
        outcome.content,
        outcome.content_type,
        outcome.return_code,
    )


async def test_thread(stage: Stage) -> None:
    """Another function runs in a thread; what it reports arrives on the loop."""

    def function(inputs: Any, context: TaskContext) -> str:
        context.log(context.query["a"])
        return str(threading.current_thread() is threading.main_thread())

    outcome = await stage.run(function)

    assert (b"False", [("log", "1")]) == (outcome.content, stage.noted)


async def test_process(stage: Stage) -> None:
    """A function may run in a process."""
    outcome = await stage.run(staged.twice, b"[1]", "process")

    assert b'{"twice":[1,1]}' == outcome.content


@pytest.mark.parametrize("executor", ["thread", "process"])
async def test_failed(stage: Stage, executor: str) -> None:
    """An exception is a failure with its message, and its traceback is logged."""
    outcome = await stage.run(staged.explode, b"[1]", executor)

    assert (State.FAILED, "cannot use [1]", 0) == (
        outcome.state,
        outcome.message,
        outcome.return_code,
    )
    assert ("log", "ValueError: cannot use [1]") == stage.noted[-1]


def leave(inputs: Any) -> None:
    """Try to end the server."""
    sys.exit(3)


async def leave_soon(inputs: Any) -> None:
    """Try to end the server."""
    sys.exit(3)


@pytest.mark.parametrize("function", [leave, leave_soon])
async def test_exit(stage: Stage, function: Any) -> None:
    """A function that calls exit() fails, and the server lives on."""
    outcome = await stage.run(function)

    assert "the service called exit(3)" == outcome.message


class Broken(Exception):
    """An exception that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BaseException("rare"), "rare"),
        (Broken(), "Broken"),
        (ValueError("no text: \ud800"), "no text: \\ud800"),
    ],
    ids=["base", "broken", "surrogate"],
)
@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_odd_exceptions(
    stage: Stage, error: BaseException, message: str, kind: str
) -> None:
    """Whatever a function raises, its task has failed, and can be told so."""

    def function(inputs: Any) -> None:
        raise error

    async def awaited(inputs: Any) -> None:
        raise error

    outcome = await stage.run(awaited if kind == "async" else function)

    assert (State.FAILED, message) == (outcome.state, outcome.message)


async def test_interrupt_of_a_thread(stage: Stage) -> None:
    """Only the main thread can be interrupted; elsewhere it is an error of its own."""

    def function(inputs: Any) -> None:
        raise KeyboardInterrupt

    outcome = await stage.run(function)

    assert "the service raised KeyboardInterrupt" == outcome.message


async def test_cancels_itself(stage: Stage) -> None:
    """A function that is cancelled by something else has failed."""

    async def function(inputs: Any) -> None:
        raise asyncio.CancelledError

    outcome = await stage.run(function)

    assert (State.FAILED, "cancelled") == (outcome.state, outcome.message)


async def test_nonsense(stage: Stage) -> None:
    """A function that returns what JSON cannot say has failed."""

    async def function(inputs: Any) -> Any:
        return {"gap": float("inf")}

    outcome = await stage.run(function)

    assert "result.gap" in outcome.message


async def sleep(inputs: Any, context: TaskContext) -> None:
    """Wait for ever."""
    context.log("working")
    await asyncio.Event().wait()


def listen(inputs: Any, context: TaskContext) -> None:
    """Work until cancelled."""
    context.log("working")
    while True:
        context.check()
        threading.Event().wait(0.001)


@pytest.mark.parametrize(
    ("function", "executor"),
    [(sleep, "thread"), (listen, "thread"), (staged.hang, "process")],
)
async def test_interrupt_execution(stage: Stage, function: Any, executor: Any) -> None:
    """An interrupted execution ends, whatever kind of function it is."""
    run = stage.build(function, b"", executor)
    running = asyncio.create_task(run.outcome())
    await stage.first.wait()
    run.task.interrupt = Interrupt.EXECUTION
    run.interrupt(Interrupt.EXECUTION)

    assert State.INTERRUPTED is (await running).state


@pytest.mark.parametrize("executor", ["thread", "process"])
async def test_interrupt_solve(stage: Stage, executor: Any) -> None:
    """An interrupted solve completes with what it has."""
    run = stage.build(staged.work, b"", executor)
    running = asyncio.create_task(run.outcome())
    await stage.first.wait()
    run.task.interrupt = Interrupt.SOLVE
    run.interrupt(Interrupt.SOLVE)

    assert State.COMPLETED is (await running).state


async def test_interrupt_ignored(stage: Stage) -> None:
    """However late the function ends: who asked for the end has it."""
    run = stage.build(staged.twice, b"[1]")
    run.task.interrupt = Interrupt.EXECUTION
    outcome = await run.outcome()

    assert (State.INTERRUPTED, b"") == (outcome.state, outcome.content)


async def test_ended_before_it_began(stage: Stage) -> None:
    """A run that was ended before it began does not call the function."""
    run = stage.build(staged.twice, b"[1]")
    run.end()

    assert State.FAILED is (await run.outcome()).state
