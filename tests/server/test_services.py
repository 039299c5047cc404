"""The packaged services."""

from __future__ import annotations

from itertools import count
import threading
from typing import Any

import pytest

from asynctasks.exceptions import TaskCancelled
from asynctasks.server import services
from asynctasks.server.context import TaskContext
from asynctasks.server.simulator import Simulator


SMALL = {
    "resources": ["left", "right"],
    "activities": [
        {"act": "a", "processTime": 3},
        {"act": "b", "processTime": 4, "dueDate": 4},
        {"act": "c", "processTime": 2, "releaseDate": 3},
    ],
}


class Run:
    """A task's context, with what was reported through it."""

    def __init__(self) -> None:
        self.reports: list[tuple[Any, ...]] = []
        self.cancel = threading.Event()
        self.stop = threading.Event()
        self.context = TaskContext(
            "task-1", report=self.report, cancel=self.cancel, stop=self.stop, query={}
        )

    def report(self, *report: Any) -> None:
        self.reports.append(report)

    def heard(self, word: str) -> list[Any]:
        """Return the first values of the reports of one kind."""
        return [report[1] for report in self.reports if report[0] == word]


@pytest.fixture
def run() -> Run:
    """Provide the context of one task."""
    return Run()


def test_all_are_registered() -> None:
    """The simulator offers every packaged service by its name."""
    simulator = Simulator(new_id=lambda: "id")
    services.register(simulator)

    assert {
        "echo",
        "sleep",
        "fail",
        "countStarsJson",
        "equalParallelMachineTimeIndexedMIP",
    } == set(simulator.services)


@pytest.mark.parametrize("inputs", [{"a": [1, None]}, [], "text", None])
def test_echo_answers_with_its_inputs(inputs: Any) -> None:
    """What goes in comes out."""
    assert inputs is services.echo(inputs)


@pytest.mark.virtual_time
async def test_sleep_waits(run: Run) -> None:
    """Sleeping takes its time and says how far it is."""
    answer = await services.sleep({"seconds": 0.4}, run.context)

    assert {"seconds": 0.4} == answer
    assert [0.0, 0.25, 0.5, 0.75] == run.heard("progress")


@pytest.mark.virtual_time
async def test_sleep_stops_when_asked(run: Run) -> None:
    """An interrupted solve ends the sleep with what was slept."""
    run.stop.set()
    answer = await services.sleep({"seconds": 3600}, run.context)

    assert {"seconds": 0.0} == answer


@pytest.mark.virtual_time
async def test_sleep_ends_when_cancelled(run: Run) -> None:
    """An interrupted execution raises out of the sleep."""
    run.cancel.set()
    with pytest.raises(TaskCancelled):
        await services.sleep({"seconds": 3600}, run.context)


@pytest.mark.parametrize("seconds", [-1, "1", True, None])
async def test_sleep_refuses_what_is_no_duration(run: Run, seconds: Any) -> None:
    """The error names the member and its value."""
    with pytest.raises(ValueError, match=f"seconds: .* not {seconds!r}"):
        await services.sleep({"seconds": seconds}, run.context)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"message": "the oven is cold"}, "the oven is cold"),
        ({}, "this service always fails"),
        (None, "this service always fails"),
    ],
)
def test_fail_fails(inputs: Any, text: str) -> None:
    """Failing says what it was told to say."""
    with pytest.raises(RuntimeError, match=text):
        services.fail(inputs)


@pytest.mark.parametrize(
    ("lines", "stars"), [(["*" * 50] * 56, 2800.0), (["a*b", "", "★"], 1.0), ([], 0.0)]
)
def test_stars_are_counted(lines: list[str], stars: float) -> None:
    """The answer is the number of asterisks in all lines."""
    answer = services.count_stars({"lines": lines})

    assert {"count": stars} == answer
    assert isinstance(answer["count"], float)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (None, "lines: missing"),
        ({"line": []}, "lines: missing"),
        ({"lines": "*"}, "lines: an array of strings is needed"),
        ({"lines": ["*", 1]}, "lines: an array of strings is needed"),
    ],
)
def test_stars_need_lines(inputs: Any, text: str) -> None:
    """Without an array of strings there is nothing to count."""
    with pytest.raises(ValueError, match=text):
        services.count_stars(inputs)


def test_schedule_is_answered(run: Run) -> None:
    """The answer has the members and the sparse rows of the AIMMS service."""
    answer = services.schedule(SMALL, run.context)
    states = answer["KPIs"][0].pop("states")

    assert {
        "taskStatus": "OK",
        "problemStatus": "Optimal",
        "solverStatus": "NormalCompletion",
        "KPIs": [{"makespan": 5.0, "bound": 5.0, "gap": 0.0}],
        "solution": [
            {"act": "a", "resource": "right"},
            {"act": "b", "resource": "left"},
            {"act": "c", "resource": "right", "start": 3.0},
        ],
    } == answer
    assert states >= 0.0


def test_schedule_reports_while_it_runs(run: Run) -> None:
    """The solve, its schedules and bounds are told."""
    services.schedule(SMALL, run.context)

    assert [True, False] == run.heard("solving")
    assert ["makespan 5, bound 5"] == run.heard("log")[-1:]
    assert [1.0] == run.heard("progress")[-1:]
    assert run.heard("publish")


def test_assumed_resources_are_logged(run: Run) -> None:
    """Who names no machines is told how many there are."""
    services.schedule({"activities": SMALL["activities"]}, run.context)

    assert "inputs name no resources: 3 are assumed" == run.heard("log")[0]


def test_infeasible_schedule_is_answered(run: Run) -> None:
    """Deadlines that cannot be met are an outcome, not a failure."""
    rows = [{"act": name, "processTime": 3, "dueDate": 3} for name in "abc"]
    answer = services.schedule({"activities": rows, "resources": 2}, run.context)

    assert ("Infeasible", [], []) == (
        answer["problemStatus"],
        answer["KPIs"],
        answer["solution"],
    )


def test_interrupted_solve_answers_with_the_best_so_far(run: Run) -> None:
    """A solve that is told to stop returns its schedule and the gap."""
    run.stop.set()
    answer = services.schedule(services.load_instance(), run.context)

    assert ("IntegerSolution", "UserInterrupt") == (
        answer["problemStatus"],
        answer["solverStatus"],
    )
    assert 15 == len(answer["solution"])
    assert answer["KPIs"][0]["gap"] > 0.0


def test_schedule_ends_with_its_time(run: Run) -> None:
    """When the time limit is over, the best so far is the answer."""
    ticks = count()
    inputs = services.load_instance() | {"timeLimit": 2}
    answer = services.schedule(inputs, run.context, clock=lambda: next(ticks))

    assert ("IntegerSolution", "ResourceInterrupt") == (
        answer["problemStatus"],
        answer["solverStatus"],
    )


def test_cancelled_schedule_raises(run: Run) -> None:
    """A task that is told to end at once has no answer."""
    run.cancel.set()
    with pytest.raises(TaskCancelled):
        services.schedule(SMALL, run.context)


def test_packaged_instance_is_loaded() -> None:
    """The packaged inputs are 15 activities on 3 machines."""
    instance = services.load_instance("3Par15act")

    assert (15, 3) == (len(instance["activities"]), len(instance["resources"]))


def test_unknown_instance_is_missing() -> None:
    """A name that is not packaged is an error that says so."""
    with pytest.raises(FileNotFoundError):
        services.load_instance("3Par99act")
