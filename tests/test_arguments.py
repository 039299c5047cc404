"""What callers may give, and what the errors say."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
import math
from typing import Any

import pytest

from asynctasks.arguments import (
    check_call,
    check_choice,
    check_flag,
    check_kind,
    check_rate,
    check_seconds,
    check_wait,
    check_whole,
)
from asynctasks.exceptions import InvalidArgument


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (check_seconds, (0.1, 3, Fraction(1, 2)), (0, -1, math.inf)),
        (check_wait, (0, 0.1, math.inf), (-0.1, -math.inf)),
        (check_rate, (0.1, 3, math.inf), (0, -1)),
    ],
    ids=["seconds", "wait", "rate"],
)
def test_numbers(
    check: Callable[[str, Any], float], good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    """A number in its bounds comes back as a float; all else is refused by name."""
    assert [float(value) for value in good] == [check("x", value) for value in good]
    for value in (*bad, math.nan, 10**400, True, "5", None, [], 1j, Decimal(5)):
        with pytest.raises(InvalidArgument, match=r"^x=.*: (must be|give) a .*number"):
            check("x", value)


def test_whole_numbers() -> None:
    """Things can be counted from one."""
    assert 3 == check_whole("x", 3)
    for value in (0, -1, 1.5, True, "3", None):
        with pytest.raises(InvalidArgument, match=r"^x=.*: must be a whole number, 1"):
            check_whole("x", value)


@pytest.mark.parametrize(
    ("choices", "remedy"),
    [
        (("a",), "choose a$"),
        (("a", "b"), "choose a or b"),
        (("a", "b", "c"), "a, b or"),
    ],
    ids=["one", "two", "three"],
)
def test_choices(choices: tuple[str, ...], remedy: str) -> None:
    """The error lists what there is to choose from."""
    check_choice("x", "a", choices)
    for value in ("z", "A", None, ["a"]):
        with pytest.raises(InvalidArgument, match=f"^x=.*: .*{remedy}"):
            check_choice("x", value, choices)


def test_kinds() -> None:
    """What is of another class, or cannot be called, is answered with the remedy."""
    check_kind("x", 3, (int, str), "give one")
    check_call("x", len, "give one")
    check_flag("x", value=False)
    with pytest.raises(InvalidArgument, match=r"^x=3.5: give one$"):
        check_kind("x", 3.5, (int, str), "give one")
    with pytest.raises(InvalidArgument, match=r"^x='len': give one$"):
        check_call("x", "len", "give one")
    with pytest.raises(InvalidArgument, match=r"^x='no': give True or False$"):
        check_flag("x", "no")
