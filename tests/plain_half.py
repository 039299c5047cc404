"""The server's half of the service that ``examples/add_a_service.py`` adds."""

from __future__ import annotations

from collections.abc import Sequence
import re

from asynctasks.sansio import codec
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.half import refuse
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Changed, Interrupt, Order, SimulatedTask, State


__all__ = ["PlainHalf"]

REALM = "plain"

JOBS = re.compile(r"/services/(\w+)/jobs|/jobs/([\w-]+)(/result)?")

WORDS = {
    State.QUEUED: "accepted",
    State.ASSIGNED: "accepted",
    State.RUNNING: "running",
    State.SOLVING: "running",
    State.COMPLETED: "successful",
    State.FAILED: "failed",
    State.INTERRUPTED: "dismissed",
}


class PlainHalf:
    """Answers 202 and a Location to a submit, and documents of jobs."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handle(self, request: Request, now: float) -> Response | None:
        """Answer a request; None where the path is another's."""
        found = JOBS.fullmatch(request.path)
        if found is None:
            return None
        service, job, result = found.groups()
        if service is not None:
            return self._submit(service, request, now)
        task = self._simulator.task(REALM, job)
        if task is None:
            return refuse(404, "NotFound", f"there is no job {job}")
        if request.method == "DELETE":
            self._simulator.interrupt(task, Interrupt.EXECUTION, now)
            return Response(204)
        return self._result(task) if result else self._status(task)

    def notices(self, change: Changed) -> Sequence[Request]:
        """Send nothing."""
        del change
        return ()

    def _submit(self, service: str, request: Request, now: float) -> Response:
        assert isinstance(request.body, bytes)
        if service not in self._simulator.services:
            return refuse(404, "NotFound", f"there is no service {service}")
        order = Order(
            service=service,
            realm=REALM,
            payload=request.body,
            content_type=request.headers.get("Content-Type", ""),
        )
        task = self._simulator.submit(order, now)
        return Response(202, Headers({"Location": f"/jobs/{task.id}"}))

    def _status(self, task: SimulatedTask) -> Response:
        message = task.outcome.message if task.outcome is not None else ""
        document = {"status": WORDS[task.state], "message": message}
        kind = Headers({"Content-Type": "application/json"})
        return Response(200, kind, codec.dumps(document))

    def _result(self, task: SimulatedTask) -> Response:
        if task.outcome is None or task.state is not State.COMPLETED:
            return refuse(404, "NotFound", "there is no result")
        kind = Headers({"Content-Type": task.outcome.content_type})
        return Response(200, kind, task.outcome.content)
