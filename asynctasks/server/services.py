"""
The packaged services of the embedded server.

========================================  ========================================
``echo``                                  answers with its inputs
``sleep``                                 waits for ``seconds``
``fail``                                  fails with ``message``
``countStarsJson``                        counts the ``*`` in ``lines``
``equalParallelMachineTimeIndexedMIP``    schedules ``activities`` on ``resources``
========================================  ========================================

The last two go by the names and JSON keys of services that AIMMS describes
(https://how-to.aimms.com, articles 585 and 567), and write JSON as its data exchange
library does: numbers as floats, and no ``start`` in a row that starts at 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.resources import files
import json
import math
import time
from typing import TYPE_CHECKING, Any

from .instances import parse_instance
from .scheduling import Solution, SolveStatus, solve


if TYPE_CHECKING:
    from .context import TaskContext
    from .instances import Instance
    from .simulator import Simulator


__all__ = ["load_instance", "register"]

STEP = 0.1
"""Longest nap of ``sleep``, in seconds: it reports and listens in between."""

PROBLEM_STATUS = {
    SolveStatus.OPTIMAL: "Optimal",
    SolveStatus.FEASIBLE: "IntegerSolution",
    SolveStatus.INFEASIBLE: "Infeasible",
    SolveStatus.UNKNOWN: "NoSolution",
}
"""What AIMMS calls the outcome."""


def register(simulator: Simulator) -> None:
    """Offer all packaged services."""
    for name, service in SERVICES.items():
        simulator.service(name)(service)


def load_instance(name: str = "3Par15act") -> dict[str, Any]:
    """
    Load packaged inputs of ``equalParallelMachineTimeIndexedMIP``.

    Raises:
        FileNotFoundError: there are none of that name.
    """
    path = files("asynctasks.server") / "data" / f"{name}.json"
    instance: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return instance


def echo(inputs: Any) -> Any:
    """Answer with the inputs, whatever they are."""
    return inputs


async def sleep(inputs: Any, task: TaskContext) -> dict[str, float]:
    """Wait for ``seconds``; say how far it is; answer with the seconds waited."""
    seconds = parse_seconds(inputs)
    steps = max(1, math.ceil(seconds / STEP))
    for step in range(steps):
        task.check()
        if task.stop_requested:
            return {"seconds": seconds * step / steps}
        task.progress(step / steps, f"{seconds * step / steps:.1f} of {seconds:g} s")
        await asyncio.sleep(seconds / steps)
    return {"seconds": seconds}


def fail(inputs: Any) -> Any:
    """Fail with the given ``message``."""
    given = inputs.get("message") if isinstance(inputs, Mapping) else None
    raise RuntimeError(str(given or "this service always fails"))


def count_stars(inputs: Any) -> dict[str, float]:
    """Count the asterisks in ``lines``, an array of strings."""
    lines = member(inputs, "lines")
    if not isinstance(lines, list) or not all(isinstance(x, str) for x in lines):
        raise ValueError("lines: an array of strings is needed")
    return {"count": float(sum(line.count("*") for line in lines))}


def schedule(
    inputs: Any, task: TaskContext, *, clock: Callable[[], float] = time.monotonic
) -> dict[str, Any]:
    """
    Find the shortest schedule of activities on equal machines.

    The inputs are those of :func:`~.instances.parse_instance`. Each better schedule
    or bound is reported while it runs. When the time is over, or the solve is
    interrupted, the answer is the best schedule so far, with its gap.
    """
    instance = parse_instance(inputs)
    deadline = clock() + instance.time_limit
    if instance.assumed:
        task.log(f"inputs name no resources: {len(instance.resources)} are assumed")

    def stop() -> bool:
        task.check()
        return task.stop_requested or clock() >= deadline

    def report(makespan: int | None, bound: int) -> None:
        found = "no schedule yet" if makespan is None else f"makespan {makespan}"
        task.log(f"{found}, bound {bound}")
        task.publish({"makespan": makespan, "bound": bound})
        task.progress(bound / makespan if makespan else 0.0, f"{found}, bound {bound}")

    machines = len(instance.resources)
    with task.solving():
        solution = solve(
            instance.activities, machines, stop=stop, on_improvement=report
        )
    task.check()
    return build_answer(instance, solution, interrupted=task.stop_requested)


def build_answer(
    instance: Instance, solution: Solution, *, interrupted: bool
) -> dict[str, Any]:
    """Put a solution as the AIMMS service does; rows in the order of the inputs."""
    ended = solution.status in {SolveStatus.OPTIMAL, SolveStatus.INFEASIBLE}
    cut = "UserInterrupt" if interrupted else "ResourceInterrupt"
    return {
        "taskStatus": "OK",
        "problemStatus": PROBLEM_STATUS[solution.status],
        "solverStatus": "NormalCompletion" if ended else cut,
        "KPIs": build_kpis(solution),
        "solution": [
            {
                "act": placed.activity.name,
                "resource": instance.resources[placed.machine],
            }
            | ({"start": float(placed.start)} if placed.start else {})
            for placed in solution.placements
        ],
    }


def build_kpis(solution: Solution) -> list[dict[str, float]]:
    """Put the figures of a solution: a list of one row, empty without a schedule."""
    makespan, gap = solution.makespan, solution.gap
    if makespan is None or gap is None:
        return []
    bound, states = float(solution.bound), float(solution.states)
    return [{"makespan": float(makespan), "bound": bound, "gap": gap, "states": states}]


def parse_seconds(inputs: Any) -> float:
    """Read the ``seconds`` of a ``sleep``."""
    seconds = member(inputs, "seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise ValueError(f"seconds: a number from 0 is needed, not {seconds!r}")
    return float(seconds)


def member(inputs: Any, name: str) -> Any:
    """Return one member of the inputs."""
    if not isinstance(inputs, Mapping) or name not in inputs:
        raise ValueError(f"{name}: missing; a JSON object with this member is needed")
    return inputs[name]


SERVICES: dict[str, Callable[..., Any]] = {
    "echo": echo,
    "sleep": sleep,
    "fail": fail,
    "countStarsJson": count_stars,
    "equalParallelMachineTimeIndexedMIP": schedule,
}
