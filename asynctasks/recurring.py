"""A task that its service starts again and again."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import attrs

from .exceptions import InvalidArgument, NotFound
from .handle import TaskHandle, Tasks
from .sansio.task import TaskRef


__all__ = ["RecurringTask"]

OVER_AFTER = 3
"""Looks in a row that must find a recurrence over before it counts as stopped."""


class RecurringTask:
    """
    A task that the service starts again and again.

    Its runs share one id and are told apart by their index, from 0.
    """

    def __init__(self, tasks: Tasks, ref: TaskRef) -> None:
        self._tasks = tasks
        self._ref = attrs.evolve(ref, run=None)

    def __repr__(self) -> str:
        return f"<RecurringTask {self._ref.id}>"

    @property
    def id(self) -> str:
        """The id that all runs share."""
        return self._ref.id

    @property
    def token(self) -> str:
        """The token of the last run: ``client.recurring(token)`` is this again."""
        return self._tasks.token_of(self._ref)

    def run(self, index: int) -> TaskHandle:
        """
        Return the handle of one run, without asking whether there is one.

        Args:
            index: of the run, from 0.

        Raises:
            InvalidArgument: *index* is no such number.
        """
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise InvalidArgument("index", index, "must be a whole number, 0 or more")
        return TaskHandle(self._tasks, attrs.evolve(self._ref, run=index))

    async def runs(self) -> AsyncGenerator[TaskHandle, None]:
        """
        Go through the runs: those there are, then each new one when it is created.

        The last one is usually still waiting for its time. The iteration ends
        when the recurrence was stopped and its last run is over; it has no time
        limit of its own: put it under ``asyncio.timeout()``.
        """
        known, over, looks = 0, 0, 0
        while over < OVER_AFTER:
            try:
                status = await self._tasks.look(self._ref)
            except NotFound:
                over += 1
            else:
                last = status.run or 0
                over = over + 1 if status.done else 0
                looks = 0 if last >= known else looks
                while known <= last:
                    yield self.run(known)
                    known += 1
            looks += 1
            await self._tasks.nap(looks)

    async def stop(self) -> None:
        """End the recurrence; runs that are over or running are left alone."""
        await self._tasks.results.remove(self._ref)
