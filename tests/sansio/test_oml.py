"""What Oracle Machine Learning says, against the exchanges that it documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    AuthenticationFailed,
    Conflict,
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    RequestRejected,
    ServiceBroken,
    TaskCancelled,
    TaskFailed,
    UnsupportedOperation,
    UntrustedUrl,
)
from asynctasks.sansio import codec
from asynctasks.sansio.dialect import Payload, Prepared, Query, Reconcile
from asynctasks.sansio.http import Flow, Headers, Request, Response, Sleep
from asynctasks.sansio.oml import (
    JOB_ID,
    OVER,
    OmlDialect,
    OmlPlace,
    check_home,
    parse_job_id,
    parse_place,
    parse_status,
)
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from tests.converse import converse
from tests.sansio.oml_samples import (
    HOST,
    SAMPLES,
    UUID,
    V2_ID,
    answer_of,
    body_of,
    exchange,
)


def speak(version: str = "v2", url: str = HOST) -> OmlDialect:
    return OmlDialect(place=parse_place(url), version=version)


def submit(script: str, inputs: Any = None, **options: Any) -> Prepared:
    body = b"" if inputs is None else codec.dumps(inputs)
    payload = Payload(body=body, content_type="application/json", inputs=inputs)
    return Prepared(service=script, payload=payload, options=options)


def json_response(status: int, document: Any, **headers: str) -> Response:
    return Response(status, Headers(headers), codec.dumps(document))


V1, V2 = speak("v1"), speak("v2")

JOB1, JOB2 = TaskRef(id=UUID), TaskRef(id=V2_ID)

RUNNING = TaskStatus(state=TaskState.RUNNING)

IRIS = "select * from IRIS"


# --- the samples -------------------------------------------------------------

SAID: dict[str, Flow[Any]] = {
    "v1-submit-location-plain": V1.launch(
        submit("pyqFun1", {"ds_name": "ds_pydata"}, graphics=True)
    ),
    "v1-submit-location-tenant": V1.launch(
        submit("compute_random_mean", time_limit=3600)
    ),
    "v2-submit": V2.launch(submit("pyqFun1", service_level="low")),
    "v1-submit-index-apply-owner": V1.launch(
        submit(
            "compute_random_mean",
            function="index-apply",
            owner="OMLUSER",
            times=3,
            parallel=True,
            service_level="MEDIUM",
        )
    ),
    "v1-submit-group-apply-owner": V1.launch(
        submit(
            "mygroupcount",
            {"oml_input_type": "default"},
            function="group-apply",
            owner="OMLUSER",
            query="select * from GRADE",
            group_by="GENDER",
            order_by=["GENDER", "STATUS"],
            parallel=True,
            time_limit=3600,
        )
    ),
    "v1-poll-pending": V1.poll(JOB1),
    "v2-poll-pending": V2.poll(JOB2),
    "v2-poll-finished": V2.poll(JOB2),
    "v1-poll-unauthorized": V1.poll(JOB1),
    "v1-poll-unknown-job": V1.poll(JOB1),
    "v1-poll-failed-with-500": V1.poll(JOB1),
    "v1-result-failed": V1.result(JOB1, OVER),
    "v1-result-rows": V1.result(JOB1, OVER),
    "v1-result-group-rows": V1.result(JOB1, OVER),
    "v2-result-comments": V2.result(JOB2, OVER),
    "v1-sync-do-eval-graphics": V1.call(
        "RandomRedDots", None, {"graphics": True, "service_level": "LOW"}
    ),
    "v1-sync-index-apply": V1.call(
        "compute_random_mean", None, {"function": "index-apply", "times": 2}
    ),
    "v1-sync-failed": V1.call("too_long", {"n": 5001}, {}),
    "v1-delete": V1.delete(JOB1),
    "v2-delete": V2.delete(JOB2),
    "v2-list": V2.select("tasks", Query()),
    "v2-cancel": V2.cancel(JOB2),
    "v2-cancel-unknown": V2.cancel(JOB2),
    "v1-scripts": V1.select("scripts", Query()),
    "v1-environments": V1.select("environments", Query()),
    "versions": V1.select("versions", Query()),
    "v2-preloads": V2.select("preloads", Query()),
    "v2-preload": V2.insert("preloads", {"envName": "seaborn_env", "overwrite": True}),
    "v2-preload-delete": V2.delete_one("preloads", "seaborn_env"),
    "v2-preload-delete-unknown": V2.delete_one("preloads", "seaborn_env"),
}
"""What is said in each sample of one exchange."""

MEANT: dict[str, Any] = {
    "v1-submit-location-plain": UUID,
    "v1-submit-location-tenant": UUID,
    "v2-submit": V2_ID,
    "v1-submit-index-apply-owner": UUID,
    "v1-submit-group-apply-owner": UUID,
    "v1-poll-pending": TaskStatus(
        state=TaskState.RUNNING,
        word="job is still running",
        created_at=datetime(2025, 3, 12, 22, 55, tzinfo=UTC),
    ),
    "v2-poll-pending": TaskStatus(
        state=TaskState.RUNNING,
        word="job is still running",
        created_at=datetime(2026, 1, 26, 20, 35, 22, tzinfo=UTC),
    ),
    "v2-poll-finished": OVER,
    "v1-poll-unauthorized": AuthenticationFailed,
    "v1-poll-unknown-job": ServiceBroken,
    "v1-poll-failed-with-500": TaskStatus(
        state=TaskState.FAILED,
        message="Output malformed JSON: Error during function execution",
    ),
    "v1-result-failed": TaskFailed,
    "v1-result-rows": [{"RES": 0, "ID": 0}, {"RES": 0.01, "ID": 1}],
    "v1-result-group-rows": {"virginica": [{"SPECIES": "virginica", "COUNT": 50}]},
    "v2-result-comments": {"mean": 0.5},
    "v1-sync-do-eval-graphics": [
        {
            "IMAGE": "iVBORw0KGgo=",
            "DATA": '[{"id":1,"val":0.01},{"id":2,"val":0.02}]',
            "ID": 1,
        }
    ],
    "v1-sync-index-apply": [7.203, 0.259],
    "v1-sync-failed": TaskFailed,
    "v1-delete": None,
    "v2-delete": None,
    "v2-list": [V2_ID],
    "v2-cancel": TaskStatus(state=TaskState.CANCELLED, cancel_requested=True),
    "v2-cancel-unknown": NotFound,
    "v1-scripts": ["group_count"],
    "v1-environments": ["seaborn"],
    "versions": ["v1", "v2"],
    "v2-preloads": ["seaborn_env"],
    "v2-preload": {"job_id": "OML-PRELOAD-1"},
    "v2-preload-delete": True,
    "v2-preload-delete-unknown": False,
}
"""What each answer means: a value, an error, or the keys of rows."""

ELSEWHERE = {
    "token-password",
    "token-password-tenant",
    "token-refresh",
    "token-refresh-dbt",
    "token-revoke",
    "v1-async-group-apply",
    "v1-metadata",
    "v1-result-not-ready",
    "v1-sync-table-apply",
    "v2-cancel-not-running",
}
"""Samples of other tests, of more than one exchange, or of what is never asked."""


def meaning(value: Any) -> Any:
    """Return what a test compares of what a flow returned."""
    if isinstance(value, Response):
        return value.json()
    rows = getattr(value, "rows", None)
    if rows is not None:
        keys = ("id", "name", "envName", "version")
        return [next(row[key] for key in keys if key in row) for row in rows]
    return value.ref.id if hasattr(value, "ref") else value


def held(flow: Flow[Any], *answers: Response) -> tuple[list[Request | Sleep], Any]:
    """Hold a conversation; an error is a meaning too."""
    asked: list[Request | Sleep] = []
    try:
        _, value = converse(flow, *answers, asked=asked)
    except AsyncTasksError as exc:
        return asked, type(exc)
    return asked, meaning(value)


def test_every_sample_is_replayed() -> None:
    """No documented exchange is left out."""
    names = {path.stem for path in SAMPLES.glob("*.json")}

    assert names == set(SAID) | ELSEWHERE
    assert set(MEANT) == set(SAID)


@pytest.mark.parametrize("name", sorted(SAID))
def test_documented_exchange(name: str) -> None:
    """What is asked and what the answer means is as documented."""
    ((request, response),) = exchange(name)
    asked, meant = held(SAID[name], response)

    assert MEANT[name] == meant
    (said,) = asked
    assert isinstance(said, Request)
    assert (request.method, request.url) == (said.method, said.url)
    assert body_of(request) == body_of(said)
    assert "application/json" == said.headers["Accept"]
    kind = said.headers.get("Content-Type")
    assert ("application/json" if said.body else None) == kind


def test_seed_example() -> None:
    """The documented asynchronous group-apply is held from submit to result."""
    (first, created), (second, finished), (third, found) = exchange(
        "v1-async-group-apply"
    )
    prepared = submit(
        "group_count",
        {"oml_input_type": "pandas.DataFrame"},
        function="group-apply",
        query=IRIS,
        group_by="Species",
        order_by="Sepal_Length",
        parallel=True,
    )
    (launch,), launched = converse(V1.launch(prepared), created)
    (poll,), status = converse(V1.poll(launched.ref), finished)
    (fetch,), result = converse(V1.result(launched.ref, status), found)

    assert isinstance(launch, Request)
    assert first.url == launch.url
    wanted = body_of(first)
    # The page has "parameter"; its own schema, and all others, "parameters".
    wanted["parameters"] = wanted.pop("parameter")
    assert wanted == body_of(launch)
    assert (UUID, "group_count") == (launched.ref.id, launched.ref.service)
    assert [second.url, third.url] == [poll.url, fetch.url]
    assert (True, False) == (status.done, status.outcome_known)
    assert {"0": 5} == result.json()["versicolor_8"]["COUNT"]


# --- where it is -------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "scripts", "users"),
    [
        (HOST, "/oml", "/omlusers"),
        (f"{HOST}/", "/oml", "/omlusers"),
        (f"{HOST}/oml/", "/oml", "/omlusers"),
        (f"{HOST}/omlusers/", "/oml", "/omlusers"),
        (f"{HOST}/oml/api/py-scripts/v1", "/oml", "/omlusers"),
        (f"{HOST}/omlusers/api/oauth2/v1/token", "/oml", "/omlusers"),
        (
            f"{HOST}/oml/tenants/T/databases/D",
            "/oml/tenants/T/databases/D",
            "/omlusers/tenants/T/databases/D",
        ),
        (
            f"{HOST}/omlusers/tenants/T/databases/D/api/oauth2/v1/token",
            "/oml/tenants/T/databases/D",
            "/omlusers/tenants/T/databases/D",
        ),
        (f"{HOST}/proxy/oml", "/proxy/oml", "/proxy/omlusers"),
    ],
)
def test_urls_of_the_console(url: str, scripts: str, users: str) -> None:
    """Both URLs of the console, a tenant's and that of the API mean one place."""
    place = OmlPlace(origin=HOST, scripts=f"{scripts}/api/py-scripts", users=users)

    assert place == parse_place(url)


