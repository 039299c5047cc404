"""What all services have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from asynctasks.exceptions import (
    NotFound,
    RemoteProtocolError,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.answers import field
from asynctasks.sansio.dialect import (
    Capabilities,
    Dialect,
    Launched,
    Page,
    Payload,
    Prepared,
    Query,
    Reconcile,
    Survey,
    note_page,
)
from asynctasks.sansio.http import Request, Response
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from tests.converse import converse


if TYPE_CHECKING:
    from asynctasks.sansio.http import Flow


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
        return TaskStatus(state=TaskState.RUNNING)


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


def test_pages_are_read_once() -> None:
    """A page is told from others by its offset and its mark."""
    read: set[tuple[int, str | None]] = set()
    for query in (Query(), Query(offset=3), Query(cursor="a"), Query(cursor="b")):
        note_page(query, read)
    with pytest.raises(RemoteProtocolError, match="the page at a again"):
        note_page(Query(cursor="a", limit=9), read)

    assert {(0, None), (3, None), (0, "a"), (0, "b")} == read


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


class Counting(Listing):
    """Counts the rows that are read whole."""

    def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
        READ.append(row["id"])
        ref, status = super().parse_row(row)
        return ref, attrs.evolve(status, raw=row)


READ: list[str] = []


def test_survey_reads_only_rows_that_say_something_new() -> None:
    """Rows of others are passed over; one that is as before gives that very status."""
    before = Counting().parse_row(row("a"))[1]
    READ.clear()
    known = {"a": before, "b": before, "c": None}
    rows = [row("a"), row("b", "other"), row("c"), row("d")]
    refs = [TaskRef(id=key) for key in "abc"]
    _, survey = converse(Counting().survey(refs, 99, known), page_of(*rows))

    assert ["b", "c"] == READ
    assert {("a", None), ("b", None), ("c", None)} == set(survey.found)
    assert survey.found["a", None] is before
    assert "other" == survey.found["b", None].word
    assert 4 == survey.rows


def test_ids_that_take_more_than_a_look_are_read() -> None:
    """Where the id of a row does not tell at once, the row is read."""
    assert ("7", None) == (DIALECT.row_id({"id": "7"}), DIALECT.row_id({"id": 7}))


def test_of_two_rows_about_one_task_the_further_one_counts() -> None:
    """A list that shows a task twice, in whatever order, shows its end."""
    done = TaskStatus(state=TaskState.SUCCEEDED, word="completed")
    queued = TaskStatus(state=TaskState.QUEUED, word="queued")

    class Twice(Listing):
        def parse_row(self, row: Mapping[str, Any]) -> tuple[TaskRef, TaskStatus]:
            return TaskRef(id=row["id"]), done if row["word"] == "end" else queued

    for words in (("end", "queued"), ("queued", "end")):
        rows = [row("a", word) for word in words]
        _, survey = converse(Twice().survey([TaskRef(id="a")], 99), page_of(*rows))

        assert done is survey.found["a", None]


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
