"""Events of Vantiq: told to callbacks, or read with ``async for``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import logging
from typing import Any, Self

import attrs

from .exceptions import InvalidState, SubscriberClosed, VantiqException
from .sansio.vantiq import VantiqResponse, raise_refusal
from .sansio.vantiq_arguments import build_event_path
from .vantiq_inbox import InboxOptions
from .vantiq_session import Session, explained
from .vantiq_subscriber import VantiqSubscriber


__all__ = ["EventFeed", "EventStream", "Place", "VantiqEvent"]

Place = tuple[str, str, "str | None", "str | None"]
"""What events are of: resource, id, operation, and namespace."""


@attrs.frozen(kw_only=True)
class VantiqEvent:
    """One thing that a subscription tells."""

    what: str
    """
    ``"message"``; ``"gap"``: events may be missing before this point; ``"error"``:
    the server says that something is wrong, see ``message``.
    """

    path: str = ""
    """What happened where, e.g. ``"/types/Order/insert/7"``."""

    value: Any = None
    """What was published, or the row."""

    message: dict[str, Any] = attrs.field(factory=dict, repr=False)
    """The whole message, as callbacks get it."""

    @property
    def redelivered(self) -> bool:
        """Whether the server sent it before and got no acknowledgement."""
        body = self.message.get("body")
        return bool(isinstance(body, dict) and body.get("redelivered"))


Take = Callable[[str, dict[str, Any]], Awaitable[None]]


class EventStream:
    """
    The events of one subscription; made by ``client.events()``.

    Use it as an async context manager and iterate over it. A reader that is slow
    holds up its own events only.
    """

    def __init__(
        self,
        subscribe: Callable[[Take, Callable[[], None]], Awaitable[None]],
        unsubscribe: Callable[[], Awaitable[None]],
        acknowledge: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self._acknowledge = acknowledge
        self._event: VantiqEvent | None = None
        self._over = False
        self._arrived: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        await self._subscribe(self._take, self._ended)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._unsubscribe()
        self._event = None
        self._ended()
        _resolve(self._taken)  # nobody will take it

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> VantiqEvent:
        """
        Wait for the next event.

        Raises:
            SubscriberClosed: the subscription is over, or the client was closed.
            InvalidState: somebody else waits already.
        """
        if self._arrived is not None:
            raise InvalidState("a stream of events has one reader")
        while self._event is None:
            if self._over:
                raise SubscriberClosed("the subscription is over")
            self._arrived = asyncio.get_running_loop().create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        event, self._event = self._event, None
        _resolve(self._taken)
        return event

    async def ack(self, event: VantiqEvent) -> None:
        """
        Acknowledge a reliable event of a persistent subscription.

        Raises:
            VantiqException: it is none.
        """
        await self._acknowledge(event.message)

    async def _take(self, what: str, message: dict[str, Any]) -> None:
        """Hand one over; what comes after it waits in the subscription's queue."""
        if what == "connect":
            return
        path, value = message.get("path", ""), message.get("value")
        self._event = VantiqEvent(what=what, path=path, value=value, message=message)
        self._taken = asyncio.get_running_loop().create_future()
        _resolve(self._arrived)
        await self._taken

    def _ended(self) -> None:
        self._over = True
        _resolve(self._arrived)


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


