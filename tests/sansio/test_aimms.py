"""What AIMMS documents is what we say, and what we understand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
from datetime import UTC, date, datetime, timedelta, timezone
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    Conflict,
    ConnectionLost,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ServiceBroken,
    UnexpectedContent,
    UnsupportedOperation,
)
from asynctasks.sansio.aimms import (
    STATES,
    AimmsDialect,
    duration_text,
    parse_task,
    time_text,
)
from asynctasks.sansio.dialect import Query
from asynctasks.sansio.http import Flow, Headers, Request, Response, Sleep
from asynctasks.sansio.task import TaskRef, TaskState
from tests.converse import converse
from tests.sansio.documented import (
    ANY_V1,
    CALLS,
    CLOUD,
    CLOUD_ID,
    COMPLETED,
    DONE,
    HOOK,
    INPUTS,
    JSON,
    LATEST,
    LOCAL,
    LOCAL_V1,
    MOMENT,
    NOBODY,
    QUEUED,
    REF,
    SAMPLES,
    TEST,
    facts,
    ids,
    launched,
    load,
    submit,
)


# --- the documented exchanges ------------------------------------------------

NOT_SAID: Mapping[str, str] = {
    "cloud-v2-interrupt-without-body": "we say how to interrupt",
    "cloud-v2-list-filtered": "its offset=0 is the default; see test_filters",
    "cloud-v2-pretty-format": "the numbers are read either way; see test_pretty",
    "cloud-v2-submit-empty": "we write single slashes; see test_submit_empty",
    "cloud-v2-task-state-hook": "half of it is said by the service; see test_hook",
    "local-v1-list": "we write no slash at its end; see test_bare_arrays",
    "local-v2-echo": "we send no headers of the caller; see test_echo",
    "local-v2-interrupt-invalid": "we refuse other words; see test_interrupt_words",
    "local-v2-unknown-task": "four calls of one kind; see test_unknown_task",
}


def test_every_sample_is_replayed() -> None:
    """Each documented exchange is replayed, or a test of its own is named."""
    names = {path.stem for path in SAMPLES.glob("*.json")}

    assert names == set(CALLS) | set(NOT_SAID)
    assert set() == set(CALLS) & set(NOT_SAID)


@pytest.mark.parametrize("name", CALLS)
def test_documented_exchange(name: str) -> None:
    """We ask byte for byte as documented, and understand the documented answer."""
    exchanges = load(name)

    assert len(CALLS[name]) == len(exchanges)
    for (flow, look, expected), (wanted, response) in zip(
        CALLS[name], exchanges, strict=True
    ):
        asked: list[Request | Sleep] = []
        try:
            _, found = converse(flow(), response, asked=asked)
        except AsyncTasksError as exc:
            seen: Any = (type(exc), exc.status, getattr(exc, "message", None))
        else:
            seen = look(found)
        (request,) = asked
        assert isinstance(request, Request)

        assert expected == seen
        assert (wanted["method"], wanted["url"]) == (request.method, request.url)
        assert said(wanted["headers"], wanted["body"]) == said(
            request.headers, request.body
        )


def said(headers: Mapping[str, str], body: Any) -> tuple[dict[str, str], Any]:
    """Return what a request says: its documented headers, its body as a value."""
    skipped = {"apikey", "accept"}  # the key is added later; accept says what comes
    shown = {n.lower(): v for n, v in headers.items() if n.lower() not in skipped}
    if isinstance(body, bytes):
        body = body.decode()
    elif set(body) == {"text"}:
        body = body["text"]
    if isinstance(body, str) and shown.get("content-type") == JSON:
        body = json.loads(body)
    return shown, body


def exchange(name: str) -> tuple[dict[str, Any], Response]:
    return load(name)[0]


def test_pretty() -> None:
    """Well-formatted numbers are read as the others are."""
    _, response = exchange("cloud-v2-pretty-format")
    status = parse_task(response.json(), response)

    assert (*COMPLETED, 19.0, 4.0, 1) == (
        *facts(status),
        status.queue_time,
        status.run_time,
        status.return_code,
    )


def test_submit_empty() -> None:
    """A submit without a body has no content type, and single slashes."""
    (_, response), *_ = load("cloud-v2-submit-empty")
    (request,), _ = converse(submit(TEST, "JobSchedule"), response)

    expected = Request(
        "POST",
        "/pro-api/v2/tasks/Test/1.0/JobSchedule",
        Headers({"Accept": "application/json"}),
        replayable=False,
        expect_json=True,
    )

    assert expected == request


def test_hook() -> None:
    """The URL of the hook travels in its header as it was given."""
    wanted, response = exchange("cloud-v2-task-state-hook")
    flow = submit(TEST, "JobSchedule", INPUTS, JSON, task_state_hook=HOOK)
    (request,), found = converse(flow, response)
    assert isinstance(request, Request)

    assert (
        HOOK == wanted["headers"]["taskStateHook"] == request.headers["taskStateHook"]
    )
    assert (CLOUD_ID, QUEUED) == launched(found)


def test_bare_arrays() -> None:
    """The list of the local server is one bare array, whatever its words."""
    _, response = exchange("local-v1-list")
    (request,), page = converse(LOCAL_V1.select("tasks", Query()), response)
    assert isinstance(request, Request)

    assert "/api/v1/tasks" == request.url
    assert len(response.json()) == len(page.rows) == page.total
    assert page.next is None


def test_echo() -> None:
    """The body and its type come back after a delay counted in milliseconds."""
    wanted, response = exchange("local-v2-echo")
    (request,), found = converse(LOCAL.echo(b"hello", "text/plain", 0.01), response)
    assert isinstance(request, Request)

    assert (wanted["method"], wanted["url"]) == (request.method, request.url)
    assert ({"Content-Type": "text/plain"}, b"hello") == (
        dict(request.headers),
        request.body,
    )
    assert "hello" == found.text()


def test_echo_at_once() -> None:
    """Without a delay and a type, neither is sent."""
    (request,), _ = converse(LOCAL.echo(b"", None, 0), Response(200))
    assert isinstance(request, Request)

    assert ("/api/v2/echo", {}) == (request.url, dict(request.headers))


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf")])
def test_echo_delays(delay: float) -> None:
    """A delay that is no time is refused."""
    with pytest.raises(InvalidArgument, match="delay"):
        converse(LOCAL.echo(b"", None, delay))


def test_echo_content_type() -> None:
    """A content type cannot smuggle a header."""
    with pytest.raises(InvalidArgument, match="content_type"):
        converse(LOCAL.echo(b"", "text/plain\r\nX: y", 0))


def test_unknown_task() -> None:
    """Each call about a task that is not there is answered by NotFound."""
    ref = TaskRef(id=NOBODY)
    flows: list[Flow[Any]] = [
        LOCAL.poll(ref),
        LOCAL.result(ref, DONE),
        LOCAL.intermediate_status(ref),
        LOCAL.interrupt(ref, "interrupt-solve"),
    ]
    for flow, (wanted, response) in zip(
        flows, load("local-v2-unknown-task"), strict=True
    ):
        tries = 4 if wanted["url"].endswith("/response") else 1
        asked: list[Request | Sleep] = []
        with pytest.raises(NotFound):
            converse(flow, *[response] * tries, asked=asked)
        assert isinstance(asked[0], Request)

        assert (wanted["method"], wanted["url"]) == (asked[0].method, asked[0].url)


# --- words, times and numbers ------------------------------------------------


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("key", ["state", "status"])
def test_every_word(key: str, change: Callable[[str], str]) -> None:
    """Every documented word is understood below either key and in any case."""
    for word, state in STATES.items():
        status = parse_task({key: change(word)}, Response(200))

        assert (state, change(word), state.terminal) == facts(status)


def test_the_words() -> None:
    """The table holds the words of both versions and no others."""
    expected = {
        TaskState.QUEUED: {"queued", "assigned"},
        TaskState.RUNNING: {"running", "solving", "starting", "executing"},
        TaskState.SUCCEEDED: {"completed", "finished"},
        TaskState.FAILED: {"failed", "finished with errors"},
        TaskState.CANCELLED: {"interrupted"},
    }
    found: dict[TaskState, set[str]] = {}
    for word, state in STATES.items():
        found.setdefault(state, set()).add(word)

    assert expected == found


@pytest.mark.parametrize("word", ["paused", "", " ", "Fertig!", "complete"])
def test_unknown_words(word: str) -> None:
    """A word that nobody documented ends no wait and is kept."""
    status = parse_task({"state": word}, Response(200))

    assert (TaskState.UNKNOWN, word, False) == facts(status)


def test_v2_words_count_first() -> None:
    """Where an answer has the keys of both versions, those of v2 count."""
    document = {
        "state": "running",
        "status": "finished",
        "queueTime": 1,
        "queuetime": 2,
        "starttime": "2023-07-27T10:36:52Z",
    }
    status = parse_task(document, Response(200))

    assert ("running", 1.0, None) == (
        status.word,
        status.queue_time,
        status.created_at,
    )
    assert document == status.raw


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-23 15:16:38.000000", datetime(2023, 11, 23, 15, 16, 38, 0, UTC)),
        ("2023-11-08T23:03:29Z", datetime(2023, 11, 8, 23, 3, 29, 0, UTC)),
        ("2023-11-08T23:03:29.5Z", datetime(2023, 11, 8, 23, 3, 29, 500_000, UTC)),
        ("2023-11-08T23:03:29+01:00", datetime(2023, 11, 8, 22, 3, 29, 0, UTC)),
        ("2023-11-08 23:03:29", datetime(2023, 11, 8, 23, 3, 29, 0, UTC)),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        ("", None),
        (1_700_000_000, None),
        (None, None),
        (False, None),
        ([], None),
    ],
)
def test_times(text: Any, expected: datetime | None) -> None:
    """Both documented forms are read as UTC; what cannot be read is left out."""
    status = parse_task({"state": "running", "runningAt": text}, Response(200))

    assert expected == status.started_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19.0", 19.0),
        ("4", 4.0),
        ("1.9e+01", 19.0),
        ("2E-3", 0.002),
        ("-0.0", 0.0),
        ("null", None),
        ('"19.0"', None),
        ("true", None),
        ("[]", None),
        (f"1{'0' * 400}", None),
    ],
)
def test_durations(text: str, expected: float | None) -> None:
    """Numbers of any form are seconds; what is no number is left out."""
    response = Response(200, body=f'{{"state":"running","runTime":{text}}}'.encode())
    status = parse_task(response.json(), response)

    assert expected == status.run_time


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (0, 0),
        (-7, -7),
        (1.0, 1),
        (1.5, None),
        (True, None),
        ("1", None),
        (2**60 + 1, 2**60 + 1),
        (None, None),
    ],
)
def test_return_codes(value: Any, expected: int | None) -> None:
    """A return code is a whole number, in whatever form it is written."""
    status = parse_task({"state": "completed", "returnCode": value}, Response(200))

    assert expected == status.return_code


@pytest.mark.parametrize(
    ("value", "expected"), [("bad", "bad"), (None, ""), (7, ""), (["bad"], "")]
)
def test_messages(value: Any, expected: str) -> None:
    """A message is text or nothing."""
    status = parse_task({"status": "failed", "errormessage": value}, Response(200))

    assert expected == status.message


# --- answers that contradict the documents -----------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], "expected a JSON object, found an array"),
        (None, "expected a JSON object, found null"),
        ("running", "expected a JSON object, found a string"),
        ({}, "expected a value at $.status, found no such field"),
        ({"state": None}, "expected a value at $.state, found null"),
        ({"state": 7}, "expected a string at $.state, found a whole number"),
        ({"state": False}, "expected a string at $.state, found a boolean"),
        ({"state": ["queued"]}, "expected a string at $.state, found an array"),
        ({"status": {}}, "expected a string at $.status, found an object"),
    ],
)
def test_odd_tasks(document: Any, expected: str) -> None:
    """An answer without a state in words is the service's fault, and named."""
    response = Response(200, body=json.dumps(document).encode())
    with pytest.raises(RemoteProtocolError) as caught:
        converse(LOCAL.poll(REF), response)

    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], "expected a JSON object, found an array"),
        ({}, "expected a value at $.id, found no such field"),
        ({"id": None}, "expected a value at $.id, found null"),
        ({"id": 7}, "expected a string at $.id, found a whole number"),
        ({"id": ["7"]}, "expected a string at $.id, found an array"),
        ({"id": ""}, "expected an id at $.id that fits into a path, found ''"),
        ({"id": "a/b"}, "expected an id at $.id that fits into a path, found 'a/b'"),
        ({"id": "7\n"}, "expected an id at $.id that fits into a path, found '7\\n'"),
    ],
)
def test_odd_submits(document: Any, expected: str) -> None:
    """A submit that is answered without an id is the service's fault, and named."""
    response = Response(200, body=json.dumps(document).encode())
    with pytest.raises(RemoteProtocolError) as caught:
        converse(submit(LOCAL, "svc"), response)

    assert expected == str(caught.value)


