"""
The poll hub: one loop and one sleeper, however many tasks are open.

The :class:`Watcher` looks at each when its schedule says so. A look is one attempt: the
schedule is its retry. Where the service lists tasks, looks that are due together are
merged into list requests while that fetches few rows in vain. A look that fails
concerns its own task only; a merged one that fails falls back to single ones.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping
import logging
import random
from typing import Any

import attrs

from .exceptions import (
    AsyncTasksError,
    InvalidState,
    NotFound,
    RateLimited,
    TaskLost,
)
from .sansio.dialect import TaskRef, TaskState, TaskStatus
from .sansio.history import DurationHistory, LearnedPolicy
from .sansio.schedule import PollPolicy, Schedule
from .watch import Looker, Watch


__all__ = ["Watcher", "WatcherStats"]

LOST_AFTER = 3
"""
How many answers in a row must say that the task does not exist.

One 404 can come from a restart or from a replica that lags behind.
"""

LOOKS_AT_ONCE = 32
"""Looks at the same time; the others that are due wait in order."""

MERGE_FROM = 4
"""Due looks that are worth a list request."""

ROWS_PER_LOOK = 12
"""
Rows of a list that are fetched per due look at most.

Measured with aiohttp on one core: a look by itself costs about as much as reading 15
rows of a list.
"""

EARLY = 0.25
"""The part of its wait by which a look may come early to join a list request."""

JITTER = 0.1
"""The part of a learned wait that is random, so that tasks do not ask in step."""

COARSE = 0.001
"""
Seconds that a look may be early.

Timers fire a moment before their time, when the clock of the loop is coarse; under
a virtual clock the rest of the time would never pass.
"""

SERVICES = 1000
"""Services whose durations are remembered; beyond, the oldest is forgotten."""

MERGE_AGAIN = 30.0
"""Seconds after which list requests are tried again where they did not pay."""


Key = tuple[Looker, str, int | None, int | None]
"""What identifies a task among all that are watched."""


@attrs.define
class Merging:
    """Whether list requests pay for the tasks of one looker."""

    busy: bool = False
    """Whether a list is being read; what is due meanwhile waits for the next."""

    again: float = 0.0
    """When to try again, on the loop's clock."""


@attrs.define(kw_only=True)
class WatcherStats:
    """What the watcher did so far; all of it counted, none of it sampled."""

    looks: int = 0
    """Looks at single tasks."""

    surveys: int = 0
    """Times that a list was read for several tasks."""

    surveyed: int = 0
    """Looks that lists saved."""

    rows: int = 0
    """Rows that were read for it."""

    failures: int = 0
    """Looks and surveys that failed."""

    finished: int = 0
    """Tasks that were seen to end."""

    succeeded: int = 0
    """Those of them that may have a result."""

    late: float = 0.0
    """Seconds by which looks began after they were due, in all."""

    begun: int = 0
    """Looks that were begun, alone or in a survey."""


