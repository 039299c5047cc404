"""What becomes of definitions."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.definitions import content_of, prepare
from asynctasks.server.vantiq.refusals import Refused
from tests.server.vantiq.worlds import Site


@pytest.mark.parametrize(
    ("resource", "instance", "expected"),
    [
        ("T", {"x": 1}, {"x": 1}),
        ("system.types", {"name": "p.T"}, {"name": "p.T"}),
        ("system.topics", {"name": "/a"}, {"name": "/a"}),
        ("system.sources", {"name": "S"}, {"name": "S"}),
        (
            "system.users",
            {"username": "Joe"},
            {"username": "joe", "preferredUsername": "Joe"},
        ),
        (
            "system.procedures",
            {"ruleText": "PROCEDURE p()", "name": "other"},
            {"ruleText": "PROCEDURE p()", "name": "p", "active": True},
        ),
    ],
)
def test_prepare(resource: str, instance: Any, expected: Any) -> None:
    """Definitions are completed."""
    ready = prepare(resource, instance)

    assert (expected, None) == (ready.instance, ready.content)


@pytest.mark.parametrize(
    ("resource", "instance", "change"),
    [
        ("system.types", {"name": "T"}, {"properties": {"a": 1}}),
        ("system.rules", {"ruleText": "RULE r WHEN PUBLISH OCCURS ON '/t' AS e"}, {}),
        ("system.topics", {"name": "/t"}, {"name": "t"}),
        ("system.documents", {"name": "d"}, {"fileType": 7}),
    ],
)
def test_changes(resource: str, instance: Any, change: Any) -> None:
    """What a definition could not have been it does not become, either."""
    site = Site()
    row = site.desk.insert(resource, instance)
    with pytest.raises(Refused):
        site.desk.update(resource, row["_id"], change or {"ruleText": "IF"})
    gone = [{"op": "remove", "path": "/name"}]
    with pytest.raises(Refused):
        site.desk.patch(resource, row["_id"], gone)

    assert row == site.desk.select_one(resource, row["_id"])


def test_document() -> None:
    """A document's content goes elsewhere; what is left says where it is."""
    ready = prepare("system.documents", {"name": "d/e.txt", "content": "größe"})

    assert "größe".encode() == ready.content
    assert ready.instance == {
        "name": "d/e.txt",
        "fileType": "text/plain",
        "content": "/docs/d/e.txt",
        "contentSize": 7,
    }


def test_content_of() -> None:
    """Each resource that has bytes has them at its place."""
    assert {"content": "/pics/a", "contentSize": 1} == (
        content_of("system.images", "a", b"x")
    )


@pytest.mark.parametrize(
    ("resource", "instance", "status"),
    [
        ("T", [], 400),
        ("system.types", {}, 400),
        ("system.types", {"name": "types"}, 400),
        ("system.types", {"name": "a b"}, 400),
        ("system.topics", {"name": "a"}, 400),
        ("system.topics", {}, 400),
        ("system.sources", {}, 400),
        ("system.services", {"name": ""}, 400),
        ("system.users", {}, 400),
        ("system.users", {"username": "joe", "password": "x"}, 403),
        ("system.rules", {"ruleText": "x"}, 400),
        ("system.subscriptions", {"name": "x"}, 403),
        ("system.documents", {}, 400),
        ("system.documents", {"name": "/a"}, 400),
        ("system.documents", {"name": "a", "content": 1}, 400),
        ("system.documents", {"name": "a", "fileType": []}, 400),
    ],
)
def test_refused(resource: str, instance: Any, status: int) -> None:
    """What is not what a resource needs is refused."""
    with pytest.raises(Refused) as caught:
        prepare(resource, instance)

    assert status == caught.value.status
