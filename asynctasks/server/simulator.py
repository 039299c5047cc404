"""
The pure world behind the embedded server: services, tasks and their queue.

There is no clock, no loop and no dice in here: the time comes in as ``now`` (seconds
since the epoch, UTC), new ids come from ``new_id``. What has to be done in the real
world is said by :meth:`Simulator.advance` and done by a shell, the ``Worker``.
The protocols are halves on top of it; it knows none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
import heapq
import math
from typing import Any, TypeVar, overload

import attrs

from .faults import Faults
from .tasks import (
    Action,
    Changed,
    Executor,
    Interrupt,
    Order,
    Outcome,
    Service,
    SimulatedTask,
    Start,
    State,
    Stop,
    Submitted,
)
from ..exceptions import InvalidArgument


__all__ = ["Simulator"]

F = TypeVar("F", bound=Callable[..., Any])

MOST_KEPT = 2**30
"""Bytes of results that are kept of tasks that have ended."""

INSTANT = 1e-6
"""Seconds within which two times are the same; floats near the epoch are coarse."""


class Simulator:
    """
    The world of one embedded server.

    Args:
        parallel: how many tasks run at the same time at most.
        startup: seconds from the assignment of a place to the start of the run.
        keep: how many tasks that have ended are remembered at most, and not more of
            them than have ``MOST_KEPT`` bytes of results; the oldest are forgotten.
        new_id: gives the ids of new tasks, each once.
    """

    def __init__(
        self,
        *,
        parallel: int = 2,
        startup: float = 0.0,
        keep: int = 100_000,
        new_id: Callable[[], str],
    ) -> None:
        if parallel < 1:
            raise InvalidArgument("parallel", parallel, "must be at least 1")
        self.parallel = parallel
        self.startup = startup
        self.keep = keep
        self.services: dict[str, Service] = {}
        self.tables: dict[str, Sequence[Mapping[str, Any]]] = {}
        """Rows by the name of their table, for services that run over data."""

        self.quotas: dict[str, int] = {}
        """How many tasks of a realm are under way at the same time at most."""

        self.faults = Faults()
        self.parts: dict[str, object] = {}
        """What protocols have in the world besides tasks, by their names."""

        self.submissions: Counter[Submitted] = Counter()
        """How often each (service, bytes) was submitted: the truth, for tests."""

        self.changes = 0
        """Grows whenever a task comes, goes or changes its state."""

        self._new_id = new_id
        self._created = 0
        self._tasks: dict[int, SimulatedTask] = {}
        self._runs: dict[tuple[str, str], list[SimulatedTask]] = {}
        self._later: list[tuple[float, int]] = []
        self._ready: list[int] = []
        self._held: dict[str, list[int]] = {}
        self._starting: list[tuple[float, int]] = []
        self._active: dict[int, SimulatedTask] = {}
        self._ended: dict[int, SimulatedTask] = {}
        self._kept = 0
        self._said: list[Action] = []

    # --- services ------------------------------------------------------------

    @overload
    def service(
        self, name: str, function: None = None, *, executor: Executor = "thread"
    ) -> Callable[[F], F]: ...

    @overload
    def service(
        self, name: str, function: F, *, executor: Executor = "thread"
    ) -> F: ...

    def service(
        self, name: str, function: F | None = None, *, executor: Executor = "thread"
    ) -> F | Callable[[F], F]:
        """
        Register a service: call it, or use it as a decorator.

        The function takes the inputs of the task and, if it declares a second
        parameter, a ``TaskContext``. It returns a dict or a list (sent as JSON),
        text, bytes or a ``Result``; an exception makes the task fail.

        Args:
            name: what clients call it.
            function: async functions are awaited; others run in a thread.
            executor: ``"process"`` runs a function that is not async in a process
                of its own; it must then be importable by name.

        Raises:
            InvalidArgument: the name is empty, or the executor is unknown.
        """
        if not name:
            raise InvalidArgument("name", name, "must not be empty")
        if executor not in {"thread", "process"}:
            raise InvalidArgument("executor", executor, "choose thread or process")
        if function is None:
            return lambda decorated: self.service(name, decorated, executor=executor)
        self.services[name] = Service(name, function, executor)
        return function

    # --- what protocols ask for ----------------------------------------------

    def submit(self, order: Order, now: float) -> SimulatedTask:
        """
        Put a task into the queue and count it.

        Raises:
            InvalidArgument: there is no such service.
        """
        if order.service not in self.services:
            known = ", ".join(sorted(self.services)) or "no services"
            raise InvalidArgument("service", order.service, f"there are: {known}")
        self.submissions[Submitted.of(order.service, order.payload)] += 1
        run = None if order.interval is None else 0
        return self._create(self._new_id(), order, now, run, order.not_before)

    def task(
        self, realm: str, task_id: str, run: int | None = None
    ) -> SimulatedTask | None:
        """Return a task; of a recurring one this run, or by default the last."""
        runs = reversed(self._runs.get((realm, task_id), ()))
        return next((task for task in runs if run is None or task.run == run), None)

    def tasks(self, realm: str) -> Iterator[SimulatedTask]:
        """Yield the tasks of a realm in the order of their creation."""
        return (task for task in self._tasks.values() if task.order.realm == realm)

    def interrupt(self, task: SimulatedTask, what: Interrupt, now: float) -> bool:
        """Ask a task to stop; return False if that came too late or was asked."""
        if task.state.ended or task.interrupt in {what, Interrupt.EXECUTION}:
            return False
        task.interrupt = what
        if task.state in {State.RUNNING, State.SOLVING}:
            self._said.append(Stop(task, what))
        elif what is Interrupt.EXECUTION:
            self.finished(task, Outcome(state=State.INTERRUPTED), now)
        return True

    def delete(self, task: SimulatedTask) -> None:
        """Remove a task. Deleting the waiting run of a recurring one ends it."""
        if self._tasks.pop(task.number, None) is None:
            return
        self.changes += 1
        if self._ended.pop(task.number, None) is not None:
            self._kept -= size_of(task)
        if task.number in self._active:
            self._abandon(task)
        key = (task.order.realm, task.id)
        self._runs[key].remove(task)
        if not self._runs[key]:
            del self._runs[key]

    def forget(self) -> None:
        """Lose all tasks, as a server does that loses its memory."""
        for task in list(self._tasks.values()):
            self.delete(task)

    # --- what the shell does -------------------------------------------------

    def advance(self, now: float) -> list[Action]:
        """Move what is due and return what has to be done, in this order."""
        while self._later and self._later[0][0] <= now + INSTANT:
            heapq.heappush(self._ready, heapq.heappop(self._later)[1])
        while self._ready and len(self._active) < self.parallel:
            self._assign(heapq.heappop(self._ready), now)
        while self._starting and self._starting[0][0] <= now + INSTANT:
            self._start(heapq.heappop(self._starting)[1], now)
        said, self._said = self._said, []
        return said

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        while self._later and not self._is_waiting(self._later[0][1]):
            heapq.heappop(self._later)
        heads = [heap[0][0] for heap in (self._later, self._starting) if heap]
        return min(heads, default=None)

    def solving(self, task: SimulatedTask, now: float, *, busy: bool = True) -> None:
        """Note that a running task started, or ended, a solve."""
        wanted = State.SOLVING if busy else State.RUNNING
        if task.number in self._active and task.state is not wanted:
            self._change(task, wanted, now)

    def finished(self, task: SimulatedTask, outcome: Outcome, now: float) -> None:
        """Note how a run ended; a task that is gone meanwhile is let go."""
        if self._active.pop(task.number, None) is not None:
            self._make_room(task.order.realm)
        if task.number not in self._tasks or task.state.ended:
            return
        task.outcome = outcome
        task.ended_at = now
        task.order = attrs.evolve(task.order, payload=b"")
        self._change(task, outcome.state, now)
        self._ended[task.number] = task
        self._kept += size_of(task)
        self._forget_old()

    # --- the queue -----------------------------------------------------------

    def _create(
        self, task_id: str, order: Order, now: float, run: int | None, due: float | None
    ) -> SimulatedTask:
        self._created += 1
        self.changes += 1
        task = SimulatedTask(
            id=task_id,
            number=self._created,
            order=order,
            created_at=now,
            run=run,
            due=due,
        )
        self._tasks[task.number] = task
        self._runs.setdefault((order.realm, task_id), []).append(task)
        if due is None or due <= now:
            heapq.heappush(self._ready, task.number)
        else:
            heapq.heappush(self._later, (due, task.number))
        return task

    def _is_waiting(self, number: int) -> bool:
        task = self._tasks.get(number)
        return task is not None and task.state is State.QUEUED

    def _assign(self, number: int, now: float) -> None:
        if not self._is_waiting(number):
            return
        task = self._tasks[number]
        if self._is_full(task.order.realm):
            heapq.heappush(self._held.setdefault(task.order.realm, []), number)
            return
        self._active[number] = task
        task.assigned_at = now
        self._change(task, State.ASSIGNED, now)
        heapq.heappush(self._starting, (now + self.startup, number))

    def _is_full(self, realm: str) -> bool:
        quota = self.quotas.get(realm)
        if quota is None:
            return False
        active = [t for t in self._active.values() if t.order.realm == realm]
        return len(active) >= quota

    def _make_room(self, realm: str) -> None:
        """Let the next task go on that its realm's quota held back."""
        held = self._held.get(realm, [])
        while held:
            number = heapq.heappop(held)
            if self._is_waiting(number):
                heapq.heappush(self._ready, number)
                return

    def _start(self, number: int, now: float) -> None:
        task = self._active.get(number)
        if task is None:
            return
        task.running_at = now
        self._change(task, State.RUNNING, now)
        service = self.services[task.service]
        if task.order.wrap is not None:
            service = task.order.wrap(service)
        self._said.append(Start(task, service, task.order.payload))
        if task.run is not None and task.order.interval is not None:
            due = next_due(task.due or task.created_at, task.order.interval, now)
            self._create(task.id, task.order, now, task.run + 1, due)

    def _forget_old(self) -> None:
        """Forget what ended first, but not what ended last."""
        while len(self._ended) > 1 and (
            len(self._ended) > self.keep or self._kept > MOST_KEPT
        ):
            self.delete(next(iter(self._ended.values())))

    def _abandon(self, task: SimulatedTask) -> None:
        del self._active[task.number]
        self._make_room(task.order.realm)
        task.interrupt = Interrupt.EXECUTION
        if task.running_at is not None:
            self._said.append(Stop(task, Interrupt.EXECUTION))

    def _change(self, task: SimulatedTask, state: State, now: float) -> None:
        task.state = state
        self.changes += 1
        self._said.append(Changed(task, state, now))


def size_of(task: SimulatedTask) -> int:
    """Return the bytes of a task's result."""
    return 0 if task.outcome is None else len(task.outcome.content)


def next_due(due: float, interval: float, now: float) -> float:
    """Return when a recurring task is due next; what was missed is not made up for."""
    missed = max(0, math.floor((now - due) / interval))
    return due + (missed + 1) * interval
