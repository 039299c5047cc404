"""
What Insula's answers look like: HAL documents, their links, lists and pages.

Links name internal hosts at times, carry URI templates in their middle, or are
missing; so ids are taken from them, and URLs are built anew.
"""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any
from urllib.parse import unquote

import attrs

from .answers import field
from .dialect import Page, Query
from .http import Response
from ..exceptions import RemoteProtocolError


__all__ = [
    "PageInfo",
    "build_cursor",
    "check_about",
    "find_id",
    "id_of",
    "parse_page",
    "parse_rows",
]

TEMPLATE = re.compile(r"\{[^{}]{0,200}\}")
"""``{?projection}``, which occurs at the end of links and before a ``/dl``."""

MAX_LINK = 8192

ID = re.compile(r"(?!\.{1,2}$)[^/\\?#%\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")
"""What can be the id of an entity: one segment of a path; theirs are numbers."""

SELVES = ("self", "job", "jobConfig", "service", "collection", "file")
"""The links that lead to an entity itself, under a name of its own as well."""


def id_of(link: str) -> str | None:
    """
    Return the id at the end of an entity's link; None where there is none.

    The service itself looks at nothing but this last segment.
    """
    path = TEMPLATE.sub("", link[:MAX_LINK]).partition("#")[0].partition("?")[0]
    return _id(unquote(path.rstrip("/").rpartition("/")[2]))


def find_id(document: Any, response: Response) -> str:
    """
    Find the id of an entity, wherever this release of the service has it.

    Raises:
        RemoteProtocolError: it is nowhere.
    """
    if isinstance(document, dict):
        content = document.get("content")
        for holder in (document, content if isinstance(content, dict) else {}):
            found = _id(holder.get("id"))
            if found is not None:
                return found
        for name in SELVES:
            found = id_of(_href(document, name))
            if found is not None:
                return found
    located = id_of(response.headers.get("Location", ""))
    if located is not None:
        return located
    expected = "an id at $.id, $.content.id or $._links.self"
    raise RemoteProtocolError(expected, response.redacted(), "none of them")


def _id(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if whole else value
    return text if isinstance(text, str) and ID.fullmatch(text) else None


def check_about(document: Any, key: str, response: Response) -> None:
    """
    Refuse an entity that is not the one that was asked for.

    One without an id that can be read is taken for it.

    Raises:
        RemoteProtocolError: it has another id.
    """
    content = document.get("content")
    holder = content if isinstance(content, dict) else document
    shown = _id(holder.get("id"))
    if shown not in {None, key}:
        raise RemoteProtocolError(f"{key} at $.id", response.redacted(), shown or "")


def _href(document: Mapping[str, Any], name: str) -> str:
    links = document.get("_links")
    link = links.get(name) if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    return href if isinstance(href, str) else ""


def parse_rows(document: Any, rel: str, response: Response) -> list[dict[str, Any]]:
    """
    Return the rows of a list; an empty one may have no ``_embedded`` at all.

    Releases differ in the names of some lists (``platformFiles``, ``ftepFiles``): a
    list that is the only one is taken under any name.
    """
    embedded = field(document, "_embedded", dict, response) or {}
    lists = [value for value in embedded.values() if isinstance(value, list)]
    rows = embedded.get(rel, lists[0] if len(lists) == 1 else [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        expected = f"an array of objects at $._embedded.{rel}"
        raise RemoteProtocolError(expected, response.redacted())
    return [with_id(row) for row in rows]


def with_id(row: dict[str, Any]) -> dict[str, Any]:
    """Return an entity with its id, which some bodies have in a link only."""
    if row.get("id") is not None:
        return row
    found = id_of(_href(row, "self"))
    return row if found is None else {**row, "id": _number(found)}


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


@attrs.frozen(kw_only=True)
class PageInfo:
    """Which page of a list was asked for, and what was known before."""

    number: int = 0
    total: int | None = None
    """The rows in all when the page before was read."""

    @classmethod
    def of(cls, query: Query) -> PageInfo:
        """Read the mark of a query."""
        if query.cursor is None:
            return cls()
        number, _, total = query.cursor.partition(":")
        return cls(number=int(number), total=int(total) if total else None)


def build_cursor(number: int, total: int | None) -> str:
    """Write the mark of the next page."""
    return f"{number}:{'' if total is None else total}"


def parse_page(
    document: Any, rel: str, query: Query, number: int, response: Response
) -> tuple[Page, int]:
    """
    Read one page of a list.

    Args:
        document: the decoded body.
        rel: the name of the list in it.
        query: what was asked.
        number: the page that was asked for.
        response: the answer, for errors.

    Returns:
        The page, and how many rows the service puts on one: it cuts large sizes.

    Raises:
        RemoteProtocolError: it is another page than the one that was asked for.
    """
    rows = parse_rows(document, rel, response)
    meta = field(document, "page", dict, response)
    if meta is None:  # lists of relations have no pages: this is all
        return Page(rows=rows, total=len(rows)), max(len(rows), 1)
    found = field(meta, "number", int, response)
    if found is not None and found != number:
        shown = f"page {found}"
        raise RemoteProtocolError(f"page {number}", response.redacted(), shown)
    size = field(meta, "size", int, response) or query.limit or max(len(rows), 1)
    total = field(meta, "totalElements", int, response)
    follows = None
    if rows and _more(document, meta, number, response):
        mark = build_cursor(number + 1, total)
        follows = attrs.evolve(query, cursor=mark)
    return Page(rows=rows, total=total, next=follows), size


def _more(
    document: Any, meta: Mapping[str, Any], number: int, response: Response
) -> bool:
    pages = field(meta, "totalPages", int, response)
    if pages is not None:
        more: bool = number + 1 < pages
        return more
    # Only size and number are promised; the last page has no next link.
    return "next" in (field(document, "_links", dict, response) or {})
