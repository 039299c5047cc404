"""Who may submit while the outcome of another submit is not known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import weakref

from .sansio.dialect import Prepared, Reconcile


__all__ = ["Turns"]

WIDE = 1_000_000
"""Submits at the same time where nothing forbids them: lanes and limits bound them."""


class Turns:
    """
    Lets no submit be taken for another one whose answer was lost.

    Where the list of tasks is all that tells, submits go one by one, unless the user
    wants more; then a lost answer holds back new ones, and what is under way is
    waited for. So it is known how many answers are lost together, and all tasks but
    theirs are accounted for.

    Args:
        reconcile: how a lost submit can be settled.
        submits: at the same time; None: one, where overlapping ones could not be told
            apart, else any number.
    """

    def __init__(self, reconcile: Reconcile, submits: int | None) -> None:
        self._by_list = reconcile is Reconcile.ORPHANS
        self._by_config = reconcile is Reconcile.CONFIG
        width = 1 if self._by_list else WIDE
        self._slots = asyncio.Semaphore(submits or width)
        self._configs: weakref.WeakValueDictionary[str, asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )
        self._under_way = 0
        self._doubts = 0
        self._together = 0
        """How many were in doubt since there was no doubt."""

        self._change = asyncio.Event()

    @asynccontextmanager
    async def take(self, prepared: Prepared | None) -> AsyncIterator[None]:
        """
        Return the context in which a submit is intended, sent and accepted.

        Args:
            prepared: the submit; None: what is known of earlier ones is put in order.
        """
        async with self._config(prepared), self._slots:
            await self._wait(lambda: not self._doubts)
            self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
                self._tell()

    @asynccontextmanager
    async def doubt(self) -> AsyncIterator[bool]:
        """
        Return the context in which a turn's submit is settled whose answer was lost.

        It gives whether no other submit is in doubt that could be taken for it.
        """
        if not self._by_list:
            yield True
            return
        self._doubts += 1
        self._together += 1
        self._tell()
        try:
            await self._wait(lambda: self._under_way == self._doubts)
            yield self._together == 1
        finally:
            self._doubts -= 1
            self._together *= bool(self._doubts)
            self._tell()

    def _config(self, prepared: Prepared | None) -> asyncio.Lock:
        config = prepared.config_id if prepared and self._by_config else None
        if config is None:
            return asyncio.Lock()
        return self._configs.setdefault(config, asyncio.Lock())

    async def _wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
