"""The simulated world: queue, schedules, recurrence, interrupts."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.server import simulator as module
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import (
    Interrupt,
    Order,
    Outcome,
    SimulatedTask,
    Start,
    State,
    Stop,
    Submitted,
)
from tests.server.worlds import count_ids


DONE = Outcome(state=State.COMPLETED)


def build(*, parallel: int = 1, startup: float = 0.0) -> Simulator:
    """Make a world with one service."""
    simulator = Simulator(
        parallel=parallel, startup=startup, new_id=count_ids().__next__
    )
    simulator.service("solve", lambda inputs: inputs)
    return simulator


def starts(simulator: Simulator, now: float) -> list[SimulatedTask]:
    """Return the tasks that start now."""
    said = simulator.advance(now)
    return [each.task for each in said if isinstance(each, Start)]


def test_order_of_creation() -> None:
    """Tasks start in the order of their creation, as many as there are places."""
    simulator = build(parallel=2)
    tasks = [simulator.submit(Order(service="solve"), 0.0) for _ in range(4)]
    first = starts(simulator, 1.0)
    simulator.finished(tasks[1], DONE, 2.0)
    second = starts(simulator, 2.0)

    assert (tasks[:2], tasks[2:3]) == (first, second)


def test_times() -> None:
    """A task is stamped when it is assigned, runs and ends."""
    simulator = build(startup=5.0)
    task = simulator.submit(Order(service="solve"), 1.0)
    simulator.advance(2.0)
    due = simulator.next_wakeup()
    simulator.advance(7.0)
    simulator.finished(task, DONE, 9.0)

    assert (1.0, 2.0, 7.0, 7.0, 9.0) == (
        task.created_at,
        task.assigned_at,
        due,
        task.running_at,
        task.ended_at,
    )


def test_old_tasks_are_forgotten() -> None:
    """Of the tasks that have ended only so many are kept, the latest."""
    simulator = build(parallel=9)
    simulator.keep = 2
    tasks = [simulator.submit(Order(service="solve"), 0.0) for _ in range(5)]
    simulator.advance(0.0)
    for task in (tasks[3], tasks[0], tasks[1], tasks[2]):
        simulator.finished(task, DONE, 1.0)
    simulator.delete(tasks[1])

    assert [tasks[2], tasks[4]] == list(simulator.tasks(""))


def test_large_results_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are kept up to so many bytes together, the latest in any case."""
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    simulator = build(parallel=9)
    tasks = [simulator.submit(Order(service="solve"), 0.0) for _ in range(4)]
    simulator.advance(0.0)
    found = []
    for task, size in zip(tasks, (6, 4, 1, 99), strict=True):
        outcome = attrs.evolve(DONE, content=b"x" * size)
        simulator.finished(task, outcome, 1.0)
        found.append([each.number for each in simulator.tasks("") if each.outcome])

    assert [[1], [1, 2], [2, 3], [4]] == found


@pytest.mark.parametrize(
    ("interval", "now", "due"),
    [(10.0, 5.0, 15.0), (10.0, 5.5, 15.0), (10.0, 36.0, 45.0), (1e-3, 1e9, 1e9)],
)
def test_missed_runs(interval: float, now: float, due: float) -> None:
    """Runs that were missed are not made up for; the others keep their rhythm."""
    simulator = build()
    order = Order(service="solve", not_before=5.0, interval=interval)
    task = simulator.submit(order, 0.0)
    simulator.advance(now)
    following = simulator.task("", task.id)

    assert following is not None
    assert (1, due) == (following.run, pytest.approx(following.due))


def test_not_before() -> None:
    """A task for later waits without taking a place, and says when it is due."""
    simulator = build()
    later = simulator.submit(Order(service="solve", not_before=100.0), 0.0)
    now = simulator.submit(Order(service="solve"), 1.0)
    due = simulator.next_wakeup()
    first = starts(simulator, 1.0)
    simulator.finished(now, DONE, 2.0)
    early, late = starts(simulator, 99.0), starts(simulator, 100.0)

    assert (100.0, [now], [], [later]) == (due, first, early, late)


def test_past_not_before() -> None:
    """A task for a time that has passed starts at once."""
    simulator = build()
    task = simulator.submit(Order(service="solve", not_before=5.0), 10.0)

    assert [task] == starts(simulator, 10.0)


def test_recurrence() -> None:
    """The next run is created when a run starts, whatever becomes of that one."""
    simulator = build()
    first = simulator.submit(Order(service="solve", interval=60.0), 0.0)
    simulator.advance(1.0)
    simulator.finished(first, Outcome(state=State.FAILED), 2.0)
    second = simulator.task("", first.id)

    assert second is not None
    assert (1, 60.0, first.id, State.QUEUED) == (
        second.run,
        second.due,
        second.id,
        second.state,
    )
    assert [second] == starts(simulator, 60.0)


