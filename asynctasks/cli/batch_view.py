"""How a batch goes, on stderr: a display for people, lines for logs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import shutil
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .terminal import Terminal, escape
from ..sansio.ledger import ItemState
from ..sansio.timeline import say_seconds
from ..stats import Bottleneck


if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from ..batch import BatchItem
    from ..stats import ClientStats


__all__ = ["Log", "Progress", "Screen"]

WINDOW = 30.0
"""Seconds over which the rate is taken."""

EVERY = 5.0
"""Seconds between two lines of the log."""

ERRORS = 4
"""Classes of errors that are named."""

NARROW = 60


class Progress:
    """
    Counts what became of the items.

    Args:
        title: what is run, and where.
        total: how many items there will be; None if nobody knows.
        limit: how many tasks may be open at the same time.
        serial: whether submits are made one after the other.
        stats: says what the client does.
        clock: seconds, from whenever.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        stats: Callable[[], ClientStats],
        *,
        limit: int,
        serial: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.total = total
        self.limit = limit
        self.serial = serial
        self.stats = stats
        self.counts: Counter[ItemState] = Counter()
        self.errors: Counter[str] = Counter()
        self.recorded = 0
        """Items that ended in an earlier run."""

        self._early = 0
        self._clock = clock
        self._begun = clock()
        self._ends: deque[tuple[float, int]] = deque([(self._begun, 0)])

    def add(self, item: BatchItem) -> None:
        """Count an item."""
        self.counts[item.state] += 1
        if item.failure is not None:
            self.errors[item.failure.kind] += 1
        if item.recorded:
            self.recorded += 1
            if item.state is ItemState.SUCCEEDED:
                self._early = max(0, self._early - 1)

    def expect(self, early: int) -> None:
        """Count so many items as done that an earlier run has results of."""
        self._early = early

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Keep what is said of the client as it is at the end: then it lets go."""
        try:
            yield
            # What is not among the inputs any more does not come.
            self._early = 0
        finally:
            last = self.stats()
            self.stats = lambda: last

    @property
    def ended(self) -> int:
        """How many items are over."""
        return self.counts.total() + self._early

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        settled = sum(n for state, n in self.counts.items() if state.settled)
        return self.total is not None and settled >= self.total

    @property
    def open(self) -> int:
        """How many tasks the service has that have not ended, as last seen."""
        return self.stats().open + self.counts[ItemState.SUBMITTED]

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    def rate(self) -> float:
        """Return the items that ended a second, lately, in this run."""
        now, ended = self._clock(), self.counts.total() - self.recorded
        if now - self._ends[-1][0] >= 1:
            self._ends.append((now, ended))
        while len(self._ends) > 2 and now - self._ends[0][0] > WINDOW:  # noqa: PLR2004
            self._ends.popleft()
        since, before = self._ends[0]
        return (ended - before) / (now - since) if now > since else 0.0

    def left(self) -> float | None:
        """Return the seconds until it is over, if it goes on like this."""
        rate = self.rate()
        if self.total is None or not rate:
            return None
        return max(0, self.total - self.ended) / rate

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield what there is to say, and its style."""
        stats = self.stats()
        failed, unknown = self.counts[ItemState.FAILED], self.counts[ItemState.UNKNOWN]
        done = self.counts[ItemState.SUCCEEDED] + self._early
        yield f"{done:,} done", "green"
        yield f"{failed:,} failed", "red" if failed else "dim"
        if unknown:
            yield f"{unknown:,} unknown", "yellow"
        yield f"{stats.running:,} running", "cyan"
        yield f"{stats.queued:,} queued", "blue"

    def pace(self) -> str:
        """Say how fast it goes."""
        left = self.left()
        eta = f"  ETA {say_seconds(round(left))}" if left is not None else ""
        return f"{self.rate():.1f}/s{eta}"

    def limits(self) -> str:
        """Say what limits throughput."""
        stats = self.stats()
        limit = self.own_limit(stats) or stats.limited_by.value
        return (
            f"limited by: {limit}"
            f" · looks late by {stats.lateness * 1000:.0f} ms"
            f" · {stats.polls_per_finished:.1f} looks per task"
        )

    def own_limit(self, stats: ClientStats) -> str:
        """Say what limits on the side of the batch; empty if it is elsewhere."""
        if stats.limited_by not in {Bottleneck.NOTHING, Bottleneck.REMOTE_QUEUE}:
            return ""
        idle = stats.limited_by is Bottleneck.NOTHING
        if stats.open >= self.limit:
            return f"--limit {self.limit}" if idle else ""
        if self.total is not None and self.ended + stats.open >= self.total:
            return "nothing, it is nearly over" if idle else ""
        # The service could have more, were there more submits.
        return "submits, one at a time" if self.serial else "submits"

    def trouble(self) -> str:
        """Name the most frequent errors."""
        named = self.errors.most_common(ERRORS)
        texts = [f"{escape(kind)} {count:,}" for kind, count in named]
        more = len(self.errors) - len(named)
        return ", ".join(texts) + (f", {more} other kinds" if more else "")


