"""Tasks as rows of a Vantiq type."""

from __future__ import annotations

from datetime import UTC, datetime
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from asynctasks.exceptions import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RemoteProtocolError,
    ResultUnavailable,
    UnsupportedOperation,
)
from asynctasks.sansio.dialect import Payload, Prepared, Query
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from asynctasks.sansio.vantiq_requests import Api
from asynctasks.sansio.vantiq_tasks import PROPERTIES, VantiqDialect, build_type
from tests.converse import converse


DIALECT = VantiqDialect(api=Api("https://dev.example"))
REF = TaskRef(id="t1", service="solve")
ROW = {"id": "t1", "service": "solve", "state": "running"}


def answer(body: Any, status: int = 200) -> Response:
    kind = Headers({"Content-Type": "application/json"})
    return Response(status, kind, json.dumps(body).encode())


def prepared(inputs: Any = None) -> Prepared:
    return Prepared(
        service="solve", payload=Payload(inputs=inputs), options={"id": "t1"}
    )


def test_type() -> None:
    """The type has all properties, and the id identifies a row."""
    definition = build_type("Job")

    assert "Job" == definition["name"]
    assert set(PROPERTIES) == set(definition["properties"])
    assert {"type": "DateTime"} == definition["properties"]["endedAt"]
    assert ["id"] == definition["naturalKey"]


def test_names() -> None:
    """The dialect says what it is."""
    assert ("v1-Task", "Vantiq type Task") == (DIALECT.variant, DIALECT.title)
    assert DIALECT.capabilities.push


@pytest.mark.parametrize("state", [s for s in TaskState if s is not TaskState.UNKNOWN])
def test_words(state: TaskState) -> None:
    """The words of the state are ours."""
    assert state is DIALECT.state_of(state.value)


@pytest.mark.parametrize("status", [200, 409])
def test_launch(status: int) -> None:
    """A row is inserted; that it is there already means that it was."""
    asked, launched = converse(DIALECT.launch(prepared({"x": 1})), answer({}, status))
    (request,) = asked

    assert isinstance(request, Request)
    assert ("POST", "/api/v1/resources/custom/Task", True) == (
        request.method,
        request.url,
        request.replayable,
    )
    assert {
        "id": "t1",
        "service": "solve",
        "inputs": {"value": {"x": 1}},
        "state": "queued",
    } == json.loads(request.body if isinstance(request.body, bytes) else b"")
    assert (REF, TaskState.QUEUED) == (
        launched.ref,
        launched.status and launched.status.state,
    )


def test_launch_that_is_refused() -> None:
    """What the server refuses is raised; what JSON cannot say is not sent."""
    with pytest.raises(PermissionDenied):
        converse(DIALECT.launch(prepared()), answer([], 403))
    with pytest.raises(InvalidArgument, match="inputs"):
        converse(DIALECT.launch(prepared(object())))


def test_poll() -> None:
    """Everything but inputs and result is read."""
    row = {
        **ROW,
        "progress": 0.5,
        "message": "half way",
        "cancelRequested": True,
        "ars_createdAt": "2026-01-31T12:00:00Z",
        "startedAt": "2026-01-31T12:00:01",
        "endedAt": None,
    }
    asked, status = converse(DIALECT.poll(REF), answer([row]))

    assert isinstance(asked[0], Request)
    assert "%22inputs%22" not in asked[0].url
    assert "where=%7B%22id%22:+%22t1%22%7D" in asked[0].url
    assert (
        TaskStatus(
            state=TaskState.RUNNING,
            word="running",
            cancel_requested=True,
            created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
            started_at=datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC),
            progress=0.5,
            message="half way",
        )
        == status
    )
    assert row == status.raw


def test_times() -> None:
    """Times are of UTC, wherever they were written; what is none is not known."""
    row = {**ROW, "startedAt": "2026-01-31T12:00:00+02:00", "endedAt": "soon"}
    _, status = converse(DIALECT.poll(REF), answer([row]))

    assert (datetime(2026, 1, 31, 10, tzinfo=UTC), None) == (
        status.started_at,
        status.ended_at,
    )
    assert status.started_at is not None
    assert UTC is status.started_at.tzinfo


def test_unknown_word() -> None:
    """A word that is not ours ends nothing."""
    _, status = converse(DIALECT.poll(REF), answer([{**ROW, "state": "napping"}]))

    assert (TaskState.UNKNOWN, "napping", False) == (
        status.state,
        status.word,
        status.done,
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        [{"id": "t1"}],
        [{**ROW, "state": 7}],
        [{**ROW, "progress": "half"}],
    ],
)
def test_rows_that_are_no_tasks(body: Any) -> None:
    """A row that lacks what a task has breaks the protocol."""
    with pytest.raises(RemoteProtocolError):
        converse(DIALECT.poll(REF), answer(body))


@pytest.mark.parametrize("progress", [-0.1, 1.5, 50, 10**400])
def test_progress_that_is_no_share(progress: float) -> None:
    """A progress that is not between 0 and 1 is not known."""
    _, status = converse(DIALECT.poll(REF), answer([{**ROW, "progress": progress}]))

    assert status.progress is None


