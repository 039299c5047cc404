"""
The one thread that writes to a journal.

Whatever is put to it while it waits for the disk shares the next transaction, and so
the next wait: a thousand rows cost little more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
import queue
import sqlite3
import threading
import time
from typing import Any, TypeVar

import attrs

from .exceptions import InvalidArgument, InvalidState, JournalFull, fresh
from .journal_file import JournalFile


__all__ = ["Writer"]

T = TypeVar("T")

BEAT = 5.0
"""Seconds after which the process says that it lives, when it writes nothing."""

AT_ONCE = 1000
"""What is written in one transaction at most, so that nobody waits for long."""


@attrs.define
class _Work:
    """What is to be done in the thread, and who waits for it."""

    do: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    fact: bool
    """Whether it has happened, so that it must be written later if not now."""

    outcome: Any = None
    error: BaseException | None = None


class Writer:
    """
    Does work on a journal's connection, in the order in which it is put.

    Args:
        open: opens the file; called in the thread.
        begin: done first, alone; its outcome is what ``opened`` gives.
    """

    def __init__(
        self,
        open: Callable[[], JournalFile],  # noqa: A002 - it opens
        begin: Callable[[sqlite3.Connection], Any],
    ) -> None:
        self._open = open
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._kept: list[_Work] = []
        self._dead: BaseException | None = None
        self._closing = False
        self.full = False
        """Whether the last attempt to write found the disk full."""

        self.opened = self._future()
        self.ended = self._future()
        threading.Thread(
            target=self._main, name="asynctasks_journal", daemon=True
        ).start()

    def put(
        self, do: Callable[[sqlite3.Connection], T], *, fact: bool = False
    ) -> asyncio.Future[T]:
        """
        Have something done; the future is done when it is on the disk.

        Args:
            do: works on the connection, within a transaction. It may raise
                InvalidArgument before it writes.
            fact: write it later, if the disk is full now.
        """
        future: asyncio.Future[T] = self._future()
        if self._dead is not None:
            future.set_exception(fresh(self._dead))
        elif self._closing:
            future.set_exception(InvalidState("the journal is closed"))
        else:
            self._works.put(_Work(do, future, fact))
        return future

    def stop(self) -> None:
        """End after what was put; ``ended`` tells when. May be called twice."""
        if not self._closing:
            self._closing = True
            self._works.put(None)

    def _future(self) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        # Nobody need wait for it: who does gets its error, who does not no warning.
        future.add_done_callback(_retrieve)
        return future

    # --- in the thread -------------------------------------------------------

    def _main(self) -> None:
        """Open the file, write until told to stop, and close it."""
        error: BaseException | None = None
        try:
            file = self._open()
            try:
                with file.transaction() as connection:
                    begun = self._begin(connection)
                self._call(_resolve, self.opened, begun)
                self._serve(file)
            finally:
                file.close()
        except Exception as exc:  # noqa: BLE001 - handed to those who wait
            error = exc
        self._call(self._over, error)

    def _serve(self, file: JournalFile) -> None:
        beaten = time.monotonic()
        while (works := self._next()) is not None:
            beats = time.monotonic() - beaten >= BEAT
            if works or beats:
                beaten = time.monotonic() if beats else beaten
                self._commit(file, works, beats=beats)
        self._commit(file, [], beats=True)
        if self._kept:
            reason = f"what happened to {len(self._kept)} items could not be written"
            raise JournalFull(str(file.path), reason)

    def _next(self) -> list[_Work] | None:
        """Wait for work; return all there is, or None when told to stop."""
        works: list[_Work] = []
        try:
            work = self._works.get(timeout=BEAT)
            while work is not None:
                works.append(work)
                if len(works) == AT_ONCE:
                    return works
                work = self._works.get_nowait()
        except queue.Empty:
            return works
        if not works:
            return None
        self._works.put(None)  # to be found again, after these
        return works

    def _commit(self, file: JournalFile, works: list[_Work], *, beats: bool) -> None:
        """Write what is there in one transaction, and tell those who wait."""
        every = [*self._kept, *works]
        try:
            with file.transaction() as connection:
                for work in every:
                    _do(work, connection)
                if beats:
                    file.beat()
        except Exception as exc:
            full = isinstance(exc, JournalFull)
            self._kept = [work for work in every if work.fact] if full else []
            self._call(self._fail, works, exc)
            if not full:
                raise
        else:
            self._kept = []
            self._call(self._tell, works)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(function, *args)

    # --- back in the loop ----------------------------------------------------

    def _tell(self, works: list[_Work]) -> None:
        self.full = False
        for work in works:
            _resolve(work.future, work.outcome, work.error)

    def _fail(self, works: list[_Work], error: Exception) -> None:
        self.full = isinstance(error, JournalFull)
        for work in works:
            _resolve(work.future, None, error)

    def _over(self, error: BaseException | None) -> None:
        """Tell everybody that the thread has ended."""
        self._dead = error or InvalidState("the journal is closed")
        _resolve(self.opened, None, self._dead)
        for work in _drained(self._works):
            _resolve(work.future, None, self._dead)
        # Other errors were told to those who wanted something written.
        _resolve(self.ended, None, error if isinstance(error, JournalFull) else None)


def _do(work: _Work, connection: sqlite3.Connection) -> None:
    try:
        work.outcome = work.do(connection)
    except InvalidArgument as exc:  # concerns this one only; nothing was written
        work.error = exc
    except (OverflowError, UnicodeError) as exc:  # the same
        work.error = InvalidArgument("entry", "", f"cannot be written down: {exc}")


def _resolve(
    future: asyncio.Future[Any], outcome: object, error: BaseException | None = None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(fresh(error))  # others get it, too


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _drained(works: queue.SimpleQueue[_Work | None]) -> Iterator[_Work]:
    with suppress(queue.Empty):
        while True:
            work = works.get_nowait()
            if work is not None:
                yield work
