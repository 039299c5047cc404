"""Events of Vantiq as a stream: ``async for`` over one subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import attrs

from .exceptions import InvalidState, SubscriberClosed


__all__ = ["EventStream", "VantiqEvent"]


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
