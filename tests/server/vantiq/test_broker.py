"""Bringing events to subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq import broker
from asynctasks.server.vantiq.broker import Broker
from asynctasks.server.vantiq.events import Event, Reliability, Subscription
from asynctasks.server.vantiq.refusals import Refused


RELIABLE = Reliability(frequency=2.0, ttl=10.0)


class Desk:
    """A broker, a client, and what each heard."""

    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.frames: list[Any] = []
        self.broker = Broker(lambda s, n, p: self.noted.append((s.name, n, p is None)))

    def deliver(self, frame: Any) -> None:
        self.frames.append(frame)

    def subscribe(self, path: str = "/topics/a", **facts: Any) -> Subscription:
        subscription = Subscription(path, "ns", "joe", deliver=self.deliver, **facts)
        self.broker.subscriptions.append(subscription)
        return subscription

    def emit(self, value: Any, now: float = 0.0, **facts: Any) -> None:
        event = Event("/topics/a/publish", value, "ns")
        self.broker.emit(event, now, **facts)

    def heard(self) -> list[Any]:
        frames, self.frames = self.frames, []
        return [
            (frame["body"]["value"], frame["body"].get("redelivered"))
            for frame in frames
        ]


def test_emit() -> None:
    """An event is brought to all who want it, as it is."""
    desk = Desk()
    desk.subscribe()
    desk.subscribe()
    desk.subscribe("/topics/b")
    desk.emit(1)

    assert [(1, None), (1, None)] == desk.heard()
    assert desk.broker.next_wakeup() is None


def test_reliable_for_transient() -> None:
    """Who does not acknowledge gets a reliable event once."""
    desk = Desk()
    desk.subscribe()
    desk.emit(1, reliability=RELIABLE, sequence=1)

    assert ([(1, None)], []) == (desk.heard(), desk.noted)


def test_redelivery() -> None:
    """What is not acknowledged comes again, between once and twice the frequency."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    desk.emit("x", 100.0, reliability=RELIABLE, sequence=7)
    first = dict(desk.frames[0]["body"])
    found = [desk.heard()]
    for now in (101.9, 103.0, 104.0, 106.0):
        desk.broker.advance(now)
        found.append(desk.heard())

    assert {"partitionId": 0, "sequenceId": 7, "createdAt": 100_000}.items() <= (
        first.items()
    )
    assert [[("x", False)], [], [("x", True)], [], [("x", True)]] == found
    assert 109.0 == desk.broker.next_wakeup()
    assert [True, False] == [desk.broker.acknowledge(subscription, 7) for _ in range(2)]
    assert desk.broker.next_wakeup() is None
    assert [("sub", 7, False), ("sub", 7, True)] == desk.noted


def test_pending_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a client that acknowledges nothing, the oldest events give way."""
    monkeypatch.setattr(broker, "MOST_PENDING", 2)
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    for number in (1, 2, 3):
        desk.emit("x", 100.0, reliability=RELIABLE, sequence=number)

    assert [2, 3] == list(subscription.pending)
    assert ("sub", 1, True) in desk.noted


def test_client_that_comes_and_goes() -> None:
    """When a client goes its events wait for their end; when it is back, for it."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    desk.emit("x", 100.0, reliability=RELIABLE, sequence=1)
    found = [desk.broker.next_wakeup()]
    desk.broker.detach(desk.deliver)
    found.append(desk.broker.next_wakeup())
    desk.broker.attach(subscription, desk.deliver, 105.0)
    found.append(desk.broker.next_wakeup())

    assert [103.0, 110.0, 108.0] == found


def test_time_to_live() -> None:
    """What is too old is let go, as if it were acknowledged."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    desk.emit("x", 0.0, reliability=Reliability(100.0, 10.0), sequence=1)

    assert 10.0 == desk.broker.next_wakeup()
    desk.broker.advance(10.0)
    assert ({}, ("sub", 1, True)) == (subscription.pending, desk.noted[-1])


def test_resume() -> None:
    """Events wait for a client that is away, and those it did not see are new."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    transient = desk.subscribe()
    desk.emit(1, reliability=RELIABLE, sequence=1)
    desk.heard()
    desk.broker.detach(desk.deliver)
    desk.emit(2, reliability=RELIABLE, sequence=2)
    desk.broker.advance(5.0)

    assert ([], 10.0) == (desk.heard(), desk.broker.next_wakeup())
    desk.broker.attach(subscription, desk.deliver, 6.0)
    assert [(1, True), (2, False)] == desk.heard()
    assert transient not in desk.broker.subscriptions


def test_detach_of_another() -> None:
    """A client that goes takes its own subscriptions only."""
    desk = Desk()
    subscription = desk.subscribe()
    desk.broker.detach(lambda _: None)

    assert [subscription] == desk.broker.subscriptions


def test_named() -> None:
    """A persistent subscription is found by its name, in its namespace."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")

    assert subscription is desk.broker.named("sub", "ns")
    for name, namespace in [("sub", "other"), ("none", "ns")]:
        with pytest.raises(Refused):
            desk.broker.named(name, namespace)


def test_remove() -> None:
    """A subscription that is removed waits for nothing."""
    desk = Desk()
    subscription = desk.subscribe(name="sub")
    desk.emit(1, reliability=RELIABLE, sequence=1)
    desk.broker.remove(subscription)

    assert ([], ("sub", 1, True)) == (desk.broker.subscriptions, desk.noted[-1])


def test_select() -> None:
    """Subscriptions are found at and below a path."""
    desk = Desk()
    for path in ("/types/T/insert", "/types/T/update", "/types/Two/insert"):
        desk.subscribe(path)

    assert ["/types/T/insert", "/types/T/update"] == [
        each.path for each in desk.broker.select("/types/T", "ns")
    ]
    assert [] == desk.broker.select("/types/T", "other")


def test_drop() -> None:
    """A dropped event is lost; a reliable one comes again."""
    desk = Desk()
    desk.subscribe(name="sub")
    desk.broker.drop_next = 2
    desk.emit(1)
    desk.emit(2, reliability=RELIABLE, sequence=1)
    desk.emit(3)
    found = desk.heard()
    desk.broker.advance(3.0)

    assert ([(3, None)], [(2, True)]) == (found, desk.heard())


def test_delay() -> None:
    """Delayed events arrive later, in their order, if anybody is still there."""
    desk = Desk()
    subscription = desk.subscribe()
    desk.broker.delay = 2.0
    desk.emit(1, 0.0)
    desk.emit(2, 0.0)
    desk.emit(3, 1.0)
    desk.broker.advance(1.9)

    assert ([], 2.0) == (desk.heard(), desk.broker.next_wakeup())
    desk.broker.advance(2.0)
    assert [(1, None), (2, None)] == desk.heard()
    subscription.deliver = None
    desk.broker.advance(3.0)
    desk.broker.delay = 0.0
    desk.emit(4)
    assert [] == desk.heard()