@pytest.mark.parametrize(
    "task_id", ["", ".", "..", "a/b", "%2e", "a\n", "x" * 1001, "é" * 167]
)
def test_an_id_that_nobody_can_ask_for(task_id: str) -> None:
    """A submit whose answer has no usable id is lost: that is seen at once."""
    body = json.dumps({"id": task_id, "state": "queued"}).encode()
    with pytest.raises(RemoteProtocolError, match="fits into a path"):
        converse(submit(LOCAL, "svc"), Response(200, body=body))


@pytest.mark.parametrize("shown", ["7", None, 17])
def test_a_look_that_names_its_task(shown: Any) -> None:
    """A look is believed if it is about the task, or does not say what it is about."""
    body = json.dumps({"id": shown, "state": "completed"}).encode()
    _, status = converse(LOCAL.poll(REF), Response(200, body=body))

    assert TaskState.SUCCEEDED is status.state


@pytest.mark.parametrize("shown", ["Ä B", "ä%20b", "%C3%A4%20B"])
def test_a_look_that_spells_its_task(shown: str) -> None:
    """An id may come back in capitals, or as it stood in the path."""
    body = json.dumps({"id": shown, "state": "completed"}).encode()
    _, status = converse(LOCAL.poll(TaskRef(id="ä b")), Response(200, body=body))

    assert TaskState.SUCCEEDED is status.state


