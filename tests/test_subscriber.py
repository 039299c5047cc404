"""Bringing events to callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
import logging
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument, TaskLost
from asynctasks.sansio.dialect import Known, Survey
from asynctasks.sansio.events import Event, EventKind
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.subscriber import StatusSubscription, Subscriber, Wants
from asynctasks.watch import Group


pytestmark = pytest.mark.virtual_time

LOGGER = logging.getLogger("asynctasks.subscriber")

QUEUED = TaskStatus(state=TaskState.QUEUED, word="queued")
RUNNING = TaskStatus(state=TaskState.RUNNING, word="running")
DONE = TaskStatus(state=TaskState.SUCCEEDED, word="completed")

HERE = object()
"""The scope of the submits."""


@pytest.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    """Provide a subscriber, and see that it ends."""
    subscriber = Subscriber(logger=LOGGER)
    yield subscriber
    await subscriber.aclose()


def anything(scope: object, ref: TaskRef) -> bool:
    return True


def add(
    subscriber: Subscriber,
    callback: Any,
    wants: Wants | None = anything,
    queue_size: int = 1000,
) -> StatusSubscription:
    return subscriber.add(callback, wants=wants, queue_size=queue_size)


class Followed:
    """A task that is followed by a subscription, and counts who let go of it."""

    def __init__(self, name: str = "t1") -> None:
        self.released = 0
        self.watch = Group(self, lists=False).add(TaskRef(id=name), None)

    origin = "http://service.test"
    merges = False

    def token_of(self, ref: TaskRef) -> str:
        return f"token-{ref.id}"

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        return DONE

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        raise AssertionError("nobody looks here")

    def release(self) -> None:
        self.released += 1

    def by(self, subscription: StatusSubscription) -> Followed:
        subscription.follow(self.watch, self.release)
        return self


def words(events: list[Event]) -> list[str]:
    """Write events down as words."""
    return [
        f"gap of {event.missed}"
        if event.status is None
        else f"{event.task.id if event.task else ''} {event.status.word}"
        for event in events
    ]


# --- events ------------------------------------------------------------------


async def test_callback_hears_each_state_in_order(subscriber: Subscriber) -> None:
    """The callback gets what changes until the task is over; then it is let go."""
    heard: list[Event] = []
    task = Followed().by(add(subscriber, heard.append))
    for status in (QUEUED, RUNNING, RUNNING, DONE):
        task.watch.offer(status)
    await asyncio.sleep(0.1)

    assert ["t1 queued", "t1 running", "t1 completed"] == words(heard)
    assert [False, False, True] == [event.last for event in heard]
    assert {"token-t1"} == {event.token for event in heard}
    assert (1, []) == (task.released, task.watch.listeners)


async def test_subscription_says_whose_it_is(subscriber: Subscriber) -> None:
    """Its repr names the callback, and how it is with it."""
    subscription = add(subscriber, anything)
    before = repr(subscription)
    subscription.unsubscribe()

    assert "<StatusSubscription anything: 0 waiting, 0 dropped>" == before
    assert "<StatusSubscription anything: closed, 0 dropped>" == repr(subscription)


async def test_present_state_comes_first(subscriber: Subscriber) -> None:
    """What is known already is told at once."""
    heard: list[Event] = []
    task = Followed()
    task.watch.offer(RUNNING)
    task.by(add(subscriber, heard.append))
    await asyncio.sleep(0.1)

    assert ["t1 running"] == words(heard)


async def test_task_that_is_over_is_told_and_let_go(subscriber: Subscriber) -> None:
    """Of a task that is over the callback hears that, and it is not held."""
    heard: list[Event] = []
    task = Followed()
    task.watch.offer(DONE)
    task.by(add(subscriber, heard.append))
    await asyncio.sleep(0.1)

    assert (["t1 completed"], 1) == (words(heard), task.released)


async def test_lost_task_is_an_error_event(subscriber: Subscriber) -> None:
    """That there will be no more news is an event too, the last one."""
    heard: list[Event] = []
    task = Followed().by(add(subscriber, heard.append))
    lost = TaskLost("t1")
    task.watch.offer(RUNNING)
    task.watch.fail(lost)
    await asyncio.sleep(0.1)

    assert [EventKind.STATUS, EventKind.ERROR] == [event.kind for event in heard]
    assert (lost, RUNNING, True) == (heard[1].error, heard[1].status, heard[1].last)
    assert 1 == task.released


async def test_task_is_followed_once(subscriber: Subscriber) -> None:
    """Following a task twice holds it once."""
    heard: list[Event] = []
    task = Followed().by(subscription := add(subscriber, heard.append))
    task.by(subscription)

    assert 1 == task.released

    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert (["t1 completed"], 2) == (words(heard), task.released)


async def test_async_callback_is_awaited(subscriber: Subscriber) -> None:
    """The next event waits until the callback is done with this one."""
    steps: list[str] = []

    async def callback(event: Event) -> None:
        (word,) = words([event])
        steps.append(f"{word} begins")
        await asyncio.sleep(1)
        steps.append(f"{word} ends")

    task = Followed().by(add(subscriber, callback))
    task.watch.offer(RUNNING)
    task.watch.offer(DONE)
    await asyncio.sleep(3)

    assert [
        "t1 running begins",
        "t1 running ends",
        "t1 completed begins",
        "t1 completed ends",
    ] == steps


# --- callbacks that misbehave ------------------------------------------------


async def test_callback_that_raises_stays_subscribed(
    subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception is counted and logged; neither it nor others miss an event."""
    heard: list[Event] = []

    def bad(event: Event) -> None:
        heard.append(event)
        raise ValueError("no")

    others: list[Event] = []
    subscription, _ = add(subscriber, bad), add(subscriber, others.append)
    task = Followed().by(subscription)
    Followed().by(_).watch.offer(DONE)
    task.watch.offer(RUNNING)
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert ["t1 running", "t1 completed"] == words(heard)
    assert ["t1 completed"] == words(others)
    assert 2 == subscription.failures
    assert ["a callback raised; it stays subscribed"] * 2 == [
        record.getMessage() for record in caplog.records
    ]


