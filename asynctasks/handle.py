"""
A task in your hand: an id, a dialect and a client; making one does no I/O.

Handles take a :class:`Tasks`, which is the part of a client that they need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
import logging
import math
import os
from pathlib import Path
from typing import Any, Protocol

import attrs

from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    NotFound,
    PatienceExceeded,
    TaskCancelled,
    TaskError,
    TaskFailed,
)
from .sansio.dialect import (
    TaskRef,
    TaskState,
    TaskStatus,
    check_decode,
    decode_content,
    merge_status,
)
from .sansio.http import Response
from .watch import Watch


__all__ = ["RecurringTask", "TaskHandle", "Tasks", "as_completed", "check_policy"]

CONFIRM = 60.0
"""Seconds within which a cancel is confirmed, unless the caller says otherwise."""

LEAVE, CANCEL_REMOTE = "leave", "cancel_remote"

CANCEL_WITHIN = 10.0
"""Seconds that the cancel of ``on_cancel`` and ``on_timeout`` takes at most."""

OVER_AFTER = 3
"""Looks in a row that must find a recurrence over before it counts as stopped."""


def check_policy(name: str, value: str) -> str:
    """Return a policy for remote tasks, if it is one."""
    if value not in {LEAVE, CANCEL_REMOTE}:
        raise InvalidArgument(name, value, f"choose {LEAVE} or {CANCEL_REMOTE}")
    return value


class Tasks(Protocol):
    """What a handle needs of the client that made it."""

    @property
    def patience(self) -> float:
        """Seconds that a wait lasts when the caller does not say."""

    @property
    def keeps_results(self) -> bool:
        """Whether a result can be fetched again later."""

    @property
    def on_cancel(self) -> str:
        """What becomes of a remote task when a wait for it is cancelled."""

    @property
    def on_timeout(self) -> str:
        """What becomes of a remote task when a wait for it runs out."""

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

    async def fetch(self, ref: TaskRef, status: TaskStatus) -> Response:
        """Fetch the result of a task that ended."""

    async def clean_up(self, ref: TaskRef) -> None:
        """Remove a task whose result was fetched; failing to is no error."""

    async def save(self, ref: TaskRef, path: os.PathLike[str]) -> Path:
        """Stream the result of a task to a file."""

    async def ask_cancel(self, ref: TaskRef) -> TaskStatus:
        """Ask the service to end a task."""

    async def remove(self, ref: TaskRef) -> None:
        """Remove a task from the service."""

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
        self._fetching: asyncio.Task[Response] | None = None
        self._fetchers = 0
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
        return self._see(await self._tasks.look(self._ref))

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
        async with self._held() as watch:
            seen, over = 0, False
            while not over:
                seen = await watch.change(seen)
                status = watch.known()
                # Not asked after the yield: the end may come while the reader is
                # busy, and must be told too.
                over = watch.over
                yield self._see(status)

    async def wait(self, *, timeout: float | None = None) -> TaskStatus:
        """
        Wait until the task is over, however it ended.

        Args:
            timeout: seconds; by default the client's ``patience``.

        Raises:
            PatienceExceeded: it is not over by then. It goes on remotely.
            TaskLost: the service no longer knows the task.
            AsyncTasksError: the task cannot be looked at, e.g. the key is refused.
        """
        patience = self._tasks.patience if timeout is None else timeout
        if math.isnan(patience):
            raise InvalidArgument("timeout", patience, "give a number of seconds")
        async with self._held() as watch:
            try:
                async with asyncio.timeout(patience):
                    seen = watch.version
                    while not watch.over:
                        seen = await watch.change(seen)
            except TimeoutError:
                if not watch.over:
                    about = (self.id, self.token, watch.status, patience)
                    raise PatienceExceeded(*about) from watch.failure
            return self._see(watch.known())

    async def result(
        self,
        *,
        timeout: float | None = None,
        decode: str = "auto",
        on_cancel: str | None = None,
        on_timeout: str | None = None,
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
            PatienceExceeded: it is not over by then. It goes on remotely.
            TaskFailed: it finished with errors; the service's words are kept.
            TaskCancelled: somebody ended it.
            TaskLost: the service no longer knows the task.
            ResultUnavailable: it finished, but the result cannot be had.
        """
        check_decode(decode)
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
            response = await self._fetch(status)
        except TaskError as exc:
            if exc.status is not None:
                self._see(exc.status)
            raise
        if not status.outcome_known:
            won = attrs.evolve(status, state=TaskState.SUCCEEDED, outcome_known=True)
            self._see(won)
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
        self._check(await self.wait(timeout=timeout))
        return await self._tasks.save(self._ref, Path(path))

    async def cancel(self, *, timeout: float = CONFIRM) -> TaskStatus:
        """
        End the remote task, and wait until the service confirms it.

        Args:
            timeout: seconds to wait for the confirmation; 0 returns at once with
                a status that says ``cancel_requested``.

        Returns:
            How the task ended: a cancel may come too late.

        Raises:
            PatienceExceeded: no confirmation by then; the request stands.
            UnsupportedOperation: the service cannot cancel tasks.
        """
        status = self._see(await self._tasks.ask_cancel(self._ref))
        if status.done or timeout <= 0:
            return status
        return await self.wait(timeout=timeout)

    async def delete(self) -> None:
        """Remove the task and its data from the service; it must not run."""
        await self._tasks.remove(self._ref)

    # --- inside --------------------------------------------------------------

    async def _wait_or_cancel(
        self, timeout: float | None, on_cancel: str | None, on_timeout: str | None
    ) -> TaskStatus:
        """Wait; if that ends early, do with the remote task what is wanted."""
        on_cancel = check_policy("on_cancel", on_cancel or self._tasks.on_cancel)
        on_timeout = check_policy("on_timeout", on_timeout or self._tasks.on_timeout)
        try:
            return await self.wait(timeout=timeout)
        except asyncio.CancelledError:
            if on_cancel == CANCEL_REMOTE:
                await self._cancel_anyway()
            raise
        except PatienceExceeded:
            if on_timeout == CANCEL_REMOTE:
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

    def _hold(self) -> Watch:
        return self._tasks.hold(self._ref, self._status, self._since)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Watch]:
        watch = self._hold()
        try:
            yield watch
        finally:
            if watch.status is not None:
                self._status = merge_status(self._status, watch.status)
            self._tasks.release(watch)

    def _see(self, status: TaskStatus) -> TaskStatus:
        """Take in what was seen; return what is now known."""
        self._status = merge_status(self._status, status)
        self._tasks.tell(self._ref, self._status)
        return self._status

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

    async def _fetch(self, status: TaskStatus) -> Response:
        """Fetch the result once, for everybody who asks at the same time."""
        if self._kept is not None:
            return self._kept
        if self._fetching is None:
            fetch = self._fetch_once(status)
            self._fetching = asyncio.create_task(fetch, name="asynctasks-fetch")
        fetching = self._fetching
        self._fetchers += 1
        try:
            # One who gives up must not take the answer from the others.
            return await asyncio.shield(fetching)
        finally:
            self._fetchers -= 1
            if self._fetchers == 0:
                self._fetching = None
                fetching.cancel()
                await asyncio.gather(fetching, return_exceptions=True)

    async def _fetch_once(self, status: TaskStatus) -> Response:
        response = await self._tasks.fetch(self._ref, status)
        if not self._tasks.keeps_results:
            # Before the service is asked to forget it: this may be the only copy.
            self._kept = response
            await self._tasks.clean_up(self._ref)
        return response