class Log:
    """Says now and then, in a line, how it goes."""

    def __init__(self, terminal: Terminal, progress: Progress) -> None:
        self._terminal = terminal
        self._progress = progress
        self._due = EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._terminal.say(self.line())

    def refresh(self) -> None:
        """Say a line if it is time for one."""
        if self._progress.elapsed >= self._due:
            self._due = self._progress.elapsed + EVERY
            self._terminal.say(self.line())

    def line(self) -> str:
        """Say it in one line."""
        progress = self._progress
        total = "" if progress.total is None else f"/{progress.total:,}"
        facts = ", ".join(text for text, _ in progress.facts())
        parts = [f"{progress.ended:,}{total}: {facts}", progress.pace()]
        parts += filter(None, [progress.limits(), progress.trouble()])
        return "; ".join(parts)


class Screen:
    """Draws how it goes, again and again in the same place."""

    def __init__(self, terminal: Terminal, progress: Progress) -> None:
        from rich.live import Live  # noqa: PLC0415 - for the few who draw

        self._progress = progress
        self._blocks = terminal.can_show("━╸")
        self._live = Live(
            console=terminal.console(talk=True),
            get_renderable=self.draw,
            auto_refresh=False,
            transient=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the last picture, and give the cursor back; may be called twice."""
        self._live.stop()

    def refresh(self) -> None:
        """Draw it again."""
        self._live.refresh()

    def draw(self) -> Group:
        """Draw it."""
        from rich.console import Group  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        progress = self._progress
        counts = Text()
        for text, style in progress.facts():
            counts.append(text, style).append("   ")
        lines = [Text(escape(progress.title), "bold"), self.bar(), counts]
        lines.append(Text(progress.limits(), "dim"))
        if progress.errors:
            lines.append(Text(f"errors: {progress.trouble()}", "red"))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def bar(self) -> Text:
        """Draw how much of it is done."""
        from rich.text import Text  # noqa: PLC0415

        progress = self._progress
        clock = say_seconds(int(progress.elapsed))
        if progress.total is None:
            return Text(f"{progress.ended:,}  {progress.pace()}  {clock}")
        share = progress.ended / progress.total if progress.total else 1.0
        tail = f"  {progress.ended:,}/{progress.total:,}  {share:4.0%}  "
        tail += f"{progress.pace()}  {clock}"
        room = shutil.get_terminal_size().columns - len(tail) - 1
        drawn = self.blocks(share, max(8, min(room, NARROW)))
        return drawn.append(tail)

    def blocks(self, share: float, width: int) -> Text:
        """Draw a bar of so many cells."""
        from rich.text import Text  # noqa: PLC0415

        full = min(width, int(share * width))
        done, rest = ("━", "─") if self._blocks else ("=", ".")
        return Text(done * full, "green").append(rest * (width - full), "dim")
