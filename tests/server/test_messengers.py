"""Calls to those who want to be told of changes."""

from __future__ import annotations

import asyncio

import pytest

from asynctasks.sansio.http import Request
from asynctasks.server.messengers import Messenger


def notice(word: str) -> Request:
    """Make a notification."""
    return Request("PUT", f"http://127.0.0.1:9/{word}")


class Post:
    """Takes what is sent; the first takes its time."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def send(self, request: Request) -> None:
        word = request.url.rpartition("/")[2]
        for _ in range(5 if word == "slow" else 1):
            await asyncio.sleep(0)
        if word == "broken":
            raise OSError("nobody there")
        self.taken.append(word)


async def test_order() -> None:
    """Notices about the same come in their order, whatever they take; others pass."""
    post = Post()
    messenger = Messenger(post.send)
    messenger.tell("a", [notice("slow"), notice("1")])
    messenger.tell("a", [notice("2")])
    messenger.tell("b", [notice("other")])
    await asyncio.gather(*messenger.running)

    assert ["other", "slow", "1", "2"] == post.taken
    assert (set(), {}) == (messenger.running, messenger._last)


async def test_failure(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails is logged, and the next is sent."""
    post = Post()
    messenger = Messenger(post.send)
    messenger.tell("a", [notice("broken"), notice("1")])
    await asyncio.gather(*messenger.running)

    assert ["1"] == post.taken
    assert "nobody there" in caplog.text


async def test_cancel() -> None:
    """All that is on its way is cancelled, also what waits for another."""
    post = Post()
    messenger = Messenger(post.send)
    for word in ("slow", "1", "2"):
        messenger.tell("a", [notice(word)])
    sending = list(messenger.running)
    await asyncio.sleep(0)
    messenger.cancel()
    await asyncio.wait(sending)

    assert ([], [True] * 3) == (post.taken, [each.cancelled() for each in sending])


async def test_nobody() -> None:
    """Without a way to send them, notices are dropped."""
    messenger = Messenger(None)
    messenger.tell("a", [notice("1")])

    assert set() == messenger.running
