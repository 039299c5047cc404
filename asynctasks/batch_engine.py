"""What makes a batch go: it reads inputs while there is room, and shelves the ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import attrs

from .batch_book import Book
from .batch_inputs import Inputs
from .batch_item import BatchItem, Terms
from .batch_life import claim, live
from .batch_record import Ground, Record
from .batch_recovery import recover
from .batch_remote import Remote
from .batch_shelf import Shelf, Slots
from .exceptions import InvalidState, RecordedError
from .manners import UnknownPolicy
from .sansio.ledger import Entry, ItemState


__all__ = ["Engine"]


class Engine:
    """
    The moving part of one batch; it does not know who takes the items.

    Args:
        terms: how items are treated.
        inputs: what is read.
        remote: the service.
        book: where things are written down.
        on_unknown: see :class:`BatchSubmitter`.
        grace: see :class:`BatchSubmitter`.
    """

    def __init__(
        self,
        terms: Terms,
        inputs: Inputs,
        remote: Remote,
        book: Book,
        *,
        on_unknown: UnknownPolicy = "skip",
        grace: float = 0.0,
    ) -> None:
        self._terms = terms
        self._inputs = inputs
        self._remote = remote
        self._book = book
        self._shelf = Shelf(ordered=terms.ordered)
        self._ground = Ground(
            terms=terms,
            book=book,
            remote=remote,
            slots=Slots(terms.limit),
            on_unknown=on_unknown,
            grace=grace,
            fail=self._fail,
        )
        self._lives: dict[Record, asyncio.Task[None]] = {}
        self._found: dict[str, Record] = {}
        """Lives of earlier runs whose input was not read yet, by key."""

        self._ended: dict[str, BatchItem] = {}
        """Their items, until then."""

        self._count = 0
        self._feeding: asyncio.Task[None] | None = None
        self._recovered = False
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._error: BaseException | None = None
        self._over = False

    # --- what the facade calls -----------------------------------------------

    def add(self, inputs: Any) -> None:
        """Add inputs; see :meth:`Batch.add`."""
        if self._over or self._ground.stopped:
            raise InvalidState("the batch is over; make a new one")
        self._inputs.add(inputs)
        self._start()

    async def next(self) -> BatchItem:
        """Wait for the next item; see :class:`Batch`."""
        self._start()
        while True:
            item = self._shelf.take()
            if item is not None:
                self._room.set()
                self._judge(item)
                return item
            if self._idle():
                self._finish()
            else:
                self._news.clear()
                await self._news.wait()

    def _judge(self, item: BatchItem) -> None:
        unknown = item.state is ItemState.UNKNOWN
        policy = self._ground.on_unknown if unknown else self._terms.on_error
        if item.ok or policy != "raise":
            return
        self.abandon()
        error = item.error or RecordedError("", "")
        error.add_note(f"item {item.index} of the batch, key {item.key!r}")
        raise error

    def _idle(self) -> bool:
        feeding = self._feeding is not None and not self._feeding.done()
        return not feeding and not self._lives

    def _finish(self) -> None:
        """Give what is left; after that, the error, and then the end."""
        self._shelf.flush()
        for item in self._ended.values():
            self._shelf.put(item, last=True)
        self._ended.clear()
        if len(self._shelf):
            return
        error, self._error = self._error, None
        self._over = True
        if error is not None:
            raise error
        raise StopAsyncIteration

    def abandon(self) -> None:
        """Stop submitting and waiting, at once; submits under way come to their end."""
        self._ground.stopped = True
        if self._feeding is not None:
            self._feeding.cancel()
        for life, task in self._lives.items():
            if not life.sending:
                task.cancel()
        self._news.set()

    async def aclose(self) -> list[str]:
        """End the batch; see :meth:`Batch.aclose`."""
        lives = list(self._lives)
        self.abandon()
        try:
            await self._settle_down()
        finally:
            for task in self._lives.values():
                task.cancel()
        await self._settle_down()
        await self._inputs.close()
        self._over = True
        handles = [life for life in lives if life.entry.state is ItemState.SUBMITTED]
        if (self._terms.on_cancel or self._remote.manners.on_cancel) != "leave":
            async with asyncio.TaskGroup() as group:
                for life in handles:
                    group.create_task(life.end_remotely())
        return [
            life.entry.token
            for life in handles
            if life.entry.state is ItemState.SUBMITTED
        ]

    async def _settle_down(self) -> None:
        tasks = [*self._lives.values()]
        if self._feeding is not None:
            tasks.append(self._feeding)
        if tasks:
            await asyncio.wait(tasks)

    # --- inputs --------------------------------------------------------------

    def _start(self) -> None:
        if self._ground.stopped or self._over or self._error is not None:
            return
        if self._feeding is None or (self._feeding.done() and self._inputs):
            self._feeding = asyncio.create_task(self._feed(), name="asynctasks-feed")

    def _fail(self, error: BaseException) -> None:
        """Submit no more; what is open is waited for, then the error is raised."""
        if self._error is None and not self._ground.stopped:
            self._error = error
        self._room.set()

    async def _feed(self) -> None:
        """Read inputs while there is room, and bring them to life."""
        try:
            if not self._recovered:
                self._recovered = True
                await self._recover()
            while await self._wait_for_room():
                try:
                    given = await self._inputs.next()
                except StopAsyncIteration:
                    break
                await self._ground.slots.acquire()
                if self._error is None:
                    life = self._record(self._count, given)
                    self._count += 1
                    self._begin(life, self._live(life))
        except Exception as exc:  # noqa: BLE001 - given to whoever takes items
            self._fail(exc)
        finally:
            self._news.set()

    async def _wait_for_room(self) -> bool:
        """Wait until one more input may be read; False if there is to be none."""
        while self._error is None and not self._has_room():
            self._room.clear()
            await self._room.wait()
        return self._error is None and not self._ground.stopped

    def _has_room(self) -> bool:
        used, limit = self._ground.slots.used, self._terms.limit
        done = len(self._lives) - used + len(self._shelf)
        return used < limit and done < limit

    def _record(self, index: int, given: Any) -> Record:
        entry = Entry(key=str(index), index=index, service=self._terms.service)
        return Record(self._ground, index, given, entry)

    # --- lives ---------------------------------------------------------------

    def _begin(self, life: Record, living: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(living, name="asynctasks-item")
        self._lives[life] = task
        task.add_done_callback(lambda _: self._end(life))

    def _end(self, life: Record) -> None:
        del self._lives[life]
        life.release()
        self._room.set()
        self._news.set()

    async def _live(self, life: Record) -> None:
        """Live one input; whatever goes wrong with us ends the batch, not the loop."""
        try:
            await claim(life)
            if not self._hand_over(life):
                self._shelf.put(await self._lived(life))
        except Exception as exc:  # noqa: BLE001 - given to whoever takes items
            self._shelf.skip(life.index)
            self._fail(exc)

    async def _lived(self, life: Record) -> BatchItem:
        item = await live(life)
        if self._ground.stopped and not item.state.settled:
            raise asyncio.CancelledError
        return item

    def _hand_over(self, life: Record) -> bool:
        """Give the input to a life of an earlier run that goes on, if there is one."""
        key = life.entry.key
        ended = self._ended.pop(key, None)
        found = self._found.pop(key, None)
        if ended is None and found is None:
            return False
        if found is not None:
            found.index, found.given = life.index, life.given
        if ended is not None:
            item = attrs.evolve(ended, index=life.index, input=life.given)
            self._shelf.put(item)
        return True

    # --- earlier runs --------------------------------------------------------

    async def _recover(self) -> None:
        """Find out about intents, and wait for what runs, before anything is new."""
        async with aclosing(recover(self._ground)) as left:
            async for entry, handle in left:
                await self._ground.slots.acquire()
                life = Record(
                    self._ground, entry.index, None, entry, handle, claimed=True
                )
                self._found[entry.key] = life
                self._begin(life, self._live_on(life))

    async def _live_on(self, life: Record) -> None:
        key = life.entry.key
        try:
            item = await self._lived(life)
        except Exception as exc:  # noqa: BLE001 - given to whoever takes items
            self._found.pop(key, None)
            self._fail(exc)
            return
        if self._found.pop(key, None) is None:
            self._shelf.put(item)
        else:
            self._ended[key] = item