def test_a_look_at_another_task() -> None:
    """A look that is answered with another task tells nothing of this one."""
    body = json.dumps({"id": "8", "state": "completed"}).encode()
    with pytest.raises(RemoteProtocolError) as caught:
        converse(LOCAL.poll(REF), Response(200, body=body))

    assert "expected 7 at $.id, found 8" == str(caught.value)


@pytest.mark.parametrize("seconds", [-1, -1e308, 1e308, 10**400, 4e9])
def test_durations_that_are_none(seconds: float) -> None:
    """A duration below zero, or of more than a century, is not known."""
    document = {"state": "running", "queueTime": seconds, "runTime": seconds}
    status = parse_task(document, Response(200))

    assert (None, None) == (status.queue_time, status.run_time)


@pytest.mark.parametrize("state", [None, 7, False, [], {}])
def test_an_odd_state_does_not_lose_the_id(state: Any) -> None:
    """A task that was accepted keeps its id, whatever else the answer says."""
    response = Response(200, body=json.dumps({"id": "7", "state": state}).encode())
    _, found = converse(submit(LOCAL, "svc"), response)

    assert ("7", None) == launched(found)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, "expected a JSON object, found null"),
        ({}, "expected a value at $.statuses, found no such field"),
        (
            {"current_batch": {}, "total_tasks": 0},
            "expected an array at $.current_batch, found an object",
        ),
        (
            {"current_batch": []},
            "expected a value at $.total_tasks, found no such field",
        ),
        (
            {"current_batch": [], "total_tasks": "1"},
            "expected a whole number at $.total_tasks, found a string",
        ),
        (
            {"current_batch": [], "total_tasks": True},
            "expected a whole number at $.total_tasks, found a boolean",
        ),
        (
            {"statuses": [], "total_size": 1.5},
            "expected a whole number at $.total_size, found a number",
        ),
        ([[]], "expected a string at $[0].id, found null"),
        ([{"id": "a"}, {}], "expected a string at $[1].id, found null"),
        (
            {"current_batch": [{"id": 7}], "total_tasks": 1},
            "expected a string at $.current_batch[0].id, found 7",
        ),
        (
            {"statuses": [{"id": ["a"]}], "total_size": 1},
            'expected a string at $.statuses[0].id, found ["a"]',
        ),
    ],
)
@pytest.mark.parametrize("dialect", [CLOUD, LOCAL_V1], ids=["cloud", "local"])
def test_odd_lists(dialect: AimmsDialect, document: Any, expected: str) -> None:
    """A list of another form is the service's fault, and named."""
    response = Response(200, body=json.dumps(document).encode())
    with pytest.raises(RemoteProtocolError) as caught:
        converse(dialect.select("tasks", Query()), response)

    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("null", "expected a JSON object, found null"),
        ('{"setstatus": 7}', "expected a string at $.setstatus, found a whole number"),
    ],
)
def test_odd_interrupts(document: str, expected: str) -> None:
    """An interrupt that is answered with anything else is the service's fault."""
    response = Response(200, body=document.encode())
    with pytest.raises(RemoteProtocolError) as caught:
        converse(LOCAL.interrupt(REF, "interrupt-solve"), response)

    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ResponseDecodeError),
        (b'{"id": "7', ResponseDecodeError),
        (b'{"state": NaN}', ResponseDecodeError),
        (b"[" * 100_000, ResponseDecodeError),
        (b"\xff\xfe{}", ResponseDecodeError),
        (b"<!DOCTYPE html><title>Sign in</title>", UnexpectedContent),
    ],
    ids=["empty", "truncated", "nan", "deep", "utf-16", "html"],
)
def test_answers_that_are_no_json(body: bytes, kind: type[AsyncTasksError]) -> None:
    """What is not JSON is a typed error of a poll, a submit and a list."""
    flows: list[Flow[Any]] = [
        LOCAL.poll(REF),
        submit(LOCAL, "svc"),
        LOCAL.select("tasks", Query()),
        LOCAL.select_one("tasks", "7"),
        CLOUD.server_version(),
        CLOUD.stats(),
    ]
    for flow in flows:
        with pytest.raises(kind):
            converse(flow, Response(200, body=body))


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from([*STATES, "2023-11-23 15:16:38.000000"]),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("id", "state", "status", "createdAt", "starttime", "runningAt"),
                    *("endedAt", "queueTime", "runTime", "runtime", "returnCode"),
                    *("errorMessage", "groupIndex", "current_batch", "total_tasks"),
                    *("statuses", "total_size", "setstatus", "version", "message"),
                ]
            ),
            values,
            max_size=8,
        )
    ),
    max_leaves=12,
)


