"""Configurations are stored once, launched often, split, ended and run again."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.sansio import codec
from asynctasks.server.tasks import Interrupt, Outcome, State
from tests.server.desp.worlds import NOW, DespWorld


def payloads(world: DespWorld) -> list[Any]:
    """Return what the tasks that start are given."""
    return [codec.loads(start.payload) for start in world.turn()]


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        [],
        {},
        {"service": "x/services/99", "inputs": {}},
        {"service": "x/services/1", "inputs": []},
        {"service": "x/services/1", "inputs": {"a": "x"}},
        {"service": "x/services/1", "inputs": {"a": [1]}},
        {"service": 20, "inputs": {}},
    ],
)
def test_bad_configuration(body: Any) -> None:
    """A configuration of no service, or whose inputs are no lists of text, is bad."""
    answer = DespWorld().ask("POST", "/jobConfigs/", body)

    assert (400, "Bad Request") == (answer.status, answer.json()["error"])
    assert answer.json()["message"]


def test_too_many_parts() -> None:
    """Inputs that multiply to more sub-jobs than anybody wants are refused at once."""
    names = [f"p{n}" for n in range(9)]
    inputs = {name: [str(n) for n in range(10)] for name in names}
    document = {"service": "x/services/1", "inputs": inputs}
    answer = DespWorld().ask(
        "POST", "/jobConfigs", {**document, "parallelParameters": names}
    )

    assert (400, "a job has 10000 sub-jobs at most") == (
        answer.status,
        answer.json()["message"],
    )


def test_seed_link() -> None:
    """The guide's link to the service, which lacks a slash, is understood."""
    document = {"service": "https://hostsecure/api/v2.0/services/20", "inputs": {}}
    answer = DespWorld().ask("POST", "/jobConfigs/", {**document, "parent": None})

    assert (201, "TestProcessor") == (
        answer.status,
        answer.json()["_embedded"]["service"]["name"],
    )


def test_equal_configurations() -> None:
    """Neither the label nor the order of values makes a configuration another one."""
    world = DespWorld()
    first = world.config({"a": ["x", "y", "x"]}, label="one")
    again = world.config({"a": ["y", "x"]}, label=7)
    others = [
        world.config({"a": ["x"]}),
        world.config({"a": ["x", "y"]}, user="other"),
        world.config({"a": ["x", "y"]}, 20),
        world.config({"a": ["x", "y"]}, parallelParameters=["a"]),
    ]
    stored = world.get(f"/jobConfigs/{first}")

    assert first == again
    assert 5 == len({first, *others})
    assert ({"a": ["x", "y"]}, None) == (stored["inputs"], stored["label"])


def test_launch() -> None:
    """Each launch is a new job, whose id is in both of its places."""
    world = DespWorld()
    config = world.config({"a": ["1"]})
    found = [world.ask("POST", f"/jobConfigs/{config}/launch") for _ in range(2)]
    documents = [answer.json() for answer in found]

    assert [202, 202] == [answer.status for answer in found]
    assert [(1, 1), (2, 2)] == [(d["id"], d["content"]["id"]) for d in documents]
    assert {"PENDING"} == {d["status"] for d in documents}
    assert [{"a": "1"}] * 2 == payloads(world)


def test_launch_of_nothing() -> None:
    """A configuration that there is not is not launched."""
    assert 404 == DespWorld().ask("POST", "/jobConfigs/7/launch").status


def test_problems_show_as_an_error() -> None:
    """What is wrong with a job is in its log, after it was accepted."""
    world = DespWorld()
    job = world.launch({"s2_input": ["x"]}, 20)
    logs = world.get(f"/jobs/{job.id}/logs")

    assert ("ERROR", ["Missing input s3_input"], 0) == (
        world.get(f"/jobs/{job.id}")["status"],
        [line["message"] for line in logs],
        world.simulator.submissions.total(),
    )


@pytest.mark.parametrize(
    ("service", "fields", "expected"),
    [
        (21, {}, [{"input": "x", "a": "1"}, {"input": "y", "a": "1"}]),
        (
            1,
            {"parallelParameters": ["parallelInputs"]},
            [{"a": "1", "parallelInputs": "x"}, {"a": "1", "parallelInputs": "y"}],
        ),
    ],
)
def test_split(service: int, fields: Any, expected: Any) -> None:
    """Each value becomes a sub-job, with a configuration of its own."""
    world = DespWorld()
    inputs = {"parallelInputs": ["x", "y"], "a": ["1"]}
    parent = world.launch(inputs, service, label="mine", **fields)
    configs = world.get("/jobConfigs")["_embedded"]["jobConfigs"]

    assert expected == payloads(world)
    assert (3, {"mine"}) == (len(configs), {each["label"] for each in configs})
    assert {parent} == {part.config.parent for part in parent.parts}


