"""
Looking at open tasks: one loop and one sleeper, however many tasks are open.

A :class:`Watch` is one open task, shared by everybody who waits for it. The
:class:`Watcher` looks at each when its schedule says so. A look is one attempt: the
schedule is its retry. A look that fails concerns its own task only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
import logging
import random

from .exceptions import (
    AsyncTasksError,
    InvalidState,
    NotFound,
    RateLimited,
    TaskLost,
)
from .sansio.dialect import TaskRef, TaskState, TaskStatus, merge_status
from .sansio.schedule import PollPolicy, Schedule


__all__ = ["Look", "Watch", "Watcher"]

Look = Callable[[TaskRef], Awaitable[TaskStatus]]
"""One look at a task: one attempt, no retries."""

Listener = Callable[["Watch"], None]

LOST_AFTER = 3
"""
How many answers in a row must say that the task does not exist.

One 404 can come from a restart or from a replica that lags behind.
"""

LOOKS_AT_ONCE = 32
"""
Looks at the same time at most.

Half of what the driver lets through, so that a submit does not queue behind the
looks at thousands of tasks that are due together.
"""

EARLY = 0.001
"""
Seconds that a look may be early.

Timers fire a moment before their time, when the clock of the loop is coarse; under
a virtual clock the rest of the time would never pass.
"""


class Watch:
    """
    One open task, as last seen; shared by everybody who waits for it.

    ``version`` grows with every change, so that a slow reader can tell that
    something happened without having to see each step.
    """

    def __init__(self, ref: TaskRef, look: Look, token: str) -> None:
        self.ref = ref
        self.look = look
        self.token = token
        self.status: TaskStatus | None = None
        self.error: BaseException | None = None
        self.failure: AsyncTasksError | None = None
        """Why the last look failed; None after one that succeeded."""

        self.version = 0
        self.holders = 0
        self.looks = 0
        self.missing = 0
        self.listeners: list[Listener] = []
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def over(self) -> bool:
        """Whether there is nothing more to see."""
        done = self.status is not None and self.status.done
        return done or self.error is not None

    def known(self) -> TaskStatus:
        """
        Return what was last seen.

        Raises:
            AsyncTasksError: why there will be no more to see.
            InvalidState: nothing was seen yet.
        """
        if self.error is not None:
            raise self.error
        if self.status is None:
            raise InvalidState("nothing was seen of the task yet")
        return self.status

    def offer(self, status: TaskStatus) -> None:
        """Take in a status from whatever source; older news do no harm."""
        before, self.status = self.status, merge_status(self.status, status)
        if self.status != before:
            self._changed()

    def fail(self, error: BaseException) -> None:
        """Tell everybody that there will be no more to see, and why."""
        if not self.over:
            self.error = error
            self._changed()

    async def change(self, seen: int) -> int:
        """Wait until there is something newer than version *seen*; return it."""
        while self.version == seen:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        return self.version

    def _changed(self) -> None:
        self.version += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for listener in list(self.listeners):
            listener(self)


class Watcher:
    """
    Looks at open tasks until they are over or nobody holds them any more.

    It runs while something is watched, in one asyncio task of its own. Should that
    task crash, everybody who waits gets the error and it is restarted once.

    Args:
        policy: the waits between looks.
        logger: gets failed looks and crashes.
        dice: returns random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        policy: PollPolicy,
        logger: logging.Logger,
        dice: random.Random | None = None,
    ) -> None:
        self.policy = policy
        self._logger = logger
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not secrecy
        self._watches: dict[object, Watch] = {}
        self._schedule: Schedule[object] = Schedule()
        self._due: dict[object, None] = {}  # an ordered set: due, not looked at yet
        self._looking: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._crashes = 0
        self._words: set[str] = set()

    def __len__(self) -> int:
        return len(self._watches)

    def hold(
        self,
        key: object,
        ref: TaskRef,
        look: Look,
        *,
        token: str,
        first: TaskStatus | None = None,
    ) -> Watch:
        """
        Watch a task until :meth:`release`.

        Args:
            key: what identifies the task among all that are watched.
            ref: the task.
            look: fetches its status.
            token: what its errors carry.
            first: what is known already; without it, it is looked at at once.

        Raises:
            InvalidState: the watcher crashed twice.
        """
        if self._crashes > 1:
            raise InvalidState("the watcher crashed twice; make a new client")
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(ref, look, token)
            known = first is not None and not first.done
            wait = self._next_wait(watch) if known else 0.0
            self._schedule.add(key, asyncio.get_running_loop().time() + wait)
        if first is not None:
            watch.offer(first)
        watch.holders += 1
        if not watch.over:
            self._ensure_running()
        return watch

    def release(self, key: object, watch: Watch) -> None:
        """Let go of a task; it is looked at while somebody else holds it."""
        watch.holders -= 1
        if watch.holders <= 0 and self._watches.get(key) is watch:
            self._forget(key)

    def offer(self, key: object, status: TaskStatus) -> None:
        """Take in what somebody else saw of a task, if it is watched."""
        if key in self._watches:
            self._watches[key].offer(status)

    def hurry(self, key: object) -> None:
        """Look at a task now, because something happened to it."""
        if key in self._schedule:
            self._schedule.add(key, asyncio.get_running_loop().time())
            self._ring()

    async def aclose(self, error: BaseException) -> None:
        """Stop; everybody who still waits gets *error*, at once."""
        self._fail_all(error)
        tasks = [task for task in (self._task, *self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the loop ------------------------------------------------------------

    def _ensure_running(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="asynctasks-watcher")
            self._task.add_done_callback(self._ended)
        self._ring()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._watches:
            due = self._schedule.pop_due(loop.time() + EARLY)
            self._due.update(dict.fromkeys(due))
            while self._due and len(self._looking) < LOOKS_AT_ONCE:
                key = next(iter(self._due))
                del self._due[key]
                if self._watches[key].over:  # told so from elsewhere
                    self._forget(key)
                else:
                    self._start(key)
            if self._watches:
                await self._nap(loop)

    async def _nap(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until something is due or the alarm is rung."""
        self._alarm = loop.create_future()
        due = self._schedule.next_due()
        timer = None if due is None else loop.call_at(due, self._ring)
        try:
            await self._alarm
        finally:
            self._alarm = None
            if timer is not None:
                timer.cancel()

    def _ring(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Never end silently: tell those who wait. The next one to come restarts."""
        self._looking.discard(task)
        self._ring()  # a place is free
        if task.cancelled():
            self._fail_all(InvalidState("the watcher was cancelled; your tasks go on"))
            return
        crash = task.exception()
        if crash is None or not self._watches:  # several can fall in one crash
            return
        self._crashes += 1
        self._logger.error("the watcher crashed", exc_info=crash)
        error = InvalidState("the watcher crashed; your tasks go on remotely")
        error.__cause__ = crash
        self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        for key, watch in list(self._watches.items()):
            self._forget(key)
            watch.fail(error)

    def _forget(self, key: object) -> None:
        self._watches.pop(key, None)
        self._schedule.remove(key)
        self._due.pop(key, None)
        if not self._watches:
            self._ring()  # so that the loop can end

    # --- one look ------------------------------------------------------------

    def _start(self, key: object) -> None:
        watch = self._watches[key]
        look = asyncio.create_task(self._look(key, watch), name="asynctasks-look")
        self._looking.add(look)
        look.add_done_callback(self._ended)

    async def _look(self, key: object, watch: Watch) -> None:
        """Look once, and decide when to look again."""
        wait = 0.0
        try:
            status = await watch.look(watch.ref)
        except AsyncTasksError as exc:
            wait = self._after_failure(watch, exc)
        except Exception as exc:
            self._logger.exception("a look at task %s failed", watch.ref.id)
            watch.fail(exc)
        else:
            self._after_success(watch, status)
        if self._watches.get(key) is not watch:
            return
        if watch.over:
            self._forget(key)
            return
        wait = max(wait, self._next_wait(watch))
        self._schedule.add(key, asyncio.get_running_loop().time() + wait)

    def _next_wait(self, watch: Watch) -> float:
        return self.policy.next_wait(watch.looks, self._dice.random())

    def _after_success(self, watch: Watch, status: TaskStatus) -> None:
        watch.looks += 1
        watch.missing = 0
        watch.failure = None
        strange = status.state is TaskState.UNKNOWN and status.outcome_known
        if strange and status.word not in self._words:
            self._words.add(status.word)
            self._logger.warning(
                "task %s is in a state this version does not know: %r; waiting on",
                watch.ref.id,
                status.word,
            )
        watch.offer(status)

    def _after_failure(self, watch: Watch, exc: AsyncTasksError) -> float:
        """Return the seconds that the failure asks for; or give the task up."""
        watch.looks += 1
        watch.failure = exc
        self._logger.info("a look at task %s failed: %s", watch.ref.id, exc)
        if isinstance(exc, NotFound):
            watch.missing += 1
            if watch.missing >= LOST_AFTER:
                lost = TaskLost(watch.ref.id, watch.token, watch.status)
                lost.__cause__ = exc
                watch.fail(lost)
        elif not exc.retryable:
            watch.fail(exc)
        asked = exc.retry_after if isinstance(exc, RateLimited) else None
        return asked or 0.0