class EventFeed:
    """
    The events of one client, over one subscriber transport after another.

    Args:
        session: of the client.
        refresh: exchanges the token for a new one.
        logger: of the client.
    """

    def __init__(
        self,
        session: Session,
        refresh: Callable[[], Awaitable[None]],
        logger: logging.Logger,
    ) -> None:
        self.on_close: Callable[[], Awaitable[None]] | None = None
        """Awaited when a transport is over."""

        self._session = session
        self._refresh = refresh
        self._logger = logger
        self._subscriber: VantiqSubscriber | None = None

    @property
    def connected(self) -> bool:
        """Whether events arrive now."""
        return self._subscriber is not None and self._subscriber.connected

    async def start(self) -> asyncio.Task[None] | None:
        """
        Start a transport; None if one runs.

        Raises:
            VantiqException: the server cannot be reached or refuses the token.
        """
        if self._subscriber is not None:
            await self._subscriber.started()
            return None
        if not self._session.authenticated:
            code = "io.vantiq.python.subscriber.notauthenticated"
            message = "Attempt to connect subscriber when parent was not authenticated."
            raise VantiqException(code, message, [])
        subscriber = VantiqSubscriber(
            connect=self._session.connect_socket,
            token=self._token,
            renew=self._renew,
            over=lambda opened: self._over(subscriber, opened=opened),
            options=self._session.options,
            logger=logging.getLogger("VantiqSubscriber"),
        )
        self._subscriber = subscriber
        return await subscriber.start()

    async def aclose(self) -> None:
        """End the transport, if there is one."""
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            await subscriber.aclose()

    async def _token(self) -> str:
        """Return the token for a new connection."""
        auth = self._session.auth
        if auth.token is None:
            await self._session.see_to_token()
        elif auth.due(asyncio.get_running_loop().time()):
            await self._refresh()
        return auth.token or ""

    async def _renew(self) -> bool:
        """Have a refused token renewed; tell whether there is another one now."""
        auth = self._session.auth
        refused = auth.generation
        if auth.token is None or not auth.renewable:
            return False
        try:
            await self._session.try_token()
        except VantiqException as exc:
            self._logger.info("The token cannot be renewed: %s", exc)
        return auth.generation != refused

    async def _over(self, subscriber: VantiqSubscriber, *, opened: bool) -> None:
        if self._subscriber is subscriber:
            self._subscriber = None
        if opened and self.on_close is not None:
            try:
                await self.on_close()
            except Exception:
                self._logger.exception("The callback for the subscriber's end raised")

    async def subscribe(
        self,
        place: Place,
        inbox: InboxOptions,
        params: Mapping[str, Any] | None,
        timeout: float = 30.0,
    ) -> VantiqResponse:
        """Subscribe; a transport is started if none runs."""
        with explained("subscribe"):
            path, namespace = self._path(place)
            await self.start()
            return await self._transport().subscribe(
                path, params, namespace, inbox, timeout=timeout
            )

    def unsubscribe(self, place: Place) -> bool:
        """End a subscription on our side; return whether there was one."""
        with explained("unsubscribe"):
            path, namespace = self._path(place)
        subscriber = self._subscriber
        return subscriber is not None and subscriber.unsubscribe(path, namespace)

    def stream(
        self,
        place: Place,
        params: Mapping[str, Any] | None,
        *,
        size: int,
        policy: str,
    ) -> EventStream:
        """Make a stream of events, to be entered."""

        async def subscribe(take: Take, ended: Callable[[], None]) -> None:
            inbox = InboxOptions(callback=take, size=size, policy=policy, ended=ended)
            raise_refusal(await self.subscribe(place, inbox, params))

        async def unsubscribe() -> None:
            self.unsubscribe(place)

        async def acknowledge(message: dict[str, Any]) -> None:
            request_id = message.get("headers", {}).get("X-Request-Id", "")
            name = self._transport().name_of(request_id)
            await self.ack(request_id, name or "", message.get("body") or {})

        return EventStream(subscribe, unsubscribe, acknowledge)

    async def ack(
        self, request_id: str, subscription_id: str, msg: Mapping[str, Any]
    ) -> None:
        """Acknowledge a reliable event."""
        for field, code in (("partitionId", "partition"), ("sequenceId", "sequence")):
            if field not in msg:
                message = f"The message being acknowledged contains no {code}_id."
                raise VantiqException(f"io.vantiq.python.ack.no{code}id", message, [])
        await self._transport().acknowledge(
            request_id, subscription_id, msg["partitionId"], msg["sequenceId"]
        )

    def _path(self, place: Place) -> tuple[str, str | None]:
        resource, resource_id, operation, namespace = place
        path = build_event_path(resource, resource_id, operation)
        return path, namespace or self._session.auth.namespace

    def _transport(self) -> VantiqSubscriber:
        if self._subscriber is None:
            code = "io.vantiq.python.notransport"
            message = "No transport for subscriptions has been established."
            raise VantiqException(code, message, [])
        return self._subscriber
