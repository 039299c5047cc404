"""
Any sequence of submits, losses, looks and ends: client and service agree in the end.

A machine submits tasks while answers are lost, connections refused, and tasks forgotten
by the service. Whatever the order: nothing is submitted twice, what was accepted is
found again, and no state goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
import looptime

from asynctasks import (
    AimmsClient,
    ConnectError,
    ConnectionLost,
    NotFound,
    PollPolicy,
    ResponseError,
    ResultUnavailable,
    RetryPolicy,
    SubmitOutcomeUnknown,
    TaskHandle,
    TaskLost,
    TaskState,
)
from asynctasks.sansio.http import Request, Response
from asynctasks.testing import MemoryTransport
from tests.scripted import answer


T = TypeVar("T")

ORDER = [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED]

ATTEMPTS = 3

INDEX = st.integers(0, 1000)


class Service:
    """A service that accepts tasks, and a network that does what it is told."""

    def __init__(self) -> None:
        self.tasks: dict[str, str] = {}
        """States by id, in the service's words."""

        self.arrived = 0
        """Submits that reached it."""

        self.accepted = 0

        self.trouble: Exception | Response | None = None
        """What becomes of the next submits; None accepts them."""

        self.lose_answers = False

    def __call__(self, request: Request) -> Response:
        last = request.path.rpartition("/")[2]
        if request.method == "POST":
            return self._accept(last)
        if last == "tasks":
            rows = [{"id": each, "state": word} for each, word in self.tasks.items()]
            return answer([{**row, "service": "solve"} for row in rows])
        task = request.path.split("/")[4]
        if task not in self.tasks:
            return answer({"message": "there is no such task"}, 404)
        if last == "response":
            return answer({"of": task})
        return answer({"id": task, "state": self.tasks[task]})

    def _accept(self, service: str) -> Response:
        if isinstance(self.trouble, ConnectError):
            raise self.trouble
        self.arrived += 1
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble is not None:
            return self.trouble
        self.accepted += 1
        task = f"t{self.accepted}"
        self.tasks[task] = "queued"
        if self.lose_answers:
            raise ConnectionLost("the answer was lost")
        return answer({"id": task, "state": "queued"})


@attrs.define
class Held:
    """A task that the client holds."""

    handle: TaskHandle
    rank: int = 0
    """How far it was seen, in the order of states."""


class Tasks(RuleBasedStateMachine):
    """Submits and looks; the service is at hand to compare with."""

    @initialize()
    def connect(self) -> None:
        self.runner = asyncio.Runner(loop_factory=looptime.new_event_loop)
        self.service = Service()
        self.transport = MemoryTransport(self.service)
        self.client = AimmsClient.local(
            transport=self.transport,
            retry=RetryPolicy(attempts=ATTEMPTS, wait_initial=0.0, wait_jitter=0.0),
            poll=PollPolicy(wait_initial=1.0, wait_max=1.0),
        )
        self.held: dict[str, Held] = {}
        self.unknown: list[SubmitOutcomeUnknown] = []
        self.tried = 0
        self.forgotten: set[str] = set()

    def teardown(self) -> None:
        self.run(self.client.close())
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # --- submits -------------------------------------------------------------

    @rule()
    def submit(self) -> None:
        self.service.trouble, self.service.lose_answers = None, False
        self.tried += 1
        handle = self.run(self.client.submit("solve", {}))

        assert handle.id in self.service.tasks
        assert handle.id not in self.held

        self.held[handle.id] = Held(handle)

    @rule()
    def submit_that_is_accepted_without_an_answer(self) -> None:
        self.service.trouble, self.service.lose_answers = None, True
        self._submit_in_vain(SubmitOutcomeUnknown)

    @rule(how=st.sampled_from([ConnectionLost("reset"), Response(502), Response(504)]))
    def submit_that_is_lost_on_its_way(self, how: Exception | Response) -> None:
        self.service.trouble = how
        self._submit_in_vain(SubmitOutcomeUnknown)

    @rule(status=st.sampled_from([400, 403, 500, 503]))
    def submit_that_is_refused(self, status: int) -> None:
        self.service.trouble = Response(status)
        self._submit_in_vain(ResponseError)

    @rule()
    def submit_without_a_connection(self) -> None:
        before = self.service.arrived
        self.service.trouble = ConnectError("refused")
        self._submit_in_vain(ConnectError)

        assert before == self.service.arrived

        self.tried -= 1

    def _submit_in_vain(self, expected: type[Exception]) -> None:
        self.tried += 1
        try:
            self.run(self.client.submit("solve", {}))
        except expected as exc:
            if isinstance(exc, SubmitOutcomeUnknown):
                self.unknown.append(exc)
        else:
            raise AssertionError("it was accepted")

    @precondition(lambda self: self.unknown)
    @rule(index=INDEX)
    def look_for_a_lost_one(self, index: int) -> None:
        error = self.unknown[index % len(self.unknown)]
        found = self.run(self.client.candidates(error))

        assert set(self.service.tasks) - set(self.held) == {each.id for each in found}

    @precondition(lambda self: set(self.service.tasks) - set(self.held))
    @rule(index=INDEX)
    def take_over_a_lost_one(self, index: int) -> None:
        orphans = sorted(set(self.service.tasks) - set(self.held))
        task = orphans[index % len(orphans)]
        handle = self.client.handle(self.client.handle(task).token)

        assert task == handle.id
        assert task in self.service.tasks

    # --- what becomes of tasks -----------------------------------------------

    def _pick(self, index: int) -> Held:
        return list(self.held.values())[index % len(self.held)]

    @precondition(lambda self: self.held)
    @rule(index=INDEX, word=st.sampled_from(["running", "completed", "queued"]))
    def change(self, index: int, word: str) -> None:
        """The service may even say an older state again."""
        task = self._pick(index).handle.id
        ended = self.service.tasks.get(task) == "completed"
        if task not in self.forgotten and not (ended and word != "completed"):
            self.service.tasks[task] = word

    @precondition(lambda self: self.held)
    @rule(index=INDEX)
    def forget(self, index: int) -> None:
        task = self._pick(index).handle.id
        self.service.tasks.pop(task, None)
        self.forgotten.add(task)

    @precondition(lambda self: self.held)
    @rule(index=INDEX)
    def look(self, index: int) -> None:
        held = self._pick(index)
        task = held.handle.id
        try:
            status = self.run(held.handle.status())
        except NotFound:
            assert task in self.forgotten
            return

        assert task not in self.forgotten
        assert held.rank <= ORDER.index(status.state)

        held.rank = ORDER.index(status.state)

    @precondition(lambda self: self.held)
    @rule(index=INDEX)
    def fetch(self, index: int) -> None:
        held = self._pick(index)
        task = held.handle.id
        word = self.service.tasks.get(task)
        over = held.rank == len(ORDER) - 1
        if word in {"queued", "running"} and not over:
            return
        try:
            result = self.run(held.handle.result(timeout=3600))
        except (TaskLost, ResultUnavailable):
            assert task in self.forgotten
            return

        assert {"of": task} == result
        assert word == "completed"

        held.rank = len(ORDER) - 1

    # --- always --------------------------------------------------------------

    @invariant()
    def nothing_is_submitted_twice(self) -> None:
        if hasattr(self, "service"):
            assert self.tried == self.service.arrived

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "client"):
            assert len(self.held) == self.client.stats().submitted


def test_any_order_of_submits_losses_and_ends() -> None:
    """Nothing is submitted twice, nothing accepted is lost, no state goes back."""
    bounds = settings(max_examples=30, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Tasks, settings=bounds)
