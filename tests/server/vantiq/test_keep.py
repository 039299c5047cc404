"""What is kept over a restart."""

from __future__ import annotations

from asynctasks.server.live import Item
from asynctasks.server.vantiq.events import Pending
from asynctasks.server.vantiq.keep import Keep, parse_items


def test_round_trip() -> None:
    """What is noted is read again."""
    keep = Keep()
    keep.storing = True
    keep.row("my ns", "T", "1", {"_id": "1"})
    keep.content("ns", "system.documents", "a b", b"\xff")
    keep.pending("ns", "sub", 7, Pending({"sequenceId": 7}, 1.0, 2.0, 3.0))
    keep.sequence("ns", "/topics/a/publish", 7)

    assert parse_items(keep.take()) == {
        ("my ns", "T"): {"1": {"_id": "1"}},
        ("ns", ".content:system.documents"): {"a b": b"\xff"},
        ("ns", ".pending"): {
            "sub 7": {
                "body": {"sequenceId": 7},
                "due": 1.0,
                "expires": 2.0,
                "frequency": 3.0,
                "sent": False,
            }
        },
        ("ns", ".sequence"): {"/topics/a/publish": 7},
    }
    assert [] == keep.take()


def test_last_change() -> None:
    """Of several changes the last one counts; what is gone is an item without value."""
    keep = Keep()
    keep.storing = True
    keep.row("ns", "T", "1", {"x": 1})
    keep.row("ns", "T", "2", {"x": 2})
    keep.row("ns", "T", "1", None)
    keep.pending("ns", "sub", 7, None)

    assert [
        Item("vantiq T ns", "2", b'{"x":2}'),
        Item("vantiq T ns", "1", None),
        Item("vantiq .pending ns", "sub 7", None),
    ] == keep.take()


def test_nobody_stores() -> None:
    """Nothing is collected that nobody stores."""
    keep = Keep()
    keep.row("ns", "T", "1", {})
    keep.content("ns", "system.documents", "a", b"")

    assert [] == keep.take()


def test_foreign_items() -> None:
    """Items of others, and what is gone, are left alone."""
    items = [Item("oml T ns", "1", b"{}"), Item("vantiq T ns", "1", None)]

    assert {} == parse_items(items)