async def as_completed(
    handles: Iterable[TaskHandle],
) -> AsyncGenerator[TaskHandle, None]:
    """
    Yield each handle when its task is over, first the one that ends first.

    A handle whose task cannot be looked at any more is yielded too: ``result()``
    raises why. No asyncio task is started per handle.
    """
    ended: asyncio.Queue[TaskHandle] = asyncio.Queue()
    open_: dict[TaskHandle, Watch] = {}
    with ExitStack() as stack:
        for handle in dict.fromkeys(handles):
            watch = handle._hold()  # noqa: SLF001
            stack.callback(handle._tasks.release, watch)  # noqa: SLF001
            listener = partial(_note_end, handle, ended)
            watch.listen(listener)
            stack.callback(watch.unlisten, listener)
            listener(watch)
            open_[handle] = watch
        while open_:
            handle = await ended.get()
            if handle not in open_:
                continue  # a second word on how it ended
            watch = open_.pop(handle)
            if watch.status is not None:
                handle._see(watch.status)  # noqa: SLF001
            yield handle


def _note_end(
    handle: TaskHandle, ended: asyncio.Queue[TaskHandle], watch: Watch
) -> None:
    if watch.over:
        ended.put_nowait(handle)


class RecurringTask:
    """
    A task that the service starts again and again.

    Its runs share one id and are told apart by their index, from 0.
    """

    def __init__(self, tasks: Tasks, ref: TaskRef) -> None:
        self._tasks = tasks
        self._ref = attrs.evolve(ref, run=None)

    def __repr__(self) -> str:
        return f"<RecurringTask {self._ref.id}>"

    @property
    def id(self) -> str:
        """The id that all runs share."""
        return self._ref.id

    @property
    def token(self) -> str:
        """The token of the last run: ``client.recurring(token)`` is this again."""
        return self._tasks.token_of(self._ref)

    def run(self, index: int) -> TaskHandle:
        """Return the handle of one run, without asking whether there is one."""
        return TaskHandle(self._tasks, attrs.evolve(self._ref, run=index))

    async def runs(self) -> AsyncGenerator[TaskHandle, None]:
        """
        Go through the runs: those there are, then each new one when it is created.

        The last one is usually still waiting for its time. The iteration ends
        when the recurrence was stopped and its last run is over; it has no time
        limit of its own: put it under ``asyncio.timeout()``.
        """
        known, over, looks = 0, 0, 0
        while over < OVER_AFTER:
            try:
                status = await self._tasks.look(self._ref)
            except NotFound:
                over += 1
            else:
                last = status.run or 0
                over = over + 1 if status.done else 0
                looks = 0 if last >= known else looks
                while known <= last:
                    yield self.run(known)
                    known += 1
            looks += 1
            await self._tasks.nap(looks)

    async def stop(self) -> None:
        """End the recurrence; runs that are over or running are left alone."""
        await self._tasks.remove(self._ref)
