"""Looking at open tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
import logging
import random
from typing import Any

import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidState,
    NotFound,
    RateLimited,
    ServiceBroken,
    TaskLost,
)
from asynctasks.sansio.dialect import Survey, TaskRef, TaskState, TaskStatus
from asynctasks.sansio.http import Response
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.watch import Watch
from asynctasks.watcher import LOOKS_AT_ONCE, Watcher


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

    async def survey(self, refs: Sequence[TaskRef], rows: int) -> Survey:
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
    watcher = Watcher(policy=EVERY_SECOND, logger=LOGGER)
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
    watcher = Watcher(policy=policy, logger=LOGGER, dice=random.Random(7))
    look = Looker(*[RUNNING] * 5, DONE)
    await end_of(hold(watcher, look))
    waits = [round(b - a, 3) for a, b in pairwise(look.at)]

    assert [
        round(base * (1 - 0.5 * dice.random()), 3) for base in (2, 4, 8, 8, 8)
    ] == waits


async def test_timers_that_fire_early_do_not_stop_the_clock() -> None:
    """Waits of odd lengths end although the virtual clock is coarser than they are."""
    policy = PollPolicy(wait_initial=0.1, wait_max=5.0, wait_jitter=0.9)
    watcher = Watcher(policy=policy, logger=LOGGER, dice=random.Random(3))
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
    watcher = Watcher(policy=EVERY_SECOND, logger=LOGGER, dice=dice)
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

    watcher = Watcher(policy=EVERY_SECOND, logger=LOGGER)
    loop.set_task_factory(refuse)
    try:
        with pytest.raises(InvalidState, match="the watcher crashed") as caught:
            await end_of(hold(watcher, Looker(DONE)))
    finally:
        loop.set_task_factory(None)

    assert isinstance(caught.value.__cause__, MemoryError)
    assert DONE == await end_of(hold(watcher, Looker(DONE)))


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
