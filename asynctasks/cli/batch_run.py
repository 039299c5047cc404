"""Running a batch: from the options to the exit code."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import shlex
import sys
from typing import Any, NoReturn

import attrs

from .apart import keep_apart
from .batch_inputs import count_rows, stream
from .batch_results import open_results
from .batch_view import Log, Progress, Screen
from .connect import connect
from .exits import Exit
from .options import Options
from .signals import Stop
from ..batch import Batch, BatchSubmitter
from ..client import TaskClient
from ..exceptions import AsyncTasksError, ConfigError, InvalidArgument, JournalFull
from ..journal import Journal
from ..manners import UnknownPolicy
from ..report import BatchReport
from ..sansio.dialect import Reconcile
from ..sansio.ledger import ItemState
from ..sansio.retry import RetryPolicy


__all__ = ["Order", "run_batch"]

REFRESH = 0.125
"""Seconds between two looks of the display."""

GRACE = 30.0
"""Seconds after which a submit that no task shows of was not accepted."""

ENDS = {
    ItemState.SUCCEEDED: "done",
    ItemState.FAILED: "failed",
    ItemState.UNKNOWN: "unknown",
    ItemState.SUBMITTED: "given up, but may go on",
    ItemState.WAITING: "not submitted",
}


@attrs.frozen(kw_only=True)
class Order:
    """What was asked for."""

    service: str
    inputs: str
    out: str
    journal: str
    limit: int
    submits: int | None
    resume: bool
    retry_failed: int
    on_unknown: UnknownPolicy
    key: str | None
    report: str | None

    def check(self) -> None:
        """
        Refuse what would lose a file, or begin what was to go on.

        Raises:
            InvalidArgument: two files are the same, or there is no journal to resume.
        """
        files = {"INPUTS": self.inputs, "--out": self.out, "--journal": self.journal}
        keep_apart({**files, "--report": self.report})
        if self.resume and not Path(self.journal).is_file():
            remedy = (
                "there is no such journal: name that of the batch, or leave --resume "
                "out to begin one, which submits everything"
            )
            raise InvalidArgument("--journal", self.journal, remedy)

    def again(self, options: Options) -> str:
        """Return the command line that goes on with it."""
        words = [self.service, self.inputs, "--out", self.out]
        words += ["--journal", self.journal, "--limit", str(self.limit), "--resume"]
        if self.retry_failed:
            words += ["--retry-failed", str(self.retry_failed)]
        if self.on_unknown != "skip":
            words += ["--on-unknown", self.on_unknown]
        for option in ("submits", "key", "report"):
            value = getattr(self, option)
            words += [] if value is None else [f"--{option}", str(value)]
        return options.again("batch", *words)


async def run_batch(options: Options, order: Order) -> Exit:
    """Run a batch; return how it ended."""
    run = BatchRun(options, order)
    with Stop(run.leave) as stop:
        try:
            await run.work()
        except asyncio.CancelledError:
            if stop.code is None:
                raise
        except JournalFull as exc:
            options.terminal.complain(str(exc))
            stop.code = Exit.INTERRUPTED
        except AsyncTasksError:
            run.hint()
            raise
    if order.report is not None:
        await asyncio.to_thread(draw, order, run.title)
        options.terminal.say(f"the report is in {order.report}")
    return run.end(stop.code)


class BatchRun:
    """One run of a batch."""

    def __init__(self, options: Options, order: Order) -> None:
        self.options = options
        self.order = order
        self.terminal = options.terminal
        self.title = f"{order.service} < {order.inputs}"
        self.progress: Progress | None = None
        self.view: Log | Screen | None = None
        self.begun = False
        """Whether journal and results are ours."""

    async def work(self) -> None:
        """Go through all items."""
        order = self.order
        order.check()
        total = await look(order)
        async with connect(self.options, retry=RetryPolicy()) as client:
            self.title += f" at {client.dialect.title}, {client.origin}"
            progress = self.progress = Progress(
                self.title,
                total,
                client.stats,
                limit=order.limit,
                serial=client.capabilities.reconcile is Reconcile.ORPHANS,
            )
            with open_results(self.terminal, order.out, resume=order.resume) as results:
                async with submitter_of(order, client) as submitter:
                    await results.replay(order.journal)
                    self.begun = True
                    await self.recall(client.capabilities.reconcile)
                    with self.build_view(progress) as view:
                        async with refreshing(view), start(submitter, order) as batch:
                            with progress.measured():
                                async for item in batch:
                                    results.add(item)
                                    progress.add(item)

    async def recall(self, reconcile: Reconcile) -> None:
        """Say what earlier runs did, and what must be found out first."""
        if self.progress is None or not self.order.resume:
            return
        counts = await asyncio.to_thread(count_recorded, self.order.journal)
        self.progress.expect(counts[ItemState.SUCCEEDED])
        doubts = counts[ItemState.INTENDED]
        if doubts and reconcile is not Reconcile.NONE:
            what = f"finding out what became of {doubts:,} submits"
            self.terminal.say(f"{what}; that may take {GRACE:.0f} s")

    def build_view(self, progress: Progress) -> Log | Screen:
        """Choose how to show it: drawn, where that disturbs nothing."""
        mixed = self.order.out == "-" and sys.stdout.isatty()
        kind = Screen if self.terminal.watched and not mixed else Log
        self.view = kind(self.terminal, progress)
        return self.view

    def leave(self, code: Exit) -> NoReturn:
        """End the process at once; the journal can bear it."""
        if isinstance(self.view, Screen):
            self.view.stop()
        self.hint()
        sys.stderr.flush()
        os._exit(code)

    def hint(self) -> None:
        """Say how to go on, where there is something to go on with."""
        if self.progress is not None and self.begun and not self.progress.over:
            line = self.order.again(self.options)
            what = (
                "remote tasks go on; to resume" if self.progress.open else "to resume"
            )
            self.terminal.insist(f"{what}:\n  {line}")

    def end(self, stopped: Exit | None) -> Exit:
        """Say how it ended, and return the code for it."""
        counts = self.progress.counts if self.progress is not None else Counter()
        said = [f"{counts[state]:,} {w}" for state, w in ENDS.items() if counts[state]]
        self.terminal.say(f"{counts.total():,} items ended: {', '.join(said) or '-'}")
        if stopped is not None:
            self.hint()
            return stopped
        if counts.total() == counts[ItemState.SUCCEEDED]:
            return Exit.OK
        line = shlex.join(["asynctasks", "batch", "failures", self.order.journal])
        self.terminal.say(f"to see why: {line}")
        self.hint()
        return Exit.INCOMPLETE


def count_recorded(journal: str) -> Mapping[ItemState, int]:
    """Count what earlier runs left. It blocks."""
    with Journal.read(journal) as reader:
        return reader.summary().counts


async def look(order: Order) -> int | None:
    """Find what is wrong with the inputs, and count them; not those of stdin."""
    if order.inputs == "-":
        return None
    return await asyncio.to_thread(count_rows, order.inputs, key_of(order.key))


def submitter_of(order: Order, client: TaskClient) -> BatchSubmitter:
    """Make what submits."""
    return BatchSubmitter(
        client,
        journal=order.journal,
        resume=order.resume,
        on_unknown=order.on_unknown,
        grace=GRACE,
        submits=order.submits,
    )


def start(submitter: BatchSubmitter, order: Order) -> Batch:
    """Start to submit."""
    return submitter.map(
        order.service,
        stream(order.inputs),
        limit=order.limit,
        retry_failed=order.retry_failed,
        key=key_of(order.key),
    )


def key_of(field: str | None) -> Callable[[Any], str] | None:
    """Return what finds the key of a row."""
    if field is None:
        return None

    def key(row: Any) -> str:
        try:
            return str(row[field])
        except (TypeError, LookupError) as exc:
            raise InvalidArgument("--key", field, "a row has no such field") from exc

    return key


def draw(order: Order, title: str) -> None:
    """Write the report of the journal."""
    try:
        BatchReport.from_journal(order.journal, about=title).to_html(str(order.report))
    except OSError as exc:
        raise ConfigError(str(order.report), exc.strerror or str(exc)) from exc


@asynccontextmanager
async def refreshing(view: Log | Screen) -> AsyncIterator[None]:
    """Keep the view up to date."""

    async def refresh() -> None:
        while True:
            view.refresh()
            await asyncio.sleep(REFRESH)

    task = asyncio.create_task(refresh())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        view.refresh()
