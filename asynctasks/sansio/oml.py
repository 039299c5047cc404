"""
What Oracle Machine Learning says: scripts run by OML4Py's embedded Python execution.

Source: "REST API for Embedded Python Execution" of OML4Py on Autonomous Database,
both versions; the notebooks of oracle-samples/oracle-db-examples; dbt-oracle 1.11.1.
Facts only; where editions differ, all of their forms are understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import re
from typing import Any, ClassVar
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from . import codec
from .answers import expect, field, refusal
from .dialect import (
    Capabilities,
    Dialect,
    Known,
    Launched,
    Page,
    Prepared,
    Query,
    Reconcile,
    Survey,
)
from .http import Flow, Headers, Request, Response, Sleep
from .oml_calls import build_body, build_path
from .oml_results import is_own_failure, open_result, parse_failure
from .task import TaskRef, TaskState, TaskStatus, merge_status
from .urls import origin_of, resolve_server_url, segment, split_base
from ..exceptions import (
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ResponseError,
    ServiceBroken,
    UnsupportedOperation,
)


__all__ = ["OmlDialect", "OmlPlace", "parse_job_id", "parse_place", "parse_status"]

STATES: Mapping[str, TaskState] = {
    # The whole text of the status field of a pending job, in both versions.
    "job is still running": TaskState.RUNNING,
    # Of the words of the list only FINISH is shown, which leaves open how it went.
    # These can mean nothing else; what else there may be is looked at by itself.
    "running": TaskState.RUNNING,
    "pending": TaskState.QUEUED,
    "queued": TaskState.QUEUED,
}
"""The service's words. Of a finished job it has none, but the status 302."""

ACCEPTED = 202
NOT_FOUND = 404
FAULT = 500

RESULT_WAITS = (0.25, 0.5, 1.0, 2.0)
"""Seconds between tries for a result that a finished job does not have yet."""

SYNCHRONOUS = 130.0
"""Seconds for a synchronous call: the service's HTTP server cuts it off at 120."""

FINISHED = "finish"
"""The word of the list of jobs for one that is over, however it went."""

NO_SUCH_JOB = frozenset({FAULT})
"""
What an unknown job is answered with, as a failed one may be: 500.

A repetition would get it again, so that it is looked into instead.
"""

TOO_LATE = frozenset({302, 400, 409, 500})
"""What a cancel may be answered with when the job is over."""

JOB_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~$:-]{0,253}[A-Za-z0-9_~$-])?")
"""A UUID in v1; of v2 ``OML-EBPY-<uuid>-<8 hex>-<LEVEL>-<ms>_<time>`` is shown."""

JSON = Headers({"Accept": "application/json"})

SENDS_JSON = Headers({"Accept": "application/json", "Content-Type": "application/json"})

NO_CONTENT = UnsupportedOperation(
    "content or files of a submit", "OML", ("inputs= (a mapping)",)
)

CONSOLE = re.compile(
    r"/(?:oml|omlusers)(/tenants/[^/]+/databases/[^/]+)?(?:/api(?:/.*)?)?$"
)
"""The end of a URL that the console, or the API, shows."""


@attrs.frozen(kw_only=True)
class OmlPlace:
    """Where a database's machine learning is."""

    origin: str
    scripts: str
    """The path of the scripts, without a version: ``/oml/api/py-scripts``."""

    users: str
    """The path of the token service: ``/omlusers``."""


def parse_place(url: str) -> OmlPlace:
    """
    Find out the two roots from a URL as the console shows it.

    Args:
        url: with ``/oml/`` or ``/omlusers/`` or neither at its end; or with a
            tenant, as in ``/oml/tenants/T/databases/D``; or of the API.

    Raises:
        InvalidArgument: it is no usable URL.
    """
    origin, path = split_base(url)
    match = CONSOLE.search(path)
    prefix = path if match is None else path[: match.start()]
    tenant = "" if match is None else match[1] or ""
    return OmlPlace(
        origin=origin,
        scripts=f"{prefix}/oml{tenant}/api/py-scripts",
        users=f"{prefix}/omlusers{tenant}",
    )


