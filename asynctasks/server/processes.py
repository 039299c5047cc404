"""
A service's function in a process of its own, so that it can be ended from outside.

The process is started afresh ("spawn"): a forked one would inherit the event loop,
the sockets and the locks of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
import threading
import traceback
from typing import Any

from .context import Report, TaskContext, sendable
from .payload import Result, encode_output
from .tasks import Service


__all__ = ["ProcessFailed", "ServiceProcess", "describe"]

SPAWN = get_context("spawn")


class ProcessFailed(Exception):
    """Raised when the function raised in its process, or the process died."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message, trace)
        self.message = message
        self.trace = trace

    def __str__(self) -> str:
        return self.message


class ServiceProcess:
    """One call of a function in a process; ``run()`` blocks, so call it in a thread."""

    def __init__(
        self, service: Service, task_id: str, query: Mapping[str, str]
    ) -> None:
        self._service = service
        self._about = (task_id, dict(query))
        self._stop = SPAWN.Event()
        self._process: Any = None
        self._ended = False

    def run(self, inputs: Any, report: Report) -> Result:
        """
        Run the function; pass on what it reports and return what it returns.

        Raises:
            ProcessFailed: the function raised, or the process died or was ended.
        """
        ours, theirs = SPAWN.Pipe()
        with ours:
            with theirs:
                self._start(theirs, inputs)
            try:
                return self._listen(ours, report)
            finally:
                self._process.join()

    def stop(self) -> None:
        """Ask the function to stop solving."""
        self._stop.set()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._ended = True
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process even if it is deaf to :meth:`end`."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def _start(self, theirs: Connection, inputs: Any) -> None:
        function, context = self._service.function, self._service.takes_context
        arguments = (theirs, function, context, inputs, self._about, self._stop)
        process = SPAWN.Process(target=serve, args=arguments, daemon=True)
        process.start()
        # In this order, because end() may be called by the loop at any moment.
        self._process = process
        if self._ended:
            process.terminate()

    def _listen(self, ours: Connection, report: Report) -> Result:
        while True:
            try:
                word, values = ours.recv()
            except (EOFError, OSError):
                self._process.join()
                code = self._process.exitcode
                raise ProcessFailed(f"the process ended with code {code}") from None
            if word == "returned":
                result: Result = values[0]
                return result
            if word == "raised":
                raise ProcessFailed(*values)
            report(word, *values)


def serve(
    connection: Connection,
    function: Callable[..., Any],
    takes_context: bool,  # noqa: FBT001 - passed on by multiprocessing
    inputs: Any,
    about: tuple[str, Mapping[str, str]],
    stop: Event,
) -> None:
    """Run the function in the new process and send what comes of it."""

    def report(word: str, *values: Any) -> None:
        connection.send((word, values))

    task_id, query = about
    context = TaskContext(
        task_id, report=report, cancel=threading.Event(), stop=stop, query=query
    )
    try:
        value = function(inputs, context) if takes_context else function(inputs)
        report("returned", encode_output(value))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the task failed
        report("raised", describe(exc), traceback.format_exc())


def describe(exc: BaseException) -> str:
    """Return the message of an exception, or its name where it has none."""
    try:
        return sendable(str(exc)) or type(exc).__name__
    except Exception:  # noqa: BLE001 - an exception may be broken, too
        return type(exc).__name__
