"""Finding out what became of submits whose answers were lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
import math

import attrs

from .batch_book import Book, JournalBook
from .batch_item import build_failure
from .batch_remote import FATAL, Remote
from .exceptions import (
    AsyncTasksError,
    ConnectError,
    RemoteProtocolError,
    SubmitOutcomeUnknown,
    UnsupportedOperation,
)
from .handle import TaskHandle
from .sansio.dialect import Reconcile
from .sansio.ledger import Entry, Step, advance
from .sansio.reconcile import Baseline, Lost
from .sansio.task import TaskRef


__all__ = ["Settled", "note_baseline", "settle"]

FIRST_LOOK, LONGEST_WAIT = 0.5, 8.0
"""Seconds between looks into the list, growing from one to the other."""

SKEW = 10.0
"""Seconds by which the wall clock may have been set between two runs."""

NEAR = 2 * SKEW
"""Seconds between two submits within which a task of one might be of the other."""

NOBODY: frozenset[str] = frozenset()

Settled = tuple[Entry, TaskHandle | None]
"""An entry that is accepted (with the handle), withdrawn, or in doubt."""


@attrs.frozen
class Found:
    """What may be of one submit."""

    free: Sequence[TaskRef]
    """Tasks that nobody accounts for."""

    contested: Sequence[TaskRef]
    """Tasks that may be of an item that is unknown, too."""

    blind: float | None = None
    """When the last submit was of which nothing could be found out at all."""


async def settle(
    entries: Sequence[Entry],
    book: JournalBook,
    remote: Remote,
    *,
    error: AsyncTasksError,
    grace: float,
    alone: bool,
    earlier: bool = False,
    patience: float | None = None,
) -> list[Settled]:
    """
    Settle intents whose outcome is unknown, as far as the service lets us.

    Args:
        entries: of the items, which were intended; of one service.
        book: knows which tasks are accounted for.
        remote: is asked: once for all of them where the list tells.
        error: how the answer was lost.
        grace: seconds after the submit, after which a task that is not to be found
            was not accepted.
        alone: whether the only candidate must be it: no other submit can be in doubt.
        earlier: whether they were intended in an earlier run.
        patience: seconds in which the service may be out of reach; by default the
            client's.

    Returns:
        The entries: accepted, withdrawn, or in doubt. They are written in order; the
        caller's next word comes after.

    Raises:
        AsyncTasksError: the service cannot be asked at all, or not within the patience;
            the intents stay what they are, to be settled by another run.
    """
    if remote.reconcile is Reconcile.KEY:
        # Submitting it again is no repetition: the service knows the key.
        return [_withdraw(book, entry) for entry in entries]
    before = await book.baseline(entries[0].service)
    # A task that the client knows of may be of an earlier run, whose end it missed.
    known, contested = (NOBODY, remote.known) if earlier else (remote.known, NOBODY)
    losts = {
        entry.key: _lost(entry, book, before, known, earlier=earlier)
        for entry in entries
    }
    alone = alone and before is not None
    try:
        wait = remote.manners.patience if patience is None else patience
        until = book.now() + wait
        look = partial(_candidates, book=book, remote=remote, contested=contested)
        found = await _look(entries, losts, book, look, grace, until)
    except AsyncTasksError as exc:
        if isinstance(exc, FATAL) or exc.retryable:
            raise
        if not isinstance(exc, UnsupportedOperation):
            remote.logger.warning("%s cannot be settled: %s", list(losts), exc)
        return [_doubt(book, entry, error, ()) for entry in entries]
    return [
        _judge(entry, found[entry.key], book, remote, error=error, alone=alone)
        for entry in entries
    ]


async def note_baseline(service: str, book: Book, remote: Remote) -> None:
    """
    Note what is there before the first submit of a run; afterwards, do nothing.

    What was there before can then not be taken for what was lost. Where it cannot be
    read, nothing will be taken.

    Raises:
        ConnectError: the service is out of reach; it would be for the submit, too.
        JournalError: it cannot be written down.
    """
    if isinstance(book, JournalBook):
        await book.note_baseline(service, partial(_read_baseline, service, remote))


async def _read_baseline(service: str, remote: Remote) -> Baseline | None:
    began = asyncio.get_running_loop().time() - SKEW
    try:
        return await remote.list_baseline(service, began)
    except ConnectError:
        raise
    except AsyncTasksError as exc:
        reason = "lost answers of %r cannot be settled by the list: %s"
        remote.logger.warning(reason, service, exc)
        return None


def _lost(
    entry: Entry,
    book: JournalBook,
    before: Baseline | None,
    known: frozenset[str],
    *,
    earlier: bool,
) -> Lost:
    before = before or Baseline()
    submitted = entry.timings.submitted or 0.0
    # Too early does less harm than too late.
    began = book.loop_time(submitted) - book.missed() - (SKEW if earlier else 0.0)
    if submitted > book.now():
        # The clock was set back: it says nothing about when that was.
        began = -math.inf
    return Lost(
        service=entry.service,
        began=began,
        config_id=entry.config_id,
        known=known | before.ids,
        floor=before.since,
        whole=True,
    )


def _judge(
    entry: Entry,
    found: Found,
    book: JournalBook,
    remote: Remote,
    *,
    error: AsyncTasksError,
    alone: bool,
) -> Settled:
    if not found.free and not found.contested:
        doubt = _says_yes(error)
        return _doubt(book, entry, error, ()) if doubt else _withdraw(book, entry)
    submitted = entry.timings.submitted or 0.0
    if found.blind is not None and submitted - found.blind < NEAR:
        alone = False  # what was found may be of that one
    if len(found.free) != 1 or found.contested or not alone:
        return _doubt(book, entry, error, [*found.free, *found.contested])
    handle = remote.adopt(found.free[0])
    facts = {"token": handle.token, "task_id": handle.id}
    return _write(book, advance(entry, Step.ACCEPT, book.now(), **facts)), handle


def _says_yes(error: AsyncTasksError) -> bool:
    """Tell whether an answer came that was no refusal: its task may only lag."""
    cause = error.cause if isinstance(error, SubmitOutcomeUnknown) else None
    return isinstance(cause, RemoteProtocolError)


async def _look(
    entries: Sequence[Entry],
    losts: Mapping[str, Lost],
    book: JournalBook,
    look: Callable[[Sequence[Lost]], Awaitable[list[Found]]],
    grace: float,
    until: float,
) -> Mapping[str, Found]:
    """Look for candidates until each has some, or its time is over."""
    now = book.now()
    # What is not to be found is looked for twice at least.
    ends = {
        entry.key: max(
            min(entry.timings.submitted or now, now) + grace,
            now + min(grace, FIRST_LOOK),
        )
        for entry in entries
    }
    found: dict[str, Found] = {}
    wait = FIRST_LOOK
    while ends:
        left = LONGEST_WAIT
        try:
            seen = await look([losts[key] for key in ends])
        except AsyncTasksError as exc:
            if not exc.retryable or book.now() > until:
                raise
        else:
            now = book.now()
            for key, each in zip(list(ends), seen, strict=True):
                if each.free or each.contested or now >= ends[key]:
                    found[key] = each
                    del ends[key]
            left = min(ends.values(), default=now) - now
        if ends:
            await asyncio.sleep(min(wait, left))
            wait = min(LONGEST_WAIT, wait * 2)
    return found


async def _candidates(
    losts: Sequence[Lost],
    book: JournalBook,
    remote: Remote,
    contested: frozenset[str],
) -> list[Found]:
    refs = await remote.find(losts)
    ids = {ref.id for each in refs for ref in each}
    if not ids:
        return [Found((), ()) for _ in losts]
    known = await book.journal.accounts(ids)
    contested = (known.contested | contested) - known.own
    taken = known.own | contested
    return [
        Found(
            [ref for ref in each if ref.id not in taken],
            [ref for ref in each if ref.id in contested],
            known.blind,
        )
        for each in refs
    ]


def _withdraw(book: JournalBook, entry: Entry) -> Settled:
    return _write(book, advance(entry, Step.WITHDRAW, book.now())), None


def _doubt(
    book: JournalBook, entry: Entry, error: AsyncTasksError, refs: Sequence[TaskRef]
) -> Settled:
    facts = {
        "failure": build_failure(error),
        "candidates": tuple(ref.id for ref in refs),
    }
    return _write(book, advance(entry, Step.DOUBT, book.now(), **facts)), None


def _write(book: JournalBook, entry: Entry) -> Entry:
    book.write(entry)
    return entry
