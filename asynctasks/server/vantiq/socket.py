"""
One WebSocket of a client: frames in, frames out.

The first frame authenticates. Then come subscriptions and acknowledgements; and all
operations of the API, too, whose counts are the first element of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .desk import Desk
from .events import Frame, Subscription
from .frames import CALCULATIONS, OPERATIONS, Asked, parse_frame
from .paths import check_path
from .pieces import collect, encode
from .refusals import Refused, malformed, unauthorized
from .tables import Stamp
from .world import VantiqWorld


__all__ = ["VantiqSocket"]

MOST_FRAMES = 100_000
"""Frames that may wait for a client that does not read."""

ACKNOWLEDGEMENTS = 1000
"""Rows of ArsEventAcknowledgement that are kept; older ones are forgotten."""


class VantiqSocket:
    """
    The server's half of one connection.

    Args:
        world: what it is about.
        wake: is called when there is something to send.
    """

    def __init__(self, world: VantiqWorld, wake: Callable[[], None]) -> None:
        self.cut = False
        """Whether the connection has to break now."""

        self._world = world
        self._wake = wake
        self._username: str | None = None
        self._outgoing: list[bytes] = []

    # --- frames --------------------------------------------------------------

    def receive(self, frame: str | bytes) -> None:
        """Take what the client sent, and answer."""
        request_id = None
        try:
            asked = parse_frame(frame)
            request_id = asked.request_id
            self._answer(asked)
        except Refused as refused:
            self._reply(request_id, refused.status, refused.document())

    def to_send(self) -> Sequence[bytes]:
        """Return what is to be sent, each frame once: JSON, as binary frames."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def send(self, frame: Frame) -> None:
        """Send a frame of an event; a client that reads nothing is cut off."""
        if len(self._outgoing) >= MOST_FRAMES:
            self._outgoing.clear()
            self.break_off()
        elif not self.cut:
            self._outgoing.append(encode(frame))
            self._wake()

    def break_off(self) -> None:
        """Break the connection."""
        self.cut = True
        self._wake()

    def lost(self) -> None:
        """Take note that the connection is over; persistent subscriptions wait."""
        self._world.broker.detach(self.send)
        if self in self._world.sockets:
            self._world.sockets.remove(self)

    # --- answers -------------------------------------------------------------

    def _answer(self, asked: Asked) -> None:
        if asked.op in {"authenticate", "validate"}:
            self._log_in(asked)
            return
        desk = self._desk(asked)
        if asked.resource == "events" and asked.op in EVENTS:
            EVENTS[asked.op](self, desk, asked)
        elif asked.op in CALCULATIONS:
            self._calculate(desk, asked)
        elif asked.op in OPERATIONS:
            status, body = OPERATIONS[asked.op](desk, asked)
            self._reply(asked.request_id, status, body)
        else:
            raise malformed(f"There is no operation {asked.op}.", asked.op)

    def _reply(self, request_id: str | None, status: int, body: Any) -> None:
        self.send(Subscription("", "", "", request_id).frame(status, body))

    def _log_in(self, asked: Asked) -> None:
        if asked.op == "validate":
            token = str(asked.object)
            now = self._world.clock()
            self._username = self._world.users.check_token(token, now)
        else:
            given = asked.object if isinstance(asked.object, Mapping) else {}
            name, word = str(given.get("username")), str(given.get("password"))
            self._username = self._world.users.check_password(name, word)
        self._reply(asked.request_id, 200, {})

    def _desk(self, asked: Asked) -> Desk:
        if self._username is None:
            raise unauthorized()
        if asked.namespace is not None:
            self._world.store.check_namespace(asked.namespace)
        return self._world.desk(self._username, asked.namespace)

    def _calculate(self, desk: Desk, asked: Asked) -> None:
        async def finish() -> None:
            try:
                body = await collect(await CALCULATIONS[asked.op](desk, asked))
                self._reply(asked.request_id, 200, body)
            except Refused as refused:
                self._reply(asked.request_id, refused.status, refused.document())

        self._world.functions.jobs.append(finish)
        self._world.wake()

    # --- subscriptions -------------------------------------------------------

    def _subscribe(self, desk: Desk, asked: Asked) -> None:
        event_filter = asked.parameters.get("eventFilter") or {}
        if not isinstance(event_filter, Mapping):
            raise malformed("eventFilter is a JSON object.", event_filter)
        name = asked.subscription_name()
        if name is not None:
            self._resume(desk, asked, name)
            return
        check_path(asked.ident, desk.table, self._world.functions.sources)
        subscription = Subscription(
            path=asked.ident,
            namespace=desk.namespace,
            username=desk.username,
            request_id=asked.request_id,
            event_filter=event_filter,
            deliver=self.send,
        )
        if asked.parameters.get("persistent"):
            subscription.name = self._world.new_id()
            self._keep(desk, subscription)
        self._world.broker.subscriptions.append(subscription)
        self._accept(subscription)

    def _resume(self, desk: Desk, asked: Asked, name: str) -> None:
        subscription = self._world.broker.named(name, desk.namespace)
        subscription.request_id = asked.request_id
        self._accept(subscription)
        self._world.broker.attach(subscription, self.send, self._world.clock())
        self._world.wake()

    def _accept(self, subscription: Subscription) -> None:
        if subscription.name is None:
            self.send(subscription.frame(200, {}))
            return
        facts = {
            "name": subscription.name,
            "namespace": subscription.namespace,
            "topic": subscription.path,
        }
        self.send(subscription.frame(200, facts))
        # Java and Node read the name from here; which of both comes first is not
        # documented.
        again = {"subscriptionName": subscription.name}
        request = {"requestId": subscription.request_id}
        self.send(subscription.frame(100, again | request))

    def _keep(self, desk: Desk, subscription: Subscription) -> None:
        row = {
            "name": subscription.name,
            "topic": subscription.path,
            "requestId": subscription.request_id,
            "username": subscription.username,
            "eventFilter": dict(subscription.event_filter),
        }
        stamp = Stamp(desk.username, desk.namespace, self._world.clock())
        table = desk.table("system.subscriptions")
        table.insert(row, self._world.new_id(), stamp)

    def _unsubscribe(self, desk: Desk, asked: Asked) -> None:
        # No guide tells how a client unsubscribes; this is what it would be.
        mine = [
            each
            for each in self._world.broker.subscriptions
            if each.deliver == self.send and each.path == asked.ident
        ]
        self._world.forget(mine)
        self._reply(asked.request_id, 200, {})

    def _acknowledge(self, desk: Desk, asked: Asked) -> None:
        name = asked.subscription_name() or ""
        subscription = self._world.broker.named(name, desk.namespace)
        number = asked.parameters.get("sequenceId")
        if not isinstance(number, int):
            raise malformed("An acknowledgement has a sequenceId.", number)
        if self._world.broker.acknowledge(subscription, number):
            self._note(desk, asked, name)
        # No answer: the vendor's SDKs would take one for an event.

    def _note(self, desk: Desk, asked: Asked, name: str) -> None:
        table = desk.table("system.eventacknowledgements")
        row = {
            "subscriptionName": name,
            "partitionId": asked.parameters.get("partitionId"),
            "sequenceId": asked.parameters["sequenceId"],
            "username": desk.username,
        }
        stamp = Stamp(desk.username, desk.namespace, self._world.clock())
        table.insert(row, self._world.new_id(), stamp)
        while len(table.rows) > ACKNOWLEDGEMENTS:
            table.remove(next(iter(table.rows)))


EVENTS: Mapping[str, Callable[[VantiqSocket, Desk, Asked], None]] = {
    "acknowledge": VantiqSocket._acknowledge,  # noqa: SLF001 - its own operations
    "subscribe": VantiqSocket._subscribe,  # noqa: SLF001
    "unsubscribe": VantiqSocket._unsubscribe,  # noqa: SLF001
}