@attrs.frozen(kw_only=True)
class OmlDialect(Dialect):
    """How the embedded Python execution of OML4Py words its task API."""

    protocol: ClassVar[str] = "oml"
    states: ClassVar[Mapping[str, TaskState]] = STATES

    place: OmlPlace
    version: str = attrs.field(default="v2")
    """``"v2"``; or ``"v1"``, which the vendor ends in spring 2026."""

    @version.validator
    def _known(self, _: object, version: str) -> None:
        if version not in {"v1", "v2"}:
            raise InvalidArgument("api_version", version, "choose v1 or v2")

    @property
    def capabilities(self) -> Capabilities:
        """What this version has."""
        lists = {name: frozenset({"select", "count"}) for name in LISTS}
        if self.version == "v1":
            # Jobs cannot be listed: a submit whose answer was lost leaves no trace.
            return Capabilities(reconcile=Reconcile.NONE, resources=lists)
        jobs = frozenset({"select", "select_one", "delete_one", "count"})
        preloads = frozenset({"select", "insert", "delete_one", "count"})
        return Capabilities(
            reconcile=Reconcile.ORPHANS,
            resources={**lists, "tasks": jobs, "preloads": preloads},
            task_list=True,
            delete=True,
        )

    @property
    def variant(self) -> str:
        """The version, ``"v1"`` or ``"v2"``."""
        return self.version

    @property
    def title(self) -> str:
        """The name that people read, ``"OML4Py v2"``."""
        return f"OML4Py {self.version}"

    @property
    def root(self) -> str:
        """The path below which everything of this version lies."""
        return f"{self.place.scripts}/{self.version}"

    def _job(self, ref: TaskRef, tail: str = "") -> str:
        return f"{self.root}/jobs/{segment(ref.id, 'task')}{tail}"

    # --- the life of a task --------------------------------------------------

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        """
        Have a script run as a job.

        The options are those of :class:`~.oml_calls.OmlOptions`.
        """
        if prepared.payload.body and prepared.payload.inputs is None:
            raise NO_CONTENT
        response = yield self._build_call(
            prepared.service,
            prepared.payload.inputs,
            prepared.options,
            asynchronous=True,
        )
        expect(response, 201)
        task_id = parse_job_id(response, self.place.origin + self.root)
        return Launched(ref=TaskRef(id=task_id, service=prepared.service))

    def call(
        self, script: str, inputs: Any, options: Mapping[str, Any]
    ) -> Flow[Response]:
        """
        Run a script while the connection is held.

        Raises:
            TaskFailed: the script failed. As there is no job, ``task_id`` is the
                script's name.
        """
        request = self._build_call(script, inputs, options, asynchronous=False)
        response = yield attrs.evolve(request, attempt_timeout=SYNCHRONOUS)
        return open_result(response, script)

    def _build_call(
        self,
        script: str,
        inputs: Any,
        options: Mapping[str, Any],
        *,
        asynchronous: bool,
    ) -> Request:
        return Request(
            "POST",
            f"{self.root}/{build_path(script, options)}",
            SENDS_JSON,
            build_body(inputs, options, self.version, asynchronous=asynchronous),
            # A second POST starts a second job: there is no key against that.
            replayable=False,
        )

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        """Look once; a job that is over does not say how it went."""
        request = Request("GET", self._job(ref), JSON, final=NO_SUCH_JOB)
        response = yield request
        if response.status in NO_SUCH_JOB:
            return (yield from self._look_into(ref, request, response))
        if expect(response, ACCEPTED, 302).status == ACCEPTED:
            return parse_status(response)
        # 302 means finished, and the result tells how. It is not followed: the
        # header is Content-Location, on one page Location, and its URL may be of
        # another path. It is only looked at, to find out a foreign one, or that of
        # a login page.
        for name in ("Content-Location", "Location"):
            link = response.headers.get(name, "")
            shown = find_job_id(link, self.place.origin + request.url)
            if shown not in {None, ref.id}:
                expected = f"a link to {ref.id}"
                raise RemoteProtocolError(expected, response.redacted(), link)
        return OVER

    def _look_into(
        self, ref: TaskRef, request: Request, response: Response
    ) -> Flow[TaskStatus]:
        """Find out what is behind a 500: no such job, a failed one, or trouble."""
        words = parse_failure(response)
        if self.version == "v1":
            if words is not None and is_own_failure(response):
                return TaskStatus(state=TaskState.FAILED, message=words)
            raise refusal(response)
        row = yield from self._find(ref.id)
        if row is None:
            asked = request.redacted()  # the list was asked since
            raise NotFound(response.redacted(), words or "no such job", asked)
        _, status = self.parse_row(row)
        if status.done:
            return status
        raise refusal(response)

    def survey(
        self, refs: Sequence[TaskRef], rows: int, known: Known | None = None
    ) -> Flow[Survey]:
        """Look at several jobs through the list, which is neither cut nor paged."""
        del known
        listed = yield from self._rows("tasks")
        if len(listed) > rows:
            # Jobs of half a year may be in it: that does not pay.
            return Survey(found={}, rows=len(listed), whole=False)
        found: dict[tuple[str, int | None], TaskStatus] = {}
        for ref, status in map(self.parse_row, listed):
            if status.done or status.state is not TaskState.UNKNOWN:
                key = (ref.id, None)
                found[key] = merge_status(found.get(key), status)
        return Survey(found=found, rows=len(listed), whole=True)

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        """Read a row of the list of jobs (v2)."""
        word = row.get("status")
        word = word if isinstance(word, str) else ""
        over = word.lower() == FINISHED
        status = TaskStatus(
            state=TaskState.UNKNOWN if over else self.state_of(word),
            done=over,
            outcome_known=not over,
            word=word,
            created_at=_time(row.get("createdDate")),
            run_time=_elapsed(row.get("elapsedTime")),
            raw=row,
        )
        return TaskRef(id=row["id"]), status

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Fetch what the script returned, without the envelope."""
        request = self.build_download(ref)
        response = yield request
        for wait in RESULT_WAITS:
            if not _unready(response):
                break
            yield Sleep(wait)
            response = yield request
        if response.status in NO_SUCH_JOB:
            yield from self._see_if_known(ref, request, response)
            if parse_failure(response) is None:
                raise _refused(request, response)
        return open_result(response, ref.id, status)

    def _see_if_known(
        self, ref: TaskRef, request: Request, response: Response
    ) -> Flow[None]:
        """
        Tell trouble with a result from a job that was forgotten: both are a 500.

        Raises:
            NotFound: the job is not known any more.
        """
        try:
            yield from self.poll(ref)
        except (NotFound, ServiceBroken) as exc:
            words = parse_failure(response) or "no such job"
            asked = request.redacted()
            raise NotFound(response.redacted(), words, asked) from exc

    def comments(self, ref: TaskRef) -> Flow[Any]:
        """Fetch the comments of a finished job (v2); None where it has none."""
        self._only_v2("comments of a job")
        response = yield self.build_download(ref)
        document = expect(response, 200).json()
        return field(document, "comments", (str, list, dict), response)

    def build_download(self, ref: TaskRef) -> Request:
        """Build the request for the result, envelope and all."""
        return Request("GET", self._job(ref, "/result"), JSON, final=NO_SUCH_JOB)

    def find_download(self, ref: TaskRef) -> Flow[Request]:
        """See that it is a result, not a failure, that a file will be made of."""
        yield from self.result(ref, OVER)
        return self.build_download(ref)

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        """
        End a job that runs; the service's 200 confirms it.

        v1 has no cancel: there the job is deleted, which ends it.
        """
        if self.version == "v1":
            request = self._build_delete(ref)
        else:
            url = self._job(ref, "/cancel")
            request = Request("POST", url, JSON, replayable=True, final=NO_SUCH_JOB)
        response = yield request
        # The older edition of v1's page has 202 and 302: it runs, it is over.
        if response.status in {200, 202, 204}:
            return CANCELLED
        if response.status in TOO_LATE:
            status = yield from self.poll(ref)
            if status.done:
                return status
        raise _refused(request, response)

    def delete(self, ref: TaskRef) -> Flow[None]:
        """Remove a job and its result (v2: any; v1: only while it runs)."""
        request = self._build_delete(ref)
        response = yield request
        unclear = response.status in NO_SUCH_JOB and self.version == "v2"
        if unclear and (yield from self._find(ref.id)) is None:
            words = parse_failure(response) or "no such job"
            raise NotFound(response.redacted(), words, request.redacted())
        expect(response, 200, 202, 204, 302)

    def _build_delete(self, ref: TaskRef) -> Request:
        url = self._job(ref)
        return Request("DELETE", url, JSON, replayable=True, final=NO_SUCH_JOB)

    # --- resources -----------------------------------------------------------

    def select(self, resource: str, query: Query) -> Flow[Page]:
        """List all rows there are: the service neither filters nor pages."""
        self.capabilities.require(resource, "select", self.title)
        if query.where or query.sort is not None:
            operation = f"filter or sort of {resource}"
            raise UnsupportedOperation(operation, self.title, ("the whole list",))
        rows = yield from self._rows(resource)
        return Page(rows=rows, total=len(rows))

    def select_one(self, resource: str, key: str) -> Flow[Mapping[str, Any] | None]:
        """Fetch one job of the list; None where there is none."""
        self.capabilities.require(resource, "select_one", self.title)
        return (yield from self._find(key))

    def insert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        """Load a conda environment: ``{"envName": ..., "overwrite": ...}``."""
        self.capabilities.require(resource, "insert", self.title)
        url = f"{self.root}/preload/conda"
        body = codec.dumps(dict(row), name="row")
        response = yield Request("POST", url, SENDS_JSON, body, replayable=False)
        document: Mapping[str, Any] = expect(response, 200, 201, 202).json()
        return document

    def delete_one(self, resource: str, key: str) -> Flow[bool]:
        """Delete a job, or a preloaded environment; tell whether there was one."""
        self.capabilities.require(resource, "delete_one", self.title)
        try:
            if resource == "tasks":
                yield from self.delete(TaskRef(id=key))
            else:
                url = f"{self.root}/preload/conda/{segment(key, 'environment')}"
                response = yield Request("DELETE", url, JSON, replayable=True)
                expect(response, 200)
        except NotFound:
            return False
        except RequestRejected as exc:
            # That is how a missing environment is told.
            if "not found" in exc.message.lower():
                return False
            raise
        return True

    def count(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Count all rows."""
        self.capabilities.require(resource, "count", self.title)
        page = yield from self.select(resource, Query(where=where))
        return len(page.rows)

    def _find(self, job_id: str) -> Flow[Mapping[str, Any] | None]:
        rows = yield from self._rows("tasks")
        return next((row for row in rows if row["id"] == job_id), None)

    def _rows(self, resource: str) -> Flow[Sequence[Mapping[str, Any]]]:
        path, *keys = {**LISTS, **LISTS_OF_V2}[resource]
        # The versions of the API lie above any of them.
        url = f"{self.root}/{path}" if path else self.place.scripts
        response = yield Request("GET", url, JSON, expect_json=True)
        found = expect(response, 200).json()
        for key in keys[:-1]:
            found = field(found, key, dict, response, required=True)
        rows: list[dict[str, Any]] = field(
            found, keys[-1], list, response, required=True
        )
        if not all(isinstance(row, dict) for row in rows):
            expected = f"an array of objects at $.{keys[-1]}"
            raise RemoteProtocolError(expected, response.redacted())
        if resource != "tasks":
            return rows
        # Alone among the keys it is written so; everybody else's is "id".
        key = "job_id"
        ids = [field(row, key, str, response, required=True) for row in rows]
        return [{"id": each, **row} for each, row in zip(ids, rows, strict=True)]

    def _only_v2(self, operation: str) -> None:
        if self.version == "v1":
            raise UnsupportedOperation(operation, self.title, ("(only v2)",))


