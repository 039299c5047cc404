"""What Insula's sources record is what we say, and what we understand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
import json
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    ConnectionLost,
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    RequestRejected,
    ServiceBroken,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.dialect import Payload, Prepared, Query
from asynctasks.sansio.http import Headers, Request, Response, Sleep
from asynctasks.sansio.task import TaskRef, TaskState
from tests.converse import converse
from tests.sansio.insula import (
    CALLS,
    DESP,
    PARENT,
    REF,
    SAMPLES,
    Step,
    bytes_of,
    load,
    prepare,
)


NOT_SAID: Mapping[str, str] = {
    "cancel": "we look before and after; see test_cancel",
    "collections": "we fetch what was made; see test_collections",
    "config-without-accept": "we send Accept; see test_stored_without_a_body",
    "download": "streamed; see test_find_download",
    "job-unknown": "raises; see test_unknown_job",
    "outputs-search": "the search of another client",
    "relaunch-failed": "we look before and after; see test_relaunch_failed",
    "run-seed": "its service link has a slash less; see test_seed",
    "service-in-error": "we name a service",
    "token": "said by OAuth2Password; see test_oauth",
    "token-refused": "said by OAuth2Password; see test_oauth",
}
"""Exchanges whose requests we put differently, and where they are tested."""

ROOT = "/secure/api/v2.0"


def said(request: Request) -> Any:
    """Return what matters of a request."""
    body = request.body
    assert isinstance(body, bytes)
    kind = request.headers.get("Content-Type", "").lower()
    sent = codec.loads(body) if "json" in kind and body else body.decode()
    query = parse_qsl(request.query.lstrip("?"), keep_blank_values=True)
    return request.method, request.path, sorted(query), sent


def recorded(sample: Mapping[str, Any]) -> Any:
    """Return what matters of a recorded request."""
    headers = Headers(sample["headers"])
    request = Request(sample["method"], sample["url"], headers, bytes_of(sample))
    return said(request)


def normal(sent: Any) -> Any:
    """Read the JSON that is within JSON, which may have blanks."""
    method, path, query, body = sent
    if isinstance(body, dict) and "collection" in body.get("inputs", {}):
        texts = [json.loads(text) for text in body["inputs"]["collection"]]
        body = {**body, "inputs": {**body["inputs"], "collection": texts}}
    if isinstance(body, dict) and "service" in body:
        body = {**body, "service": body["service"].rpartition("/")[2]}
    return method, path, query, body


def run(step: Step, left: list[tuple[Any, Response]]) -> Any:
    """Hold one conversation with recorded answers, and compare what is asked."""
    flow, pick, _ = step
    asked: list[Request | Sleep] = []
    conversation = flow()
    try:
        request = next(conversation)
        while True:
            assert isinstance(request, Request)
            asked.append(request)
            sample, response = left.pop(0)

            assert normal(recorded(sample)) == normal(said(request))
            request = conversation.send(response)
    except StopIteration as stop:
        return pick(stop.value)
    except AsyncTasksError as exc:
        facts = getattr(exc, "status", None), getattr(exc, "message", None)
        return type(exc), *facts


@pytest.mark.parametrize("name", sorted(CALLS))
def test_recorded_exchange(name: str) -> None:
    """A recorded exchange is asked for in its words, and understood."""
    left = load(name)
    for step in CALLS[name]:
        found = run(step, left)

        assert step[2] == found
    assert [] == left


def test_no_sample_is_forgotten() -> None:
    """Every recorded exchange is called here, or it is said why not."""
    names = {path.stem for path in SAMPLES.glob("*.json")}

    assert names == set(CALLS) | set(NOT_SAID)


def answer(
    body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    sent = b"" if body is None else json.dumps(body).encode()
    return Response(status, Headers(headers or {}), sent)


def answers(name: str) -> list[Response]:
    return [response for _, response in load(name)]


def paths(asked: list[Request | Sleep]) -> list[Any]:
    """Return what was asked: methods and paths below the root, and naps."""
    return [
        each.seconds
        if isinstance(each, Sleep)
        else f"{each.method} {each.path.removeprefix(ROOT)}"
        for each in asked
    ]


def job(status: str, **more: Any) -> Response:
    return answer({"id": 793, **more, "status": status})


# --- submit ------------------------------------------------------------------

SEED_INPUTS = {"s2_input": "Insula is", "s3_input": "great!"}
SEED_OUTPUTS = {"result": "eopaasbb235018ba8342dda1df91a5c3678395"}


def test_seed() -> None:
    """The guide's steps are prepare, launch and poll; the link gets its slash."""
    stored, launch, done = answers("run-seed")
    asked, prepared = converse(prepare(SEED_INPUTS, outputs=SEED_OUTPUTS), stored)
    [started], launched = converse(DESP.launch(prepared), launch)
    _, status = converse(DESP.poll(launched.ref), done)
    [store] = asked
    assert isinstance(store, Request)
    assert isinstance(started, Request)
    document = said(store)[3]
    wanted = load("run-seed")[0][0]["body"]

    assert normal(("", "", "", wanted)) == normal(("", "", "", document))
    assert f"https://insula.destine.eu{ROOT}/services/20" == document["service"]
    assert ("793", TaskState.SUCCEEDED) == (launched.ref.id, status.state)
    assert (True, False, 180.0) == (
        store.replayable,
        started.replayable,
        started.attempt_timeout,
    )


