"""
Brings events to subscriptions: transient, persistent and reliable ones.

A reliable event that a persistent subscription has not acknowledged is sent again
after 1.5 times the ``redeliveryFrequency`` (Vantiq promises between once and twice),
until its ``redeliveryTTL`` is over.
"""

from __future__ import annotations

from collections.abc import Callable
import heapq
from itertools import count
import logging
import math

from .events import (
    Deliver,
    Event,
    Frame,
    Pending,
    Reliability,
    Subscription,
    describe,
    path_of,
)
from .refusals import not_found


__all__ = ["Broker"]

LOGGER = logging.getLogger("asynctasks.server")

MOST_PENDING = 100_000
"""Events that one subscription may leave without acknowledgement."""

PARTITION = 0
"""The partition of all reliable events; clients only hand it back."""


class Broker:
    """
    Brings events to subscriptions.

    Args:
        note: is told of the pending events of persistent subscriptions: the number,
            and the event or None where it is settled.
    """

    def __init__(
        self, note: Callable[[Subscription, int, Pending | None], None]
    ) -> None:
        self.subscriptions: list[Subscription] = []
        self.drop_next = 0
        """How many of the next events are lost on their way to a client."""

        self.delay = 0.0
        """Seconds that each event is on its way to a client."""

        self._note = note
        self._later: list[tuple[float, int, Subscription, Frame]] = []
        self._waiting: list[tuple[float, int, Subscription, Pending]] = []
        """When pending events are due; entries that are no longer true are skipped."""

        self._number = count()

    # --- subscriptions -------------------------------------------------------

    def named(self, name: str, namespace: str) -> Subscription:
        """
        Return a persistent subscription.

        Raises:
            Refused: there is none.
        """
        for each in self.subscriptions:
            if each.name == name and each.namespace == namespace:
                return each
        raise not_found("system.subscriptions", "name", name)

    def attach(self, subscription: Subscription, deliver: Deliver, now: float) -> None:
        """Let a persistent subscription go on; what is pending is sent again."""
        subscription.deliver = deliver
        for pending in subscription.pending.values():
            self._send_pending(subscription, pending, now)

    def hold(self, subscription: Subscription, pending: Pending) -> None:
        """
        Let an event wait for its acknowledgement.

        Of a subscription whose client acknowledges nothing, the oldest gives way.
        """
        while len(subscription.pending) >= MOST_PENDING:
            oldest = next(iter(subscription.pending))
            LOGGER.warning("%s: event %d gives way", subscription.name, oldest)
            self.acknowledge(subscription, oldest)
        subscription.pending[pending.sequence] = pending
        self._wait(subscription, pending)

    def detach(self, deliver: Deliver) -> None:
        """Forget a client; its persistent subscriptions wait for it."""
        for each in list(self.subscriptions):
            if each.deliver == deliver:
                each.deliver = None
                if each.name is None:
                    self.subscriptions.remove(each)
                for pending in each.pending.values():
                    self._wait(each, pending)

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription away, and what it waits for."""
        self.subscriptions.remove(subscription)
        for number in subscription.pending:
            self._note(subscription, number, None)

    def select(self, root: str, namespace: str) -> list[Subscription]:
        """Return the subscriptions at or below the path of an event."""
        return [
            each
            for each in self.subscriptions
            if each.namespace == namespace
            and f"{path_of(each.path)}/".startswith(f"{root}/")
        ]

    def acknowledge(self, subscription: Subscription, sequence: int) -> bool:
        """Settle an event; return False if it was settled before."""
        if subscription.pending.pop(sequence, None) is None:
            return False
        self._note(subscription, sequence, None)
        return True

    # --- events --------------------------------------------------------------

    def emit(
        self,
        event: Event,
        now: float,
        reliability: Reliability | None = None,
        sequence: int = 0,
    ) -> None:
        """Tell all who want to know."""
        for each in [each for each in self.subscriptions if each.wants(event)]:
            body = describe(event, each)
            if reliability is None or each.name is None:
                self._send(each, each.frame(100, body), now)
                continue
            body |= {
                "partitionId": PARTITION,
                "sequenceId": sequence,
                "createdAt": int(now * 1000),
                "redelivered": False,
            }
            expires = now + reliability.ttl
            pending = Pending(body, now, expires, reliability.frequency)
            self.hold(each, pending)
            self._note(each, sequence, pending)
            self._send_pending(each, pending, now)

    def advance(self, now: float) -> None:
        """Send what is due, and let go what is too old."""
        while self._later and self._later[0][0] <= now:
            _, _, subscription, frame = heapq.heappop(self._later)
            if subscription.deliver is not None:
                subscription.deliver(frame)
        while self._is_due(now):
            _, _, subscription, pending = heapq.heappop(self._waiting)
            if pending.expires <= now:
                self.acknowledge(subscription, pending.sequence)
            else:
                self._send_pending(subscription, pending, now)

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        self._is_due(math.inf)
        heads = (*self._later[:1], *self._waiting[:1])
        return min((at for at, *_ in heads), default=None)

    def _is_due(self, now: float) -> bool:
        """Tell whether a pending event is due; skip what is no longer true."""
        while self._waiting:
            at, _, subscription, pending = self._waiting[0]
            there = subscription.pending.get(pending.sequence) is pending
            if there and at == due_of(subscription, pending):
                return at <= now
            heapq.heappop(self._waiting)
        return False

    def _wait(self, subscription: Subscription, pending: Pending) -> None:
        at = due_of(subscription, pending)
        entry = (at, next(self._number), subscription, pending)
        heapq.heappush(self._waiting, entry)

    def _send_pending(
        self, subscription: Subscription, pending: Pending, now: float
    ) -> None:
        if subscription.deliver is None:
            return
        body = {**pending.body, "redelivered": pending.sent}
        pending.sent = True
        pending.due = now + 1.5 * pending.frequency
        self._wait(subscription, pending)
        self._send(subscription, subscription.frame(100, body), now)

    def _send(self, subscription: Subscription, frame: Frame, now: float) -> None:
        if self.drop_next > 0:
            self.drop_next -= 1
        elif self.delay > 0:
            entry = (now + self.delay, next(self._number), subscription, frame)
            heapq.heappush(self._later, entry)
        elif subscription.deliver is not None:
            subscription.deliver(frame)


def due_of(subscription: Subscription, pending: Pending) -> float:
    """Return when something has to be done about a pending event."""
    if subscription.deliver is None:
        return pending.expires
    return min(pending.due, pending.expires)