class Watcher:
    """
    Looks at open tasks until they are over or nobody holds them any more.

    It runs while something is watched, in one asyncio task of its own. Should that
    task crash, everybody who waits gets the error and it is restarted once.

    Args:
        policy: the waits between looks, before a service's durations are known.
        learn: how the schedule is learned from durations; None leaves it at *policy*.
        merge: whether looks are merged into list requests.
        logger: gets failed looks and crashes.
        dice: returns random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        policy: PollPolicy,
        learn: LearnedPolicy | None = None,
        merge: bool = True,
        logger: logging.Logger,
        dice: random.Random | None = None,
    ) -> None:
        self.policy = policy
        self.stats = WatcherStats()
        self._learn = learn
        self._merge = merge
        self._logger = logger
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not secrecy
        self._watches: dict[Key, Watch] = {}
        self._schedule: Schedule[Watch] = Schedule()
        self._due: dict[
            Watch, float
        ] = {}  # ordered: due, not looked at yet; since when
        self._looking: set[asyncio.Task[None]] = set()
        self._merging: defaultdict[Looker, Merging] = defaultdict(Merging)
        self._histories: dict[object, DurationHistory] = {}
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._crashes = 0
        self._words: set[str] = set()

    def __len__(self) -> int:
        return len(self._watches)

    @property
    def backlog(self) -> int:
        """Looks that are due and have not begun."""
        return len(self._due)

    def states(self) -> Iterable[TaskState | None]:
        """Return the states of all open tasks, as last seen."""
        for watch in self._watches.values():
            yield watch.status.state if watch.status is not None else None

    def hold(
        self,
        ref: TaskRef,
        looker: Looker,
        *,
        first: TaskStatus | None = None,
        since: float | None = None,
    ) -> Watch:
        """
        Watch a task until :meth:`release`.

        Args:
            ref: the task.
            looker: fetches its status. The same task may be watched through several
                lookers, which have different credentials.
            first: what is known already; without it, it is looked at at once.
            since: when it was submitted, on the loop's clock, where that is known.

        Raises:
            InvalidState: the watcher crashed twice.
        """
        if self._crashes > 1:
            raise InvalidState("the watcher crashed twice; make a new client")
        key = _key(ref, looker)
        watch = self._watches.get(key)
        if watch is None:
            now = asyncio.get_running_loop().time()
            watch = self._watches[key] = Watch(ref, looker, since)
            # The list does not tell the generations of a relaunched task apart.
            watch.alone = ref.generation is not None
            if first is not None and not first.done:
                watch.wait = self._next_wait(watch, now)
            watch.due = now + watch.wait
            self._schedule.add(watch, watch.due)
        if first is not None:
            watch.offer(first)
        watch.holders += 1
        if not watch.over:
            self._ensure_running()
        return watch

    def release(self, watch: Watch) -> None:
        """Let go of a task; it is looked at while somebody else holds it."""
        watch.holders -= 1
        if watch.holders <= 0:
            self._forget(watch)

    def find(self, ref: TaskRef, looker: Looker) -> Watch | None:
        """Return the watch of a task, if it is watched."""
        return self._watches.get(_key(ref, looker))

    def hurry(self, watch: Watch) -> None:
        """Look at a task now, because something happened to it."""
        if watch in self._schedule:
            watch.due = asyncio.get_running_loop().time()
            self._schedule.add(watch, watch.due)
            self._ring()

    async def aclose(self, error: BaseException) -> None:
        """Stop; everybody who still waits gets *error*, at once."""
        self._fail_all(error)
        tasks = [task for task in (self._task, *self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the loop ------------------------------------------------------------

    def tell(self, ref: TaskRef, looker: Looker, status: TaskStatus) -> None:
        """Take in what somebody else saw of a task, if it is watched."""
        watch = self.find(ref, looker)
        if watch is not None:
            self._after_success(watch, status)

    def _ensure_running(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="asynctasks-watcher")
            self._task.add_done_callback(self._ended)
        self._ring()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._watches:
            now = loop.time()
            due = self._schedule.pop_due(now + COARSE)
            self._due.update(dict.fromkeys(due, now))
            if self._due:
                self._begin(now)
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
        for watch in list(self._watches.values()):
            self._forget(watch)
            watch.fail(error)

    def _forget(self, watch: Watch) -> None:
        if not self._is_watched(watch):
            return
        del self._watches[_key(watch.ref, watch.looker)]
        self._schedule.remove(watch)
        self._due.pop(watch, None)
        if not self._watches:
            self._ring()  # so that the loop can end

    # --- what is due ---------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Begin the looks that are due, as many as there is room for."""
        for watch in [watch for watch in self._due if watch.over]:
            self._forget(watch)  # told so from elsewhere
        if self._merge:
            self._begin_surveys(now)
        for watch in list(self._due):
            if len(self._looking) >= LOOKS_AT_ONCE:
                break
            if watch.alone or not self._merging[watch.looker].busy:
                self._take(watch, now)
                self._start(self._look(watch))

    def _begin_surveys(self, now: float) -> None:
        """Merge looks that are due, and those that soon will be, by looker."""
        first: dict[Looker, Watch] = {}
        for watch in self._due:
            if watch.looker.merges and not watch.alone:
                first.setdefault(watch.looker, watch)
        for looker, earliest in first.items():
            merging = self._merging[looker]
            if merging.busy or now < merging.again:
                continue
            self._join(looker, now, now + EARLY * earliest.wait)
            due = [w for w in self._due if w.looker is looker and not w.alone]
            if len(due) >= MERGE_FROM:
                merging.busy = True
                for watch in due:
                    self._take(watch, now)
                self._start(self._survey(looker, merging, due))

    def _join(self, looker: Looker, now: float, horizon: float) -> None:
        """Let looks join that will be due soon, if that makes enough for a list."""
        soon = self._schedule.pop_due(horizon)
        joining = [w for w in soon if w.looker is looker and not w.alone and not w.over]
        due = sum(w.looker is looker and not w.alone for w in self._due)
        if due + len(joining) < MERGE_FROM:
            joining = []
        self._due.update(dict.fromkeys(joining, now))
        for watch in soon:
            if watch not in self._due:
                self._schedule.add(watch, watch.due)

    def _take(self, watch: Watch, now: float) -> None:
        self.stats.begun += 1
        self.stats.late += now - self._due.pop(watch)

    def _start(self, looking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(looking, name="asynctasks-look")
        self._looking.add(task)
        task.add_done_callback(self._ended)

    def _plan(self, watch: Watch, least: float) -> None:
        """Decide when to look again; forget what is over or held by nobody."""
        if not self._is_watched(watch):
            return
        if watch.over:
            self._forget(watch)
            return
        now = asyncio.get_running_loop().time()
        watch.wait = max(least, self._next_wait(watch, now))
        watch.due = now + watch.wait
        self._schedule.add(watch, watch.due)

    def _is_watched(self, watch: Watch) -> bool:
        return self.find(watch.ref, watch.looker) is watch

    def _next_wait(self, watch: Watch, now: float) -> float:
        history = self._histories.get(_service(watch))
        if history is None or not history.learned or watch.since is None:
            return self.policy.next_wait(watch.looks, self._dice.random())
        wait = history.next_wait(now - watch.since)
        return wait * (1 - JITTER * self._dice.random())

    # --- one look ------------------------------------------------------------

    async def _look(self, watch: Watch) -> None:
        """Look once, and decide when to look again."""
        least = 0.0
        self.stats.looks += 1
        try:
            status = await watch.looker.look_once(watch.ref)
        except AsyncTasksError as exc:
            least = self._after_failure(watch, exc)
        except Exception as exc:
            self._logger.exception("a look at task %s failed", watch.ref.id)
            watch.fail(exc)
        else:
            self._after_success(watch, status)
        self._plan(watch, least)

    def _after_success(self, watch: Watch, status: TaskStatus) -> None:
        watch.looks += 1
        watch.missing = 0
        watch.failure = None
        if watch.since is None:
            # What the service reports is the best we know of its age.
            age = (status.queue_time or 0.0) + (status.run_time or 0.0)
            watch.since = asyncio.get_running_loop().time() - age
        if status.state is TaskState.UNKNOWN and not status.done:
            self._warn_once(watch, status.word)
        ended = status.done and not watch.over
        watch.offer(status)
        if ended:
            self._learn_from(watch, status)

    def _warn_once(self, watch: Watch, word: str) -> None:
        if word not in self._words:
            self._words.add(word)
            self._logger.warning(
                "task %s is in a state this version does not know: %r; waiting on",
                watch.ref.id,
                word,
            )

    def _learn_from(self, watch: Watch, status: TaskStatus) -> None:
        """Remember how long the task took: as reported, or else as seen."""
        self.stats.finished += 1
        failed = status.state in {TaskState.FAILED, TaskState.CANCELLED}
        self.stats.succeeded += not failed
        if self._learn is None or watch.since is None:
            return
        duration = asyncio.get_running_loop().time() - watch.since
        if status.queue_time is not None and status.run_time is not None:
            duration = status.queue_time + status.run_time
        service = _service(watch)
        if service not in self._histories:
            if len(self._histories) >= SERVICES:
                del self._histories[next(iter(self._histories))]
            self._histories[service] = DurationHistory(self._learn)
        self._histories[service].add(duration)

    def _after_failure(self, watch: Watch, exc: AsyncTasksError) -> float:
        """Return the seconds that the failure asks for; or give the task up."""
        watch.looks += 1
        watch.failure = exc
        self.stats.failures += 1
        self._logger.info("a look at task %s failed: %s", watch.ref.id, exc)
        if isinstance(exc, NotFound):
            watch.missing += 1
            watch.alone = True  # a list would lack it too
            if watch.missing >= LOST_AFTER:
                lost = TaskLost(watch.ref.id, watch.token, watch.status)
                lost.__cause__ = exc
                watch.fail(lost)
        elif not exc.retryable:
            watch.fail(exc)
        asked = exc.retry_after if isinstance(exc, RateLimited) else None
        return asked or 0.0

    # --- one list ------------------------------------------------------------

    async def _survey(
        self, looker: Looker, merging: Merging, watches: list[Watch]
    ) -> None:
        """Look at several tasks through the list; at those it lacks, one by one."""
        refs = [watch.ref for watch in watches]
        found: Mapping[tuple[str, int | None], TaskStatus] = {}
        try:
            survey = await looker.survey(refs, ROWS_PER_LOOK * len(refs))
        except AsyncTasksError as exc:
            self.stats.failures += 1
            self._logger.info("a list of tasks could not be read: %s", exc)
        except Exception:
            self._logger.exception("a list of tasks could not be read")
        else:
            found = survey.found
            self.stats.surveys += 1
            self.stats.rows += survey.rows
        finally:
            merging.busy = False
        for (task_id, run), status in found.items():
            # Rows of tasks that are not due yet come for nothing.
            watch = self._watches.get((looker, task_id, run, None))
            if watch is not None:
                self._after_success(watch, status)
                self._plan(watch, 0.0)
        self._after_survey(merging, watches, found)

    def _after_survey(
        self,
        merging: Merging,
        watches: list[Watch],
        found: Mapping[tuple[str, int | None], TaskStatus],
    ) -> None:
        """Look one by one at what the list lacked: that is no proof of a loss."""
        now = asyncio.get_running_loop().time()
        lacking = [w for w in watches if (w.ref.id, w.ref.run) not in found]
        self.stats.surveyed += len(watches) - len(lacking)
        if len(lacking) * 2 > len(watches):
            merging.again = now + MERGE_AGAIN  # it does not pay here
        for watch in lacking:
            if self._is_watched(watch) and not watch.over:
                watch.alone = bool(found)
                self._due[watch] = now
        self._ring()


def _key(ref: TaskRef, looker: Looker) -> Key:
    return (looker, ref.id, ref.run, ref.generation)


def _service(watch: Watch) -> object:
    """Return what tasks have in common whose durations are alike."""
    ref = watch.ref
    return (watch.looker.origin, ref.app, ref.app_version, ref.service)