@pytest.mark.parametrize("url", ["oml", f"{HOST}/oml/?x=1", f"{HOST}/../oml"])
def test_unusable_url(url: str) -> None:
    """What is no base URL is refused."""
    with pytest.raises(InvalidArgument):
        parse_place(url)


def test_unknown_version() -> None:
    """There are two versions."""
    with pytest.raises(InvalidArgument, match="v1 or v2"):
        speak("v3")


def test_names() -> None:
    """A dialect says what it is."""
    assert ("oml", "v2", "OML4Py v2") == (V2.protocol, V2.variant, V2.title)


def test_capabilities() -> None:
    """What v2 added is missing in v1, and so is a way to settle lost submits."""
    assert Reconcile.ORPHANS is V2.capabilities.reconcile
    assert Reconcile.NONE is V1.capabilities.reconcile
    assert (True, True) == (V2.capabilities.task_list, V2.capabilities.delete)
    assert (False, False) == (V1.capabilities.task_list, V1.capabilities.delete)
    assert {"tasks", "preloads"} == set(V2.capabilities.resources) - set(
        V1.capabilities.resources
    )


# --- submits -----------------------------------------------------------------


def test_submit_is_never_repeated() -> None:
    """A second POST would start a second job; so a submit is not replayable."""
    asked, _ = converse(V2.launch(submit("f")), answer_of("v2-submit"))

    assert [False] == [each.replayable for each in asked if isinstance(each, Request)]


