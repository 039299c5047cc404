"""Batches: many inputs, so many remote tasks at a time, an item for each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
import math
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args
import weakref

from .arguments import check_choice, check_wait, check_whole
from .batch_book import Book, JournalBook
from .batch_engine import Engine
from .batch_inputs import Inputs
from .batch_item import BatchItem, Terms
from .exceptions import InvalidArgument, InvalidState
from .journal import Journal
from .manners import Decode, ErrorPolicy, RemotePolicy, UnknownPolicy


if TYPE_CHECKING:
    from .batch_remote import Remote
    from .client import TaskClient


__all__ = ["Batch", "BatchItem", "BatchSubmitter", "build_batch"]

LIMIT = 50
"""Remote tasks at a time, unless the caller says otherwise."""


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

    What every item would meet (the credentials are refused, the journal cannot be
    written, the client is closed) makes it submit no more; items that are open are
    given before the error is raised.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchItem:
        return await self._started().next()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = self._make()
            # The engine's tasks know the engine only: this is collected when nobody
            # takes items any more.
            weakref.finalize(self, self._engine.abandon).atexit = False
        return self._engine

    def add(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> None:
        """
        Add inputs, to be read after those there are.

        Raises:
            InvalidState: the batch is over.
            InvalidArgument: they cannot be gone through.
        """
        self._started().add(inputs)

    async def aclose(self) -> list[str]:
        """
        Stop submitting, and end the batch; may be called twice.

        A submit that is under way is waited for, so that its token is known. Remote
        tasks are left alone, unless ``on_cancel`` is ``"cancel_remote"``.

        Returns:
            The tokens of the remote tasks that have not ended.
        """
        return await self._started().aclose()


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
            can settle a lost answer; else as many as the client's lane has. With more
            than the default, answers that are lost together, as when the process is
            killed, are unknown, unless the service's list has nothing at all.
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
        on_unknown: UnknownPolicy = "skip",
        grace: float = 30.0,
        submits: int | None = None,
        inline: int = 64 * 1024,
        results: str | os.PathLike[str] | None = None,
    ) -> None:
        check_choice("on_unknown", on_unknown, get_args(UnknownPolicy))
        if math.isinf(check_wait("grace", grace)):
            raise InvalidArgument("grace", grace, "nothing would ever be found out")
        if submits is not None:
            check_whole("submits", submits)
        self._remote: Remote = client._remote()  # noqa: SLF001 - made for this
        self._path = Path(journal)
        self._resume = resume
        self._on_unknown = on_unknown
        self._grace = grace
        self._submits = submits
        self._inline = inline
        self._results = Path(results or f"{os.fspath(journal)}.results")
        self._book: JournalBook | None = None
        self._engines: list[Engine] = []

    async def __aenter__(self) -> Self:
        journal = await Journal.open(
            self._path, self._remote.facts, resume=self._resume
        )
        self._book = JournalBook(
            journal,
            self._remote.reconcile,
            submits=self._submits,
            inline=self._inline,
            results=self._results,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            for engine in self._engines:
                await engine.aclose()
        finally:
            await self.journal.close()

    @property
    def journal(self) -> Journal:
        """
        The open journal.

        Raises:
            InvalidState: the submitter was not entered.
        """
        return self._entered().journal

    async def count_unseen(self) -> int:
        """Count the items of earlier runs that are not among the inputs so far."""
        return await self.journal.unseen()

    def map(  # noqa: PLR0913 - each is a fact of a batch
        self,
        service: str,
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        limit: int = LIMIT,
        ordered: bool = False,
        on_error: ErrorPolicy = "collect",
        retry_failed: int = 0,
        key: Callable[[Any], str] | None = None,
        timeout: float | None = None,
        decode: Decode = "auto",
        on_cancel: RemotePolicy | None = None,
        on_timeout: RemotePolicy | None = None,
        **submit: Any,
    ) -> Batch:
        """
        As ``client.map()``, with the journal.

        An item is known by its key: the one given, or the hash of the input. Of two
        equal inputs the second is an item of its own. An input that was changed is a
        new item; with a key of its own it is refused.

        Raises:
            JournalError: while items are taken: the journal cannot be used.
        """
        book = self._entered()
        source = Inputs()
        source.add(inputs)
        terms = Terms(
            service=service,
            limit=limit,
            ordered=ordered,
            on_error=on_error,
            retry_failed=retry_failed,
            key=key,
            timeout=timeout,
            decode=decode,
            on_cancel=on_cancel,
            on_timeout=on_timeout,
            options=submit,
        )

        def make() -> Engine:
            engine = Engine(
                terms,
                source,
                self._remote,
                book,
                on_unknown=self._on_unknown,
                grace=self._grace,
            )
            self._engines.append(engine)
            return engine

        return Batch(make)

    def _entered(self) -> JournalBook:
        if self._book is None:
            raise InvalidState("enter the submitter first: async with BatchSubmitter")
        return self._book


def build_batch(
    terms: Terms, inputs: Iterable[Any] | AsyncIterable[Any], remote: Remote
) -> Batch:
    """Build a batch without a journal."""
    source = Inputs()
    source.add(inputs)
    return Batch(lambda: Engine(terms, source, remote, Book()))
