"""
Tasks as rows of a Vantiq type: Vantiq as one more task service.

Vantiq has no tasks of its own. A type with the properties of :data:`PROPERTIES` makes
some: whoever wants work done inserts a row, rules and services of the application do
it and write down how far they are. The words of ``state`` are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from .answers import expect, field
from .dialect import (
    Capabilities,
    Dialect,
    Known,
    Launched,
    Page,
    Place,
    Prepared,
    Query,
    Reconcile,
    Survey,
)
from .http import Flow, Headers, Request, Response
from .task import TaskRef, TaskState, TaskStatus
from .times import parse_time
from .urls import segment
from .vantiq import read_total
from .vantiq_arguments import select_query
from .vantiq_requests import Api, Given, dump
from ..exceptions import (
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    ResultUnavailable,
)


__all__ = ["PROPERTIES", "VantiqDialect", "build_type"]

PROPERTIES: Mapping[str, str] = {
    "id": "String",
    "service": "String",
    "inputs": "Object",
    "state": "String",
    "progress": "Real",
    "message": "String",
    "result": "Object",
    "cancelRequested": "Boolean",
    "startedAt": "DateTime",
    "endedAt": "DateTime",
}
"""
The properties of a type of tasks, and their types.

``id``, ``service``, ``inputs`` and the first ``state`` are written by who submits;
``cancelRequested`` by who cancels; the others, and each new ``state``, by who works:
``running``, then ``succeeded`` with a ``result``, ``failed`` with a ``message``, or
``cancelled``. ``inputs`` and ``result`` are objects of one property, ``value``,
because a property of type Object holds nothing else.
"""

LOOKED_AT = [
    *(name for name in PROPERTIES if name not in {"inputs", "result"}),
    "ars_createdAt",
]
"""What is read of a task that may be long: not what goes in and comes out."""

TOGETHER = 100
"""Tasks that are looked at by one request: their ids must fit into a URL."""

CONFLICT = 409

DAYS = {"after": "$gte", "before": "$lt"}


def build_type(name: str) -> dict[str, Any]:
    """Build the definition of a type of tasks."""
    return {
        "name": name,
        "properties": {key: {"type": kind} for key, kind in PROPERTIES.items()},
        "naturalKey": ["id"],
        "indexes": [{"keys": ["id"], "options": {"unique": True}}],
    }


@attrs.frozen(kw_only=True)
class VantiqDialect(Dialect):
    """How tasks are asked for in rows of one type."""

    protocol: ClassVar[str] = "vantiq"

    states: ClassVar[Mapping[str, TaskState]] = {
        state.value: state for state in TaskState if state is not TaskState.UNKNOWN
    }

    api: Api
    type: str = "Task"

    @property
    def capabilities(self) -> Capabilities:
        """What tasks in rows can do."""
        return Capabilities(
            reconcile=Reconcile.KEY,
            resources={
                "tasks": frozenset({"select", "select_one", "delete_one", "count"})
            },
            task_list=True,
            delete=True,
            push=True,
        )

    @property
    def variant(self) -> str:
        """The version of the API, and the type."""
        return f"v{self.api.version}-{self.type}"

    @property
    def title(self) -> str:
        """The name that people read."""
        return f"Vantiq type {self.type}"

    # --- the life of a task --------------------------------------------------

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        """
        Insert the row, whose id the client has chosen.

        It may be repeated: the id is unique, so that the server refuses the second
        one, which then means that the first one was accepted.
        """
        task_id = prepared.options["id"]
        row = {
            "id": task_id,
            "service": prepared.service,
            "inputs": {"value": prepared.payload.inputs},
            "state": TaskState.QUEUED.value,
        }
        request = attrs.evolve(self._send("POST", row), replayable=True)
        response = yield request
        if response.status != CONFLICT:
            expect(response, 200)
        ref = TaskRef(id=task_id, service=prepared.service)
        return Launched(ref=ref, status=TaskStatus(state=TaskState.QUEUED))

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Read what is known of the task."""
        response, row = yield from self._read(ref, LOOKED_AT)
        return self._status(row, response)

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Read the result."""
        response, row = yield from self._read(ref, ["id", "result"])
        result = field(row, "result", dict, response)
        if result is None:
            raise ResultUnavailable(ref.id, "", status)
        kind = Headers({"Content-Type": "application/json"})
        body = dump(result.get("value")).encode()
        return Response(200, kind, body, at=response.at, attempts=response.attempts)

    def build_download(self, ref: TaskRef) -> Request:
        """Build the request for the row; its result is a part of it."""
        query = {"props": dump(["result"])}
        return self.api.get(self.type, query=query, suffix=_key(ref))

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Ask whoever works to end the task."""
        response = yield self._send("PUT", {"cancelRequested": True}, _key(ref))
        expect(response, 200)
        status = yield from self.poll(ref)
        return attrs.evolve(status, cancel_requested=True)

    def delete(self, ref: TaskRef) -> Flow[None]:
        """Remove the row."""
        expect((yield self.api.delete(self.type, suffix=_key(ref))), 200, 204)

    # --- many tasks at once --------------------------------------------------

    def survey(
        self, refs: Sequence[TaskRef], rows: int, known: Known | None = None
    ) -> Flow[Survey]:
        """Look at several tasks by their ids; no row is read in vain."""
        del rows
        found: dict[Place, TaskStatus] = {}
        wanted: set[Place] = set()
        read = 0
        for start in range(0, len(refs), TOGETHER):
            ids = [ref.id for ref in refs[start : start + TOGETHER]]
            query = Query(where={"id": {"$in": ids}}, limit=len(ids))
            page = yield from self.select("tasks", query)
            read += len(page.rows)
            for row in page.rows:
                self._survey_row(row, found, wanted, known)
        return Survey(found=found, rows=read, whole=True)

    def select(self, resource: str, query: Query) -> Flow[Page]:
        """Read a page of tasks, without what goes in and comes out."""
        self.capabilities.require(resource, "select", self.title)
        size = query.limit or TOGETHER
        page = query.offset // size + 1
        sort = {query.sort or "_id": 1}
        options = {"page": str(page)}
        asked = select_query(LOOKED_AT, _where(query.where), sort, size, options)
        response = expect((yield self.api.get(self.type, query=asked)), 200)
        rows = _rows(response)
        more = attrs.evolve(query, offset=query.offset + size, limit=size)
        next_page = more if len(rows) >= size else None
        return Page(rows=rows, next=next_page, total=read_total(response))

    def select_one(self, resource: str, key: str) -> Flow[Mapping[str, Any] | None]:
        """Read the row of one task, all of it; None where there is none."""
        self.capabilities.require(resource, "select_one", self.title)
        try:
            _, row = yield from self._read(TaskRef(id=key), [])
        except NotFound:
            return None
        return row

    def count(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Count tasks."""
        self.capabilities.require(resource, "count", self.title)
        page = yield from self.select(resource, Query(where=where, limit=1))
        if page.total is None and page.rows:
            raise RemoteProtocolError("the header X-Total-Count")
        return page.total or 0

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        """
        Read a row, from a list or from an event.

        Raises:
            RemoteProtocolError: it is none of a task.
        """
        response = Response(200)
        task_id = field(row, "id", str, response, required=True)
        ref = TaskRef(id=task_id, service=field(row, "service", str, response))
        return ref, self._status(row, response)

    # --- inside --------------------------------------------------------------

    def _send(self, method: str, row: Given, key: str = "") -> Request:
        try:
            return self.api.send(method, self.type, instance=row, suffix=key)
        except (TypeError, ValueError, RecursionError) as exc:
            remedy = "JSON has no such value; convert it first"
            raise InvalidArgument("inputs", str(exc), remedy) from exc

    def _read(
        self, ref: TaskRef, properties: list[str]
    ) -> Flow[tuple[Response, Mapping[str, Any]]]:
        """Read the row of a task: its id and these properties; by default all."""
        where = {"id": ref.id}
        query = select_query(properties, where, None, None, None)
        response = expect((yield self.api.get(self.type, query=query)), 200)
        rows = _rows(response)
        if not rows:
            missing = attrs.evolve(response, status=404)
            raise NotFound(missing.redacted(), f"no task {ref.id}")
        found = field(rows[0], "id", str, response, required=True)
        if found != ref.id:
            expected = f"{ref.id} at $[0].id"
            raise RemoteProtocolError(expected, response.redacted(), found)
        return response, rows[0]

    def _status(self, row: Mapping[str, Any], response: Response) -> TaskStatus:
        word = field(row, "state", str, response, required=True)
        progress = field(row, "progress", (int, float), response)
        share = progress is not None and 0 <= progress <= 1
        return TaskStatus(
            state=self.state_of(word),
            word=word,
            cancel_requested=bool(field(row, "cancelRequested", bool, response)),
            created_at=parse_time(row.get("ars_createdAt")),
            started_at=parse_time(row.get("startedAt")),
            ended_at=parse_time(row.get("endedAt")),
            progress=float(progress) if share else None,
            message=field(row, "message", str, response) or "",
            raw=row,
        )


def _key(ref: TaskRef) -> str:
    """Return the place of a task's row; unlike those of documents, no id is a path."""
    return f"/{segment(ref.id, 'task')}"


def _where(where: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the days that are asked for, as of the lists of other services."""
    days = {
        DAYS[name]: f"{day}T00:00:00Z" for name, day in where.items() if name in DAYS
    }
    rest = {name: value for name, value in where.items() if name not in DAYS}
    return {**rest, "ars_createdAt": days} if days else rest


def _rows(response: Response) -> list[Any]:
    rows = response.json()
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise RemoteProtocolError("a JSON array of objects", response.redacted())
    return rows
