"""Calls to those who want to be told of changes, in order and without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import logging

from ..sansio.http import Request


__all__ = ["Messenger", "Send"]

LOGGER = logging.getLogger("asynctasks.server")

Send = Callable[[Request], Awaitable[None]]
"""Sends a notification to the absolute URL of the request; its answer is dropped."""


class Messenger:
    """
    Sends notifications in the background.

    Args:
        send: sends one; None drops them all.
    """

    def __init__(self, send: Send | None) -> None:
        self._send = send
        self._last: dict[str, asyncio.Task[None]] = {}
        self.running: set[asyncio.Task[None]] = set()
        """What is on its way."""

    def tell(self, about: str, notices: Sequence[Request]) -> None:
        """Send notices; those about the same come one after the other."""
        if self._send is None or not notices:
            return
        sending = self._deliver(notices, self._send, self._last.get(about))
        task = asyncio.get_running_loop().create_task(sending)
        self.running.add(task)
        self._last[about] = task
        task.add_done_callback(lambda done: self._delivered(about, done))

    def cancel(self) -> None:
        """Send nothing any more."""
        for task in self.running:
            task.cancel()

    async def _deliver(
        self,
        notices: Sequence[Request],
        send: Send,
        previous: asyncio.Task[None] | None,
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        for notice in notices:
            try:
                await send(notice)
            except Exception as exc:  # noqa: BLE001 - the target's fault; not repeated
                LOGGER.warning("%s was not delivered: %r", notice.describe(), exc)

    def _delivered(self, about: str, done: asyncio.Task[None]) -> None:
        self.running.discard(done)
        if self._last.get(about) is done:
            del self._last[about]