@pytest.mark.parametrize(
    "payload",
    [
        Payload(body=b"text", content_type="text/plain"),
        Payload(body=b"{}", content_type="application/json"),
    ],
)
def test_content_is_refused(payload: Payload) -> None:
    """A script takes arguments: neither content nor files."""
    with pytest.raises(UnsupportedOperation, match="inputs="):
        converse(V2.launch(Prepared(service="f", payload=payload)))


def test_refused_submit() -> None:
    """A submit that is refused is no failed task: there is none."""
    refused = json_response(400, {"errorMessage": "no", "errorCode": 1})

    with pytest.raises(RequestRejected, match="no"):
        converse(V2.launch(submit("f")), refused)


def test_script_name_cannot_change_the_path() -> None:
    """Dots of a name are kept, everything else is encoded."""
    created = answer_of("v2-submit")
    (request,), _ = converse(V2.launch(submit("group.count")), created)

    assert request.url.endswith("/do-eval/group.count")
    with pytest.raises(InvalidArgument):
        converse(V2.launch(submit("../jobs")))


# --- links -------------------------------------------------------------------

ROOT = f"{HOST}/oml/api/py-scripts/v2"

LINKS = {
    f"{ROOT}/jobs/J1": "J1",
    f"{ROOT}/jobs/J1;": "J1",
    f"{ROOT}/jobs/J1/": "J1",
    f"{ROOT}/jobs/J1;jsessionid=node01": "J1",
    f"{ROOT}/jobs/J1/result": "J1",
    f"{ROOT}/jobs/J1;/result": "J1",
    f"{ROOT}/J1": "J1",
    f"{ROOT}/jobs/J1?x=1#y": "J1",
    f"{ROOT}/jobs/OML%24J1": "OML$J1",
    f"{ROOT}/jobs/{V2_ID}": V2_ID,
    f"{HOST}/oml/tenants/T/databases/D/api/py-scripts/v1/J1": "J1",
    f"{HOST}:443/oml/api/py-scripts/v2/jobs/J1": "J1",
    f"{HOST.upper()}/oml/api/py-scripts/v2/jobs/J1": "J1",
    f"{HOST.replace('https', 'http')}/oml/api/py-scripts/v2/jobs/J1": "J1",
    f"{HOST.replace('https', 'http')}:80/oml/api/py-scripts/v2/jobs/J1": "J1",
    "/oml/api/py-scripts/v2/jobs/J1": "J1",
    "jobs/J1": "J1",
    "J1": "J1",
    f" {ROOT}/jobs/J1 ": "J1",
    # Elsewhere.
    "https://evil.example/oml/api/py-scripts/v2/jobs/J1": UntrustedUrl,
    "http://evil.example/oml/api/py-scripts/v2/jobs/J1": UntrustedUrl,
    f"{HOST}.evil.example/jobs/J1": UntrustedUrl,
    f"{HOST}:8443/jobs/J1": UntrustedUrl,
    f"{HOST.replace('https', 'http')}:8080/jobs/J1": UntrustedUrl,
    f"{HOST.replace('https://', 'https://me:pw@')}/jobs/J1": UntrustedUrl,
    f"{HOST.replace('https://', 'https://evil.example@')}/jobs/J1": UntrustedUrl,
    f"https://evil.example\\@{HOST[8:]}/jobs/J1": UntrustedUrl,
    "//evil.example/jobs/J1": UntrustedUrl,
    "file:///etc/passwd": UntrustedUrl,
    "javascript:alert(1)": UntrustedUrl,
    f"{ROOT}/jobs/J1\r\nX-Evil: 1": UntrustedUrl,
    "http://[::1": UntrustedUrl,
    f"{HOST}/{'x' * 10_000}": UntrustedUrl,
    # No id.
    "": RemoteProtocolError,
    ";": RemoteProtocolError,
    HOST: RemoteProtocolError,
    f"{ROOT}/jobs/": RemoteProtocolError,
    f"{ROOT}/jobs/result": RemoteProtocolError,
    f"{ROOT}/jobs/;x": RemoteProtocolError,
    ROOT: RemoteProtocolError,
    f"{ROOT}/jobs/..%2f..%2fscripts": RemoteProtocolError,
    f"{ROOT}/jobs/%2e%2e": RemoteProtocolError,
    f"{ROOT}/jobs/a%00b": RemoteProtocolError,
    f"{ROOT}/jobs/a%3Fb": RemoteProtocolError,
    f"{ROOT}/jobs/{'x' * 300}": RemoteProtocolError,
}