LISTS = {
    "environments": ("envs", "result", "envs"),
    "scripts": ("scripts", "result"),
    "versions": ("", "items"),
}
"""The resources that can be listed: path, and where in the answer the rows are."""

LISTS_OF_V2 = {
    "preloads": ("preload/conda", "environments"),
    "tasks": ("jobs", "result"),
}

OVER = TaskStatus(state=TaskState.UNKNOWN, done=True, outcome_known=False)
"""Finished; how, the result tells."""

CANCELLED = TaskStatus(state=TaskState.CANCELLED, cancel_requested=True)


# --- links -------------------------------------------------------------------


def check_home(base: str, raw: str) -> str:
    """
    Return the path of a link of the service, which must be of the same host.

    The scheme may be another one, and then the port: behind a proxy the service does
    not know how it is reached. No request is ever sent to such a link.

    Raises:
        UntrustedUrl: the link leads elsewhere.
    """
    ours = urlsplit(base)
    known = set()
    if ours.scheme == "https":
        known = {origin_of(f"http://{name}") for name in (ours.netloc, _host(ours))}
    return urlsplit(resolve_server_url(base, raw.strip(), known)).path


def _host(url: SplitResult) -> str:
    return url.netloc.removesuffix(f":{url.port}")


def parse_job_id(response: Response, base: str) -> str:
    """
    Take the id of a job from the Location of an answer.

    Only the id: the URL is of a tenant's path at times, lacks ``/jobs/`` or begins
    with ``http:``, and the documented one ends with a semicolon.

    Args:
        response: with the header.
        base: the absolute URL that was asked.

    Raises:
        RemoteProtocolError: there is no usable id.
        UntrustedUrl: the URL is of another origin.
    """
    raw = response.headers.get("Location", "")
    job_id = find_job_id(raw, base)
    if job_id is None:
        expected = "a Location that ends with a job's id"
        raise RemoteProtocolError(expected, response.redacted(), repr(raw[:200]))
    return job_id