def test_recurrence_ends() -> None:
    """Deleting the last scheduled run ends the recurrence."""
    simulator = build()
    first = simulator.submit(Order(service="solve", interval=60.0), 0.0)
    simulator.advance(0.0)
    last = simulator.task("", first.id)
    assert last is not None
    simulator.delete(last)
    simulator.finished(first, DONE, 1.0)

    assert (None, [], first) == (
        simulator.next_wakeup(),
        starts(simulator, 999.0),
        simulator.task("", first.id),
    )


def test_runs_by_index() -> None:
    """A run is found by its index; without one the last is."""
    simulator = build()
    first = simulator.submit(Order(service="solve", interval=60.0), 0.0)
    simulator.advance(0.0)
    found = [simulator.task("", first.id, run) for run in (0, 1, 2)]

    assert [0, 1, None] == [task and task.run for task in found]


def test_realms() -> None:
    """Tasks of another realm are not seen."""
    simulator = build()
    task = simulator.submit(Order(service="solve", realm="a"), 0.0)

    assert ([task], [], None) == (
        list(simulator.tasks("a")),
        list(simulator.tasks("b")),
        simulator.task("b", task.id),
    )


def test_interrupt_running() -> None:
    """An interrupt of a running task is passed on once; a stronger one again."""
    simulator = build()
    task = simulator.submit(Order(service="solve"), 0.0)
    simulator.advance(0.0)
    asked = [Interrupt.SOLVE, Interrupt.SOLVE, Interrupt.EXECUTION, Interrupt.SOLVE]
    news = [simulator.interrupt(task, what, 1.0) for what in asked]
    said = simulator.advance(1.0)

    assert [True, False, True, False] == news
    assert [Stop(task, Interrupt.SOLVE), Stop(task, Interrupt.EXECUTION)] == said


@pytest.mark.parametrize("turns", [0, 1])
def test_interrupt_before_it_runs(turns: int) -> None:
    """An execution that is interrupted before it runs ends and gives its place back."""
    simulator = build(startup=5.0)
    task = simulator.submit(Order(service="solve"), 0.0)
    for _ in range(turns):
        simulator.advance(0.0)
    simulator.interrupt(task, Interrupt.EXECUTION, 1.0)
    other = simulator.submit(Order(service="solve"), 1.0)
    simulator.advance(2.0)

    assert (State.INTERRUPTED, State.ASSIGNED) == (task.state, other.state)
    assert [other] == starts(simulator, 7.0)


def test_interrupt_solve_while_queued() -> None:
    """A solve that is interrupted before the run is remembered for it."""
    simulator = build()
    task = simulator.submit(Order(service="solve"), 0.0)
    simulator.interrupt(task, Interrupt.SOLVE, 0.0)
    simulator.advance(0.0)

    assert (State.RUNNING, Interrupt.SOLVE) == (task.state, task.interrupt)


def test_interrupt_ended() -> None:
    """What has ended cannot be interrupted."""
    simulator = build()
    task = simulator.submit(Order(service="solve"), 0.0)
    simulator.advance(0.0)
    simulator.finished(task, DONE, 1.0)

    assert not simulator.interrupt(task, Interrupt.EXECUTION, 2.0)


def test_solving() -> None:
    """A running task solves and runs on; one that ended does neither."""
    simulator = build()
    task = simulator.submit(Order(service="solve"), 0.0)
    simulator.advance(0.0)
    found = []
    for busy in (True, True, False):
        simulator.solving(task, 1.0, busy=busy)
        found.append(task.state)
    simulator.finished(task, DONE, 2.0)
    simulator.solving(task, 3.0)

    assert [State.SOLVING, State.SOLVING, State.RUNNING] == found
    assert State.COMPLETED is task.state


def test_delete_running() -> None:
    """Deleting a running task stops it, frees its place and drops its outcome."""
    simulator = build()
    task = simulator.submit(Order(service="solve"), 0.0)
    other = simulator.submit(Order(service="solve"), 0.0)
    simulator.advance(0.0)
    simulator.delete(task)
    simulator.delete(task)
    said = simulator.advance(1.0)
    simulator.finished(task, DONE, 2.0)

    assert Stop(task, Interrupt.EXECUTION) == said[0]
    assert (State.RUNNING, None) == (other.state, task.outcome)


def test_delete_assigned() -> None:
    """Deleting a task that has a place but does not run yet stops nothing."""
    simulator = build(startup=5.0)
    task = simulator.submit(Order(service="solve"), 0.0)
    simulator.advance(0.0)
    simulator.delete(task)

    assert [] == simulator.advance(9.0)


def test_delete_queued() -> None:
    """A deleted task never starts."""
    simulator = build()
    ready = simulator.submit(Order(service="solve"), 0.0)
    later = simulator.submit(Order(service="solve", not_before=5.0), 0.0)
    simulator.delete(ready)
    simulator.delete(later)

    assert (None, []) == (simulator.next_wakeup(), simulator.advance(9.0))


def test_forget() -> None:
    """A server that lost its memory knows no task, but what it was sent is counted."""
    simulator = build()
    task = simulator.submit(Order(service="solve", payload=b"1"), 0.0)
    simulator.advance(0.0)
    simulator.forget()

    assert (None, 1) == (simulator.task("", task.id), simulator.submissions.total())


