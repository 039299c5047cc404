"""The life of one item: claim it, submit it, wait for its end, keep its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
import random
from typing import Any

import attrs

from .batch_book import Book, JournalBook, Kept
from .batch_item import (
    BatchItem,
    Terms,
    build_failure,
    build_item,
    is_retried,
    observe,
    read_failure,
)
from .batch_remote import Remote, is_postponed
from .batch_settle import settle
from .batch_shelf import Slots
from .exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    ConfigError,
    InvalidArgument,
    InvalidState,
    JournalError,
    PatienceExceeded,
    ProxyError,
    RateLimited,
    ResponseDecodeError,
    ResponseTooLarge,
    SubmitOutcomeUnknown,
    TaskError,
    TlsError,
)
from .handle import TaskHandle
from .sansio.dialect import Prepared, Reconcile
from .sansio.ledger import Entry, ItemState, Step, advance
from .sansio.retry import RetryPolicy, backoff


__all__ = ["Ground", "Life"]

FATAL = (
    AuthenticationFailed,
    ConfigError,
    InvalidState,
    JournalError,
    ProxyError,
    TlsError,
)
"""What every item would meet: the batch submits no more, and says so at its end."""

PUT_OFF = RetryPolicy(wait_initial=1.0, wait_max=30.0, wait_jitter=1.0)
"""The waits before a submit is tried again that the service cannot take now."""

RESUBMITS = 3
"""How often a run submits an item again whose submits stay unknown."""


@attrs.define(kw_only=True)
class Ground:
    """What all lives of a batch share."""

    terms: Terms
    book: Book
    remote: Remote
    slots: Slots
    on_unknown: str
    grace: float
    fail: Callable[[BaseException], None]
    """Stops the batch from submitting, because of this."""

    stopped: bool = False
    """Whether nobody wants items any more."""


class Life:
    """
    One item, from its input to its end.

    Args:
        ground: what it shares with the others.
        index: of the input.
        given: the input.
        entry: of an earlier run, whose input is not known yet.
        handle: of its task, where it has one.
    """

    def __init__(
        self,
        ground: Ground,
        index: int,
        given: Any,
        *,
        entry: Entry | None = None,
        handle: TaskHandle | None = None,
    ) -> None:
        self._ground = ground
        self.index = index
        self.given = given
        self.entry = entry or Entry(key=str(index), index=index)
        self.handle = handle
        self.sending = False
        """Whether a submit is under way, which must not be cut off."""

        self.holds = True
        """Whether it holds one of the batch's slots."""

        self._kept = Kept()
        self._error: BaseException | None = None
        self._left = False
        self._resubmits = 0
        self._recorded = False

    def release(self) -> None:
        """Give the slot back, if it has one."""
        if self.holds:
            self.holds = False
            self._ground.slots.release()

    async def claim(self) -> None:
        """
        Find out what is known of the item.

        Raises:
            JournalError: its key belongs to another input.
        """
        ground = self._ground
        try:
            claimed = await ground.book.claim(self.index, self.given, ground.terms)
            self.entry, new = claimed
        except InvalidArgument as exc:
            self._fail(exc)
            self._left = True
        else:
            self._recorded = not new and not self._goes_on()

    async def live(self) -> BatchItem:
        """Bring the item to its end, in as many attempts as it may have."""
        while self._goes_on():
            if self.entry.state is ItemState.SUBMITTED:
                await self._collect()
            else:
                await self._submit()
        return self._item()

    def _goes_on(self) -> bool:
        if self._left or self._ground.stopped:
            return False
        if self.entry.state is ItemState.FAILED:
            return is_retried(self.entry, self._ground.terms)
        if self.entry.state is ItemState.UNKNOWN:
            again = self._ground.on_unknown == "resubmit"
            return again and self._resubmits < RESUBMITS
        return self.entry.state is not ItemState.SUCCEEDED

    def _item(self) -> BatchItem:
        entry, error = self.entry, self._error
        if self._recorded and entry.state is ItemState.SUCCEEDED:
            decode = self._ground.terms.decode
            self._kept = self._ground.book.recall(entry, decode)
        elif error is None:
            error = read_failure(entry)
        if self.handle is None and entry.token:
            self.handle = self._ground.remote.attach(entry.token)
        return build_item(
            entry,
            self.index,
            self.given,
            result=self._kept.result,
            stored=self._kept.stored,
            error=error,
            handle=self.handle,
            recorded=self._recorded,
        )

    def _step(self, step: Step, **facts: Any) -> Awaitable[None]:
        """Take a step, and put it down; it is written when this is awaited."""
        book = self._ground.book
        self.entry = advance(self.entry, step, book.now(), **facts)
        return book.write(self.entry)

    def _fail(self, error: AsyncTasksError) -> Awaitable[None]:
        self._error = error
        return self._step(Step.FAIL, failure=build_failure(error))

    async def _written(self, writing: Awaitable[None]) -> None:
        """Wait for the disk; without it, go on, but let the batch take no more."""
        try:
            await writing
        except JournalError as exc:
            self._ground.fail(exc)

    # --- submit --------------------------------------------------------------

    async def _submit(self) -> None:
        if not self.holds:
            await self._ground.slots.acquire()
            self.holds = True
        began = asyncio.get_running_loop().time()
        attempt = 0
        while (error := await self._try_to_submit()) is not None:
            attempt += 1
            wait = backoff(PUT_OFF, attempt, random.random())  # noqa: S311 - jitter
            if isinstance(error, RateLimited):
                wait = max(wait, error.retry_after or 0.0)
            waited = asyncio.get_running_loop().time() - began
            if waited + wait > self._ground.remote.patience:
                await self._written(self._fail(error))
                self._left = True
                return
            await asyncio.sleep(wait)

    async def _try_to_submit(self) -> AsyncTasksError | None:
        """Submit once; return why the service cannot take it now, if it is that."""
        self._error = None
        try:
            prepared = await self._prepared()
        except AsyncTasksError as exc:
            return await self._refused(exc)
        async with self._ground.book.turn(prepared):
            try:
                handle = await self._start(prepared)
            except SubmitOutcomeUnknown as exc:
                await self._find_out(exc)
                return None
            except AsyncTasksError as exc:
                return await self._refused(exc)
            finally:
                self.sending = False
            self.handle = handle
            found = {"token": handle.token, "task_id": handle.id}
            # Put down before the turn ends: the next intent is written after it.
            writing = self._step(Step.ACCEPT, **found)
        await self._written(writing)
        return None

    async def _prepared(self) -> Prepared:
        ground = self._ground
        options: Mapping[str, Any] = ground.terms.options
        if ground.remote.reconcile is Reconcile.KEY:
            options = {**options, "id": ground.book.idempotency_key(self.entry)}
        return await ground.remote.prepare(ground.terms.service, self.given, options)

    async def _start(self, prepared: Prepared) -> TaskHandle:
        book = self._ground.book
        intended = advance(
            self.entry, Step.INTEND, book.now(), config_id=prepared.config_id
        )
        # From here on it must not be cut off: an intent is followed by the submit.
        self.sending = True
        await book.intend(intended)
        self.entry = intended
        self._resubmits += 1
        return await self._ground.remote.start(prepared)

    async def _refused(self, error: AsyncTasksError) -> AsyncTasksError | None:
        """Note that nothing runs; return an error that will pass."""
        intended = self.entry.state is ItemState.INTENDED
        if is_postponed(error) or isinstance(error, FATAL):
            if intended:
                await self._written(self._step(Step.WITHDRAW))
            if isinstance(error, FATAL):
                raise error
            return error
        if self.entry.state is ItemState.UNKNOWN:
            self._error, self._left = error, True
        else:
            await self._written(self._fail(error))
        return None

    async def _find_out(self, error: SubmitOutcomeUnknown) -> None:
        """Settle a submit whose answer was lost; it may be cut off any time."""
        self.sending = False
        ground = self._ground
        if not isinstance(ground.book, JournalBook):
            self._error = error
            await self._step(Step.DOUBT, failure=build_failure(error))
            return
        self.entry, self.handle = await settle(
            self.entry,
            ground.book,
            ground.remote,
            error=error,
            grace=ground.grace,
            alone=ground.book.exclusive,
        )
        if self.entry.state is ItemState.UNKNOWN:
            self._error = error

    # --- the end -------------------------------------------------------------

    async def _collect(self) -> None:
        """Wait for the end of the task, and keep what comes of it."""
        ground = self._ground
        if self.handle is None:
            self.handle = ground.remote.attach(self.entry.token)
        try:
            status = await self.handle.wait(timeout=ground.terms.timeout)
            times = observe(self.entry.timings, status, ground.book.now())
            self.entry = attrs.evolve(self.entry, timings=times)
            self.release()
            await self._keep(self.handle, status)
        except PatienceExceeded as exc:
            self._leave(exc)
            if (ground.terms.on_timeout or ground.remote.policies[1]) != "leave":
                await self._cancel_remote(self.handle)
        except (TaskError, ResponseDecodeError, ResponseTooLarge) as exc:
            times = self.entry.timings
            if times.ended is None:
                times = observe(times, None, ground.book.now())
            self.entry = attrs.evolve(self.entry, timings=times)
            await self._written(self._fail(exc))
        except AsyncTasksError as exc:
            self._leave(exc)
            if isinstance(exc, FATAL):
                ground.fail(exc)

    def _leave(self, error: AsyncTasksError) -> None:
        """Give up for now: the task, or its result, is still there."""
        self._error, self._left = error, True

    async def _keep(self, handle: TaskHandle, status: Any) -> None:
        book = self._ground.book
        try:
            response = await handle.response(status)
            keeping = partial(book.keep, self.entry, response)
            self.entry, self._kept = await keeping(self._ground.terms.decode)
        except ResponseTooLarge:
            stored = await book.keep_large(self.entry, handle)
            if stored is None:
                raise
            self.entry = stored
            self._kept = book.recall(stored, "bytes")
        await self._written(self._step(Step.SUCCEED))
        await self._ground.remote.clean_up(handle)

    async def _cancel_remote(self, handle: TaskHandle) -> None:
        try:
            await handle.cancel(timeout=0)
        except AsyncTasksError as exc:
            self._ground.remote.logger.warning(
                "%s cannot be cancelled: %s", handle, exc
            )
