"""
A task in your hand: an id, a dialect and a client; making one does no I/O.

Handles take a :class:`Tasks`, which is the part of a client that they need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from functools import partial
import logging
import os
from pathlib import Path
from typing import Any, Protocol

import attrs

from .arguments import check_wait
from .exceptions import (
    AsyncTasksError,
    PatienceExceeded,
    TaskCancelled,
    TaskError,
    TaskFailed,
    fresh,
)
from .manners import Decode, Manners, RemotePolicy, check_waiting
from .once import Once
from .results import Results
from .sansio.answers import decode_content
from .sansio.http import Response
from .sansio.task import TaskRef, TaskState, TaskStatus, merge_status
from .watch import Watch


__all__ = ["TaskHandle", "Tasks"]

CONFIRM = 60.0
"""Seconds within which a cancel is confirmed, unless the caller says otherwise."""

CANCEL_WITHIN = 10.0
"""Seconds that the cancel of ``on_cancel`` and ``on_timeout`` takes at most."""


class Tasks(Protocol):
    """What a handle needs of the client that made it."""

    @property
    def manners(self) -> Manners:
        """How tasks are treated where the caller does not say."""

    @property
    def results(self) -> Results:
        """What tasks leave when they end."""

    @property
    def logger(self) -> logging.Logger:
        """Gets what must not be raised."""

    def token_of(self, ref: TaskRef) -> str:
        """Return the token of a task."""

    async def look(self, ref: TaskRef) -> TaskStatus:
        """Ask for the status of a task."""

    def hold(
        self, ref: TaskRef, first: TaskStatus | None, since: float | None = None
    ) -> Watch:
        """Watch a task, which was submitted at a time of the loop's clock."""

    def release(self, watch: Watch) -> None:
        """Let go of a watch."""

    def tell(self, ref: TaskRef, status: TaskStatus) -> None:
        """Tell those who watch a task what was seen of it elsewhere."""

    async def ask_cancel(self, ref: TaskRef) -> TaskStatus:
        """Ask the service to end a task."""

    async def nap(self, looks: int) -> None:
        """Wait as the poll policy says after so many looks."""


