"""
What happened when, as SVG: bars in lanes, and how many were under way.

A :class:`Span` is one task: it waits from its submit to its start, then it runs.
Nothing in here comes from a service unescaped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
import heapq
from html import escape
from itertools import accumulate, pairwise
import math

import attrs


__all__ = ["Lanes", "Span", "TimeScale", "draw_activity", "draw_lanes", "lay_out"]

WIDTH = 1000
"""Units from the left to the right; the page scales them to what there is."""

DETAILED = 3000
"""Spans up to which each is an element of its own, with a tooltip."""

FAILURES = 500
"""Failed ones that have a tooltip, however many spans there are."""

NARROW = 0.5
"""Units of space below which a neighbour is drawn as part of the one before it..."""

BROAD = 2
"""... unless it is so many units wide, and would be seen by itself."""

MAX_LANES = 240
"""Lanes that are drawn; the picture says how many are not."""

HEIGHT = 600
"""Units that all lanes share, as far as :data:`THIN` and :data:`THICK` allow."""

THIN, THICK = 3.0, 16.0
"""Units of one lane at least and at most, with the space below it."""

ROOMY = 8
"""Units of a lane from which on the space below it is two of them, not one."""

IDLE = 0.1
"""The share of the busy time from which on an idle time is drawn as a break."""

GAPS = 8
"""Breaks that are drawn at most."""

BREAK = 28
"""Units that a break takes."""

AXIS = 24
"""Units below a picture, for the times."""

AREA = 120
"""Units that the picture of the activity is high."""

COLUMNS = 500
"""Times of which the activity is counted."""

MINUTE, HOUR, DAY = 60, 3600, 86400

TICKS: Sequence[float] = (
    *(1, 2, 5, 10, 15, 30),
    *(each * MINUTE for each in (1, 2, 5, 10, 15, 30)),
    *(each * HOUR for each in (1, 2, 4, 12)),
)
"""Seconds from one line of time to the next: round ones, up to half a day."""


@attrs.frozen
class Span:
    """One task in time, in seconds of whatever clock."""

    label: str
    """What the tooltip says first; escaped when it is drawn."""

    begin: float
    """When it was submitted."""

    start: float
    """When it began to run; as ``end``, if it never did."""

    end: float
    outcome: str
    """``"done"``, ``"failed"``, ``"unknown"`` or ``"open"``."""


@attrs.frozen
class TimeScale:
    """
    Seconds as units of the picture.

    Args:
        begin: what is at the left.
        end: what is at the right.
        gaps: times in which nothing happened, which take little room.
    """

    begin: float
    end: float
    gaps: Sequence[tuple[float, float]] = ()
    _times: Sequence[float] = attrs.field(init=False, repr=False)
    _places: Sequence[float] = attrs.field(init=False, repr=False)

    @property
    def length(self) -> float:
        """The seconds from one end to the other, without the gaps; never 0."""
        idle = sum(end - begin for begin, end in self.gaps)
        return max(self.end - self.begin - idle, 1e-3)

    @_times.default
    def _knots(self) -> Sequence[float]:
        inner = [time for gap in self.gaps for time in gap]
        return [self.begin, *inner, max(self.end, self.begin + 1e-3)]

    @_places.default
    def _widths(self) -> Sequence[float]:
        unit = (WIDTH - BREAK * len(self.gaps)) / self.length
        widths = [
            BREAK if number % 2 else (after - before) * unit
            for number, (before, after) in enumerate(pairwise(self._times))
        ]
        return [0.0, *accumulate(widths)]

    def x(self, time: float) -> float:
        """Return the place of a time."""
        left = bisect_right(self._times, time, 1, len(self._times) - 1) - 1
        since, until = self._times[left : left + 2]
        place, after = self._places[left : left + 2]
        share = (time - since) / max(until - since, 1e-9)
        return place + share * (after - place)

    def ticks(self) -> Iterator[tuple[float, float]]:
        """Yield about ten times, and how long they are after a begin or a gap."""
        step = self.step()
        for since, until in zip(self._times[::2], self._times[1::2], strict=True):
            for number in range(int((until - since) / step) + 1):
                yield since + number * step, number * step

    def step(self) -> float:
        """Return the seconds from tick to tick, a round number."""
        least = self.length / 10
        if least < 1:
            power = 10.0 ** math.floor(math.log10(least))
            return next(power * n for n in (1, 2, 5, 10) if power * n >= least)
        days = math.ceil(least / DAY) * DAY
        return next((tick for tick in TICKS if tick >= least), days)


@attrs.frozen
class Lanes:
    """Spans side by side: in one lane, none overlaps the next."""

    scale: TimeScale
    rows: Sequence[Sequence[Span]]

    @property
    def size(self) -> int:
        """How many spans there are."""
        return sum(len(row) for row in self.rows)


def lay_out(spans: Iterable[Span]) -> Lanes:
    """Give each span the first lane that is free when it begins."""
    ordered = sorted(spans, key=lambda span: (span.begin, span.end))
    rows: list[list[Span]] = []
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    for span in ordered:
        while busy and busy[0][0] <= span.begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(rows)
        if lane == len(rows):
            rows.append([])
        rows[lane].append(span)
        # What took no time is given a moment, so that no two share a place.
        heapq.heappush(
            busy, (max(span.end, math.nextafter(span.begin, math.inf)), lane)
        )
    begin = ordered[0].begin if ordered else 0.0
    end = max((span.end for span in ordered), default=0.0)
    return Lanes(TimeScale(begin, end, find_gaps(ordered)), rows)


def find_gaps(ordered: Iterable[Span]) -> list[tuple[float, float]]:
    """Find the long times between spans in which nothing was under way."""
    gaps: list[tuple[float, float]] = []
    busy, since, until = 0.0, math.nan, -math.inf
    for span in ordered:
        if span.begin > until:
            if until > -math.inf:
                gaps.append((until, span.begin))
                busy += until - since
            since = span.begin
        until = max(until, span.end)
    busy += max(0.0, until - since)
    gaps = [(begin, end) for begin, end in gaps if end - begin > busy * IDLE]
    longest = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:GAPS]
    return sorted(longest)


# --- bars --------------------------------------------------------------------


def draw_lanes(lanes: Lanes) -> str:
    """Draw the bars: pale while waiting, full while running."""
    rows = lanes.rows[:MAX_LANES]
    pitch = max(THIN, min(THICK, HEIGHT / max(len(rows), 1)))
    height = pitch * len(rows)
    detailed = lanes.size <= DETAILED
    told = 0
    bars: list[str] = []
    for lane, row in enumerate(rows):
        pen = Pen(lanes.scale, lane * pitch, pitch - (1 if pitch < ROOMY else 2))
        # In a crowd only those are told from each other that went wrong.
        loud = [s for s in row if detailed or s.outcome in {"failed", "unknown"}]
        loud = loud if detailed else loud[: max(0, FAILURES - told)]
        told += len(loud)
        single = {id(span) for span in loud}
        bars.extend(pen.draw_crowd([s for s in row if id(s) not in single]))
        bars.extend(pen.draw(span) for span in loud)
    return frame("lanes", height, "".join([grid(lanes.scale, height), *bars]))


@attrs.frozen
class Pen:
    """Draws the bars of one lane."""

    scale: TimeScale
    top: float
    height: float

    def draw(self, span: Span) -> str:
        """Draw one span, with its tooltip."""
        waited, ran = span.begin < span.start, span.start < span.end
        if waited and not ran:
            parts = self.box(f"wait {span.outcome}", span.begin, span.start)
        else:
            parts = self.box("wait", span.begin, span.start) if waited else ""
            parts += self.box(span.outcome, span.start, span.end)
        return f"<g><title>{escape(describe(span))}</title>{parts}</g>"

    def box(self, kind: str, begin: float, end: float) -> str:
        """Draw a rectangle, wide enough to be seen."""
        x = self.scale.x(begin)
        width = max(self.scale.x(end) - x, 0.75)
        place = f'x="{number(x)}" y="{number(self.top)}"'
        size = f'width="{number(width)}" height="{number(self.height)}"'
        return f'<rect class="{escape(kind)}" {place} {size} rx="1"/>'

    def draw_crowd(self, spans: Sequence[Span]) -> Iterator[str]:
        """Draw many spans as one path for each kind."""
        waits = [(span.begin, span.start) for span in spans if span.begin < span.start]
        yield self.path("wait", waits)
        for kind in ("done", "open", "unknown", "failed"):
            runs = [(s.start, s.end) for s in spans if s.outcome == kind]
            yield self.path(kind, runs)

    def path(self, kind: str, times: Iterable[tuple[float, float]]) -> str:
        """Draw rectangles as one path; those too close to be told apart are one."""
        joined: list[list[float]] = []
        for begin, end in times:
            left, right = self.scale.x(begin), self.scale.x(end)
            near = joined and left - joined[-1][1] < NARROW
            if near and right - left < BROAD:
                joined[-1][1] = max(joined[-1][1], right)
            else:
                joined.append([left, max(right, left + NARROW)])
        top, height = number(self.top), number(self.height)
        strokes = "".join(
            f"M{number(left)} {top}h{number(right - left)}v{height}H{number(left)}z"
            for left, right in joined
        )
        return f'<path class="{kind}" d="{strokes}"/>' if strokes else ""


def describe(span: Span) -> str:
    """Say in a line what a span was."""
    ran = span.end - span.start
    waited = span.start - span.begin
    return (
        f"{span.label}: {span.outcome}, waited {say_seconds(waited)}, "
        f"ran {say_seconds(ran)}"
    )


# --- how many are under way --------------------------------------------------


def draw_activity(lanes: Lanes) -> str:
    """Draw how many spans waited and ran over time, one area on the other."""
    spans = [span for row in lanes.rows for span in row]
    running = count_over_time(lanes.scale, ((s.start, s.end) for s in spans))
    waiting = count_over_time(lanes.scale, ((s.begin, s.start) for s in spans))
    both = [ran + waited for ran, waited in zip(running, waiting, strict=True)]
    most = max(both, default=0.0) or 1.0
    areas = area("wait", both, running, most) + area("run", running, (), most)
    top = f'<text class="tick" x="4" y="11">{most:.0f} under way</text>'
    return frame("activity", AREA, grid(lanes.scale, AREA) + areas + top)


def count_over_time(
    scale: TimeScale, times: Iterable[tuple[float, float]]
) -> list[float]:
    """Return the mean number that overlapped each column of the picture."""
    steps = [0.0] * (COLUMNS + 1)
    edges = [0.0] * (COLUMNS + 1)
    for begin, end in times:
        left = scale.x(begin) / WIDTH * COLUMNS
        right = scale.x(end) / WIDTH * COLUMNS
        first, last = min(int(left), COLUMNS - 1), min(int(right), COLUMNS - 1)
        # A whole column from the first one to the last, less what is outside of it.
        steps[first] += 1
        steps[last + 1] -= 1
        edges[first] -= left - first
        edges[last] -= last + 1 - right
    counts = list(accumulate(steps))
    return [counts[n] + edges[n] for n in range(COLUMNS)]


def area(kind: str, upper: Sequence[float], lower: Sequence[float], most: float) -> str:
    """Draw the area between two lines; the lower one is by default the ground."""

    def place(column: int, value: float) -> str:
        x = column * WIDTH / COLUMNS
        return f"{number(x)} {number(AREA - value / most * (AREA - 14))}"

    line = [place(n, value) for n, value in enumerate(upper)]
    line.append(place(COLUMNS, upper[-1]))
    ground = lower or [0.0] * COLUMNS
    back = [place(COLUMNS, ground[-1])]
    back += [place(n, ground[n]) for n in range(COLUMNS - 1, -1, -1)]
    return f'<path class="{kind}" d="M{"L".join(line + back)}z"/>'


# --- axes --------------------------------------------------------------------


def frame(kind: str, height: float, inner: str) -> str:
    """Put a picture into its frame."""
    box = f"0 0 {WIDTH} {number(height + AXIS)}"
    return f'<svg class="{kind}" viewBox="{box}" role="img">{inner}</svg>'


def grid(scale: TimeScale, height: float) -> str:
    """Draw the lines of the round times, what they are, and the breaks."""
    drawn = [interruption(scale, gap, height) for gap in scale.gaps]
    free = 0.0
    for time, since in scale.ticks():
        x, text = scale.x(time), say_seconds(since)
        drawn.append(f'<path class="grid" d="M{number(x)} 0V{number(height + 4)}"/>')
        if x < free:
            continue
        free = x + 7 * len(text) + 8
        anchor = "start" if since == 0 else "end" if x > WIDTH - 24 else "middle"
        drawn.append(
            f'<text class="tick" x="{number(x)}" y="{number(height + 17)}" '
            f'text-anchor="{anchor}">{text}</text>'
        )
    return "".join(drawn)


def interruption(scale: TimeScale, gap: tuple[float, float], height: float) -> str:
    """Draw a break."""
    left, right = scale.x(gap[0]), scale.x(gap[1])
    middle, half = (left + right) / 2, height / 2
    idle = f"{say_seconds(gap[1] - gap[0])} later"
    return (
        f"<g><title>{idle}</title>"
        f'<rect class="gap" x="{number(left + 4)}" y="0" '
        f'width="{number(right - left - 8)}" height="{number(height)}"/>'
        f'<text class="tick" text-anchor="middle" transform="translate('
        f'{number(middle + 4)} {number(half)}) rotate(-90)">{idle}</text></g>'
    )


def number(value: float) -> str:
    """Write a number as short as it can be."""
    return f"{value:.1f}".removesuffix(".0")


def say_seconds(seconds: float) -> str:
    """Say a duration in the units that people use."""
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, HOUR // MINUTE)
    if hours:
        return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
