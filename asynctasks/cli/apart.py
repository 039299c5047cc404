"""Files that a command names: none of them is written over another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from ..exceptions import InvalidArgument


__all__ = ["keep_apart"]

NO_FILE = frozenset({"-", None})
"""Stdin or stdout, and what was not named."""


def keep_apart(files: Mapping[str, str | None]) -> None:
    """
    Refuse names that mean the same file, also through links.

    Args:
        files: by what they are on the command line; what is read comes first.

    Raises:
        InvalidArgument: two of them are the same.
    """
    for (first, one), (second, other) in combinations(files.items(), 2):
        if one in NO_FILE or other in NO_FILE:
            continue
        if is_same(Path(str(one)), Path(str(other))):
            remedy = f"is the file of {first}, too; name another"
            raise InvalidArgument(second, str(other), remedy)


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two names mean one file, which need not be there."""
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()