@given(ANY_JSON, st.sampled_from([200, 201, 204, 302, 401, 404, 429, 500, 503]))
def test_any_document(document: Any, status: int) -> None:
    """Any JSON with any status is understood or a typed error, in every call."""
    response = Response(status, body=json.dumps(document).encode())
    flows: list[Flow[Any]] = [
        submit(TEST, "svc"),
        CLOUD.poll(REF),
        LOCAL.interrupt(REF, "interrupt-solve"),
        CLOUD.delete(REF),
        CLOUD.select("tasks", Query()),
        CLOUD.select_one("tasks", "7"),
        CLOUD.delete_one("tasks", "7"),
        CLOUD.count("tasks", {}),
        CLOUD.server_version(),
        CLOUD.stats(),
        CLOUD.logs(REF),
        LOCAL.intermediate_status(REF),
    ]
    for flow in flows:
        with contextlib.suppress(AsyncTasksError):
            converse(flow, response)


# --- submits -----------------------------------------------------------------

ACCEPTED = Response(201, body=b'{"id": "7", "groupIndex": 3, "state": "queued"}')


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (LATEST, "/pro-api/v2/tasks/Test/svc"),
        (TEST, "/pro-api/v2/tasks/Test/1.0/svc"),
        (
            AimmsDialect.cloud(app="A", app_version="007"),
            "/pro-api/v2/tasks/A/007/svc",
        ),
        (
            AimmsDialect.cloud("v1", app="A", app_version="007"),
            "/pro-api/v1/tasks/A/007/svc",
        ),
        (LOCAL, "/api/v2/tasks/svc"),
        (LOCAL_V1, "/api/v1/tasks/svc"),
        (AimmsDialect.local(prefix="/dex"), "/dex/api/v2/tasks/svc"),
        (
            AimmsDialect.cloud(app="A", prefix="/portal"),
            "/portal/pro-api/v2/tasks/A/svc",
        ),
    ],
)
def test_submit_paths(dialect: AimmsDialect, expected: str) -> None:
    """Each of the four families has its path; a version such as 007 stays text."""
    (request,), found = converse(submit(dialect, "svc"), ACCEPTED)
    assert isinstance(request, Request)

    assert (expected, False, True) == (
        request.url,
        request.replayable,
        request.expect_json,
    )
    assert found.ref == TaskRef(
        id="7",
        service="svc",
        app=dialect.app,
        app_version=dialect.app_version,
        run=3,
    )


@pytest.mark.parametrize(
    ("dialect", "name"),
    [(CLOUD, "app"), (ANY_V1, "app"), (AimmsDialect.cloud("v1", app="A"), "version")],
)
def test_submits_that_lack_a_name(dialect: AimmsDialect, name: str) -> None:
    """A cloud needs an app, and v1 also its version; the error says which."""
    with pytest.raises(InvalidArgument) as caught:
        converse(submit(dialect, "svc"))

    assert name == caught.value.name


@pytest.mark.parametrize("version", [7, 1.0, True])
def test_versions_are_text(version: Any) -> None:
    """A version that is a number has lost its zeros and is refused."""
    with pytest.raises(InvalidArgument, match="must be text"):
        AimmsDialect.cloud(app="A", app_version=version)


@pytest.mark.parametrize("build", [AimmsDialect.cloud, AimmsDialect.local])
@pytest.mark.parametrize("version", ["v3", "2", "", "V2"])
def test_unknown_versions_of_the_api(
    build: Callable[[str], AimmsDialect], version: str
) -> None:
    """Only the two documented versions of the API are spoken."""
    with pytest.raises(InvalidArgument, match="choose v1 or v2"):
        build(version)


