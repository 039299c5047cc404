"""Errors: one place for all their texts, and what holds for every class."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import attrs
import pytest

from asynctasks import exceptions
from asynctasks.exceptions import (
    EXCERPT,
    AsyncTasksError,
    AttemptTimeout,
    AuthenticationFailed,
    ConfigError,
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    InvalidState,
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalLocked,
    LocalProtocolError,
    NotFound,
    PatienceExceeded,
    PermissionDenied,
    ProtocolError,
    ProxyError,
    RateLimited,
    RecordedError,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ResponseError,
    ResponseTooLarge,
    ResultUnavailable,
    ServiceBroken,
    SubmitOutcomeUnknown,
    SubscriberClosed,
    TaskCancelled,
    TaskError,
    TaskFailed,
    TaskLost,
    TlsError,
    TransportError,
    UnexpectedContent,
    UnsupportedOperation,
    UntrustedUrl,
    VantiqException,
    excerpt,
    fresh,
)
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.task import TaskState, TaskStatus


REQUEST = Request("POST", "/tasks?key=secret")
LIMITED = Response(429, Headers({"X-Request-Id": "r7"}), b"slow down", attempts=3)
FAILED = TaskStatus(
    state=TaskState.FAILED, word="finished with errors", message="no feasible\nplan"
)
WORDLESS = TaskStatus(state=TaskState.FAILED, message="no plan")
SILENT = TaskStatus(state=TaskState.FAILED, word="failed")
RUNNING = TaskStatus(state=TaskState.RUNNING)
ENDING = TaskStatus(state=TaskState.RUNNING, cancel_requested=True)


def answer(status: int) -> Response:
    return Response(status)


TEXTS: list[tuple[AsyncTasksError, str]] = [
    (AsyncTasksError(), ""),
    (TransportError("it broke"), "it broke"),
    (TransportError("it broke", REQUEST), "it broke (POST /tasks)"),
    (
        ConnectError("cannot connect to acme.example", REQUEST),
        "cannot connect to acme.example (POST /tasks)",
    ),
    (TlsError("the certificate has expired"), "the certificate has expired"),
    (ProxyError("the proxy refused"), "the proxy refused"),
    (ConnectionLost("connection reset", REQUEST), "connection reset (POST /tasks)"),
    (AttemptTimeout("no answer in 30 s"), "no answer in 30 s"),
    (
        SubmitOutcomeUnknown(ConnectionLost("connection reset"), REQUEST),
        (
            "the submit was sent but its answer is lost: connection reset; the task "
            "may be running: look for it in the service's list before you submit it "
            "again"
        ),
    ),
    (ResponseError(answer(418)), "answered 418"),
    (
        AuthenticationFailed(answer(401), "no such key", REQUEST),
        (
            "POST /tasks answered 401: no such key (check that the key or token is "
            "right and has not expired)"
        ),
    ),
    (
        PermissionDenied(answer(403)),
        (
            "answered 403 (check what the key, token or user may do, where the "
            "service takes one; from a local AIMMS it means that there may be no such "
            "service)"
        ),
    ),
    (
        PermissionDenied(answer(403), "there is no service x", REQUEST),
        "POST /tasks answered 403: there is no service x",
    ),
    (NotFound(answer(404), "gone", REQUEST), "POST /tasks answered 404: gone"),
    (Conflict(answer(409), "exists"), "answered 409: exists"),
    (RateLimited(LIMITED), "answered 429"),
    (
        RateLimited(LIMITED, "slow down", REQUEST, 90.0),
        "POST /tasks answered 429: slow down (try again in 90 s)",
    ),
    (RequestRejected(answer(422), "a\r\nb\x1b[31m"), "answered 422: a  b [31m"),
    (
        ServiceBroken(answer(503), "x" * 300),
        "answered 503: " + "x" * 200 + "…",
    ),
    (RemoteProtocolError("JSON"), "expected JSON"),
    (
        RemoteProtocolError("JSON", answer(200), "an\nempty body", REQUEST),
        "POST /tasks: expected JSON, found an empty body",
    ),
    (ResponseDecodeError("UTF-8 text"), "expected UTF-8 text"),
    (
        UnexpectedContent("JSON", answer(200), "an HTML page"),
        "expected JSON, found an HTML page; is this a proxy's or a login page?",
    ),
    (
        ResponseTooLarge(67108864, REQUEST),
        (
            "POST /tasks: expected at most 67,108,864 bytes, found more; stream large "
            "results with download() or raise max_response_bytes="
        ),
    ),
    (
        UntrustedUrl("//evil.example/x", "https://acme.example"),
        (
            "the service handed out '//evil.example/x', which is not below "
            "https://acme.example; name its origin in trusted_origins= to follow it"
        ),
    ),
    (LocalProtocolError("no such thing"), "no such thing"),
    (
        UnsupportedOperation("insert('tasks')", "AIMMS v1", ("select('tasks')",)),
        "AIMMS v1 has no insert('tasks'); it has: select('tasks')",
    ),
    (
        UnsupportedOperation("push", "AIMMS v1"),
        "AIMMS v1 has no push; it has: nothing of the kind",
    ),
    (InvalidArgument("id", "", "must not be empty"), "id: must not be empty"),
    (InvalidArgument("id", 7, "must be text"), "id=7: must be text"),
    (InvalidArgument("id", "7", "is taken"), "id='7': is taken"),
    (TaskError("t1"), "task t1 is in trouble"),
    (TaskFailed("t1"), "task t1 failed"),
    (
        TaskFailed("t1", "token", FAILED),
        "task t1 failed (finished with errors): no feasible plan",
    ),
    (TaskFailed("t1", "token", WORDLESS), "task t1 failed: no plan"),
    (TaskFailed("t1", "token", SILENT), "task t1 failed (failed)"),
    (TaskCancelled("t\n1"), "task t 1 was cancelled"),
    (
        TaskLost("t1"),
        (
            "task t1 is not known to the service (any more): it was deleted, or the id "
            "belongs to another service or account"
        ),
    ),
    (
        ResultUnavailable("t1"),
        "task t1 finished, but the service has no result for it",
    ),
    (
        PatienceExceeded("t1", timeout=86400.0),
        (
            "task t1 did not end within 86400 s (now: not seen yet); it goes on: wait "
            "again with the same handle or from its token"
        ),
    ),
    (
        PatienceExceeded("t1", "token", RUNNING, 1.5),
        (
            "task t1 did not end within 1.5 s (now: RUNNING); it goes on: wait again "
            "with the same handle or from its token"
        ),
    ),
    (
        PatienceExceeded("t1", "token", ENDING, 60.0),
        (
            "task t1 did not end within 60 s (now: RUNNING); it was asked to end, and "
            "may yet: wait again with the same handle or from its token"
        ),
    ),
    (JournalError("b.journal", "no"), "journal b.journal: no"),
    (JournalCorrupt("b.journal", "damaged"), "journal b.journal: damaged"),
    (JournalLocked("b.journal", "in use"), "journal b.journal: in use"),
    (JournalFull("b.journal", "disk full"), "journal b.journal: disk full"),
    (RecordedError("TlsError", "no such CA"), "TlsError: no such CA"),
    (SubscriberClosed(), "the subscriber transport is closed"),
    (SubscriberClosed("the server went away"), "the server went away"),
    (ConfigError("a.toml", "no such profile"), "a.toml: no such profile"),
    (InvalidState("the client is closed"), "the client is closed"),
    (
        VantiqException("io.vantiq.gone", "{0} of {1} is gone", ["a", 7]),
        "VantiqException: code: io.vantiq.gone, message=a of 7 is gone",
    ),
    (
        VantiqException("io.vantiq.odd", "{} '{name=foo}' {{0}} {9} {", ["a"]),
        "VantiqException: code: io.vantiq.odd, message=a '{name=foo}' {0} {9} {",
    ),
]

IDS = [f"{type(error).__name__}-{n}" for n, (error, _) in enumerate(TEXTS)]
EXAMPLES = pytest.mark.parametrize("error", [error for error, _ in TEXTS], ids=IDS)

CLASSES = {
    name: cls
    for name, cls in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(cls, AsyncTasksError)
}


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=IDS)
def test_text(error: AsyncTasksError, text: str) -> None:
    """The text of an error is computed from its facts, on one line."""
    assert text == str(error)


def test_every_class_has_a_text() -> None:
    """Each class that can be raised is in the table above."""
    shown = {type(error) for error, _ in TEXTS}

    assert {ProtocolError} == set(CLASSES.values()) - shown


def test_all_names_every_class() -> None:
    """What is public is what there is, in order."""
    assert sorted(CLASSES) == exceptions.__all__


# --- the tree ----------------------------------------------------------------


def documented_tree() -> dict[str, set[str]]:
    """Read each class's bases from the module's docstring."""
    bases: dict[str, set[str]] = {"AsyncTasksError": {"Exception"}}
    branch = ["AsyncTasksError"]
    for line in inspect.getdoc(exceptions).splitlines():  # type: ignore[union-attr]
        if node := re.match(r"    ([│ ]*)[├└]── (\w+)", line):
            depth = len(node[1]) // 4 + 1
            branch[depth:] = [node[2]]
            bases[node[2]] = {branch[depth - 1]}
        if also := re.search(r"\(also an? (\w+)\)", line):
            bases[branch[-1]].add(also[1])
    return bases


def test_tree_in_the_docstring() -> None:
    """The tree that the module shows is the tree of its classes."""
    real = {
        name: {base.__name__ for base in cls.__bases__} for name, cls in CLASSES.items()
    }

    assert real == documented_tree()


def test_protocol_error_is_abstract() -> None:
    """Nobody can blur whose fault it is."""
    with pytest.raises(TypeError, match="RemoteProtocolError or LocalProtocolError"):
        ProtocolError("somebody's fault")


# --- travel ------------------------------------------------------------------


def state(error: BaseException) -> dict[str, Any]:
    """Return an error's attributes, those that are errors by their text."""
    return {
        name: str(value) if isinstance(value, Exception) else value
        for name, value in vars(error).items()
    }


