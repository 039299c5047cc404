"""What tasks leave when they end: fetching it, saving it, removing it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
import random

from . import files
from .counts import Counts
from .driver import Driver
from .exceptions import (
    AsyncTasksError,
    NotFound,
    ResultUnavailable,
    TaskError,
    TransportError,
)
from .hooks import ResultDetails
from .lanes import Kind
from .manners import Manners
from .sansio.dialect import Dialect
from .sansio.http import Request, Response
from .sansio.retry import backoff
from .sansio.task import TaskRef, TaskStatus
from .sansio.token import build_token


__all__ = ["Results"]

BODIES = 3
"""How often a download is begun at most whose body breaks off."""


class Results:
    """
    The results of one view of a client.

    Args:
        driver: its origin and credentials.
        dialect: its words.
        manners: whether results are kept.
        counts: what was done, shared by all views.
    """

    def __init__(
        self, driver: Driver, dialect: Dialect, *, manners: Manners, counts: Counts
    ) -> None:
        self._driver = driver
        self._dialect = dialect
        self._manners = manners
        self._counts = counts

    async def fetch(self, ref: TaskRef, status: TaskStatus) -> Response:
        """Fetch the result of a task that ended."""
        began = asyncio.get_running_loop().time()
        try:
            response = await self._fetch(ref, status)
        except AsyncTasksError as exc:
            self._tell(ref, began, 0, exc)
            raise
        self._counts.fetched += 1
        self._tell(ref, began, len(response.body), None)
        return response

    async def _fetch(self, ref: TaskRef, status: TaskStatus) -> Response:
        try:
            return await self._driver.drive(
                self._dialect.result(ref, status), kind=Kind.RESULT
            )
        except NotFound as exc:
            raise ResultUnavailable(ref.id, self._token_of(ref), status) from exc
        except TaskError as exc:
            exc.token = self._token_of(ref)  # which the dialect does not know
            raise

    async def save(self, ref: TaskRef, path: os.PathLike[str]) -> Path:
        """Stream the result of a task that ended to a file."""
        began = asyncio.get_running_loop().time()
        try:
            saved = await self._save(ref, path)
        except AsyncTasksError as exc:
            self._tell(ref, began, 0, exc)
            raise
        self._counts.fetched += 1
        self._tell(ref, began, 0, None)
        if not self._manners.keeps_results:
            await self.clean_up(ref)
        return saved

    async def _save(self, ref: TaskRef, path: os.PathLike[str]) -> Path:
        try:
            flow = self._dialect.find_download(ref)
            request = await self._driver.drive(flow, kind=Kind.RESULT)
            return await self.stream(request, path)
        except NotFound as exc:
            raise ResultUnavailable(ref.id, self._token_of(ref)) from exc
        except TaskError as exc:
            exc.token = self._token_of(ref)
            raise

    async def stream(
        self, request: Request, path: os.PathLike[str], *, replace: bool = True
    ) -> Path:
        """Stream an answer to a file, again from the start should it break off."""
        attempt = 1
        while True:
            try:
                async with self._driver.open(request) as got:
                    self._dialect.parse_head(got.head)
                    return await files.save(got.chunks, path, replace=replace)
            except TransportError as exc:
                # The head has retries of its own; this is a body that broke off.
                policy = self._driver.retry
                if not exc.retryable or attempt >= min(policy.attempts, BODIES):
                    raise
                dice = random.random()  # noqa: S311 - jitter, not secrecy
                await asyncio.sleep(backoff(policy, attempt, dice))
                attempt += 1

    def _tell(
        self,
        ref: TaskRef,
        began: float,
        received: int,
        error: AsyncTasksError | None,
    ) -> None:
        if self._driver.hooks:
            self._driver.hooks.tell(
                ResultDetails(
                    task=ref,
                    token=self._token_of(ref),
                    seconds=asyncio.get_running_loop().time() - began,
                    received=received,
                    error=error,
                )
            )

    async def clean_up(self, ref: TaskRef) -> None:
        """Remove a task whose result was fetched; failing to is no error."""
        try:
            await self.remove(ref)
        except AsyncTasksError as exc:
            self._driver.logger.warning("task %s could not be removed: %s", ref.id, exc)

    async def remove(self, ref: TaskRef) -> None:
        """Remove a task from the service."""
        await self._driver.drive(self._dialect.delete(ref))

    def _token_of(self, ref: TaskRef) -> str:
        return build_token(self._dialect, self._driver.origin, ref)
