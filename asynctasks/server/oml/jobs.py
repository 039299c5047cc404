"""Jobs of the OML half: scripts run and answered, polled, cancelled and deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

from .answers import (
    OmlRefused,
    answer,
    failure,
    find_uuid,
    job_id,
    write_elapsed,
    write_time,
)
from .apply import as_script
from .calls import Call
from .functions import ScriptCall, parse_call
from ..half import Awaited
from ..tasks import Interrupt, Order, SimulatedTask, State
from ...sansio.http import Headers, Response


__all__ = ["cancel", "delete", "list_jobs", "poll", "result", "run"]


def run(call: Call) -> Response:
    """Submit a job; or run a script while the client waits."""
    function, script = call.parts[:2]
    if script not in call.simulator.services:
        raise OmlRefused(400, f"there is no script {script}")
    wanted = parse_call(
        function,
        call.request,
        call.version,
        call.simulator.tables,
        strict=call.quirks.strict,
    )
    order = build_order(call, script, wanted)
    task = call.simulator.submit(order, call.now)
    if wanted.asynchronous:
        return created(call, task)
    return Awaited(
        200,
        task=task,
        answer=partial(synchronous, call, task),
        limit=call.quirks.cut_off,
    )


def created(call: Call, task: SimulatedTask) -> Response:
    """Answer where a new job is."""
    end = ";" if call.quirks.semicolon else ""
    location = f"{call.base}/{call.version}/jobs/{job_id(task)}{end}"
    return Response(201, Headers({"Location": location}))


def synchronous(call: Call, task: SimulatedTask) -> Response:
    """Answer with what a script returned for whom who waited; it was no job."""
    call.simulator.delete(task)
    return build_result(task, None, refused=400)


def find(call: Call, unknown: int = 500) -> SimulatedTask:
    """Return the job that the path names."""
    wanted = call.parts[1]
    task = call.simulator.task(call.realm, find_uuid(wanted))
    if task is None or job_id(task) != wanted:
        raise OmlRefused(unknown, f"Problem finding the job id {wanted}.")
    return task


def poll(call: Call) -> Response:
    """Answer that a job is pending, or finished."""
    task = find(call)
    if not over(call, task):
        facts = {"status": "job is still running"}
        return answer(describe(task, call.version, call.now, **facts), 202)
    url = f"{call.base}/{call.version}/jobs/{job_id(task)}/result"
    headers = {"Content-Location": url}
    if call.quirks.location:
        headers["Location"] = url
    return Response(302, Headers(headers))


def result(call: Call) -> Response:
    """Answer with what a script returned, or how it failed."""
    task = find(call)
    if not over(call, task):
        raise OmlRefused(404, "The result is not ready.")
    # With which status a failure is answered here, is not documented.
    return build_result(task, cut_short(task, call.now), refused=200)


def delete(call: Call) -> Response:
    """Remove a job; v1 only while it runs."""
    task = find(call)
    if call.version == "v1" and over(call, task):
        raise OmlRefused(400, "The job is not running.")
    call.simulator.delete(task)
    return answer({"result": "job deleted successfully"})


def cancel(call: Call) -> Response:
    """End a job that runs."""
    task = find(call, unknown=404)
    if over(call, task):
        raise OmlRefused(400, "The job is not running.")
    call.simulator.interrupt(task, Interrupt.EXECUTION, call.now)
    return answer({"result": "job cancelled successfully"})


def list_jobs(call: Call) -> Response:
    """Answer with all jobs."""
    tasks = [
        task
        for task in call.simulator.tasks(call.realm)
        if task.order.labels["asynchronous"]
    ]
    rows = [
        describe(
            task,
            "v2",
            call.now,
            job_id=job_id(task),
            status=word(call, task),
        )
        for task in tasks
    ]
    return answer({"result": rows})


def over(call: Call, task: SimulatedTask) -> bool:
    """Tell whether a job is over; end one that has taken too long."""
    if timed_out(task, call.now) and not task.state.ended:
        call.simulator.interrupt(task, Interrupt.EXECUTION, call.now)
    # An interrupt is obeyed at once, though the function may take its time.
    return task.state.ended or task.interrupt is Interrupt.EXECUTION


def word(call: Call, task: SimulatedTask) -> str:
    """Return the word for the state of a job."""
    # Only FINISH is documented, and not whether a failed job is called so too.
    return "FINISH" if over(call, task) else "RUNNING"


# --- how -----------------------------------------------------------------


def build_order(call: Call, script: str, wanted: ScriptCall) -> Order:
    """Write down what is to be run."""
    labels = {
        "version": call.version,
        "level": wanted.level,
        "asynchronous": "yes" if wanted.asynchronous else "",
    }
    if wanted.asynchronous:
        labels["limit"] = str(wanted.time_limit)
    return Order(
        service=script,
        realm=call.realm,
        payload=wanted.parameters,
        content_type="application/json",
        labels=labels,
        wrap=partial(as_script, call=wanted),
    )


def timed_out(task: SimulatedTask, until: float) -> bool:
    """Tell whether a job has run for too long."""
    limit = task.order.labels.get("limit")
    if limit is None or task.running_at is None:
        return False
    end = until if task.ended_at is None else task.ended_at
    return end - task.running_at >= float(limit)


def cut_short(task: SimulatedTask, now: float) -> str | None:
    """Return why a job that is over did not come to its own end; None if it did."""
    if timed_out(task, now):
        seconds = task.order.labels["limit"]
        return f"The job timed out after {seconds} seconds."
    interrupted = task.interrupt is Interrupt.EXECUTION
    return "The job was cancelled." if interrupted else None


def build_result(task: SimulatedTask, words: str | None, *, refused: int) -> Response:
    """Answer with what a script returned; or with words, its own or those given."""
    outcome = task.outcome
    if words is None and outcome is not None and outcome.state is State.COMPLETED:
        kind = Headers({"Content-Type": "application/json"})
        return Response(200, kind, outcome.content)
    own = "" if outcome is None else outcome.message
    return answer(failure(words or own), refused)


def describe(
    task: SimulatedTask, form: str, now: float, **facts: str
) -> dict[str, Any]:
    """Write down a job, and since when there is one."""
    end = now if task.ended_at is None else task.ended_at
    return {
        "createdDate": write_time(task.created_at, form),
        **facts,
        "elapsedTime": write_elapsed(end - task.created_at),
    }
