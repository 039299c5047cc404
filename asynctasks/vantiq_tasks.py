"""
Vantiq as a task service: rows of a type are tasks, their events the news of them.

See :mod:`asynctasks.sansio.vantiq_tasks` for the type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
import logging
from typing import Any, Self, Unpack
import uuid

from .client import TaskClient
from .config import Profile
from .desk import Desk
from .driver import Driver
from .exceptions import RemoteProtocolError, VantiqException
from .options import ClientOptions
from .sansio.auth import Auth
from .sansio.dialect import Dialect, Known, Launched, Payload, Survey
from .sansio.task import TaskRef, TaskStatus, merge_status
from .sansio.vantiq import VantiqResources, raise_refusal
from .sansio.vantiq_tasks import VantiqDialect, build_type
from .transport import AiohttpTransport
from .vantiq import Vantiq


__all__ = ["VantiqTasks"]

FRESH = 60.0
"""Seconds after which a task is looked at although its events would have told."""

LISTEN_AGAIN = 30.0
"""Seconds after which a submit tries again to have events told, where it failed."""


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

    def drop(self, task_id: str) -> None:
        """Trust nothing about a task."""
        self._known.pop(task_id, None)

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

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        """Look at several tasks, but for those whose events have told."""
        told = {(ref.id, ref.run): self._pushed.recall(ref) for ref in refs}
        unknown = [ref for ref in refs if told[ref.id, ref.run] is None]
        found = {key: status for key, status in told.items() if status is not None}
        read = 0
        if unknown:
            survey = await super().survey(unknown, rows, known)
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

    _owns = False
    """Whether the client is closed with it."""

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
        self._transport = transport
        self._type = type
        self._taken: list[str] = []
        self._pushed = Pushed(client)
        self._listening = asyncio.Lock()
        self._again: float | None = None
        dialect = VantiqDialect(api=session.api, type=type)
        options["transport"] = transport
        super().__init__(dialect, session.api.origin, session.auth, options)

    @classmethod
    def from_profile(cls, profile: Profile, **options: Unpack[ClientOptions]) -> Self:
        """
        Make a client as a profile says, with a Vantiq client of its own.

        A password, or the file with a token, is needed with the first request.

        Args:
            profile: where the server is; a token, or a user name and a password; and
                the type of the tasks.
            options: see :class:`ClientOptions`; they win over the profile's clocks.

        Raises:
            ConfigError: the profile is of another protocol, or lacks something.
        """
        profile.check_protocol(VantiqDialect.protocol)
        if profile.url is None:
            raise profile.complaint("it needs a url, such as https://dev.vantiq.com")
        token, password = profile.credential("token"), profile.credential("password")
        source = password if token is None else token
        if source is None or (token is None and profile.username is None):
            reason = (
                "Vantiq needs token_file or token, or else a username with "
                "password_file or password"
            )
            raise profile.complaint(reason)
        merged: ClientOptions = {**profile.clocks, **options}
        session = merged.pop("session", None)
        given = AiohttpTransport(session) if session is not None else None
        client = Vantiq(profile.url, transport=merged.get("transport", given))
        username = profile.username if token is None else None
        client.session.auth.obtain_with(source, username)
        client.session.open()
        made = cls(client, profile.task_type or "Task", **merged)
        made._owns = True
        made._check_clear_text(made.origin, client.session.auth)
        return made

    def _check_clear_text(self, origin: str, auth: Auth) -> None:
        # A client that was given has warned already.
        if self._owns:
            super()._check_clear_text(origin, auth)

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
        if not self._owns:  # else the first submit does: there may be none
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
            Whether they are. If not, tasks are polled, and submits try again now and
            then.
        """
        async with self._listening:
            return await self._listen()

    async def _listen_if_due(self) -> None:
        """Have events told, unless that has just failed: it may take long to fail."""
        async with self._listening:
            now = asyncio.get_running_loop().time()
            if self._again is None or now >= self._again:
                await self._listen()

    async def _listen(self) -> bool:
        if not self._pushed.on and await self._subscribe():
            self._pushed.on, self._again = True, None
        elif not self._pushed.on:
            self._again = asyncio.get_running_loop().time() + LISTEN_AGAIN
        return self._pushed.on

    async def _subscribe(self) -> bool:
        if not self._transport.has_sockets:
            return False
        await self._unsubscribe()  # of two, one may have ended
        taking = {"update": self._take, "delete": self._take_deletion}
        try:
            for operation, take in taking.items():
                place = (VantiqResources.TYPES, self._type, operation)
                raise_refusal(await self._client.subscribe(*place, take))
                self._taken.append(operation)
        except VantiqException as exc:
            # Many submits may try, and fail alike.
            level = logging.WARNING if self._again is None else logging.INFO
            self._logger.log(level, "tasks are polled, not pushed: %s", exc)
            await self._unsubscribe()
            return False
        return True

    async def _unsubscribe(self) -> None:
        while self._taken:
            place = (VantiqResources.TYPES, self._type, self._taken.pop())
            await self._client.unsubscribe(*place)

    async def _launch(
        self,
        service: str,
        payload: Payload,
        options: Mapping[str, Any],
        key: str | None = None,
    ) -> Launched:
        await self._listen_if_due()
        return await super()._launch(
            service, payload, {**options, "id": str(uuid.uuid4())}, key
        )

    def _take(self, what: str, message: dict[str, Any]) -> None:
        """Tell the watcher what an event says."""
        if self._attend(what, message):
            return
        try:
            ref, status = self._dialect.parse_row(message.get("value") or {})
        except RemoteProtocolError:
            # Of many rows at once, or of a row that is no task: looks tell.
            self._pushed.forget()
            return
        self._desk.tell(ref, self._pushed.learn(ref, status, looked=False))

    def _take_deletion(self, what: str, message: dict[str, Any]) -> None:
        """Have a task looked at whose row is gone: its end will not be told."""
        if self._attend(what, message):
            return
        row = message.get("value")
        if isinstance(row, Mapping) and isinstance(row.get("id"), str):
            self._pushed.drop(row["id"])
        else:
            self._pushed.forget()

    def _attend(self, what: str, message: Mapping[str, Any]) -> bool:
        """Deal with what is no event; tell whether it was none."""
        body = message.get("body")
        ended = isinstance(body, Mapping) and body.get("op") == "unsubscribe"
        if what == "message" and not ended:
            return False
        if what != "connect":
            # After a gap we are told on; after an error perhaps not.
            self._pushed.on = what == "gap"
            self._pushed.forget()
        return True

    async def _close(self) -> None:
        self._pushed.on = False
        await self._unsubscribe()
        await super()._close()
        if self._owns:
            await self._client.close()
