"""A submit whose answer was lost: which tasks may be its."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import math
from typing import Any

import attrs
import pytest

from asynctasks.exceptions import (
    ConnectionLost,
    RemoteProtocolError,
    UnsupportedOperation,
)
from asynctasks.sansio import codec
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.dialect import Dialect, Page, Query
from asynctasks.sansio.http import Flow, Headers, Request, Response, Sleep
from asynctasks.sansio.oml import OmlDialect, parse_place
from asynctasks.sansio.reconcile import (
    Baseline,
    Lost,
    find_all_lost,
    find_lost,
    list_baseline,
    service_time,
)
from asynctasks.sansio.task import TaskRef
from tests.converse import converse


CLOUD = AimmsDialect.cloud(app="Plan", app_version="1")
LOCAL = AimmsDialect.local()
DESP = DespDialect(origin="https://insula.example")
OML = OmlDialect(place=parse_place("https://oml.example/oml"), version="v1")

DATE = "Thu, 23 Nov 2023 15:20:00 GMT"
THERE = datetime(2023, 11, 23, 15, 20, tzinfo=UTC)


def answer(document: Any, *, date: str | None = DATE, at: float = 1000.0) -> Response:
    """Build an answer that arrived at a time of the loop's clock."""
    headers = {"Content-Type": "application/json"}
    if date is not None:
        headers["Date"] = date
    return Response(200, Headers(headers), codec.dumps(document), at=at)


def row(task_id: str, created: str | None, service: str | None = "solve") -> Any:
    return {
        "id": task_id,
        "state": "running",
        "serviceName": service,
        "createdAt": created,
    }


def page(*rows: Any, total: int | None = None, **options: Any) -> Response:
    total = len(rows) if total is None else total
    return answer({"total_tasks": total, "current_batch": rows}, **options)


def ids(
    lost: Lost, *answers: Response | BaseException, dialect: Dialect = CLOUD
) -> list[str]:
    _, refs = converse(find_lost(dialect, lost), *answers)
    assert all(ref.service == lost.service for ref in refs)
    return [ref.id for ref in refs]


# The submit began a minute before the list came: at 15:19:00 over there.
LOST = Lost(service="solve", began=940.0, known=frozenset({"mine"}))


def test_orphans_are_new_unknown_and_of_the_same_service() -> None:
    """Only what nobody accounts for, of the service, since the submit began."""
    rows = [
        row("old", "2023-11-23 15:18:50.000000"),
        row("just before", "2023-11-23 15:18:58.500000"),
        row("it", "2023-11-23 15:19:00.100000"),
        row("mine", "2023-11-23 15:19:00.200000"),
        row("other", "2023-11-23 15:19:00.300000", service="plan"),
    ]

    assert ["it"] == ids(LOST, page(*rows))


def test_what_is_not_told_may_be_the_one() -> None:
    """A row without time or service is a candidate; so are all without a date."""
    rows = [row("no time", None), row("no service", "2023-11-23 15:19:30", None)]
    old = row("old", "2023-11-23 15:00:00.000000")

    assert ["no time", "no service"] == ids(LOST, page(*rows, old))
    assert ["old"] == ids(LOST, page(old, date=None))
    assert ["old"] == ids(LOST, page(old, date="yesterday"))


def test_all_pages_are_searched() -> None:
    """The task may be on any page; time is read from the first answer."""
    first = page(row("a", "2023-11-23 15:19:10"), total=2)
    second = page(row("b", "2023-11-23 15:19:20"), total=2, at=5000.0)

    assert ["a", "b"] == ids(LOST, first, second)


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without end is not read to its end."""
    monkeypatch.setattr("asynctasks.sansio.reconcile.ROWS", 2)
    pages = [page(row(f"t{n}", "2023-11-23 15:19:10"), total=99) for n in range(2)]

    assert ["t0", "t1"] == ids(LOST, *pages)


def baseline(*answers: Response) -> Baseline | None:
    _, found = converse(list_baseline(CLOUD, "solve", 940.0), *answers)
    return found


def test_baseline_is_what_could_be_taken_for_a_task() -> None:
    """Noted is what is young, of the service, and what does not tell; and when."""
    rows = [
        row("old", "2023-11-23 15:18:50.000000"),
        row("young", "2023-11-23 15:19:00.100000"),
        row("no time", None),
        row("other", "2023-11-23 15:19:00.300000", service="plan"),
    ]
    since = datetime(2023, 11, 23, 15, 18, 59, tzinfo=UTC)

    assert Baseline(frozenset({"young", "no time"}), since) == baseline(page(*rows))
    assert Baseline(frozenset({"old"})) == baseline(page(rows[0], date=None))


def test_baseline_of_a_list_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is too long to be read says nothing about what was there."""
    monkeypatch.setattr("asynctasks.sansio.reconcile.BASELINE_ROWS", 2)
    pages = [page(row(f"t{n}", None), total=3) for n in range(2)]
    whole = [page(row(f"t{n}", None), total=2) for n in range(2)]
    found = baseline(*whole)

    assert None is baseline(*pages)
    assert found is not None
    assert {"t0", "t1"} == found.ids


