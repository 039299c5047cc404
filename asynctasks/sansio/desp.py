"""
What DESP User Workflow Processing says: jobs of CGI's Insula, its files and services.

Sources: the guide of DestinE's User Workflow environment; the OpenAPI document of
Insula for DestinE; answers that CGI's own clients recorded; the code of the open
ancestors (F-TEP, Food Security TEP). Where builds differ, all forms are understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import attrs

from . import codec
from .answers import expect, refusal
from .desp_hal import (
    PageInfo,
    check_about,
    find_id,
    parse_page,
    parse_rows,
    with_id,
)
from .desp_inputs import check_inputs, encode_inputs, id_text
from .desp_jobs import (
    STATES,
    CostEstimate,
    LogLine,
    OutputFile,
    judge_parent,
    last_words,
    parse_counts,
    parse_estimate,
    parse_file,
    parse_job,
    parse_logs,
)
from .desp_resources import REFERENCES, RESOURCES, Resource, build_list, reference
from .dialect import (
    Capabilities,
    Dialect,
    Known,
    Launched,
    Page,
    Payload,
    Prepared,
    Query,
    Reconcile,
    Survey,
)
from .http import Body, Flow, Headers, Request, Response, Sleep
from .task import TaskRef, TaskState, TaskStatus
from .times import parse_time
from .urls import join_query, segment
from ..exceptions import (
    InvalidArgument,
    RemoteProtocolError,
    ResponseError,
    TransportError,
    UnsupportedOperation,
)


__all__ = ["DespDialect"]

ROOT = "/secure/api/v2.0"

# Without an Accept header, answers to POST and PATCH have no body.
HAL = Headers({"Accept": "application/hal+json, application/json, */*;q=0.1"})
SENT = Headers({**HAL, "Content-Type": "application/hal+json;charset=UTF-8"})
PATCHED = Headers({**HAL, "Content-Type": "application/json"})
ANY = Headers({"Accept": "*/*"})

LAUNCH_TIMEOUT = 180.0
"""Seconds for a launch, which the service answers when the job exists: in a minute."""

TERMINATE_TIMEOUT = 90.0
"""Seconds for a terminate, which waits a minute for the worker."""

SETTLE_WAITS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds between looks for a change that the service makes after its answer."""

PAGES = 1000
"""Pages of a list that are gone through at most; then the list has no end."""

NOT_EXPORTED = 405
"""Said by builds that do not have a call."""


