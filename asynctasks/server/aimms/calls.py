"""One request to the AIMMS half, taken apart, and how to answer or refuse it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
from typing import Any

import attrs

from .documents import Flavour
from ..half import refuse
from ..simulator import Simulator
from ..tasks import SimulatedTask
from ...exceptions import InvalidArgument
from ...sansio import codec
from ...sansio.http import Headers, Request, Response


__all__ = ["Call", "Refused"]

JSON = Headers({"Content-Type": "application/json"})


class Refused(Exception):
    """Raised within the AIMMS half to leave with an answer that refuses."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.response = refuse(status, error, message)


@attrs.frozen
class Call:
    """One request, taken apart."""

    simulator: Simulator
    flavour: Flavour
    request: Request
    parts: Sequence[str]
    """The path below the version, decoded."""

    query: Mapping[str, str]
    now: float

    @property
    def body(self) -> bytes:
        """The body; the shell has read it already."""
        if not isinstance(self.request.body, bytes):
            raise InvalidArgument("body", self.request.body, "read it before")
        return self.request.body

    def find(self) -> SimulatedTask:
        """Return the task that the path names."""
        run = self.number("groupIndex", 0) if self.flavour.cloud else None
        task = self.simulator.task(self.flavour.realm, self.parts[1], run)
        if task is None:
            raise Refused(404, "TaskNotFound", f"there is no task {self.parts[1]}")
        return task

    def describe(self, task: SimulatedTask) -> dict[str, Any]:
        """Write a task down as this server does."""
        return self.flavour.task(task, self.now)

    def answer(self, document: Any) -> Response:
        """Answer with JSON, laid out for people if that was asked for."""
        if self.query.get("prettyFormat", "").lower() == "true":
            return Response(200, JSON, json.dumps(document, indent=4).encode())
        return Response(200, JSON, codec.dumps(document, name="answer"))

    def number(self, name: str, least: int) -> int | None:
        """Return a whole number of the query, or None where it is not given."""
        text = self.query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and least <= int(text[:18])):
            message = f"{name} must be a whole number, at least {least}"
            raise Refused(400, "InvalidParameter", message)
        return int(text[:18])

    def parsed(self, name: str, parse: Callable[[str], float]) -> float | None:
        """Return a value of the query in seconds, or None where it is not given."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as exc:
            raise Refused(400, "InvalidParameter", f"{name}: {exc}") from exc
