"""Events and subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.events import (
    LONGEST,
    SOONEST,
    Event,
    Pending,
    Reliability,
    Subscription,
    describe,
    path_of,
    unsubscribed,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/topics/a/b", "/topics/a/b/publish"),
        ("/topics/a/b/publish", "/topics/a/b/publish"),
        ("/sources/S", "/sources/S/receive"),
        ("/types/T/insert", "/types/T/insert"),
        ("/services/p.q.S/E", "/topics/p.q/services/S/E/publish"),
        ("/services/S/E", "/topics/services/S/E/publish"),
        ("/services/S", "/services/S"),
        ("junk", "junk"),
    ],
)
def test_path(path: str, expected: str) -> None:
    """What is subscribed to has the path of its events."""
    assert expected == path_of(path)


@pytest.mark.parametrize(
    ("path", "event", "expected"),
    [
        ("/topics/a", Event("/topics/a/publish", 1, "ns"), True),
        ("/topics/a", Event("/topics/a/b/publish", 1, "ns"), False),
        ("/topics/a", Event("/topics/a/publish", 1, "other"), False),
        ("/types/T/insert", Event("/types/T/insert/key", 1, "ns"), True),
        ("/types/T/insert/key", Event("/types/T/insert/key", 1, "ns"), True),
        ("/types/T/insert", Event("/types/Two/insert/key", 1, "ns"), False),
    ],
)
def test_wants(path: str, event: Event, expected: bool) -> None:
    """A subscription wants the events at its path in its namespace."""
    assert expected is Subscription(path, "ns", "joe").wants(event)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "REMOTE", "x": 1}, True),
        ({"type": "MQTT"}, False),
        ({}, False),
        ("REMOTE", False),
    ],
)
def test_filter(value: Any, expected: bool) -> None:
    """A filtered event is an object with the wanted values."""
    wanted = Subscription("/topics/a", "ns", "joe", event_filter={"type": "REMOTE"})

    assert expected is wanted.wants(Event("/topics/a/publish", value, "ns"))


def test_frame() -> None:
    """A frame names the request, if the client named it."""
    named = Subscription("/topics/a", "ns", "joe", "id").frame(100, {})
    nameless = Subscription("/topics/a", "ns", "joe").frame(100, {})

    assert {"X-Request-Id": "id"} == named["headers"]
    assert {
        "status": 100,
        "contentType": "application/json",
        "headers": {},
        "body": {},
    } == nameless


def test_bodies() -> None:
    """Clients are told of events, and of the end of their subscriptions."""
    subscription = Subscription("/topics/a", "ns", "joe", name="sub")
    event = Event("/topics/a/publish", 1, "ns")

    assert describe(event, subscription) == {
        "path": "/topics/a/publish",
        "value": 1,
        "namespace": "ns",
        "username": "joe",
    }
    assert unsubscribed(subscription) == {
        "op": "unsubscribe",
        "path": "/topics/a",
        "namespace": "ns",
        "subscriptionName": "sub",
    }
    assert "subscriptionName" not in unsubscribed(Subscription("/topics/a", "n", "j"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (None, None),
        ({"isReliable": False}, None),
        ({"isReliable": True}, Reliability(30.0, 3600.0)),
        (
            {"isReliable": True, "redeliveryFrequency": 5, "redeliveryTTL": 100},
            Reliability(5.0, 100.0),
        ),
        (
            {"isReliable": True, "redeliveryFrequency": 1e-9, "redeliveryTTL": 10**400},
            Reliability(SOONEST, LONGEST),
        ),
        (
            {"isReliable": True, "redeliveryFrequency": "x", "redeliveryTTL": -1},
            Reliability(30.0, 3600.0),
        ),
    ],
)
def test_reliability(row: Any, expected: Reliability | None) -> None:
    """Definitions say how often and how long an event comes again."""
    assert expected == Reliability.of(row)


def test_sequence() -> None:
    """A pending event is known by its number."""
    assert 7 == Pending({"sequenceId": 7}, 0.0, 1.0, 1.0).sequence
