"""What a client did so far."""

from __future__ import annotations

from asynctasks.counts import KNOWN, Counts


def test_last_ids_are_remembered() -> None:
    """A client that submits for ever does not grow."""
    counts = Counts()
    counts.known.extend(str(number) for number in range(KNOWN + 1))

    assert (KNOWN, "1") == (len(counts.known), counts.known[0])
    assert (0, 0) == (counts.submitted, counts.fetched)