def test_row_of_another_task() -> None:
    """A server that answers with another row than was asked for is not believed."""
    other = {**ROW, "id": "t2", "state": "succeeded", "result": {"value": 1}}
    done = TaskStatus(state=TaskState.SUCCEEDED)
    for flow in (DIALECT.poll(REF), DIALECT.result(REF, done)):
        with pytest.raises(RemoteProtocolError, match=r"t1 at \$\[0\]\.id"):
            converse(flow, answer([other]))


def test_missing_task() -> None:
    """A task without a row is not there."""
    with pytest.raises(NotFound, match="no task t1"):
        converse(DIALECT.poll(REF), answer([]))


def test_result() -> None:
    """The result is the value in the row's result."""
    done = TaskStatus(state=TaskState.SUCCEEDED)
    _, response = converse(
        DIALECT.result(REF, done),
        answer([{"id": "t1", "result": {"value": [1, 2]}}]),
    )

    assert [1, 2] == response.json()
    with pytest.raises(ResultUnavailable):
        converse(DIALECT.result(REF, done), answer([{"id": "t1", "result": None}]))


def test_download() -> None:
    """The row's result can be streamed."""
    assert "/custom/Task/t1?props=" in DIALECT.build_download(REF).url


def test_cancel() -> None:
    """Who works is asked to stop."""
    asked, status = converse(DIALECT.cancel(REF), answer({}), answer([ROW]))

    assert isinstance(asked[0], Request)
    assert ("PUT", b'{"cancelRequested": true}') == (asked[0].method, asked[0].body)
    assert status.cancel_requested


def test_delete() -> None:
    """The row is removed."""
    asked, _ = converse(DIALECT.delete(REF), Response(204))

    assert isinstance(asked[0], Request)
    assert "/api/v1/resources/custom/Task/t1" == asked[0].url


def test_id_is_no_path() -> None:
    """A slash in the id of a task leads to no other place."""
    ref = TaskRef(id="a/b?c")
    cancelled, deleted = next(DIALECT.cancel(ref)), next(DIALECT.delete(ref))
    place = "/api/v1/resources/custom/Task/a%2Fb%3Fc"

    assert isinstance(cancelled, Request)
    assert isinstance(deleted, Request)
    assert (place, place) == (cancelled.url, deleted.url)
    assert place == DIALECT.build_download(ref).path


def test_survey() -> None:
    """Many tasks are looked at by their ids, a hundred at a time."""
    refs = [TaskRef(id=f"t{n}") for n in range(150)]
    rows = [{**ROW, "id": ref.id} for ref in refs]
    odd = {"id": 7}
    asked, survey = converse(
        DIALECT.survey(refs, 10),
        answer([*rows[:99], odd]),
        answer(rows[100:]),
    )

    assert 2 == len(asked)
    assert (150, True) == (survey.rows, survey.whole)
    assert ("t99", None) not in survey.found
    assert TaskState.RUNNING is survey.found["t149", None].state


def test_list() -> None:
    """Tasks are listed page by page."""
    asked, page = converse(
        DIALECT.select("tasks", Query(limit=2, offset=2, sort="id")), answer([ROW, ROW])
    )

    assert isinstance(asked[0], Request)
    assert "sort=%7B%22id%22:+1%7D&limit=2&count=true&page=2" in asked[0].url
    assert page.next is not None
    assert 4 == page.next.offset
    _, last = converse(DIALECT.select("tasks", Query()), answer([ROW]))
    assert last.next is None
    with pytest.raises(RemoteProtocolError):
        converse(DIALECT.select("tasks", Query()), answer({}))
    with pytest.raises(UnsupportedOperation):
        converse(DIALECT.select("jobs", Query()))


def test_rows_of_events() -> None:
    """An event's row says which task it is of."""
    assert (REF, TaskState.RUNNING) == (
        DIALECT.parse_row(ROW)[0],
        DIALECT.parse_row(ROW)[1].state,
    )
    with pytest.raises(RemoteProtocolError):
        DIALECT.parse_row({"ars_bulkOperation": True, "count": 1})


def test_days_of_a_list() -> None:
    """The days that lists of other services take are those of the creation."""
    where = {"after": "2026-01-01", "before": "2026-02-01", "service": "solve"}
    asked, _ = converse(DIALECT.select("tasks", Query(where=where)), answer([]))
    found = json.loads(parse_qs(asked[0].query)["where"][0])
    created = {"$gte": "2026-01-01T00:00:00Z", "$lt": "2026-02-01T00:00:00Z"}

    assert {"service": "solve", "ars_createdAt": created} == found


def test_one_row() -> None:
    """A row is read whole, and removed; None and False where there is none."""
    _, row = converse(DIALECT.select_one("tasks", "t1"), answer([ROW]))
    _, none = converse(DIALECT.select_one("tasks", "t1"), answer([]))
    _, there = converse(DIALECT.delete_one("tasks", "t1"), Response(204))
    _, gone = converse(DIALECT.delete_one("tasks", "t1"), answer([], 404))

    assert (ROW, None, True, False) == (row, none, there, gone)


def test_count() -> None:
    """The number of all tasks is that of the header."""
    kind = {"Content-Type": "application/json", "X-Total-Count": "7"}
    _, count = converse(DIALECT.count("tasks", {}), Response(200, Headers(kind), b"[]"))

    assert 7 == count
    assert 0 == converse(DIALECT.count("tasks", {}), answer([]))[1]
    with pytest.raises(RemoteProtocolError, match="X-Total-Count"):
        converse(DIALECT.count("tasks", {}), answer([ROW]))