HOSTILE = [
    "",
    ".",
    "..",
    "../../users",
    "..%2f..",
    "%2e%2e",
    "%252e",
    "a/b",
    "a\\b",
    "a?b",
    "a#c",
    "a%20b",
    "a\r\nX: y",
    "a\0",
    "a\x85",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names(name: str) -> None:
    """No name or id leaves its path segment; each is refused before it is sent."""
    asked: list[Request | Sleep] = []
    flows: list[Callable[[], Flow[Any]]] = [
        lambda: submit(LOCAL, name),
        lambda: submit(AimmsDialect.cloud(app=name), "svc"),
        lambda: submit(AimmsDialect.cloud(app="A", app_version=name), "svc"),
        lambda: LOCAL.poll(TaskRef(id=name)),
        lambda: LOCAL.cancel(TaskRef(id=name)),
        lambda: LOCAL.delete(TaskRef(id=name)),
        lambda: LOCAL.result(TaskRef(id=name), DONE),
        lambda: LOCAL.interrupt(TaskRef(id=name), "interrupt-solve"),
        lambda: LOCAL.select_one("tasks", name),
        lambda: LOCAL.delete_one("tasks", name),
    ]
    for flow in flows:
        with pytest.raises(InvalidArgument):
            converse(flow(), asked=asked)

    assert [] == asked


@pytest.mark.parametrize("name", [None, 7, b"svc", ["svc"]])
def test_names_of_other_types(name: Any) -> None:
    """A name that is not text is refused."""
    with pytest.raises(InvalidArgument, match="must be text"):
        converse(submit(LOCAL, name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My App", "My%20App"),
        ("a+b", "a%2Bb"),
        ("a;b=c&d", "a%3Bb%3Dc%26d"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("user@host:80", "user%40host%3A80"),
    ],
)
def test_friendly_names(name: str, expected: str) -> None:
    """All other names are one segment, percent-encoded."""
    (request,), _ = converse(submit(LOCAL, name), ACCEPTED)
    assert isinstance(request, Request)

    assert f"/api/v2/tasks/{expected}" == request.url


# --- schedules and hooks -----------------------------------------------------

NAIVE = datetime(2023, 11, 24)  # noqa: DTZ001 - the mistake to be told

CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (
            "schedule_for",
            datetime(2023, 11, 24, 15, 16, 38, 123_456, UTC),
            "scheduleFor=2023-11-24%2015%3A16%3A38.123%20%2B00%3A00",
        ),
        (
            "schedule_for",
            datetime(2023, 11, 24, 0, 30, tzinfo=CET),
            "scheduleFor=2023-11-23%2023%3A30%3A00.000%20%2B00%3A00",
        ),
        (
            "schedule_for",
            MOMENT,
            "scheduleFor=2023-11-24%2015%3A16%3A38.000%20%2B01%3A00",
        ),
        ("schedule_in", timedelta(days=1), "scheduleIn=P1DT0H0M0S"),
        ("schedule_in", timedelta(milliseconds=1500), "scheduleIn=P0DT0H0M1.5S"),
        ("schedule_in", 90, "scheduleIn=P0DT0H1M30S"),
        ("schedule_in", "P1DT2H3M4S", "scheduleIn=P1DT2H3M4S"),
        ("schedule_every", "1 day", "scheduleInterval=1%20day"),
        (
            "schedule_every",
            timedelta(weeks=1, hours=2, minutes=3, seconds=4),
            "scheduleInterval=P7DT2H3M4S",
        ),
        ("schedule_every", None, ""),
    ],
)
def test_schedules(option: str, value: Any, expected: str) -> None:
    """Times and durations are written as documented, the plus sign encoded."""
    (request,), _ = converse(submit(TEST, "svc", **{option: value}), ACCEPTED)
    assert isinstance(request, Request)

    assert expected == request.query


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("schedule_for", NAIVE, "give a datetime with a zone"),
        ("schedule_for", date(2023, 11, 24), "give a datetime with a zone"),
        ("schedule_for", 1_700_000_000, "give a datetime with a zone"),
        ("schedule_for", "", "must not be empty"),
        ("schedule_in", " ", "must not be empty"),
        ("schedule_in", 0, "must be a duration above zero"),
        ("schedule_in", -1.0, "must be a duration above zero"),
        ("schedule_every", timedelta(0), "must be a duration above zero"),
        ("schedule_every", float("nan"), "give a timedelta, seconds, or text"),
        ("schedule_every", float("inf"), "give a timedelta, seconds, or text"),
        ("schedule_every", object(), "give a timedelta, seconds, or text"),
        ("schedule_in", True, "give a timedelta, seconds, or text"),
        ("task_state_hook", "ftp://example.com", "it must start with http"),
        ("task_state_hook", "https://u:p@example.com", "user name or password"),
        ("task_state_hook", "https://example.com/\r\nX: y", "printable ASCII"),
        ("task_state_hook", "", "must not be empty"),
        ("task_state_hook", 7, "must be text"),
    ],
)
def test_unusable_options(option: str, value: Any, expected: str) -> None:
    """An option that cannot be sent is refused by its name."""
    with pytest.raises(InvalidArgument, match=expected) as caught:
        converse(submit(TEST, "svc", **{option: value}))

    assert option == caught.value.name


