"""
What callers may give: checks whose errors name the value and what to give instead.

Types are hints; a number that came as text, or an option of the wrong kind, would do
nothing, or fail far from where it was given.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from numbers import Real
from typing import Any

from .exceptions import InvalidArgument


__all__ = [
    "check_call",
    "check_choice",
    "check_flag",
    "check_kind",
    "check_number",
    "check_rate",
    "check_seconds",
    "check_wait",
    "check_whole",
]


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is none of a few texts."""
    if value not in choices:
        raise InvalidArgument(name, value, f"choose {_alternatives(choices)}")


def _alternatives(choices: tuple[str, ...]) -> str:
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def check_kind(
    name: str, value: object, kind: type | tuple[type, ...], remedy: str
) -> None:
    """Refuse what is not of a class; *remedy* says what to give."""
    if not isinstance(value, kind):
        raise InvalidArgument(name, value, remedy)


def check_call(name: str, value: object, remedy: str) -> None:
    """Refuse what cannot be called; *remedy* says what to give."""
    if not callable(value):
        raise InvalidArgument(name, value, remedy)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither true nor false: the text "no" would count as true."""
    check_kind(name, value, bool, "give True or False")


def check_seconds(name: str, value: object) -> float:
    """Return a finite number of seconds above 0."""
    remedy = "must be a finite number of seconds above 0"
    return check_number(name, value, lambda seconds: 0 < seconds < math.inf, remedy)


def check_wait(name: str, value: object) -> float:
    """Return a number of seconds to wait, which may be 0 or without end."""
    remedy = "give a number of seconds, 0 or more"
    return check_number(name, value, lambda seconds: seconds >= 0, remedy)


def check_rate(name: str, value: object) -> float:
    """Return a number of things a second above 0, which may be without a limit."""
    remedy = "must be a number above 0, a second"
    return check_number(name, value, lambda rate: rate > 0, remedy)


def check_number(
    name: str, value: Any, fits: Callable[[float], bool], remedy: str
) -> float:
    """Return a number that fits; *remedy* says which do. Not a number never does."""
    # A bool is a number to Python, but never what was meant.
    real = isinstance(value, Real) and not isinstance(value, bool)
    try:
        number = float(value) if real else math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.nan
    if not fits(number):
        raise InvalidArgument(name, value, remedy)
    return number


def check_whole(name: str, value: Any) -> int:
    """Return a whole number, 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgument(name, value, "must be a whole number, 1 or more")
    return value
