"""What jobs are follows from their tasks, and what parents are from their parts."""

from __future__ import annotations

import pytest

from asynctasks.server.desp.store import Job
from asynctasks.server.tasks import Outcome, State
from tests.server.desp.worlds import NOW, DespWorld


def words(world: DespWorld, *jobs: Job) -> list[str]:
    world.turn()
    return [world.get(f"/jobs/{job.id}")["status"] for job in jobs]


def end(world: DespWorld, job: Job, state: State) -> None:
    assert job.task is not None
    world.simulator.finished(job.task, Outcome(state=state), world.now)
    world.turn()


def test_quota() -> None:
    """Jobs above a user's quota are PENDING; those within wait for a worker."""
    world = DespWorld(parallel=1, quota=2)
    jobs = [world.launch() for _ in range(4)]
    before = words(world, *jobs)
    end(world, jobs[0], State.COMPLETED)

    assert ["RUNNING", "WAITING", "PENDING", "PENDING"] == before
    assert ["COMPLETED", "RUNNING", "WAITING", "PENDING"] == words(world, *jobs)


def test_quota_holds_tasks_back() -> None:
    """Workers that are free do not run what is above the quota."""
    world = DespWorld(parallel=10, quota=2)
    mine = [world.launch() for _ in range(4)]
    theirs = world.launch(user="other")

    assert ["RUNNING"] * 2 + ["PENDING"] * 2 + ["RUNNING"] == words(
        world, *mine, theirs
    )
    world.ask("GET", f"/jobs/{mine[2].id}/cancel")
    end(world, mine[0], State.COMPLETED)

    assert ["COMPLETED", "RUNNING", "CANCELLED", "RUNNING"] == words(world, *mine)


def test_old_jobs_go() -> None:
    """Of too many jobs the oldest go with their files, but no open ones."""
    world = DespWorld()
    first = world.launch({"a": ["1"]})
    parent = world.launch({"parallelInputs": ["a", "b"]}, 21)
    for job in (first, *parent.parts):
        world.end(job, content=b"x", content_type="text/plain")
    world.simulator.keep = 3
    open_job = world.launch({"a": ["2"]})
    latest = world.launch({"a": ["3"]})
    world.end(latest)

    assert [open_job.id, latest.id] == list(world.store.jobs)
    assert ({}, 3) == (world.store.files, len(world.store.configs))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([State.COMPLETED], "CREATED"),
        ([State.FAILED], "ERROR"),
        ([State.COMPLETED, State.COMPLETED], "COMPLETED"),
        ([State.COMPLETED, State.FAILED], "ERROR"),
    ],
)
def test_parent(ends: list[State], expected: str) -> None:
    """A parent is in error at once, and completed at last."""
    world = DespWorld()
    parent = world.launch({"parallelInputs": ["a", "b"]}, 21)
    world.turn()
    for part, state in zip(parent.parts, ends, strict=False):
        end(world, part, state)
    document = world.get(f"/jobs/{parent.id}")

    assert (expected, True) == (document["status"], document["parent"])
    assert (expected == "CREATED") == (parent.ended_at is None)


def test_parent_recovers() -> None:
    """A parent in error is completed when its failed parts have been run again."""
    world = DespWorld()
    parent = world.launch({"parallelInputs": ["a", "b"]}, 21)
    world.turn()
    end(world, parent.parts[0], State.COMPLETED)
    end(world, parent.parts[1], State.FAILED)
    world.ask("POST", f"/jobs/{parent.id}/relaunchFailed")
    still = words(world, parent)
    end(world, parent.parts[1], State.COMPLETED)

    assert (["ERROR"], ["COMPLETED"]) == (still, words(world, parent))


def test_terminated() -> None:
    """A job that is stopped while it runs is completed."""
    world = DespWorld()
    job = world.launch()
    world.turn()
    end(world, job, State.INTERRUPTED)

    assert ["COMPLETED"] == words(world, job)


def test_problem() -> None:
    """A job that could not be queued ended when it was created."""
    world = DespWorld()
    job = world.launch({"s2_input": ["x"]}, 20)

    assert (["ERROR"], NOW) == (words(world, job), job.ended_at)


def test_forgotten() -> None:
    """A server that lost its memory does not know its jobs."""
    world = DespWorld()
    parent = world.launch({"parallelInputs": ["a"]}, 21)
    job = world.launch()
    world.turn()
    world.simulator.forget()
    found = [world.ask("GET", f"/jobs/{n}").status for n in (job.id, parent.id + 1)]

    assert [404, 404] == found
    assert [] == parent.parts


def test_attached() -> None:
    """A job may be attached to another, whose state it does not change."""
    world = DespWorld()
    above = world.launch()
    below = world.launch(parent=f"x/jobs/{above.id}")
    world.turn()
    world.end(below, content=b"x")
    listed = world.get(f"/jobs/{above.id}/subJobs")["_embedded"]["jobs"]

    assert [below.id] == [row["id"] for row in listed]
    assert (["RUNNING"], []) == (words(world, above), above.files)