@pytest.mark.parametrize("link", LINKS)
def test_location_of_a_job(link: str) -> None:
    """Of a Location the id is taken, however odd it is; a foreign one is refused."""
    created = Response(201, Headers({"location": link}))
    _, meant = held(V2.launch(submit("f")), created)

    assert LINKS[link] == meant


def test_no_location() -> None:
    """A job whose id is not told is an answer against the documentation."""
    with pytest.raises(RemoteProtocolError, match="Location"):
        parse_job_id(Response(201), ROOT)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("header", ["Content-Location", "Location"])
def test_link_of_a_finished_job(header: str, link: str) -> None:
    """Either header of the 302 may be there; a foreign one is refused."""
    named = LINKS[link] if isinstance(LINKS[link], str) else V2_ID
    ref = TaskRef(id=str(named))
    _, meant = held(V2.poll(ref), Response(302, Headers({header: link})))
    refused = LINKS[link] is UntrustedUrl

    assert (UntrustedUrl if refused else OVER) == meant


@pytest.mark.parametrize("link", ["/login?next=%2Foml", f"{ROOT}/jobs/J1/result"])
@pytest.mark.parametrize("header", ["Content-Location", "Location"])
def test_link_to_something_else(header: str, link: str) -> None:
    """A 302 to a login page, or to another job, does not say that the job is over."""
    with pytest.raises(RemoteProtocolError, match=f"expected a link to {V2_ID}"):
        converse(V2.poll(JOB2), Response(302, Headers({header: link})))


