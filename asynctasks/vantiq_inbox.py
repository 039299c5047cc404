"""
The queue of one Vantiq subscription, and the worker that calls its callback.

A callback that is slow or raises harms nobody but itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import logging
from typing import Any, Union

import attrs

from .exceptions import InvalidArgument
from .hooks import Hooks, SubscriberDetails
from .sansio.subscription import Frame, What, build_gap
from .vantiq_session import QUEUE_POLICIES


__all__ = ["Callback", "Inbox", "InboxOptions"]

Callback = Callable[[str, dict[str, Any]], Union[Awaitable[None], None]]  # noqa: UP007
"""
Called with ``"connect"``, ``"message"``, ``"error"`` or ``"gap"``, and the message.

An async function or a plain one, which runs on the event loop and must not block.
"""

TURNS = 3
"""Turns of the loop that a new worker leaves to whoever subscribed."""


@attrs.frozen(kw_only=True)
class InboxOptions:
    """What a subscription does with what arrives."""

    callback: Callback = attrs.field()
    size: int = attrs.field()
    """Events that may wait."""

    policy: str = attrs.field()
    """What happens when that many wait; see :class:`VantiqOptions`."""

    ended: Callable[[], None] | None = None
    """Called once, when nothing more will be told."""

    @callback.validator
    def _check_callback(self, _: object, callback: object) -> None:
        if not callable(callback):
            remedy = "give a function, async or plain, of a word and a message"
            raise InvalidArgument("callback", callback, remedy)

    @size.validator
    def _check_size(self, _: object, size: int) -> None:
        if size < 1:
            raise InvalidArgument("queue_size", size, "must be 1 or more")

    @policy.validator
    def _check_policy(self, _: object, policy: str) -> None:
        if policy not in QUEUE_POLICIES:
            remedy = f"choose one of {', '.join(QUEUE_POLICIES)}"
            raise InvalidArgument("queue_policy", policy, remedy)


class Inbox:
    """
    The queue of one callback, and the asyncio task that empties it.

    Args:
        request_id: of the subscription.
        options: what is called, and when.
        forget: is told of each event that was not dealt with.
        logger: gets the errors of the callback.
        hooks: told of them, and of events that are dropped.
    """

    def __init__(
        self,
        request_id: str,
        options: InboxOptions,
        *,
        forget: Callable[[str, Frame], None],
        logger: logging.Logger,
        hooks: Hooks,
    ) -> None:
        self.request_id = request_id
        self.policy = options.policy
        self.size = options.size
        self.stalled = False
        self.queue: deque[tuple[str, Frame]] = deque()
        self._options = options
        self._callback = options.callback
        self._forget = forget
        self._logger = logger
        self._hooks = hooks
        self._missed = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def put(self, what: str, frame: Frame) -> None:
        """Queue a message; never waits."""
        self.queue.append((what, frame))
        wake = self._wake
        if wake is not None:
            self._wake = None
            if not wake.done():
                wake.set_result(None)

    def drop(self) -> None:
        """Drop the oldest event; the callback is told how many it missed."""
        for index, (what, frame) in enumerate(self.queue):
            if what == What.MESSAGE:
                del self.queue[index]
                self._forget(self.request_id, frame)
                if self._hooks and not self._missed:
                    self._hooks.tell(SubscriberDetails(event="gap"))
                self._missed += 1
                return

    def discard(self) -> None:
        """Drop all that waits, and end."""
        self.queue.clear()
        self._missed = 0
        self.end()

    def end(self) -> None:
        """End after what still waits."""
        self._ended = True
        self._ring("_wake")
        self._ring("_room")

    def _ring(self, bell: str) -> None:
        future: asyncio.Future[None] | None = getattr(self, bell)
        if future is not None and not future.done():
            future.set_result(None)

    async def room(self, timeout: float) -> bool:
        """Wait until there is room; return whether there is."""
        while len(self.queue) >= self.size and not self._ended:
            self._room = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._room
            except TimeoutError:
                return False
            finally:
                self._room = None
        return True

    def start(self) -> asyncio.Task[None]:
        """Begin to call the callback."""
        name = f"asynctasks-vantiq {self.request_id}"
        return asyncio.create_task(self._work(), name=name)

    async def _work(self) -> None:
        try:
            await self._deliver()
        finally:
            if self._options.ended is not None:
                self._options.ended()

    async def _deliver(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while True:
            while self.queue or self._missed:
                await self._call(*self._take())
            if self._ended:
                return
            self._wake = loop.create_future()
            await self._wake

    def _take(self) -> tuple[str, Frame]:
        if self._missed:
            missed, self._missed = self._missed, 0
            facts = {"reason": "overflow", "missed": missed, "resumed": False}
            return What.GAP.value, build_gap(self.request_id, facts)
        message = self.queue.popleft()
        if self._room is not None:
            self._ring("_room")
        self.stalled = False
        return message

    async def _call(self, what: str, frame: Frame) -> None:
        try:
            answer = self._callback(what, frame)
            if answer is not None:
                await answer
        except (Exception, asyncio.CancelledError) as exc:
            if _is_cancelled():
                raise
            self._forget(self.request_id, frame)
            self._logger.exception(
                "The callback of %s raised; it stays subscribed", self.request_id
            )
            if self._hooks:
                self._hooks.tell(SubscriberDetails(event="callback", error=exc))


def _is_cancelled() -> bool:
    """Tell whether the worker is cancelled, not something that a callback awaits."""
    worker = asyncio.current_task()
    return worker is not None and worker.cancelling() > 0
