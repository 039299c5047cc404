"""
One open task as it was last seen, shared by everybody who waits for it.

The watcher looks and says what it saw; handles and subscriptions wait. Those that are
looked at in one way are a :class:`Group`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from .exceptions import AsyncTasksError, InvalidState
from .sansio.dialect import Known, Survey
from .sansio.task import TaskRef, TaskStatus, merge_status


__all__ = ["Group", "Listener", "Looker", "Seen", "Watch"]

MERGE_FROM = 4
"""Due looks that are worth a list request."""

Key = str | tuple[str, int | None, int | None]
"""
What identifies a task among all of one looker: id, run and generation.

Of very many tasks most have an id only: no tuple is kept for them.
"""

Listener = Callable[["Watch"], None]
"""Called at every change of a watch."""


class Looker(Protocol):
    """How the tasks of one view of a client are looked at."""

    @property
    def origin(self) -> str:
        """The origin of the service."""

    @property
    def merges(self) -> bool:
        """Whether the service lists tasks."""

    def token_of(self, ref: TaskRef) -> str:
        """Return the token of a task, for its errors."""

    async def look_once(self, ref: TaskRef) -> TaskStatus:
        """Look at a task: one attempt, no retries."""

    async def survey(self, refs: Sequence[TaskRef], rows: int, known: Known) -> Survey:
        """Look at several tasks through the list; read so many rows at most."""


class Watch:
    """
    One open task, as last seen; shared by everybody who waits for it.

    ``version`` grows with every change, so that a slow reader can tell that
    something happened without having to see each step.
    """

    __slots__ = (
        "_listeners",
        "_waiters",
        "alone",
        "appointed",
        "doubts",
        "due",
        "earliest",
        "error",
        "failure",
        "group",
        "holders",
        "hurried",
        "looker",
        "looks",
        "ref",
        "since",
        "status",
        "submitted",
        "version",
        "wait",
    )

    def __init__(self, ref: TaskRef, group: Group, since: float | None) -> None:
        self.ref = ref
        self.looker = group.looker
        self.group: Group | None = group
        """Those it belongs to; None when it is no longer watched."""

        self.submitted = since
        """When it was submitted, on the loop's clock; None where we cannot know."""

        self.since = since
        """The same, or what the service's reports of it come to."""

        self.status: TaskStatus | None = None
        self.error: BaseException | None = None
        self.failure: AsyncTasksError | None = None
        """Why the last look failed; None after one that succeeded."""

        self.version = 0
        self.holders = 0
        self.looks = 0
        self.doubts = 0
        """Looks in a row whose answer speaks against the task, or makes no sense."""

        self.alone = False
        """Whether the list of the service lacks it, so that it is looked at alone."""

        self.hurried = False
        """Whether something happened to it since its last look began."""

        self.wait = 0.0
        self.due = 0.0
        self.appointed = False
        self.earliest = 0.0
        """Before this it must not be looked at: the service asked for it."""

        # Most of very many tasks have neither: no list is made for them.
        self._listeners: list[Listener] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    @property
    def token(self) -> str:
        """The text from which a handle of the task can be made."""
        return self.looker.token_of(self.ref)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to see."""
        done = self.status is not None and self.status.done
        return done or self.error is not None

    def known(self) -> TaskStatus:
        """
        Return what was last seen.

        Raises:
            AsyncTasksError: why there will be no more to see.
            InvalidState: nothing was seen yet.
        """
        if self.error is not None:
            raise self.error
        if self.status is None:
            raise InvalidState("nothing was seen of the task yet")
        return self.status

    @property
    def listeners(self) -> list[Listener]:
        """The functions that are called at every change."""
        return list(self._listeners or ())

    def listen(self, listener: Listener) -> None:
        """Have a function called at every change."""
        if self._listeners is None:
            self._listeners = []
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Take a function off the list; it need not be on it."""
        if self._listeners is not None and listener in self._listeners:
            self._listeners.remove(listener)

    def offer(self, status: TaskStatus) -> None:
        """Take in a status from whatever source; older news do no harm."""
        before, self.status = self.status, merge_status(self.status, status)
        if self.status != before:
            self._changed()

    def fail(self, error: BaseException) -> None:
        """Tell everybody that there will be no more to see, and why."""
        if not self.over:
            self.error = error
            self._changed()

    async def change(self, seen: int) -> int:
        """Wait until there is something newer than version *seen*; return it."""
        while self.version == seen:
            waiter = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # Only here: a change takes them all off, and thousands may wait.
                if self._waiters is not None and waiter in self._waiters:
                    self._waiters.remove(waiter)
                raise
        return self.version

    def _changed(self) -> None:
        self.version += 1
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        for listener in self.listeners:
            listener(self)


@attrs.define(eq=False)
class Group:
    """The tasks that are watched through one looker."""

    looker: Looker
    lists: bool
    """Whether looks may be merged into list requests."""

    watches: dict[Key, Watch] = attrs.field(factory=dict)
    runs: dict[str, int] = attrs.field(factory=dict)
    """How many are watched of those of an id that are told apart by more."""

    due: dict[Watch, None] = attrs.field(factory=dict)
    """What a list could tell, in the order in which it fell due."""

    busy: bool = False
    """Whether a list is being read; what is due meanwhile waits for the next."""

    least: float = MERGE_FROM
    """How many looks make a list worth while here, as far as we know."""

    again: float = 0.0
    """When to forget that, on the loop's clock."""

    def add(self, ref: TaskRef, since: float | None) -> Watch:
        """Watch a task that was not watched."""
        watch = self.watches[_key(ref)] = Watch(ref, self, since)
        # The list does not tell the generations of a relaunched task apart.
        watch.alone = ref.generation is not None
        if ref.run is not None or ref.generation is not None:
            self.runs[ref.id] = self.runs.get(ref.id, 0) + 1
        return watch

    def find(self, ref: TaskRef) -> Watch | None:
        """Return the watch of a task, if it is watched."""
        return self.watches.get(_key(ref))

    def drop(self, watch: Watch) -> None:
        """Watch a task no longer."""
        ref, watch.group = watch.ref, None
        del self.watches[_key(ref)]
        self.due.pop(watch, None)
        if ref.run is not None or ref.generation is not None:
            self.runs[ref.id] -= 1
            if not self.runs[ref.id]:
                del self.runs[ref.id]


class Seen(Mapping[str, TaskStatus | None]):
    """The tasks of a group by id, as last seen; nothing is copied for it."""

    __slots__ = ("_group",)

    def __init__(self, group: Group) -> None:
        self._group = group

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._group.watches or task_id in self._group.runs

    def __getitem__(self, task_id: str) -> TaskStatus | None:
        watch = self._group.watches.get(task_id)
        if watch is not None:
            return watch.status
        if task_id in self._group.runs:
            return None  # several may have been seen of it
        raise KeyError(task_id)

    def get(self, task_id: str, default: Any = None) -> Any:
        """Return the status; it is asked for every row, so in one go."""
        watch = self._group.watches.get(task_id)
        if watch is not None:
            return watch.status
        return None if task_id in self._group.runs else default

    def __iter__(self) -> Iterator[str]:
        yield from {watch.ref.id for watch in self._group.watches.values()}

    def __len__(self) -> int:
        return len({watch.ref.id for watch in self._group.watches.values()})


def _key(ref: TaskRef) -> Key:
    if ref.run is None and ref.generation is None:
        return ref.id
    return (ref.id, ref.run, ref.generation)