def test_finished_without_a_link() -> None:
    """The status alone says that a job is over."""
    _, status = converse(V2.poll(JOB2), Response(302))

    assert OVER == status


@pytest.mark.parametrize(
    ("base", "link", "path"),
    [
        ("https://h.example:8443", "http://h.example:8443/J", "/J"),
        ("https://h.example:8443", "http://h.example/J", "/J"),
        ("https://h.example:8443", "https://h.example/J", None),
        ("https://[::1]:8443", "http://[::1]/J", "/J"),
        ("http://127.0.0.1:8080", "http://127.0.0.1/J", None),
        ("http://127.0.0.1:8080", "https://127.0.0.1:8080/J", None),
    ],
)
def test_scheme_of_a_link(base: str, link: str, path: str | None) -> None:
    """Behind a proxy a service may say http; nothing else may differ."""
    if path is None:
        with pytest.raises(UntrustedUrl):
            check_home(base, link)
    else:
        assert path == check_home(base, link)


@given(st.text(max_size=60))
def test_any_location_gives_an_id_or_an_error(link: str) -> None:
    """Whatever the header says, what is taken is an id and nothing else."""
    created = Response(201, Headers({"Location": link}))
    _, meant = held(V2.launch(submit("f")), created)

    assert isinstance(meant, type) or JOB_ID.fullmatch(meant)


# --- looks -------------------------------------------------------------------


def test_elapsed_time() -> None:
    """The elapsed time is read as seconds."""
    assert 4.0 == parse_status(answer_of("v1-poll-pending")).run_time


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"status":1,"createdDate":2,"elapsedTime":3}',
        b'{"createdDate":"Xyz 12,2025 22:55","elapsedTime":"soon"}',
        b'{"createdDate":"Feb 31,2025 22:55"}',
        b'{"createdDate":"2026-13-01 00:00:00 UTC"}',
        b'{"createdDate":"ebM 12,2025 22:55"}',
    ],
)
def test_strange_body_of_a_pending_job(body: bytes) -> None:
    """That a job is pending is told by the status; the body cannot end a wait."""
    _, status = converse(V2.poll(JOB2), Response(202, body=body))

    assert RUNNING == status


def test_dates() -> None:
    """Seconds of v1's form are read where they are, single digits too."""
    response = json_response(202, {"createdDate": "Dec 1, 2025 22:55:07"})

    assert datetime(2025, 12, 1, 22, 55, 7, tzinfo=UTC) == (
        parse_status(response).created_at
    )


def test_unexpected_success() -> None:
    """A 200 of the status is against the documentation."""
    with pytest.raises(RemoteProtocolError, match="202 or 302"):
        converse(V2.poll(JOB2), json_response(200, {"result": 1}))


BROKEN = json_response(500, {"errorMessage": "Problem finding the job id."})


def listing(**row: str) -> Response:
    return json_response(200, {"result": [{"job_id": V2_ID, **row}]})


def test_unknown_job() -> None:
    """A 500 about a job that is not in the list means that there is none."""
    asked: list[Any] = []
    empty = json_response(200, {"result": []})
    with pytest.raises(NotFound, match="Problem finding") as caught:
        converse(V2.poll(JOB2), BROKEN, empty, asked=asked)

    assert [f"/{V2_ID}", "v2/jobs"] == [
        each.url[-len(end) :]
        for each, end in zip(asked, [f"/{V2_ID}", "v2/jobs"], strict=True)
    ]
    assert caught.value.request == asked[0].redacted()


def test_unknown_job_without_words() -> None:
    """The error says it where the service does not."""
    empty = json_response(200, {"result": []})

    with pytest.raises(NotFound, match="no such job"):
        converse(V2.poll(JOB2), Response(500), empty)


def test_trouble_about_a_job_that_is_there() -> None:
    """A 500 about a job that is in the list and runs is trouble of the service."""
    with pytest.raises(ServiceBroken):
        converse(V2.poll(JOB2), BROKEN, listing(status="RUNNING"))


