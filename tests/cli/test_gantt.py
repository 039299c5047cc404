"""Schedules as text."""

from __future__ import annotations

import re

import pytest

from asynctasks.cli.gantt import Bar, parse_bars, render_gantt


BAKERY = [
    Bar("rye", "oven-1", 0, 8),
    Bar("bagels", "oven-1", 8, 9),
    Bar("naan", "oven-1", 30, 10),
    Bar("brioche", "oven-2", 5, 15),
    Bar("stollen", "oven-2", 20, 20),
]
SGR = re.compile(r"\x1b\[[\d;]*m")


def draw(rows: list[Bar], width: int = 52, *, ascii_only: bool = False) -> list[str]:
    """Draw without colors, and split into lines."""
    text = render_gantt(rows, width=width, color=False, ascii_only=ascii_only)
    return text.split("\n")


def test_chart_is_drawn() -> None:
    """Machines are lines, activities are bars, and the axis fits both."""
    assert [
        "oven-1 │▌rye░░░░▌bagels░░              ▌naan░░░░░",
        "oven-2 │     ▌brioche░░░░░░░▌stollen░░░░░░░░░░░░░",
        "       └┬─────────┬─────────┬──────────┬─────────┬",
        "        0         10        20         30       40",
    ] == draw(BAKERY, 50)


def test_chart_is_drawn_without_block_characters() -> None:
    """An encoding that has none gets plain characters."""
    assert [
        "oven-1 ||rye====|bagels==              |naan=====",
        "oven-2 |     |brioche=======|stollen=============",
        "       ++---------+---------+----------+---------+",
        "        0         10        20         30       40",
    ] == draw(BAKERY, 50, ascii_only=True)


def test_colors_change_no_column() -> None:
    """A chart with colors has its bars where the plain one has them."""
    text = render_gantt(BAKERY, width=50, color=True)
    plain = SGR.sub("", text).split("\n")

    assert 5 == text.count("\x1b[0m")
    assert "oven-1 │ rye     bagels                 naan" == plain[0].rstrip()
    assert draw(BAKERY, 50)[2:] == plain[2:]


@pytest.mark.parametrize("width", [30, 40, 61, 80, 133])
def test_lines_fit_the_terminal(width: int) -> None:
    """No line is wider than the terminal, and the axis fills it but for one column."""
    lengths = [len(line) for line in draw(BAKERY, width)]

    assert width >= max(lengths)
    assert width - 1 <= lengths[-2]


def test_long_labels_are_cut() -> None:
    """A name that does not fit its bar is cut, or left out when little remains."""
    rows = [
        Bar("pumpernickel", "a", 0, 9),
        Bar("rye", "a", 9, 3),
        Bar("bun", "a", 12, 18),
    ]

    assert "a │▌pumpern…▌░░▌bun░░░░░░░░░░░░░░" == draw(rows, 34)[0]


def test_bars_below_one_column_are_left_out() -> None:
    """What is too short to be seen does not push its neighbours."""
    rows = [Bar("blink", "a", 0, 0.1), Bar("long", "a", 0.1, 99.9)]

    assert draw([Bar("long", "a", 0, 100)])[0] == draw(rows)[0]


def test_names_cannot_steer_the_terminal() -> None:
    """Control characters of names are shown, not obeyed."""
    text = render_gantt([Bar("\x1b[2J", "m\n\u202e", 0, 9)], width=60, color=False)

    assert 3 == len(text.split("\n"))
    assert "m\\n\\u202e │▌\\x1b[2J░" in text


def test_wide_names_are_measured() -> None:
    """Characters of two cells move nothing; those of none neither."""
    rows = [Bar("食パン", "炉", 0, 5), Bar("cre\u0302pe", "b", 0, 5)]
    lines = draw(rows, 24)

    assert ["b  │▌cre\u0302pe" + "░" * 13, "炉 │▌食パン" + "░" * 12] == lines[:2]


def test_wide_names_are_escaped_without_block_characters() -> None:
    """Names keep to the encoding, too."""
    text = render_gantt([Bar("食", "b", 0, 5)], width=40, color=False, ascii_only=True)

    assert text.isascii()
    assert "|\\u98df=" in text


def test_machines_are_sorted_as_people_count() -> None:
    """The tenth machine comes after the ninth."""
    rows = [Bar("x", f"res-{number}", 0, 1) for number in (10, 9, 1)]
    names = [line.split()[0] for line in draw(rows)[:3]]

    assert ["res-1", "res-9", "res-10"] == names


def test_fractions_have_an_axis() -> None:
    """Times need not be whole numbers."""
    times = draw([Bar("x", "a", 0, 0.7)], 40)[-1].split()

    assert ["0", "0.2", "0.4", "0.7"] == times


def test_empty_schedule_is_empty() -> None:
    """Nothing to draw is no text."""
    assert "" == render_gantt([], width=80, color=True)


def test_zero_time_is_drawn() -> None:
    """A schedule that takes no time is an empty chart."""
    assert "a │" == draw([Bar("x", "a", 0, 0)])[0]


def test_answer_is_joined_with_inputs() -> None:
    """Durations come from the inputs; a start that is left out is 0."""
    inputs = {"activities": [{"act": "a", "processTime": 3}]}
    answer = {"solution": [{"act": "a", "resource": "res-1"}]}

    assert [Bar("a", "res-1", 0, 3)] == parse_bars(inputs, answer)
