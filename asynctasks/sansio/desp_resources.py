"""
The resources of Insula: what each can do, and how its lists are asked for.

The service ignores parameters that it does not know, so that a misspelt filter would
give everything: filters are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
import re
from typing import Any

import attrs

from .desp_hal import id_of
from .desp_inputs import id_text
from .dialect import Query
from .urls import join_query, segment
from ..exceptions import InvalidArgument, UnsupportedOperation


__all__ = ["RESOURCES", "Resource", "build_list", "reference"]

READ = frozenset({"select", "select_one", "count"})

LARGEST_PAGE = 1000
"""Rows on a page; the service silently cuts what is more."""

REFERENCES = {
    "owner": "users",
    "notOwner": "users",
    "collection": "collections",
    "job": "jobs",
    "service": "services",
    "parent": "jobs",
}
"""Parameters and fields that name an entity by its link."""

SORT = re.compile(r"[A-Za-z][A-Za-z.]*(?:,(?:asc|desc))?")


@attrs.frozen(kw_only=True)
class Resource:
    """One resource: the verbs on it, and the filters of its search."""

    name: str
    """In paths, and as the name of its lists."""

    verbs: frozenset[str] = READ
    filters: frozenset[str] = frozenset()
    """Parameters of ``/search/parametricFind``."""

    detail: str | None = None
    """The projection that shows the most of one."""

    idempotent: bool = False
    """Whether adding an equal one twice adds one."""


JOBS = Resource(
    name="jobs",
    filters=frozenset(
        {
            "filter",
            "status",
            "parentId",
            "startDateTime",
            "endDateTime",
            "inputIdentifier",
            "owner",
            "notOwner",
        }
    ),
    detail="detailedJob",
)

RESOURCES: Mapping[str, Resource] = {
    "services": Resource(name="services", filters=frozenset({"status"})),
    "jobConfigs": Resource(
        name="jobConfigs",
        verbs=READ | {"insert", "delete_one"},
        # Found again, with its id, where owner, service, inputs and parent are.
        idempotent=True,
    ),
    "jobs": JOBS,
    "tasks": JOBS,  # as all services call them
    "platformFiles": Resource(
        name="platformFiles",
        verbs=READ | {"delete_one"},
        filters=frozenset({"filter", "type", "collection", "job", "owner", "notOwner"}),
        detail="detailedPlatformFile",
    ),
    "collections": Resource(
        name="collections",
        verbs=READ | {"insert", "update", "delete_one"},
        filters=frozenset(
            {
                "filter",
                "fileType",
                "productsType",
                "notProductsType",
                "owner",
                "notOwner",
            }
        ),
        detail="detailedCollection",
    ),
}
"""The resources, by the names that the verbs take."""


def reference(base: str, kind: str, value: Any, name: str = "id") -> str:
    """
    Write a reference to an entity, which is its link.

    Args:
        base: the URL below which everything lies.
        kind: the resource of the entity.
        value: its id, its row, or a link to it on whatever host.
        name: what the error calls it.

    Raises:
        InvalidArgument: it holds no id.
    """
    text = id_text(value, name)
    if "/" in text:
        text = id_of(text) or ""
    return f"{base}/{kind}/{segment(text, name)}"


def build_list(
    resource: Resource, query: Query, number: int, *, root: str, base: str, title: str
) -> str:
    """
    Build the target of one page of a list.

    ``where`` may also have ``projection``, and ``search``: the name of one of the
    service's searches, to which all filters are passed.

    Raises:
        UnsupportedOperation: the search has no such filter.
        InvalidArgument: a value or the sort cannot be sent.
    """
    where = {name: each for name, each in query.where.items() if each is not None}
    projection = where.pop("projection", None)
    search = where.pop("search", None)
    unknown = sorted(set(where) - resource.filters)
    if search is None and unknown:
        has = (*sorted(resource.filters), "projection", "search")
        operation = f"{resource.name} filter {', '.join(unknown)}"
        raise UnsupportedOperation(operation, title, has)
    path = f"{root}/{resource.name}"
    if where or search is not None:
        path += f"/search/{segment(search or 'parametricFind', 'search')}"
    params = {
        **{name: _text(base, name, value) for name, value in where.items()},
        "projection": projection,
        "page": number,
        "size": min(query.limit or 100, LARGEST_PAGE),
        "sort": _sort(query.sort),
    }
    return join_query(path, params)


def _text(base: str, name: str, value: Any) -> str:
    if name in REFERENCES:
        return reference(base, REFERENCES[name], value, name)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            remedy = "give a datetime with a zone, e.g. datetime.now(UTC)"
            raise InvalidArgument(name, str(value), remedy)
        moment = value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_text(base, name, each) for each in value)
    remedy = "give text, a number, a time, or a list of them"
    raise InvalidArgument(name, type(value).__name__, remedy)


def _sort(sort: str | None) -> str | None:
    if sort is not None and not SORT.fullmatch(sort):
        remedy = "give a property, with ,asc or ,desc if you like: filename,desc"
        raise InvalidArgument("sort", sort, remedy)
    return sort