async def test_callback_whose_awaited_task_is_cancelled_stays_subscribed(
    subscriber: Subscriber,
) -> None:
    """That something which the callback awaits was cancelled does not end it."""
    heard: list[Event] = []

    async def callback(event: Event) -> None:
        heard.append(event)
        waiting = asyncio.ensure_future(asyncio.sleep(60))
        waiting.cancel()
        await waiting

    task = Followed().by(subscription := add(subscriber, callback))
    task.watch.offer(RUNNING)
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert (["t1 running", "t1 completed"], 2) == (words(heard), subscription.failures)


async def test_slow_callback_harms_nobody_else(subscriber: Subscriber) -> None:
    """Each callback has a queue and a worker of its own."""

    async def slow(event: Event) -> None:
        await asyncio.sleep(3600)

    heard: list[Event] = []
    task = Followed()
    for callback in (slow, heard.append):
        task.by(add(subscriber, callback))
    task.watch.offer(RUNNING)
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert ["t1 running", "t1 completed"] == words(heard)


async def test_full_queue_drops_what_passes_and_tells_the_gap(
    subscriber: Subscriber,
) -> None:
    """The oldest passing events give way; the ends of tasks stay, and the count."""
    heard: list[Event] = []

    async def slow(event: Event) -> None:
        heard.append(event)
        await asyncio.sleep(10)

    subscription = add(subscriber, slow, queue_size=3)
    tasks = [Followed(f"t{number}").by(subscription) for number in range(3)]
    tasks[0].watch.offer(RUNNING)
    await asyncio.sleep(1)
    for status in (QUEUED, RUNNING, DONE):
        for task in tasks[1:]:
            task.watch.offer(status)
    await asyncio.sleep(100)

    assert [
        "t0 running",
        "gap of 3",
        "t2 running",
        "t1 completed",
        "t2 completed",
    ] == words(heard)
    assert 3 == subscription.dropped


async def test_events_that_wait_are_counted(subscriber: Subscriber) -> None:
    """How full the queues are can be asked; an empty subscription is no False."""
    subscription = add(subscriber, print)
    other = add(subscriber, print)
    task = Followed().by(subscription)
    task.watch.offer(QUEUED)
    task.watch.offer(RUNNING)

    assert (2, 0, 2) == (len(subscription), len(other), subscriber.waiting)
    assert other


async def test_queue_full_of_ends_drops_the_oldest(subscriber: Subscriber) -> None:
    """Memory is bounded even then: of the ends, the oldest gives way."""
    heard: list[Event] = []
    subscription = add(subscriber, heard.append, queue_size=2)
    for number in range(4):
        Followed(f"t{number}").by(subscription).watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert ["gap of 2", "t2 completed", "t3 completed"] == words(heard)


# --- the end of a subscription -----------------------------------------------


async def test_unsubscribe_ends_it(subscriber: Subscriber) -> None:
    """What waits is not delivered; the task is let go, the worker ends."""
    heard: list[Event] = []
    subscription = add(subscriber, heard.append)
    await asyncio.sleep(0.1)
    tasks = len(asyncio.all_tasks())
    task = Followed().by(subscription)
    task.watch.offer(RUNNING)
    subscription.unsubscribe()
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert [] == heard
    assert (1, []) == (task.released, task.watch.listeners)
    assert tasks - 1 == len(asyncio.all_tasks())


async def test_unsubscribe_within_the_callback(subscriber: Subscriber) -> None:
    """A callback may end its own subscription; it is not called again."""
    heard: list[Event] = []

    def once(event: Event) -> None:
        heard.append(event)
        subscription.unsubscribe()

    subscription = add(subscriber, once)
    task = Followed().by(subscription)
    for status in (QUEUED, RUNNING, DONE):
        task.watch.offer(status)
    await asyncio.sleep(0.1)

    assert ["t1 queued"] == words(heard)
    assert 1 == task.released


