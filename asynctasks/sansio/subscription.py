"""
The conversation over a WebSocket in which Vantiq tells of events.

:class:`Subscriptions` is the stream that leads us: it is fed the frames of one socket
after another, says what they mean and what is to be sent. It has no clock and no
socket. The frames are those of Vantiq's API Reference Guide, "WebSockets".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
import enum
from typing import Any

from . import codec
from .repeats import Repeats, key_of
from .secrecy import conceal_bytes, forms_of
from .vantiq_requests import dump
from ..exceptions import ResponseDecodeError


__all__ = [
    "Frame",
    "Notice",
    "Subscription",
    "Subscriptions",
    "What",
    "build_gap",
    "name_request",
]


OK = 200
EVENT = 100
REFUSED = 400
GONE = 410
"""The path of the events was removed: the subscription is over."""

BUSY = 429
BROKEN = 500

HELD = 1000
"""Events at most that are kept while the answer to their subscribe is not there."""

Frame = dict[str, Any]

Clock = Callable[[], float]


class What(enum.StrEnum):
    """What a notice is about; the first four are told to callbacks, by these words."""

    CONNECT = "connect"
    """The server accepted the subscription."""

    MESSAGE = "message"
    """An event."""

    ERROR = "error"
    """The server says that something is wrong with the subscription."""

    GAP = "gap"
    """Events may be missing."""

    END = "end"
    """The subscription is over."""

    READY = "ready"
    """The server knows who we are."""

    REFUSED = "refused"
    """The server does not want to know us."""

    RESTART = "restart"
    """The server cannot go on now: connect again later."""

    GARBLED = "garbled"
    """A frame could not be read."""


Notice = tuple[What, str, Frame]
"""
What a frame means; the request id of its subscription, empty where it is about the
connection; and the frame as it came. The path and value of an event also stand at its
top. A plain tuple, because there may be a hundred thousand a second.
"""


def name_request(path: str, namespace: str | None) -> str:
    """Return the request id of a subscription: there is one of each path."""
    return path if namespace is None else f"{path}@{namespace}"


class Subscription:
    """One path that is subscribed to, and where that stands."""

    def __init__(
        self,
        path: str,
        params: Mapping[str, Any],
        namespace: str | None,
        repeats: Repeats,
    ) -> None:
        self.path = path
        self.namespace = namespace
        self.request_id = name_request(path, namespace)
        self.asked = dict(params)
        """The parameters as they were given."""

        self.params = dict(params)
        self.name: str | None = self.params.get("subscriptionName")
        """The server's name of a persistent subscription."""

        self.accepted = False
        self.welcome: Frame = {}
        """The frame that accepted it."""

        self.lapsed = False
        """Whether it was accepted before, on a connection that is lost."""

        self.held: deque[Frame] = deque(maxlen=HELD)
        """Events that came before the subscription was accepted."""

        self.acks: list[str] = []
        """Acknowledgements for the time when it is accepted."""

        self.repeats = repeats
        """The reliable events that were told lately."""

    @property
    def persistent(self) -> bool:
        """Whether the server keeps it while we are away."""
        return bool(self.params.get("persistent"))

    def frame(self) -> str:
        """Return the frame that subscribes, or resumes."""
        params = {**self.params}
        if self.persistent and self.name is not None:
            params["subscriptionName"] = self.name
        params["requestId"] = self.request_id
        return _command("subscribe", self.path, params, self.namespace)


def _command(
    verb: str, resource_id: str, params: Mapping[str, Any], namespace: str | None
) -> str:
    frame = {
        "op": verb,
        "resourceName": "events",
        "resourceId": resource_id,
        "parameters": params,
    }
    return dump(frame if namespace is None else frame | {"targetNamespace": namespace})