def test_nothing_older_than_the_floor_is_it() -> None:
    """What was there before is not it, though the search goes back further."""
    floor = datetime(2023, 11, 23, 15, 19, 10, tzinfo=UTC)
    lost = Lost(service="solve", began=-math.inf, floor=floor)
    rows = [row("a", "2023-11-23 15:19:09.9"), row("b", "2023-11-23 15:19:10.1")]

    assert ["b"] == ids(lost, page(*rows, row("untold", None)))[:1]


def test_pages_in_a_circle() -> None:
    """A list that never ends because it begins again is the service's mistake."""

    class Circle(AimmsDialect):
        def select(self, resource: str, query: Query) -> Flow[Page]:
            yield Sleep(1.0)
            page = yield from super().select(resource, query)
            return attrs.evolve(page, next=query)

    lost = attrs.evolve(LOST, whole=True)
    with pytest.raises(RemoteProtocolError, match="a next page that is further on"):
        converse(find_lost(Circle.cloud(app="Plan", app_version="1"), lost), page())


def test_runs_are_one_candidate() -> None:
    """A recurring task is one task, however many of its runs are listed."""
    rows = [{**row("r", "2023-11-23 15:19:10"), "groupIndex": run} for run in (1, 0)]
    _, refs = converse(find_lost(CLOUD, LOST), page(*rows))

    assert [TaskRef(id="r", service="solve", run=1)] == refs


def test_bare_list_of_the_local_server() -> None:
    """The local server lists without pages."""
    document = [row("it", "2023-11-23T15:19:10Z"), row("old", "2023-11-23T15:00:00Z")]

    assert ["it"] == ids(LOST, answer(document), dialect=LOCAL)


def test_broken_connection_comes_out() -> None:
    """A search that fails says why; it can be made again."""
    with pytest.raises(ConnectionLost):
        ids(LOST, ConnectionLost("it broke"))


def test_configuration_tells_its_jobs() -> None:
    """Of DESP, the jobs of the configuration that was launched are the candidates."""
    jobs = [
        {"id": 9, "created": "2023-11-23T15:19:30Z", "config": {"id": 7}},
        {"id": 8, "created": "2023-11-23T15:19:20Z", "config": {"id": 6}},
        {"id": 5, "created": "2023-11-23T15:19:10Z", "config": {"id": 7}},
        {"id": 4, "created": "2023-11-23T15:00:00Z", "config": {"id": 7}},
    ]
    listed = {
        "_embedded": {"jobs": jobs},
        "page": {"number": 0, "size": 100, "totalElements": 4, "totalPages": 1},
    }
    lost = Lost(service="s", began=940.0, config_id="7", known=frozenset({"5"}))
    requests, refs = converse(find_lost(DESP, lost), answer(listed), answer(listed))

    assert [TaskRef(id="9", service="s")] == refs
    assert all(isinstance(r, Request) and r.method == "GET" for r in requests)


@pytest.mark.parametrize(
    ("dialect", "lost"),
    [
        (DESP, LOST),
        (OML, LOST),
    ],
    ids=["no configuration", "oml v1"],
)
def test_services_that_let_nobody_find_out(dialect: Dialect, lost: Lost) -> None:
    """The error says that it cannot be found out; nothing is asked."""
    with pytest.raises(UnsupportedOperation, match="search for a lost submit"):
        converse(find_lost(dialect, lost))


@pytest.mark.parametrize(
    ("then", "ago"), [(1000.0, 1), (999.5, 2), (940.0, 61), (939.9, 62)]
)
def test_time_of_the_service(then: float, ago: int) -> None:
    """The service's clock is read off an answer, rounded to the safe side."""
    assert THERE - timedelta(seconds=ago) == service_time(answer({}), then)


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Nov 2023 15:20:00 GMT"])
def test_answers_without_a_time(date: str | None) -> None:
    """Without a date that can be read the time is not known."""
    assert service_time(answer({}, date=date), 0.0) is None


def test_one_reading_serves_several() -> None:
    """For several lost submits the list is read once, and each has its candidates."""
    rows = [
        row("early", "2023-11-23 15:19:10.000000"),
        row("late", "2023-11-23 15:19:40.000000"),
        row("plan", "2023-11-23 15:19:40.000000", service="plan"),
    ]
    later = Lost(service="solve", began=970.0)
    plan = Lost(service="plan", began=940.0)
    requests, found = converse(find_all_lost(CLOUD, [LOST, later, plan]), page(*rows))

    assert 1 == len(requests)
    assert [["early", "late"], ["late"], ["plan"]] == [
        [ref.id for ref in refs] for refs in found
    ]
    assert ["solve", "plan"] == [found[0][0].service, found[2][0].service]