@pytest.mark.parametrize(
    "option", ["schedule_for", "schedule_in", "schedule_every", "task_state_hook"]
)
def test_the_local_server_has_no_schedules(option: str) -> None:
    """The local server can run a task only now."""
    with pytest.raises(UnsupportedOperation, match=option):
        converse(submit(LOCAL, "svc", **{option: "1 day"}))


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_time(moment: datetime) -> None:
    """Any point in time is written so that it can be read again."""
    text = time_text("t", moment)
    found = datetime.strptime(text.zfill(30), "%Y-%m-%d %H:%M:%S.%f %z")

    assert timedelta(0) <= moment - found < timedelta(milliseconds=1)


@given(st.timedeltas(min_value=timedelta(microseconds=1)))
def test_any_duration(delta: timedelta) -> None:
    """Any duration is written in ISO 8601, to the microsecond."""
    days, _, rest = duration_text("t", delta)[1:-1].partition("DT")
    hours, _, rest = rest.partition("H")
    minutes, _, seconds = rest.partition("M")
    whole, _, fraction = seconds.partition(".")
    found = timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(whole),
        microseconds=int(fraction.ljust(6, "0") or 0),
    )

    assert delta == found


# --- the end of a task -------------------------------------------------------


def word(text: str) -> Response:
    return Response(200, body=json.dumps({"id": "7", "state": text}).encode())


def verbs(asked: list[Request | Sleep]) -> list[str]:
    return [
        f"{step.method} {step.url.rpartition('/')[2]}"
        for step in asked
        if isinstance(step, Request)
    ]


@pytest.mark.parametrize(
    ("answers", "verbs_said", "expected"),
    [
        ([word("queued"), Response(200)], ["GET 7", "DELETE 7"], "cancelled"),
        ([word("assigned"), Response(204)], ["GET 7", "DELETE 7"], "cancelled"),
        ([word("queued"), Response(404)], ["GET 7", "DELETE 7"], "cancelled"),
        (
            [word("queued"), Response(405), word("running"), Response(200)],
            ["GET 7", "DELETE 7", "GET 7", "PUT 7"],
            "running",
        ),
        (
            [word("queued"), Response(409), word("queued"), Response(200)],
            ["GET 7", "DELETE 7", "GET 7", "PUT 7"],
            "queued",
        ),
        (
            [word("queued"), Response(405), word("completed")],
            ["GET 7", "DELETE 7", "GET 7"],
            "succeeded",
        ),
        (
            [word("running"), Response(409), word("completed")],
            ["GET 7", "PUT 7", "GET 7"],
            "succeeded",
        ),
        ([word("solving"), Response(200)], ["GET 7", "PUT 7"], "running"),
        ([word("running"), Response(202)], ["GET 7", "PUT 7"], "running"),
        (
            [word("running"), Response(200, body=b'{"setstatus": "x"}')],
            ["GET 7", "PUT 7"],
            "running",
        ),
        ([word("paused"), Response(200)], ["GET 7", "PUT 7"], "unknown"),
        ([word("completed")], ["GET 7"], "succeeded"),
        ([word("failed")], ["GET 7"], "failed"),
        ([word("interrupted")], ["GET 7"], "cancelled"),
    ],
    ids=[
        "queued",
        "assigned",
        "vanished",
        "raced",
        "refused",
        "raced-to-the-end",
        "ended-just-now",
        "solving",
        "running",
        "running-local",
        "unknown",
        "completed",
        "failed",
        "interrupted",
    ],
)
def test_cancel(answers: list[Response], verbs_said: list[str], expected: str) -> None:
    """What waits is removed, what runs is interrupted, what is over is left alone."""
    asked, status = converse(LOCAL.cancel(REF), *answers)
    untouched = len(asked) == 1 or answers[-1].body == word("completed").body

    assert verbs_said == verbs(asked)
    assert (TaskState(expected), TaskState(expected).terminal) == (
        status.state,
        status.done,
    )
    assert untouched is not status.cancel_requested


def test_refused_cancel_names_what_was_refused() -> None:
    """A refusal is that of the interrupt, not of the look that came after it."""
    with pytest.raises(Conflict) as caught:
        converse(LOCAL.cancel(REF), word("running"), Response(409), word("running"))

    assert "PUT /api/v2/tasks/7 answered 409" == str(caught.value)


def test_what_a_cancel_says() -> None:
    """An interrupt of the whole execution may be repeated; it says so as JSON."""
    asked, _ = converse(LOCAL.cancel(REF), word("running"), Response(200))
    put = asked[1]
    assert isinstance(put, Request)

    assert (b'{"setstatus":"interrupt-execution"}', True, "application/json") == (
        put.body,
        put.replayable,
        put.headers["Content-Type"],
    )


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Response(404)], NotFound),
        ([Response(500)], ServiceBroken),
        ([word("queued"), Response(500)], ServiceBroken),
        ([word("queued"), Response(302)], RemoteProtocolError),
        ([word("queued"), Response(405), Response(404)], NotFound),
        ([word("running"), Response(404), Response(404)], NotFound),
        ([word("running"), Response(409), word("running")], Conflict),
        ([word("running"), Response(405)], RequestRejected),
        ([word("running"), Response(503)], ServiceBroken),
        ([word("running"), ConnectionLost("reset")], ConnectionLost),
    ],
    ids=range(10),
)
def test_cancels_that_fail(
    answers: list[Response | BaseException], expected: type[AsyncTasksError]
) -> None:
    """A cancel that the service does not confirm is an error, never a success."""
    with pytest.raises(expected):
        converse(LOCAL.cancel(REF), *answers)


@pytest.mark.parametrize("how", ["stop", "", "interrupt-execution\n"])
def test_interrupt_words(how: str) -> None:
    """There are two ways to interrupt; another word is refused here."""
    wanted, response = exchange("local-v2-interrupt-invalid")
    with pytest.raises(InvalidArgument, match="interrupt-execution, interrupt-solve"):
        converse(LOCAL.interrupt(REF, how))

    assert ("PUT", 405) == (wanted["method"], response.status)


