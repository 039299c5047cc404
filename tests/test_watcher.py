"""Looking at open tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import logging
import math
import random
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
import looptime
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    ConnectionLost,
    InvalidState,
    NotFound,
    ProxyError,
    RateLimited,
    RemoteProtocolError,
    ServiceBroken,
    TaskLost,
    UnexpectedContent,
)
from asynctasks.pace import Pace
from asynctasks.sansio.dialect import Known, Survey
from asynctasks.sansio.history import LearnedPolicy
from asynctasks.sansio.http import Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.watch import Watch
from asynctasks.watcher import (
    EARLY,
    LISTS_AT_ONCE,
    LOOKS_AT_ONCE,
    MERGE_AGAIN,
    MERGE_FROM,
    ROWS_PER_LOOK,
    Watcher,
)


pytestmark = pytest.mark.virtual_time

LOGGER = logging.getLogger("asynctasks.watcher")

QUEUED = TaskStatus(state=TaskState.QUEUED, word="queued")
RUNNING = TaskStatus(state=TaskState.RUNNING, word="running")
DONE = TaskStatus(state=TaskState.SUCCEEDED, word="completed")
ODD = TaskStatus(state=TaskState.UNKNOWN, word="pondering")

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

MISSING = NotFound(Response(404))
BROKEN = ServiceBroken(Response(500))


class Looker:
    """Looks at tasks as a script says; its last line is repeated."""

    origin = "http://service.test"
    merges = False

    def __init__(self, *lines: TaskStatus | BaseException, takes: float = 0.0) -> None:
        self.at: list[float] = []
        self.open = 0
        self.most = 0
        self._lines = list(lines)
        self._takes = takes

    def token_of(self, ref: TaskRef) -> str:
        return f"token-{ref.id}"

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        raise AssertionError("it has no list")

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        self.at.append(asyncio.get_running_loop().time())
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(self._takes)
        finally:
            self.open -= 1
        line = self._lines.pop(0) if len(self._lines) > 1 else self._lines[0]
        if isinstance(line, BaseException):
            raise line
        return line


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    """Provide a watcher that looks once a second, and see that it ends."""
    watcher = Watcher(Pace(EVERY_SECOND, None), logger=LOGGER)
    yield watcher
    await watcher.aclose(InvalidState("the test is over"))


def hold(
    watcher: Watcher,
    look: Any,
    key: str = "t1",
    first: TaskStatus | None = None,
) -> Watch:
    return watcher.hold(TaskRef(id=key), look, first=first)


async def end_of(watch: Watch) -> TaskStatus:
    """Wait until a watch is over; return what is known, or raise why nothing is."""
    seen = watch.version
    while not watch.over:
        seen = await watch.change(seen)
    return watch.known()


def tasks_named(name: str) -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == name]


# --- one task ----------------------------------------------------------------


async def test_looks_until_the_task_is_over(watcher: Watcher) -> None:
    """A task is looked at at once, then as the policy says, until it is over."""
    look = Looker(QUEUED, RUNNING, DONE)
    begun = asyncio.get_running_loop().time()
    status = await end_of(hold(watcher, look))

    assert DONE == status
    assert [0.0, 1.0, 2.0] == [round(at - begun, 3) for at in look.at]


async def test_first_status_saves_a_look(watcher: Watcher) -> None:
    """What the answer to the submit said is known; the first look comes later."""
    look = Looker(DONE)
    begun = asyncio.get_running_loop().time()
    watch = hold(watcher, look, first=QUEUED)

    assert QUEUED == watch.known()
    assert DONE == await end_of(watch)
    assert [1.0] == [round(at - begun, 3) for at in look.at]


async def test_task_that_is_over_is_not_looked_at(watcher: Watcher) -> None:
    """A task that is known to be over starts no loop."""
    look = Looker(RUNNING)
    watch = hold(watcher, look, first=DONE)
    await asyncio.sleep(10)

    assert DONE == watch.known()
    assert [] == look.at
    assert [] == tasks_named("asynctasks-watcher")


async def test_nothing_is_known_before_the_first_look(watcher: Watcher) -> None:
    """Asking a watch before it has seen anything is an error of the caller."""
    watch = hold(watcher, Looker(DONE))
    with pytest.raises(InvalidState, match="nothing was seen"):
        watch.known()


async def test_waits_grow_and_are_jittered() -> None:
    """The waits follow the policy; each is shortened by the dice."""
    dice = random.Random(7)
    policy = PollPolicy(
        wait_initial=1.0, wait_max=8.0, wait_exp_base=2.0, wait_jitter=0.5
    )
    watcher = Watcher(Pace(policy, None, random.Random(7)), logger=LOGGER)
    look = Looker(*[RUNNING] * 5, DONE)
    await end_of(hold(watcher, look))
    waits = [round(b - a, 3) for a, b in pairwise(look.at)]

    assert [
        round(base * (1 - 0.5 * dice.random()), 3) for base in (2, 4, 8, 8, 8)
    ] == waits


async def test_timers_that_fire_early_do_not_stop_the_clock() -> None:
    """Waits of odd lengths end although the virtual clock is coarser than they are."""
    policy = PollPolicy(wait_initial=0.1, wait_max=5.0, wait_jitter=0.9)
    watcher = Watcher(Pace(policy, None, random.Random(3)), logger=LOGGER)
    look = Looker(*[RUNNING] * 3000, DONE)
    await end_of(hold(watcher, look))

    assert 3001 == len(look.at)


async def test_older_news_do_no_harm(watcher: Watcher) -> None:
    """A late answer does not bring a task back that is over."""
    watch = hold(watcher, Looker(DONE))
    await end_of(watch)
    version = watch.version
    watch.offer(RUNNING)
    watch.fail(BROKEN)

    assert (DONE, version) == (watch.known(), watch.version)


async def test_hurry_looks_now(watcher: Watcher) -> None:
    """A hint that something happened brings the next look forward."""
    look = Looker(RUNNING, DONE)
    begun = asyncio.get_running_loop().time()
    watch = hold(watcher, look)
    await asyncio.sleep(0.25)
    watcher.hurry(watch)
    await end_of(watch)

    assert [0.0, 0.25] == [round(at - begun, 3) for at in look.at]


# --- several who hold the same task ------------------------------------------


async def test_one_look_serves_all_who_wait(watcher: Watcher) -> None:
    """The service is asked once, however many wait for the same task."""
    look = Looker(RUNNING, DONE)
    watches = [hold(watcher, look) for _ in range(100)]
    ends = await asyncio.gather(*map(end_of, watches))

    assert [DONE] * 100 == ends
    assert 2 == len(look.at)


async def test_task_is_looked_at_while_somebody_holds_it(watcher: Watcher) -> None:
    """Looking stops when the last one lets go, and the loop ends."""
    look = Looker(RUNNING)
    watch, again = hold(watcher, look), hold(watcher, look)
    await asyncio.sleep(1.5)
    watcher.release(watch)
    await asyncio.sleep(1)

    assert 3 == len(look.at)

    watcher.release(again)
    await asyncio.sleep(5)

    assert 3 == len(look.at)
    assert [] == tasks_named("asynctasks-watcher")
    assert 0 == len(watcher)


async def test_waiter_who_is_cancelled_harms_nobody(watcher: Watcher) -> None:
    """One of two waiters is cancelled; the other one gets the end."""
    watch = hold(watcher, Looker(RUNNING, RUNNING, DONE))
    one, other = (asyncio.create_task(end_of(watch)) for _ in range(2))
    await asyncio.sleep(0.5)
    one.cancel()

    assert DONE == await other
    assert one.cancelled()


async def test_waiter_cancelled_at_the_moment_of_a_change(watcher: Watcher) -> None:
    """A waiter may be cancelled between the change and its waking up."""
    watch = hold(watcher, Looker(RUNNING), first=QUEUED)
    waiting = asyncio.create_task(watch.change(watch.version))
    await asyncio.sleep(0)
    waiting.cancel()
    watch.offer(RUNNING)
    await asyncio.wait([waiting])

    assert waiting.cancelled()


async def test_released_task_that_is_held_again_is_looked_at_anew(
    watcher: Watcher,
) -> None:
    """A look that comes back after everybody left changes nothing of a new watch."""
    slow = Looker(DONE, RUNNING, takes=5)
    watcher.release(hold(watcher, slow))
    old = hold(watcher, slow)
    await asyncio.sleep(1)
    watcher.release(old)
    new = hold(watcher, slow, first=RUNNING)
    await asyncio.sleep(5)

    assert (DONE, RUNNING) == (old.known(), new.known())


async def test_word_from_elsewhere_ends_the_watch(watcher: Watcher) -> None:
    """A status that somebody else saw ends the waiting; the loop ends too."""
    look = Looker(RUNNING)
    watch = hold(watcher, look)
    await asyncio.sleep(0.5)
    watcher.tell(TaskRef(id="t1"), look, DONE)
    watcher.tell(TaskRef(id="a task that nobody watches"), look, DONE)

    assert DONE == await end_of(watch)

    await asyncio.sleep(2)

    assert 1 == len(look.at)
    assert [] == tasks_named("asynctasks-watcher")


async def test_listeners_hear_each_change(watcher: Watcher) -> None:
    """A listener is called for each change, and not when nothing changed."""
    heard: list[str] = []
    watch = hold(watcher, Looker(QUEUED, RUNNING, RUNNING, DONE))
    watch.listen(lambda watch: heard.append(watch.known().word))
    await end_of(watch)

    assert ["queued", "running", "completed"] == heard


# --- many --------------------------------------------------------------------


async def test_thousand_tasks_have_one_watcher_and_one_sleeper(
    watcher: Watcher,
) -> None:
    """Between looks there is one asyncio task and one timer, whatever is open."""
    before = asyncio.all_tasks()
    look = Looker(RUNNING)
    for number in range(1000):
        hold(watcher, look, f"t{number}")
    await asyncio.sleep(0.5)
    loop: Any = asyncio.get_running_loop()
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]

    assert 1000 == len(look.at)
    assert ["asynctasks-watcher"] == [
        task.get_name() for task in asyncio.all_tasks() - before
    ]
    assert 1 == len(timers)
    assert 1000 == len(watcher)


async def test_looks_at_the_same_time_are_bounded(watcher: Watcher) -> None:
    """Of a thousand tasks that are due together few are looked at at once."""
    look = Looker(DONE, takes=0.5)
    watches = [hold(watcher, look, f"t{number}") for number in range(1000)]
    await asyncio.gather(*map(end_of, watches))

    assert 1000 == len(look.at)
    assert LOOKS_AT_ONCE == look.most
    assert 0 == len(watcher)


async def test_task_that_waits_for_its_look_can_be_let_go(watcher: Watcher) -> None:
    """A task that is due, but released before its turn, is not looked at."""
    look = Looker(RUNNING, takes=0.5)
    watches = [hold(watcher, look, f"t{n}") for n in range(LOOKS_AT_ONCE + 2)]
    await asyncio.sleep(0.25)
    for watch in watches:
        watcher.release(watch)
    await asyncio.sleep(1)

    assert LOOKS_AT_ONCE == len(look.at)
    assert [] == tasks_named("asynctasks-watcher")


async def test_due_task_that_is_over_meanwhile_is_passed_over(
    watcher: Watcher,
) -> None:
    """A task that ended while it waited for its turn needs no look."""
    slow = Looker(DONE, takes=0.5)
    for number in range(LOOKS_AT_ONCE):
        hold(watcher, slow, f"t{number}")
    look = Looker(RUNNING)
    hold(watcher, look, "late")
    await asyncio.sleep(0.25)
    watcher.tell(TaskRef(id="late"), look, DONE)
    await asyncio.sleep(1)

    assert [] == look.at
    assert 0 == len(watcher)


# --- looks that fail ---------------------------------------------------------


async def test_failed_look_concerns_its_own_task(watcher: Watcher) -> None:
    """A refusal ends the wait for its task; that for another one goes on."""
    refused = AuthenticationFailed(Response(401))
    bad, good = hold(watcher, Looker(refused), "bad"), hold(watcher, Looker(DONE))
    with pytest.raises(AuthenticationFailed) as caught:
        await end_of(bad)

    assert refused is caught.value
    assert DONE == await end_of(good)


@pytest.mark.parametrize(
    "error", [BROKEN, ConnectionLost("it broke")], ids=["500", "lost"]
)
async def test_passing_failure_is_looked_through(
    watcher: Watcher, error: Exception
) -> None:
    """What may pass only waits for the next look; it is kept until then."""
    watch = hold(watcher, Looker(error, DONE))
    await asyncio.sleep(0.5)

    assert error is watch.failure
    assert DONE == await end_of(watch)
    assert watch.failure is None


@pytest.mark.parametrize(("asked", "waited"), [(90.0, 90.0), (0.2, 1.0), (None, 1.0)])
async def test_retry_after_is_obeyed(
    watcher: Watcher, asked: float | None, waited: float
) -> None:
    """The next look comes not before the service wants it."""
    look = Looker(RateLimited(Response(429), retry_after=asked), DONE)
    await end_of(hold(watcher, look))

    assert waited == round(look.at[1] - look.at[0], 3)


async def test_task_is_lost_after_three_404(watcher: Watcher) -> None:
    """Three answers in a row that say so make a task lost."""
    watch = hold(watcher, Looker(RUNNING, MISSING), "gone")
    with pytest.raises(TaskLost) as caught:
        await end_of(watch)

    assert ("gone", "token-gone", RUNNING) == (
        caught.value.task_id,
        caught.value.token,
        caught.value.status,
    )
    assert caught.value.__cause__ is MISSING


async def test_404_that_passes_is_forgotten(watcher: Watcher) -> None:
    """Two answers that say so and one that does not: counting starts again."""
    look = Looker(MISSING, MISSING, RUNNING, MISSING, MISSING, DONE)

    assert DONE == await end_of(hold(watcher, look))


async def test_fault_of_ours_concerns_its_own_task(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that no service causes is told to those who wait, and logged."""
    bad, good = hold(watcher, Looker(KeyError("x")), "bad"), hold(watcher, Looker(DONE))
    with pytest.raises(KeyError):
        await end_of(bad)

    assert DONE == await end_of(good)
    assert ["a look at task bad failed"] == [r.getMessage() for r in caplog.records]