def find_job_id(link: str, base: str) -> str | None:
    """
    Return the id at the end of a job's link, or of its result's; None without one.

    Raises:
        UntrustedUrl: the link is of another origin.
    """
    if not link.strip():
        return None
    parts = [part.partition(";")[0] for part in check_home(base, link).split("/")]
    kept = [part for part in parts if part]
    if kept and kept[-1] == "result":
        kept.pop()
    job_id = unquote(kept[-1]) if kept else ""
    usable = JOB_ID.fullmatch(job_id) and job_id not in {"jobs", "v1", "v2"}
    return job_id if usable else None


def _refused(request: Request, response: Response) -> ResponseError:
    """Return the error of a refusal after which something else was asked."""
    error = refusal(response)
    error.request = request.redacted()
    return error


def _unready(response: Response) -> bool:
    """Tell whether there is no result yet, or trouble; a script's failure is none."""
    if response.status == NOT_FOUND:  # "not ready" too, right after the 302
        return True
    return response.status == FAULT and not is_own_failure(response)


# --- the document of a pending job -------------------------------------------

MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

V1_DATE = re.compile(
    r"([A-Z][a-z]{2}) (\d{1,2}), ?(\d{4}) (\d{2}):(\d{2})(?::(\d{2}))?"
)

V2_DATE = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?: UTC)?")