def test_nothing_to_split() -> None:
    """A parent without parts is in error at once."""
    world = DespWorld()
    parent = world.launch({}, 21)

    assert "ERROR" == world.get(f"/jobs/{parent.id}")["status"]
    assert 1 == len(world.get(f"/jobs/{parent.id}/logs"))


# --- ending and beginning again ----------------------------------------------


def test_cancel() -> None:
    """What waits is cancelled and refunded; what runs is left, and it is 200 too."""
    world = DespWorld(parallel=1, wallet=10.0)
    running, waiting = world.launch(), world.launch()
    world.turn()
    user = world.store.user("user")
    before = user.credits
    found = [world.ask("GET", f"/jobs/{j.id}/cancel") for j in (running, waiting)]

    assert [(200, b"")] * 2 == [(answer.status, answer.body) for answer in found]
    assert ["RUNNING", "CANCELLED"] == [
        world.get(f"/jobs/{job.id}")["status"] for job in (running, waiting)
    ]
    assert before + 1 == user.credits


def test_cancel_parent() -> None:
    """Of a parent the waiting parts are cancelled; its own word stays."""
    world = DespWorld(parallel=1)
    parent = world.launch({"parallelInputs": ["x", "y"]}, 21)
    world.turn()
    world.ask("GET", f"/jobs/{parent.id}/cancel")
    counts = world.get(f"/jobs/{parent.id}?projection=detailedJob")

    assert ("CREATED", {"RUNNING": 1, "CANCELLED": 1}) == (
        counts["status"],
        counts["subJobStatusCounts"],
    )


def test_terminate() -> None:
    """A running job is told to stop; for any other it is 204 without effect."""
    world = DespWorld(parallel=1)
    running, waiting = world.launch(), world.launch()
    world.turn()
    found = [world.ask("POST", f"/jobs/{j.id}/terminate") for j in (running, waiting)]
    asked = [job.task and job.task.interrupt for job in (running, waiting)]

    assert [204, 204] == [answer.status for answer in found]
    assert [Interrupt.EXECUTION, None] == asked


def test_relaunch_failed() -> None:
    """A failed job runs again under its id; its start stays, its end goes."""
    world = DespWorld(wallet=10.0)
    job = world.launch({"a": ["1"]})
    failed = world.end(job, State.FAILED, message="no more")
    logs = world.get(f"/jobs/{job.id}/logs")
    world.now += 60
    answer = world.ask("POST", f"/jobs/{job.id}/relaunchFailed")
    again = payloads(world)
    running = world.get(f"/jobs/{job.id}")

    assert ("no more", 200, b"") == (logs[-1]["message"], answer.status, answer.body)
    assert [{"a": "1"}] == again
    assert ("RUNNING", failed["startTime"], None) == (
        running["status"],
        running["startTime"],
        running["endTime"],
    )
    assert 8.0 == world.store.user("user").credits


def test_relaunch_of_a_success() -> None:
    """What has not failed is left as it is."""
    world = DespWorld()
    job = world.launch()
    world.end(job)
    answer = world.ask("POST", f"/jobs/{job.id}/relaunchFailed")

    assert (200, []) == (answer.status, world.turn())


# --- costs -------------------------------------------------------------------


@pytest.mark.parametrize(("wallet", "status"), [(3.0, 200), (2.0, 402)])
def test_estimate(wallet: float, status: int) -> None:
    """An estimate says what a launch costs, and whether the wallet has it."""
    world = DespWorld(wallet=wallet)
    config = world.config({}, 22)
    answer = world.ask("GET", f"/estimateCost/jobConfig/{config}")

    assert (status, 3.0, wallet) == (
        answer.status,
        answer.json()["estimatedCost"],
        answer.json()["currentWalletBalance"],
    )
    assert 404 == world.ask("GET", "/estimateCost/jobConfig/99").status


def test_estimate_of_a_split() -> None:
    """Each part of a parent costs."""
    world = DespWorld()
    config = world.config({"parallelInputs": ["x", "y"]}, 21)

    assert 2.0 == world.get(f"/estimateCost/jobConfig/{config}")["estimatedCost"]


def test_no_credit() -> None:
    """A launch that the wallet does not have is in error."""
    world = DespWorld(wallet=1.0)
    jobs = [world.launch() for _ in range(2)]
    words = [world.get(f"/jobs/{job.id}")["status"] for job in jobs]

    assert ["WAITING", "ERROR"] == words
    assert "wallet" in world.get(f"/jobs/{jobs[1].id}/logs")[0]["message"]


def test_times_of_a_log() -> None:
    """The lines of a log have the times at which they were written."""
    world = DespWorld()
    job = world.launch()
    world.turn()
    assert job.task is not None
    job.task.log.append((NOW, "it begins"))
    world.simulator.finished(job.task, Outcome(state=State.COMPLETED), world.now)
    line = {"timestamp": "2024-02-10T13:19:17.964Z", "message": "it begins"}

    assert [line] == world.get(f"/jobs/{job.id}/logs")
