"""What becomes of definitions."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.definitions import content_of, prepare
from asynctasks.server.vantiq.refusals import Refused


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
    ],
)
def test_refused(resource: str, instance: Any, status: int) -> None:
    """What is not what a resource needs is refused."""
    with pytest.raises(Refused) as caught:
        prepare(resource, instance)

    assert status == caught.value.status
