"""What a batch gives: an item for each input, and how it is to be treated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import attrs

from .arguments import check_choice, check_whole
from .exceptions import (
    InvalidArgument,
    RecordedError,
    ResultUnavailable,
    TaskCancelled,
    TaskError,
    TaskFailed,
    TaskLost,
)
from .handle import TaskHandle
from .manners import Decode, ErrorPolicy, RemotePolicy, check_waiting
from .sansio.answers import check_decode, decode_content
from .sansio.http import Headers, Response
from .sansio.ledger import Entry, Failure, ItemState, Timings
from .sansio.task import TaskState, TaskStatus


__all__ = [
    "BatchItem",
    "Terms",
    "build_failure",
    "build_item",
    "check_key",
    "is_retried",
    "observe",
    "read_failure",
]


@attrs.frozen(kw_only=True)
class BatchItem:
    """One input of a batch and what became of it."""

    index: int
    """The place among the inputs, from 0."""

    key: str
    """As given; else the index, or with a journal the hash of the input."""

    input: Any = attrs.field(repr=False)
    """None for an item of the journal that is not among the inputs any more, or where
    the batch ended before the input was read."""

    state: ItemState
    """
    How it ended; or ``SUBMITTED``: we stopped waiting (``error`` says why), but the
    remote task may go on, or its result may still be had.
    """

    result: Any = attrs.field(default=None, repr=False)
    """The decoded result; None also where it is in a file: see :meth:`load`."""

    error: BaseException | None = None
    """Why there is no result."""

    failure: Failure | None = None
    """The same as it is written down: the error's class and text."""

    handle: TaskHandle | None = None
    """Of the remote task; None where none was accepted."""

    token: str = ""
    """The token of the remote task, or empty."""

    timings: Timings = Timings()  # noqa: RUF009 - a frozen value
    attempts: int = 0
    """How often it was submitted."""

    retries: tuple[str, ...] = ()
    """The kinds of the failures after which it was submitted again."""

    candidates: tuple[str, ...] = ()
    """Ids of tasks any of which may be this item, where its state is ``UNKNOWN``."""

    stored: Path | None = None
    """The file that has the result, where it is too large for the journal."""

    media_type: str = ""
    """Of the result, where it is known from the journal."""

    recorded: bool = False
    """Whether it ended in an earlier run and comes from the journal."""

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.state is ItemState.SUCCEEDED

    @property
    def outcome(self) -> Any:
        """The result, or the error instead of one; see :meth:`load` for large ones."""
        return self.result if self.ok else self.error

    async def load(self, decode: Decode = "auto") -> Any:
        """
        Return the result, also one that is in a file; None where there is none.

        Args:
            decode: how a file is decoded, as in ``map()``.

        Raises:
            ResponseDecodeError: the file is not of the kind that was insisted on.
            OSError: the file cannot be read.
        """
        check_decode(decode)
        if self.stored is None:
            return self.result
        return await asyncio.to_thread(_load, self.stored, self.media_type, decode)


def _load(path: Path, media_type: str, decode: Decode) -> Any:
    headers = Headers({"Content-Type": media_type} if media_type else {})
    return decode_content(Response(200, headers, path.read_bytes()), decode)


