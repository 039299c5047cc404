"""What became of a batch: counts, durations, failures, and a page that shows them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
import json
import math
import os
from pathlib import Path
import re
from typing import TYPE_CHECKING, Any, Self

import attrs

from .journal import Journal
from .sansio.ledger import Entry, Failure, ItemState, Timings
from .sansio.report_page import render_page, render_part
from .sansio.timeline import Lanes, Span, lay_out


if TYPE_CHECKING:
    from .batch import BatchItem


__all__ = ["BatchReport", "Durations", "FailedItem", "FailureGroup"]

OUTCOMES = ("done", "failed", "unknown", "open")

OUTCOME_OF = {
    ItemState.SUCCEEDED: "done",
    ItemState.FAILED: "failed",
    ItemState.UNKNOWN: "unknown",
}
"""What readers call the states; the others are ``open``."""

SHOWN = 20
"""Items that are kept of each kind of failure."""

GROUPS = 200
"""Kinds of failures that are told from each other; the rest is one kind."""

DRAWN = 100_000
"""Items in the timeline; those that were submitted later are counted only."""

CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(\.\d+)?", re.IGNORECASE
)
"""What differs between messages that say the same: ids and numbers."""


@attrs.frozen
class FailedItem:
    """An item that has no result."""

    index: int
    key: str
    task_id: str
    """Empty where no task was accepted."""

    candidates: Sequence[str]
    """The tasks any of which may be it, where that is unknown."""


@attrs.frozen
class Times:
    """
    When an item was where, by our clock.

    The clock of a service may be wrong, or tell whole seconds only: how long things
    took there counts more than when.
    """

    submitted: float
    ended: float | None
    """When its end was known here; None if it has not ended."""

    queue: float | None
    """Seconds until it ran, where that is known."""

    run: float | None
    """Seconds that it ran, where that is known."""

    @classmethod
    def of(cls, timings: Timings) -> Self | None:
        """Find out; None if it was never submitted."""
        begin = timings.submitted
        if begin is None:
            return None
        known = (timings.fetched, timings.ended)
        end = next((max(begin, at) for at in known if at is not None), None)
        latest = math.inf if end is None else end
        queue, run = timings.queue_time, timings.run_time
        started = timings.started
        if started is not None and begin <= started <= latest:
            queue = started - begin if queue is None else queue
            if run is None and timings.ended is not None:
                run = max(0.0, min(timings.ended, latest) - started)
        return cls(begin, end, queue, run)

    def durations(self) -> Iterator[tuple[str, float]]:
        """Say how long it waited, ran, and was under way, as far as is known."""
        total = None if self.ended is None else self.ended - self.submitted
        for name, value in {
            "queue": self.queue,
            "run": self.run,
            "total": total,
        }.items():
            if value is not None:
                yield name, value

    def span(self, label: str, outcome: str, until: float) -> Span:
        """Return its place in the timeline; what has not ended goes on until then."""
        last = max(self.submitted, until) if self.ended is None else self.ended
        # Nothing is known of the run of one that is done: it may have been all of it.
        start = self.submitted if outcome == "done" else last
        if self.queue is not None:
            start = self.submitted + self.queue
        elif self.run is not None:
            start = last - self.run
        start = min(max(start, self.submitted), last)
        end = last if self.run is None else min(start + self.run, last)
        return Span(label, self.submitted, start, end, outcome)


@attrs.frozen(kw_only=True)
class Durations:
    """How long something took, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """Sum values up; None if there are none."""
        if not values:
            return None
        ordered = sorted(values)

        def rank(share: float) -> float:
            return ordered[math.ceil(share * len(ordered)) - 1]

        return cls(
            mean=math.fsum(ordered) / len(ordered),
            p50=rank(0.5),
            p90=rank(0.9),
            p99=rank(0.99),
            max=ordered[-1],
        )


@attrs.frozen(kw_only=True)
class FailureGroup:
    """Items that ended alike, and not well."""

    outcome: str
    error: str
    message: str
    """What the messages have in common; ``#`` stands for ids and numbers."""

    count: int
    items: Sequence[FailedItem]
    """The first of them."""