@pytest.mark.parametrize("prefix", ["", "/insula"])
def test_prefix(prefix: str) -> None:
    """A platform may lie below a path."""
    dialect = DespDialect(origin="https://x.test", prefix=prefix)
    [request], _ = converse(dialect.poll(REF), job("PENDING"))
    assert isinstance(request, Request)

    assert f"{prefix}{ROOT}/jobs/793" == request.path


def test_options_of_a_submit() -> None:
    """What a configuration may have beside its inputs is written as it is named."""
    flow = prepare(
        {"in": ["a", "b"]},
        parent="4421",
        label="mine",
        parallel_parameters=["in"],
        search_parameters=["in"],
    )
    [request], _ = converse(flow, answer({"id": 1}, 201))
    assert isinstance(request, Request)

    assert {
        "service": f"https://insula.destine.eu{ROOT}/services/20",
        "inputs": {"in": ["a", "b"]},
        "parent": f"https://insula.destine.eu{ROOT}/jobs/4421",
        "label": "mine",
        "parallelParameters": ["in"],
        "searchParameters": ["in"],
    } == said(request)[3]


def test_stored_without_a_body() -> None:
    """The id of a configuration is taken from the Location where there is no body."""
    _, prepared = converse(prepare(), *answers("config-without-accept"))

    assert "199" == prepared.config_id


def test_stored_at_the_same_time() -> None:
    """A configuration that lost the race to an equal one is stored once more."""
    asked, prepared = converse(prepare(), answer(status=409), answer({"id": 7}, 201))
    post = "POST /jobConfigs/"

    assert ([post, 0.25, post], "7") == (paths(asked), prepared.config_id)


def test_content_is_refused() -> None:
    """There are no bodies but inputs."""
    flow = DESP.prepare("20", Payload(body=b"raw"), {})
    with pytest.raises(UnsupportedOperation):
        converse(flow)


def test_service_by_name() -> None:
    """A name is looked up through all pages; a link is as good as an id."""
    first, last = answers("services-pages")
    asked, found = converse(DESP.find_service("service-9"), first, last)
    _, linked = converse(DESP.find_service("https://other.test/services/20{?x}"))

    assert ("9", "20", 2) == (found, linked, len(asked))


def test_service_whose_id_is_known() -> None:
    """A name that was looked up before is not looked up again."""
    asked, prepared = converse(
        prepare(service="TestProcessor", service_id="20"), answer({"id": 1}, 201)
    )

    assert (1, "TestProcessor") == (len(asked), prepared.service)


def test_service_of_unknown_name() -> None:
    """A name that nobody or more than one has is refused."""
    with pytest.raises(InvalidArgument, match="0 services"):
        converse(prepare(service="nope"), *answers("services-seed"))


def test_check_inputs() -> None:
    """Inputs are compared with the descriptor before anything is stored."""
    asked, _ = converse(
        prepare(SEED_INPUTS, check_inputs=True), *answers("service"), answer({"id": 1})
    )
    with pytest.raises(InvalidArgument, match="no such service"):
        converse(prepare(check_inputs=True), answer(status=404))
    with pytest.raises(InvalidArgument, match="needs the input"):
        converse(prepare(check_inputs=True), *answers("service"))

    assert ["GET /services/20", "POST /jobConfigs/"] == paths(asked)