async def test_unsubscribe_in_the_midst_of_a_change(subscriber: Subscriber) -> None:
    """Another listener may end it at the very change that it would hear next."""
    heard: list[Event] = []
    subscription = add(subscriber, heard.append)
    task = Followed()
    task.watch.listen(lambda _: subscription.unsubscribe())
    task.by(subscription)
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert ([], 1) == (heard, task.released)


async def test_subscription_of_one_task_ends_with_it(subscriber: Subscriber) -> None:
    """Whoever subscribes to many tasks, one by one, leaves nothing behind."""
    heard: list[Event] = []
    kept = add(subscriber, heard.append)
    subscription = add(subscriber, heard.append, wants=None)
    await asyncio.sleep(0.1)
    tasks = len(asyncio.all_tasks())
    task = Followed().by(subscription)
    task.watch.offer(RUNNING)
    await asyncio.sleep(0.1)
    before = subscription.closed
    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert (False, True) == (before, subscription.closed)
    assert ["t1 running", "t1 completed"] == words(heard)
    assert [kept] == subscriber.wanting(HERE, TaskRef(id="t2"))
    assert tasks - 1 == len(asyncio.all_tasks())


async def test_unsubscribed_follows_nothing(subscriber: Subscriber) -> None:
    """A task that comes later is not held, and nobody asks for it."""
    subscription = add(subscriber, print)
    kept = add(subscriber, print)
    subscription.unsubscribe()

    assert 1 == Followed().by(subscription).released
    assert [kept] == subscriber.wanting(HERE, TaskRef(id="t1"))


async def test_subscription_before_its_worker_ended(subscriber: Subscriber) -> None:
    """A subscription that ends at once gets no worker at all."""
    add(subscriber, print).unsubscribe()
    await asyncio.sleep(0.1)

    assert 2 == len(asyncio.all_tasks())  # the transport, and this test


async def test_subscriptions_choose_their_tasks(subscriber: Subscriber) -> None:
    """Whoever wants a task is found by its scope and its service."""

    def solves(scope: object, ref: TaskRef) -> bool:
        return scope is HERE and ref.service == "solve"

    choosy, easy = add(subscriber, print, solves), add(subscriber, print)
    solve, other = (TaskRef(id="t", service=name) for name in ("solve", "other"))

    assert [choosy, easy] == subscriber.wanting(HERE, solve)
    assert [easy] == subscriber.wanting(HERE, other)
    assert [easy] == subscriber.wanting(object(), solve)


@pytest.mark.parametrize("callback", [None, "print", 3])
async def test_callback_that_cannot_be_called(
    subscriber: Subscriber, callback: Any
) -> None:
    """What is no function is refused when it is registered."""
    with pytest.raises(InvalidArgument, match=r"callback=.*: give a function"):
        add(subscriber, callback)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "5"])
async def test_queue_without_a_place(subscriber: Subscriber, size: Any) -> None:
    """A queue of no size could hold nothing."""
    with pytest.raises(InvalidArgument, match=f"queue_size={size!r}: must be a whole"):
        add(subscriber, print, queue_size=size)


# --- the transport -----------------------------------------------------------


async def test_transport_is_started_once(subscriber: Subscriber) -> None:
    """Starting returns the task; while it runs there is no second one."""
    task = subscriber.start()

    assert task is not None
    assert "asynctasks-subscriber" == task.get_name()
    assert subscriber.start() is None

    await subscriber.aclose()

    assert task.cancelled()


async def test_cancelled_transport_can_be_started_again(
    subscriber: Subscriber,
) -> None:
    """Events wait while the transport is down; a new one delivers them."""
    heard: list[Event] = []
    transport = subscriber.start()
    task = Followed().by(add(subscriber, heard.append))
    await asyncio.sleep(0.1)

    assert transport is not None
    transport.cancel()
    await asyncio.wait([transport])
    task.watch.offer(RUNNING)
    await asyncio.sleep(0.1)

    assert [] == heard
    assert subscriber.start() is not None

    task.watch.offer(DONE)
    await asyncio.sleep(0.1)

    assert ["t1 running", "t1 completed"] == words(heard)


async def test_closing_ends_everything(subscriber: Subscriber) -> None:
    """Workers end, also one whose callback takes long; tasks are let go."""

    async def slow(event: Event) -> None:
        await asyncio.sleep(3600)

    task = Followed().by(add(subscriber, slow))
    task.watch.offer(RUNNING)
    await asyncio.sleep(0.1)
    await subscriber.aclose()
    await subscriber.aclose()

    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert 1 == task.released


async def test_closing_what_never_ran() -> None:
    """A subscriber that was not used has nothing to end."""
    await Subscriber(logger=LOGGER).aclose()

    assert {asyncio.current_task()} == asyncio.all_tasks()
