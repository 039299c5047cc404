"""Submitting one item of a batch: intend, send, put down what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
import random
from typing import Any

from .batch_book import JournalBook
from .batch_item import build_failure
from .batch_record import Record
from .batch_remote import FATAL, is_postponed
from .batch_settle import note_baseline, settle
from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    RateLimited,
    SubmitOutcomeUnknown,
)
from .sansio.dialect import Prepared, Reconcile
from .sansio.ledger import Entry, ItemState, Step, advance
from .sansio.retry import RetryPolicy, backoff


__all__ = ["submit"]

PUT_OFF = RetryPolicy(wait_initial=1.0, wait_max=30.0, wait_jitter=1.0)
"""The waits before a submit is tried again that the service cannot take now."""


LOST = 3
"""Submits of an item in a row whose answers may be lost."""


async def submit(record: Record) -> None:
    """
    Submit an item, again and again while the service cannot take it.

    Afterwards it is submitted; or it failed, or its outcome is unknown; or it waits as
    before, because nothing was accepted and it may be tried again.

    Raises:
        AsyncTasksError: what every item would meet; nothing was accepted.
    """
    await record.acquire()
    began = asyncio.get_running_loop().time()
    attempt = 0
    while (error := await _try(record)) is not None:
        attempt += 1
        wait = backoff(PUT_OFF, attempt, random.random())  # noqa: S311 - jitter
        if isinstance(error, RateLimited):
            wait = max(wait, error.retry_after or 0.0)
        waited = asyncio.get_running_loop().time() - began
        if waited + wait > record.ground.remote.manners.patience:
            await _refused(record, error, final=True)
            return
        if record.ground.stopped:
            raise asyncio.CancelledError
        await asyncio.sleep(wait)


async def _try(record: Record) -> AsyncTasksError | None:
    """Submit once; return why the service cannot take it now, if it is that."""
    ground = record.ground
    record.error = None
    try:
        prepared = await _prepare(record)
        await note_baseline(record.entry.service, ground.book, ground.remote)
    except AsyncTasksError as exc:
        if not record.claimed and not await _claimed(record, record.entry):
            return None
        return await _refused(record, exc)
    async with ground.book.turn(prepared):
        try:
            if not await _intend(record, prepared):
                return None
            record.handle = handle = await ground.remote.start(prepared)
        except SubmitOutcomeUnknown as exc:
            record.sending = False  # to be found out any time
            if ground.stopped:
                raise asyncio.CancelledError from exc  # the next run finds it out
            await _find_out(record, exc)
            return None
        except AsyncTasksError as exc:
            return await _refused(record, exc)
        finally:
            record.sending = False
        found = {"token": handle.token, "task_id": handle.id}
        # Put down before the turn ends: the next intent is written after it.
        writing = record.step(Step.ACCEPT, **found)
        record.lost = 0
    await record.written(writing)
    return None


async def _prepare(record: Record) -> Prepared:
    ground = record.ground
    options: Mapping[str, Any] = ground.terms.options
    if ground.remote.reconcile is Reconcile.KEY:
        options = {**options, "id": ground.book.idempotency_key(record.entry)}
    return await ground.remote.prepare(ground.terms.service, record.given, options)


async def _intend(record: Record, prepared: Prepared) -> bool:
    """Put the intent down; False if the item has no place in the book."""
    # From here on it must not be cut off: an intent is followed by the submit.
    record.sending = True
    book = record.ground.book
    intended = advance(
        record.entry, Step.INTEND, book.now(), config_id=prepared.config_id
    )
    record.submits += 1
    if not record.claimed:
        return await _claimed(record, intended)
    record.entry = await book.intend(intended)
    return True


async def _claimed(record: Record, entry: Entry) -> bool:
    """Put down an entry that was only promised to be; tell whether it may be."""
    try:
        record.entry = await record.ground.book.claim_now(entry, record.ground.terms)
    except InvalidArgument as exc:
        record.refuse(exc)
        return False
    record.claimed = True
    return True


async def _refused(
    record: Record, error: AsyncTasksError, *, final: bool = False
) -> AsyncTasksError | None:
    """Note that nothing runs; return an error that will pass."""
    intended = record.entry.state is ItemState.INTENDED
    if isinstance(error, FATAL) or (is_postponed(error) and not final):
        if intended:
            await record.written(record.step(Step.WITHDRAW))
        if isinstance(error, FATAL):
            raise error
        return error
    if record.entry.state is ItemState.UNKNOWN:
        record.leave(error)
    else:
        await record.written(record.fail(error))
    return None


async def _find_out(record: Record, error: SubmitOutcomeUnknown) -> None:
    """Settle a submit whose answer was lost; give up where all of them are."""
    ground = record.ground
    record.lost += 1
    last = record.lost >= LOST
    nobody_looks = last and ground.remote.reconcile is Reconcile.KEY
    if isinstance(ground.book, JournalBook) and not nobody_looks:
        await _settle(record, ground.book, error)
    else:
        await record.written(record.step(Step.DOUBT, failure=build_failure(error)))
    if record.entry.state is ItemState.UNKNOWN:
        record.error = error
    elif record.entry.state is ItemState.WAITING and last:
        # The service has none of them: what was lost were no acceptances.
        record.lost = 0
        await record.written(record.fail(error.cause))


async def _settle(
    record: Record, book: JournalBook, error: SubmitOutcomeUnknown
) -> None:
    async with book.doubt() as alone:
        ((record.entry, record.handle),) = await settle(
            [record.entry],
            book,
            record.ground.remote,
            error=error,
            grace=record.ground.grace,
            alone=alone,
        )