def test_trouble_about_a_job_that_is_over() -> None:
    """A 500 about a job that the list has as finished ends the wait."""
    _, status = converse(V2.poll(JOB2), BROKEN, listing(status="FINISH"))

    assert (True, False) == (status.done, status.outcome_known)


@pytest.mark.parametrize("flow", [V2.poll(JOB2), V2.delete(JOB2), V2.cancel(JOB2)])
def test_500_is_not_repeated(flow: Flow[Any]) -> None:
    """As an unknown job is a 500, such an answer is looked into, not repeated."""
    step = next(flow)

    assert isinstance(step, Request)
    assert {500} == step.final
    assert step.replayable


def test_survey() -> None:
    """Of the list, those jobs are taken whose word is understood."""
    words = {"J1": "FINISH", "J2": "Running", "J3": "QUEUED", "J4": "EXPLODED"}
    rows = [{"job_id": job, "status": word} for job, word in words.items()]
    rows.append({"job_id": "J5"})
    refs = [TaskRef(id="J1"), TaskRef(id="J4")]
    _, survey = converse(V2.survey(refs, 10), json_response(200, {"result": rows}))

    assert 5 == survey.rows
    assert {
        ("J1", None): (TaskState.UNKNOWN, True, False),
        ("J2", None): (TaskState.RUNNING, False, True),
        ("J3", None): (TaskState.QUEUED, False, True),
    } == {
        key: (status.state, status.done, status.outcome_known)
        for key, status in survey.found.items()
    }


def test_survey_of_a_long_list() -> None:
    """A list that is longer than it may be is no use."""
    _, survey = converse(V2.survey([JOB2], 0), answer_of("v2-list"))

    assert ({}, 1) == (survey.found, survey.rows)


def test_rows_that_contradict_each_other() -> None:
    """Of two rows about one job, the one that is further counts, in any order."""
    rows = [{"job_id": "J1", "status": word} for word in ("FINISH", "RUNNING")]
    for listed in (rows, rows[::-1]):
        answer = json_response(200, {"result": listed})
        _, survey = converse(V2.survey([TaskRef(id="J1")], 10), answer)

        assert survey.found["J1", None].done


@pytest.mark.parametrize("hours", ["9" * 400, "9" * 5000, "-1"])
def test_elapsed_time_that_is_none(hours: str) -> None:
    """A time that no clock shows is not known; the job runs all the same."""
    status = parse_status(json_response(202, {"elapsedTime": f"{hours}:00:00"}))

    assert (TaskState.RUNNING, None) == (status.state, status.run_time)


def test_row_of_the_list() -> None:
    """A row has what a look gives, and its own word."""
    ref, status = V2.parse_row({"id": "J1", **answer_of("v2-list").json()["result"][0]})

    assert TaskRef(id="J1") == ref
    assert ("FINISH", 22.0) == (status.word, status.run_time)
    assert datetime(2026, 1, 6, 21, 40, 8, tzinfo=UTC) == status.created_at


# --- results -----------------------------------------------------------------


def test_result_that_is_late() -> None:
    """A result that is not ready right after the 302 is asked for again."""
    late, found = answer_of("v1-result-not-ready"), answer_of("v1-result-rows")
    asked, response = converse(V1.result(JOB1, OVER), late, late, found)

    assert [0.25, 0.5] == [each.seconds for each in asked if isinstance(each, Sleep)]
    assert 2 == len(response.json())


def test_result_that_never_comes() -> None:
    """After some tries there is none."""
    late = answer_of("v1-result-not-ready")

    with pytest.raises(NotFound, match="not ready"):
        converse(V1.result(JOB1, OVER), *[late] * 5)


def test_result_in_trouble() -> None:
    """Trouble of the service is no failure of the script: it is asked for again."""
    _, response = converse(
        V2.result(JOB2, OVER), BROKEN, json_response(200, {"result": 42})
    )

    assert b"42" == response.body


@pytest.mark.parametrize(
    ("speaker", "ref", "known"),
    [
        (V1, JOB1, [json_response(500, {"errorMessage": "No such job"})]),
        (V2, JOB2, [Response(500), json_response(200, {"result": []})]),
        (V2, JOB2, [Response(404)]),
    ],
    ids=["v1", "v2", "v2-404"],
)
def test_job_that_is_forgotten(
    speaker: OmlDialect, ref: TaskRef, known: list[Response]
) -> None:
    """A job that is not known any more has no result; it did not fail."""
    gone = json_response(500, {"errorMessage": "Problem finding the job id."})

    with pytest.raises(NotFound, match="Problem finding the job id") as caught:
        converse(speaker.result(ref, OVER), *[gone] * 5, *known)
    assert caught.value.request is not None
    assert caught.value.request.path.endswith("/result")


