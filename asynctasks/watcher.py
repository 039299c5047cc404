"""
The poll hub: one loop and one sleeper, however many tasks are open.

The :class:`Watcher` looks at each when its schedule says so. A look is one attempt: the
schedule is its retry. Where the service lists tasks, looks that are due together are
merged into list requests while that fetches few rows in vain. A look that fails
concerns its own task only; a merged one that fails falls back to single ones.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Iterable
import logging
import math
from typing import Any

import attrs

from .exceptions import (
    AsyncTasksError,
    InvalidState,
    NotFound,
    ProxyError,
    RateLimited,
    RemoteProtocolError,
    ResponseError,
    TaskLost,
    excerpt,
)
from .pace import LONGEST, Pace
from .sansio.dialect import Survey
from .sansio.schedule import Schedule
from .sansio.task import TaskRef, TaskState, TaskStatus
from .watch import MERGE_FROM, Group, Looker, Seen, Watch


__all__ = ["Watcher", "WatcherStats"]

BELIEVED_AFTER = 3
"""
How many answers in a row must say that a task does not exist, or make no sense.

One 404 can come from a restart or from a replica that lags behind, one page of HTML
from a proxy in maintenance.
"""

CONFIRM_WAIT = 0.25
"""Seconds before the second of these looks at least; twice that before the third."""

DOUBTFUL = (NotFound, RemoteProtocolError, ProxyError)

LOOKS_AT_ONCE = 32
"""Looks at the same time; the others that are due wait in order."""

LISTS_AT_ONCE = 16
"""Lists that are read at the same time, each for another looker."""

ROWS_PER_LOOK = 12
"""
Rows of a list that are fetched per due look at most.

Measured with aiohttp on one core: a look by itself costs about as much as reading 13
rows of a list.
"""

AT_A_TIME = 1000
"""Rows that are taken in before others get their turn: some milliseconds."""

EARLY = 0.25
"""The part of its wait by which a look may come early to join a list request."""

COARSE = 0.001
"""
Seconds that a look may be early.