async def test_unknown_word_warns_once_and_never_ends_a_wait(
    watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    """A word that we do not know is waited through, with one warning a word."""
    looks = [Looker(ODD, ODD, ODD, DONE) for _ in range(3)]
    watches = [hold(watcher, look, f"t{n}") for n, look in enumerate(looks)]
    ends = await asyncio.gather(*map(end_of, watches))

    assert [DONE] * 3 == ends
    assert [
        "task t0 is in a state this version does not know: 'pondering'; waiting on"
    ] == [record.getMessage() for record in caplog.records]


# --- crashes and the end -----------------------------------------------------


class LoadedDice(random.Random):
    """Dice that break when they are told to."""

    broken = False

    def random(self) -> float:
        if self.broken:
            raise ZeroDivisionError("the dice are broken")
        return 0.0


async def crash(watcher: Watcher, dice: LoadedDice) -> list[BaseException]:
    """Break the next look; return what those who wait are told."""
    look = Looker(RUNNING)
    watches = [hold(watcher, look, f"t{n}") for n in range(3)]
    waiters = [asyncio.create_task(end_of(watch)) for watch in watches]
    await asyncio.sleep(0.5)
    dice.broken = True
    ends = await asyncio.gather(*waiters, return_exceptions=True)
    dice.broken = False
    return [end for end in ends if isinstance(end, BaseException)]


async def test_crash_is_told_to_all_and_survived_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever waits gets the error; the watcher starts again once, not twice."""
    dice = LoadedDice()
    watcher = Watcher(Pace(EVERY_SECOND, None, dice), logger=LOGGER)
    errors = await crash(watcher, dice)

    assert ["the watcher crashed; your tasks go on remotely"] * 3 == [
        str(error) for error in errors
    ]
    assert all(isinstance(e.__cause__, ZeroDivisionError) for e in errors)
    assert ["the watcher crashed"] == [r.getMessage() for r in caplog.records]
    assert DONE == await end_of(hold(watcher, Looker(DONE)))

    await crash(watcher, dice)
    with pytest.raises(InvalidState, match="crashed twice; make a new client"):
        hold(watcher, Looker(DONE))


async def test_crash_of_the_loop_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    """When the loop cannot start a look, those who wait get the error."""
    loop = asyncio.get_running_loop()

    def refuse(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        if coroutine.__qualname__ == "Watcher._look":
            coroutine.close()
            raise MemoryError
        return asyncio.Task(coroutine, loop=loop, **options)

    watcher = Watcher(Pace(EVERY_SECOND, None), logger=LOGGER)
    loop.set_task_factory(refuse)
    try:
        with pytest.raises(InvalidState, match="the watcher crashed") as caught:
            await end_of(hold(watcher, Looker(DONE)))
    finally:
        loop.set_task_factory(None)

    assert isinstance(caught.value.__cause__, MemoryError)
    assert DONE == await end_of(hold(watcher, Looker(DONE)))


async def test_crash_in_a_list_is_survived() -> None:
    """Lists are read again after it, as many at the same time as before."""
    dice = LoadedDice()
    watcher = Watcher(Pace(EVERY_SECOND, None, dice), logger=LOGGER)
    dice.broken = True
    with pytest.raises(InvalidState, match="the watcher crashed"):
        await end_of(hold_all(watcher, lister(9), names(9))[0])
    dice.broken = False
    again = lister(9, 0.0)
    await asyncio.gather(*map(end_of, hold_all(watcher, again, again.ends)))

    assert (1, 0) == (len(again.lists), watcher._lists)


@pytest.mark.parametrize("name", ["asynctasks-watcher", "asynctasks-look"])
async def test_cancelled_watcher_leaves_nobody_waiting(
    watcher: Watcher, name: str
) -> None:
    """Should somebody cancel the watcher's own tasks, those who wait are told."""
    watch = hold(watcher, Looker(RUNNING, takes=0.5))
    await asyncio.sleep(0.25)
    (task,) = tasks_named(name)
    task.cancel()
    with pytest.raises(InvalidState, match="the watcher was cancelled"):
        await end_of(watch)


@pytest.mark.parametrize("moment", [0.25, 0.75], ids=["looking", "sleeping"])
async def test_closing_tells_those_who_wait(watcher: Watcher, moment: float) -> None:
    """Closing ends all tasks of the watcher; who waits gets the reason."""
    watch = hold(watcher, Looker(RUNNING, takes=0.5))
    waiter = asyncio.create_task(end_of(watch))
    await asyncio.sleep(moment)
    reason = InvalidState("closed")
    await watcher.aclose(reason)
    (end,) = await asyncio.gather(waiter, return_exceptions=True)

    assert reason is end
    assert {asyncio.current_task()} == asyncio.all_tasks()


# --- merged looks ------------------------------------------------------------


class Lister:
    """
    A service with a list: of strangers first, then of tasks, each with an end.

    Args:
        ends: when each task is over, on the loop's clock.
        strangers: rows of tasks that nobody watches.
        lacks: tasks that the list does not show.
        paged: whether fewer rows than all can be read.
        takes: seconds that a list takes.
    """

    origin = "http://service.test"
    merges = True

    def __init__(
        self,
        ends: Mapping[str, float],
        *,
        strangers: int = 0,
        lacks: Collection[str] = (),
        paged: bool = True,
        takes: float = 0.0,
    ) -> None:
        self.ends = dict(ends)
        self.strangers = strangers
        self.lacks = set(lacks)
        self.paged = paged
        self.takes = takes
        self.broken: BaseException | None = None
        self.single: BaseException | None = None
        self.lists: list[tuple[float, int]] = []
        """When a list was read, and for how many."""

        self.looked: list[tuple[float, str]] = []
        """When a task was looked at alone, and which."""

    def token_of(self, ref: TaskRef) -> str:
        return f"token-{ref.id}"

    def status_of(self, key: str) -> TaskStatus:
        return DONE if self.ends.get(key, 0.0) <= now() else RUNNING

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        self.looked.append((now(), ref.id))
        if self.single is not None:
            raise self.single
        return self.status_of(ref.id)

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        self.lists.append((now(), len(refs)))
        await asyncio.sleep(self.takes)
        if self.broken is not None:
            raise self.broken
        keys = [f"stranger{n}" for n in range(self.strangers)]
        keys += [key for key in self.ends if key not in self.lacks]
        shown = keys[:rows] if self.paged else keys
        return Survey(
            found={(key, None): self.status_of(key) for key in shown},
            rows=len(shown),
            whole=len(shown) == len(keys),
        )


def now() -> float:
    return asyncio.get_running_loop().time()


def names(count: int, name: str = "t") -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def lister(count: int, end: float = math.inf, **options: Any) -> Lister:
    return Lister(dict.fromkeys(names(count), end), **options)


def hold_all(
    watcher: Watcher, look: Any, keys: Iterable[str], first: TaskStatus | None = None
) -> list[Watch]:
    return [hold(watcher, look, key, first) for key in keys]


def times(looks: Sequence[tuple[float, object]], begun: float) -> list[float]:
    return [round(at - begun, 3) for at, _ in looks]


async def test_looks_that_are_due_together_are_one_list(watcher: Watcher) -> None:
    """A hundred tasks cost one request a second, and each ends when it should."""
    begun = now()
    look = lister(100, begun + 2.5)
    ends = await asyncio.gather(*map(end_of, hold_all(watcher, look, names(100))))

    assert [DONE] * 100 == ends
    assert ([0.0, 1.0, 2.0, 3.0], []) == (times(look.lists, begun), look.looked)
    assert (4, 400, 400, 0) == (
        watcher.stats.surveys,
        watcher.stats.surveyed,
        watcher.stats.rows,
        watcher.stats.looks,
    )


async def test_few_looks_are_not_worth_a_list(watcher: Watcher) -> None:
    """One task fewer than it takes is looked at one by one."""
    look = lister(MERGE_FROM - 1)
    hold_all(watcher, look, look.ends)
    await asyncio.sleep(2.5)

    assert (3 * (MERGE_FROM - 1), []) == (len(look.looked), look.lists)


async def test_merging_can_be_switched_off() -> None:
    """With ``merge=False`` nothing but single looks is made."""
    watcher = Watcher(Pace(EVERY_SECOND, None), logger=LOGGER, merge=False)
    look = lister(20, 0.0)
    await asyncio.gather(*map(end_of, hold_all(watcher, look, look.ends)))

    assert (20, []) == (len(look.looked), look.lists)


async def test_tasks_that_will_be_due_soon_join(watcher: Watcher) -> None:
    """A list is read for those too whose look comes within a part of their wait."""
    begun = now()
    look = lister(7)
    hold_all(watcher, look, names(2), RUNNING)
    await asyncio.sleep(EARLY - 0.01)
    hold_all(watcher, look, names(7), RUNNING)
    await asyncio.sleep(1)

    assert [(1.0, 7)] == [(round(at - begun, 3), n) for at, n in look.lists]
    assert [] == look.looked


async def test_too_few_to_join_are_left_to_their_time(watcher: Watcher) -> None:
    """If those that are due soon do not make a list, nobody is looked at early."""
    begun = now()
    look = lister(3)
    hold_all(watcher, look, names(2), RUNNING)
    await asyncio.sleep(0.2)
    hold_all(watcher, look, names(3), RUNNING)
    await asyncio.sleep(1.1)

    assert [1.0, 1.0, 1.2] == times(look.looked, begun)


async def test_rows_of_tasks_not_yet_due_come_for_nothing(watcher: Watcher) -> None:
    """A task that the list happens to show needs no look of its own for a while."""
    begun = now()
    look = lister(5)
    hold_all(watcher, look, names(4), RUNNING)
    await asyncio.sleep(0.5)
    hold(watcher, look, "t4", QUEUED)
    await asyncio.sleep(2)

    assert [(1.0, 4), (2.0, 5)] == [(round(at - begun, 3), n) for at, n in look.lists]
    assert [] == look.looked


async def test_rows_for_nothing_do_not_stretch_the_waits() -> None:
    """The waits grow with a task's own looks, not with what lists show of it."""
    policy = PollPolicy(
        wait_initial=1.0, wait_max=64.0, wait_exp_base=4.0, wait_jitter=0.0
    )
    watcher = Watcher(Pace(policy, None), logger=LOGGER)
    look = lister(9)
    (watch,) = hold_all(watcher, look, ["t8"], RUNNING)
    for _ in range(5):
        hold_all(watcher, look, names(8))
        await asyncio.sleep(0.5)
        for key in names(8):
            found = watcher.find(TaskRef(id=key), look)
            assert found is not None
            watcher.release(found)

    assert (5, 0, 1.0) == (len(look.lists), watch.looks, watch.wait)
    await watcher.aclose(InvalidState("the test is over"))


async def test_list_that_lacks_a_task_is_no_proof(watcher: Watcher) -> None:
    """What a whole list lacks is looked at alone, from then on, and never lost."""
    begun = now()
    look = lister(10, begun + 2.5, lacks={"t3"})
    ends = await asyncio.gather(*map(end_of, hold_all(watcher, look, look.ends)))

    assert [DONE] * 10 == ends
    assert [10, 9, 9, 9] == [count for _, count in look.lists]
    assert ([0.0, 1.0, 2.0, 3.0], {"t3"}) == (
        times(look.looked, begun),
        {key for _, key in look.looked},
    )


async def test_list_that_was_cut_off_says_nothing_of_the_rest(
    watcher: Watcher,
) -> None:
    """Tasks beyond the rows that were read may be in the next list."""
    look = lister(10, strangers=10 * ROWS_PER_LOOK - 8)
    watches = hold_all(watcher, look, look.ends)
    await asyncio.sleep(0.5)

    assert {"t8", "t9"} == {key for _, key in look.looked}
    assert not any(watch.alone for watch in watches)

    look.strangers = 0
    await asyncio.sleep(1)

    assert ([10, 10], 2) == ([count for _, count in look.lists], len(look.looked))


@pytest.mark.parametrize(
    "error",
    [BROKEN, ConnectionLost("it broke"), AuthenticationFailed(Response(401)), KeyError],
    ids=["500", "lost", "refused", "ours"],
)
async def test_list_that_fails_falls_back_to_single_looks(
    watcher: Watcher, error: BaseException
) -> None:
    """Nobody is hung by it; lists are left alone for a while, then tried again."""
    begun = now()
    look = lister(10, begun + MERGE_AGAIN + 1.5, takes=0.25)
    look.broken = error
    watches = hold_all(watcher, look, look.ends)
    await asyncio.sleep(1.0)

    assert (1, 10) == (len(look.lists), len(look.looked))

    look.broken = None
    ends = await asyncio.gather(*map(end_of, watches))

    assert [DONE] * 10 == ends
    assert [0.0, MERGE_AGAIN + 0.25] == times(look.lists, begun)[:2]


async def test_list_that_is_throttled_is_waited_for(watcher: Watcher) -> None:
    """Nobody is looked at before the service wants it, alone or not."""
    begun = now()
    look = lister(10)
    look.broken = RateLimited(Response(429), retry_after=50.0)
    watches = hold_all(watcher, look, look.ends)
    await asyncio.sleep(1)
    look.broken = None
    watcher.hurry(watches[0])
    await asyncio.sleep(50)

    assert [0.0, 50.0] == times(look.lists, begun)[:2]
    assert [] == look.looked


async def test_list_that_mostly_lacks_is_given_up_for_a_while(
    watcher: Watcher,
) -> None:
    """A list that shows less than half of what is wanted does not pay."""
    begun = now()
    look = lister(10, lacks=names(6))
    hold_all(watcher, look, look.ends)
    await asyncio.sleep(MERGE_AGAIN + 1.5)

    assert [0.0, MERGE_AGAIN, MERGE_AGAIN + 1] == times(look.lists, begun)
    assert [10, 4, 4] == [count for _, count in look.lists]


async def test_long_list_is_read_for_many_only(watcher: Watcher) -> None:
    """A list that cannot be cut is read again when it pays: for enough looks."""
    rows = ROWS_PER_LOOK * 50
    look = lister(10, strangers=rows - 10, paged=False)
    hold_all(watcher, look, look.ends)
    await asyncio.sleep(2.5)

    assert ([10], 20) == ([count for _, count in look.lists], len(look.looked))

    await asyncio.sleep(0.4)
    look.ends |= dict.fromkeys(names(40, "more"), math.inf)
    look.strangers -= 40
    hold_all(watcher, look, names(40, "more"))
    await asyncio.sleep(1.2)

    assert [10, 50] == [count for _, count in look.lists]


async def test_tasks_due_while_a_list_is_read_wait_for_the_next(
    watcher: Watcher,
) -> None:
    """There is one list at a time, and its rows serve those who came meanwhile."""
    begun = now()
    look = lister(12, takes=0.75)
    hold_all(watcher, look, names(6))
    await asyncio.sleep(0.25)
    hold_all(watcher, look, names(12))
    await asyncio.sleep(0.6)

    assert ([0.0], []) == (times(look.lists, begun), look.looked)


async def test_tasks_due_while_a_list_fails_are_looked_at(watcher: Watcher) -> None:
    """They are begun as soon as the list is over."""
    begun = now()
    look = lister(12, takes=0.75)
    look.broken = BROKEN
    hold_all(watcher, look, names(6))
    await asyncio.sleep(0.25)
    hold_all(watcher, look, names(12))
    await asyncio.sleep(0.6)

    assert ([0.0], [0.75] * 12) == (times(look.lists, begun), times(look.looked, begun))


async def test_task_whose_service_asked_for_time_does_not_join(
    watcher: Watcher,
) -> None:
    """A list is not read for it before the service wants it."""
    look = lister(5)
    look.single = RateLimited(Response(429), retry_after=1.2)
    hold_all(watcher, look, ["t4"])
    await asyncio.sleep(0.05)
    hold_all(watcher, look, names(4), RUNNING)
    await asyncio.sleep(1.1)

    assert [4] == [count for _, count in look.lists]


async def test_long_list_does_not_block_the_loop(watcher: Watcher) -> None:
    """Others have their turn while ten thousand rows are taken in."""
    look = lister(10_000, 0.0)
    watches = hold_all(watcher, look, look.ends)
    seen: list[int] = []
    while not all(watch.over for watch in watches):
        await asyncio.sleep(0)
        seen.append(sum(watch.over for watch in watches))

    assert 1000 == max(after - before for before, after in pairwise([0, *seen]))


async def test_views_do_not_mix(watcher: Watcher) -> None:
    """The same ids under other credentials are other tasks, with lists of their own."""
    mine, yours = lister(5, 0.0), lister(5)
    done = hold_all(watcher, mine, mine.ends)
    running = hold_all(watcher, yours, yours.ends)
    await asyncio.sleep(0.5)

    assert [DONE] * 5 == [watch.known() for watch in done]
    assert [RUNNING] * 5 == [watch.known() for watch in running]
    assert (1, 1) == (len(mine.lists), len(yours.lists))


async def test_many_views_share_the_lists_that_are_read_at_once(
    watcher: Watcher,
) -> None:
    """Of a thousand views few read their lists at once; all have their turn."""
    views = [lister(4, 0.0, takes=0.01) for _ in range(1000)]
    watches = [w for view in views for w in hold_all(watcher, view, view.ends)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    at_once = len(tasks_named("asynctasks-look"))
    await asyncio.gather(*map(end_of, watches))

    assert LISTS_AT_ONCE == at_once
    assert [1] * 1000 == [len(view.lists) for view in views]
    assert {} == watcher._groups


async def test_runs_of_a_recurring_task_are_found(watcher: Watcher) -> None:
    """A list tells the runs of a task apart, and which is the last."""
    look = Lister({})
    runs = {0: DONE, 1: RUNNING, 2: QUEUED}

    async def survey(refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        found: dict[tuple[str, int | None], TaskStatus] = {
            ("r", run): status for run, status in runs.items()
        }
        return Survey(found={**found, ("r", None): QUEUED}, rows=3, whole=True)

    look.survey = survey  # type: ignore[method-assign]
    wanted = [0, 1, 2, None]
    watches = [watcher.hold(TaskRef(id="r", run=run), look) for run in wanted]
    await asyncio.sleep(0.5)

    assert [DONE, RUNNING, QUEUED, QUEUED] == [watch.known() for watch in watches]
    assert [] == look.looked


async def test_relaunched_task_is_looked_at_alone(watcher: Watcher) -> None:
    """A list does not tell the generations of a task apart."""
    look = lister(10)
    for key in look.ends:
        watcher.hold(TaskRef(id=key, generation=1), look)
    await asyncio.sleep(0.5)

    assert ([], 10) == (look.lists, len(look.looked))


async def test_task_that_seems_lost_is_confirmed_alone(watcher: Watcher) -> None:
    """After a 404 a task is no longer looked for in the list."""
    look = lister(10, lacks={"t0"})
    watches = hold_all(watcher, look, look.ends)
    calls = 0

    async def look_once(ref: TaskRef) -> TaskStatus:
        nonlocal calls
        calls += 1
        raise MISSING

    look.look_once = look_once  # type: ignore[method-assign]
    with pytest.raises(TaskLost):
        await end_of(watches[0])

    assert 3 == calls
    assert [10, 9, 9] == [count for _, count in look.lists]


async def test_view_that_nobody_uses_is_forgotten(watcher: Watcher) -> None:
    """What is known of a view goes with its last task."""
    for _ in range(100):
        look = lister(5)
        for watch in hold_all(watcher, look, look.ends):
            watcher.release(watch)
    await asyncio.sleep(0)

    assert ({}, 0) == (watcher._groups, len(watcher))
    assert (0, 0) == (len(watcher._ready), watcher.backlog)


async def test_ten_thousand_due_looks_are_begun_in_order(watcher: Watcher) -> None:
    """The work for each look does not grow with the number of those that wait."""
    look = Looker(DONE, takes=0.001)
    watches = hold_all(watcher, look, names(10_000))
    await asyncio.sleep(0)
    backlog = watcher.backlog
    await asyncio.gather(*map(end_of, watches))

    assert (10_000, 10_000) == (backlog + LOOKS_AT_ONCE, len(look.at))


# --- hints -------------------------------------------------------------------


async def test_hint_during_a_look_is_not_lost(watcher: Watcher) -> None:
    """A look that is under way may have come too early: another one follows at once."""
    begun = now()
    look = Looker(RUNNING, DONE, takes=0.5)
    watch = hold(watcher, look)
    await asyncio.sleep(0.25)
    watcher.hurry(watch)
    await end_of(watch)

    assert [0.0, 0.5] == [round(at - begun, 3) for at in look.at]


async def test_hint_does_not_hurry_a_service_that_asked_for_time(
    watcher: Watcher,
) -> None:
    """Retry-After is obeyed whatever happens to the task."""
    look = Looker(RateLimited(Response(429), retry_after=90.0), DONE)
    watch = hold(watcher, look)
    await asyncio.sleep(1)
    watcher.hurry(watch)
    await end_of(watch)

    assert 90.0 == round(look.at[1] - look.at[0], 3)


# --- learned schedules -------------------------------------------------------


def learning(**options: Any) -> Watcher:
    return Watcher(Pace(EVERY_SECOND, LearnedPolicy(**options)), logger=LOGGER)


def reported(seconds: float) -> TaskStatus:
    return attrs.evolve(DONE, queue_time=0.25 * seconds, run_time=0.75 * seconds)


async def finish(watcher: Watcher, ref: TaskRef, *script: Any, since: Any) -> None:
    """See a task to its end, and let go of it."""
    watch = watcher.hold(ref, Looker(*script), first=None, since=since)
    await end_of(watch)
    watcher.release(watch)


def learned_of(watcher: Watcher) -> list[tuple[object, int, float]]:
    """Return, by service, how many durations are known and their median."""
    histories = watcher.pace._histories.items()
    return [(key, len(known), round(known.median, 2)) for key, known in histories]


async def test_schedule_is_learned_from_reported_durations() -> None:
    """After some tasks of an hour the next one is looked at a few times, not 3,600."""
    watcher = learning()
    solve = TaskRef(id="x", service="solve")
    for number in range(10):
        ref = attrs.evolve(solve, id=f"old{number}")
        await finish(watcher, ref, reported(3600.0), since=None)
    begun = now()
    look = lister(1, begun + 3600)
    ref = attrs.evolve(solve, id="t0")
    watch = watcher.hold(ref, look, first=QUEUED, since=begun)
    await end_of(watch)
    first, *_, last = times(look.looked, begun)

    assert 5 <= len(look.looked) <= 25
    assert 200 <= first <= 900
    assert 3600 <= last <= 3600 * 1.2


async def test_schedule_is_learned_from_durations_that_were_seen() -> None:
    """Where the service reports none, the time from submit to end is taken."""
    watcher = learning()
    for number in range(3):
        ref = TaskRef(id=f"t{number}", service="solve")
        await finish(watcher, ref, *[RUNNING] * 10, DONE, since=now())

    assert [(3, 10.0)] == [(n, median) for _, n, median in learned_of(watcher)]


async def test_first_tasks_are_looked_at_as_the_policy_says() -> None:
    """Before enough is known of a service, the plain policy holds."""
    watcher = learning(least=5)
    for number in range(4):
        ref = TaskRef(id=f"t{number}", service="solve")
        await finish(watcher, ref, reported(100.0), since=None)
    look = Looker(*[RUNNING] * 3, DONE)
    begun = now()
    await end_of(watcher.hold(TaskRef(id="x", service="solve"), look, since=begun))

    assert [0.0, 1.0, 2.0, 3.0] == [round(at - begun, 3) for at in look.at]


async def test_each_service_has_its_own_durations() -> None:
    """What one service takes says nothing of another, or of another version."""
    watcher = learning()
    for service, version, seconds in [("a", "1", 5.0), ("b", "1", 50.0), ("a", "2", 8)]:
        for number in range(2):
            ref = TaskRef(id=f"{number}", service=service, app_version=version)
            await finish(watcher, ref, reported(seconds), since=None)

    assert [(2, 5.0), (2, 50.0), (2, 8.0)] == [
        (count, median) for _, count, median in learned_of(watcher)
    ]


async def test_services_that_are_remembered_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service that was learned first is forgotten first."""
    monkeypatch.setattr("asynctasks.pace.SERVICES", 3)
    watcher = learning()
    for number in range(5):
        ref = TaskRef(id="x", service=f"s{number}")
        await finish(watcher, ref, reported(1.0), since=None)
    services = [key for key, _, _ in learned_of(watcher)]

    assert [("http://service.test", None, None, f"s{n}") for n in (2, 3, 4)] == services


async def test_age_of_a_task_of_another_process_is_what_is_reported() -> None:
    """A task that has run for long when it is first seen is not taken for a new one."""
    watcher = learning()
    for number in range(10):
        ref = TaskRef(id=f"old{number}", service="solve")
        await finish(watcher, ref, reported(1000.0), since=None)
    aged = attrs.evolve(RUNNING, queue_time=100.0, run_time=800.0)
    old, new = Looker(aged), Looker(RUNNING)
    watches = [
        watcher.hold(TaskRef(id=f"x{n}", service="solve"), look)
        for n, look in enumerate([old, new])
    ]
    await asyncio.sleep(0.5)

    assert (900.0, 0.0) == tuple(
        round(now() - 0.5 - (watch.since or 0.0)) for watch in watches
    )
    assert watches[0].wait < 100 < watches[1].wait
    await watcher.aclose(InvalidState("the test is over"))


BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "since", "expected"),
    [
        (reported(8.0), None, 8.0),
        (reported(8.0), 5.0, 8.0),
        (DONE, 5.0, 5.0),
        (DONE, None, None),
        (attrs.evolve(DONE, run_time=3.0), None, None),
        (
            attrs.evolve(
                DONE, created_at=BEGAN, ended_at=BEGAN + timedelta(seconds=90)
            ),
            None,
            90.0,
        ),
        (attrs.evolve(reported(8.0), state=TaskState.CANCELLED), 5.0, None),
        (attrs.evolve(reported(8.0), state=TaskState.FAILED), None, 8.0),
    ],
    ids=["reported", "both", "seen", "none", "part", "times", "cancelled", "failed"],
)
async def test_only_durations_that_are_known_are_learned(
    status: TaskStatus, since: float | None, expected: float | None
) -> None:
    """What was over when it was first seen tells nothing, unless it is reported."""
    watcher = learning()
    submitted = None if since is None else now() - since
    await finish(watcher, TaskRef(id="t1"), status, since=submitted)
    medians = [median for _, _, median in learned_of(watcher)]

    assert ([] if expected is None else [expected]) == medians


async def test_unknown_words_are_not_remembered_without_end(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that invents a word each time fills neither memory nor log."""
    monkeypatch.setattr("asynctasks.watcher.WORDS", 3)
    words = [attrs.evolve(ODD, word=f"word{n}") for n in range(10)]
    await end_of(hold(watcher, Looker(*words, DONE)))

    assert {"word0", "word1", "word2"} == watcher._words


async def test_lateness_is_counted(watcher: Watcher) -> None:
    """Looks that wait for a place begin late, and that is summed up."""
    look = Looker(DONE, takes=0.5)
    watches = hold_all(watcher, look, names(2 * LOOKS_AT_ONCE))
    await asyncio.gather(*map(end_of, watches))
    stats = watcher.stats

    assert 2 * LOOKS_AT_ONCE == stats.begun == stats.looks == stats.finished
    assert 0.5 * LOOKS_AT_ONCE == pytest.approx(stats.late, rel=0.01)


# --- nobody is forgotten -----------------------------------------------------


KEYS = st.sampled_from(names(8))

MOODS: list[Any] = ["fine", "slow", "cut", "lacking", BROKEN, MISSING, KeyError("x")]
MOODS += [RateLimited(Response(429), retry_after=2.0), ConnectionLost("it broke")]

STEPS = st.one_of(
    st.tuples(st.sampled_from(["hold", "release", "hurry", "tell", "end"]), KEYS),
    st.tuples(st.just("mood"), st.sampled_from(MOODS)),
    st.tuples(st.just("pass"), st.floats(0.0, 5.0)),
)


class Moody(Lister):
    """A service that does all there is to be done wrong."""

    mood: Any = "fine"

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        status = await super().look_once(ref)
        await asyncio.sleep(0.7 if self.mood == "slow" else 0.0)
        if isinstance(self.mood, Exception):
            raise self.mood
        return status

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        self.broken = self.mood if isinstance(self.mood, Exception) else None
        self.takes = 0.7 if self.mood == "slow" else 0.0
        self.strangers = 1000 if self.mood == "cut" else 0
        self.lacks = set(names(4)) if self.mood == "lacking" else set()
        return await super().survey(refs, rows, known)


class WatcherModel:
    """A watcher of a moody service, and those who hold its tasks."""

    def __init__(self) -> None:
        self.watcher = Watcher(Pace(EVERY_SECOND, None), logger=LOGGER)
        self.service = Moody(dict.fromkeys(names(8), math.inf))
        self.held: list[Watch] = []

    async def do(self, what: str, about: Any) -> None:
        found = [watch for watch in self.held if watch.ref.id == about]
        match what:
            case "hold":
                self.held.append(hold(self.watcher, self.service, about))
            case "release" if found:
                self.held.remove(found[0])
                self.watcher.release(found[0])
            case "hurry" if found:
                self.watcher.hurry(found[0])
            case "tell":
                self.watcher.tell(TaskRef(id=about), self.service, RUNNING)
            case "end":
                self.service.ends[about] = now()
            case "mood":
                self.service.mood = about
            case "pass":
                await asyncio.sleep(about)

    async def end(self) -> None:
        """Let the service recover, and all tasks end."""
        self.service.mood = "fine"
        self.service.ends = dict.fromkeys(names(8), now())
        await asyncio.sleep(10)

        assert [] == [watch.ref.id for watch in self.held if not watch.over]
        assert (0, [], []) == (
            self.watcher.backlog,
            tasks_named("asynctasks-look"),
            tasks_named("asynctasks-watcher"),
        )


@given(st.lists(STEPS, max_size=30))
def test_no_open_task_is_forgotten(steps: list[tuple[str, Any]]) -> None:
    """After whatever failures, merges, holds and hints, each task's end is seen."""

    async def play() -> None:
        model = WatcherModel()
        for what, about in steps:
            await model.do(what, about)
        await model.end()

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(play())


ODD_ANSWERS = [
    UnexpectedContent("JSON", Response(200), "an HTML page"),
    RemoteProtocolError("a value at $.state", Response(200)),
    ProxyError("the proxy did not connect"),
]


@pytest.mark.parametrize("error", ODD_ANSWERS, ids=lambda error: type(error).__name__)
async def test_odd_answer_that_passes_ends_no_wait(
    watcher: Watcher, error: AsyncTasksError
) -> None:
    """A page of maintenance in the middle of hours is looked through."""
    look = Looker(RUNNING, error, error, RUNNING, error, DONE)

    assert DONE == await end_of(hold(watcher, look))


@pytest.mark.parametrize("error", ODD_ANSWERS, ids=lambda error: type(error).__name__)
async def test_odd_answer_that_stays_ends_the_wait(
    watcher: Watcher, error: AsyncTasksError
) -> None:
    """What makes no sense three times in a row is told."""
    look = Looker(RUNNING, error)
    with pytest.raises(type(error)):
        await end_of(hold(watcher, look))

    assert 4 == len(look.at)


async def test_confirming_looks_are_spaced() -> None:
    """Even an eager policy leaves a restarting service some time."""
    eager = PollPolicy(wait_initial=0.001, wait_max=0.001, wait_jitter=0.0)
    watcher = Watcher(Pace(eager, None), logger=LOGGER)
    look = Looker(MISSING)
    with pytest.raises(TaskLost):
        await end_of(hold(watcher, look))
    first, second, third = look.at

    assert (0.25, 0.5) == (round(second - first, 3), round(third - second, 3))


async def test_task_that_ends_while_its_list_waits_for_a_place(
    watcher: Watcher,
) -> None:
    """Lists wait for each other; a group that has nothing due any more is no crash."""
    for _ in range(LISTS_AT_ONCE):
        hold_all(watcher, lister(MERGE_FROM, takes=0.5), names(MERGE_FROM))
    await asyncio.sleep(0)
    look = lister(MERGE_FROM + 1)
    waiting = hold_all(watcher, look, names(MERGE_FROM), first=RUNNING)
    late = hold(watcher, look, "late")
    await asyncio.sleep(0.1)

    assert [] == look.lists + look.looked

    watcher.tell(late.ref, look, DONE)
    await asyncio.sleep(2)

    assert [None] * MERGE_FROM == [watch.error for watch in waiting]
    assert {MERGE_FROM} == {count for _, count in look.lists}


async def test_answers_of_another_kind_are_no_confirmation(watcher: Watcher) -> None:
    """404 and 500 in turn are not three 404 in a row."""
    look = Looker(MISSING, BROKEN, MISSING, BROKEN, MISSING, BROKEN, DONE)

    assert DONE == await end_of(hold(watcher, look, first=RUNNING))


@pytest.mark.parametrize("merges", [False, True])
async def test_nobody_makes_us_wait_for_ever(watcher: Watcher, merges: bool) -> None:
    """Whatever a service asks for, a task is looked at once an hour at least."""
    never = RateLimited(Response(429), retry_after=1e300)
    if merges:
        lists = lister(MERGE_FROM)
        lists.broken = never
        watches = hold_all(watcher, lists, names(MERGE_FROM))
        await asyncio.sleep(1)
        lists.broken = None
        lists.ends = dict.fromkeys(lists.ends, 0.0)
    else:
        watches = [hold(watcher, Looker(never, DONE))]
    begun = now()
    for watch in watches:
        await end_of(watch)

    assert 3500 < now() - begun < 3700