class TaskHandle:
    """
    One remote task.

    ``await handle`` is ``await handle.result()``. Any number of coroutines may wait
    for the same handle; the service is asked once for all of them. A wait that is
    given up or cancelled leaves the remote task alone.
    """

    def __init__(
        self,
        tasks: Tasks,
        ref: TaskRef,
        status: TaskStatus | None = None,
        *,
        since: float | None = None,
    ) -> None:
        self._tasks = tasks
        self._ref = ref
        self._status = status
        self._since = since
        self._fetch: Once[Response] | None = None
        self._kept: Response | None = None

    def __repr__(self) -> str:
        state = self._status.state.name if self._status else "not seen yet"
        run = "" if self._ref.run is None else f" run {self._ref.run}"
        return f"<TaskHandle {self._ref.id}{run}: {state}>"

    @property
    def id(self) -> str:
        """The service's id of the task."""
        return self._ref.id

    @property
    def ref(self) -> TaskRef:
        """Everything that identifies the task at the service."""
        return self._ref

    @property
    def token(self) -> str:
        """
        The text from which ``client.handle(token)`` makes this handle again.

        It is JSON without secrets; keep it in a database or a URL.
        """
        return self._tasks.token_of(self._ref)

    @property
    def last_status(self) -> TaskStatus | None:
        """What was last seen of the task, without asking; None before."""
        return self._status

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.result().__await__()

    async def status(self) -> TaskStatus:
        """
        Ask for the status once.

        Raises:
            NotFound: the service does not know the task (any more).
        """
        return self.see(await self._tasks.look(self._ref))

    async def updates(self) -> AsyncGenerator[TaskStatus, None]:
        """
        Go through the states of the task: the present one first, the last one last.

        A reader who is slow gets the newest state, not each one in between. The
        iteration ends after the state in which the task is over; it has no time
        limit of its own: put it under ``asyncio.timeout()``.

        Raises:
            TaskLost: the service no longer knows the task.
            AsyncTasksError: the task cannot be looked at, e.g. the key is refused.
        """
        with self.watched() as watch:
            seen, over = 0, False
            while not over:
                seen = await watch.change(seen)
                status = _known(watch)
                # Not asked after the yield: the end may come while the reader is
                # busy, and must be told too.
                over = watch.over
                yield self.see(status)

    async def wait(self, *, timeout: float | None = None) -> TaskStatus:
        """
        Wait until the task is over, however it ended.

        Args:
            timeout: seconds; by default the client's ``patience``.

        Raises:
            InvalidArgument: *timeout* is no number of seconds.
            PatienceExceeded: it is not over by then. It goes on remotely.
            TaskLost: the service no longer knows the task.
            AsyncTasksError: the task cannot be looked at, e.g. the key is refused.
        """
        patience = self._patience(timeout)
        with self.watched() as watch:
            try:
                async with asyncio.timeout(patience):
                    seen = watch.version
                    while not watch.over:
                        seen = await watch.change(seen)
            except TimeoutError:
                if not watch.over:
                    about = (self.id, self.token, watch.status, patience)
                    raise PatienceExceeded(*about) from watch.failure
            return self.see(_known(watch))

    def _patience(self, timeout: float | None) -> float:
        if timeout is None:
            return self._tasks.manners.patience
        return check_wait("timeout", timeout)

    async def result(
        self,
        *,
        timeout: float | None = None,
        decode: Decode = "auto",
        on_cancel: RemotePolicy | None = None,
        on_timeout: RemotePolicy | None = None,
    ) -> Any:
        """
        Wait until the task is over, and fetch its result.

        Args:
            timeout: seconds to wait for the end of the task; by default the
                client's ``patience``. Fetching has clocks of its own.
            decode: ``"auto"``, ``"json"``, ``"text"`` or ``"bytes"``; see
                :func:`asynctasks.decode_content`.
            on_cancel: what becomes of the remote task when this wait is cancelled:
                ``"leave"`` it alone, or ``"cancel_remote"``, which is shielded,
                bounded and confirmed. By default the client's ``on_cancel``.
            on_timeout: the same for a wait that runs out.

        Raises:
            InvalidArgument: an argument cannot be used.
            PatienceExceeded: it is not over by then. It goes on remotely.
            TaskFailed: it finished with errors; the service's words are kept.
            TaskCancelled: somebody ended it.
            TaskLost: the service no longer knows the task.
            ResultUnavailable: it finished, but the result cannot be had.
        """
        check_waiting(timeout, decode, on_cancel, on_timeout)
        status = await self._wait_or_cancel(timeout, on_cancel, on_timeout)
        return decode_content(await self.response(status), decode)

    async def response(self, status: TaskStatus) -> Response:
        """
        Fetch the result of a task that is over, as it comes: ``result()`` decodes it.

        Args:
            status: the last one, as :meth:`wait` returns it.

        Raises:
            TaskError: as ``result()``.
        """
        self._check(status)
        try:
            response = await self._fetched(status)
        except TaskError as exc:
            if exc.status is not None:
                self.see(exc.status)
            raise
        if not status.outcome_known:
            won = attrs.evolve(status, state=TaskState.SUCCEEDED, outcome_known=True)
            self.see(won)
        return response

    async def download(
        self, path: os.PathLike[str] | str, *, timeout: float | None = None
    ) -> Path:
        """
        Wait until the task is over, and stream its result to a file.

        Args:
            path: of the file; it is there whole or not at all, and replaced if it
                exists.
            timeout: seconds to wait for the end of the task, as in ``result()``.

        Returns:
            The path of the file.

        Raises:
            InvalidArgument: the file cannot be written.
            TaskError: as ``result()``.
        """
        target = Path(path)  # before the wait, should it be none
        self._check(await self.wait(timeout=timeout))
        return await self._tasks.results.save(self._ref, target)

    async def cancel(self, *, timeout: float = CONFIRM) -> TaskStatus:
        """
        End the remote task, and wait until the service confirms it.

        Args:
            timeout: seconds to wait for the confirmation; 0 returns at once with
                a status that says ``cancel_requested``.

        Returns:
            How the task ended: a cancel may come too late.

        Raises:
            InvalidArgument: *timeout* is no number of seconds; nothing was asked.
            PatienceExceeded: no confirmation by then; the request stands.
            UnsupportedOperation: the service cannot cancel tasks.
        """
        confirm = check_wait("timeout", timeout)
        status = self.see(await self._tasks.ask_cancel(self._ref))
        if status.done or not confirm:
            return status
        return await self.wait(timeout=confirm)

    async def delete(self) -> None:
        """Remove the task and its data from the service; it must not run."""
        await self._tasks.results.remove(self._ref)

    # --- for those who build on handles --------------------------------------

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """
        Have the task looked at while the context is open.

        What it gives is shared by everybody who waits for the task.
        """
        watch = self._tasks.hold(self._ref, self._status, self._since)
        try:
            yield watch
        finally:
            if watch.status is not None:
                self._status = merge_status(self._status, watch.status)
            self._tasks.release(watch)

    def see(self, status: TaskStatus) -> TaskStatus:
        """Take in what was seen of the task elsewhere; return what is now known."""
        self._status = merge_status(self._status, status)
        self._tasks.tell(self._ref, self._status)
        return self._status

    # --- inside --------------------------------------------------------------

    async def _wait_or_cancel(
        self,
        timeout: float | None,
        on_cancel: RemotePolicy | None,
        on_timeout: RemotePolicy | None,
    ) -> TaskStatus:
        """Wait; if that ends early, do with the remote task what is wanted."""
        manners = self._tasks.manners
        cancelled = manners.on_cancel if on_cancel is None else on_cancel
        late = manners.on_timeout if on_timeout is None else on_timeout
        try:
            return await self.wait(timeout=timeout)
        except asyncio.CancelledError:
            if cancelled == "cancel_remote":
                await self._cancel_anyway()
            raise
        except PatienceExceeded:
            if late == "cancel_remote":
                await self._cancel_anyway()
            raise

    async def _cancel_anyway(self) -> None:
        """Cancel the remote task, whatever happens to the one who waits."""
        cancelling = asyncio.create_task(
            self._cancel_within(CANCEL_WITHIN), name="asynctasks-cancel"
        )
        interrupted = False
        while not cancelling.done():
            try:
                # Unlike awaiting it, this neither cancels it nor raises its error.
                await asyncio.wait([cancelling])
            except asyncio.CancelledError:
                interrupted = True
        if interrupted:
            raise asyncio.CancelledError

    async def _cancel_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.cancel(timeout=seconds)
        except (AsyncTasksError, TimeoutError) as exc:
            self._tasks.logger.warning(
                "task %s could not be cancelled: %s", self.id, exc
            )
        except Exception:
            self._tasks.logger.exception("task %s could not be cancelled", self.id)

    def _check(self, status: TaskStatus) -> None:
        """Raise if the task ended in another way than with a result."""
        about = (self.id, self.token, status)
        failed = status.state is TaskState.FAILED
        # A service without a word of its own for it says "failed" of a task that
        # ended because it was asked to.
        if status.state is TaskState.CANCELLED or (failed and status.cancel_requested):
            raise TaskCancelled(*about)
        if failed:
            raise TaskFailed(*about)

    async def _fetched(self, status: TaskStatus) -> Response:
        """Fetch the result once, for everybody who asks at the same time."""
        if self._kept is not None:
            return self._kept
        if self._fetch is None:
            self._fetch = Once("asynctasks-fetch")
        return await self._fetch.ask(partial(self._fetch_once, status))

    async def _fetch_once(self, status: TaskStatus) -> Response:
        response = await self._tasks.results.fetch(self._ref, status)
        if not self._tasks.manners.keeps_results:
            # Before the service is asked to forget it: this may be the only copy.
            self._kept = response
            await self._tasks.results.clean_up(self._ref)
        return response


def _known(watch: Watch) -> TaskStatus:
    """Return what was last seen, or raise why there is no more to see."""
    if watch.error is not None:
        raise fresh(watch.error)  # others wait for the same task
    return watch.known()
