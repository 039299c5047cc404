"""
The subscriber transport: an asyncio task that brings events to callbacks.

Each subscription has a bounded queue and a worker of its own, so that a callback
that is slow or raises harms nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import inspect
import logging
from typing import Union

from .arguments import check_call, check_whole
from .hooks import Hooks, SubscriberDetails
from .sansio.events import Event, EventKind
from .sansio.task import TaskRef
from .watch import Watch


__all__ = ["Callback", "StatusSubscription", "Subscriber"]

Callback = Callable[[Event], Union[Awaitable[None], None]]  # noqa: UP007
"""
Called with each event, in order; an async function or a plain one.

A plain function runs on the event loop and must not block.
"""

Wants = Callable[[object, TaskRef], bool]
"""
Whether a newly submitted task is to be followed.

It is given the scope of the submit (tasks of other credentials are nobody else's
business) and the task.
"""


class StatusSubscription:
    """
    One registered callback and its queue; made by ``client.subscribe()``.

    When the queue is full, the oldest event that is not the last of its task gives
    way, and the callback is told by a ``GAP`` event how many it missed. One that is
    for a single task ends by itself, once the callback was told of the task's end.
    """

    def __init__(
        self,
        callback: Callback,
        *,
        wants: Wants | None,
        queue_size: int,
        logger: logging.Logger,
        hooks: Hooks,
    ) -> None:
        remedy = "give a function, async or plain, that takes one event"
        check_call("callback", callback, remedy)
        self.dropped = 0
        """How many events were dropped so far."""

        self.failures = 0
        """How often the callback raised so far."""

        self.closed = False
        self.wants = wants
        self._callback = callback
        self._size = check_whole("queue_size", queue_size)
        self._logger = logger
        self._hooks = hooks
        self._followed: dict[Watch, Callable[[], None]] = {}
        self._queue: deque[Event] = deque()
        self._missed = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """How many events wait for the callback."""
        return len(self._queue)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self)} waiting"
        name = getattr(self._callback, "__qualname__", type(self._callback).__name__)
        return f"<{type(self).__name__} {name}: {state}, {self.dropped} dropped>"

    def unsubscribe(self) -> None:
        """End the subscription; events that still wait are not delivered."""
        self.closed = True
        self._queue.clear()
        self._missed = 0
        self._wake.set()
        for watch in list(self._followed):
            self._leave(watch)

    def is_for(self, scope: object, ref: TaskRef) -> bool:
        """Tell whether a newly submitted task is to be followed."""
        return not self.closed and self.wants is not None and self.wants(scope, ref)

    def follow(self, watch: Watch, release: Callable[[], None]) -> None:
        """
        Tell the callback of a task, its present state first, until it is over.

        Args:
            watch: the task; it is held for this subscription.
            release: lets go of it.
        """
        if self.closed or watch in self._followed:
            release()
            return
        self._followed[watch] = release
        watch.listen(self._changed)
        if watch.version:
            self._changed(watch)

    def _changed(self, watch: Watch) -> None:
        if self.closed:
            return  # another listener ended it, in the midst of this change
        self.offer(_event(watch))
        if watch.over:
            self._leave(watch)

    def _leave(self, watch: Watch) -> None:
        watch.unlisten(self._changed)
        self._followed.pop(watch)()

    def offer(self, event: Event) -> None:
        """Queue an event; never waits."""
        if len(self._queue) >= self._size:
            self._make_room()
        self._queue.append(event)
        self._wake.set()

    def _make_room(self) -> None:
        """Drop the oldest event whose loss hurts least."""
        passing = (i for i, queued in enumerate(self._queue) if not queued.last)
        del self._queue[next(passing, 0)]
        if self._hooks and not self._missed:
            self._hooks.tell(SubscriberDetails(event="gap"))
        self.dropped += 1
        self._missed += 1

    async def deliver(self) -> None:
        """Call the callback with each event until the subscription ends."""
        while not self.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or self._missed:
                await self._call(self._take())
            if self.wants is None and not self._followed:
                self.closed = True  # nothing can come any more

    def _take(self) -> Event:
        if self._missed:
            missed, self._missed = self._missed, 0
            return Event(kind=EventKind.GAP, missed=missed)
        return self._queue.popleft()

    async def _call(self, event: Event) -> None:
        try:
            answer = self._callback(event)
            if inspect.isawaitable(answer):
                await answer
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and _is_cancelled():
                raise  # we are; else something that the callback awaited was
            self.failures += 1
            self._logger.exception("a callback raised; it stays subscribed")
            if self._hooks:
                self._hooks.tell(SubscriberDetails(event="callback", error=exc))


def _is_cancelled() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def _event(watch: Watch) -> Event:
    error = watch.error
    return Event(
        kind=EventKind.STATUS if error is None else EventKind.ERROR,
        task=watch.ref,
        token=watch.token,
        status=watch.status,
        error=error,
    )


class Subscriber:
    """
    The transport task and the subscriptions it serves.

    Args:
        logger: gets the errors of callbacks.
        hooks: told of starts, gaps, errors of callbacks and the end.
    """

    def __init__(self, *, logger: logging.Logger, hooks: Hooks | None = None) -> None:
        self._logger = logger
        self._hooks = Hooks((), logger) if hooks is None else hooks
        self._subscriptions: dict[StatusSubscription, None] = {}  # ordered
        self._arrivals: asyncio.Queue[StatusSubscription] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Events that wait for a callback, over all subscriptions."""
        return sum(len(subscription) for subscription in self._subscriptions)

    def start(self) -> asyncio.Task[None] | None:
        """
        Start the transport.

        Returns:
            Its task, which ends when the client is closed; None if it runs.
        """
        if self._task is not None and not self._task.done():
            return None
        self._arrivals = asyncio.Queue()
        for subscription in self._subscriptions:
            self._arrivals.put_nowait(subscription)
        self._task = asyncio.create_task(self._run(), name="asynctasks-subscriber")
        if self._hooks:
            self._hooks.tell(SubscriberDetails(event="started"))
        return self._task

    def add(
        self,
        callback: Callback,
        *,
        wants: Wants | None,
        queue_size: int,
    ) -> StatusSubscription:
        """
        Register a callback; the transport is started if it does not run.

        Args:
            callback: called with each event, in order.
            wants: which of the tasks that are submitted later it is for; None: it
                ends with the tasks that it is made to follow.
            queue_size: events that may wait for the callback.
        """
        subscription = StatusSubscription(
            callback,
            wants=wants,
            queue_size=queue_size,
            logger=self._logger,
            hooks=self._hooks,
        )
        self.start()
        self._subscriptions[subscription] = None
        self._arrivals.put_nowait(subscription)
        return subscription

    def wanting(self, scope: object, ref: TaskRef) -> list[StatusSubscription]:
        """Return the subscriptions that want to follow a task."""
        return [s for s in self._subscriptions if s.is_for(scope, ref)]

    async def aclose(self) -> None:
        """End all subscriptions and the transport."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self._hooks:
                self._hooks.tell(SubscriberDetails(event="closed"))

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as workers:
            while True:
                subscription = await self._arrivals.get()
                workers.create_task(self._serve(subscription))

    async def _serve(self, subscription: StatusSubscription) -> None:
        await subscription.deliver()
        self._subscriptions.pop(subscription, None)