def test_max_cost() -> None:
    """A launch is prepared only if it is as cheap as is wanted, and affordable."""
    stored = answer({"id": 199}, 201)
    converse(prepare(max_cost=1), stored, *answers("estimate"))
    with pytest.raises(InvalidArgument, match="estimates 1"):
        converse(prepare(max_cost=0.5), stored, *answers("estimate"))
    with pytest.raises(RequestRejected):
        converse(prepare(max_cost=1), stored, *answers("estimate-no-credit"))


@pytest.mark.parametrize("status", [404, 405])
def test_no_estimates(status: int) -> None:
    """Without estimates, a bound of the costs cannot be kept: nothing is launched."""
    with pytest.raises(UnsupportedOperation):
        converse(prepare(max_cost=1), answer({"id": 199}, 201), answer(status=status))


def test_launch_of_nothing() -> None:
    """What was not prepared is not launched."""
    with pytest.raises(InvalidArgument):
        converse(DESP.launch(Prepared(service="20", payload=Payload())))


@pytest.mark.parametrize("document", [{}, {"content": {}}, {"id": True}, [], "x"])
def test_launch_without_an_id(document: Any) -> None:
    """An accepted launch whose id cannot be found is an error of the service."""
    prepared = Prepared(service="20", payload=Payload(), config_id="199")
    with pytest.raises(RemoteProtocolError):
        converse(DESP.launch(prepared), answer(document, 202))


def test_launch_with_an_id_alone() -> None:
    """An accepted launch needs no more than the id."""
    prepared = Prepared(service="20", payload=Payload(), config_id="199")
    _, launched = converse(DESP.launch(prepared), answer({"id": 5}, 202))

    assert ("5", None) == (launched.ref.id, launched.status)


def test_launch_with_an_odd_status() -> None:
    """An accepted launch keeps its id, whatever else the answer says."""
    prepared = Prepared(service="20", payload=Payload(), config_id="199")
    _, launched = converse(DESP.launch(prepared), answer({"id": 5, "status": 7}, 202))

    assert ("5", None) == (launched.ref.id, launched.status)


def test_launch_with_a_location_alone() -> None:
    """An accepted launch may tell the id in its Location, and have no body."""
    prepared = Prepared(service="20", payload=Payload(), config_id="199")
    accepted = Response(202, Headers({"Location": f"{ROOT}/jobs/5"}))
    _, launched = converse(DESP.launch(prepared), accepted)

    assert ("5", None) == (launched.ref.id, launched.status)


@pytest.mark.parametrize("wrapped", [False, True])
def test_look_at_another_job(wrapped: bool) -> None:
    """A look that is answered with another job tells nothing of this one."""
    other = {"id": 8, "status": "COMPLETED"}
    answered = answer({"content": other} if wrapped else other)
    with pytest.raises(RemoteProtocolError, match=r"expected 793 at \$\.id, found 8"):
        converse(DESP.poll(TaskRef(id="793")), answered)


def test_row_without_a_usable_id() -> None:
    """An odd row of the list of jobs does not hide the others."""
    odd: list[Any] = [None, True, 1.5, "a/b", "", ".."]
    rows = [{"id": each, "status": "RUNNING"} for each in [*odd, 793]]
    page = answer({"_embedded": {"jobs": rows}})
    _, survey = converse(DESP.survey([TaskRef(id="793")], 100), page)

    assert {("793", None)} == set(survey.found)


def test_services_without_an_end() -> None:
    """Pages that have no end are not gone through for ever."""
    pages = [
        answer(
            {
                "_embedded": {"services": [{"id": number, "name": "other"}]},
                "page": {"number": number, "size": 1, "totalPages": 10**9},
            }
        )
        for number in range(1000)
    ]
    with pytest.raises(RemoteProtocolError, match="1000 pages of services"):
        converse(DESP.find_service("wanted"), *pages)


def listed(*rows: tuple[int, int, str | None]) -> Response:
    jobs = [
        {"id": n, "config": {"id": config}, "created": at} for n, config, at in rows
    ]
    return answer(
        {
            "_embedded": {"jobs": [*jobs]},
            "page": {"number": 0, "size": 100, "totalElements": 9, "totalPages": 1},
        }
    )


