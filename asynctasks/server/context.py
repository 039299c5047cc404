"""What a service's function is told about its task, and what it may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from .payload import encode_output
from ..exceptions import TaskCancelled


__all__ = ["Flag", "Report", "TaskContext", "sendable"]

Report = Callable[..., None]
"""Takes what is reported (a word) and its values; safe in any thread."""


class Flag(Protocol):
    """The part of ``threading.Event`` that a context looks at."""

    def is_set(self) -> bool:
        """Tell whether it was asked for."""


def sendable(text: str) -> str:
    """Escape what is no Unicode, which no answer of a server could hold."""
    return text.encode("utf-8", "backslashreplace").decode()


class TaskContext:
    """
    The second parameter of a service's function.

    It may be used from the thread or process in which the function runs.
    """

    def __init__(
        self,
        task_id: str,
        *,
        report: Report,
        cancel: Flag,
        stop: Flag,
        query: Mapping[str, str],
    ) -> None:
        self.task_id = task_id
        """The service's id of this task."""

        self.query = query
        """The parameters of the submit, where the protocol passes them on."""

        self._report = report
        self._cancel = cancel
        self._stop = stop

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how much is done: *fraction* is between 0 and 1."""
        # In this order, what is no number at all is 0.
        done = min(1.0, max(0.0, float(fraction)))
        self._report("progress", done, sendable(message))

    def solving(self) -> ExitStack:
        """
        Tell that a solve runs now.

        Used as a context manager it also tells when the solve is over::

            with context.solving():
                ...
        """
        self._report("solving", True)  # noqa: FBT003 - a value, not a switch
        over = ExitStack()
        over.callback(self._report, "solving", False)  # noqa: FBT003
        return over

    def publish(self, body: Any) -> None:
        """
        Publish an intermediate status: what a service may return, see the docs.

        Raises:
            InvalidArgument: it holds something that JSON cannot say.
        """
        self._report("publish", encode_output(body))

    def log(self, line: str) -> None:
        """Add a line to the log of the task."""
        self._report("log", sendable(line))

    @property
    def cancelled(self) -> bool:
        """Whether the task was told to end at once."""
        return self._cancel.is_set()

    @property
    def stop_requested(self) -> bool:
        """Whether the task was told to stop solving and to return what it has."""
        return self._stop.is_set() or self._cancel.is_set()

    def check(self) -> None:
        """
        End here if the task was told to end at once.

        Raises:
            TaskCancelled: it was; let it pass.
        """
        if self.cancelled:
            raise TaskCancelled(self.task_id)
