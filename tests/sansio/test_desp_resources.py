"""Lists are asked for with filters that the service has, and with its links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest

from asynctasks.exceptions import InvalidArgument, UnsupportedOperation
from asynctasks.sansio.desp_resources import RESOURCES, build_list, reference
from asynctasks.sansio.dialect import Query


BASE = "https://x.test/secure/api/v2.0"


def target(resource: str, number: int = 0, **query: Any) -> tuple[str, dict[str, str]]:
    path = build_list(
        RESOURCES[resource],
        Query(**query),
        number,
        root="/secure/api/v2.0",
        base=BASE,
        title="DESP",
    )
    bare, _, params = path.partition("?")
    return bare.removeprefix("/secure/api/v2.0"), dict(parse_qsl(params))


@pytest.mark.parametrize(
    ("query", "path", "params"),
    [
        ({}, "/jobs", {}),
        (
            {"where": {"projection": "detailedJob"}},
            "/jobs",
            {"projection": "detailedJob"},
        ),
        ({"where": {"filter": None}}, "/jobs", {}),
        ({"limit": 5000}, "/jobs", {"size": "1000"}),
        (
            {"limit": 7, "sort": "startTime,desc"},
            "/jobs",
            {"size": "7", "sort": "startTime,desc"},
        ),
        (
            {"where": {"search": "findByFilterOnly", "anything": "x"}},
            "/jobs/search/findByFilterOnly",
            {"anything": "x"},
        ),
        ({"where": {"search": "all"}}, "/jobs/search/all", {}),
    ],
)
def test_list(query: Any, path: str, params: dict[str, str]) -> None:
    """A list is plain without filters, and a search with them."""
    expected = {"page": "0", "size": "100", **params}

    assert (path, expected) == target("jobs", **query)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("status", "ERROR", "ERROR"),
        ("status", ["ERROR", "COMPLETED"], "ERROR,COMPLETED"),
        ("parentId", 4421, "4421"),
        ("filter", True, "true"),
        ("owner", 32, f"{BASE}/users/32"),
        ("owner", {"id": 32}, f"{BASE}/users/32"),
        ("notOwner", "https://other.test/v2.0/users/32{?x}", f"{BASE}/users/32"),
        ("startDateTime", datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000Z"),
        (
            "endDateTime",
            datetime(2026, 1, 1, 1, 0, 0, 5000, timezone(timedelta(hours=1))),
            "2026-01-01T00:00:00.005Z",
        ),
    ],
)
def test_filter(name: str, value: Any, expected: str) -> None:
    """Filters are written as the search wants them; entities by their links."""
    path, params = target("jobs", where={name: value})

    assert ("/jobs/search/parametricFind", expected) == (path, params[name])


def test_page() -> None:
    """Pages are counted from 0."""
    assert "3" == target("services", 3)[1]["page"]


@pytest.mark.parametrize(
    "where", [{"job": "x/../../users"}, {"job": ".."}, {"owner": "a/.."}, {"job": "/"}]
)
def test_reference_that_climbs(where: Any) -> None:
    """An id in a reference is one segment."""
    try:
        found = target("platformFiles", where=where)[1]["job"]
    except InvalidArgument:
        return

    assert f"{BASE}/jobs/users" == found


@pytest.mark.parametrize(
    "where",
    [
        {"startDateTime": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
        {"status": object()},
        {"owner": None, "notOwner": 1.5},
        {"search": "../x"},
    ],
)
def test_bad_filter(where: Any) -> None:
    """What a filter cannot say is refused."""
    with pytest.raises(InvalidArgument):
        target("jobs", where=where)


@pytest.mark.parametrize("sort", ["", "name desc", "name,up", "1name", "name,desc,asc"])
def test_bad_sort(sort: str) -> None:
    """A sort is a property and perhaps a direction."""
    with pytest.raises(InvalidArgument):
        target("jobs", sort=sort)


def test_unknown_filter() -> None:
    """A filter that the service would ignore is refused, with those that it has."""
    with pytest.raises(UnsupportedOperation, match="inputIdentifier"):
        target("jobs", where={"state": "ERROR"})


def test_reference() -> None:
    """A reference is the entity's link on our own host."""
    assert f"{BASE}/services/20" == reference(BASE, "services", 20)
