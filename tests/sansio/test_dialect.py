"""What all services have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AuthenticationFailed,
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ServiceBroken,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.dialect import (
    RANKS,
    Capabilities,
    Dialect,
    Launched,
    Page,
    Payload,
    Prepared,
    Query,
    Reconcile,
    Survey,
    TaskRef,
    TaskState,
    TaskStatus,
    decode_content,
    expect,
    field,
    merge_status,
    refusal,
)
from asynctasks.sansio.http import Headers, Request, Response
from tests.converse import converse


if TYPE_CHECKING:
    from asynctasks.sansio.http import Flow


QUEUED = TaskStatus(state=TaskState.QUEUED)
RUNNING = TaskStatus(state=TaskState.RUNNING)
SUCCEEDED = TaskStatus(state=TaskState.SUCCEEDED)
FAILED = TaskStatus(state=TaskState.FAILED)
UNKNOWN = TaskStatus(state=TaskState.UNKNOWN, word="levitating")

# --- states ------------------------------------------------------------------


def test_three_states_are_terminal() -> None:
    """A task is over when it succeeded, failed or was cancelled; else it is not."""
    terminal = {state for state in TaskState if state.terminal}

    assert {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED} == terminal
    assert set(TaskState) == set(RANKS)


@pytest.mark.parametrize("state", TaskState, ids=lambda state: state.name)
def test_status_is_done_when_terminal(state: TaskState) -> None:
    """Unless it is said otherwise, a status is done when its state is terminal."""
    assert state.terminal == TaskStatus(state=state).done
    assert not TaskStatus(state=state, done=False).done


# --- merging -----------------------------------------------------------------

STATUSES = st.builds(
    TaskStatus,
    state=st.sampled_from(TaskState),
    done=st.booleans(),
    outcome_known=st.booleans(),
    cancel_requested=st.booleans(),
    generation=st.integers(0, 2),
)
ENDS = st.sampled_from([TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED])


def merge_all(*statuses: TaskStatus) -> TaskStatus:
    merged = None
    for status in statuses:
        merged = merge_status(merged, status)
    assert merged is not None
    return merged


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, RUNNING, RUNNING),
        (QUEUED, RUNNING, RUNNING),
        (RUNNING, QUEUED, RUNNING),
        (RUNNING, SUCCEEDED, SUCCEEDED),
        (SUCCEEDED, RUNNING, SUCCEEDED),
        (SUCCEEDED, FAILED, SUCCEEDED),
        (FAILED, SUCCEEDED, FAILED),
    ],
    ids=[
        "first",
        "forward",
        "late",
        "end",
        "late-after-end",
        "second-end",
        "other-second-end",
    ],
)
def test_merge(old: TaskStatus | None, new: TaskStatus, expected: TaskStatus) -> None:
    """A status only moves forward, and its first end stays."""
    assert expected == merge_status(old, new)


def test_merge_takes_the_newer_of_equals() -> None:
    """Of two answers in the same state the later one counts, with its progress."""
    half = attrs.evolve(RUNNING, progress=0.5)

    assert half == merge_status(RUNNING, half)
    assert UNKNOWN == merge_status(half, UNKNOWN)
    assert half == merge_status(UNKNOWN, half)


def test_merge_keeps_a_request_to_cancel() -> None:
    """That a cancel was asked for is not forgotten, whichever answer says it."""
    asked = attrs.evolve(RUNNING, cancel_requested=True)

    assert asked == merge_status(asked, RUNNING)
    assert asked == merge_status(RUNNING, asked)
    assert merge_status(asked, SUCCEEDED).cancel_requested
    assert merge_status(SUCCEEDED, asked) == attrs.evolve(
        SUCCEEDED, cancel_requested=True
    )


def test_merge_learns_the_outcome() -> None:
    """A service may say first that a task ended, and later how."""
    ended = attrs.evolve(SUCCEEDED, outcome_known=False)

    assert FAILED == merge_status(ended, FAILED)
    assert FAILED == merge_status(FAILED, ended)


def test_merge_waits_for_the_parts() -> None:
    """A parent in error is not done before its parts are."""
    waiting = attrs.evolve(FAILED, done=False)

    assert waiting == merge_status(RUNNING, waiting)
    assert waiting == merge_status(waiting, RUNNING)
    assert FAILED == merge_status(waiting, FAILED)
    assert FAILED == merge_status(FAILED, waiting)


def test_relaunch_starts_again() -> None:
    """A newer generation replaces what was known; an older one is forgotten."""
    again = attrs.evolve(QUEUED, generation=1)

    assert again == merge_status(SUCCEEDED, again)
    assert again == merge_status(again, SUCCEEDED)


@given(st.lists(STATUSES, min_size=1, max_size=6))
def test_end_is_never_left(statuses: list[TaskStatus]) -> None:
    """Once done, a generation stays done, in the same state once that is known."""
    merged = statuses[0]
    for status in statuses[1:]:
        before, merged = merged, merge_status(merged, status)

        assert merged.generation >= before.generation
        if merged.generation == before.generation:
            assert merged.done >= before.done
            if before.done and before.outcome_known and before.state.terminal:
                assert before.state is merged.state


@given(st.lists(STATUSES, min_size=1, max_size=5))
def test_duplicates_do_no_harm(statuses: list[TaskStatus]) -> None:
    """Hearing everything twice gives what hearing it once gives."""
    once = merge_all(*statuses)

    assert once == merge_all(*[s for s in statuses for _ in range(2)])
    assert once == merge_status(once, once)


@given(
    st.lists(st.sampled_from([QUEUED, RUNNING]), max_size=3),
    ENDS,
    st.booleans(),
)
def test_order_does_not_matter(
    before: list[TaskStatus], end: TaskState, asked: bool
) -> None:
    """The answers about one task give the same, in whatever order they arrive."""
    statuses = [*before, TaskStatus(state=end, cancel_requested=asked)]
    merged = {
        (status.state, status.done, status.cancel_requested)
        for order in permutations(statuses)
        for status in [merge_all(*order)]
    }

    assert {(end, True, asked)} == merged


# --- capabilities ------------------------------------------------------------

CAPABILITIES = Capabilities(
    reconcile=Reconcile.NONE,
    resources={
        "tasks": frozenset({"select", "count"}),
        "apps": frozenset({"select"}),
    },
)


def test_require_accepts_what_there_is() -> None:
    """A verb that the resource has is no error."""
    CAPABILITIES.require("tasks", "count", "Some service")


@pytest.mark.parametrize(("resource", "verb"), [("apps", "count"), ("users", "select")])
def test_require_names_what_there_is(resource: str, verb: str) -> None:
    """A verb or a resource that is missing is refused, with what there is."""
    with pytest.raises(UnsupportedOperation) as caught:
        CAPABILITIES.require(resource, verb, "Some service")

    assert (
        f"{verb}({resource!r})",
        "Some service",
        ("select('apps')", "count('tasks')", "select('tasks')"),
    ) == (caught.value.operation, caught.value.service, caught.value.available)


# --- a dialect ---------------------------------------------------------------


@attrs.frozen
class Smallest(Dialect):
    """A service that has the four verbs of a task and nothing else."""

    protocol: ClassVar[str] = "smallest"
    states: ClassVar[dict[str, TaskState]] = {"busy": TaskState.RUNNING}

    capabilities: Capabilities = CAPABILITIES
    variant: str = "v1"
    title: str = "The smallest service"

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        yield Request("POST", f"/{prepared.service}")
        return Launched(ref=TaskRef(id="1"))

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        response = yield Request("GET", f"/{ref.id}")
        return TaskStatus(state=self.state_of(response.text()))

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        return (yield Request("GET", f"/{ref.id}/result"))

    def build_download(self, ref: TaskRef) -> Request:
        return Request("GET", f"/{ref.id}/result")

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        yield Request("DELETE", f"/{ref.id}")
        return RUNNING


DIALECT = Smallest()


def test_dialect_with_a_gap_cannot_be_made() -> None:
    """A dialect without the verbs of a task is refused at once."""
    with pytest.raises(TypeError, match="abstract"):
        Dialect()  # type: ignore[abstract]


def test_prepare_asks_nothing() -> None:
    """A service whose submit has one step prepares without a request."""
    payload = Payload(body=b"{}", inputs={})
    requests, prepared = converse(DIALECT.prepare("solve", payload, {"a": 1}))

    assert [] == requests
    assert Prepared(service="solve", payload=payload, options={"a": 1}) == prepared


def test_unknown_word_is_kept_unknown() -> None:
    """A word is translated whatever its case; a new one is no error."""
    assert TaskState.RUNNING is DIALECT.state_of("Busy")
    assert TaskState.UNKNOWN is DIALECT.state_of("levitating")


def test_head_of_a_download() -> None:
    """A streamed result begins with status 200; else it is a refusal."""
    DIALECT.parse_head(Response(200))
    with pytest.raises(NotFound):
        DIALECT.parse_head(Response(404))


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("select", (Query(),)),
        ("select_one", ("1",)),
        ("insert", ({},)),
        ("update", ("1", {})),
        ("upsert", ({},)),
        ("delete_rows", ({},)),
        ("delete_one", ("1",)),
        ("count", ({},)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_missing_verbs_are_unsupported(verb: str, arguments: tuple[Any, ...]) -> None:
    """A verb that a dialect does not write is refused, with what there is."""
    with pytest.raises(UnsupportedOperation) as caught:
        converse(getattr(DIALECT, verb)("users", *arguments))

    assert f"{verb.removesuffix('_rows')}('users')" == caught.value.operation
    assert "The smallest service" == caught.value.service


def test_delete_is_unsupported() -> None:
    """A service that cannot delete tasks says so."""
    with pytest.raises(UnsupportedOperation, match="has no delete of a task"):
        converse(DIALECT.delete(TaskRef(id="1")))


# --- refusals ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRejected),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (409, Conflict),
        (410, RequestRejected),
        (422, RequestRejected),
        (429, RateLimited),
        (499, RequestRejected),
        (500, ServiceBroken),
        (503, ServiceBroken),
        (599, ServiceBroken),
    ],
)
def test_refusal(status: int, kind: type) -> None:
    """The status decides the class of the error."""
    headers = Headers({"Set-Cookie": "secret"})
    error = refusal(Response(status, headers, b"no", attempts=2))

    assert (kind, status, 2, "no") == (
        type(error),
        error.status,
        error.attempts,
        error.message,
    )
    assert not error.response.headers


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_with_a_pause(status: int) -> None:
    """A service that names a pause limits our rate, whatever status it chose."""
    error = refusal(Response(status, Headers({"Retry-After": "7"})))

    assert isinstance(error, RateLimited)
    assert 7.0 == error.retry_after


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "m", "error": "e"}', "m"),
        (b'{"errorMessage": "m"}', "m"),
        (b'{"error": "e", "error_description": "d"}', "d"),
        (b'{"error": "e", "message": ""}', "e"),
        (b'{"error": {"code": 7}}', '{"error": {"code": 7}}'),
        (b'["m"]\n', '["m"]'),
        (b" plain words\n", "plain words"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b"<html>error 500</html>", ""),
        (b"<?xml version='1.0'?>", ""),
        (b"", ""),
    ],
)
def test_words_of_the_service(body: bytes, words: str) -> None:
    """The service's own words are found in an answer of whatever form."""
    assert words == refusal(Response(500, body=body)).message