Timers fire a moment before their time, when the clock of the loop is coarse; under
a virtual clock the rest of the time would never pass.
"""

WORDS = 1000
"""Unknown words that are warned of at most."""

MERGE_AGAIN = 30.0
"""Seconds after which list requests are tried again where they did not pay."""


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
        pace: decides how soon a task is looked at again.
        merge: whether looks are merged into list requests.
        logger: gets failed looks and crashes.
    """

    def __init__(
        self,
        pace: Pace,
        *,
        merge: bool = True,
        logger: logging.Logger,
    ) -> None:
        self.pace = pace
        self.stats = WatcherStats()
        self._merge = merge
        self._logger = logger
        self._groups: dict[Looker, Group] = {}
        self._schedule: Schedule[Watch] = Schedule()
        self._due: OrderedDict[Watch, None] = OrderedDict()  # to be looked at alone
        self._ready: OrderedDict[Group, None] = OrderedDict()  # may read their list
        self._looking: set[asyncio.Task[None]] = set()
        self._lists = 0
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._crashes = 0
        self._words: set[str] = set()

    def __len__(self) -> int:
        return sum(len(group.watches) for group in self._groups.values())

    @property
    def backlog(self) -> int:
        """Looks that are due and have not begun."""
        return len(self._due) + sum(len(group.due) for group in self._groups.values())

    def states(self) -> Iterable[TaskState | None]:
        """Return the states of all open tasks, as last seen."""
        for group in self._groups.values():
            for watch in group.watches.values():
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
        watch = self.find(ref, looker)
        if watch is None:
            watch = self._add(ref, looker, since)
            now = asyncio.get_running_loop().time()
            if first is not None and not first.done:
                watch.wait = self.pace.next_wait(watch, now)
            self._schedule.add(watch, now + watch.wait)
        if first is not None:
            watch.offer(first)
        watch.holders += 1
        if not watch.over:
            self._ensure_running()
        return watch

    def _add(self, ref: TaskRef, looker: Looker, since: float | None) -> Watch:
        group = self._groups.get(looker)
        if group is None:
            group = Group(looker, lists=self._merge and looker.merges)
            self._groups[looker] = group
        return group.add(ref, since)

    def release(self, watch: Watch) -> None:
        """Let go of a task; it is looked at while somebody else holds it."""
        watch.holders -= 1
        if watch.holders <= 0:
            self._forget(watch)

    def find(self, ref: TaskRef, looker: Looker) -> Watch | None:
        """Return the watch of a task, if it is watched."""
        group = self._groups.get(looker)
        return None if group is None else group.find(ref)

    def hurry(self, watch: Watch) -> None:
        """Look at a task now, because something happened to it."""
        watch.hurried = True  # a look that is under way may have come too early
        if watch.appointed:
            now = asyncio.get_running_loop().time()
            self._schedule.add(watch, max(now, watch.earliest))
            self._ring()

    def tell(self, ref: TaskRef, looker: Looker, status: TaskStatus) -> None:
        """Take in what somebody else saw of a task, if it is watched."""
        watch = self.find(ref, looker)
        if watch is not None:
            self._after_success(watch, status)
            if watch.over:
                self._forget(watch)

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
        while self._groups:
            now = loop.time()
            for watch in self._schedule.pop_due(now + COARSE):
                self._fall_due(watch)
            self._begin(now)
            if self._groups:
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
        if crash is None or not self._groups:  # several can fall in one crash
            return
        self._crashes += 1
        self._logger.error("the watcher crashed", exc_info=crash)
        error = InvalidState("the watcher crashed; your tasks go on remotely")
        error.__cause__ = crash
        self._fail_all(error)

    def _fail_all(self, error: BaseException) -> None:
        for group in list(self._groups.values()):
            for watch in list(group.watches.values()):
                self._forget(watch)
                watch.fail(error)

    def _forget(self, watch: Watch) -> None:
        group = watch.group
        if group is None:
            return
        group.drop(watch)
        self._schedule.remove(watch)
        self._due.pop(watch, None)
        if not group.watches:
            del self._groups[watch.looker]
            self._ready.pop(group, None)
        if not self._groups:
            self._ring()  # so that the loop can end

    # --- what is due ---------------------------------------------------------

    def _fall_due(self, watch: Watch) -> None:
        group = watch.group
        if group is None:
            return
        if group.lists and not watch.alone and not watch.doubts:
            group.due[watch] = None
            if not group.busy:
                self._ready[group] = None
        else:
            self._due[watch] = None

    def _begin(self, now: float) -> None:
        """Begin the looks that are due, as many as there is room for."""
        while self._ready and self._lists < LISTS_AT_ONCE:
            group, _ = self._ready.popitem(last=False)
            self._gather(group, now)
        while self._due and len(self._looking) < LOOKS_AT_ONCE:
            watch, _ = self._due.popitem(last=False)
            if watch.over:  # told so from elsewhere
                self._forget(watch)
            else:
                self._take(watch, now)
                self._start(self._look(watch))

    def _gather(self, group: Group, now: float) -> None:
        """Merge what is due, and what soon will be, if that pays."""
        due = list(group.due)
        if not due:  # told so from elsewhere, while other lists were being read
            return
        group.due.clear()
        if now >= group.again:
            group.least = MERGE_FROM
        soon: list[Watch] = []
        if len(group.watches) >= group.least:
            soon = self._soon(group, now, now + EARLY * due[0].wait)
        if len(due) + len(soon) < group.least:
            self._due.update(dict.fromkeys(due))
            return
        for watch in soon:
            self._schedule.remove(watch)
        due += soon
        for watch in due:
            self._take(watch, now)
        group.busy = True
        self._lists += 1
        self._start(self._survey(group, due))

    def _soon(self, group: Group, now: float, horizon: float) -> list[Watch]:
        """Return what will be due by then and may as well be looked at now."""
        return [
            watch
            for watch in self._schedule.soon(horizon)
            if watch.group is group
            and not watch.alone
            and not watch.doubts
            and not watch.over
            and watch.earliest <= now
        ]

    def _take(self, watch: Watch, now: float) -> None:
        watch.looks += 1
        watch.hurried = False
        stats = self.stats
        stats.begun += 1
        if now > watch.due:
            stats.late += now - watch.due

    def _start(self, looking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(looking, name="asynctasks-look")
        self._looking.add(task)
        task.add_done_callback(self._ended)

    def _plan(self, watch: Watch, least: float, now: float) -> None:
        """Decide when to look again; forget what is over or held by nobody."""
        group = watch.group
        if group is None:
            return
        if watch.over:
            self._forget(watch)
        else:
            self._look_again(watch, group, least, now)

    def _look_again(self, watch: Watch, group: Group, least: float, now: float) -> None:
        wait = 0.0 if watch.hurried else self.pace.next_wait(watch, now)
        watch.wait = max(least, wait)
        watch.earliest = now + least if least else 0.0
        if self._due:
            self._due.pop(watch, None)
        if group.due:
            group.due.pop(watch, None)
        self._schedule.add(watch, now + watch.wait)

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
        self._plan(watch, least, asyncio.get_running_loop().time())

    def _after_success(self, watch: Watch, status: TaskStatus) -> None:
        watch.doubts = 0
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
            self._count_end(watch, status)

    def _warn_once(self, watch: Watch, word: str) -> None:
        if word not in self._words and len(self._words) < WORDS:
            self._words.add(word)
            self._logger.warning(
                "task %s is in a state this version does not know: %r; waiting on",
                watch.ref.id,
                excerpt(word),
            )

    def _count_end(self, watch: Watch, status: TaskStatus) -> None:
        self.stats.finished += 1
        failed = status.state in {TaskState.FAILED, TaskState.CANCELLED}
        self.stats.succeeded += not failed
        self.pace.learn_from(watch, status, asyncio.get_running_loop().time())

    def _after_failure(self, watch: Watch, exc: AsyncTasksError) -> float:
        """Return the seconds that the failure asks for; or give the task up."""
        watch.failure = exc
        self.stats.failures += 1
        self._logger.info("a look at task %s failed: %s", watch.ref.id, exc)
        if isinstance(exc, DOUBTFUL) and not exc.retryable:
            return self._doubt(watch, exc)
        if isinstance(exc, ResponseError):
            watch.doubts = 0  # an answer of another kind: they are not in a row
        if not exc.retryable:
            watch.fail(exc)
        return _asked(exc)

    def _doubt(self, watch: Watch, exc: AsyncTasksError) -> float:
        """Believe an answer that ends a wait of hours when it has been confirmed."""
        watch.doubts += 1
        if watch.doubts >= BELIEVED_AFTER:
            lost = TaskLost(watch.ref.id, watch.token, watch.status)
            lost.__cause__ = exc
            watch.fail(lost if isinstance(exc, NotFound) else exc)
        return CONFIRM_WAIT * watch.doubts

    # --- one list ------------------------------------------------------------

    async def _survey(self, group: Group, watches: list[Watch]) -> None:
        """Look at several tasks through the list; let the next list be read then."""
        try:
            await self._read_list(group, watches)
        finally:
            group.busy = False
            self._lists -= 1
            if group.due:
                self._ready[group] = None

    async def _read_list(self, group: Group, watches: list[Watch]) -> None:
        """Look at tasks through the list; at those it lacks, one by one."""
        refs = [watch.ref for watch in watches]
        survey: Survey | None = None
        asked = 0.0
        try:
            most = ROWS_PER_LOOK * len(refs)
            survey = await group.looker.survey(refs, most, Seen(group))
        except AsyncTasksError as exc:
            asked = _asked(exc)
            self._logger.info("a list of tasks could not be read: %s", exc)
        except Exception:
            self._logger.exception("a list of tasks could not be read")
        if survey is None:
            self.stats.failures += 1
            self._leave_lists(group, math.inf)
            self._look_alone(watches, whole=False, asked=asked)
        else:
            await self._take_in(group, survey)
            self._after_survey(group, watches, survey)

    async def _take_in(self, group: Group, survey: Survey) -> None:
        """Take in what a list showed; the loop is let go on between its parts."""
        clock = asyncio.get_running_loop().time
        find, again, now = group.watches.get, self._look_again, clock()
        for count, ((task_id, run), status) in enumerate(survey.found.items(), 1):
            # Rows of tasks that are not due yet come for nothing.
            watch = find(task_id if run is None else (task_id, run, None))
            if watch is not None:
                # Most rows say nothing new: then they are the very status.
                if status is watch.status and watch.failure is None:
                    again(watch, group, 0.0, now)
                else:
                    self._after_success(watch, status)
                    self._plan(watch, 0.0, now)
            if count % AT_A_TIME == 0:
                await asyncio.sleep(0)
                now = clock()

    def _after_survey(self, group: Group, watches: list[Watch], survey: Survey) -> None:
        """Judge whether the list paid, and look alone at what it lacked."""
        found = survey.found
        lacking = [w for w in watches if (w.ref.id, w.ref.run) not in found]
        self.stats.surveys += 1
        self.stats.rows += survey.rows
        self.stats.surveyed += len(watches) - len(lacking)
        if len(lacking) * 2 > len(watches):
            self._leave_lists(group, math.inf)
        elif survey.rows > ROWS_PER_LOOK * len(watches):
            self._leave_lists(group, survey.rows / ROWS_PER_LOOK)
        self._look_alone(lacking, whole=survey.whole, asked=0.0)

    def _leave_lists(self, group: Group, least: float) -> None:
        """Read no list for a while, unless for so many looks: it does not pay."""
        group.least = least
        group.again = asyncio.get_running_loop().time() + MERGE_AGAIN

    def _look_alone(self, watches: list[Watch], *, whole: bool, asked: float) -> None:
        """
        Look one by one at what a list lacked: that is no proof of a loss.

        Args:
            watches: the tasks.
            whole: whether the list was read to its end, so that it will lack them
                again.
            asked: seconds that the service wants us to wait.
        """
        now = asyncio.get_running_loop().time()
        for watch in watches:
            if watch.group is None or watch.over:
                continue
            watch.alone = watch.alone or whole
            if asked > 0:
                self._plan(watch, asked, now)
            else:
                watch.due = now
                self._due[watch] = None


def _asked(exc: AsyncTasksError) -> float:
    """Return the seconds that the service wants us to wait; 0.0 if it does not say."""
    asked = exc.retry_after if isinstance(exc, RateLimited) else None
    return min(asked or 0.0, LONGEST)