# --- results -----------------------------------------------------------------

RESULT = Request("GET", "/api/v2/tasks/7/response", follow=True)
MISSING = Response(404)


@pytest.mark.parametrize("tries", range(4))
def test_a_result_that_is_late(tries: int) -> None:
    """A result that a finished task does not have yet is asked for again."""
    answers = [*[MISSING] * tries, Response(200, body=b"6")]
    asked, found = converse(LOCAL.result(REF, DONE), *answers)
    waits = [Sleep(0.25), Sleep(0.5), Sleep(1.0)]
    expected: list[Request | Sleep] = [RESULT]
    for wait in waits[:tries]:
        expected += [wait, RESULT]

    assert expected == asked
    assert b"6" == found.body


def test_a_result_that_never_comes() -> None:
    """After four tries the service's word counts; no wait is without a try."""
    asked: list[Request | Sleep] = []
    with pytest.raises(NotFound):
        converse(LOCAL.result(REF, DONE), *[MISSING] * 4, asked=asked)

    assert RESULT == asked[-1]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, PermissionDenied), (400, RequestRejected), (500, ServiceBroken)],
)
def test_results_that_are_refused(status: int, expected: type[AsyncTasksError]) -> None:
    """A refusal other than 404 is told at once."""
    with pytest.raises(expected):
        converse(LOCAL.result(REF, DONE), Response(status))


def test_an_empty_result() -> None:
    """A procedure may answer nothing."""
    _, found = converse(LOCAL.result(REF, DONE), Response(204))

    assert b"" == found.body


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (CLOUD.build_download(TaskRef(id="7", run=2)), "7/response?groupIndex=2"),
        (CLOUD.build_download(REF), "7/response"),
        (CLOUD.build_log_download(REF), "7/logs/download"),
    ],
)
def test_downloads(request_: Request, expected: str) -> None:
    """What is streamed may be redirected once, to where the blobs lie."""
    assert f"/pro-api/v2/tasks/{expected}" == request_.url
    assert (True, "GET", True) == (
        request_.follow,
        request_.method,
        request_.replayable,
    )


def test_heads_of_downloads() -> None:
    """A download begins when its head is a 200."""
    CLOUD.parse_head(Response(200))
    with pytest.raises(NotFound):
        CLOUD.parse_head(Response(404))


def test_logs() -> None:
    """The log of a task is fetched as it is."""
    (request,), found = converse(CLOUD.logs(REF), Response(200, body=b"line"))

    assert Request("GET", "/pro-api/v2/tasks/7/logs", follow=True) == request
    assert b"line" == found.body


@pytest.mark.parametrize(
    ("current", "expected"),
    [(False, "/pro-api/v2/tasks/stats"), (True, "/pro-api/v2/tasks/stats/current")],
)
def test_stats(current: bool, expected: str) -> None:
    """Statistics are whatever JSON the service gives."""
    (request,), found = converse(
        CLOUD.stats(current=current), Response(200, body=b'{"queued": 3}')
    )
    assert isinstance(request, Request)

    assert (expected, {"queued": 3}) == (request.url, found)


def test_no_intermediate_status() -> None:
    """A model that wrote no status has an empty one."""
    _, found = converse(LOCAL.intermediate_status(REF), Response(204))

    assert b"" == found.body


@pytest.mark.parametrize(
    "call",
    [
        lambda: LOCAL.logs(REF),
        LOCAL.stats,
        LOCAL.server_version,
        lambda: CLOUD.intermediate_status(REF),
        lambda: CLOUD.echo(b"", None, 0),
    ],
    ids=["logs", "stats", "version", "status", "echo"],
)
def test_what_only_the_other_has(call: Callable[[], Flow[Any]]) -> None:
    """What only the cloud or only the local server has is refused by the other."""
    with pytest.raises(UnsupportedOperation, match=r"\(only "):
        converse(call())


def test_the_local_server_has_no_log_files() -> None:
    """Log files lie in the cloud."""
    with pytest.raises(UnsupportedOperation, match=r"only AIMMS PRO in the cloud"):
        LOCAL.build_log_download(REF)


# --- lists -------------------------------------------------------------------


def listed(dialect: AimmsDialect, **query: Any) -> str:
    batch = b'{"current_batch": [], "total_tasks": 0}'
    flow = dialect.select("tasks", Query(**query))
    (request,), _ = converse(flow, Response(200, body=batch))
    assert isinstance(request, Request)
    return request.url


def test_filters() -> None:
    """The documented filters are sent; the first page needs no offset."""
    wanted, response = exchange("cloud-v2-list-filtered")
    where = {"after": "2023-11-23", "before": "2023-11-24"}
    flow = TEST.select("tasks", Query(where=where, limit=1))
    (request,), page = converse(flow, response)
    assert isinstance(request, Request)

    assert wanted["url"].replace("offset=0&", "") == request.url
    assert ([CLOUD_ID], 2) == ids(page)
    assert Query(where=where, limit=1, offset=1) == page.next


