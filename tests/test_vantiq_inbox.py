"""The queue of one subscription and its worker."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.hooks import Hooks
from asynctasks.vantiq_inbox import Inbox, InboxOptions


Frame = dict[str, Any]


class Desk:
    """An inbox, what its callback was told, and what was forgotten."""

    def __init__(self, size: int = 3, **options: Any) -> None:
        self.told: list[tuple[str, Any]] = []
        self.forgotten: list[Any] = []
        self.hold = asyncio.Event()
        self.hold.set()
        given = {"callback": self.callback, "size": size, "policy": "block"} | options
        self.inbox = Inbox(
            "/topics/t",
            InboxOptions(**given),
            forget=lambda _, frame: self.forgotten.append(frame.get("value")),
            logger=logging.getLogger("test"),
            hooks=Hooks((), logging.getLogger("test")),
        )

    async def callback(self, what: str, message: Frame) -> None:
        """Write down what is told, when it is allowed to."""
        await self.hold.wait()
        self.told.append((what, message.get("value", message.get("body"))))

    def put(self, *values: Any) -> None:
        """Put events in."""
        for value in values:
            self.inbox.put("message", {"value": value})

    async def finish(self) -> list[tuple[str, Any]]:
        """Let the inbox end; return what was told."""
        self.inbox.end()
        async with asyncio.timeout(2):
            await self.inbox.start()
        return self.told


@pytest.mark.parametrize(
    ("option", "value"), [("callback", None), ("size", 0), ("policy", "panic")]
)
def test_options_that_are_refused(option: str, value: Any) -> None:
    """A callback can be called, a queue has room, a policy is one of three."""
    options = {"callback": print, "size": 1, "policy": "block"} | {option: value}
    with pytest.raises(InvalidArgument):
        InboxOptions(**options)


async def test_in_order() -> None:
    """What is put in is told in order, and the worker ends."""
    desk = Desk()
    desk.put(1, 2)

    assert [("message", 1), ("message", 2)] == await desk.finish()


async def test_worker_waits_for_more() -> None:
    """A worker with nothing to do waits until there is something."""
    desk = Desk()
    worker = desk.inbox.start()
    for n in range(3):
        await asyncio.sleep(0.01)
        desk.put(n)
    await asyncio.sleep(0.01)

    assert [("message", n) for n in range(3)] == desk.told
    desk.inbox.end()
    await worker


async def test_worker_lets_the_subscriber_go_first() -> None:
    """The callback is called some turns of the loop after the start."""
    desk = Desk()
    desk.put(1)
    worker = desk.inbox.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [] == desk.told
    desk.inbox.end()
    await worker
    assert [("message", 1)] == desk.told


async def test_plain_function_as_callback() -> None:
    """A callback need not be async."""
    told: list[str] = []

    def callback(what: str, message: Frame) -> None:
        told.append(what)

    desk = Desk(callback=callback)
    desk.put(1)
    await desk.finish()

    assert ["message"] == told


async def test_callback_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """What was not dealt with is forgotten, logged, and the next one told."""
    told: list[Any] = []

    async def callback(what: str, message: Frame) -> None:
        told.append(message["value"])
        raise RuntimeError("my fault")

    desk = Desk(callback=callback)
    desk.put(1, 2)
    await desk.finish()

    assert ([1, 2], [1, 2]) == (told, desk.forgotten)
    assert "my fault" in caplog.text


async def test_dropping_the_oldest() -> None:
    """Dropped events are forgotten, and the callback is told of the gap first."""
    desk = Desk()
    desk.inbox.put("connect", {"value": None})
    desk.put(1, 2, 3)
    desk.inbox.drop()
    desk.inbox.drop()
    told = await desk.finish()

    assert [1, 2] == desk.forgotten
    assert {"reason": "overflow", "missed": 2, "resumed": False} == told[0][1]
    assert [("connect", None), ("message", 3)] == told[1:]


async def test_nothing_to_drop() -> None:
    """Only events are dropped."""
    desk = Desk()
    desk.inbox.put("error", {"value": None})
    desk.inbox.drop()

    assert [("error", None)] == await desk.finish()


async def test_waiting_for_room() -> None:
    """Who waits for room gets it when the callback takes something."""
    desk = Desk(size=2)
    desk.hold.clear()
    desk.put(1, 2)
    worker = desk.inbox.start()

    await asyncio.sleep(0.01)
    desk.put(3)
    waiting = asyncio.create_task(desk.inbox.room(2.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    desk.hold.set()
    assert await waiting
    desk.inbox.end()
    await worker


async def test_no_room() -> None:
    """A callback that does not move makes no room."""
    desk = Desk(size=1)
    desk.put(1)

    assert not await desk.inbox.room(0.01)


async def test_end_makes_room() -> None:
    """Who waits for room is let go when the subscription is over."""
    desk = Desk(size=1)
    desk.put(1)
    waiting = asyncio.create_task(desk.inbox.room(2.0))
    await asyncio.sleep(0)
    desk.inbox.discard()

    assert await waiting
    assert [] == await desk.finish()


async def test_end_is_told_once() -> None:
    """Whoever wants to know is told when nothing more will come."""
    ends: list[str] = []
    desk = Desk(ended=lambda: ends.append("over"))
    desk.put(1)
    await desk.finish()

    assert ["over"] == ends


async def test_cancelled_callback_is_one_that_raised() -> None:
    """A callback that awaits something cancelled loses that event only."""
    told: list[Any] = []

    async def callback(what: str, message: Frame) -> None:
        told.append(message["value"])
        if len(told) == 1:
            raise asyncio.CancelledError

    inbox = Desk(callback=callback).inbox
    for value in (1, 2):
        inbox.put("message", {"value": value})
    inbox.end()
    async with asyncio.timeout(2):
        await inbox.start()

    assert [1, 2] == told


async def test_worker_can_be_cancelled() -> None:
    """A worker that is cancelled while a callback runs ends."""
    desk = Desk()
    desk.hold.clear()
    desk.put(1)
    worker = desk.inbox.start()
    await asyncio.sleep(0.01)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
