"""
The asyncio shell around the simulated world, without a network.

It gives the time to the pure half, runs what the simulator says should run, and
answers requests: over a socket behind ``LocalServer``, or in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
import logging
import time
from typing import Any, TypeVar

import attrs

from .connection import Connection
from .faults import Fault
from .half import Awaited, Delayed, Half, refuse
from .live import Calculated, Item, Storage, Streamed
from .messengers import Messenger, Send
from .runs import Run
from .simulator import Simulator
from .speakers import Speakers
from .tasks import Action, Changed, SimulatedTask, Start, Stop
from .threads import Threads
from ..exceptions import ConnectionLost, InvalidState
from ..sansio.http import Body, JoinedBody, Request, Response


__all__ = ["Worker"]

LOGGER = logging.getLogger("asynctasks.server")

R = TypeVar("R")

GRACE = 1.0
"""Seconds that functions have to end when the worker is closed."""


class Worker:
    """
    Answers requests and runs the tasks.

    Args:
        simulator: the world.
        halves: the protocols; the first that knows a path answers.
        send: sends the notifications of the protocols; None drops them.
        clock: gives the wall-clock time once, at the start; from then on time passes
            as the event loop says.
        storage: where live halves keep what a restart must not lose.
    """

    def __init__(
        self,
        simulator: Simulator,
        *halves: Half,
        send: Send | None = None,
        clock: Callable[[], float] = time.time,
        storage: Storage | None = None,
    ) -> None:
        self.simulator = simulator
        self._halves = halves
        self._clock = clock
        self._speakers = Speakers(halves, storage)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start: tuple[float, float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._threads = Threads()
        self._runs: dict[int, Run] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._messenger = Messenger(send)
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._closed = False

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        passed = (self._loop or asyncio.get_running_loop()).time()
        if self._start is None:
            self._start = (self._clock(), passed)
        return self._start[0] + passed - self._start[1]

    def start(self, items: Iterable[Item] = ()) -> None:
        """
        Let the live halves begin; the first request does it, too.

        Args:
            items: what was stored before.

        Raises:
            InvalidState: the worker is closed.
        """
        if self._closed:
            raise InvalidState("the server is closed")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._speakers.start(self.now, self.wake, items)

    def wake(self) -> None:
        """Look for what is due; may be called from any thread."""
        if self._loop is not None and not self._closed:
            self._loop.call_soon_threadsafe(self.advance)

    async def handle(self, request: Request) -> Response:
        """
        Answer one request.

        Raises:
            ConnectionLost: a fault wants the connection to break.
            InvalidState: the worker is closed.
        """
        response = await self.open(request)
        if not isinstance(response, Streamed):
            return response
        body = b"".join([piece async for piece in response.pieces])
        return Response(response.status, response.headers, body)

    async def open(self, request: Request) -> Response:
        """Answer one request; the answer may be one that is streamed."""
        self.start()
        request = attrs.evolve(request, body=await read_body(request.body))
        fault = self.simulator.faults.take(request)
        if fault.drop == "request":
            raise ConnectionLost("the connection broke", request.redacted())
        response = fault.response or self._answer(request)
        self.advance()
        if isinstance(response, Awaited):
            await self._ended(response, request)
            response = unbroken(response.answer, request)
        if isinstance(response, Calculated):
            response = await self._calculated(response, request)
        response = await self._settled(response)
        await self._wait(response, fault)
        if fault.drop == "answer":
            raise ConnectionLost("the connection broke", request.redacted())
        return response

    def connect(self, request: Request) -> Connection | Response:
        """
        Open a connection that is a stream of frames, or refuse.

        Raises:
            ConnectionLost: a fault wants the connection to break.
            InvalidState: the worker is closed.
        """
        self.start()
        fault = self.simulator.faults.take(request)
        if fault.drop is not None:
            raise ConnectionLost("the connection broke", request.redacted())
        if fault.response is not None:
            return fault.response
        found = self._speakers.connect(request)
        message = f"there is no socket at {request.path}"
        return refuse(404, "NotFound", message) if found is None else found

    def receive(self, connection: Connection, frame: str | bytes) -> None:
        """Take a frame of a connection."""
        connection.receive(frame)
        self.advance()

    def disconnect(self, connection: Connection) -> None:
        """End a connection; may be called twice."""
        self._speakers.disconnect(connection)

    def advance(self) -> None:
        """Do what is due now, and arm the timer for what is due later."""
        if self._closed:
            return
        for action in self.simulator.advance(self.now()):
            self._do(action)
        self._speakers.advance(self.now())
        self._arm()

    async def aclose(self) -> None:
        """
        End all runs and wait for them, for ``GRACE`` seconds at most.

        Async functions are cancelled and processes ended. A thread cannot be ended:
        its function is asked to stop, and left behind if it does not.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for run in self._runs.values():
            run.end()
        self._messenger.cancel()
        for end in self._ends.values():
            let_go(end)
        try:
            await self._speakers.aclose()
        finally:
            await self._wait_for_runs()

    async def _wait_for_runs(self) -> None:
        left = await unended({*self._running, *self._messenger.running}, GRACE)
        for run in self._runs.values():
            LOGGER.warning("task %s (%s) did not end", run.task.id, run.task.service)
            run.abandon()
        for each in left:
            each.cancel()
        await unended(left, GRACE)
        await self._threads.aclose(GRACE)

    # --- answers -------------------------------------------------------------

    def _answer(self, request: Request) -> Response:
        for half in self._halves:
            response = unbroken(partial(half.handle, request, self.now()), request)
            if response is not None:
                return response
        return refuse(404, "NotFound", f"nothing is served at {request.path}")

    async def _calculated(self, response: Calculated, request: Request) -> Response:
        """Wait for an answer that is being calculated."""
        try:
            return await response.answer()
        except Exception as exc:  # noqa: BLE001 - logged, whatever it is
            return broken(request, exc)
        finally:
            self.advance()

    async def _ended(self, response: Awaited, request: Request) -> None:
        """Wait for the end of a task; or cut the connection."""
        number = response.task.number
        end = self._ends[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(response.limit):
                await end
        except TimeoutError:
            reason = f"the server cut the connection after {response.limit:g} s"
            raise ConnectionLost(reason, request.redacted()) from None
        finally:
            del self._ends[number]
        if self._closed:
            raise ConnectionLost("the server was closed", request.redacted())

    async def _settled(self, response: Response) -> Response:
        """Store what changed before the answer says so."""
        try:
            await self._speakers.settle()
        except Exception:
            LOGGER.exception("what changed could not be stored")
            return refuse(500, "ServerError", "the data could not be stored")
        return response

    async def _wait(self, response: Response, fault: Fault) -> None:
        delay = response.delay if isinstance(response, Delayed) else 0.0
        if delay + fault.delay > 0:
            await asyncio.sleep(delay + fault.delay)

    # --- actions -------------------------------------------------------------

    def _do(self, action: Action) -> None:
        if isinstance(action, Start):
            self._begin(action)
        elif isinstance(action, Stop):
            self._stop(action)
        else:
            self._notify(action)

    def _begin(self, start: Start) -> None:
        run = Run(start, self._threads, self._note)
        self._runs[start.task.number] = run
        task = asyncio.get_running_loop().create_task(self._supervise(run))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _supervise(self, run: Run) -> None:
        outcome = await run.outcome()
        del self._runs[run.task.number]
        self.simulator.finished(run.task, outcome, self.now())
        self.advance()

    def _note(self, task: SimulatedTask, word: str, *values: Any) -> None:
        """Take what a function reports about its task."""
        if word == "progress":
            task.progress, task.progress_message = values
        elif word == "solving":
            self.simulator.solving(task, self.now(), busy=values[0])
            self.advance()
        elif word == "publish":
            task.published = (values[0].content, values[0].content_type)
        else:
            task.log.append((self.now(), values[0]))

    def _stop(self, stop: Stop) -> None:
        run = self._runs.get(stop.task.number)
        if run is not None:
            run.interrupt(stop.interrupt)

    def _notify(self, change: Changed) -> None:
        if change.state.ended:
            let_go(self._ends.get(change.task.number))
        for half in self._halves:
            try:
                self._messenger.tell(change.task.id, half.notices(change))
            except Exception:  # what else is to be done must not suffer
                LOGGER.exception("%r could not say what changed", half)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakeups = (self.simulator.next_wakeup(), self._speakers.next_wakeup())
        due = min((at for at in wakeups if at is not None), default=None)
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - self.now()), self.advance)


async def unended(
    tasks: Collection[asyncio.Task[None]], seconds: float
) -> set[asyncio.Task[None]]:
    """Wait for tasks, but not longer; return those that have not ended."""
    if not tasks:
        return set()
    _, left = await asyncio.wait(tasks, timeout=seconds)
    return left


def unbroken(answer: Callable[[], R], request: Request) -> R | Response:
    """Return an answer; where making it is a fault of ours, say so."""
    try:
        return answer()
    except Exception as exc:  # noqa: BLE001 - logged, whatever it is
        return broken(request, exc)


def broken(request: Request, exc: Exception) -> Response:
    """Log a fault of ours, and answer that there was one."""
    LOGGER.error("%s broke the server", request.describe(), exc_info=exc)
    return refuse(500, "ServerError", "the server has a fault; see its log")


def let_go(end: asyncio.Future[None] | None) -> None:
    """Let go on who waits for the end of a task."""
    if end is not None and not end.done():
        end.set_result(None)


async def read_body(body: Body) -> bytes:
    """Read a body to its end, as a server does."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, JoinedBody):
        return b"".join([await read_body(piece) for piece in body.pieces])
    return b"".join([chunk async for chunk in body.open()])
