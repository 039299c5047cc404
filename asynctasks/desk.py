"""
What handles, watcher and subscriptions need of a client: one view's task business.

A :class:`Desk` is a driver and a dialect over the parts that all views of a client
share. It implements what handles ask for (``handle.Tasks``) and what the watcher asks
for (``watch.Looker``); the client on top of it is what users call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
import logging
import random
import time
from typing import Any, TypeVar

import attrs

from .counts import Counts
from .driver import Driver
from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    InvalidState,
    RemoteProtocolError,
    SubmitOutcomeUnknown,
)
from .hooks import StatusDetails, SubmitDetails
from .lanes import Kind
from .manners import Manners
from .results import Results
from .sansio.dialect import Dialect, Known, Launched, Payload, Prepared, Survey
from .sansio.http import Flow
from .sansio.reconcile import Lost, find_lost
from .sansio.retry import NO_RETRY, outcome_unknown
from .sansio.task import TaskRef, TaskStatus
from .sansio.token import build_token
from .sansio.urls import segment
from .subscriber import StatusSubscription, Subscriber
from .watch import Watch
from .watcher import Watcher


__all__ = ["Desk"]

T = TypeVar("T")


class Desk:
    """
    The task business of one view of a client.

    Args:
        driver: its origin and credentials.
        dialect: its words.
        watcher: shared by all views.
        subscriber: shared by all views.
        manners: how it treats its tasks.
        counts: what it did, shared by all views.
    """

    def __init__(
        self,
        driver: Driver,
        dialect: Dialect,
        *,
        watcher: Watcher,
        subscriber: Subscriber,
        manners: Manners,
        counts: Counts,
    ) -> None:
        self.driver = driver
        self.dialect = dialect
        self.watcher = watcher
        self.subscriber = subscriber
        self.manners = manners
        self.counts = counts
        self.results = Results(driver, dialect, manners=manners, counts=counts)
        self._hash = hash((id(driver), type(dialect)))

    # Two desks of one driver and one dialect look at the same tasks.

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Desk):
            return NotImplemented
        return self.driver is other.driver and self.dialect == other.dialect

    def __hash__(self) -> int:
        return self._hash  # which is asked for at every look

    @property
    def logger(self) -> logging.Logger:
        """Gets what must not be raised."""
        return self.driver.logger

    @property
    def origin(self) -> str:
        """Scheme, host and port of the service."""
        return self.driver.origin

    def token_of(self, ref: TaskRef) -> str:
        """Return the token of a task."""
        return build_token(self.dialect, self.origin, ref)

    # --- submit --------------------------------------------------------------

    async def prepare(
        self, service: str, payload: Payload, options: Mapping[str, Any]
    ) -> Prepared:
        """Make a submit ready; starts nothing."""
        began = asyncio.get_running_loop().time()
        flow = self.dialect.prepare(service, payload, options)
        try:
            return await self.driver.drive(flow, kind=Kind.SUBMIT)
        except AsyncTasksError as exc:
            self._tell_submit(service, began, exc)
            raise

    async def start(self, prepared: Prepared) -> Launched:
        """
        Start a task that was prepared.

        Raises:
            SubmitOutcomeUnknown: the answer was lost.
        """
        began, ahead = asyncio.get_running_loop().time(), _ahead()
        try:
            launched = await self.drive_once(_launch(self.dialect, prepared))
        except AsyncTasksError as exc:
            if isinstance(exc, SubmitOutcomeUnknown):
                exc.service, exc.config_id = prepared.service, prepared.config_id
                exc.began, exc.ahead = began, ahead
            self._tell_submit(prepared.service, began, exc)
            raise
        trace = self._trace()
        if trace is not None:
            ref = attrs.evolve(launched.ref, trace=trace)
            launched = attrs.evolve(launched, ref=ref)
        self.counts.submitted += 1
        self.counts.known.append(launched.ref.id)
        self._tell_submit(prepared.service, began, launched)
        return launched

    def _trace(self) -> str | None:
        try:
            return self.manners.trace_context()
        except Exception:
            # The task was accepted: its handle must not get lost.
            self.logger.exception("the trace context cannot be had")
            return None

    async def drive_once(self, flow: Flow[T]) -> T:
        """Hold a conversation that starts work; tell if its answer was lost."""
        try:
            return await self.driver.drive(flow, kind=Kind.SUBMIT)
        except AsyncTasksError as exc:
            if not outcome_unknown(exc):
                raise
            raise SubmitOutcomeUnknown(exc, getattr(exc, "request", None)) from exc

    async def find_lost(self, error: SubmitOutcomeUnknown) -> list[TaskRef]:
        """List the tasks that may be of a submit whose answer was lost."""
        # What the loop's clock missed while the machine slept.
        slept = 0.0 if error.ahead is None else max(0.0, _ahead() - error.ahead)
        lost = Lost(
            service=error.service,
            began=error.began - slept,
            config_id=error.config_id,
            known=frozenset(self.counts.known),
        )
        return await self.driver.drive(find_lost(self.dialect, lost))

    def _tell_submit(
        self, service: str, began: float, outcome: Launched | AsyncTasksError
    ) -> None:
        if not self.driver.hooks:
            return
        seconds = asyncio.get_running_loop().time() - began
        if isinstance(outcome, AsyncTasksError):
            details = SubmitDetails(service=service, seconds=seconds, error=outcome)
        else:
            details = SubmitDetails(
                service=service,
                seconds=seconds,
                task=outcome.ref,
                token=self.token_of(outcome.ref),
                status=outcome.status,
            )
        self.driver.hooks.tell(details)

    # --- looking -------------------------------------------------------------

    @property
    def merges(self) -> bool:
        """Whether the service lists tasks."""
        return self.dialect.capabilities.task_list

    async def look(self, ref: TaskRef) -> TaskStatus:
        """Ask for the status of a task, with the retries of any request."""
        return await self.driver.drive(self.dialect.poll(ref), kind=Kind.POLL)

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        """Look at a task: one attempt. The watcher's schedule is its retry."""
        return await self.driver.drive(
            self.dialect.poll(ref), kind=Kind.POLL, retry=NO_RETRY
        )

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        """Look at several tasks through the list; read so many rows at most."""
        flow = self.dialect.survey(refs, rows, known)
        return await self.driver.drive(flow, kind=Kind.POLL, retry=NO_RETRY)

    def hold(
        self, ref: TaskRef, first: TaskStatus | None, since: float | None = None
    ) -> Watch:
        """Watch a task until :meth:`release`."""
        self.driver.lanes.check()
        watch = self.watcher.hold(ref, self, first=first, since=since)
        if self.driver.hooks and watch.holders == 1 and not watch.over:
            self._tell_changes(watch)
        return watch

    def release(self, watch: Watch) -> None:
        """Let go of a watch."""
        self.watcher.release(watch)

    def tell(self, ref: TaskRef, status: TaskStatus) -> None:
        """Tell those who watch a task what was seen of it elsewhere."""
        self.watcher.tell(ref, self, status)

    def _tell_changes(self, watch: Watch) -> None:
        """Tell the hooks of a task, from now on."""
        before = watch.status

        def changed(watch: Watch) -> None:
            nonlocal before
            self.driver.hooks.tell(
                StatusDetails(
                    task=watch.ref,
                    token=watch.token,
                    status=watch.status,
                    before=before,
                    error=watch.error,
                )
            )
            before = watch.status

        watch.listen(changed)

    # --- subscriptions -------------------------------------------------------

    def follow(
        self,
        subscription: StatusSubscription,
        ref: TaskRef,
        first: TaskStatus | None,
        since: float | None = None,
    ) -> None:
        """Let a subscription follow a task."""
        watch = self.hold(ref, first, since)
        subscription.follow(watch, lambda: self.release(watch))

    def announce(self, launched: Launched, since: float) -> None:
        """Let those subscriptions follow a new task that want to."""
        ref = launched.ref
        for subscription in self.subscriber.wanting(self.driver, ref):
            try:
                self.follow(subscription, ref, launched.status, since)
            except InvalidState as exc:
                # The task was accepted: its handle must not get lost.
                self.logger.warning("task %s is not followed: %s", ref.id, exc)

    # --- the rest ------------------------------------------------------------

    async def ask_cancel(self, ref: TaskRef) -> TaskStatus:
        """Ask the service to end a task."""
        return await self.driver.drive(self.dialect.cancel(ref))

    async def nap(self, looks: int) -> None:
        """Wait as the poll policy says after so many looks."""
        dice = random.random()  # noqa: S311 - jitter, not secrecy
        await asyncio.sleep(self.watcher.pace.policy.next_wait(looks, dice))


def _ahead() -> float:
    """Return by how many seconds the wall clock is ahead of the loop's."""
    return time.time() - asyncio.get_running_loop().time()


def _launch(dialect: Dialect, prepared: Prepared) -> Flow[Launched]:
    """Start a task; one with an id that nobody can ask for may be running, too."""
    launched = yield from dialect.launch(prepared)
    try:
        segment(launched.ref.id)
    except InvalidArgument as exc:
        expected, found = "the id of the new task", repr(launched.ref.id)
        raise RemoteProtocolError(expected, None, found) from exc
    return launched