def test_expected_status() -> None:
    """An answer with a documented status is returned."""
    response = Response(202)

    assert response is expect(response, 200, 202)


def test_unexpected_success() -> None:
    """A success or a redirect that is not documented is no refusal."""
    with pytest.raises(RemoteProtocolError) as caught:
        expect(Response(302), 200, 202)

    assert "expected status 200 or 202, found status 302" == str(caught.value)


def test_unexpected_refusal() -> None:
    """A refusal is raised as such."""
    with pytest.raises(Conflict):
        expect(Response(409), 200)


# --- fields ------------------------------------------------------------------

OK = Response(200)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("x", str),
        ("", str),
        (7, int),
        (7, (int, float)),
        (7.5, (int, float)),
        (True, bool),
        (False, (int, bool)),
        ([], list),
        ({}, dict),
    ],
)
def test_field(value: object, kinds: Any) -> None:
    """A field of the right type is returned as it is."""
    assert value == field({"a": value}, "a", kinds, OK, required=True)


@pytest.mark.parametrize("document", [{}, {"a": None}], ids=["missing", "null"])
def test_optional_field(document: object) -> None:
    """A field that may be missing is None where it is missing or null."""
    assert field(document, "a", str, OK) is None


@pytest.mark.parametrize(
    ("document", "kinds", "expected", "found"),
    [
        ({}, str, "a value at $.a", "no such field"),
        ({"a": None}, str, "a value at $.a", "null"),
        ({"a": 1}, str, "a string at $.a", "a whole number"),
        ({"a": "1"}, int, "a whole number at $.a", "a string"),
        ({"a": True}, int, "a whole number at $.a", "a boolean"),
        ({"a": True}, (int, float), "a whole number or a number at $.a", "a boolean"),
        ({"a": 1.5}, int, "a whole number at $.a", "a number"),
        ({"a": []}, dict, "an object at $.a", "an array"),
        ([], str, "a JSON object", "an array"),
        (None, str, "a JSON object", "null"),
    ],
    ids=str,
)
def test_wrong_field(document: object, kinds: Any, expected: str, found: str) -> None:
    """A field is never converted; the error says where and what it is."""
    with pytest.raises(RemoteProtocolError) as caught:
        field(document, "a", kinds, Response(200, body=b"{}"), required=True)

    assert (expected, found, 200) == (
        caught.value.expected,
        caught.value.found,
        caught.value.status,
    )


