"""What Ctrl-C does to a command that has something to finish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
import signal
from types import TracebackType
from typing import Any, NoReturn, Self

from .exits import Exit


__all__ = ["Stop"]

SIGNALS = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


class Stop:
    """
    What signals do: the first one cancels the work, the second one ends the process.

    Args:
        leave: ends the process.
    """

    def __init__(self, leave: Callable[[Exit], NoReturn]) -> None:
        self.code: Exit | None = None
        """How the process will end; None if nothing stopped it."""

        self._leave = leave
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        # Where there are no such handlers, Ctrl-C raises KeyboardInterrupt.
        with suppress(NotImplementedError, RuntimeError):
            for number, code in SIGNALS.items():
                loop.add_signal_handler(number, self._receive, code)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)
        if self.code is not None and self._task is not None:
            self._task.uncancel()

    def _receive(self, code: Exit) -> None:
        if self.code is not None:
            self._leave(code)
        self.code = code
        if self._task is not None:
            self._task.cancel()
