"""Jobs: run, polled, fetched, cancelled, timed out, deleted."""

from __future__ import annotations

from typing import Any

from asynctasks.sansio.http import Request
from asynctasks.server.half import Awaited
from asynctasks.server.tasks import Outcome, State
from tests.server.oml.worlds import NOW, OmlWorld, authorized


def test_redirect_on_request() -> None:
    """A Location beside the Content-Location is a trap that can be set."""
    world = OmlWorld(location=True)
    job = world.submit()
    world.work()
    answer = world.ask("GET", f"v2/jobs/{job}")

    assert answer.headers["Location"] == answer.headers["Content-Location"]


def test_result_can_be_repeated() -> None:
    """A result is there as often as it is asked for."""
    world = OmlWorld()
    job = world.submit(parameters='{"a":1}')
    world.work()

    for _ in range(2):
        answer = world.ask("GET", f"v2/jobs/{job}/result")
        assert {"result": {"a": 1}} == answer.json()


def test_ids_are_whole() -> None:
    """A part of an id, or the id with another level, is not the job's."""
    world = OmlWorld()
    job = world.submit()

    for wrong in ("task-1", job.replace("LOW", "HIGH"), job[:36]):
        assert 500 == world.ask("GET", f"v2/jobs/{wrong}").status


def test_unknown_script() -> None:
    """A script that there is not cannot be run."""
    answer = OmlWorld().ask("POST", "v2/do-eval/nope", {})

    assert (400, "there is no script nope") == (
        answer.status,
        answer.json()["errorMessage"],
    )


def test_synchronous_call_waits() -> None:
    """The answer to a synchronous call waits for the end, up to the cut-off."""
    world = OmlWorld(cut_off=7.0)
    request = Request(
        "POST", "/oml/api/py-scripts/v2/do-eval/echo", authorized(), b"{}"
    )
    answer = world.oml.handle(request, NOW)

    assert isinstance(answer, Awaited)
    assert 7.0 == answer.limit
    world.work()
    assert {"result": None} == answer.answer().json()
    assert [] == list(world.simulator.tasks("oml/OMLUSER"))


def test_synchronous_calls_are_no_jobs() -> None:
    """The list has jobs only."""
    world = OmlWorld()
    request = Request(
        "POST", "/oml/api/py-scripts/v2/do-eval/echo", authorized(), b"{}"
    )
    world.oml.handle(request, NOW)

    assert [] == world.ask("GET", "v2/jobs").json()["result"]


def test_list() -> None:
    """The list says which jobs are over, and how long each took."""
    world = OmlWorld()
    done = world.submit()
    world.work()
    world.wait(3700)
    waits = world.submit()
    rows = world.ask("GET", "v2/jobs").json()["result"]

    assert [(done, "FINISH", "00:00:00"), (waits, "RUNNING", "00:00:00")] == [
        (row["job_id"], row["status"], row["elapsedTime"]) for row in rows
    ]
    world.wait(61)
    pending = world.ask("GET", f"v2/jobs/{waits}").json()
    assert "00:01:01" == pending["elapsedTime"]


def running(world: OmlWorld, **body: Any) -> str:
    """Have a job that runs."""
    job = world.submit(**body)
    for _ in range(2):
        world.simulator.advance(world.now)
    (task,) = world.simulator.tasks("oml/OMLUSER")
    assert State.RUNNING is task.state
    return job


def result_of(world: OmlWorld, job: str) -> Any:
    assert 302 == world.ask("GET", f"v2/jobs/{job}").status
    return world.ask("GET", f"v2/jobs/{job}/result").json()


def test_cancel() -> None:
    """A cancelled job is over at once, and its result says so."""
    world = OmlWorld()
    job = running(world)
    world.ask("POST", f"v2/jobs/{job}/cancel")

    assert "The job was cancelled." == result_of(world, job)["errorMessage"]
    assert 400 == world.ask("POST", f"v2/jobs/{job}/cancel").status


def test_time_out() -> None:
    """A job that runs for longer than it may is ended, and its result says so."""
    world = OmlWorld()
    job = running(world, timeout=3600)
    world.wait(3599)
    assert 202 == world.ask("GET", f"v2/jobs/{job}").status
    world.wait(1)
    words = result_of(world, job)["errorMessage"]

    assert "The job timed out after 3600 seconds." == words


def test_cancelled_in_time() -> None:
    """A job that was cancelled did not time out, however late one looks."""
    world = OmlWorld()
    job = running(world)
    world.ask("POST", f"v2/jobs/{job}/cancel")
    (task,) = world.simulator.tasks("oml/OMLUSER")
    world.simulator.finished(task, Outcome(state=State.INTERRUPTED), world.now)
    world.wait(100_000)

    assert "The job was cancelled." == result_of(world, job)["errorMessage"]


def test_delete() -> None:
    """v1 deletes jobs that run, v2 any; a deleted job is unknown."""
    world = OmlWorld()
    job = world.submit("v1/do-eval/echo")
    world.work()

    assert 400 == world.ask("DELETE", f"v1/jobs/{job}").status
    assert 200 == world.ask("DELETE", f"v2/jobs/{job}").status
    assert 500 == world.ask("GET", f"v1/jobs/{job}").status