@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        *[
            lambda error, n=protocol: pickle.loads(pickle.dumps(error, n))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ],
    ],
    ids=["copy", "deepcopy", "pickle2", "pickle3", "pickle4", "pickle5"],
)
@EXAMPLES
def test_errors_travel(error: AsyncTasksError, clone: Any) -> None:
    """A copied or unpickled error has the same class, text and facts."""
    error.attempts = 4
    twin = clone(error)

    assert type(error) is type(twin)
    assert (str(error), repr(error)) == (str(twin), repr(twin))
    assert state(error) == state(twin)
    assert 4 == twin.attempts


@EXAMPLES
def test_errors_keep_their_notes(error: AsyncTasksError) -> None:
    """Notes that somebody added travel too."""
    noted = copy.copy(error)
    noted.add_note("while solving")

    assert ["while solving"] == pickle.loads(pickle.dumps(noted)).__notes__
    assert not hasattr(error, "__notes__")


@EXAMPLES
def test_fresh_error_is_as_the_first_but_for_what_follows(
    error: AsyncTasksError,
) -> None:
    """A copy has facts, cause, notes and traceback; what it meets is its own."""
    first = copy.copy(error)
    first.add_note("while solving")
    try:
        raise first from KeyError("cause")
    except AsyncTasksError:
        twin = fresh(first)
    twin.add_note("later")

    assert (type(first), str(first), repr(first)) == (type(twin), str(twin), repr(twin))
    assert first.__cause__ is twin.__cause__
    assert (True, first.__traceback__) == (
        twin.__suppress_context__,
        twin.__traceback__,
    )
    assert [["while solving"], ["while solving", "later"]] == [
        first.__notes__,
        twin.__notes__,
    ]


