"""One run of a service's function: awaited, in a thread, or in a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging
import threading
import traceback
from typing import Any

from .context import TaskContext, sendable
from .payload import Result, decode_inputs, encode_output
from .processes import ProcessFailed, ServiceProcess, describe
from .tasks import Interrupt, Outcome, Start, State
from .threads import Threads
from ..exceptions import TaskCancelled


__all__ = ["Run"]

LOGGER = logging.getLogger("asynctasks.server")


class Run:
    """
    Runs the function of one task; made on the thread of the event loop.

    Args:
        start: what the simulator said.
        threads: where functions run that are not async.
        note: is called, on the loop, with the task and what its function reports.
    """

    def __init__(
        self, start: Start, threads: Threads, note: Callable[..., None]
    ) -> None:
        self.task = start.task
        self._service = start.service
        self._payload = start.payload
        self._threads = threads
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._cancel = threading.Event()
        self._stop = threading.Event()
        self._process: ServiceProcess | None = None
        self._awaited: asyncio.Task[Result] | None = None

    async def outcome(self) -> Outcome:
        """Run the function to its end, whatever that is."""
        try:
            result = await self._call()
        except asyncio.CancelledError:
            return self._ended(State.FAILED, "cancelled")
        except (KeyboardInterrupt, SystemExit):
            raise  # of this thread: the server itself is to end
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the task failed
            return self._failed(exc)
        return self._ended(State.COMPLETED, "", result)

    def interrupt(self, what: Interrupt) -> None:
        """Pass an interrupt on to the function."""
        if what is Interrupt.EXECUTION:
            self.end()
            return
        self._stop.set()
        if self._process is not None:
            self._process.stop()

    def end(self) -> None:
        """Make the function end, as far as its kind can be made to."""
        self._cancel.set()
        if self._awaited is not None:
            self._awaited.cancel()
        if self._process is not None:
            self._process.end()

    def abandon(self) -> None:
        """Kill the process of a function that did not end when it was told to."""
        if self._process is not None:
            self._process.kill()

    # --- the function --------------------------------------------------------

    async def _call(self) -> Result:
        if self._cancel.is_set():
            raise TaskCancelled(self.task.id)
        if self._service.is_async:
            self._awaited = self._loop.create_task(self._await())
            return await self._awaited
        if self._service.executor == "process":
            query = self.task.order.query
            self._process = ServiceProcess(self._service, self.task.id, query)
        return await self._threads.run(self._block)

    async def _await(self) -> Result:
        with staying_alive():
            return encode_output(await self._service.function(*self._arguments()))

    def _block(self) -> Result:
        if self._process is not None:
            return self._process.run(self._inputs(), self._report)
        with staying_alive():
            return encode_output(self._service.function(*self._arguments()))

    def _inputs(self) -> Any:
        return decode_inputs(self._payload, self.task.order.content_type)

    def _arguments(self) -> tuple[Any, ...]:
        if not self._service.takes_context:
            return (self._inputs(),)
        context = TaskContext(
            self.task.id,
            report=self._report,
            cancel=self._cancel,
            stop=self._stop,
            query=self.task.order.query,
        )
        return self._inputs(), context

    # --- what comes of it ----------------------------------------------------

    def _report(self, word: str, *values: Any) -> None:
        """Take a report of the function, in whatever thread it runs."""
        if threading.get_ident() == self._thread:
            self._note(self.task, word, *values)
        else:
            self._loop.call_soon_threadsafe(self._note, self.task, word, *values)

    def _failed(self, exc: BaseException) -> Outcome:
        name = f"task {self.task.id} ({self.task.service})"
        LOGGER.info("%s failed", name, exc_info=exc)
        for line in sendable(trace_of(exc)).splitlines():
            self._note(self.task, "log", line)
        return self._ended(State.FAILED, describe(exc))

    def _ended(
        self, state: State, message: str, result: Result | None = None
    ) -> Outcome:
        if self.task.interrupt is Interrupt.EXECUTION:
            # However the function took it: whoever asked for the end has it.
            return Outcome(state=State.INTERRUPTED, message="interrupted")
        if result is None:
            return Outcome(state=state, message=message, return_code=0)
        return Outcome(
            state=state,
            content=result.content,
            content_type=result.content_type,
            return_code=1,
        )


@contextmanager
def staying_alive() -> Iterator[None]:
    """Let a function that wants to exit fail, instead of ending the server."""
    try:
        yield
    except SystemExit as exc:
        raise RuntimeError(f"the service called exit({exc.code!r})") from exc
    except KeyboardInterrupt as exc:
        if threading.current_thread() is threading.main_thread():
            raise  # somebody's Ctrl-C
        raise RuntimeError("the service raised KeyboardInterrupt") from exc


def trace_of(exc: BaseException) -> str:
    """Return the traceback of an exception, from wherever it was raised."""
    if isinstance(exc, ProcessFailed):
        return exc.trace
    return "".join(traceback.format_exception(exc))