def test_launched_since() -> None:
    """The jobs of a configuration that are newer than a time are its candidates."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        (5, 199, "2026-01-01T00:00:02Z"),
        (4, 200, "2026-01-01T00:00:01Z"),
        (3, 199, None),
        (2, 199, "2025-12-31T23:59:59Z"),
        (1, 199, "2026-01-02T00:00:00Z"),
    ]
    [request], found = converse(DESP.launched_since("199", since), listed(*rows))
    _, all_of_it = converse(DESP.launched_since("199", since), listed(*rows[:3]))
    assert isinstance(request, Request)
    assert "sort=id%2Cdesc" in request.query
    assert ["5", "3"] == [ref.id for ref in found] == [ref.id for ref in all_of_it]


def test_launched_since_without_configurations() -> None:
    """Jobs that do not show their configuration are nobody's candidates."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    page = answer({"_embedded": {"jobs": [{"id": 1}]}})
    _, found = converse(DESP.launched_since("199", since), page)

    assert [] == found


# --- looking -----------------------------------------------------------------


def test_unknown_job() -> None:
    """A job that there is not raises."""
    with pytest.raises(NotFound):
        converse(DESP.poll(TaskRef(id="999999")), *answers("job-unknown"))


@pytest.mark.parametrize("word", ["PAUSED", None])
def test_unknown_word(word: str | None) -> None:
    """A word that we do not know, or none, ends no wait."""
    _, status = converse(DESP.poll(REF), answer({"status": word}))

    assert (TaskState.UNKNOWN, False) == (status.state, status.done)


@pytest.mark.parametrize(
    "logs",
    [
        answer(status=500),
        Response(200, body=b"<html>"),
        ConnectionLost("broke"),
        answer({"not": "an array"}),
    ],
)
def test_failed_without_a_log(logs: Response | BaseException) -> None:
    """That a job failed is not lost with its log."""
    _, status = converse(DESP.poll(REF), job("ERROR"), logs)

    assert (TaskState.FAILED, True, "") == (status.state, status.done, status.message)


def test_parent_without_parts() -> None:
    """A build that has neither counts nor a list is believed its word."""
    _, status = converse(
        DESP.poll(PARENT),
        job("CREATED", id=4421, parent=True),
        answer(status=405),
        answer(status=404),
    )

    assert (TaskState.QUEUED, False) == (status.state, status.done)


def test_parent_whose_parts_cannot_be_listed() -> None:
    """Should the list break, the look is repeated: it must not seem to be over."""
    parent = job("ERROR", id=4421, parent=True)
    with pytest.raises(ServiceBroken):
        converse(DESP.poll(PARENT), parent, answer({}), answer(status=500))


def test_survey() -> None:
    """Of a list that counts which says all there is to say of a job."""
    words = {1: "RUNNING", 2: "COMPLETED", 3: "ERROR", 4: "CREATED", 5: "COMPLETED"}
    rows = [
        {"id": number, "status": word, "parent": number == 4}
        for number, word in words.items()
    ]
    page = answer({"_embedded": {"jobs": rows}})
    refs = [TaskRef(id=str(n), generation=1 if n == 5 else None) for n in words]
    [request], survey = converse(DESP.survey(refs, 100), page)
    assert isinstance(request, Request)

    assert {("1", None), ("2", None)} == set(survey.found)
    assert TaskState.SUCCEEDED is survey.found["2", None].state
    assert ("GET /jobs", 5) == (paths([request])[0], survey.rows)
    assert {("projection", "shortJob"), ("sort", "id,desc")} <= set(said(request)[2])


# --- results -----------------------------------------------------------------


def test_result() -> None:
    """The result is the list of files, as JSON."""
    done = load("job-completed")
    _, status = converse(DESP.poll(REF), done[0][1])
    _, response = converse(DESP.result(REF, status), *answers("outputs"))

    assert ("application/json", 4615) == (response.media_type, response.json()[0]["id"])


def test_find_download() -> None:
    """The only file of a job is its download; several need a folder."""
    [_], request = converse(DESP.find_download(REF), *answers("outputs"))
    none = answer({"_embedded": {"platformFiles": []}})
    with pytest.raises(UnsupportedOperation, match="0 files"):
        converse(DESP.find_download(REF), none)
    with pytest.raises(UnsupportedOperation):
        DESP.build_download(REF)

    assert f"GET {ROOT}/platformFiles/4615/dl" == request.describe()


