"""What a half may be besides a function of requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asynctasks.server.aimms.service import AimmsService
from asynctasks.server.live import Calculated, Item, Live, Streamed
from asynctasks.server.vantiq.service import VantiqService
from tests.server.vantiq.worlds import make_world
from tests.server.worlds import World


def test_live() -> None:
    """Halves that speak first are told from those that only answer."""
    aimms = World().aimms

    assert (True, False) == (
        isinstance(VantiqService(make_world()), Live),
        isinstance(aimms, Live),
    )
    assert isinstance(aimms, AimmsService)


async def test_answers() -> None:
    """Answers that come later carry what makes them."""

    async def answer() -> Streamed:
        return Streamed(200, pieces=pieces())

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    streamed = await Calculated(200, answer=answer).answer()
    assert isinstance(streamed, Streamed)

    assert [b"a"] == [piece async for piece in streamed.pieces]


def test_item() -> None:
    """An item does not show its value, which may be anything."""
    assert "secret" not in repr(Item("realm", "key", b"secret"))
