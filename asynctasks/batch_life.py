"""The life of one item: claim it, submit it, wait for its end, keep its result."""

from __future__ import annotations

import attrs

from .batch_item import BatchItem, is_retried, observe
from .batch_record import Record
from .batch_remote import FATAL
from .batch_submit import submit
from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    PatienceExceeded,
    ResponseDecodeError,
    ResponseTooLarge,
    TaskError,
)
from .handle import TaskHandle
from .sansio.ledger import ItemState, Step
from .sansio.task import TaskStatus


__all__ = ["claim", "live"]

SUBMITS = 3
"""How often a run submits an item whose submits stay unknown."""


async def claim(record: Record) -> None:
    """
    Find out what is known of an item.

    Raises:
        JournalError: its key belongs to another input.
    """
    ground = record.ground
    try:
        record.entry, new = await ground.book.claim(
            record.index, record.given, ground.terms
        )
    except InvalidArgument as exc:
        record.refuse(exc)
    else:
        record.claimed = not ground.book.promises
        record.recorded = not new and not _goes_on(record)


async def live(record: Record) -> BatchItem:
    """Bring an item to its end, in as many attempts as it may have."""
    while _goes_on(record):
        if record.entry.state is ItemState.SUBMITTED:
            await _collect(record)
        else:
            await submit(record)
    return record.item()


def _goes_on(record: Record) -> bool:
    """Tell whether there is more to do for it."""
    state, ground = record.entry.state, record.ground
    if record.left or ground.stopped or state is ItemState.SUCCEEDED:
        return False
    if state is ItemState.FAILED:
        return is_retried(record.entry, ground.terms)
    if state is ItemState.UNKNOWN:
        return ground.on_unknown == "resubmit" and record.submits < SUBMITS
    return True


async def _collect(record: Record) -> None:
    """Wait for the end of the task, and keep what comes of it."""
    ground = record.ground
    handle = record.attach()
    try:
        status = await handle.wait(timeout=ground.terms.timeout)
        _see_end(record, status)
        record.release()
        await _keep(record, handle, status)
    except PatienceExceeded as exc:
        record.leave(exc)
        if (ground.terms.on_timeout or ground.remote.manners.on_timeout) != "leave":
            await ground.remote.ask_cancel(handle)
    except (TaskError, ResponseDecodeError, ResponseTooLarge) as exc:
        if record.entry.timings.ended is None:
            _see_end(record, None)
        await record.written(record.fail(exc))
    except AsyncTasksError as exc:
        record.leave(exc)
        if isinstance(exc, FATAL):
            ground.fail(exc)


def _see_end(record: Record, status: TaskStatus | None) -> None:
    times = observe(record.entry.timings, status, record.ground.book.now())
    record.entry = attrs.evolve(record.entry, timings=times)


async def _keep(record: Record, handle: TaskHandle, status: TaskStatus) -> None:
    """Fetch and keep the result; only then the task may be removed."""
    book, terms = record.ground.book, record.ground.terms
    try:
        response = await handle.response(status)
        record.entry, record.kept = await book.keep(
            record.entry, response, terms.decode
        )
    except ResponseTooLarge:
        large = await book.keep_large(record.entry, handle)
        if large is None:
            raise
        record.entry, record.kept = large
    await record.written(record.step(Step.SUCCEED))
    await record.ground.remote.clean_up(handle)