def test_failure_that_may_be_a_forgotten_job() -> None:
    """Words with a code are the script's, if the job is known."""
    failed = json_response(500, {"errorCode": 1026, "errorMessage": "it broke"})

    with pytest.raises(TaskFailed, match="it broke"):
        converse(V2.result(JOB2, OVER), failed, Response(302))
    with pytest.raises(NotFound):
        converse(V2.result(JOB2, OVER), failed, Response(404))


@pytest.mark.parametrize(
    ("document", "expected"),
    [({"errorMessage": "it broke"}, TaskFailed), ({}, ServiceBroken)],
)
def test_result_that_stays_in_trouble(
    document: Any, expected: type[AsyncTasksError]
) -> None:
    """Of a job that is known, words are the script's; none are the service's."""
    trouble = json_response(500, document)

    with pytest.raises(expected) as caught:
        converse(V1.result(JOB1, OVER), *[trouble] * 5, Response(302))
    if isinstance(caught.value, ServiceBroken):
        assert f"/jobs/{UUID}/result answered 500" in str(caught.value)


def test_failure_of_a_job() -> None:
    """A failed script is told with the service's words."""
    with pytest.raises(TaskFailed, match="malformed JSON") as caught:
        converse(V1.result(JOB1, OVER), answer_of("v1-result-failed"))

    assert UUID == caught.value.task_id
    assert caught.value.status is not None
    assert (TaskState.FAILED, True) == (
        caught.value.status.state,
        caught.value.status.outcome_known,
    )


def test_cancelled_job() -> None:
    """A failure after a cancel was asked for is the cancel."""
    status = TaskStatus(state=TaskState.RUNNING, cancel_requested=True)

    with pytest.raises(TaskCancelled):
        converse(V1.result(JOB1, status), answer_of("v1-result-failed"))


def test_download() -> None:
    """Before a file is made, a failure is found out."""
    _, request = converse(V1.find_download(JOB1), answer_of("v1-result-rows"))

    assert V1.build_download(JOB1) == request
    with pytest.raises(TaskFailed):
        converse(V1.find_download(JOB1), answer_of("v1-result-failed"))


def test_synchronous_call_has_its_time() -> None:
    """An attempt of a synchronous call is longer than the service allows."""
    answer = answer_of("v1-sync-table-apply")
    options = {"function": "table-apply", "query": IRIS}
    (request,), _ = converse(V1.call("my_rows", None, options), answer)

    assert isinstance(request, Request)
    assert {"input": IRIS} == body_of(request)
    assert (130.0, False) == (request.attempt_timeout, request.replayable)


@pytest.mark.parametrize(
    ("document", "comments"),
    [
        ({"result": 1, "comments": "nightly"}, "nightly"),
        ({"result": 1, "comments": ["a", "b"]}, ["a", "b"]),
        ({"result": 1}, None),
    ],
)
def test_comments(document: Any, comments: Any) -> None:
    """The comments of a job stand beside its result, in whatever form."""
    _, found = converse(V2.comments(JOB2), json_response(200, document))

    assert comments == found


def test_comments_need_v2() -> None:
    """v1 has no comments."""
    with pytest.raises(UnsupportedOperation, match="only v2"):
        converse(V1.comments(JOB1))


# --- the end of a job --------------------------------------------------------

CANCELLED = TaskStatus(state=TaskState.CANCELLED, cancel_requested=True)


def test_cancel_that_is_too_late() -> None:
    """A job that ended before is left as it ended."""
    late = answer_of("v2-cancel-not-running")
    _, status = converse(V2.cancel(JOB2), late, answer_of("v2-poll-finished"))

    assert OVER == status


def test_cancel_that_is_refused() -> None:
    """What cannot be cancelled though it runs, e.g. a preload, is an error."""
    refused = answer_of("v2-cancel-not-running")

    with pytest.raises(RequestRejected, match="not running"):
        converse(V2.cancel(JOB2), refused, answer_of("v2-poll-pending"))


def test_refused_cancel_names_what_was_refused() -> None:
    """A refusal is that of the cancel, not of the look that came after it."""
    with pytest.raises(Conflict) as caught:
        converse(V2.cancel(JOB2), Response(409), answer_of("v2-poll-pending"))

    assert caught.value.request is not None
    assert caught.value.request.path.endswith("/cancel")


def test_cancel_without_permission() -> None:
    """A refusal of another kind is passed on."""
    with pytest.raises(AuthenticationFailed):
        converse(V2.cancel(JOB2), Response(401))


