"""What a client did so far."""

from __future__ import annotations

from collections import deque

import attrs


__all__ = ["Counts"]

KNOWN = 10_000
"""Submitted tasks whose ids are remembered, to tell them from lost ones."""


@attrs.define(kw_only=True)
class Counts:
    """What was done, over all views of a client."""

    submitted: int = 0
    fetched: int = 0
    known: deque[str] = attrs.field(factory=lambda: deque(maxlen=KNOWN))
    """The ids of the tasks that were submitted last."""