# --- results -----------------------------------------------------------------

JSON = "application/json"


@pytest.mark.parametrize(
    ("content_type", "body", "decode", "expected"),
    [
        (JSON, b"[1]", "auto", [1]),
        (JSON, b"7", "auto", 7),
        ("application/hal+json; charset=utf-8", b"{}", "auto", {}),
        ("application/octet-stream", b' \n{"a": 1}', "auto", {"a": 1}),
        ("", b"\xef\xbb\xbf[1]", "auto", [1]),
        ("text/plain", b"[1]", "auto", [1]),
        ("text/plain", b"[draft]", "auto", "[draft]"),
        ("", b"{\xff", "auto", b"{\xff"),
        ("text/csv", b"a;b", "auto", "a;b"),
        ("text/plain", b"7", "auto", "7"),
        ("image/png", b"\x89PNG", "auto", b"\x89PNG"),
        ("", b"", "auto", b""),
        ("image/png", b"7", "json", 7),
        (JSON, b"[1]", "text", "[1]"),
        (JSON, b"[1]", "bytes", b"[1]"),
        (JSON, b"nonsense", "bytes", b"nonsense"),
    ],
    ids=str,
)
def test_decode_content(
    content_type: str, body: bytes, decode: str, expected: object
) -> None:
    """A result is what it is labelled, or what it obviously is, or bytes."""
    response = Response(200, Headers({"Content-Type": content_type}), body)

    assert expected == decode_content(response, decode)


