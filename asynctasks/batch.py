"""Batches: many inputs, so many remote tasks at a time, an item for each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from .handle import TaskHandle
from .sansio.ledger import Failure, ItemState, Timings


if TYPE_CHECKING:
    from .client import TaskClient


__all__ = ["Batch", "BatchItem", "BatchSubmitter"]


@attrs.frozen(kw_only=True)
class BatchItem:
    """One input of a batch and what became of it."""

    index: int
    """The place among the inputs, from 0."""

    key: str
    """As given; else the index, or with a journal the hash of the input."""

    input: Any = attrs.field(repr=False)
    """None for an item of the journal that is not among the inputs any more."""

    state: ItemState
    """
    How it ended; or ``SUBMITTED``: the wait for it did, but the remote task may go
    on (``error`` says why); or ``WAITING``: it was not submitted.
    """

    result: Any = attrs.field(default=None, repr=False)
    """The decoded result; None also where it is stored in a file."""

    error: BaseException | None = None
    """Why there is no result."""

    failure: Failure | None = None
    """The same as it is written down: the error's class and text."""

    handle: TaskHandle | None = None
    """Of the remote task; None where none was accepted."""

    token: str = ""
    """The token of the remote task, or empty."""

    timings: Timings = Timings()
    attempts: int = 0
    """How often it was submitted."""

    retries: tuple[str, ...] = ()
    """The kinds of the failures after which it was submitted again."""

    candidates: tuple[str, ...] = ()
    """Ids of tasks any of which may be this item, where its state is ``UNKNOWN``."""

    stored: Path | None = None
    """The file that has the result, where it is too large for the journal."""

    recorded: bool = False
    """Whether it ended in an earlier run and comes from the journal."""

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.state is ItemState.SUCCEEDED

    @property
    def outcome(self) -> Any:
        """The result, or the error instead of one."""
        return self.result if self.ok else self.error


class Batch:
    """
    The items of a batch, as they end; made by ``client.map()``.

    ::

        async with client.map("solve", inputs, limit=50) as batch:
            async for item in batch:
                print(item.index, item.outcome)

    Inputs are read when there is room for them, and no more than that. A consumer
    who stops taking items stops the batch from submitting more. Dropping the batch, by
    ``break`` for instance, ends it as :meth:`aclose` does.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchItem:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def add(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> None:
        """
        Add inputs, to be read after those there are.

        Raises:
            InvalidState: the batch is over.
        """
        raise NotImplementedError

    async def aclose(self) -> list[str]:
        """
        Stop submitting, and end the batch; may be called twice.

        A submit that is under way is waited for, so that its token is known. Remote
        tasks are left alone, unless ``on_cancel`` is ``"cancel_remote"``.

        Returns:
            The tokens of the remote tasks that have not ended.
        """
        raise NotImplementedError


class BatchSubmitter:
    """
    Batches that survive the death of the process: ``map()`` with a journal.

    ::

        async with BatchSubmitter(client, journal="run.db", resume=True) as submitter:
            async for item in submitter.map("solve", inputs, limit=50):
                ...

    An intent is durable before the submit, the token before the next step, and the
    outcome before the item is given to you.

    Args:
        client: submits, waits and fetches.
        journal: the path of the file.
        resume: go on with a journal that has items; else such a one is refused.
            Items that ended come again, with ``recorded``; remote tasks that were
            running are waited for; the rest is submitted.
        on_unknown: what becomes of an item whose submit may have been accepted, which
            nothing could settle: ``"skip"`` (default) gives it with its candidates;
            ``"resubmit"`` may run it twice; ``"raise"`` ends the batch.
        grace: seconds after which a task that is not in the service's list was not
            accepted.
        submits: submits at the same time. By default 1 where only the service's list
            can settle a lost answer; else as many as the client's lane has.
        inline: bytes of a result that are kept in the journal; larger ones go to
            *results*.
        results: the folder of large results; by default beside the journal, its name
            with ``.results``.
    """

    def __init__(
        self,
        client: TaskClient,
        journal: str | os.PathLike[str],
        *,
        resume: bool = False,
        on_unknown: str = "skip",
        grace: float = 30.0,
        submits: int | None = None,
        inline: int = 64 * 1024,
        results: str | os.PathLike[str] | None = None,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def map(
        self,
        service: str,
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        limit: int = 50,
        ordered: bool = False,
        on_error: str = "collect",
        retry_failed: int = 0,
        key: Callable[[Any], str] | None = None,
        **submit: Any,
    ) -> Batch:
        """As ``client.map()``, with the journal."""
        raise NotImplementedError