@attrs.frozen(kw_only=True)
class DespDialect(Dialect):
    """How Insula words its API."""

    protocol: ClassVar[str] = "desp"
    states: ClassVar[Mapping[str, TaskState]] = STATES

    origin: str
    """Scheme, host and port: bodies refer to services and jobs by their full URL."""

    prefix: str = ""
    """The path before :data:`ROOT`, without a slash at its end."""

    @property
    def root(self) -> str:
        """The path below which everything lies."""
        return self.prefix + ROOT

    @property
    def base(self) -> str:
        """The URL below which everything lies."""
        return self.origin + self.root

    @property
    def capabilities(self) -> Capabilities:
        """What Insula has."""
        return Capabilities(
            # There is no key, but what a launch starts is a job of its configuration.
            reconcile=Reconcile.CONFIG,
            resources={name: each.verbs for name, each in RESOURCES.items()},
            task_list=True,
        )

    @property
    def variant(self) -> str:
        """The version of the API."""
        return "v2.0"

    @property
    def title(self) -> str:
        """The name that people read."""
        return "DESP (Insula)"

    # --- submit: prepare and launch ------------------------------------------

    def prepare(
        self, service: str, payload: Payload, options: Mapping[str, Any]
    ) -> Flow[Prepared]:
        """
        Store a job configuration; nothing runs and nothing is charged yet.

        An equal one (service, inputs and parent; not the label) is found again.

        Options: ``outputs`` (identifiers of collections by output), ``parent`` (a
        job), ``label``, ``parallel_parameters`` and ``search_parameters`` (input
        ids), ``check_inputs``, ``max_cost``; and ``service_id`` where it is known.
        """
        if payload.body and payload.inputs is None:
            operation = "submit of content or files"
            raise UnsupportedOperation(operation, self.title, ("submit of inputs",))
        inputs = encode_inputs(payload.inputs, options.get("outputs"))
        service_id = options.get("service_id")
        if service_id is None:
            service_id = yield from self.find_service(service)
        if options.get("check_inputs"):
            yield from self._check(service_id, inputs, options)
        config_id = yield from self._store(service_id, inputs, options)
        prepared = Prepared(
            service=service, payload=payload, config_id=config_id, options=options
        )
        if options.get("max_cost") is not None:
            yield from self._check_cost(config_id, options["max_cost"])
        return prepared

    def find_service(self, service: str) -> Flow[str]:
        """
        Return the id of a service: of its id, its link, or its name.

        Raises:
            InvalidArgument: there is none of this name, or there are several.
        """
        if service.isdigit() or "/" in service:
            return reference("", "services", service, "service").rpartition("/")[2]
        query: Query | None = Query(limit=100)
        found = []
        read = 0
        while query is not None:
            page = yield from self._next_page("services", query, read)
            found += [row for row in page.rows if row.get("name") == service]
            query = page.next
            read += 1
        if len(found) != 1:
            remedy = f"{len(found)} services have this name; give the id of one"
            raise InvalidArgument("service", service, remedy)
        return id_text(found[0])

    def _check(
        self, service_id: str, inputs: dict[str, list[str]], options: Mapping[str, Any]
    ) -> Flow[None]:
        found = yield from self.select_one("services", service_id)
        if found is None:
            remedy = "there is no such service, or you may not see it"
            raise InvalidArgument("service", service_id, remedy)
        check_inputs(found, inputs, options.get("parallel_parameters") or ())

    def _store(
        self, service_id: str, inputs: dict[str, list[str]], options: Mapping[str, Any]
    ) -> Flow[str]:
        document = {
            "service": reference(self.base, "services", service_id, "service"),
            "inputs": inputs,
            "parent": None,
        }
        if options.get("parent") is not None:
            parent = reference(self.base, "jobs", options["parent"], "parent")
            document["parent"] = parent
        for name, key in OPTIONAL_FIELDS.items():
            if options.get(name):
                document[key] = options[name]
        request = Request(
            "POST",
            f"{self.root}/jobConfigs/",
            SENT,
            codec.dumps(document),
            replayable=True,  # an equal configuration is found again
        )
        response = yield request
        if response.status == 409:  # noqa: PLR2004 - an equal one was stored just now
            yield Sleep(SETTLE_WAITS[0])
            response = yield request
        return _id_of_new(expect(response, 200, 201))

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        """
        Start a job of a stored configuration.

        Every launch starts a new job and charges credits, so it is never repeated
        blindly. The service answers before it looks at the inputs: a refusal of
        those shows as a job in error.
        """
        if prepared.config_id is None:
            raise InvalidArgument("prepared", prepared, "prepare it before")
        config = segment(prepared.config_id)
        response = yield Request(
            "POST",
            f"{self.root}/jobConfigs/{config}/launch",
            SENT,
            replayable=False,
            attempt_timeout=LAUNCH_TIMEOUT,
        )
        # 202 in production, 200 in the OpenAPI document.
        document = _document(expect(response, 200, 201, 202))
        ref = TaskRef(id=find_id(document, response), service=prepared.service)
        return Launched(ref=ref, status=_first_status(document, response))

    def launched_since(
        self, config_id: str, since: datetime, *, parent: str | None = None
    ) -> Flow[list[TaskRef]]:
        """
        List the jobs of a configuration that were created after a time, newest first.

        This settles a launch whose answer was lost. A build that does not say when a
        job was created has all its jobs of the configuration listed.
        """
        where = {"projection": "detailedJob", "parentId": parent}
        query: Query | None = Query(where=where, sort="id,desc", limit=100)
        found: list[TaskRef] = []
        read = 0
        while query is not None:
            page = yield from self._next_page("jobs", query, read)
            query = page.next
            read += 1
            for row in page.rows:
                created = parse_time(row.get("created"))
                if created is not None and created < since:
                    return found
                config = row.get("config")
                if isinstance(config, dict) and str(config.get("id")) == config_id:
                    found.append(TaskRef(id=find_id(row, Response(200))))
        return found

    def _next_page(self, resource: str, query: Query, read: int) -> Flow[Page]:
        """Fetch one of the pages that are gone through to their end."""
        if read >= PAGES:
            expected = f"at most {PAGES} pages of {resource}"
            raise RemoteProtocolError(expected, None, "more")
        return (yield from self.select(resource, query))

    # --- costs ---------------------------------------------------------------

    def estimate(self, config_id: str) -> Flow[CostEstimate]:
        """Ask what a launch of a stored configuration would cost."""
        response = yield from self._ask_cost(config_id)
        return parse_estimate(response)

    def _ask_cost(self, config_id: str) -> Flow[Response]:
        path = f"{self.root}/estimateCost/jobConfig/{segment(config_id)}"
        response = yield Request("GET", path, HAL)
        if response.status in {404, NOT_EXPORTED}:
            raise UnsupportedOperation("cost estimate", self.title)
        return expect(response, 200, 402)

    def _check_cost(self, config_id: str, most: float) -> Flow[None]:
        response = yield from self._ask_cost(config_id)
        estimate = parse_estimate(response)
        if estimate.cost > most:
            remedy = f"the service estimates {estimate.cost:g} ({estimate.recurrence})"
            raise InvalidArgument("max_cost", most, remedy)
        expect(response, 200)

    # --- looking -------------------------------------------------------------

    def _job(self, ref: TaskRef, tail: str = "", **params: str) -> str:
        return join_query(f"{self.root}/jobs/{segment(ref.id, 'job')}{tail}", params)

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        """
        Look once: at a parent's sub-jobs too, and for the words of one that failed.
        """
        response = yield Request("GET", self._job(ref), HAL, expect_json=True)
        document = expect(response, 200).json()
        status = parse_job(document, response)
        check_about(document, ref.id, response)
        if document.get("parent") is True:
            status = yield from self._judge(ref, status)
        elif status.state is TaskState.FAILED:
            words = yield from self._last_words(ref)
            status = attrs.evolve(status, message=words)
        return attrs.evolve(status, generation=ref.generation or 0)

    def _judge(self, ref: TaskRef, status: TaskStatus) -> Flow[TaskStatus]:
        path = self._job(ref, projection="detailedJob")
        response = yield Request("GET", path, HAL)
        if response.status == 200:  # noqa: PLR2004
            counts = parse_counts(response.json())
            if counts is not None:
                return judge_parent(parse_job(response.json(), response), counts)
        # Builds that do not count have the list.
        path = self._job(ref, "/subJobs", projection="shortJob")
        response = yield Request("GET", path, HAL)
        if response.status in {404, NOT_EXPORTED}:
            return status
        tally: dict[str, int] = {}
        for row in parse_rows(expect(response, 200).json(), "jobs", response):
            word = str(row.get("status"))
            tally[word] = tally.get(word, 0) + 1
        return judge_parent(status, tally)

    def _last_words(self, ref: TaskRef) -> Flow[str]:
        # That it failed must not get lost because the log cannot be had.
        try:
            response = yield Request("GET", self._job(ref, "/logs"), HAL)
            return last_words(parse_logs(expect(response, 200)))
        except (TransportError, ResponseError, RemoteProtocolError):
            return ""

    def logs(self, ref: TaskRef) -> Flow[list[LogLine]]:
        """Fetch the log of a job, oldest line first."""
        response = yield Request("GET", self._job(ref, "/logs"), HAL, expect_json=True)
        return parse_logs(expect(response, 200))

    def sub_jobs(self, ref: TaskRef) -> Flow[list[Launched]]:
        """List the sub-jobs of a parent."""
        path = self._job(ref, "/subJobs", projection="shortJob")
        response = yield Request("GET", path, HAL, expect_json=True)
        rows = parse_rows(expect(response, 200).json(), "jobs", response)
        return [
            Launched(
                ref=TaskRef(id=find_id(row, response), service=ref.service),
                status=parse_job(row, response),
            )
            for row in rows
        ]

    # --- many jobs at once ---------------------------------------------------

    def build_survey(self, refs: Sequence[TaskRef]) -> Query:
        """Say which part of the list shows these: its end, newest first."""
        where = {"projection": "shortJob"}
        return attrs.evolve(super().build_survey(refs), where=where, sort="id,desc")

    def survey(
        self, refs: Sequence[TaskRef], rows: int, known: Known | None = None
    ) -> Flow[Survey]:
        """
        Look at several jobs through the list.

        What a row cannot tell is left to a look at the job: how the sub-jobs of a
        parent are, why a job failed, and whether it is the end before a relaunch.
        """
        survey = yield from super().survey(refs, rows, known)
        relaunched = {ref.id for ref in refs if ref.generation is not None}
        found = {
            key: status
            for key, status in survey.found.items()
            if key[0] not in relaunched
            and status.state is not TaskState.FAILED
            and not status.raw.get("parent")
        }
        return attrs.evolve(survey, found=found)

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        """Read a row of the list of jobs."""
        answer = Response(200)
        return TaskRef(id=find_id(row, answer)), parse_job(row, answer)

    # --- results -------------------------------------------------------------

    def output_files(self, ref: TaskRef) -> Flow[list[OutputFile]]:
        """List the files that a job made; of a parent, those of its sub-jobs."""
        response = yield from self._outputs(ref)
        rows = parse_rows(response.json(), "platformFiles", response)
        return [parse_file(row, response) for row in rows]

    def _outputs(self, ref: TaskRef) -> Flow[Response]:
        path = self._job(ref, "/outputFiles", projection="detailedPlatformFile")
        response = yield Request("GET", path, HAL, expect_json=True)
        return expect(response, 200)

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        """Fetch the list of the job's files, as JSON: an array of their documents."""
        del status
        response = yield from self._outputs(ref)
        rows = parse_rows(response.json(), "platformFiles", response)
        body = codec.dumps(rows, name="result")
        headers = Headers({"Content-Type": "application/json"})
        return attrs.evolve(response, headers=headers, body=body)

    def build_download(self, ref: TaskRef) -> Request:
        """Refuse: a job has files, and its id tells none of them."""
        operation = f"download of job {ref.id} without asking for its files"
        raise UnsupportedOperation(operation, self.title)

    def find_download(self, ref: TaskRef) -> Flow[Request]:
        """
        Build the request for the one file of a job.

        Raises:
            UnsupportedOperation: it has another number of files.
        """
        files = yield from self.output_files(ref)
        if len(files) != 1:
            operation = f"download of a job with {len(files)} files to one file"
            has = ("download_outputs(task, folder)", "download_file(file, folder)")
            raise UnsupportedOperation(operation, self.title, has)
        return self.build_file_download(files[0].id)

    def build_file_download(self, file_id: str) -> Request:
        """Build the request for the content of a platform file."""
        # Links to it come in four forms, one of them not leading to the content.
        return Request("GET", f"{self.root}/platformFiles/{segment(file_id)}/dl", ANY)

    def upload(
        self, body: Body, content_type: str, query: Mapping[str, str], timeout: float
    ) -> Flow[Mapping[str, Any]]:
        """
        Upload a file of reference data.

        Args:
            body: a form with the parts ``file`` and ``userProperties``.
            content_type: of the form.
            query: ``fileType``, and ``collection`` with the collection's identifier.
            timeout: seconds for the upload.
        """
        response = yield Request(
            "POST",
            join_query(f"{self.root}/platformFiles/refData", query),
            Headers({**HAL, "Content-Type": content_type}),
            body,
            # File names are unique per user: a second time would be refused.
            replayable=False,
            attempt_timeout=timeout,
        )
        document = expect(response, 200, 201).json()
        row = document.get("platformFile") if isinstance(document, dict) else None
        if not isinstance(row, dict):
            raise RemoteProtocolError("a file at $.platformFile", response.redacted())
        return {**row, "_links": document.get("_links") or {}}

    # --- ending --------------------------------------------------------------

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        """
        End a job: remove it from the queue, or terminate it where it runs.

        A job that was terminated ends ``COMPLETED``, with the files that it had made
        by then. Of a parent, every sub-job is ended.
        """
        status = yield from self.poll(ref)
        if status.done:
            return status
        if status.state is not TaskState.RUNNING or status.raw.get("parent"):
            # A GET, and without effect on what runs, which is answered 200 too.
            response = yield Request("GET", self._job(ref, "/cancel"), HAL)
            expect(response, 200, 202, 204)
            status = yield from self.poll(ref)
        if status.raw.get("parent") and not status.done:
            yield from self._terminate_parts(ref)
        elif status.state is TaskState.RUNNING:
            yield from self.terminate(ref)
        return attrs.evolve(status, cancel_requested=True)

    def _terminate_parts(self, ref: TaskRef) -> Flow[None]:
        for part in (yield from self.sub_jobs(ref)):
            if part.status is not None and part.status.state is TaskState.RUNNING:
                yield from self.terminate(part.ref)

    def terminate(self, ref: TaskRef) -> Flow[None]:
        """Ask the worker to stop a running job, which then ends ``COMPLETED``."""
        response = yield Request(
            "POST",
            self._job(ref, "/terminate"),
            HAL,
            replayable=True,
            attempt_timeout=TERMINATE_TIMEOUT,
        )
        expect(response, 200, 202, 204)

    def relaunch_failed(self, ref: TaskRef) -> Flow[Launched]:
        """
        Run a failed job, or the failed sub-jobs of a parent, again; this charges.

        The id stays: what follows is told apart by the generation. The service acts
        after its answer, so the job is looked at until the old end is gone.

        Raises:
            InvalidArgument: the job has not failed.
        """
        old = yield from self.poll(ref)
        if old.state is not TaskState.FAILED:
            remedy = f"the job is {old.word}; only one in ERROR can be relaunched"
            raise InvalidArgument("task", ref.id, remedy)
        # Each of them charges, so it is never repeated blindly.
        path = self._job(ref, "/relaunchFailed")
        response = yield Request("POST", path, HAL, replayable=False)
        expect(response, 200, 202, 204)
        again = attrs.evolve(ref, generation=(ref.generation or 0) + 1)
        status = yield from self.poll(again)
        for wait in SETTLE_WAITS:
            if not status.done or status.ended_at != old.ended_at:
                break
            yield Sleep(wait)
            status = yield from self.poll(again)
        return Launched(ref=again, status=status)

    # --- resources -----------------------------------------------------------

    def select(self, resource: str, query: Query) -> Flow[Page]:
        """
        Fetch one page of rows.

        Rows that go while we page pull others to pages that were read already:
        these are read once more.
        """
        wanted = self._resource(resource, "select")
        info = PageInfo.of(query)
        page, size = yield from self._page(wanted, query, info.number)
        gone = (info.total or 0) - (page.total or 0)
        if info.number == 0 or page.total is None or gone <= 0:
            return page
        missed = yield from self._missed(wanted, query, info.number * size, gone, size)
        return attrs.evolve(page, rows=[*missed, *page.rows])

    def _missed(
        self, wanted: Resource, query: Query, end: int, gone: int, size: int
    ) -> Flow[list[Mapping[str, Any]]]:
        """Read the rows that were moved to before *end*, of as many as are gone."""
        start = max(0, end - gone)
        rows: list[Mapping[str, Any]] = []
        for number in range(start // size, end // size):
            page, _ = yield from self._page(wanted, query, number)
            rows += page.rows[max(0, start - number * size) :]
        return rows

    def _page(
        self, wanted: Resource, query: Query, number: int
    ) -> Flow[tuple[Page, int]]:
        path = build_list(
            wanted, query, number, root=self.root, base=self.base, title=self.title
        )
        response = yield Request("GET", path, HAL, expect_json=True)
        self._exported(response, wanted, "select")
        document = expect(response, 200).json()
        return parse_page(document, wanted.name, query, number, response)

    def select_one(self, resource: str, key: str) -> Flow[Mapping[str, Any] | None]:
        """Fetch one row in its richest projection; None where there is none."""
        wanted = self._resource(resource, "select_one")
        path = join_query(self._entity(resource, key), {"projection": wanted.detail})
        response = yield Request("GET", path, HAL, expect_json=True)
        if response.status == 404:  # noqa: PLR2004
            return None
        return _row(expect(response, 200))

    def insert(self, resource: str, row: Mapping[str, Any]) -> Flow[Mapping[str, Any]]:
        """Add a row, and fetch it where the answer does not show all of it."""
        wanted = self._resource(resource, "insert")
        response = yield Request(
            "POST",
            f"{self.root}/{resource}",
            SENT,
            codec.dumps(self._referring(row), name="row"),
            replayable=wanted.idempotent,
        )
        self._exported(response, wanted, "insert")
        key = _id_of_new(expect(response, 200, 201))
        if response.body and wanted.idempotent:
            return _row(response)
        # What takes outputs is a collection's identifier, which is not in the answer.
        found = yield from self.select_one(resource, key)
        if found is None:
            raise RemoteProtocolError(f"a {resource} {key}", response.redacted())
        return found

    def update(
        self, resource: str, key: str, row: Mapping[str, Any]
    ) -> Flow[Mapping[str, Any]]:
        """Change the given fields of a row."""
        wanted = self._resource(resource, "update")
        body = codec.dumps(self._referring(row), name="row")
        path = self._entity(resource, key)
        response = yield Request("PATCH", path, PATCHED, body, replayable=True)
        self._exported(response, wanted, "update")
        expect(response, 200, 204)
        found = yield from self.select_one(resource, key)
        if found is None:
            raise refusal(attrs.evolve(response, status=404))
        return found

    def delete_one(self, resource: str, key: str) -> Flow[bool]:
        """Remove one row; tell whether there was one."""
        wanted = self._resource(resource, "delete_one")
        path = self._entity(resource, key)
        response = yield Request("DELETE", path, HAL, replayable=True)
        if response.status == 404:  # noqa: PLR2004
            return False
        self._exported(response, wanted, "delete_one")
        expect(response, 200, 202, 204)
        return True

    def count(self, resource: str, where: Mapping[str, Any]) -> Flow[int]:
        """Count the rows that match."""
        self._resource(resource, "count")
        page = yield from self.select(resource, Query(where=where, limit=1))
        return len(page.rows) if page.total is None else page.total

    def current_user(self) -> Flow[Mapping[str, Any]]:
        """Ask who we are."""
        path = f"{self.root}/users/current"
        response = yield Request("GET", path, HAL, expect_json=True)
        return _row(expect(response, 200))

    def _resource(self, resource: str, verb: str) -> Resource:
        self.capabilities.require(resource, verb, self.title)
        return RESOURCES[resource]

    def _entity(self, resource: str, key: str) -> str:
        name = RESOURCES[resource].name
        return f"{self.root}/{name}/{segment(id_text(key, 'key'), 'key')}"

    def _referring(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Write a row's references to other entities as their links."""
        return {
            name: reference(self.base, REFERENCES[name], value, name)
            if name in REFERENCES and value is not None
            else value
            for name, value in row.items()
        }

    def _exported(self, response: Response, wanted: Resource, verb: str) -> None:
        if response.status == NOT_EXPORTED:
            operation = f"{verb}({wanted.name!r})"
            title = f"this build of {self.title}"
            raise UnsupportedOperation(operation, title, tuple(sorted(wanted.verbs)))


OPTIONAL_FIELDS = {
    "label": "label",
    "parallel_parameters": "parallelParameters",
    "search_parameters": "searchParameters",
}
"""Options of a submit, and the fields of a configuration that carry them."""


def _id_of_new(response: Response) -> str:
    """Return the id of what was stored; the answer may have a Location alone."""
    return find_id(_document(response), response)


def _document(response: Response) -> Any:
    return response.json() if response.body.strip() else None


def _first_status(document: Any, response: Response) -> TaskStatus | None:
    """Read the status of a job that was accepted; an odd one must not lose its id."""
    try:
        status = parse_job(document, response)
    except RemoteProtocolError:
        return None
    return status if status.word else None


def _row(response: Response) -> Mapping[str, Any]:
    document = response.json()
    if not isinstance(document, dict):
        raise RemoteProtocolError("a JSON object", response.redacted())
    return with_id(document)
