"""Event paths and what there is at them."""

from __future__ import annotations

import pytest

from asynctasks.server.vantiq.paths import ROOTS, check_path, event_of_service
from asynctasks.server.vantiq.refusals import Refused
from tests.server.vantiq.worlds import Site


@pytest.fixture
def site() -> Site:
    """Give a server with one of each."""
    site = Site()
    site.define()
    events = {"E": {"direction": "OUTBOUND"}, "none": "x"}
    site.desk.insert("system.services", {"name": "p.S", "eventTypes": events})
    site.desk.insert("system.services", {"name": "empty"})
    site.desk.insert("system.sources", {"name": "source"})
    return site


@pytest.mark.parametrize(
    ("resource", "name", "expected"),
    [
        ("system.services", "p.S", "/topics/p/services/S"),
        ("system.sources", "S", "/sources/S/receive"),
        ("system.topics", "/a", "/topics/a/publish"),
        ("system.types", "T", "/types/T"),
    ],
)
def test_roots(resource: str, name: str, expected: str) -> None:
    """The paths of a definition's events begin with its root."""
    assert expected == ROOTS[resource](name)


@pytest.mark.parametrize(
    "path",
    [
        "/topics/whatever",
        "/types/TestType/insert",
        "/types/system.sources/insert",
        "/sources/source",
        "/sources/function",
        "/services/p.S/E",
    ],
)
def test_known(site: Site, path: str) -> None:
    """What is defined has events; a topic needs no definition."""
    check_path(path, site.desk.table, {"function"})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "junk",
        "/rules/r",
        "/types/None/insert",
        "/sources/none",
        "/services/p.S/none",
        "/services/p.S",
        "/services/none/E",
    ],
)
def test_unknown(site: Site, path: str) -> None:
    """What is not defined has none."""
    with pytest.raises(Refused) as caught:
        check_path(path, site.desk.table, {"function"})

    assert 404 == caught.value.status


def test_event_of_service(site: Site) -> None:
    """A service's event has the path of its implementation, and its definition."""
    services = site.desk.table("system.services")

    assert ("/topics/p/services/S/E/publish", {"direction": "OUTBOUND"}) == (
        event_of_service(services, "p.S", "E")
    )
    with pytest.raises(Refused):
        event_of_service(services, "empty", "E")
