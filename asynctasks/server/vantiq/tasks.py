"""
Rows that are tasks: the simulator's services work on those of a type of tasks.

On a Vantiq server this is what rules and procedures of the application do; see
:mod:`asynctasks.sansio.vantiq_tasks` for the type. Here each type with its properties
is worked on, unless somebody else does: rows whose ``service`` is none of ours, and
types whose inserts a client has subscribed to, are left alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs

from .events import Event
from .refusals import Refused
from .tables import write_time
from .world import VantiqWorld
from ..simulator import Simulator
from ..tasks import Changed, Interrupt, Order, Outcome, SimulatedTask, State
from ...sansio import codec
from ...sansio.task import TaskState
from ...sansio.vantiq_tasks import PROPERTIES, build_type


__all__ = ["TaskRows"]

REALM = "vantiq"

TYPE = "Task"
"""The type that is there from the start, so that nobody has to create it."""

WORDS: Mapping[State, TaskState] = {
    State.QUEUED: TaskState.QUEUED,
    State.ASSIGNED: TaskState.QUEUED,
    State.RUNNING: TaskState.RUNNING,
    State.SOLVING: TaskState.RUNNING,
    State.COMPLETED: TaskState.SUCCEEDED,
    State.FAILED: TaskState.FAILED,
    State.INTERRUPTED: TaskState.CANCELLED,
}

EVERY = 0.25
"""Seconds after which the tasks are looked at again."""


@attrs.frozen
class Place:
    """Where the row of a task is."""

    namespace: str
    type: str
    ident: str


class TaskRows:
    """
    The tasks that are rows.

    Args:
        world: of the rows.
        simulator: of the services.
    """

    def __init__(self, world: VantiqWorld, simulator: Simulator) -> None:
        self._world = world
        self._simulator = simulator
        self._tasks: dict[Place, SimulatedTask] = {}
        self._places: dict[int, Place] = {}
        self._due: float | None = None
        world.store.types.append(build_type(TYPE))
        world.on("/types")(self.take)

    # --- from rows to tasks --------------------------------------------------

    def take(self, event: Event) -> None:
        """Start, stop or drop a task because of what happened to its row."""
        _, _, kind, what, *rest = event.path.split("/")
        if not rest:
            self._sweep(event.namespace, kind)
        elif self._holds_tasks(event.namespace, kind):
            place = Place(event.namespace, kind, str(event.value["_id"]))
            if what == "insert":
                self._start(place, event.value)
            elif what == "delete":
                self._drop(place)
            elif event.value.get("cancelRequested") and place in self._tasks:
                now = self._world.clock()
                task = self._tasks[place]
                self._simulator.interrupt(task, Interrupt.EXECUTION, now)

    def _holds_tasks(self, namespace: str, kind: str) -> bool:
        properties = self._world.table(namespace, kind).schema.properties
        return properties.keys() >= PROPERTIES.keys()

    def _start(self, place: Place, row: Mapping[str, Any]) -> None:
        inserts = f"/types/{place.type}/insert"
        service, inputs = str(row.get("service")), row.get("inputs") or {}
        others = self._world.broker.select(inserts, place.namespace)
        queued = row.get("state") == TaskState.QUEUED.value
        if others or not queued or service not in self._simulator.services:
            return
        given = inputs.get("value") if isinstance(inputs, Mapping) else None
        order = Order(
            service=service,
            realm=REALM,
            payload=b"" if given is None else codec.dumps(given),
            content_type="application/json",
        )
        task = self._simulator.submit(order, self._world.clock())
        self._tasks[place] = task
        self._places[task.number] = place

    def _sweep(self, namespace: str, kind: str) -> None:
        """Drop the tasks whose rows were deleted in bulk."""
        for place in list(self._tasks):
            if (place.namespace, place.type) == (namespace, kind):
                rows = self._world.table(namespace, kind).rows
                if place.ident not in rows:
                    self._drop(place)

    def _drop(self, place: Place) -> None:
        task = self._tasks.pop(place, None)
        if task is not None:
            del self._places[task.number]
            self._simulator.delete(task)

    # --- from tasks to rows --------------------------------------------------

    def changed(self, change: Changed) -> None:
        """Write down in its row where a task is now."""
        task = change.task
        place = self._places.get(task.number)
        if place is None:
            return
        row: dict[str, Any] = {"state": WORDS[change.state].value}
        if task.running_at is not None:
            row["startedAt"] = write_time(task.running_at)
            self._due = self._world.clock() + EVERY
        if change.state.ended:
            row |= describe_end(task)
            del self._tasks[place], self._places[task.number]
        self._write(place, row | describe_progress(task))

    def advance(self, now: float) -> None:
        """Write down the progress of what runs, when it is due."""
        if self._due is None or now < self._due:
            return
        for place, task in list(self._tasks.items()):
            if self._simulator.task(REALM, task.id) is None:
                self._lose(place)
            elif task.running_at is not None:
                self._write(place, describe_progress(task))
        self._due = now + EVERY if self._tasks else None

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        return self._due

    def _lose(self, place: Place) -> None:
        """Take the row of a task away that the simulator forgot."""
        with suppress(Refused):
            desk = self._world.desk(namespace=place.namespace)
            desk.delete_one(place.type, place.ident)
        self._drop(place)

    def _write(self, place: Place, row: Mapping[str, Any]) -> None:
        desk = self._world.desk(namespace=place.namespace)
        try:
            desk.update(place.type, place.ident, row)
        except Refused:
            # The row, or its type, went without an event: all data were dropped.
            self._drop(place)


def describe_progress(task: SimulatedTask) -> dict[str, Any]:
    """Return what a running task says of itself."""
    if task.progress is None:
        return {}
    return {"progress": task.progress, "message": task.progress_message}


def describe_end(task: SimulatedTask) -> dict[str, Any]:
    """Return what there is to say of a task that is over."""
    outcome = task.outcome or Outcome(state=task.state)
    ended = write_time(task.ended_at or task.created_at)
    facts: dict[str, Any] = {"endedAt": ended, "message": outcome.message}
    if outcome.state is State.COMPLETED:
        facts["result"] = {"value": read_content(outcome)}
    return facts


def read_content(outcome: Outcome) -> Any:
    """Return a result as a value of JSON; bytes go as Vantiq sends them, in base64."""
    if not outcome.content:
        return None
    if outcome.content_type == "application/json":
        return codec.loads(outcome.content)
    try:
        return outcome.content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(outcome.content).decode()