def test_errors_of_others_are_not_copied() -> None:
    """Not every error can be: its own class may want arguments."""
    error = UnicodeDecodeError("utf-8", b"", 0, 1, "no")

    assert error is fresh(error)


@EXAMPLES
def test_errors_tell_no_secrets(error: AsyncTasksError) -> None:
    """Neither text nor representation shows a query, a header or a body."""
    assert "secret" not in str(error) + repr(error)


# --- facts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sent", "retryable"),
    [
        (TransportError, True, False),
        (ConnectError, False, True),
        (TlsError, False, False),
        (ProxyError, False, False),
        (ConnectionLost, True, True),
        (AttemptTimeout, True, True),
    ],
)
def test_what_was_sent(kind: type[TransportError], sent: bool, retryable: bool) -> None:
    """Each transport error says whether the request may have arrived."""
    error = kind("reason", REQUEST)

    assert (sent, retryable) == (error.sent, error.retryable)
    assert kind("reason", REQUEST, not sent).sent is not sent


def test_lost_submit_is_never_retryable() -> None:
    """A submit whose answer is lost is not to be repeated, whatever the cause."""
    cause = ConnectionLost("reset")
    error = SubmitOutcomeUnknown(cause)

    assert (True, False) == (error.sent, error.retryable)
    assert cause is error.cause


