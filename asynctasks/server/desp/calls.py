"""One request to Insula's half, taken apart, and how to answer or refuse it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

import attrs

from .documents import Writer
from .facts import write_zulu
from .store import Store, User
from ..documents import read_json
from ...exceptions import ResponseDecodeError
from ...sansio import codec
from ...sansio.desp_hal import id_of
from ...sansio.http import Headers, Request, Response


__all__ = ["ROOT", "Call", "Refused"]

T = TypeVar("T")

ROOT = "/secure/api/v2.0"

LARGEST_PAGE = 1000

HAL = {"Content-Type": "application/hal+json"}
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain;charset=UTF-8"}


class Refused(Exception):
    """Raised within Insula's half to leave with an answer that refuses."""

    def __init__(self, status: int, document: Any = None) -> None:
        super().__init__(status)
        self.status = status
        self.document = document

    @property
    def response(self) -> Response:
        """The answer: without a body, of text, or of JSON."""
        if self.document is None:
            return Response(self.status)
        if isinstance(self.document, str):
            return Response(self.status, Headers(TEXT), self.document.encode())
        body = codec.dumps(self.document, name="answer")
        return Response(self.status, Headers(JSON), body)


@attrs.frozen
class Call:
    """One request, taken apart."""

    store: Store
    user: User
    request: Request
    parts: Sequence[str]
    """The path below the version, decoded."""

    pairs: Sequence[tuple[str, str]]
    """The query."""

    now: float

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query; of a repeated parameter the last value."""
        return dict(self.pairs)

    @property
    def body(self) -> bytes:
        """The body; the shell has read it already."""
        return self.request.body if isinstance(self.request.body, bytes) else b""

    @cached_property
    def writer(self) -> Writer:
        """Writes entities, with links to where this request was sent."""
        host = self.request.headers.get("Host", "localhost")
        return Writer(f"http://{host}{ROOT}")

    @property
    def projection(self) -> str:
        """The projection that was asked for."""
        return self.query.get("projection", "")

    # --- what was sent -------------------------------------------------------

    def entity(self, kind: Mapping[int, T]) -> T:
        """Return the entity that the path names."""
        found = kind.get(int(self.parts[1]))
        if found is None:
            raise Refused(404)
        return found

    def referred(self, kind: Mapping[int, T], link: Any) -> T | None:
        """Return the entity of a link, of which the last segment alone counts."""
        found = id_of(link) if isinstance(link, str) else None
        if found is None or not (found.isascii() and found.isdigit()):
            return None
        return kind.get(int(found[:18]))

    def document(self) -> dict[str, Any]:
        """Return the JSON object that was sent."""
        try:
            document = read_json(self.body)
        except ResponseDecodeError:
            document = None
        if not isinstance(document, dict):
            raise self.bad_request("the body must be a JSON object")
        return document

    def bad_request(self, message: str) -> Refused:
        """Return the refusal of Spring Boot; here it always says why."""
        document = {
            "timestamp": write_zulu(self.now),
            "status": 400,
            "error": "Bad Request",
            "message": message,
            "path": self.request.path,
        }
        return Refused(400, document)

    # --- answers -------------------------------------------------------------

    def answer(
        self, document: Any, status: int = 200, location: str | None = None
    ) -> Response:
        """Answer with a HAL document; what changes things only if Accept says so."""
        headers = {} if location is None else {"Location": location}
        if self.request.method != "GET" and not self.request.headers.get("Accept"):
            return Response(204 if status == 200 else status, Headers(headers))  # noqa: PLR2004
        body = codec.dumps(document, name="answer")
        return Response(status, Headers(headers | HAL), body)

    def plain(self, document: Any, status: int = 200) -> Response:
        """Answer with JSON that is no HAL."""
        body = codec.dumps(document, name="answer")
        return Response(status, Headers(JSON), body)

    def whole_list(self, rel: str, rows: Sequence[Any]) -> Response:
        """Answer with a list of relations, which has no pages."""
        links = {"self": {"href": self._target(self.pairs)}}
        return self.answer({"_embedded": {rel: list(rows)}, "_links": links})

    def page(
        self, rel: str, found: Sequence[T], write: Callable[[T], dict[str, Any]]
    ) -> Response:
        """Answer with the page of a list that was asked for, sorted as asked."""
        number, size = self._number("page", 0), self._number("size", 20)
        size = min(size or 20, LARGEST_PAGE)
        total, pages = len(found), -(-len(found) // size)
        rows = [write(each) for each in self._sorted(found)[number * size :][:size]]
        meta = {
            "size": size,
            "totalElements": total,
            "totalPages": pages,
            "number": number,
        }
        links = self._page_links(rel, number, pages)
        return self.answer({"_embedded": {rel: rows}, "_links": links, "page": meta})

    def _page_links(self, rel: str, number: int, pages: int) -> dict[str, Any]:
        wanted = {"self": number}
        if pages > 1:
            wanted |= {"first": 0, "last": pages - 1}
            if number > 0:
                wanted["prev"] = number - 1
            if number + 1 < pages:
                wanted["next"] = number + 1
        kept = [pair for pair in self.pairs if pair[0] != "page"]
        links = {
            name: {"href": self._target([*kept, ("page", str(at))])}
            for name, at in wanted.items()
        }
        links["profile"] = self.writer.link(f"/profile/{rel}")
        return links

    def _target(self, pairs: Sequence[tuple[str, str]]) -> str:
        base = f"{self.writer.base}/{'/'.join(self.parts)}"
        return f"{base}?{urlencode(pairs)}" if pairs else base

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        return int(text[:18]) if text.isascii() and text.isdigit() else default

    def _sorted(self, found: Sequence[T]) -> Sequence[T]:
        """Sort by a property; one that there is not leaves the order as it is."""
        name, _, order = self.query.get("sort", "").partition(",")
        attribute = SORTABLE.get(name)
        if attribute is None:
            return found

        def key(each: T) -> Any:
            value = getattr(each, attribute, None)
            return (value is not None, value)

        return sorted(found, key=key, reverse=order == "desc")


SORTABLE = {
    "id": "id",
    "name": "name",
    "filename": "name",
    "status": "word",
    "startTime": "started",
    "created": "created",
}
"""Properties that lists are sorted by."""
