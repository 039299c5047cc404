"""Functions in processes of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import multiprocessing
import threading
from typing import Any

import pytest

from asynctasks.server.payload import Result
from asynctasks.server.processes import (
    ProcessFailed,
    ServiceProcess,
    describe,
    serve,
)
from asynctasks.server.tasks import Service
from tests.server import staged


class Call:
    """One call and what it reports."""

    def __init__(self, function: Any) -> None:
        self.heard: list[tuple[Any, ...]] = []
        service = Service("test", function, "process")
        self.process = ServiceProcess(service, "task-1", {"a": "1"})
        self.ready = threading.Event()

    def report(self, *words: Any) -> None:
        """Take a report."""
        self.heard.append(words)
        self.ready.set()

    def run(self, inputs: Any) -> Result:
        """Run to the end."""
        return self.process.run(inputs, self.report)


def test_returned() -> None:
    """What the function returns comes back."""
    result = Call(staged.twice).run(4)

    assert Result(b'{"twice":8}', "application/json") == result


def test_raised() -> None:
    """An exception comes back as its message and traceback."""
    with pytest.raises(ProcessFailed, match="cannot use 5") as caught:
        Call(staged.explode).run(5)

    assert caught.value.trace.startswith("Traceback")


def test_died() -> None:
    """A process that dies is reported with its code."""
    with pytest.raises(ProcessFailed, match="ended with code 3"):
        Call(staged.exit_badly).run(3)


def test_cannot_be_sent() -> None:
    """A function that cannot be sent to a process fails and leaves none behind."""
    with pytest.raises(Exception, match="lambda"):
        Call(lambda inputs: inputs).run(1)

    assert [] == multiprocessing.active_children()


def test_context() -> None:
    """The function reports through its context, and is asked to stop through it."""
    with ThreadPoolExecutor() as threads:
        call = Call(staged.work)
        future = threads.submit(call.run, 1)
        call.ready.wait(20)
        call.process.stop()
        result = future.result(20)

    assert Result(b'[1,"task-1",{"a":"1"}]', "application/json") == result
    assert ("log", "working") == call.heard[0]


def test_ended() -> None:
    """A process is ended while its function works."""
    with ThreadPoolExecutor() as threads:
        call = Call(staged.hang)
        future = threads.submit(call.run, 1)
        call.ready.wait(20)
        call.process.end()

        with pytest.raises(ProcessFailed, match="ended with code -15"):
            future.result(20)


def test_killed() -> None:
    """A process that is deaf to being ended can be killed."""
    with ThreadPoolExecutor() as threads:
        call = Call(staged.ignore_ends)
        future = threads.submit(call.run, 1)
        call.ready.wait(20)
        call.process.end()
        call.process.kill()

        with pytest.raises(ProcessFailed, match="ended with code -9"):
            future.result(20)


def test_ended_before_start() -> None:
    """A process that was ended before it started is ended when it has."""
    call = Call(staged.hang)
    call.process.end()

    with pytest.raises(ProcessFailed, match="ended with code"):
        call.run(1)


def test_describe() -> None:
    """An exception is its message, or its name where it has none."""
    assert ["bad", "KeyError"] == [describe(ValueError("bad")), describe(KeyError())]


@pytest.mark.parametrize(
    ("function", "takes_context", "word"),
    [
        (staged.twice, False, "returned"),
        (staged.facts, True, "returned"),
        (staged.explode, False, "raised"),
    ],
)
def test_serve(function: Any, takes_context: bool, word: str) -> None:
    """In the process the function is called, and what comes of it is sent."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        stop = multiprocessing.get_context("spawn").Event()
        serve(theirs, function, takes_context, 5, ("task-1", {"a": "1"}), stop)

        assert word == ours.recv()[0]
