"""A simulated world that a test turns by hand: no loop, no clock, no dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from typing import Any

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.aimms.service import AimmsService
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Changed, Outcome, SimulatedTask, Start, State


__all__ = ["NOW", "World", "count_ids"]

NOW = 1700752598.0
"""2023-11-23 15:16:38 UTC."""


def count_ids() -> Iterator[str]:
    """Yield task-1, task-2 and so on."""
    number = 0
    while True:
        number += 1
        yield f"task-{number}"


class World:
    """A simulator with the AIMMS half on it, and a clock that is moved by hand."""

    def __init__(
        self, *, parallel: int = 2, startup: float = 0.0, **options: Any
    ) -> None:
        self.ids: list[str] = []
        self._counted = count_ids()
        self.simulator = Simulator(
            parallel=parallel, startup=startup, new_id=self._new_id
        )
        self.aimms = AimmsService(self.simulator, **options)
        self.simulator.service("Test", lambda inputs: inputs)
        self.now = NOW
        self.said: list[Any] = []

    def _new_id(self) -> str:
        return self.ids.pop(0) if self.ids else next(self._counted)

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask the AIMMS half; a body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(method, url, Headers(headers or {}), sent)
        response = self.aimms.handle(request, self.now)
        assert response is not None
        return response

    def submit(self, url: str = "/api/v2/tasks/Test", **options: Any) -> str:
        """Submit and return the id."""
        answer: dict[str, str] = self.ask("POST", url, **options).json()
        return answer["id"]

    def turn(self, seconds: float = 0.0) -> list[Any]:
        """Let time pass and return what the simulator says."""
        self.now += seconds
        said = self.simulator.advance(self.now)
        self.said += said
        return said

    def starts(self) -> list[SimulatedTask]:
        """Turn and return the tasks that start."""
        return [each.task for each in self.turn() if isinstance(each, Start)]

    def changes(self) -> list[Changed]:
        """Return all changes so far."""
        return [each for each in self.said if isinstance(each, Changed)]

    def task(self, task_id: str, run: int | None = None) -> SimulatedTask:
        """Return a task of whatever realm."""
        for realm in ("aimms-cloud", "aimms-local", ""):
            task = self.simulator.task(realm, task_id, run)
            if task is not None:
                return task
        raise AssertionError(task_id)

    def end(
        self, task: SimulatedTask, state: State = State.COMPLETED, **facts: Any
    ) -> None:
        """Report the end of a run."""
        outcome = Outcome(state=state, **facts)
        self.simulator.finished(task, outcome, self.now)