def test_upload_without_a_file() -> None:
    """An upload whose answer names no file is an error of the service."""
    for body in ({}, []):
        flow = DESP.upload(b"", "multipart/form-data; boundary=x", {}, 60.0)
        with pytest.raises(RemoteProtocolError):
            converse(flow, answer(body, 201))


# --- ending ------------------------------------------------------------------

LOOK = "GET /jobs/793"
CANCEL = "GET /jobs/793/cancel"
TERMINATE = "POST /jobs/793/terminate"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["COMPLETED"], [LOOK]),
        (["PENDING", "CANCELLED"], [LOOK, CANCEL, LOOK]),
        (["PENDING", "PENDING"], [LOOK, CANCEL, LOOK]),
        (["WAITING", "RUNNING"], [LOOK, CANCEL, LOOK, TERMINATE]),
        (["RUNNING"], [LOOK, TERMINATE]),
    ],
)
def test_cancel(words: list[str], expected: list[str]) -> None:
    """What waits is cancelled, what runs is terminated, what is over is left."""
    looks = [job(word) for word in words]
    left = [
        looks.pop(0) if call == LOOK else answer(status=204 if "POST" in call else 200)
        for call in expected
    ]
    asked, status = converse(DESP.cancel(REF), *left)

    assert expected == paths(asked)
    assert (words[0] != "COMPLETED") == status.cancel_requested


def test_cancel_parent() -> None:
    """Of a parent, the parts that run are terminated one by one."""
    created, detailed = answers("parent-created")
    asked, status = converse(
        DESP.cancel(PARENT),
        created,
        detailed,
        answer(),
        created,
        detailed,
        *answers("sub-jobs"),
        answer(status=204),
    )

    assert ["POST /jobs/4423/terminate"] == paths(asked)[-1:]
    assert (False, True) == (status.done, status.cancel_requested)


def test_cancel_parent_that_was_waiting() -> None:
    """A parent whose parts are all cancelled by the call is over."""
    created, detailed = answers("parent-cancelled")
    running, counted = answers("parent-created")
    _, status = converse(
        DESP.cancel(PARENT), running, counted, answer(), created, detailed
    )

    assert (TaskState.CANCELLED, True) == (status.state, status.done)


def test_relaunch_failed() -> None:
    """After a relaunch the job is looked at until its old end is gone."""
    old = job("ERROR", endTime="2026-01-01T00:00:00")
    asked, launched = converse(
        DESP.relaunch_failed(REF),
        *(old, answer([])),
        answer(),
        *(old, answer([])),
        job("PENDING"),
    )

    assert [LOOK, f"{LOOK}/logs", "POST /jobs/793/relaunchFailed"] == paths(asked)[:3]
    assert 0.25 in paths(asked)
    assert (1, 1, False) == (
        launched.ref.generation,
        launched.status and launched.status.generation,
        launched.status and launched.status.done,
    )


def test_relaunch_that_is_refused() -> None:
    """A relaunch that shows nothing but the old end is given up: it was refused."""
    old = job("ERROR", endTime="2026-01-01T00:00:00")
    looks = [each for _ in range(7) for each in (old, answer([]))]
    asked, launched = converse(
        DESP.relaunch_failed(REF), *looks[:2], answer(), *looks[2:]
    )

    assert [0.25, 0.5, 1.0, 2.0, 4.0] == [
        p for p in paths(asked) if isinstance(p, float)
    ]
    assert launched.status is not None
    assert launched.status.done


def test_relaunch_of_a_success() -> None:
    """What has not failed is not relaunched."""
    with pytest.raises(InvalidArgument, match="COMPLETED"):
        converse(DESP.relaunch_failed(REF), job("COMPLETED"))


# --- resources ---------------------------------------------------------------


def test_collections() -> None:
    """A new collection is fetched, because its answer has no identifier."""
    left = answers("collections")
    asked, row = converse(
        DESP.insert("collections", {"name": "My Collection"}), left[0], left[1]
    )
    _, changed = converse(
        DESP.update("collections", "42", {"description": "mine"}), left[3], left[1]
    )

    assert ["POST /collections", "GET /collections/42"] == paths(asked)
    assert (42, row["identifier"]) == (row["id"], changed["identifier"])


def test_inserted_row_that_is_gone() -> None:
    """A row that was added and is not there is an error of the service."""
    with pytest.raises(RemoteProtocolError):
        converse(
            DESP.insert("collections", {"name": "x"}),
            answers("collections")[0],
            answer(status=404),
        )


