"""What a batch has in hand of one item, and how it takes its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from .batch_book import Book, Kept
from .batch_item import BatchItem, Terms, build_failure, build_item, read_failure
from .batch_remote import Remote
from .batch_shelf import Slots
from .exceptions import AsyncTasksError, JournalError
from .handle import TaskHandle
from .manners import UnknownPolicy
from .sansio.ledger import Entry, ItemState, Step, advance
from .sansio.task import TaskState


__all__ = ["Ground", "Record"]

CANCEL_WITHIN = 10.0
"""Seconds that the cancel of ``on_cancel="cancel_remote"`` takes at most."""


@attrs.define(kw_only=True)
class Ground:
    """What all items of a batch share."""

    terms: Terms
    book: Book
    remote: Remote
    slots: Slots
    on_unknown: UnknownPolicy
    grace: float
    fail: Callable[[BaseException], None]
    """Stops the batch from submitting, because of this."""

    stopped: bool = False
    """Whether nobody wants items any more."""


@attrs.define(eq=False)
class Record:
    """One item, as far as it got."""

    ground: Ground
    index: int
    given: Any
    entry: Entry
    handle: TaskHandle | None = None
    kept: Kept = Kept()  # noqa: RUF009 - a frozen value
    error: BaseException | None = None
    left: bool = False
    """Whether nothing more is to be done for it in this run."""

    claimed: bool = False
    """Whether the book has it."""

    recorded: bool = False
    """Whether it ended in an earlier run."""

    sending: bool = False
    """Whether a submit is under way, which must not be cut off."""

    holds: bool = True
    """Whether it holds one of the batch's slots."""

    submits: int = 0
    """How often this run submitted it."""

    lost: int = 0
    """How many answers to its submits were lost in a row."""

    def step(self, step: Step, **facts: Any) -> Awaitable[None]:
        """Take a step, and put it down; it is written when this is awaited."""
        book = self.ground.book
        self.entry = advance(self.entry, step, book.now(), **facts)
        return book.write(self.entry)

    def fail(self, error: AsyncTasksError) -> Awaitable[None]:
        """Take the step of a failure."""
        self.error = error
        return self.step(Step.FAIL, failure=build_failure(error))

    def refuse(self, error: AsyncTasksError) -> None:
        """Fail without a word in the book, in which it has no place of its own."""
        self.entry = attrs.evolve(
            self.entry, state=ItemState.FAILED, failure=build_failure(error)
        )
        self.leave(error)

    def leave(self, error: AsyncTasksError) -> None:
        """Give up for now, without a step: the task or its result is still there."""
        self.error, self.left = error, True

    async def written(self, writing: Awaitable[None]) -> None:
        """Wait for the disk; without it, go on, but let the batch take no more."""
        try:
            await writing
        except JournalError as exc:
            self.ground.fail(exc)

    async def acquire(self) -> None:
        """Take a slot, unless it has one."""
        if not self.holds:
            await self.ground.slots.acquire()
            self.holds = True

    def release(self) -> None:
        """Give the slot back, if it has one."""
        if self.holds:
            self.holds = False
            self.ground.slots.release()

    def attach(self) -> TaskHandle:
        """Return the handle of the task, which was accepted in this run or earlier."""
        if self.handle is None:
            self.handle = self.ground.remote.attach(self.entry.token)
        return self.handle

    async def end_remotely(self) -> None:
        """Cancel the task; an item whose task was ended is to be done again."""
        handle = self.attach()
        try:
            async with asyncio.timeout(CANCEL_WITHIN):
                status = await handle.cancel(timeout=CANCEL_WITHIN)
        except (AsyncTasksError, TimeoutError) as exc:
            self.ground.remote.logger.warning("%s cannot be cancelled: %s", handle, exc)
            return
        if status.state in {TaskState.CANCELLED, TaskState.FAILED}:
            await self.written(self.step(Step.WITHDRAW))

    def item(self) -> BatchItem:
        """Return what the consumer gets."""
        entry, error = self.entry, self.error
        if self.recorded and entry.state is ItemState.SUCCEEDED:
            self.kept = self.ground.book.recall(entry, self.ground.terms.decode)
        elif error is None:
            error = read_failure(entry)
        return build_item(
            entry,
            self.index,
            self.given,
            result=self.kept.result,
            stored=self.kept.stored,
            error=error,
            handle=self.attach() if entry.token else None,
            recorded=self.recorded,
        )
