"""
Vantiq as a task service: rows of a type are tasks, their events the news of them.

See :mod:`asynctasks.sansio.vantiq_tasks` for the type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack
import uuid

from .client import TaskClient
from .desk import Desk
from .driver import Driver
from .exceptions import RemoteProtocolError, VantiqException
from .options import ClientOptions
from .sansio.auth import Auth
from .sansio.dialect import (
    Dialect,
    Launched,
    Payload,
    Survey,
    TaskRef,
    TaskStatus,
    merge_status,
)
from .sansio.vantiq import VantiqResources, raise_refusal
from .sansio.vantiq_tasks import VantiqDialect, build_type
from .vantiq import Vantiq


__all__ = ["VantiqTasks"]

FRESH = 60.0
"""Seconds after which a task is looked at although its events would have told."""


class Pushed:
    """What is known of open tasks because their events would have told of changes."""

    def __init__(self, client: Vantiq) -> None:
        self.on = False
        """Whether there is a subscription to the events."""

        self._client = client
        self._known: dict[str, tuple[float, TaskStatus]] = {}

    def forget(self) -> None:
        """Trust nothing: events may be missing."""
        self._known.clear()

    def learn(self, ref: TaskRef, status: TaskStatus, *, looked: bool) -> TaskStatus:
        """Take in what an event or a look says; return what is known now."""
        before = self._known.pop(ref.id, None)
        status = merge_status(before[1] if before else None, status)
        now = asyncio.get_running_loop().time()
        at = now if looked or before is None else before[0]
        if not status.done and (looked or before is not None):
            self._known[ref.id] = (at, status)
        return status

    def recall(self, ref: TaskRef) -> TaskStatus | None:
        """Return the status of a task, if no look can tell more."""
        if not (self.on and self._client.feed.connected):
            self.forget()
        at, status = self._known.get(ref.id, (0.0, None))
        fresh = asyncio.get_running_loop().time() - at < FRESH
        return status if fresh else None


class PushedDesk(Desk):
    """
    A desk that does not look at what events tell.

    Args:
        pushed: what events have told.
        parts: of any desk.
    """

    def __init__(self, pushed: Pushed, *parts: Any, **shared: Any) -> None:
        super().__init__(*parts, **shared)
        self._pushed = pushed

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        """Look at a task, unless its events have told."""
        known = self._pushed.recall(ref)
        if known is not None:
            return known
        status = await super().look_once(ref)
        return self._pushed.learn(ref, status, looked=True)

    async def survey(self, refs: Sequence[TaskRef], rows: int) -> Survey:
        """Look at several tasks, but for those whose events have told."""
        known = {(ref.id, ref.run): self._pushed.recall(ref) for ref in refs}
        unknown = [ref for ref in refs if known[ref.id, ref.run] is None]
        found = {key: status for key, status in known.items() if status is not None}
        read = 0
        if unknown:
            survey = await super().survey(unknown, rows)
            read = survey.rows
            for key, status in survey.found.items():
                ref = TaskRef(id=key[0], run=key[1])
                found[key] = self._pushed.learn(ref, status, looked=True)
        return Survey(found=found, rows=read, whole=True)


class VantiqTasks(TaskClient):
    """
    Runs tasks that are rows of a Vantiq type, in the words of all task clients.

    Who submits inserts a row; rules and services of the Vantiq application do the
    work and update it. Each update is an event that tells the state, so that hardly
    anything is polled; while there is no connection for events, everything is.

    Args:
        client: connected and authenticated; it stays yours.
        type: the name of the type; :meth:`create_type` creates it.
        options: see :class:`ClientOptions`; transport and session are the client's.
    """

    _dialect: VantiqDialect

    def __init__(
        self,
        client: Vantiq,
        type: str = "Task",  # noqa: A002 - what Vantiq calls it
        **options: Unpack[ClientOptions],
    ) -> None:
        session = client.session
        session.ready_for("VantiqTasks")
        transport, _ = session.open()
        self._client = client
        self._type = type
        self._pushed = Pushed(client)
        self._listening = asyncio.Lock()
        dialect = VantiqDialect(api=session.api, type=type)
        options["transport"] = transport
        super().__init__(dialect, session.api.origin, session.auth, options)

    def _check_clear_text(self, origin: str, auth: Auth) -> None:
        """The client has warned already."""

    def _build_desk(self, driver: Driver, dialect: Dialect) -> Desk:
        return PushedDesk(
            self._pushed,
            driver,
            dialect,
            watcher=self._hub.watcher,
            subscriber=self._hub.subscriber,
            manners=self._manners,
            counts=self._hub.counts,
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.listen()
        return self

    async def create_type(self) -> None:
        """
        Create the type of the tasks; one that there is stays as it is.

        Raises:
            VantiqException: the server refuses.
        """
        definition = build_type(self._type)
        raise_refusal(await self._client.insert(VantiqResources.TYPES, definition))

    async def listen(self) -> bool:
        """
        Have the events of the tasks told; submitting does it too.

        Returns:
            Whether they are. If not, tasks are polled, and the next submit tries
            again.
        """
        async with self._listening:
            if not self._pushed.on:
                self._pushed.on = await self._subscribe()
            return self._pushed.on

    async def _subscribe(self) -> bool:
        place = (VantiqResources.TYPES, self._type, "update")
        try:
            response = await self._client.subscribe(*place, self._take)
            raise_refusal(response)
        except VantiqException as exc:
            self._logger.warning("tasks are polled, not pushed: %s", exc)
            return False
        return True

    async def _launch(
        self, service: str, payload: Payload, options: Mapping[str, Any]
    ) -> Launched:
        await self.listen()
        return await super()._launch(
            service, payload, {**options, "id": str(uuid.uuid4())}
        )

    def _take(self, what: str, message: dict[str, Any]) -> None:
        """Tell the watcher what an event says."""
        if what == "connect":
            return
        if what != "message":
            # After a gap we are told on; after an error perhaps not.
            self._pushed.on = what == "gap"
            self._pushed.forget()
            return
        try:
            ref, status = self._dialect.parse_row(message.get("value") or {})
        except RemoteProtocolError:
            # Of many rows at once, or of a row that is no task: looks tell.
            self._pushed.forget()
            return
        self._desk.tell(ref, self._pushed.learn(ref, status, looked=False))

    async def _close(self) -> None:
        if self._pushed.on:
            self._pushed.on = False
            place = (VantiqResources.TYPES, self._type, "update")
            await self._client.unsubscribe(*place)
        await super()._close()