@attrs.frozen(kw_only=True)
class BatchReport:
    """
    What became of a batch.

    Make one with :meth:`of`, show it in a notebook as it is, and keep it with
    :meth:`to_json` or :meth:`to_html`.
    """

    service: str = ""
    about: str = ""
    """Where it ran, in words."""

    outcomes: Mapping[str, int]
    """How many items are ``done``, ``failed``, ``unknown`` and ``open``."""

    begin: float | None
    """The first submit, in seconds since the epoch; None if there was none."""

    end: float | None
    """The last end that was seen, in seconds since the epoch."""

    submits: int
    retries: Mapping[str, int]
    """How many submits followed an error, by its class."""

    queue: Durations | None
    """Waiting at the service, where it says so."""

    run: Durations | None
    """Running at the service, where it says so."""

    total: Durations | None
    """From the submit until the end was seen."""

    failures: Sequence[FailureGroup]
    """What went wrong, the most frequent first."""

    lanes: Lanes = attrs.field(repr=False)
    """The timeline."""

    @classmethod
    def of(
        cls, items: Iterable[Entry | BatchItem], *, service: str = "", about: str = ""
    ) -> Self:
        """
        Count items, once through; a million of them take little memory.

        Args:
            items: rows of a journal, or what ``client.map()`` gave; in any order.
            service: what was run.
            about: where, in words.
        """
        count = Count()
        for item in items:
            count.add(item)
        return cls(service=service, about=about, **count.sums())

    @classmethod
    def from_journal(cls, path: str | os.PathLike[str], *, about: str = "") -> Self:
        """
        Count the items of a journal, which may be in use. It blocks.

        Args:
            path: of the journal.
            about: where the batch ran, in words; by default the service's origin.

        Raises:
            JournalError: it cannot be read.
        """
        with Journal.read(path) as reader:
            summary = reader.summary()
            first = next(reader.items(), None)
            return cls.of(
                reader.items(),
                service=first.service if first is not None else "",
                about=about or summary.origin,
            )

    @property
    def items(self) -> int:
        """How many items there are."""
        return sum(self.outcomes.values())

    @property
    def seconds(self) -> float:
        """From the first submit to the last end, breaks included."""
        if self.begin is None or self.end is None:
            return 0.0
        return max(0.0, self.end - self.begin)

    @property
    def throughput(self) -> float:
        """Items that ended per second, long breaks between runs not counted."""
        ended = self.items - self.outcomes["open"]
        idle = sum(end - begin for begin, end in self.lanes.scale.gaps)
        return ended / (self.seconds - idle) if self.seconds > idle else 0.0

    def __str__(self) -> str:
        counts = [f"{self.outcomes[name]:,} {name}" for name in OUTCOMES]
        told = [text for text in counts if not text.startswith("0 ")] or ["no items"]
        return f"{', '.join(told)} in {self.seconds:.1f} s ({self.throughput:.1f}/s)"

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return render_part(self.document(), self.lanes)

    def document(self) -> dict[str, Any]:
        """Return it as what JSON can say; times are ISO 8601, durations seconds."""
        return {
            "service": self.service,
            "about": self.about,
            "begin": write_time(self.begin),
            "end": write_time(self.end),
            "seconds": self.seconds,
            "throughput": self.throughput,
            "items": self.items,
            "outcomes": dict(self.outcomes),
            "submits": self.submits,
            "retries": dict(self.retries),
            "durations": {
                name: value and attrs.asdict(value)
                for name, value in {
                    "queue": self.queue,
                    "run": self.run,
                    "total": self.total,
                }.items()
            },
            "failures": [attrs.asdict(failure) for failure in self.failures],
            "made_by": "asynctasks",
        }

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n"

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """
        Write a page that any browser shows, without a network and without scripts.

        Returns:
            The path. The file is there whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            part.write_text(render_page(self.document(), self.lanes), "utf-8")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target


class Count:
    """Adds items up."""

    def __init__(self) -> None:
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self.retries: Counter[str] = Counter()
        self.durations = {name: array("d") for name in ("queue", "run", "total")}
        self.failed: dict[tuple[str, str, str], list[FailedItem]] = {}
        self.failures: Counter[tuple[str, str, str]] = Counter()
        self.drawn: list[tuple[str, str, Times]] = []
        self.submits = 0
        self.begin, self.end = math.inf, -math.inf

    def add(self, item: Entry | BatchItem) -> None:
        """Add one."""
        outcome = OUTCOME_OF.get(item.state, "open")
        self.outcomes[outcome] += 1
        self.retries.update(item.retries)
        self.submits += item.attempts
        times = Times.of(item.timings)
        if times is not None:
            self.place(f"item {item.index} {task_id(item.token)}", outcome, times)
        if outcome in {"failed", "unknown"}:
            self.keep(item, outcome)

    def place(self, label: str, outcome: str, times: Times) -> None:
        """Put one into the timeline."""
        for name, value in times.durations():
            self.durations[name].append(value)
        self.begin = min(self.begin, times.submitted)
        self.end = max(self.end, times.ended or times.submitted)
        if len(self.drawn) < DRAWN:
            self.drawn.append((label.strip(), outcome, times))

    def keep(self, item: Entry | BatchItem, outcome: str) -> None:
        """Put one that did not end well to those that ended alike."""
        failure = item.failure or Failure("", "")
        said = CHANGING.sub("#", failure.message or failure.text)
        kind = (outcome, failure.kind, said)
        if kind not in self.failures and len(self.failures) >= GROUPS:
            kind = (outcome, failure.kind, "(other messages)")
        self.failures[kind] += 1
        examples = self.failed.setdefault(kind, [])
        if len(examples) < SHOWN:
            known = task_id(item.token)
            examples.append(FailedItem(item.index, item.key, known, item.candidates))

    def sums(self) -> dict[str, Any]:
        """Return the attributes of the report."""
        groups = [
            FailureGroup(
                outcome=kind[0],
                error=kind[1],
                message=kind[2],
                count=count,
                items=tuple(self.failed[kind]),
            )
            for kind, count in self.failures.most_common()
        ]
        known = math.isfinite(self.begin)
        spans = (
            times.span(label, outcome, self.end) for label, outcome, times in self.drawn
        )
        return {
            "outcomes": dict(self.outcomes),
            "begin": self.begin if known else None,
            "end": self.end if known else None,
            "submits": self.submits,
            "retries": dict(self.retries.most_common()),
            "failures": groups,
            "lanes": lay_out(spans),
            **{name: Durations.of(each) for name, each in self.durations.items()},
        }


def task_id(token: str) -> str:
    """Return the id in a token; empty if there is none."""
    try:
        return str(json.loads(token)["id"])
    except (ValueError, LookupError, TypeError):
        return ""


def write_time(seconds: float | None) -> str | None:
    """Write a time of the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
