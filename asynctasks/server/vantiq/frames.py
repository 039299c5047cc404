"""Frames of clients, read; and the operations of the API that come in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .desk import Desk, Query
from .refusals import malformed
from .schema import qualified
from ..documents import read_json
from ...exceptions import ResponseDecodeError


__all__ = ["CALCULATIONS", "OPERATIONS", "Asked", "parse_frame"]


@attrs.frozen
class Asked:
    """One frame of a client, read."""

    op: str
    resource: str
    ident: str
    object: Any
    parameters: Mapping[str, Any]
    namespace: str | None

    @property
    def request_id(self) -> str | None:
        """What the client calls the request."""
        return text_or_none(self.parameters.get("requestId"))

    @property
    def name(self) -> str:
        """The resource: a system resource by its whole name, or a type."""
        return qualified(self.resource) or self.resource

    def subscription_name(self) -> str | None:
        """Return the name of a persistent subscription; its key differs by SDK."""
        found = self.parameters.get("subscriptionName")
        found = self.parameters.get("subscriptionId") if found is None else found
        return text_or_none(found)

    def number(self, name: str) -> int | None:
        """
        Return a parameter that is a whole number from 1.

        Raises:
            Refused: it is something else.
        """
        value = self.parameters.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise malformed(f"{name} is a whole number from 1.", value)
        return value


def text_or_none(value: Any) -> str | None:
    """Return a value as a text, if there is one."""
    return None if value is None else str(value)


def parse_frame(frame: str | bytes) -> Asked:
    """
    Read a frame.

    Raises:
        Refused: it is none.
    """
    data = frame.encode() if isinstance(frame, str) else frame
    try:
        document = read_json(data)
    except ResponseDecodeError as exc:
        raise malformed(f"The frame is not JSON: {exc.found}.") from exc
    facts = document if isinstance(document, Mapping) else {}
    parameters = facts.get("parameters") or {}
    if not isinstance(facts.get("op"), str) or not isinstance(parameters, Mapping):
        raise malformed("A frame has an op, and perhaps parameters.")
    return Asked(
        op=facts["op"],
        resource=str(facts.get("resourceName", "")),
        ident=str(facts.get("resourceId") or ""),
        object=facts.get("object"),
        parameters=parameters,
        namespace=text_or_none(facts.get("targetNamespace")),
    )


# --- the operations of the API -----------------------------------------------


def select(desk: Desk, asked: Asked) -> tuple[int, Any]:
    """Select rows, or one."""
    if asked.ident:
        return 200, desk.select_one(asked.name, asked.ident)
    query = Query(
        **{name: asked.parameters.get(name) for name in ("where", "props", "sort")},
        limit=asked.number("limit"),
        page=asked.number("page"),
    )
    rows, total = desk.select(asked.name, query)
    return 200, with_count(asked, total, rows)


def delete(desk: Desk, asked: Asked) -> tuple[int, Any]:
    """Delete rows, or one."""
    if asked.ident:
        desk.delete_one(asked.name, asked.ident)
        return 204, None
    count = desk.delete(asked.name, asked.parameters.get("where"))
    return 204, with_count(asked, count, None)


def publish(desk: Desk, asked: Asked) -> tuple[int, Any]:
    """Publish a message."""
    desk.publish(asked.name, asked.ident, asked.object)
    return 200, None


def with_count(asked: Asked, count: int, body: Any) -> Any:
    """Put a count before a body, if it was asked for; its shape is not documented."""
    if str(asked.parameters.get("count")).lower() != "true":
        return body
    return [{"count": count}, *(body or [])]


OPERATIONS: Mapping[str, Callable[[Desk, Asked], tuple[int, Any]]] = {
    "delete": delete,
    "insert": lambda desk, asked: (200, desk.insert(asked.name, asked.object)),
    "patch": lambda d, asked: (200, d.patch(asked.name, asked.ident, asked.object)),
    "publish": publish,
    "select": select,
    "update": lambda d, asked: (200, d.update(asked.name, asked.ident, asked.object)),
    "upsert": lambda desk, asked: (200, desk.upsert(asked.name, asked.object)),
}

CALCULATIONS: Mapping[str, Callable[[Desk, Asked], Any]] = {
    "execute": lambda desk, asked: desk.execute(asked.ident, asked.object or {}),
    "query": lambda desk, asked: desk.query(asked.ident, asked.object),
}