@pytest.mark.parametrize(
    ("dialect", "query", "expected"),
    [
        (CLOUD, {}, "/pro-api/v2/tasks"),
        (TEST, {}, "/pro-api/v2/tasks?appName=Test&appVersion=1.0"),
        (TEST, {"where": {"appName": None, "appVersion": None}}, "/pro-api/v2/tasks"),
        (CLOUD, {"where": {"appName": "My App"}}, "/pro-api/v2/tasks?appName=My%20App"),
        (
            CLOUD,
            {"where": {"after": date(2023, 11, 23)}},
            "/pro-api/v2/tasks?after=2023-11-23",
        ),
        (CLOUD, {"offset": 20, "limit": 10}, "/pro-api/v2/tasks?offset=20&limit=10"),
        (
            AimmsDialect.cloud("v1", app="A", app_version="007"),
            {},
            "/pro-api/v1/tasks?projectName=A&projectVersion=007",
        ),
        (LOCAL, {"limit": 10}, "/api/v2/tasks"),
    ],
)
def test_list_queries(
    dialect: AimmsDialect, query: dict[str, Any], expected: str
) -> None:
    """Each family filters and pages by its own names; the local server does not."""
    assert expected == listed(dialect, **query)


@pytest.mark.parametrize(
    ("dialect", "query", "expected"),
    [
        (CLOUD, {"where": {"state": "queued"}}, "has no filter state; it has: appName"),
        (CLOUD, {"where": {"b": 1, "a": 2}}, "has no filter a, b"),
        (LOCAL, {"where": {"appName": "A"}}, "it has: the whole list"),
        (CLOUD, {"sort": "createdAt"}, "has no sort"),
    ],
)
def test_filters_that_are_not_there(
    dialect: AimmsDialect, query: dict[str, Any], expected: str
) -> None:
    """A filter that the service would ignore is refused here."""
    with pytest.raises(UnsupportedOperation, match=expected):
        listed(dialect, **query)


@pytest.mark.parametrize(
    ("document", "offset", "expected"),
    [
        ({"current_batch": [{"id": "1"}], "total_tasks": 2}, 0, 1),
        ({"current_batch": [{"id": "2"}], "total_tasks": 2}, 1, None),
        ({"current_batch": [], "total_tasks": 9}, 3, None),
        ({"statuses": [{"id": "1"}], "total_size": 2}, 0, 1),
        ([{"id": "1"}], 0, None),
    ],
)
def test_pages(document: Any, offset: int, expected: int | None) -> None:
    """There is a next page while rows come and more are counted."""
    response = Response(200, body=json.dumps(document).encode())
    _, page = converse(CLOUD.select("tasks", Query(offset=offset)), response)

    assert expected == (page.next and page.next.offset)


def test_select_one() -> None:
    """The document of a task is its row; None where there is none."""
    _, found = converse(LOCAL.select_one("tasks", "7"), word("queued"))
    _, missing = converse(LOCAL.select_one("tasks", "7"), Response(404))

    assert ({"id": "7", "state": "queued"}, None) == (found, missing)


def test_delete_one() -> None:
    """It tells whether there was a task to remove."""
    _, found = converse(LOCAL.delete_one("tasks", "7"), Response(200))
    _, missing = converse(LOCAL.delete_one("tasks", "7"), Response(404))

    assert (True, False) == (found, missing)


def test_count() -> None:
    """The number comes with a page of one row."""
    body = b'{"current_batch": [{"id": "1"}], "total_tasks": 42}'
    flow = CLOUD.count("tasks", {"appName": "A"})
    (request,), found = converse(flow, Response(200, body=body))
    assert isinstance(request, Request)

    assert ("/pro-api/v2/tasks?appName=A&limit=1", 42) == (request.url, found)


@pytest.mark.parametrize(
    "call",
    [
        lambda: CLOUD.select("apps", Query()),
        lambda: CLOUD.select_one("apps", "7"),
        lambda: CLOUD.delete_one("apps", "7"),
        lambda: CLOUD.count("apps", {}),
        lambda: CLOUD.insert("tasks", {}),
    ],
    ids=["select", "select_one", "delete_one", "count", "insert"],
)
def test_resources_that_are_not_there(call: Callable[[], Flow[Any]]) -> None:
    """What is not there is refused, naming what there is."""
    with pytest.raises(UnsupportedOperation, match=r"it has: count\('tasks'\)"):
        converse(call())


# --- who speaks --------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "variant", "title", "schedule"),
    [
        (CLOUD, "v2-cloud", "AIMMS v2 (cloud)", True),
        (ANY_V1, "v1-cloud", "AIMMS v1 (cloud)", True),
        (LOCAL, "v2-local", "AIMMS v2 (local)", False),
        (LOCAL_V1, "v1-local", "AIMMS v1 (local)", False),
    ],
)
def test_names(dialect: AimmsDialect, variant: str, title: str, schedule: bool) -> None:
    """Each of the four families has its names, and says whether it can schedule."""
    assert (variant, title, schedule) == (
        dialect.variant,
        dialect.title,
        dialect.capabilities.schedule,
    )


def test_dialects_are_values() -> None:
    """Dialects that speak alike are equal."""
    assert AimmsDialect.cloud(app="A") == AimmsDialect.cloud(app="A")
    assert AimmsDialect.cloud(app="A") != AimmsDialect.cloud(app="B")


# --- many tasks at once ------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (TEST, "/pro-api/v2/tasks?appName=Test&appVersion=1.0"),
        (CLOUD, "/pro-api/v2/tasks?appName=Else"),
        (LOCAL, "/api/v2/tasks"),
    ],
)
def test_surveys(dialect: AimmsDialect, expected: str) -> None:
    """The list that shows some tasks is that of the client's app, or of their own."""
    query = dialect.build_survey([TaskRef(id="7", app="Else")])
    url = listed(dialect, where=query.where)

    assert expected == url


def test_rows_of_surveys() -> None:
    """A row of the list tells what a look at the task tells."""
    _, response = exchange("cloud-v2-poll-completed")
    row = {**response.json(), "groupIndex": 3}
    ref, status = CLOUD.parse_row(row)

    assert TaskRef(id=CLOUD_ID, service="JobSchedule", run=3) == ref
    assert parse_task(row, response) == status