def test_response_error_takes_its_facts_from_the_answer() -> None:
    """Status, attempts and the service's request id are those of the answer."""
    error = RateLimited(LIMITED)

    assert (429, 3, "r7", True) == (
        error.status,
        error.attempts,
        error.request_id,
        error.retryable,
    )


def test_remote_protocol_error_takes_its_facts_from_the_answer() -> None:
    """Where an answer could be read, its facts are kept; else there are none."""
    error = RemoteProtocolError("JSON", LIMITED)
    without = RemoteProtocolError("JSON")

    assert (429, 3, "r7") == (error.status, error.attempts, error.request_id)
    assert (None, 1, None) == (without.status, without.attempts, without.request_id)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (AttemptTimeout("slow"), TimeoutError),
        (PatienceExceeded("t1"), TimeoutError),
        (InvalidArgument("id", "", "no"), ValueError),
        (InvalidState("closed"), RuntimeError),
        (VantiqException("code", "message", []), RuntimeError),
    ],
    ids=["attempt", "patience", "argument", "state", "vantiq"],
)
def test_builtin_bases(error: AsyncTasksError, builtin: type[Exception]) -> None:
    """Who knows only the built-in errors catches ours too."""
    assert isinstance(error, builtin)


def test_retryable_classes() -> None:
    """Only these may succeed later without a change."""
    retryable = {name for name, cls in CLASSES.items() if cls.retryable}

    assert {
        "AttemptTimeout",
        "ConnectError",
        "ConnectionLost",
        "PatienceExceeded",
        "RateLimited",
        "ResponseDecodeError",
        "ServiceBroken",
    } == retryable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\tb\r\nc\x00\x9b\u2028d", "a b  c   d"),
        ("\u202ereversed", " reversed"),
        ("x" * EXCERPT, "x" * EXCERPT),
        ("x" * (EXCERPT + 1), "x" * EXCERPT + "…"),
    ],
    ids=["plain", "controls", "bidi", "whole", "cut"],
)
def test_excerpt(text: str, expected: str) -> None:
    """A server's text is shown on one line, without controls, and bounded."""
    assert expected == excerpt(text)


def test_argument_that_cannot_travel_stays_behind() -> None:
    """An error about a value that cannot be pickled can be pickled all the same."""
    error = InvalidArgument("inputs", lambda: None, "JSON has no such value")
    twin = pickle.loads(pickle.dumps(error))

    assert str(error) == str(twin)


class Shy:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise KeyError("mine")


@pytest.mark.parametrize("value", [10**5000, [10**5000], Shy()], ids=type)
def test_argument_that_cannot_be_shown(value: object) -> None:
    """Of a value without a representation the error shows the class."""
    error = InvalidArgument("x", value, "must be small")
    kind = type(value).__name__

    assert f"x=<{kind}>: must be small" == str(error)
    assert f"InvalidArgument('x', '<{kind}>', 'must be small')" == repr(error)


def test_task_status_in_an_error_is_whole() -> None:
    """The last known status travels with the error, the raw document included."""
    status = attrs.evolve(FAILED, raw={"id": "t1"})
    twin = pickle.loads(pickle.dumps(TaskFailed("t1", "token", status)))

    assert ("t1", "token", status) == (twin.task_id, twin.token, twin.status)
    assert {"id": "t1"} == twin.status.raw