@pytest.mark.parametrize("status", [200, 202, 204])
def test_cancel_in_v1(status: int) -> None:
    """v1 has no cancel: a job that runs is deleted; editions differ in the answer."""
    (request,), ended = converse(V1.cancel(JOB1), Response(status))

    assert isinstance(request, Request)
    assert ("DELETE", CANCELLED) == (request.method, ended)


def test_late_cancel_in_v1() -> None:
    """By the older edition of the page a 302 says that the job was over."""
    link = {"Content-Location": f"{HOST}/oml/api/py-scripts/v1/jobs/{UUID}/result"}
    over = Response(302, Headers(link))
    _, ended = converse(V1.cancel(JOB1), over, over)

    assert OVER == ended


@pytest.mark.parametrize("status", [200, 202, 204, 302])
def test_delete(status: int) -> None:
    """Each edition's answer to a delete is taken."""
    (request,), _ = converse(V1.delete(JOB1), Response(status))

    assert isinstance(request, Request)
    assert ("DELETE", True) == (request.method, request.replayable)


def test_delete_of_an_unknown_job() -> None:
    """In v2 the list tells that there is no such job."""
    empty = json_response(200, {"result": []})
    with pytest.raises(NotFound):
        converse(V2.delete(JOB2), BROKEN, empty)

    with pytest.raises(ServiceBroken):
        converse(V2.delete(JOB2), BROKEN, listing(status="FINISH"))
    with pytest.raises(ServiceBroken):
        converse(V1.delete(JOB1), BROKEN)


def test_id_cannot_change_the_path() -> None:
    """An id that climbs is refused before anything is asked."""
    with pytest.raises(InvalidArgument):
        converse(V2.poll(TaskRef(id="../scripts")))


# --- resources ---------------------------------------------------------------


def test_row_of_a_job() -> None:
    """A row is as the service wrote it, and has the id under its usual name too."""
    _, row = converse(V2.select_one("tasks", V2_ID), answer_of("v2-list"))
    _, none = converse(V2.select_one("tasks", "J9"), answer_of("v2-list"))

    assert (V2_ID, V2_ID, "FINISH") == (row["id"], row["job_id"], row["status"])
    assert none is None


def test_count() -> None:
    """The rows of a list are counted."""
    _, number = converse(V2.count("tasks", {}), answer_of("v2-list"))

    assert 1 == number


@pytest.mark.parametrize("query", [Query(where={"a": 1}), Query(sort="a")])
def test_lists_are_whole(query: Query) -> None:
    """The service neither filters nor sorts."""
    with pytest.raises(UnsupportedOperation, match="whole list"):
        converse(V2.select("scripts", query))


@pytest.mark.parametrize(
    "flow",
    [
        V1.select("tasks", Query()),
        V1.select_one("tasks", UUID),
        V1.insert("preloads", {}),
        V1.delete_one("preloads", "x"),
        V1.count("tasks", {}),
        V2.update("tasks", V2_ID, {}),
    ],
)
def test_what_there_is_not(flow: Flow[Any]) -> None:
    """What a version does not have is refused, with what it has instead."""
    with pytest.raises(UnsupportedOperation, match="scripts"):
        converse(flow)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "object"),
        ({}, r"\$\.result"),
        ({"result": {}}, r"\$\.result"),
        ({"result": [{"id": "J1"}]}, r"\$\.job_id"),
        ({"result": [1]}, "object"),
    ],
)
def test_list_of_another_form(document: Any, where: str) -> None:
    """A list of another form is an error that names the place."""
    with pytest.raises(RemoteProtocolError, match=where):
        converse(V2.select("tasks", Query()), json_response(200, document))


def test_delete_of_a_row() -> None:
    """Deleting a job tells whether there was one."""
    empty = json_response(200, {"result": []})
    _, there = converse(V2.delete_one("tasks", V2_ID), answer_of("v2-delete"))
    _, gone = converse(V2.delete_one("tasks", V2_ID), BROKEN, empty)

    assert (True, False) == (there, gone)


def test_refused_delete_of_a_row() -> None:
    """A 400 that does not speak of a missing one is an error."""
    with pytest.raises(RequestRejected):
        converse(V2.delete_one("preloads", "x"), json_response(400, {"error": "no"}))


def test_row_that_json_cannot_say() -> None:
    """A row is checked before it is sent."""
    with pytest.raises(InvalidArgument, match=r"row\.envName"):
        converse(V2.insert("preloads", {"envName": b"x"}))