@pytest.mark.parametrize(
    ("content_type", "body", "decode"),
    [
        (JSON, b"", "auto"),
        (JSON, b"{", "auto"),
        ("text/plain", b"\xff", "auto"),
        ("", b"nonsense", "json"),
        ("", b"\xff", "text"),
    ],
    ids=str,
)
def test_decode_refuses(content_type: str, body: bytes, decode: str) -> None:
    """A body that is not of the kind that was insisted on is an error."""
    response = Response(200, Headers({"Content-Type": content_type}), body)
    with pytest.raises(ResponseDecodeError):
        decode_content(response, decode)


def test_unknown_decoder() -> None:
    """A word that names no decoder is refused with those that there are."""
    with pytest.raises(InvalidArgument, match="choose one of auto, json, text, bytes"):
        decode_content(OK, "xml")


def test_download_is_found_without_asking() -> None:
    """Where the id of a task tells its download, nothing is asked."""
    ref = TaskRef(id="7")
    asked, found = converse(DIALECT.find_download(ref))

    assert ([], DIALECT.build_download(ref)) == (asked, found)


# --- many tasks at once ------------------------------------------------------


@attrs.frozen
class Listing(Smallest):
    """A service that lists its tasks, so many a page at most."""

    page: int = 3

    def select(self, resource: str, query: Query) -> Flow[Page]:
        size = min(query.limit or self.page, self.page)
        response = yield Request("GET", f"/{resource}?{query.offset}+{size}")
        rows = response.json()
        more = attrs.evolve(query, offset=query.offset + len(rows))
        return Page(rows=rows, next=more if len(rows) == size else None)

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        word = field(row, "word", str, Response(200), required=True)
        ref = TaskRef(id=row["id"], run=row.get("run"))
        return ref, TaskStatus(state=self.state_of(word), word=word, run=ref.run)


