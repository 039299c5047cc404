"""
What all services have in common: tasks, their states, and the verbs on them.

A :class:`Dialect` says how one service words the shared conversation: submit, poll,
result, cancel, and the resources around it. It is pure: its methods are flows that
yield requests and are sent the answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
import enum
from typing import Any, ClassVar, Never

import attrs

from .answers import expect
from .http import Body, Flow, Request, Response
from .task import TaskRef, TaskState, TaskStatus, merge_status
from ..exceptions import NotFound, RemoteProtocolError, UnsupportedOperation


__all__ = [
    "Capabilities",
    "Dialect",
    "Launched",
    "Page",
    "Payload",
    "Prepared",
    "Query",
    "Reconcile",
    "Survey",
    "note_page",
]


class Reconcile(enum.Enum):
    """How a submit whose answer was lost can be settled afterwards."""

    KEY = "key"
    """The service honours an idempotency key."""

    CONFIG = "config"
    """The tasks of one journalled configuration can be listed."""

    ORPHANS = "orphans"
    """Tasks of the list that no intent accounts for are the candidates."""

    NONE = "none"
    """Nothing can be found out afterwards."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a service has. The feature matrix of the README is made of these."""

    reconcile: Reconcile
    """How an unknown submit can be settled."""

    resources: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    """The resource verbs by resource, e.g. ``{"tasks": {"select", "count"}}``."""

    cancel: bool = True
    """Whether a running task can be cancelled."""

    task_list: bool = False
    """Whether tasks can be listed."""

    content: bool = False
    """Whether a submit may carry content other than JSON."""

    files: bool = False
    """Whether a submit may carry files."""

    schedule: bool = False
    """Whether tasks can be scheduled for later or repeated."""

    delete: bool = False
    """Whether a finished task can be deleted."""

    push: bool = False
    """Whether the service pushes events; else status events come from polls."""

    def require(self, resource: str, verb: str, service: str) -> None:
        """
        Refuse a resource verb that the service does not have.

        Raises:
            UnsupportedOperation: it names what the service has.
        """
        if verb not in self.resources.get(resource, ()):
            raise self.refusal(resource, verb, service)

    def refusal(self, resource: str, verb: str, service: str) -> UnsupportedOperation:
        """Return the error that says what the service has instead."""
        available = [
            f"{known}({name!r})"
            for name, having in sorted(self.resources.items())
            for known in sorted(having)
        ]
        operation = f"{verb}({resource!r})"
        return UnsupportedOperation(operation, service, tuple(available))


@attrs.frozen(kw_only=True)
class Payload:
    """What is sent with a submit: JSON inputs, content as it is, or files."""

    body: Body = attrs.field(default=b"", repr=False)
    content_type: str | None = None
    inputs: Any = attrs.field(default=None, repr=False)
    """The JSON inputs before they were written, for dialects that wrap them."""


@attrs.frozen(kw_only=True)
class Prepared:
    """A submit that is ready to be launched; preparing it started nothing."""

    service: str
    payload: Payload
    config_id: str | None = None
    """The service's id of a stored configuration, where it has such a step."""

    options: Mapping[str, Any] = attrs.field(factory=dict)
    """What else the dialect needs for the launch."""


@attrs.frozen(kw_only=True)
class Launched:
    """A task that the service accepted."""

    ref: TaskRef
    status: TaskStatus | None = None
    """Its first status, where the answer to the submit carried one."""


@attrs.frozen(kw_only=True)
class Query:
    """Which rows of a resource are wanted."""

    where: Mapping[str, Any] = attrs.field(factory=dict)
    sort: str | None = None
    offset: int = 0
    cursor: str | None = None
    """Where the next page begins, for services that page by a mark of their own."""

    limit: int | None = None
    """Rows a page at most; None leaves it to the dialect."""


@attrs.frozen(kw_only=True)
class Page:
    """Some rows of a resource."""

    rows: Sequence[Mapping[str, Any]]
    total: int | None = None
    """How many rows there are in all, where the service says so."""

    next: Query | None = None
    """What to ask for the page after this one; None after the last."""


