"""
What AIMMS says: tasks of AIMMS PRO in the cloud and of the local DEX server.

Sources: documentation.aimms.com, "Managing Tasks", "AIMMS PRO REST API" and "Data
Exchange: REST server"; the OpenAPI document behind AIMMScloud 0.1.2; the release
notes of PRO and of the Data Exchange library (DEX). Facts only; where releases
differ, all of their forms are understood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
import math
import re
from typing import Any, ClassVar
from urllib.parse import unquote

import attrs

from . import codec
from .answers import expect, field, refusal
from .dialect import Capabilities, Dialect, Launched, Page, Prepared, Query, Reconcile
from .http import Flow, Headers, Request, Response, Sleep, check_header
from .task import TaskRef, TaskState, TaskStatus
from .times import parse_time
from .urls import join_query, origin_of, segment
from ..exceptions import (
    InvalidArgument,
    RemoteProtocolError,
    UnsupportedOperation,
)


__all__ = ["STATES", "AimmsDialect", "duration_text", "parse_task", "time_text"]

STATES: Mapping[str, TaskState] = {
    # v2 (PRO >= 2.52, DEX >= 2.1.2.48).
    "queued": TaskState.QUEUED,
    "assigned": TaskState.QUEUED,  # a session is given, the procedure not started
    "running": TaskState.RUNNING,
    "solving": TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    # v1 has other words, and the words moved between its releases.
    "starting": TaskState.RUNNING,
    "executing": TaskState.RUNNING,
    "finished": TaskState.SUCCEEDED,
    "finished with errors": TaskState.FAILED,  # DEX 2.1.0.29
    "interrupted": TaskState.CANCELLED,
}
"""The words of both versions; the vendor writes some of them in capitals."""

V2_NAMES = ("state", "createdAt", "queueTime", "runTime", "returnCode", "errorMessage")
V1_NAMES = (
    *("status", "starttime", "queuetime"),
    *("runtime", "returncode", "errormessage"),
)
"""What the documents of a task call the same things."""

FORBIDDEN = re.compile(r"[/\\?#%\x00-\x1f\x7f-\x9f]")
"""What no name or id of AIMMS holds: it would end a path segment somewhere."""

LONGEST_ID = 1000
"""Characters of an id at most, as it stands in a path; theirs are UUIDs."""

TOO_LATE = frozenset({400, 404, 409})
"""What an interrupt may be answered with when the task has just ended."""

NUMBERS = (int, float)
"""What numbers of JSON are read as; a bool, which Python counts to them, is none."""

CENTURY = 100 * 366 * 24 * 3600.0
"""Seconds beyond which a duration is none, but a field that was never set."""

INTERRUPTS = ("interrupt-execution", "interrupt-solve")

RESULT_WAITS = (0.25, 0.5, 1.0)
"""Seconds between tries for a result that a finished task does not have yet."""

JSON = Headers({"Accept": "application/json"})


@lru_cache(maxsize=16)
def _sends(content_type: str | None) -> Headers:
    """Return the headers of a body; the same ones, so that they are signed once."""
    if content_type is None:
        return JSON
    return JSON.replaced({"Content-Type": content_type})


def _name(kind: str, value: str) -> str:
    """Return a name or id of AIMMS as a path segment."""
    if isinstance(value, str) and FORBIDDEN.search(value):
        remedy = "must not contain / \\ ? # % or control characters"
        raise InvalidArgument(kind, value, remedy)
    return segment(value, kind)


@attrs.frozen(kw_only=True)
class AimmsDialect(Dialect):
    """One of the four ways AIMMS words its task API; see the two constructors."""

    protocol: ClassVar[str] = "aimms"
    states: ClassVar[Mapping[str, TaskState]] = STATES

    hosted: bool
    """Whether it is AIMMS PRO in the cloud; else the DEX server in an AIMMS."""

    version: str
    """``"v1"`` or ``"v2"``."""

    root: str
    """The path below which everything lies, without a slash at its end."""

    app: str | None = None
    app_version: str | None = None

    @classmethod
    def cloud(
        cls,
        version: str = "v2",
        *,
        app: str | None = None,
        app_version: str | None = None,
        prefix: str = "",
    ) -> AimmsDialect:
        """Speak to AIMMS PRO, of which each task names an app and its version."""
        _check_version(version)
        for kind, value in (("app", app), ("version", app_version)):
            if value is not None:
                _name(kind, value)
        root = f"{prefix}/pro-api/{version}"
        return cls(
            hosted=True, version=version, root=root, app=app, app_version=app_version
        )

    @classmethod
    def local(cls, version: str = "v2", *, prefix: str = "") -> AimmsDialect:
        """Speak to the DEX server inside one AIMMS, which serves one app."""
        _check_version(version)
        return cls(hosted=False, version=version, root=f"{prefix}/api/{version}")

    @property
    def capabilities(self) -> Capabilities:
        """What this AIMMS has."""
        return Capabilities(
            # No idempotency key is documented; tasks of the list that nobody
            # accounts for are the only trace of a submit whose answer was lost.
            reconcile=Reconcile.ORPHANS,
            resources={
                "tasks": frozenset({"select", "select_one", "delete_one", "count"})
            },
            task_list=True,
            content=True,
            files=True,
            schedule=self.hosted,
            delete=True,
        )

    @property
    def variant(self) -> str:
        """The version and where it runs, e.g. ``"v2-cloud"``."""
        return f"{self.version}-{'cloud' if self.hosted else 'local'}"

    @property
    def title(self) -> str:
        """The name that people read, e.g. ``"AIMMS v2 (cloud)"``."""
        return f"AIMMS {self.version} ({'cloud' if self.hosted else 'local'})"

    @property
    def application(self) -> str:
        """The application and its version, whose tasks are listed."""
        return " ".join(filter(None, (self.app, self.app_version)))

    # --- the life of a task --------------------------------------------------

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        """
        Start a task.

        Options of the cloud: ``schedule_for`` (an aware datetime), ``schedule_in``
        and ``schedule_every`` (a timedelta, or text such as ``"1 day"``) and
        ``task_state_hook`` (a URL that the service calls at every change of state).
        """
        response = yield self._build_submit(prepared)
        document = expect(response, 200, 201, 202).json()
        task_id = field(document, "id", str, response, required=True)
        _check_id(task_id, response)
        status = None
        # The task is accepted: a state that is missing or odd must not lose its id.
        if isinstance(document.get("state", document.get("status")), str):
            status = parse_task(document, response)
        ref = TaskRef(
            id=task_id,
            service=prepared.service,
            app=self.app,
            app_version=self.app_version,
            run=status.run if status is not None else None,
        )
        return Launched(ref=ref, status=status)

    def _build_submit(self, prepared: Prepared) -> Request:
        options = {k: v for k, v in prepared.options.items() if v is not None}
        if options and not self.hosted:
            operation = ", ".join(sorted(options))
            raise UnsupportedOperation(operation, self.title, ("plain submits",))
        query = {
            "scheduleFor": _option(options, "schedule_for", time_text),
            "scheduleIn": _option(options, "schedule_in", duration_text),
            "scheduleInterval": _option(options, "schedule_every", duration_text),
        }
        headers = _sends(prepared.payload.content_type)
        if "task_state_hook" in options:
            hook = {"taskStateHook": _hook(options["task_state_hook"])}
            headers = headers.replaced(hook)
        return Request(
            "POST",
            join_query(self._submit_path(prepared.service), query),
            headers,
            prepared.payload.body,
            # A second POST can start a second task: nothing documents otherwise.
            replayable=False,
            expect_json=True,
        )

    def _submit_path(self, service: str) -> str:
        parts = [_name("service", service)]
        if self.hosted:
            if self.app is None:
                remedy = "name the application: AimmsClient.cloud(..., app=...)"
                raise InvalidArgument("app", "", remedy)
            if self.app_version is not None:
                parts.insert(0, _name("version", self.app_version))
            elif self.version == "v1":
                remedy = "v1 needs the application's version; v2 can take the latest"
                raise InvalidArgument("version", "", remedy)
            parts.insert(0, _name("app", self.app))
        return f"{self.root}/tasks/{'/'.join(parts)}"

    def _task(self, ref: TaskRef, tail: str = "") -> str:
        path = f"{self.root}/tasks/{_name('task', ref.id)}{tail}"
        if ref.run is None:
            return path  # of a recurring task, the service means the last run
        return join_query(path, {"groupIndex": ref.run})

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Look once."""
        response = yield Request("GET", self._task(ref), JSON, expect_json=True)
        status = parse_task(expect(response, 200).json(), response)
        shown = status.raw.get("id")
        if shown != ref.id and isinstance(shown, str) and not _alike(shown, ref.id):
            raise RemoteProtocolError(f"{ref.id} at $.id", response.redacted(), shown)
        return status

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Fetch the response of the task's procedure, as it is."""
        del status
        response = yield self.build_download(ref)
        for wait in RESULT_WAITS:
            if response.status != 404:  # noqa: PLR2004
                break
            yield Sleep(wait)
            response = yield self.build_download(ref)
        return expect(response, 200, 204)

    def build_download(self, ref: TaskRef) -> Request:
        """Build the request for the response of the task's procedure."""
        # In the cloud it lies in a blob store: be ready for one redirect there.
        return Request("GET", self._task(ref, "/response"), follow=True)

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        """
        End the task: interrupt it if it runs, remove it if it is only queued.

        An interrupt ends in ``failed`` (v2) or ``interrupted`` (v1) some time
        later; the status says ``cancel_requested`` until then.
        """
        status = yield from self.poll(ref)
        if status.state is TaskState.QUEUED:
            # The interrupt calls say nothing of tasks that do not run yet; to
            # remove them is the one documented way.
            response = yield Request("DELETE", self._task(ref), JSON, replayable=True)
            if response.status in {200, 204, 404}:
                return attrs.evolve(
                    status, state=TaskState.CANCELLED, done=True, cancel_requested=True
                )
            if response.status < 400 or response.status >= 500:  # noqa: PLR2004
                expect(response, 200, 204)
            status = yield from self.poll(ref)  # it began to run in between
        if status.done:
            return status
        request = self._build_interrupt(ref, "interrupt-execution")
        response = yield request
        if response.status in TOO_LATE:
            status = yield from self.poll(ref)  # it may have ended in between
            if status.done:
                return status
            refused = refusal(response)
            refused.request = request.redacted()
            raise refused
        _marker(response)
        return attrs.evolve(status, cancel_requested=True)

    def interrupt(self, ref: TaskRef, how: str) -> Flow[str | None]:
        """
        Stop the solve only, or the whole execution.

        After ``interrupt-solve`` the rest of the procedure runs on and the task
        ends completed; after ``interrupt-execution`` it ends failed.

        Returns:
            What the service will do where it says so (the local server does:
            ``"interrupt-processed"`` is a task that is over already), else None.
        """
        return _marker((yield self._build_interrupt(ref, how)))

    def _build_interrupt(self, ref: TaskRef, how: str) -> Request:
        if how not in INTERRUPTS:
            raise InvalidArgument("how", how, f"choose one of {', '.join(INTERRUPTS)}")
        body = codec.dumps({"setstatus": how})
        headers = _sends("application/json")
        return Request("PUT", self._task(ref), headers, body, replayable=True)

    def delete(self, ref: TaskRef) -> Flow[None]:
        """
        Remove a task that does not run, with all its data.

        Of a recurring task, deleting the last run stops the recurrence.
        """
        response = yield Request("DELETE", self._task(ref), JSON, replayable=True)
        expect(response, 200, 204)

    # --- what else a task has ------------------------------------------------

    def logs(self, ref: TaskRef) -> Flow[Response]:
        """Fetch the log of a task (cloud; Task Scheduler >= 25.2.1.0)."""
        self._only("logs of a task", hosted=True)
        response = yield Request("GET", self._task(ref, "/logs"), follow=True)
        return expect(response, 200)

    def build_log_download(self, ref: TaskRef) -> Request:
        """Build the request for the log file of a task (cloud)."""
        self._only("log file of a task", hosted=True)
        return Request("GET", self._task(ref, "/logs/download"), follow=True)

    def intermediate_status(self, ref: TaskRef) -> Flow[Response]:
        """Fetch the status body that the model writes while it runs (local)."""
        self._only("intermediate status", hosted=False)
        response = yield Request("GET", self._task(ref, "/status"))
        return expect(response, 200, 204)

    # --- the server ----------------------------------------------------------

    def stats(self, *, current: bool = False) -> Flow[Any]:
        """Fetch the statistics of tasks (cloud); their form is not documented."""
        self._only("statistics", hosted=True)
        path = f"{self.root}/tasks/stats{'/current' if current else ''}"
        response = yield Request("GET", path, JSON)
        return expect(response, 200).json()

    def server_version(self) -> Flow[str]:
        """Ask for the version of the API (cloud)."""
        self._only("version of the API", hosted=True)
        path = f"{self.root}/version"
        response = yield Request("GET", path, JSON, expect_json=True)
        document = expect(response, 200).json()
        version: str = field(document, "version", str, response, required=True)
        return version

    def echo(
        self, body: bytes, content_type: str | None, delay: float
    ) -> Flow[Response]:
        """Have the body sent back after a delay in seconds (local)."""
        self._only("echo", hosted=False)
        if not 0 <= delay < math.inf:
            raise InvalidArgument("delay", delay, "must be a number of seconds")
        kind = {}
        if content_type is not None:
            kind["Content-Type"] = check_header("content_type", content_type)
        # The service counts the delay in milliseconds.
        query = {"delay": round(delay * 1000) or None}
        path = join_query(f"{self.root}/echo", query)
        response = yield Request("POST", path, Headers(kind), body, replayable=True)
        return expect(response, 200)

    def _only(self, operation: str, *, hosted: bool) -> None:
        if self.hosted is not hosted:
            other = "AIMMS PRO in the cloud" if hosted else "the local server"
            raise UnsupportedOperation(operation, self.title, (f"(only {other})",))

    # --- resources -----------------------------------------------------------

    def build_survey(self, refs: Sequence[TaskRef]) -> Query:
        """Say which part of the list shows these: that of one app and version."""
        query = super().build_survey(refs)
        if not self.hosted:
            return query
        # A task of another app, known from its token, is not shown: it is looked
        # at by itself.
        return attrs.evolve(query, where={"appName": self.app or refs[0].app})

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        """Read a row of the list: a task, as a look at it gives it."""
        status = parse_task(row, Response(200))
        service = row.get("serviceName") or row.get("service")
        known = service if isinstance(service, str) else None
        return TaskRef(id=row["id"], service=known, run=status.run), status

    def select(self, resource: str, query: Query) -> Flow[Page]:
        """
        List tasks.

        The cloud filters by ``appName``, ``appVersion``, ``after`` and ``before``
        (dates, ``YYYY-MM-DD``), not by state; the local server lists all it has.
        The app and version of the dialect are the default filter; None lifts it.
        """
        self.capabilities.require(resource, "select", self.title)
        if query.sort is not None:
            raise UnsupportedOperation("sort", self.title, FILTERS)
        response = yield Request("GET", self._list_path(query), JSON, expect_json=True)
        return self._parse_list(query, expect(response, 200))

    def _list_path(self, query: Query) -> str:
        path = f"{self.root}/tasks"
        unknown = sorted(set(query.where) - set(FILTERS if self.hosted else ()))
        if unknown:
            operation = f"filter {', '.join(unknown)}"
            has = FILTERS if self.hosted else ("the whole list",)
            raise UnsupportedOperation(operation, self.title, has)
        if not self.hosted:
            return path
        where = {"appName": self.app, "appVersion": self.app_version, **query.where}
        if self.version == "v1":
            # v2 renamed them; the list's parameters are taken to follow the fields.
            where["projectName"] = where.pop("appName")
            where["projectVersion"] = where.pop("appVersion")
        paging = {"offset": query.offset or None, "limit": query.limit}
        return join_query(path, {**where, **paging})

    def _parse_list(self, query: Query, response: Response) -> Page:
        document = response.json()
        if isinstance(document, list):  # the local server: a bare array of all
            return Page(rows=_rows(document, response, "$"), total=len(document))
        v2 = isinstance(document, dict) and "current_batch" in document
        batch, size = ("current_batch", "total_tasks") if v2 else V1_LIST
        found = field(document, batch, list, response, required=True)
        rows = _rows(found, response, f"$.{batch}")
        # Without the total nobody could tell a short list from a first page.
        total = field(document, size, int, response, required=True)
        seen = query.offset + len(rows)
        follows = attrs.evolve(query, offset=seen) if rows and seen < total else None
        return Page(rows=rows, total=total, next=follows)

    def select_one(self, resource: str, key: str) -> Flow[Mapping[str, Any] | None]:
        """Fetch the document of one task; None where there is none."""
        self.capabilities.require(resource, "select_one", self.title)
        path = self._task(TaskRef(id=key))
        response = yield Request("GET", path, JSON, expect_json=True)
        if response.status == 404:  # noqa: PLR2004
            return None
        document: Mapping[str, Any] = expect(response, 200).json()
        field(document, "id", str, response, required=True)
        return document

    def count(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Count tasks."""
        self.capabilities.require(resource, "count", self.title)
        page = yield from self.select(resource, Query(where=where, limit=1))
        return page.total or 0


FILTERS = ("appName", "appVersion", "after", "before")

V1_LIST = ("statuses", "total_size")
"""Where v1 keeps the rows and their number."""


def _check_version(version: str) -> None:
    if version not in {"v1", "v2"}:
        raise InvalidArgument("api_version", version, "choose v1 or v2")


def _option(
    options: Mapping[str, Any], name: str, build: Callable[[str, Any], str]
) -> str | None:
    return build(name, options[name]) if name in options else None


def _hook(url: str) -> str:
    check_header("task_state_hook", url)
    try:
        origin_of(url)
    except ValueError as exc:
        raise InvalidArgument("task_state_hook", url, str(exc)) from exc
    return url


def time_text(name: str, value: datetime | str) -> str:
    """
    Write a point in time as ``scheduleFor`` takes it.

    Raises:
        InvalidArgument: the datetime has no zone.
    """
    if isinstance(value, str):
        return _words(name, value)
    if not isinstance(value, datetime) or value.utcoffset() is None:
        remedy = "give a datetime with a zone, e.g. datetime.now(UTC)"
        raise InvalidArgument(name, str(value), remedy)
    moment = value.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} +00:00"


def duration_text(name: str, value: timedelta | float | str) -> str:
    """
    Write a duration as ``scheduleIn`` and ``scheduleInterval`` take it.

    Args:
        name: the argument, for the error.
        value: a timedelta, seconds, or text that the service understands
            (ISO 8601, or such as ``"1 day"``).

    Raises:
        InvalidArgument: it is no duration, or not positive.
    """
    if isinstance(value, str):
        return _words(name, value)
    remedy = "give a timedelta, seconds, or text such as '1 day'"
    if isinstance(value, bool):
        raise InvalidArgument(name, value, remedy)
    try:
        delta = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidArgument(name, value, remedy) from exc
    if delta <= timedelta(0):
        raise InvalidArgument(name, value, "must be a duration above zero")
    minutes, seconds = divmod(delta.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{delta.microseconds:06}".rstrip("0") if delta.microseconds else ""
    return f"P{delta.days}DT{hours}H{minutes}M{seconds}{fraction}S"


def _words(name: str, value: str) -> str:
    if not value.strip():
        raise InvalidArgument(name, value, "must not be empty")
    return value


def _rows(rows: list[Any], response: Response, place: str) -> list[Mapping[str, Any]]:
    for number, row in enumerate(rows):
        key = row.get("id") if isinstance(row, dict) else None
        if not isinstance(key, str):
            expected = f"a string at {place}[{number}].id"
            shown = codec.dumps(key).decode()
            raise RemoteProtocolError(expected, response.redacted(), shown)
    return rows


def _alike(shown: str, task_id: str) -> bool:
    """Tell whether an id is ours, perhaps as it stood in the path, or in capitals."""
    return unquote(shown).casefold() == task_id.casefold()


def _check_id(task_id: str, response: Response) -> None:
    """Refuse an id with which nobody could ask for the task."""
    try:
        fits = len(_name("id", task_id)) <= LONGEST_ID
    except InvalidArgument:
        fits = False
    if not fits:
        expected = "an id at $.id that fits into a path"
        shown = repr(task_id[:LONGEST_ID])
        raise RemoteProtocolError(expected, response.redacted(), shown)


def _marker(response: Response) -> str | None:
    """Return what the service says that it will do, where it says so."""
    if not expect(response, 200, 202, 204).body.strip():
        return None  # the cloud documents no body
    marker: str | None = field(response.json(), "setstatus", str, response)
    return marker


# --- one task ----------------------------------------------------------------


def parse_task(document: Any, response: Response) -> TaskStatus:
    """
    Read the document of one task, in the words of either version.

    Libraries of one version have answered below the URL of the other, so that the
    URL does not tell which names to expect. Times and durations that cannot be read
    are left out (they stay in ``raw``): a changed format must not end a wait.
    """
    modern = isinstance(document, dict) and "state" in document
    state, created, queue, run, code, message = V2_NAMES if modern else V1_NAMES
    word = document.get(state) if modern else None
    if type(word) is not str:
        word = field(document, state, str, response, required=True)
    get = document.get
    return TaskStatus(
        state=STATES.get(word.lower(), TaskState.UNKNOWN),
        word=word,
        created_at=parse_time(get(created)),
        started_at=parse_time(get("runningAt")),
        ended_at=parse_time(get("endedAt")),
        queue_time=_seconds(get(queue)),
        run_time=_seconds(get(run)),
        return_code=_code(get(code)),
        message=_message(get(message)),
        run=_code(get("groupIndex")),
        raw=document,
    )


def _seconds(value: Any) -> float | None:
    if type(value) not in NUMBERS or not 0 <= value <= CENTURY:
        return None
    return float(value)


def _code(value: Any) -> int | None:
    if type(value) is float:
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def _message(value: Any) -> str:
    return value if isinstance(value, str) else ""
