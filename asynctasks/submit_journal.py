"""Single submits in a journal: what was started survives the death of the process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
import uuid
import weakref

import attrs

from .batch_book import JournalBook
from .batch_inputs import digest
from .batch_item import build_failure, check_key
from .batch_remote import Remote
from .batch_settle import note_baseline
from .desk import Desk
from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    InvalidState,
    JournalError,
    SubmitOutcomeUnknown,
)
from .handle import TaskHandle
from .journal import Journal
from .journalled import JournalledTask, acknowledge, build_journalled, is_given_up
from .once import share
from .sansio.dialect import Launched, Payload, Prepared, Reconcile
from .sansio.http import body_replayable
from .sansio.ledger import Entry, ItemState, Step, advance
from .sansio.token import parse_token
from .submit_doubts import Doubts


__all__ = ["SubmitJournal"]

SUBMITS = 3
"""How often one call submits what the service turns out not to have."""

KEYS = 10_000
"""Tasks whose keys are remembered; those of others are looked for in the journal."""

CLOSED = "the client was closed; what was submitted is in its journal"


@attrs.define(eq=False)
class Flight:
    """One call of submit, which may outlive who called it."""

    sending: bool = False
    """Whether its intent is written and its answer is not here."""


class SubmitJournal:
    """
    Writes down what one client submits, and finds out what became of it.

    It is opened when it is first needed.

    Args:
        path: of the file.
        remote: the service, for what is to be found out.
        desk: starts tasks.
        grace: seconds after which a task that is not in the service's list was not
            accepted.
    """

    def __init__(self, path: Path, remote: Remote, desk: Desk, *, grace: float) -> None:
        self._path = path
        self._remote = remote
        self._desk = desk
        self._opening: asyncio.Task[JournalBook] | None = None
        self._count = 0
        self._doubts = Doubts(remote, grace)
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._flights: dict[asyncio.Task[Launched], Flight] = {}
        self._closed = False

    # --- the file ------------------------------------------------------------

    async def open(self) -> JournalBook:
        """
        Open the journal, unless it is.

        Raises:
            JournalError: it cannot be used; nothing was sent.
            InvalidState: the client is closed.
        """
        if self._closed:
            raise InvalidState(CLOSED)
        if self._opening is None or _failed(self._opening):
            self._opening = asyncio.create_task(self._open(), name="asynctasks-journal")
        return await share(self._opening)

    async def _open(self) -> JournalBook:
        async with AsyncExitStack() as stack:
            opening = Journal.open(self._path, self._remote.facts)
            journal = await stack.enter_async_context(await opening)
            self._count = await journal.unseen()
            for entry in await journal.select(ItemState.INTENDED):
                self._doubts.add(entry)
            stack.pop_all()
            return JournalBook(journal, self._remote.reconcile)

    async def aclose(self) -> None:
        """Let submits that are sent come to their end, stop the rest, and close."""
        self._closed = True
        try:
            sending = [task for task, each in self._flights.items() if each.sending]
            if sending:
                await asyncio.wait(sending)
        finally:
            for task in self._flights:
                task.cancel()
            if self._flights:
                await asyncio.wait(list(self._flights))
            await self._close_file()

    async def _close_file(self) -> None:
        if self._opening is None or _failed(self._opening):
            return
        try:
            await (await self._opening).journal.close()
        except JournalError as exc:
            self._desk.logger.error("the journal cannot be closed: %s", exc)  # noqa: TRY400

    # --- submits -------------------------------------------------------------

    async def start(self, prepared: Prepared, key: str | None) -> Launched:
        """
        Start a task that was prepared; or find the one that was started under its key.

        Who is cancelled meanwhile finds the task in the journal, if it was accepted.

        Raises:
            JournalError: the journal cannot be written, or has the key with another
                input; nothing was sent.
            SubmitOutcomeUnknown: what became of it could not be settled.
        """
        if key is not None:
            check_key(key)
        flight = Flight()
        task = asyncio.create_task(
            self._submit(prepared, key, flight), name="asynctasks-submit"
        )
        self._flights[task] = flight
        task.add_done_callback(self._land)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not flight.sending:
                task.cancel()
            if self._closed and not _is_cancelled():
                raise InvalidState(CLOSED) from None
            raise

    def _land(self, task: asyncio.Task[Launched]) -> None:
        del self._flights[task]
        if not task.cancelled():
            task.exception()  # whoever called may be gone

    async def _submit(
        self, prepared: Prepared, key: str | None, flight: Flight
    ) -> Launched:
        book = await self.open()
        entry = Entry(
            key=key or uuid.uuid4().hex,
            index=self._count,
            digest=_mark(prepared.payload),
            service=prepared.service,
        )
        self._count += 1
        async with self._locks.setdefault(entry.key, asyncio.Lock()):
            if key is not None:
                if key in self._doubts:
                    async with book.turn(None):
                        await self._doubts.settle(book, key)
                entry = await self._known(book, entry)
            launched = self._recall(entry)
            submits = 0
            while launched is None:
                entry, launched, lost = await self._try(book, entry, prepared, flight)
                submits += 1
                again = submits < SUBMITS and body_replayable(prepared.payload.body)
                if lost is not None and not again:
                    raise lost
        self._keys[launched.ref.id] = entry.key
        if len(self._keys) > KEYS:
            self._keys.popitem(last=False)
        return launched

    async def _known(self, book: JournalBook, entry: Entry) -> Entry:
        """Return what the journal has of a key; the new entry if it has nothing."""
        known = await book.journal.get(entry.key)
        if known is None:
            return entry
        same = known.digest == entry.digest or not (known.digest and entry.digest)
        if not same or known.service != entry.service:
            raise book.complaint(entry.key, "service" if same else "input")
        if is_given_up(known):
            reason = f"{entry.key!r} was acknowledged without a task"
            raise InvalidState(f"{reason}: to submit it again, give it another key")
        if known.state is ItemState.UNKNOWN:
            reason = f"that of {entry.key!r} is in the journal and could not be settled"
            error = SubmitOutcomeUnknown(InvalidState(reason))
            error.service, error.config_id = known.service, known.config_id
            raise _explained(error, known)
        return known

    def _recall(self, entry: Entry) -> Launched | None:
        """Return the task of an entry, if there is one."""
        if not entry.token:
            return None
        ref = parse_token(entry.token, self._desk.dialect, self._desk.origin)
        return Launched(ref=ref)

    async def _try(
        self, book: JournalBook, entry: Entry, prepared: Prepared, flight: Flight
    ) -> tuple[Entry, Launched | None, SubmitOutcomeUnknown | None]:
        """Submit once; without a task, the service turned out not to have it."""
        if self._remote.reconcile is Reconcile.KEY:
            options = {**prepared.options, "id": book.idempotency_key(entry)}
            prepared = attrs.evolve(prepared, options=options)
        launched: Launched | None
        lost = None
        async with book.turn(prepared):
            await self._doubts.settle(book, entry.key, prepared)
            await note_baseline(entry.service, book, self._remote)
            if self._closed:
                raise InvalidState(CLOSED)
            flight.sending = True
            try:
                config_id = prepared.config_id
                intended = advance(entry, Step.INTEND, book.now(), config_id=config_id)
                entry = await book.intend(intended)
                entry, launched = await self._send(book, entry, prepared)
            except SubmitOutcomeUnknown as exc:
                flight.sending = False
                lost = exc
                entry, launched = await self._find_out(book, entry, exc)
            finally:
                flight.sending = False
            # Put down before the turn ends: the next intent is written after it.
            writing = book.write(entry)
        try:
            await writing
        except AsyncTasksError as exc:
            # The intent is there, by which the task is found again.
            reason = "what became of %r cannot be written down: %s"
            self._desk.logger.error(reason, entry.key, exc)  # noqa: TRY400
        return entry, launched, lost

    async def _send(
        self, book: JournalBook, entry: Entry, prepared: Prepared
    ) -> tuple[Entry, Launched]:
        try:
            launched = await self._desk.start(prepared)
        except SubmitOutcomeUnknown:
            self._doubts.add(entry)
            raise
        except AsyncTasksError as exc:
            failed = advance(entry, Step.FAIL, book.now(), failure=build_failure(exc))
            with suppress(JournalError):  # what happened is told anyway
                await book.write(failed)
            raise
        except BaseException:
            self._doubts.add(entry)
            raise
        token = self._desk.token_of(launched.ref)
        found = {"token": token, "task_id": launched.ref.id}
        return advance(entry, Step.ACCEPT, book.now(), **found), launched

    async def _find_out(
        self, book: JournalBook, entry: Entry, error: SubmitOutcomeUnknown
    ) -> tuple[Entry, Launched | None]:
        """Settle a submit whose answer was lost."""
        if self._closed:
            raise error
        settled, handle = await self._doubts.settle_lost(book, entry, error)
        if settled.state is ItemState.UNKNOWN:
            raise _explained(error, settled)
        return settled, None if handle is None else Launched(ref=handle.ref)

    # --- what is left --------------------------------------------------------

    async def tasks(self) -> AsyncGenerator[JournalledTask, None]:
        """Go through what nobody has acknowledged; see ``client.journalled()``."""
        book = await self.open()
        given: set[str] = set()
        for entry in await book.journal.select(ItemState.SUBMITTED):
            given.add(entry.key)
            yield build_journalled(self._desk, entry)
        async with book.turn(None):
            await self._doubts.settle_all(book)
        states = ItemState.SUBMITTED, ItemState.UNKNOWN, ItemState.WAITING
        for entry in await book.journal.select(*states):
            lock = self._locks.get(entry.key)
            if entry.key not in given and not (lock is not None and lock.locked()):
                yield build_journalled(self._desk, entry)

    async def acknowledge(self, task: TaskHandle | None, key: str | None) -> None:
        """Note that somebody is done with a task; see ``client.acknowledge()``."""
        book = await self.open()
        if key is None and task is not None:
            key = self._keys.get(task.id) or await book.journal.find(task.id)
        entry = None if key is None else await book.journal.get(key)
        if entry is None:
            name, given = ("key", key) if task is None else ("task", task.id)
            raise InvalidArgument(name, given, "is not in the journal")
        if entry.state is ItemState.INTENDED:
            reason = f"what became of {key!r} is not known yet; see journalled()"
            raise InvalidState(reason)
        if entry.state not in {ItemState.SUCCEEDED, ItemState.FAILED}:
            step, facts = acknowledge(entry, task)
            await book.write(advance(entry, step, book.now(), **facts))


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _mark(payload: Payload) -> str:
    """Return a hash of what is sent; empty for what can be read only once."""
    if payload.inputs is not None:
        return digest(payload.inputs)
    form = (payload.content_type or "").startswith("multipart/")  # its boundary differs
    whole = isinstance(payload.body, bytes) and not form
    return digest(payload.body) if whole else ""


def _explained(error: SubmitOutcomeUnknown, entry: Entry) -> SubmitOutcomeUnknown:
    found = ", ".join(entry.candidates) or "none"
    error.add_note(f"key {entry.key!r} of the journal; tasks that may be it: {found}")
    return error
