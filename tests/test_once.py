"""What several want at the same time, done once."""

from __future__ import annotations

import asyncio

import pytest

from asynctasks.exceptions import InvalidState
from asynctasks.once import Once, share


pytestmark = pytest.mark.virtual_time


class Work:
    """Takes a second, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.ended = 0
        self._error = error

    async def __call__(self) -> int:
        self.begun += 1
        await asyncio.sleep(1)
        self.ended += 1
        if self._error is not None:
            raise self._error
        return self.begun


async def test_work_is_done_once_for_all() -> None:
    """Who asks while it is done gets the same; who asks later has it done again."""
    work, once = Work(), Once[int]("work")

    assert [1, 1, 1] == await asyncio.gather(*[once.ask(work) for _ in range(3)])
    assert 2 == await once.ask(work)


async def test_one_who_gives_up_leaves_it_to_the_others() -> None:
    """Only when nobody waits any more it is ended."""
    work, once = Work(), Once[int]("work")
    one, other = (asyncio.create_task(once.ask(work)) for _ in range(2))
    await asyncio.sleep(0.5)
    one.cancel()

    assert (1, True) == (await other, one.cancelled())

    last = asyncio.create_task(once.ask(work))
    await asyncio.sleep(0.5)
    last.cancel()
    await asyncio.wait([last])
    await asyncio.sleep(2)

    assert (2, 1) == (work.begun, work.ended)
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_each_gets_an_error_of_his_own() -> None:
    """Tracebacks and notes are not shared."""
    once, work = Once[int]("work"), Work(InvalidState("broken"))
    asks = [once.ask(work) for _ in range(3)]
    errors = await asyncio.gather(*asks, return_exceptions=True)

    assert ["broken"] * 3 == [str(error) for error in errors]
    assert 3 == len({id(error) for error in errors})


async def test_future_is_shared() -> None:
    """Whoever gives up leaves it to the others, who get errors of their own."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = [asyncio.create_task(share(future)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    future.set_exception(InvalidState("broken"))
    _, *errors = await asyncio.gather(*waiting, return_exceptions=True)

    assert waiting[0].cancelled()
    assert ["broken"] * 2 == [str(error) for error in errors]
    assert errors[0] is not errors[1]


async def test_future_that_is_cancelled() -> None:
    """Those who wait for it are, too."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await share(future)


async def test_work_that_is_cancelled_from_outside() -> None:
    """A loop that shuts down ends it: those who wait are cancelled, not stuck."""
    once = Once[int]("work")
    asking = asyncio.create_task(once.ask(Work()))
    await asyncio.sleep(0.5)
    (doing,) = (t for t in asyncio.all_tasks() if t.get_name() == "work")
    doing.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
