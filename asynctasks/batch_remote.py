"""The service, as a batch needs it: prepare, start, find again, find out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import logging
from typing import Any

import attrs

from .desk import Desk
from .exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    ConfigError,
    ConnectError,
    InvalidState,
    JournalError,
    ProxyError,
    RateLimited,
    ServiceBroken,
    TlsError,
)
from .handle import TaskHandle
from .manners import Manners
from .sansio.dialect import Dialect, Prepared, Reconcile
from .sansio.reconcile import Baseline, Lost, find_all_lost, list_baseline
from .sansio.task import TaskRef
from .sansio.token import parse_token


__all__ = ["FATAL", "Remote", "is_postponed"]

FATAL = (
    AuthenticationFailed,
    ConfigError,
    InvalidState,
    JournalError,
    ProxyError,
    TlsError,
)
"""What every item would meet: the batch submits no more, and says so at its end."""

UNAVAILABLE = 503


def is_postponed(error: AsyncTasksError) -> bool:
    """Tell whether a submit was not accepted for a reason that will pass by itself."""
    if isinstance(error, ServiceBroken):
        return error.status == UNAVAILABLE
    return isinstance(error, ConnectError | RateLimited)


class Remote:
    """
    One view of a client, for batches.

    Args:
        desk: its task business.
        prepare: takes service, inputs and options of a submit; starts nothing.
        start: starts what was prepared.
    """

    def __init__(
        self,
        desk: Desk,
        prepare: Callable[[str, Any, Mapping[str, Any]], Awaitable[Prepared]],
        start: Callable[[Prepared], Awaitable[TaskHandle]],
    ) -> None:
        self._prepare = prepare
        self._start = start
        self._client = desk
        # A task is removed when its result is safe, not when it was fetched.
        self._desk = Desk(
            desk.driver,
            desk.dialect,
            watcher=desk.watcher,
            subscriber=desk.subscriber,
            manners=attrs.evolve(desk.manners, cleanup="keep"),
            counts=desk.counts,
        )

    @property
    def dialect(self) -> Dialect:
        """How the service words things."""
        return self._desk.dialect

    @property
    def origin(self) -> str:
        """The origin of the service."""
        return self._desk.origin

    @property
    def facts(self) -> Mapping[str, str]:
        """What a journal of its tasks is about."""
        facts = {
            "origin": self.origin,
            "protocol": self.dialect.protocol,
            "variant": self.dialect.variant,
        }
        # Elsewhere, a lost submit would not be found.
        app = self.dialect.application
        return {**facts, "application": app} if app else facts

    @property
    def reconcile(self) -> Reconcile:
        """How a lost submit can be settled."""
        return self.dialect.capabilities.reconcile

    @property
    def manners(self) -> Manners:
        """How the client treats its tasks."""
        return self._client.manners

    @property
    def logger(self) -> logging.Logger:
        """Gets what must not be raised."""
        return self._desk.logger

    async def prepare(
        self, service: str, given: Any, options: Mapping[str, Any]
    ) -> Prepared:
        """Make a submit ready; starts nothing."""
        return await self._prepare(service, given, options)

    async def start(self, prepared: Prepared) -> TaskHandle:
        """
        Start a task.

        Raises:
            SubmitOutcomeUnknown: the answer was lost.
        """
        handle = await self._start(prepared)
        now = asyncio.get_running_loop().time()
        return TaskHandle(self._desk, handle.ref, handle.last_status, since=now)

    def attach(self, token: str) -> TaskHandle:
        """Return the handle of a task of an earlier run."""
        return self.adopt(parse_token(token, self.dialect, self.origin))

    def adopt(self, ref: TaskRef) -> TaskHandle:
        """Return the handle of a task that was found."""
        return TaskHandle(self._desk, ref)

    async def find(self, losts: Sequence[Lost]) -> list[list[TaskRef]]:
        """List for each lost submit the tasks that may be of it."""
        return await self._desk.driver.drive(find_all_lost(self.dialect, losts))

    @property
    def known(self) -> frozenset[str]:
        """The ids of the tasks that the client has submitted, and knows of."""
        return frozenset(self._desk.counts.known)

    async def list_baseline(self, service: str, began: float) -> Baseline | None:
        """List what could be taken for tasks of submits to come."""
        return await self._desk.driver.drive(
            list_baseline(self.dialect, service, began)
        )

    async def ask_cancel(self, handle: TaskHandle) -> None:
        """Ask for the end of a task, without waiting; failing to is no error."""
        try:
            await handle.cancel(timeout=0)
        except AsyncTasksError as exc:
            self.logger.warning("%s cannot be cancelled: %s", handle, exc)

    async def clean_up(self, handle: TaskHandle) -> None:
        """Remove a task whose result is safe, if the client wants that."""
        if not self.manners.keeps_results:
            await self._client.results.clean_up(handle.ref)