def test_changed_row_that_is_gone() -> None:
    """A row that was removed after the change is not there."""
    with pytest.raises(NotFound):
        converse(
            DESP.update("collections", "42", {}), answer(status=204), answer(status=404)
        )


def test_inserted_configuration() -> None:
    """Rows refer to others by id, row or link; links are written for them."""
    row = {"service": {"id": 20}, "inputs": {}, "parent": None}
    stored = answers("run-seed")[0]
    [request], found = converse(DESP.insert("jobConfigs", row), stored)
    assert isinstance(request, Request)

    assert (199, f"https://insula.destine.eu{ROOT}/services/20", True) == (
        found["id"],
        said(request)[3]["service"],
        request.replayable,
    )


def test_deleted_twice() -> None:
    """Deleting what is not there says so."""
    _, found = converse(DESP.delete_one("collections", "42"), answer(status=404))

    assert found is False


def test_rows_that_are_no_objects() -> None:
    """An entity is an object."""
    with pytest.raises(RemoteProtocolError):
        converse(DESP.current_user(), answer([]))


@pytest.mark.parametrize("resource", ["services", "wallets"])
def test_unsupported_verb(resource: str) -> None:
    """A verb that a resource has not is refused, with those that there are."""
    with pytest.raises(UnsupportedOperation, match="collections"):
        converse(DESP.insert(resource, {}))


def test_count() -> None:
    """The number of rows is that of the list's page, or its length without pages."""
    [request], found = converse(DESP.count("jobs", {}), PAGE)
    _, pageless = converse(DESP.count("jobs", {}), *answers("sub-jobs"))
    assert isinstance(request, Request)

    assert (7, 2) == (found, pageless)
    assert "size=1" in request.query


PAGE = answer(
    {
        "_embedded": {"jobs": [{"id": 1}]},
        "page": {"number": 0, "size": 1, "totalElements": 7},
    }
)


def test_count_without_a_total() -> None:
    """A page that promises no total is counted."""
    page = answer(
        {"_embedded": {"jobs": [{"id": 1}]}, "page": {"number": 0, "size": 1}}
    )
    _, found = converse(DESP.count("jobs", {}), page)

    assert 1 == found


def rows(first: int, last: int, number: int, total: int, size: int = 10) -> Response:
    found = [{"id": n} for n in range(first, last)]
    pages = -(-total // size)
    meta = {"number": number, "size": size, "totalElements": total, "totalPages": pages}
    return answer({"_embedded": {"jobs": found}, "page": meta})


@pytest.mark.parametrize("gone", [1, 10, 15])
def test_list_that_shrinks(gone: int) -> None:
    """Rows that moved to pages that were read are read with the next one."""
    # 40 rows; those before the third page were read; then the first ones go.
    query = Query(cursor="2:40", limit=10)
    left = {n: rows(gone + 10 * n, gone + 10 * n + 10, n, 40 - gone) for n in range(3)}
    wanted = [2, *range((20 - gone) // 10, 2)]
    asked, page = converse(DESP.select("jobs", query), *(left[n] for n in wanted))

    assert list(range(20, gone + 30)) == [row["id"] for row in page.rows]
    assert [f"page={n}" for n in wanted] == [
        part
        for each in asked
        if isinstance(each, Request)
        for part in each.query.split("&")
        if part.startswith("page=")
    ]


def test_pages_that_do_not_advance() -> None:
    """A server that gives another page than the one asked for is not followed."""
    with pytest.raises(RemoteProtocolError, match="page 1"):
        converse(DESP.select("jobs", Query(cursor="1:40")), rows(0, 10, 0, 40))


@given(st.text(min_size=1))
def test_ids_stay_in_their_segment(key: str) -> None:
    """Whatever an id says, it is refused or is one segment of the path."""
    try:
        [request], _ = converse(DESP.delete_one("jobConfigs", key), answer(status=204))
    except InvalidArgument:
        return
    assert isinstance(request, Request)

    assert f"{ROOT}/jobConfigs/".count("/") == request.path.count("/")
    assert "" == request.query


def test_capabilities() -> None:
    """What the service has is said."""
    found = DESP.capabilities

    assert ("v2.0", "DESP (Insula)") == (DESP.variant, DESP.title)
    assert (True, False, False, False) == (
        found.cancel,
        found.content,
        found.delete,
        found.schedule,
    )