def note_page(query: Query, read: set[tuple[int, str | None]]) -> None:
    """
    Add a page to those that were read.

    Raises:
        RemoteProtocolError: it is one of them: the service's pages go in a circle.
    """
    place = (query.offset, query.cursor)
    if place in read:
        found = f"the page at {query.cursor or query.offset} again"
        raise RemoteProtocolError("a next page that is further on", None, found)
    read.add(place)


Place = tuple[str, int | None]
"""The id of a task, and its run if it is one of several."""


@attrs.frozen(kw_only=True)
class Survey:
    """What a list said of several tasks at once."""

    found: Mapping[Place, TaskStatus]
    """By id and run, whatever tasks the list showed; the last run also as None."""

    rows: int
    """How many rows were read for it."""

    whole: bool
    """Whether the list was read to its end: what it lacks is not in it."""


Known = Mapping[str, TaskStatus | None]
"""By id, the tasks whose rows are of interest, as they were last seen."""

UNWANTED = TaskStatus(state=TaskState.UNKNOWN)
"""Stands for the status of a task that is of no interest."""

SURVEY_PAGE = 500
"""Rows asked for at a time; a service that gives fewer is asked again."""


class Dialect(ABC):
    """
    How one service words the shared conversation.

    Subclasses are frozen values: two dialects that are equal speak alike.
    """

    protocol: ClassVar[str]
    """The name in tokens, profiles and the journal, e.g. ``"aimms"``."""

    states: ClassVar[Mapping[str, TaskState]]
    """The service's words, in lower case."""

    task_resource: ClassVar[str] = "tasks"
    """What the service's list of tasks is called."""

    @property
    def application(self) -> str:
        """The application whose tasks are listed; empty where there are none."""
        return ""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this service has."""

    @property
    @abstractmethod
    def variant(self) -> str:
        """Version and flavour, as tokens name it, e.g. ``"v2-cloud"``."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The name that people read, e.g. ``"AIMMS v2 (cloud)"``."""

    # --- the life of a task --------------------------------------------------

    def prepare(
        self, service: str, payload: Payload, options: Mapping[str, Any]
    ) -> Flow[Prepared]:
        """Make a submit ready; may be repeated. Services of one step ask nothing."""
        yield from ()
        return Prepared(service=service, payload=payload, options=options)

    @abstractmethod
    def launch(self, prepared: Prepared) -> Flow[Launched]:
        """Start the task. Never repeated blindly."""

    @abstractmethod
    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Look once."""

    @abstractmethod
    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Fetch the result of a task that ended."""

    @abstractmethod
    def build_download(self, ref: TaskRef) -> Request:
        """Build the request whose answer is the result, to be streamed."""

    def find_download(self, ref: TaskRef) -> Flow[Request]:
        """Find the request of :meth:`build_download`, where the id does not tell."""
        yield from ()
        return self.build_download(ref)

    def parse_head(self, head: Response) -> None:
        """
        Accept the head of a streamed result.

        Raises:
            ResponseError: the service refuses it.
        """
        expect(head, 200)

    @abstractmethod
    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Ask for the task's end; the status may not be terminal yet."""

    def delete(self, ref: TaskRef) -> Flow[None]:
        """Remove a task and its data from the service."""
        return _refused(UnsupportedOperation("delete of a task", self.title))

    def state_of(self, word: str) -> TaskState:
        """Translate the service's word; one that is not known is UNKNOWN."""
        return self.states.get(word.lower(), TaskState.UNKNOWN)

    # --- many tasks at once --------------------------------------------------

    def survey(
        self, refs: Sequence[TaskRef], rows: int, known: Known | None = None
    ) -> Flow[Survey]:
        """
        Look at several tasks through the list of tasks.

        Args:
            refs: the tasks; the list is read until all of them were seen.
            rows: how many rows may be read, or a few more: pages are read whole.
            known: what is known of all tasks of interest: other rows are passed
                over, and one that says nothing new gives the very status again.
        """
        found: dict[Place, TaskStatus] = {}
        wanted = {(ref.id, ref.run) for ref in refs}
        first = self.build_survey(refs)
        size = min(first.limit or SURVEY_PAGE, rows)
        query: Query | None = attrs.evolve(first, limit=size)
        read = 0
        while query is not None and wanted and read < rows:
            page = yield from self.select(self.task_resource, query)
            read += len(page.rows)
            for row in page.rows:
                self._survey_row(row, found, wanted, known)
            query = page.next
            if not page.rows:
                break  # such pages may have no end
        return Survey(found=found, rows=read, whole=query is None)

    def _survey_row(
        self,
        row: Mapping[str, Any],
        found: dict[Place, TaskStatus],
        wanted: set[Place],
        known: Known | None = None,
    ) -> None:
        """Take in a row: keep what it tells, and want it no longer."""
        task_id = self.row_id(row)
        last = None
        if known is not None and task_id is not None:
            last = known.get(task_id, UNWANTED)
            if last is UNWANTED:
                return
        if last is not None and task_id is not None and last.raw == row:
            status, run = last, last.run
        else:
            try:
                ref, status = self.parse_row(row)
            except RemoteProtocolError:
                return  # it must not hide the others; it is looked at by itself
            task_id, run = ref.id, ref.run
        place = (task_id, run)
        before = found.get(place)
        # Of two rows about one task the further one counts.
        found[place] = status if before is None else merge_status(before, status)
        wanted.discard(place)
        if run is not None:
            latest = found.get((task_id, None))
            if latest is None or (latest.run or 0) <= run:
                found[task_id, None] = found[place]
            wanted.discard((task_id, None))

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        """
        Return the id in a row of the list of tasks.

        It spares reading all of a row that is of no interest. None where it takes
        more than a look at ``id``.
        """
        value = row.get("id")
        return value if isinstance(value, str) else None

    def build_survey(self, refs: Sequence[TaskRef]) -> Query:
        """Say which part of the list of tasks shows these."""
        del refs
        return Query(limit=SURVEY_PAGE)

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        """Read a row of the list of tasks, where the service has one."""
        del row
        raise UnsupportedOperation("list of tasks", self.title)

    def launched_since(self, config_id: str, since: datetime) -> Flow[list[TaskRef]]:
        """List the tasks of a stored configuration that were created since then."""
        operation = "list of a configuration's tasks"
        return _refused(UnsupportedOperation(operation, self.title))

    # --- resources -----------------------------------------------------------

    def select(self, resource: str, query: Query) -> Flow[Page]:
        """Fetch one page of rows."""
        return self._refuse(resource, "select")

    def select_one(self, resource: str, key: str) -> Flow[Mapping[str, Any] | None]:
        """Fetch one row by its key; None where there is none."""
        return self._refuse(resource, "select_one")

    def insert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        """Add a row."""
        return self._refuse(resource, "insert")

    def update(
        self, resource: str, key: str, row: Mapping[str, Any]
    ) -> Flow[Mapping[str, Any]]:
        """Change the row of this key."""
        return self._refuse(resource, "update")

    def upsert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        """Add a row, or change the one with the same key."""
        return self._refuse(resource, "upsert")

    def delete_rows(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Delete the rows that match; return how many."""
        return self._refuse(resource, "delete")

    def delete_one(self, resource: str, key: str) -> Flow[bool]:
        """Delete one row; return whether there was one. As it is, that of a task."""
        self.capabilities.require(resource, "delete_one", self.title)
        try:
            yield from self.delete(TaskRef(id=key))
        except NotFound:
            return False
        return True

    def count(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Count the rows that match."""
        return self._refuse(resource, "count")

    def _refuse(self, resource: str, verb: str) -> Flow[Never]:
        return _refused(self.capabilities.refusal(resource, verb, self.title))


def _refused(error: UnsupportedOperation) -> Flow[Never]:
    """Raise when the conversation is driven, not when it is made."""
    yield from ()
    raise error