ELAPSED = re.compile(r"(\d{1,6}):(\d{2}):(\d{2})")


def parse_status(response: Response) -> TaskStatus:
    """
    Read the answer about a job that is pending.

    That it is pending is told by the status 202; what the body adds is taken where
    it can be read, and is no reason to end a wait where it cannot.
    """
    try:
        document = response.json()
    except ResponseDecodeError:
        document = None
    if not isinstance(document, dict):
        document = {}
    word = document.get("status")
    return TaskStatus(
        state=TaskState.RUNNING,
        word=word if isinstance(word, str) else "",
        created_at=_time(document.get("createdDate")),
        run_time=_elapsed(document.get("elapsedTime")),
        raw=document,
    )


def _time(value: Any) -> datetime | None:
    """Read ``2026-01-26 20:35:22 UTC``, or v1's `` Mar 12,2025 22:55``."""
    text = value.strip() if isinstance(value, str) else ""
    v1, v2 = V1_DATE.match(text), V2_DATE.match(text)
    try:
        if v2 is not None:
            return datetime.fromisoformat(v2[1]).replace(tzinfo=UTC)
        if v1 is None or v1[1] not in MONTHS:
            return None
        month = MONTHS.index(v1[1]) // 3 + 1
        day, year, hour, minute = (int(v1[n]) for n in (2, 3, 4, 5))
        second = int(v1[6] or 0)
        # v1 names no zone; UTC is taken to be implied, as v2 says it.
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _elapsed(value: Any) -> float | None:
    match = ELAPSED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)
