"""Bars in lanes, and how many are under way."""

from __future__ import annotations

from itertools import pairwise
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.timeline import (
    BREAK,
    DETAILED,
    FAILURES,
    GAPS,
    MAX_LANES,
    Span,
    TimeScale,
    count_over_time,
    draw_activity,
    draw_lanes,
    lay_out,
    say_seconds,
)


def span(begin: float, end: float, outcome: str = "done", label: str = "x") -> Span:
    """Make a span that ran half of its time."""
    return Span(label, begin, (begin + end) / 2, end, outcome)


TIMES = st.tuples(st.floats(0, 100), st.floats(0, 10))


@given(st.lists(TIMES, max_size=30))
def test_no_two_spans_of_a_lane_overlap(times: list[tuple[float, float]]) -> None:
    """Every span has a place, and none of a lane begins before the last one ended."""
    spans = [span(begin, begin + length) for begin, length in times]
    lanes = lay_out(spans)

    assert sorted(map(id, spans)) == sorted(id(s) for row in lanes.rows for s in row)
    assert all(
        before.end <= after.begin
        for row in lanes.rows
        for before, after in pairwise(row)
    )


def test_there_are_as_many_lanes_as_spans_at_a_time() -> None:
    """A lane is used again as soon as it is free."""
    lanes = lay_out([span(n, n + 3) for n in range(30)])

    assert (3, 30) == (len(lanes.rows), lanes.size)


def test_nothing_is_drawn_of_nothing() -> None:
    """A picture without spans is one all the same."""
    lanes = lay_out([])

    assert "<rect" not in draw_lanes(lanes)
    assert "svg" == ET.fromstring(draw_activity(lanes)).tag


def test_labels_are_escaped() -> None:
    """What a service says cannot leave its tooltip."""
    picture = draw_lanes(lay_out([span(0, 1, label="</title><script>&")]))

    assert "<script>" not in picture
    assert "</title><script>&: done" in (ET.fromstring(picture).findtext(".//title"))


def test_waiting_and_running_are_told_apart() -> None:
    """A span is pale until it runs, and has the color of its outcome then."""
    picture = ET.fromstring(draw_lanes(lay_out([span(0, 10, "failed")])))
    boxes = {r.get("class"): (r.get("x"), r.get("width")) for r in picture.iter("rect")}

    assert {"failed": ("500", "500"), "wait": ("0", "500")} == boxes


def test_a_span_that_never_ran_shows_how_it_ended() -> None:
    """One that ended while it waited has both."""
    picture = draw_lanes(lay_out([Span("x", 0, 10, 10, "failed")]))

    assert 'class="wait failed"' in picture


def test_a_crowd_is_drawn_in_a_few_elements() -> None:
    """Many spans are paths; those that failed have tooltips, up to a number."""
    outcomes = ["done", "done", "failed"] * DETAILED
    lanes = lay_out(span(n, n + 1, outcome) for n, outcome in enumerate(outcomes))
    picture = draw_lanes(lanes)

    assert FAILURES == picture.count("<title>")
    assert len(picture) < 200_000


def test_lanes_beyond_what_can_be_seen_are_left_out() -> None:
    """The picture has a greatest height."""
    picture = draw_lanes(lay_out(span(0, 1) for _ in range(MAX_LANES + 50)))
    box = re.search(r'viewBox="0 0 1000 (\d+)"', picture)

    assert MAX_LANES == picture.count("<title>")
    assert box is not None
    assert int(box[1]) < 1000


@given(st.lists(TIMES, min_size=1, max_size=20))
def test_counts_keep_the_time(times: list[tuple[float, float]]) -> None:
    """The mean counts of all columns are the seconds of all spans."""
    scale = TimeScale(0, 110)
    pairs = [(begin, begin + length) for begin, length in times]
    counts = count_over_time(scale, pairs)
    seconds = sum(counts) * scale.length / len(counts)

    assert seconds == pytest.approx(sum(end - begin for begin, end in pairs), abs=1e-6)
    assert min(counts) > -1e-6


@pytest.mark.parametrize(
    ("length", "ticks"),
    [
        (0, 11),
        (0.31, 7),
        (1, 11),
        (28, 6),
        (3600, 7),
        (40 * 3600, 11),
        (30 * 86400, 11),
    ],
)
def test_ticks_are_round_and_few(length: float, ticks: int) -> None:
    """There are about ten ticks whatever the length."""
    assert ticks == len(list(TimeScale(5, 5 + length).ticks()))


def test_a_long_break_takes_little_room() -> None:
    """A batch that was resumed the next day can still be seen."""
    lanes = lay_out([span(0, 10), span(86400, 86410), span(86411, 86420)])
    scale = lanes.scale

    assert [(10, 86400)] == scale.gaps
    assert (30, 0, 1000) == (scale.length, scale.x(0), scale.x(86420))
    assert pytest.approx(BREAK) == scale.x(86400) - scale.x(10)
    assert ">23 h 59 min later<" in draw_lanes(lanes)


def test_time_starts_again_after_a_break() -> None:
    """Ticks tell the time since the last break."""
    scale = lay_out([span(0, 10), span(1000, 1005)]).scale

    assert [0, 2, 4, 6, 8, 10, 0, 2, 4] == [since for _, since in scale.ticks()]


def test_only_the_longest_breaks_are_drawn() -> None:
    """A batch that was interrupted all the time has a picture, too."""
    spans = [span(n * n * 100, n * n * 100 + 1) for n in range(20)]

    assert GAPS == len(lay_out(spans).scale.gaps)


@given(st.lists(TIMES, min_size=1, max_size=20))
def test_scale_keeps_the_order(times: list[tuple[float, float]]) -> None:
    """Whatever the gaps, earlier is further left, and all is in the picture."""
    lanes = lay_out(span(begin * 50, begin * 50 + length) for begin, length in times)
    points = sorted(t for row in lanes.rows for s in row for t in (s.begin, s.end))
    places = [lanes.scale.x(time) for time in points]

    assert places == pytest.approx(sorted(places))
    assert -1e-6 < min(places) <= max(places) < 1000 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.1234, "0.123 s"),
        (60, "1 min"),
        (61.2, "1 min 01 s"),
        (7200, "2 h"),
        (7260, "2 h 01 min"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    """The unit fits the number."""
    assert said == say_seconds(seconds)
