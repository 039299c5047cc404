"""Tests of the times that services write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.times import parse_time


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-23 15:16:38.000000",
        "2023-11-23T15:16:38Z",
        "2023-11-23T15:16:38",
        "2023-11-23T17:16:38+02:00",
    ],
)
def test_time_is_read_as_utc(text: str) -> None:
    """Every form that services use is read; UTC is implied."""
    assert datetime(2023, 11, 23, 15, 16, 38, tzinfo=UTC) == parse_time(text)


@pytest.mark.parametrize(
    "value", [None, 7, "", "soon", "0001-01-01T00:00:00+23:59", [], "2023-13-01"]
)
def test_what_is_no_time_is_none(value: Any) -> None:
    """A format that changed is left out, not an error."""
    assert parse_time(value) is None


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever a server writes, the answer is a time in UTC or None."""
    moment = parse_time(text)

    assert moment is None or moment.tzinfo is UTC
