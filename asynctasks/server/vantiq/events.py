"""Events, and the subscriptions that tell clients of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .geo import is_number
from .where import same


__all__ = [
    "Deliver",
    "Event",
    "Frame",
    "Pending",
    "Reliability",
    "Subscription",
    "describe",
    "path_of",
    "unsubscribed",
]

Frame = dict[str, Any]

Deliver = Callable[[Frame], None]
"""Puts a frame into the socket of a client."""


SOONEST = 0.1
"""Seconds after which a reliable event is sent again at the earliest."""

LONGEST = 30 * 86400.0
"""Seconds that a reliable event is kept at most."""


@attrs.frozen
class Reliability:
    """
    How often and how long a reliable event is sent again, in seconds.

    What a definition says is kept within ``SOONEST`` and ``LONGEST``.
    """

    frequency: float = 30.0
    ttl: float = 3600.0

    @classmethod
    def of(cls, row: Mapping[str, Any] | None) -> Reliability | None:
        """Read it from a definition; None where that is not reliable."""
        if not row or not row.get("isReliable"):
            return None
        frequency = seconds(row.get("redeliveryFrequency"), cls().frequency)
        ttl = seconds(row.get("redeliveryTTL"), cls().ttl)
        return cls(max(frequency, SOONEST), ttl)


def seconds(value: Any, default: float) -> float:
    """Return a number of seconds; what is none, or not positive, is the default."""
    return float(min(value, LONGEST)) if is_number(value) and value > 0 else default


@attrs.frozen
class Event:
    """Something that happened in a namespace."""

    path: str
    value: Any
    namespace: str
    depth: int = 0
    """How many rules led to it."""


@attrs.define
class Pending:
    """A reliable event on its way to one subscription."""

    body: dict[str, Any]
    due: float
    expires: float
    frequency: float
    sent: bool = False

    @property
    def sequence(self) -> int:
        """The number by which it is acknowledged."""
        return int(self.body["sequenceId"])


@attrs.define(eq=False)
class Subscription:
    """What a client wants to be told."""

    path: str
    """The event path as the client wrote it."""

    namespace: str
    username: str
    request_id: str | None = None
    event_filter: Mapping[str, Any] = attrs.field(factory=dict)
    name: str | None = None
    """The name of a persistent subscription."""

    deliver: Deliver | None = None
    """None while a persistent subscription has no client."""

    pending: dict[int, Pending] = attrs.field(factory=dict)

    def wants(self, event: Event) -> bool:
        """Tell whether an event is one of those that were asked for."""
        path = path_of(self.path)
        if event.namespace != self.namespace or not (
            event.path == path or event.path.startswith(f"{path}/")
        ):
            return False
        if not self.event_filter:
            return True
        value = event.value
        return isinstance(value, Mapping) and all(
            name in value and same(value[name], wanted)
            for name, wanted in self.event_filter.items()
        )

    def frame(self, status: int, body: Any) -> Frame:
        """Build what the client is told."""
        headers = {} if self.request_id is None else {"X-Request-Id": self.request_id}
        kind = "application/json"
        return {"status": status, "contentType": kind, "headers": headers, "body": body}


def path_of(path: str) -> str:
    """Return the path of the events that a subscription's path means."""
    _, root, *rest = path.split("/") if path.startswith("/") else ("", "", "")
    if root == "services" and len(rest) > 1:
        package, dot, service = rest[0].rpartition(".")
        parts = [*([package] if dot else []), "services", service, *rest[1:]]
        path, root = f"/topics/{'/'.join(parts)}", "topics"
    suffix = {"topics": "/publish", "sources": "/receive"}.get(root, "")
    return path if path.endswith(suffix) else path + suffix


def describe(event: Event, subscription: Subscription) -> dict[str, Any]:
    """Return what a client is told of an event."""
    return {
        "path": event.path,
        "value": event.value,
        "namespace": subscription.namespace,
        "username": subscription.username,
    }


def unsubscribed(subscription: Subscription) -> dict[str, Any]:
    """Return what a client is told when the server ends its subscription."""
    body = {
        "op": "unsubscribe",
        "path": subscription.path,
        "namespace": subscription.namespace,
    }
    if subscription.name is not None:
        body["subscriptionName"] = subscription.name
    return body
