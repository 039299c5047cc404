"""
A schedule as a chart of text: one line per machine, and one axis for all.

::

    oven-1 │▌rye░░░░░░░▌bagels░░         ▌naan░░░
    oven-2 │     ▌brioche░░░░░░░░░▌stollen░░░░░░░
           └┬────────┬────────┬────────┬────────┬
            0        5        10       15      20
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
import math
import re
from typing import Any
import unicodedata

from attrs import frozen


__all__ = ["Bar", "parse_bars", "render_gantt"]

COLORS = (117, 223, 157, 183, 216, 159)
"""Backgrounds of neighbouring bars: pale ones of the 256 colors of terminals."""

MIN_COLUMNS = 12
"""A chart narrower than that says nothing; a smaller width is overrun."""

MIN_LABEL = 3
"""The least cells in which a cut label still tells something."""

TICK_COLUMNS = 8
"""The least distance between two ticks of the axis."""


@frozen
class Bar:
    """One activity on one machine."""

    activity: str
    machine: str
    start: float
    duration: float

    @property
    def end(self) -> float:
        """When it is over."""
        return self.start + self.duration


@frozen
class Pens:
    """The characters that a chart is drawn with."""

    edge: str = "▌"
    fill: str = "░"
    cut: str = "…"
    wall: str = "│"
    corner: str = "└"
    line: str = "─"
    tick: str = "┬"


BLOCKS = Pens()
ASCII = Pens(edge="|", fill="=", cut="~", wall="|", corner="+", line="-", tick="+")


def parse_bars(inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> list[Bar]:
    """
    Join the inputs and the answer of ``equalParallelMachineTimeIndexedMIP``.

    Raises:
        KeyError: they are not of that service, or not of each other.
    """
    durations = {row["act"]: row["processTime"] for row in inputs["activities"]}
    return [
        Bar(row["act"], row["resource"], row.get("start", 0), durations[row["act"]])
        for row in answer["solution"]
    ]


def render_gantt(
    rows: Sequence[Bar], *, width: int, color: bool, ascii_only: bool = False
) -> str:
    """
    Draw a schedule; return lines without a line end after the last.

    Args:
        rows: the bars, which must not overlap on one machine.
        width: columns of the terminal.
        color: whether to use its colors.
        ascii_only: whether its encoding has no block characters.
    """
    if not rows:
        return ""
    pens = ASCII if ascii_only else BLOCKS
    machines = sorted({row.machine for row in rows}, key=natural)
    names = [fit(plain(name, ascii_only), width // 3, pens) for name in machines]
    margin = max(cells(name) for name in names)
    columns = max(width - margin - 2, MIN_COLUMNS)
    scale = Scale(max(row.end for row in rows), columns)
    lines = []
    for machine, name in zip(machines, names, strict=True):
        bars = sorted(
            (row for row in rows if row.machine == machine), key=lambda row: row.start
        )
        painted = paint(bars, scale, pens, color=color, ascii_only=ascii_only)
        lines.append(pad(name, margin, " ") + f" {pens.wall}{painted}".rstrip())
    return "\n".join([*lines, *axis(scale, margin, pens)])


class Scale:
    """Time as columns: from 0 to *end*, with a tick in the last one."""

    def __init__(self, end: float, columns: int) -> None:
        self.end = end or 1
        self.columns = columns

    def column(self, time: float) -> int:
        """Return the column in which that time falls."""
        return round(time / self.end * (self.columns - 1))

    def ticks(self) -> list[float]:
        """Return round times before the end, not too close to each other."""
        least = self.end * TICK_COLUMNS / self.columns
        power = 10.0 ** math.floor(math.log10(least))
        step = next(power * n for n in (1, 2, 5, 10) if power * n >= least)
        return [step * number for number in range(math.ceil(self.end / step))]


def paint(
    bars: Sequence[Bar], scale: Scale, pens: Pens, *, color: bool, ascii_only: bool
) -> str:
    """Draw the bars of one machine."""
    line, column = "", 0
    for bar, shade in zip(bars, cycle(COLORS), strict=False):
        begin = max(scale.column(bar.start), column)
        room = scale.column(bar.end) - begin
        if room < 1:
            continue
        text = fit(plain(bar.activity, ascii_only), room - 1, pens)
        line += " " * (begin - column)
        if color:
            line += f"\x1b[30;48;5;{shade}m" + pad(f" {text}", room, " ") + "\x1b[0m"
        else:
            line += pad(pens.edge + text, room, pens.fill)
        column = begin + room
    return line


def axis(scale: Scale, margin: int, pens: Pens) -> list[str]:
    """Draw the line of ticks, and their times below."""
    line, times = [pens.line] * scale.columns, ""
    line[-1], last = pens.tick, f"{scale.end:g}"
    # The last time ends below its tick: it would not fit behind.
    place = scale.columns - len(last)
    for tick in scale.ticks():
        column, text = scale.column(tick), f"{tick:g}"
        if column + len(text) < place:
            line[column] = pens.tick
            times = times.ljust(column) + text
    indent = " " * (margin + 1)
    return [
        indent + pens.corner + "".join(line),
        f"{indent} {times.ljust(place)}{last}",
    ]


def fit(text: str, room: int, pens: Pens) -> str:
    """Cut a text to so many cells; leave it out where it would not be understood."""
    if cells(text) <= room:
        return text
    if room < MIN_LABEL:
        return ""
    while cells(text) > room - 1:
        text = text[:-1]
    return text + pens.cut


def pad(text: str, room: int, fill: str) -> str:
    """Fill a text up to so many cells."""
    return text + fill * (room - cells(text))


def cells(text: str) -> int:
    """Count the cells of a terminal that a printable text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)


def plain(text: str, ascii_only: bool) -> str:  # noqa: FBT001 - it is passed on
    """Escape what would steer the terminal, or what its encoding does not have."""
    return "".join(
        char
        if char.isprintable() and (char.isascii() or not ascii_only)
        else ascii(char)[1:-1]
        for char in text
    )


def natural(name: str) -> list[tuple[int, str]]:
    """Sort res-10 behind res-9."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", name)
    ]