@attrs.frozen(kw_only=True)
class Terms:
    """How the items of a batch are to be treated; checked."""

    service: str
    limit: int = attrs.field()
    ordered: bool = False
    on_error: ErrorPolicy = attrs.field(default="collect")
    retry_failed: int = attrs.field(default=0)
    key: Callable[[Any], str] | None = None
    timeout: float | None = None
    decode: Decode = "auto"
    on_cancel: RemotePolicy | None = None
    on_timeout: RemotePolicy | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Of every submit."""

    @limit.validator
    def _some(self, _: object, limit: int) -> None:
        check_whole("limit", limit)

    @retry_failed.validator
    def _none_or_some(self, _: object, times: int) -> None:
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            remedy = "must be a whole number, 0 or more"
            raise InvalidArgument("retry_failed", times, remedy)

    @on_error.validator
    def _known(self, _: object, policy: str) -> None:
        check_choice("on_error", policy, get_args(ErrorPolicy))

    def __attrs_post_init__(self) -> None:
        check_waiting(self.timeout, self.decode, self.on_cancel, self.on_timeout)
        if self.options.get("schedule_every") is not None:
            remedy = "a batch submits each input once"
            raise InvalidArgument("schedule_every", "…", remedy)

    def name(self, given: Any) -> str:
        """
        Return the key of an input.

        Raises:
            InvalidArgument: it is no text.
        """
        return check_key(None if self.key is None else self.key(given))


def check_key(key: object) -> str:
    """
    Return what names an input or a submit, if it can.

    Raises:
        InvalidArgument: it is no text, or none that can be written down.
    """
    if not isinstance(key, str) or not key or not _is_unicode(key):
        remedy = "must be a text that is not empty, and that UTF-8 can say"
        raise InvalidArgument("key", key, remedy)
    return key


def _is_unicode(text: str) -> bool:
    """Tell whether a text has no halves of characters."""
    return text.encode("utf-8", "replace").decode() == text


RETRIED = frozenset(
    {
        "AttemptTimeout",
        "ConnectError",
        "ConnectionLost",
        "RateLimited",
        "ResultUnavailable",
        "ServiceBroken",
        "TaskFailed",
        "TaskLost",
    }
)
"""
The failures after which an item is submitted again, if ``retry_failed`` allows.

Not those that the same input would meet again (it is refused), nor a task that
somebody cancelled, nor one that may still run.
"""


def is_retried(entry: Entry, terms: Terms) -> bool:
    """Tell whether an item that failed is to be submitted again."""
    kind = entry.failure.kind if entry.failure is not None else ""
    done = sum(each in RETRIED for each in entry.retries)
    return kind in RETRIED and done < terms.retry_failed


def build_failure(error: BaseException) -> Failure:
    """Write an error down."""
    status = error.status if isinstance(error, TaskError) else None
    word, message = ("", "") if status is None else (status.word, status.message)
    return Failure(type(error).__name__, str(error), word, message)


TASK_ERRORS: Mapping[str, type[TaskError]] = {
    kind.__name__: kind
    for kind in (ResultUnavailable, TaskCancelled, TaskFailed, TaskLost)
}


def read_failure(entry: Entry) -> BaseException | None:
    """Make an error of what was written down of it."""
    failure = entry.failure
    if failure is None:
        return None
    kind = TASK_ERRORS.get(failure.kind)
    if kind is None:
        return RecordedError(failure.kind, failure.text)
    status = TaskStatus(
        state=TaskState.FAILED, word=failure.word, message=failure.message
    )
    return kind(entry.task_id, entry.token, status)


def build_item(entry: Entry, index: int, given: Any, **facts: Any) -> BatchItem:
    """Make an item of what is known of it."""
    return BatchItem(
        index=index,
        key=entry.key,
        input=given,
        state=entry.state,
        failure=entry.failure,
        token=entry.token,
        timings=entry.timings,
        attempts=entry.attempts,
        retries=entry.retries,
        candidates=entry.candidates,
        media_type=entry.media_type,
        **facts,
    )


def observe(timings: Timings, status: TaskStatus | None, at: float) -> Timings:
    """Take in when a task ran: as the service reports it, or else as it was seen."""
    if status is None:
        return attrs.evolve(timings, ended=at)
    reported = {
        "queued": status.created_at,
        "started": status.started_at,
        "ended": status.ended_at,
    }
    times = {name: each.timestamp() for name, each in reported.items() if each}
    ended = times.setdefault("ended", at)
    if status.run_time is not None:
        times.setdefault("started", ended - status.run_time)
    return attrs.evolve(
        timings, queue_time=status.queue_time, run_time=status.run_time, **times
    )
