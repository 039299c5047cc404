"""Services that another process can import by name."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from asynctasks.server.context import TaskContext


__all__ = ["exit_badly", "explode", "facts", "hang", "ignore_ends", "twice", "work"]


def twice(inputs: int) -> dict[str, int]:
    """Answer with twice the inputs."""
    return {"twice": 2 * inputs}


def facts(inputs: Any, context: TaskContext) -> Any:
    """Answer with what the function is told."""
    return [inputs, context.task_id, dict(context.query)]


def explode(inputs: Any) -> Any:
    """Fail with a message."""
    raise ValueError(f"cannot use {inputs}")


def exit_badly(inputs: int) -> None:
    """End the process without a word."""
    os._exit(inputs)


def work(inputs: Any, context: TaskContext) -> Any:
    """Work until told to stop solving."""
    context.log("working")
    while not context.stop_requested:
        threading.Event().wait(0.001)
    return [inputs, context.task_id, dict(context.query)]


def ignore_ends(inputs: Any, context: TaskContext) -> Any:
    """Work for ever, and do not end when the system says so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(inputs, context)


def hang(inputs: Any, context: TaskContext) -> Any:
    """Work for ever, deaf to everything."""
    context.log("working")
    while True:
        threading.Event().wait(1)
