"""Many handles at once: which of their tasks ends first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import ExitStack
from functools import partial

from .arguments import check_kind
from .handle import TaskHandle
from .watch import Watch


__all__ = ["as_completed"]


async def as_completed(
    handles: Iterable[TaskHandle],
) -> AsyncGenerator[TaskHandle, None]:
    """
    Yield each handle when its task is over, first the one that ends first.

    A handle whose task cannot be looked at any more is yielded too: ``result()``
    raises why. No asyncio task is started per handle.

    Raises:
        InvalidArgument: one of them is no handle.
    """
    ended: asyncio.Queue[TaskHandle] = asyncio.Queue()
    open_: dict[TaskHandle, Watch] = {}
    with ExitStack() as stack:
        for handle in handles:
            remedy = "give handles, as submit() and client.handle() return them"
            check_kind("handles", handle, TaskHandle, remedy)
            if handle in open_:
                continue
            # Until the end: result() then knows at once why a task was lost.
            watch = open_[handle] = stack.enter_context(handle.watched())
            listener = partial(_note_end, handle, ended)
            watch.listen(listener)
            stack.callback(watch.unlisten, listener)
            listener(watch)
        while open_:
            handle = await ended.get()
            if handle not in open_:
                continue  # a second word on how it ended
            watch = open_.pop(handle)
            if watch.status is not None:
                handle.see(watch.status)
            yield handle


def _note_end(
    handle: TaskHandle, ended: asyncio.Queue[TaskHandle], watch: Watch
) -> None:
    if watch.over:
        ended.put_nowait(handle)
