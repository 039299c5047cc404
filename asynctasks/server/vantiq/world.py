"""The world of the Vantiq half: users, functions, events, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
import logging
from typing import Any, Protocol, TypeVar

import attrs

from .broker import Broker
from .definitions import CONTENTS
from .desk import Desk
from .events import (
    Event,
    Pending,
    Reliability,
    Subscription,
    path_of,
    unsubscribed,
)
from .functions import Functions, Source
from .keep import PENDING, parse_items
from .paths import ROOTS
from .program import run_program
from .refusals import Refused
from .store import Store
from .syntax import Program
from .tables import Row, Table
from .users import Users
from .vail import parse_vail
from ..live import Item


__all__ = ["VantiqWorld"]

LOGGER = logging.getLogger("asynctasks.server")

F = TypeVar("F", bound=Callable[..., Any])

DEEPEST = 50
"""How many rules may lead to each other before it is taken for an endless loop."""

GONE = "io.asynctasks.event.path.removed"


class Breakable(Protocol):
    """A socket, as far as the world knows it."""

    def break_off(self) -> None:
        """Break the connection."""


class VantiqWorld:
    """
    What the Vantiq half serves; found as ``LocalServer.vantiq``.

    Functions that are registered may be plain or async. Plain ones run in the event
    loop of the server, so what waits for something should be async.

    Args:
        users: the passwords of the users.
        tokens: long-lived access tokens, and the users in whose name they are taken.
        home: the namespace of those who ask for no other.
        new_id: gives the ``_id`` of new rows, each once.
        new_token: gives access tokens that nobody can guess.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str],
        tokens: Mapping[str, str] = {},
        home: str = "local",
        new_id: Callable[[], str],
        new_token: Callable[[], str],
    ) -> None:
        self.home = home
        self.new_id = new_id
        self.users = Users(users, new_token)
        for token, username in tokens.items():
            self.users.add_token(token, username)
        self.store = Store(home, self.users.listed)
        self.broker = Broker(self._note_pending)
        self.functions = Functions()
        self.sockets: list[Breakable] = []
        """The open sockets."""

        self.clock: Callable[[], float] = float
        """Gives the time in seconds since the epoch; the shell puts its own here."""

        self.wake: Callable[[], object] = int
        """To be called when something has become due; the shell's, too."""

    # --- what a user of the server sets up -----------------------------------

    def procedure(self, name: str) -> Callable[[F], F]:
        """Decorate a function that clients may execute by this name."""
        return self.functions.procedure(name)

    def on(self, path: str) -> Callable[[F], F]:
        """
        Decorate a function that is called with each ``Event`` of a path.

        Paths are those of subscriptions, such as ``/topics/a`` and
        ``/types/T/insert``.
        """
        return self.functions.on(path_of(path))

    def rule(self, topic: str) -> Callable[[F], F]:
        """Decorate a function that is called with each ``Event`` of a topic."""
        return self.on(f"/topics{topic}")

    def source(
        self,
        name: str,
        *,
        query: Callable[..., Any] | None = None,
        publish: Callable[..., Any] | None = None,
    ) -> None:
        """Offer a source: what answers its queries, and what takes its messages."""
        self.functions.sources[name] = Source(query, publish)

    def desk(self, username: str | None = None, namespace: str | None = None) -> Desk:
        """Return the operations of a user, by default of the first one at home."""
        name = username or self.users.listed()[0]["username"]
        return Desk(self, name, namespace or self.home)

    def receive(self, source: str, value: Any, namespace: str | None = None) -> None:
        """Let a message arrive from a source."""
        desk = self.desk(namespace=namespace)
        facts = desk.table("system.sources").find(source)
        self.emit(f"/sources/{source}/receive", value, desk, facts)

    def reset(self) -> None:
        """End all subscriptions and forget all data; users and functions stay."""
        self._end(list(self.broker.subscriptions), 100)
        self.store.clear()
        self.broker.drop_next = 0
        self.broker.delay = 0.0

    # --- what a test lets go wrong -------------------------------------------

    def cut_sockets(self) -> None:
        """Break all WebSocket connections now."""
        for socket in list(self.sockets):
            socket.break_off()

    def drop_events(self, times: int = 1) -> None:
        """Lose the next events on their way to clients."""
        self.broker.drop_next += times

    def delay_events(self, seconds: float) -> None:
        """Let each event from now on take so long to a client."""
        self.broker.delay = seconds

    def unsubscribe(self, path: str, namespace: str | None = None) -> None:
        """End the subscriptions of an event path, as the server may at any time."""
        self._end(self.broker.select(path_of(path), namespace or self.home), 100)

    def expire_tokens(self) -> None:
        """Let the tokens of all logins expire now; long-lived ones stay."""
        self.users.expire()

    # --- definitions ---------------------------------------------------------

    def table(self, namespace: str, name: str) -> Table:
        """Return the table of a resource; see :meth:`Store.table`."""
        return self.store.table(namespace, name)

    def redefine(self, namespace: str, resource: str, row: Row) -> None:
        """Take note that a row changed, which may be a definition."""
        if resource == "system.types":
            self.store.redefine(namespace, row["name"])

    def undefine(self, namespace: str, resource: str, row: Row) -> None:
        """Take away what goes with a row that is gone."""
        name = str(row.get("name"))
        if resource in CONTENTS:
            self.store.drop_content(namespace, resource, name)
        elif resource == "system.subscriptions":
            there = self.broker.subscriptions
            self._end([each for each in there if each.name == name], 100)
        elif resource == "system.namespaces":
            there = self.broker.subscriptions
            self._end([each for each in there if each.namespace == name], 100)
            self.store.empty(name)
        elif resource in ROOTS:
            self._remove_path(namespace, ROOTS[resource](name))
            if resource == "system.types":
                self.store.drop(namespace, name)

    # --- events --------------------------------------------------------------

    def forget(self, ended: Iterable[Subscription]) -> None:
        """Take subscriptions away, and what is kept of them."""
        for each in ended:
            self.broker.remove(each)
            if each.name is not None:
                table = self.table(each.namespace, "system.subscriptions")
                row = table.find(each.name)
                if row is not None:
                    table.remove(row["_id"])

    def emit(
        self, path: str, value: Any, desk: Desk, facts: Mapping[str, Any] | None = None
    ) -> None:
        """
        Tell subscriptions and rules of an event.

        Args:
            path: what happened, and to what.
            value: the message or the row.
            desk: who did it.
            facts: the definition of the topic, source or service event.
        """
        event = Event(path, value, desk.namespace, desk.depth)
        reliability = Reliability.of(facts)
        number = 0
        if reliability is not None:
            number = self.store.next_sequence(event.namespace, path)
        self.broker.emit(event, self.clock(), reliability, number)
        for function in self.functions.listening(path):
            self.functions.run(function, event)
        if path.startswith("/topics/"):
            self._run_rules(event, desk)
        self.wake()

    def load(self, items: Iterable[Item]) -> None:
        """Take what was kept over a restart."""
        found = parse_items(items)
        self.store.load(found)
        for (namespace, resource), rows in found.items():
            if resource == "system.subscriptions":
                pending = found.get((namespace, PENDING), {})
                self._resume(namespace, rows.values(), pending)

    # --- how -----------------------------------------------------------------

    def _run_rules(self, event: Event, desk: Desk) -> None:
        topic = event.path[len("/topics") : -len("/publish")]
        if event.depth >= DEEPEST:
            LOGGER.error("rules call each other without end at %s", topic)
            return
        host = attrs.evolve(desk, depth=desk.depth + 1)
        if desk.depth == 0:
            host = attrs.evolve(host, runs=count(1))
        for row in list(desk.table("system.rules").rows.values()):
            program = parse_vail(row["ruleText"])
            if program.topic == topic and row.get("active", True):
                self._run_rule(program, event, host)

    def _run_rule(self, program: Program, event: Event, host: Desk) -> None:
        if not host.may_run():
            LOGGER.error("rules call each other too often at %s", event.path)
            return
        named = {"newValue": event.value, "path": event.path}
        try:
            run_program(program, {program.parameters[0]: named}, host)
        except Refused as refused:
            LOGGER.error("the rule %s failed: %s", program.name, refused)  # noqa: TRY400 - it is the rule's fault

    def _remove_path(self, namespace: str, root: str) -> None:
        message = f"The event path {root} was removed."
        error = {"code": GONE, "message": message, "params": [root]}
        self._end(self.broker.select(root, namespace), 410, [error])

    def _end(self, ended: list[Subscription], status: int, body: Any = None) -> None:
        for each in ended:
            if each.deliver is not None:
                each.deliver(each.frame(status, body or unsubscribed(each)))
        self.forget(ended)

    def _note_pending(
        self, subscription: Subscription, number: int, pending: Pending | None
    ) -> None:
        name = str(subscription.name)
        self.store.kept.pending(subscription.namespace, name, number, pending)

    def _resume(
        self, namespace: str, rows: Iterable[Row], pending: Mapping[str, Any]
    ) -> None:
        for row in rows:
            subscription = Subscription(
                path=row["topic"],
                namespace=namespace,
                username=row["username"],
                request_id=row["requestId"],
                event_filter=row["eventFilter"],
                name=row["name"],
            )
            self.broker.subscriptions.append(subscription)
            for key, facts in pending.items():
                if key.rpartition(" ")[0] == subscription.name:
                    self.broker.hold(subscription, Pending(**facts))