class Subscriptions:
    """
    The conversation over a WebSocket, and over the next one when it breaks.

    The owner of the socket says when one is :meth:`connected` or :meth:`lost` and
    hands over what arrives; after each call it takes :meth:`events` and sends what
    :meth:`to_send` returns.

    Args:
        window: seconds within which a reliable event that comes again is a
            duplicate and not told. 0 tells all.
    """

    def __init__(self, *, window: float = 60.0) -> None:
        self.ready = False
        """Whether the server knows who we are."""

        self._window = window
        self._token = ""
        self._secrets: frozenset[str] = frozenset()
        self._subscriptions: dict[str, Subscription] = {}
        # There is no frame to unsubscribe: the server sends on until the socket is
        # closed, and a second subscribe would double the events.
        self._left: dict[str, Subscription] = {}
        self._events: list[Notice] = []
        self._out: list[str] = []

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._subscriptions

    def __len__(self) -> int:
        return len(self._subscriptions)

    def __getitem__(self, request_id: str) -> Subscription:
        return self._subscriptions[request_id]

    @property
    def sending(self) -> bool:
        """Whether there is something to send."""
        return bool(self._out)

    # --- what the owner says -------------------------------------------------

    def connected(self, token: str) -> None:
        """There is a new socket: say who we are."""
        self.lost()
        self._token, self._secrets = token, forms_of([], [token])
        self.insist()

    def insist(self) -> None:
        """Say it once more; a server may miss what is said in the first moment."""
        if not self.ready:
            frame = {
                "op": "validate",
                "resourceName": "system.credentials",
                "object": self._token,
            }
            self._out.append(dump(frame))

    def lost(self) -> None:
        """The socket is gone; what was subscribed to will be again."""
        self.ready = False
        self._out.clear()
        self._left.clear()
        for subscription in self._subscriptions.values():
            subscription.lapsed = subscription.lapsed or subscription.accepted
            subscription.accepted = False
            subscription.held.clear()

    def subscribe(
        self, path: str, params: Mapping[str, Any] | None, namespace: str | None
    ) -> Subscription:
        """
        Subscribe, now or when there is a connection.

        Args:
            path: of the events.
            params: of the subscription, e.g. ``{"persistent": True}``.
            namespace: another one than the token's.

        Raises:
            TypeError, ValueError: JSON has no such parameters.
        """
        repeats = Repeats(self._window)
        subscription = Subscription(path, params or {}, namespace, repeats)
        frame = subscription.frame()
        self._subscriptions[subscription.request_id] = subscription
        left = self._left.pop(subscription.request_id, None)
        if left is not None:
            self._return_to(left, subscription)
        elif self.ready:
            self._out.append(frame)
        return subscription

    def _return_to(self, left: Subscription, subscription: Subscription) -> None:
        """Go on with what was left but never ended; else begin a new connection."""
        if not left.accepted or left.asked != subscription.asked:
            self._tell(What.RESTART, "", {})
            return
        subscription.name, subscription.repeats = left.name, left.repeats
        subscription.accepted, subscription.welcome = True, left.welcome
        self._tell(What.CONNECT, subscription.request_id, left.welcome)

    def unsubscribe(self, request_id: str) -> None:
        """Forget a subscription; what still comes for it is not told."""
        subscription = self._subscriptions.pop(request_id, None)
        if subscription is not None and self.ready:
            self._left[request_id] = subscription

    def acknowledge(
        self, request_id: str, name: str, partition: Any, sequence: Any
    ) -> None:
        """Tell the server that a reliable event was dealt with."""
        params = {
            "requestId": request_id,
            "subscriptionName": name,
            "sequenceId": sequence,
            "partitionId": partition,
        }
        subscription = self._subscriptions.get(request_id)
        if subscription is None:
            self._out.append(_command("acknowledge", request_id, params, None))
            return
        namespace = subscription.namespace
        frame = _command("acknowledge", subscription.path, params, namespace)
        key = key_of(params)
        if key is not None:
            subscription.repeats.acknowledge(key)
        (self._out if subscription.accepted else subscription.acks).append(frame)

    def forget(self, request_id: str, frame: Frame) -> None:
        """Have an event told again when it comes again: it was not dealt with."""
        subscription = self._subscriptions.get(request_id)
        key = key_of(frame.get("body"))
        if subscription is not None and key is not None:
            subscription.repeats.forget(key)

    # --- what the owner takes ------------------------------------------------

    def events(self) -> list[Notice]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    def to_send(self) -> list[str]:
        """Return the frames that are to be sent, in order."""
        out, self._out = self._out, []
        return out

    # --- what the server says ------------------------------------------------

    def receive(self, data: bytes, now: Clock) -> None:
        """
        Take in a frame.

        Args:
            data: its JSON.
            now: tells the seconds on any clock that does not go back; it is asked
                where they matter.
        """
        try:
            frame = codec.loads(data)
            status = frame["status"]
            headers = frame.get("headers")
            request_id: Any = headers.get("X-Request-Id") if headers else None
            subscription = self._subscriptions.get(request_id)
        except (ResponseDecodeError, KeyError, TypeError, AttributeError):
            shown = conceal_bytes(data, self._secrets)[:200]
            self._tell(What.GARBLED, "", {"data": shown})
            return
        if status == EVENT and subscription is not None:
            self._event(subscription, frame, now)
        elif not self.ready:
            self._introduced(status, frame, data)
        elif subscription is not None:
            self._answered(subscription, status, frame, now)
        elif request_id in self._left:
            self._after_leaving(self._left[request_id], status, frame)

    def _after_leaving(self, left: Subscription, status: Any, frame: Frame) -> None:
        """Tell nothing, but know when the server ends what we could not."""
        body = frame.get("body")
        removed = isinstance(body, dict) and body.get("op") == "unsubscribe"
        refused = status == GONE if left.accepted else _refuses(status)
        if removed or refused:
            del self._left[left.request_id]

    def _tell(self, what: What, request_id: str, frame: Frame) -> None:
        self._events.append((what, request_id, frame))

    def _introduced(self, status: Any, frame: Frame, data: bytes) -> None:
        """The first answer says whether the server accepts the token."""
        if status == OK:
            self.ready = True
            self._out += [each.frame() for each in self._subscriptions.values()]
            self._tell(What.READY, "", frame)
        elif _refuses(status):
            # What refuses the token may quote it.
            shown = codec.loads(conceal_bytes(data, self._secrets))
            self._tell(What.REFUSED, "", shown)

    def _event(self, subscription: Subscription, frame: Frame, now: Clock) -> None:
        if not subscription.accepted:
            # Its acceptance is told first, whatever the server's order.
            subscription.held.append(frame)
            return
        body = frame.get("body")
        if isinstance(body, dict):
            if "path" in body:
                frame["path"] = body["path"]
                frame["value"] = body.get("value")
            if "sequenceId" in body and self._repeated(subscription, body, now):
                return
            if "op" in body or "subscriptionName" in body:
                self._about_itself(subscription, frame, body)
                return
        self._events.append((What.MESSAGE, subscription.request_id, frame))

    def _about_itself(
        self, subscription: Subscription, frame: Frame, body: Mapping[str, Any]
    ) -> None:
        """A message that is no event: the end of a subscription, or its name."""
        if body.get("op") == "unsubscribe":
            self._end(subscription, What.MESSAGE, frame)
            return
        name = body.get("subscriptionName")
        known = subscription.name == name and "path" not in body and "op" not in body
        if name is not None:
            subscription.name = name
        # The acceptance usually has the name too: then it is no news.
        if not known:
            self._tell(What.MESSAGE, subscription.request_id, frame)

    def _repeated(
        self, subscription: Subscription, body: Mapping[str, Any], now: Clock
    ) -> bool:
        """Tell whether a reliable event was told already; remember it if not."""
        key = key_of(body)
        if key is None or not subscription.repeats.note(key, now()):
            return False
        if subscription.repeats.acknowledged(key) and subscription.name is not None:
            # The server did not hear it; else it would not have come again.
            self.acknowledge(subscription.request_id, subscription.name, *key)
        return True

    def _answered(
        self, subscription: Subscription, status: Any, frame: Frame, now: Clock
    ) -> None:
        if _refuses(status):
            self._failed(subscription, status, frame)
        elif status == OK and not subscription.accepted:
            self._accepted(subscription, frame, now)
        elif status == OK:
            self._event(subscription, frame, now)

    def _accepted(self, subscription: Subscription, frame: Frame, now: Clock) -> None:
        body = frame.get("body")
        if isinstance(body, dict):
            subscription.name = body.get("name", subscription.name)
        subscription.accepted, subscription.welcome = True, frame
        if subscription.lapsed:
            subscription.lapsed = False
            facts = {"reason": "reconnected", "resumed": subscription.persistent}
            gap = build_gap(subscription.request_id, facts)
            self._tell(What.GAP, subscription.request_id, gap)
        self._tell(What.CONNECT, subscription.request_id, frame)
        self._out += subscription.acks
        subscription.acks = []
        while subscription.held:
            self._event(subscription, subscription.held.popleft(), now)

    def _failed(self, subscription: Subscription, status: int, frame: Frame) -> None:
        if subscription.accepted:
            if status == GONE:
                self._end(subscription, What.ERROR, frame)
            else:
                self._tell(What.ERROR, subscription.request_id, frame)
        elif subscription.lapsed and (status == BUSY or status >= BROKEN):
            self._tell(What.RESTART, "", frame)
        elif subscription.lapsed and subscription.persistent and subscription.name:
            # The server forgot it: begin a new one.
            subscription.name = None
            subscription.params.pop("subscriptionName", None)
            subscription.acks.clear()
            self._out.append(subscription.frame())
        else:
            self._end(subscription, What.ERROR, frame)

    def _end(self, subscription: Subscription, what: What, frame: Frame) -> None:
        self._subscriptions.pop(subscription.request_id, None)
        self._tell(what, subscription.request_id, frame)
        self._tell(What.END, subscription.request_id, frame)


def build_gap(request_id: str, facts: Mapping[str, Any]) -> Frame:
    """Build the message that tells a callback of events that may be missing."""
    return {
        "status": EVENT,
        "headers": {"X-Request-Id": request_id},
        "body": dict(facts),
    }


def _refuses(status: Any) -> bool:
    return isinstance(status, int) and status >= REFUSED
