"""
Brings events to subscriptions: transient, persistent and reliable ones.

A reliable event that a persistent subscription has not acknowledged is sent again
after 1.5 times the ``redeliveryFrequency`` (Vantiq promises between once and twice),
until its ``redeliveryTTL`` is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import heapq
from itertools import count

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

    def detach(self, deliver: Deliver) -> None:
        """Forget a client; its persistent subscriptions wait for it."""
        for each in list(self.subscriptions):
            if each.deliver == deliver:
                each.deliver = None
                if each.name is None:
                    self.subscriptions.remove(each)

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
            each.pending[sequence] = pending
            self._note(each, sequence, pending)
            self._send_pending(each, pending, now)

    def advance(self, now: float) -> None:
        """Send what is due, and let go what is too old."""
        while self._later and self._later[0][0] <= now:
            _, _, subscription, frame = heapq.heappop(self._later)
            if subscription.deliver is not None:
                subscription.deliver(frame)
        for subscription, pending in list(self._all_pending()):
            if pending.expires <= now:
                self.acknowledge(subscription, pending.sequence)
            elif pending.due <= now and subscription.deliver is not None:
                self._send_pending(subscription, pending, now)

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        due = [at for at, *_ in self._later[:1]]
        for subscription, pending in self._all_pending():
            waits = subscription.deliver is None
            due.append(pending.expires if waits else min(pending.due, pending.expires))
        return min(due, default=None)

    def _all_pending(self) -> Iterator[tuple[Subscription, Pending]]:
        for subscription in self.subscriptions:
            for pending in list(subscription.pending.values()):
                yield subscription, pending

    def _send_pending(
        self, subscription: Subscription, pending: Pending, now: float
    ) -> None:
        if subscription.deliver is None:
            return
        body = {**pending.body, "redelivered": pending.sent}
        pending.sent = True
        pending.due = now + 1.5 * pending.frequency
        self._send(subscription, subscription.frame(100, body), now)

    def _send(self, subscription: Subscription, frame: Frame, now: float) -> None:
        if self.drop_next > 0:
            self.drop_next -= 1
        elif self.delay > 0:
            entry = (now + self.delay, next(self._number), subscription, frame)
            heapq.heappush(self._later, entry)
        elif subscription.deliver is not None:
            subscription.deliver(frame)