def test_submissions() -> None:
    """Submits are counted by service and bytes; a recurrence counts once."""
    simulator = build()
    for payload in (b"1", b"2", b"1"):
        simulator.submit(Order(service="solve", payload=payload, interval=1.0), 0.0)
    simulator.advance(0.0)

    assert (3, 2) == (
        simulator.submissions.total(),
        simulator.submissions[Submitted.of("solve", b"1")],
    )


def test_payload_is_let_go() -> None:
    """The bytes of a task that ended are not kept."""
    simulator = build()
    task = simulator.submit(Order(service="solve", payload=b"1"), 0.0)
    (start,) = [each for each in simulator.advance(0.0) if isinstance(each, Start)]
    simulator.finished(task, DONE, 1.0)

    assert (b"1", b"") == (start.payload, task.order.payload)


def test_unknown_service() -> None:
    """A submit to an unknown service is refused with the known ones, not counted."""
    simulator = build()
    with pytest.raises(InvalidArgument, match="there are: solve"):
        simulator.submit(Order(service="nope"), 0.0)

    assert 0 == simulator.submissions.total()


def test_service_decorator() -> None:
    """A service is registered by a decorator, which returns the function."""
    simulator = build()

    @simulator.service("twice", executor="process")
    def twice(inputs: int) -> int:
        return 2 * inputs

    assert (twice, "process") == (
        simulator.services["twice"].function,
        simulator.services["twice"].executor,
    )


@pytest.mark.parametrize("options", [{"name": ""}, {"name": "a", "executor": "moon"}])
def test_bad_service(options: dict[str, str]) -> None:
    """A service needs a name and a known executor."""
    with pytest.raises(InvalidArgument):
        build().service(**options)  # type: ignore[call-overload]


def test_bad_parallel() -> None:
    """At least one task must be able to run."""
    with pytest.raises(InvalidArgument, match="at least 1"):
        build(parallel=0)


STEPS = st.lists(
    st.sampled_from(["submit", "later", "repeat", "turn", "end", "stop", "delete"]),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, parallel=st.integers(1, 3), startup=st.sampled_from([0.0, 1.5]))
def test_never_too_many(steps: list[str], parallel: int, startup: float) -> None:
    """Whatever happens: places are respected, and what can start is started."""
    simulator = build(parallel=parallel, startup=startup)
    for now, step in enumerate(steps):
        tasks = list(simulator.tasks(""))
        running = [task for task in tasks if task.started]
        if step in {"submit", "later", "repeat"}:
            later = float(now + 2) if step == "later" else None
            interval = 3.0 if step == "repeat" else None
            order = Order(service="solve", not_before=later, interval=interval)
            simulator.submit(order, float(now))
        elif step == "end" and running:
            simulator.finished(running[0], DONE, float(now))
        elif step == "stop" and tasks:
            simulator.interrupt(tasks[-1], Interrupt.EXECUTION, float(now))
        elif step == "delete" and tasks:
            simulator.delete(tasks[0])
        simulator.advance(float(now))
        tasks = list(simulator.tasks(""))
        running = [task for task in tasks if task.started]
        waiting = [
            task
            for task in tasks
            if task.state is State.QUEUED and (task.due or 0.0) <= now
        ]

        assert len(running) <= parallel
        # A run that just started may have created one that is due already.
        assert not waiting or len(running) == parallel or simulator.advance(float(now))


def test_how_a_service_is_called() -> None:
    """A protocol may say how a service is called."""
    simulator = build()
    order = Order(
        service="solve", wrap=lambda service: attrs.evolve(service, executor="process")
    )
    simulator.submit(order, 0.0)
    (start,) = (each for each in simulator.advance(0.0) if isinstance(each, Start))

    assert ("solve", "process") == (start.service.name, start.service.executor)
    assert "thread" == simulator.services["solve"].executor


def test_quota() -> None:
    """A realm has as many tasks under way as its quota; others pass it by."""
    simulator = build(parallel=4)
    simulator.quotas["small"] = 1
    small = [
        simulator.submit(Order(service="solve", realm="small"), 0.0) for _ in "abc"
    ]
    other = [simulator.submit(Order(service="solve"), 0.0) for _ in "ab"]
    first = starts(simulator, 0.0)
    simulator.delete(small[1])
    simulator.finished(small[0], DONE, 1.0)
    second = starts(simulator, 1.0)

    assert ([small[0], *other], [small[2]]) == (first, second)


def test_quota_of_deleted_tasks() -> None:
    """A running task that is deleted makes room, if anybody waits for it."""
    simulator = build(parallel=4)
    simulator.quotas[""] = 1
    tasks = [simulator.submit(Order(service="solve"), 0.0) for _ in "ab"]
    first = starts(simulator, 0.0)
    simulator.delete(tasks[0])
    second = starts(simulator, 1.0)
    simulator.delete(tasks[1])

    assert ([tasks[0]], [tasks[1]]) == (first, second)
    assert [] == starts(simulator, 2.0)
