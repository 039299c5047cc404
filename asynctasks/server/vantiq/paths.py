"""Event paths: where those of a definition begin, and what there is at one."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from .events import path_of
from .refusals import not_found
from .tables import Row, Table


__all__ = ["ROOTS", "check_path", "event_of_service"]

ROOTS: Mapping[str, Callable[[str], str]] = {
    "system.services": lambda name: path_of(f"/services/{name}/-")[
        : -len("/-/publish")
    ],
    "system.sources": lambda name: path_of(f"/sources/{name}"),
    "system.topics": lambda name: path_of(f"/topics{name}"),
    "system.types": lambda name: f"/types/{name}",
}
"""Where the event paths of a definition begin."""


def event_of_service(services: Table, service: str, name: str) -> tuple[str, Row]:
    """
    Return the path of a service's event, and its definition.

    Raises:
        Refused: there is no such event.
    """
    events = services.get(service).get("eventTypes")
    facts: Any = events.get(name) if isinstance(events, Mapping) else None
    if not isinstance(facts, Mapping):
        raise not_found("system.services", "name", f"{service}/{name}")
    return path_of(f"/services/{service}/{name}"), dict(facts)


def check_path(
    path: str, table: Callable[[str], Table], sources: Container[str]
) -> None:
    """
    Check that something can happen at an event path; a topic needs no definition.

    Args:
        path: the path as a client wrote it.
        table: gives the table of a resource.
        sources: the names of the sources that are functions.

    Raises:
        Refused: what it names is not defined.
    """
    _, root, name, rest = [*path.split("/", 3), "", "", ""][:4]
    if root == "services":
        event_of_service(table("system.services"), name, rest)
    elif root == "sources":
        if name not in sources:
            table("system.sources").get(name)
    elif root == "types":
        table(name)
    elif root != "topics":
        raise not_found("events", "path", path)
