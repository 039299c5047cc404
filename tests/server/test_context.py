"""What a service's function is told, and what it may say."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from asynctasks.exceptions import TaskCancelled
from asynctasks.server.context import TaskContext
from asynctasks.server.payload import Result


class Ear:
    """Hears what a context reports."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.cancel = threading.Event()
        self.stop = threading.Event()
        self.context = TaskContext(
            "task-1",
            report=lambda *words: self.heard.append(words),
            cancel=self.cancel,
            stop=self.stop,
            query={"a": "1"},
        )


def test_reports() -> None:
    """Progress, status and log lines are reported."""
    ear = Ear()
    ear.context.progress(0.25, "quarter")
    ear.context.publish({"gap": 0.5})
    ear.context.log("hello")

    assert [
        ("progress", 0.25, "quarter"),
        ("publish", Result(b'{"gap":0.5}', "application/json")),
        ("log", "hello"),
    ] == ear.heard


def test_texts_that_are_no_unicode() -> None:
    """What no answer could hold is escaped: it would break the task's document."""
    ear = Ear()
    ear.context.progress(0, "a\ud800")
    ear.context.log("b\udfff")

    assert [("progress", 0.0, "a\\ud800"), ("log", "b\\udfff")] == ear.heard


@pytest.mark.parametrize(
    ("told", "expected"), [(-1, 0.0), (7, 1.0), (1, 1.0), (math.nan, 0.0)]
)
def test_progress_is_bounded(told: float, expected: float) -> None:
    """Progress stays between 0 and 1."""
    ear = Ear()
    ear.context.progress(told)

    assert [("progress", expected, "")] == ear.heard


def test_solving() -> None:
    """A solve is reported when it starts, and when a with block is left."""
    ear = Ear()
    ear.context.solving()
    with ear.context.solving():
        pass

    assert [("solving", True), ("solving", True), ("solving", False)] == ear.heard


def test_stop() -> None:
    """To be told to stop solving is not to be cancelled."""
    ear = Ear()
    ear.stop.set()
    ear.context.check()

    assert (True, False) == (ear.context.stop_requested, ear.context.cancelled)


def test_cancel() -> None:
    """To be cancelled is to be told to stop, and check() leaves."""
    ear = Ear()
    ear.cancel.set()

    assert (True, True) == (ear.context.stop_requested, ear.context.cancelled)
    with pytest.raises(TaskCancelled, match="task-1"):
        ear.context.check()


def test_facts() -> None:
    """A context knows its task and the parameters of the submit."""
    context = Ear().context

    assert ("task-1", {"a": "1"}) == (context.task_id, context.query)