def page_of(*rows: Any) -> Response:
    return Response(200, body=codec.dumps(rows))


def row(key: str, word: Any = "busy", **facts: Any) -> dict[str, Any]:
    return {"id": key, "word": word, **facts}


def survey_of(
    keys: str, *pages: Response, rows: int = 99, runs: int | None = None
) -> tuple[list[str], Survey]:
    refs = [TaskRef(id=key, run=runs) for key in keys]
    asked, survey = converse(Listing().survey(refs, rows), *pages)
    return [r.query for r in asked if isinstance(r, Request)], survey


def test_survey_reads_until_all_were_seen() -> None:
    """Further pages are not asked for when everything that was wanted is there."""
    asked, survey = survey_of(
        "ae", page_of(row("a"), row("b"), row("c")), page_of(*map(row, "def"))
    )

    assert ["0+3", "3+3"] == asked
    assert (6, False) == (survey.rows, survey.whole)
    assert {(key, None) for key in "abcdef"} == set(survey.found)


def test_survey_of_the_whole_list() -> None:
    """What is not in a list that was read to its end is not in it."""
    _, survey = survey_of("ax", page_of(*map(row, "abc")), page_of())

    assert (3, True) == (survey.rows, survey.whole)
    assert ("x", None) not in survey.found


def test_survey_reads_so_many_rows_at_most() -> None:
    """The bound is that of the rows asked for, too: pages are no larger than it."""
    asked, survey = survey_of("x", page_of(*map(row, "ab")), rows=2)
    several, _ = survey_of(
        "x", page_of(*map(row, "abc")), page_of(*map(row, "def")), rows=4
    )

    assert (["0+2"], ["0+3", "3+3"]) == (asked, several)
    assert (2, False) == (survey.rows, survey.whole)


def test_survey_follows_no_empty_page() -> None:
    """A page without rows ends it, whatever is said to follow; it proves nothing."""

    class Endless(Listing):
        def select(self, resource: str, query: Query) -> Flow[Page]:
            page = yield from super().select(resource, query)
            return attrs.evolve(page, next=query)

    asked, survey = converse(Endless().survey([TaskRef(id="x")], 99), page_of())

    assert 1 == len(asked)
    assert (0, False) == (survey.rows, survey.whole)


def test_survey_tells_runs_apart() -> None:
    """Each run by its index, and the last one also without, in whatever order."""
    rows = [row("r", f"word{run}", run=run) for run in (1, 2, 0)]
    _, survey = survey_of("r", page_of(*rows), page_of(), runs=7)

    assert {0: "word0", 1: "word1", 2: "word2", None: "word2"} == {
        run: status.word for (_, run), status in survey.found.items()
    }


def test_survey_passes_over_odd_rows() -> None:
    """A task of somebody else that cannot be read must not hide the others."""
    rows = [row("a", None), row("b", 7), row("c")]
    _, survey = survey_of("c", page_of(*rows))

    assert {("c", None)} == set(survey.found)


def test_survey_that_is_refused() -> None:
    """Without a list there is no survey."""
    with pytest.raises(UnsupportedOperation):
        converse(DIALECT.survey([TaskRef(id="a")], 10))
    with pytest.raises(UnsupportedOperation, match="list of tasks"):
        DIALECT.parse_row({})


def test_configurations_have_no_list() -> None:
    """Only services that store configurations list their tasks."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(UnsupportedOperation, match="configuration"):
        converse(DIALECT.launched_since("7", since))
