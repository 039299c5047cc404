"""Points in time, as services write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any


__all__ = ["parse_time"]

LONGEST = 64
"""Characters of a time at most."""


def parse_time(value: Any) -> datetime | None:
    """
    Read ISO 8601, with ``T`` or a blank; without a zone it is taken as UTC.

    Returns:
        The moment (aware, UTC); None for what is no time: a format that changed must
        not end a wait.
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        return None
    return _read(value)


@lru_cache(maxsize=1024)  # most looks tell once more when a task was created
def _read(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
