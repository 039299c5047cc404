"""REST: what is asked at which path below ``/api/v1/resources``, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import attrs

from .answers import EMPTY, JSON, json_response, read, refusal
from .definitions import CONTENTS
from .desk import Desk, Query
from .pieces import Flushing, collect, is_sequence, pour
from .refusals import Refused, malformed, not_allowed, unknown_resource
from .schema import qualified
from .upload import parse_upload
from ..documents import read_json
from ..live import Calculated, Streamed
from ...exceptions import ResponseDecodeError
from ...sansio.http import Headers, Request, Response


__all__ = ["Call", "answer", "route"]


@attrs.frozen
class Call:
    """One request for a resource, taken apart."""

    desk: Desk
    request: Request
    name: str
    """The resource: a system resource by its whole name, or a type."""

    ident: str
    query: Mapping[str, str]
    most: int | None = None
    """The rows that a select answers at most."""

    @classmethod
    def parse(cls, desk: Desk, request: Request, path: str, most: int | None) -> Call:
        """
        Take a request apart.

        Args:
            desk: whose it is.
            request: the request, whose body has been read.
            path: its path below the resources, still encoded.
            most: the rows that a select answers at most.

        Raises:
            Refused: there is no such system resource.
        """
        first, _, rest = path.partition("/")
        if first == "custom":
            first, _, rest = rest.partition("/")
            name = unquote(first)
        else:
            name = qualified(unquote(first)) or ""
            if not name:
                raise unknown_resource(unquote(first))
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        return cls(desk, request, name, unquote(rest), query, most)

    @property
    def is_form(self) -> bool:
        """Whether a file is uploaded."""
        kind = self.request.headers.get("Content-Type", "")
        return kind.lower().startswith("multipart/form-data")

    def json(self) -> Any:
        """
        Return the body.

        Raises:
            Refused: it is no JSON.
        """
        try:
            return read_json(read(self.request))
        except ResponseDecodeError as exc:
            raise malformed(f"The body is not JSON: {exc.found}.") from exc

    def parsed(self, name: str) -> Any:
        """Return a parameter that is JSON; None where it is not given."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return read_json(text.encode())
        except ResponseDecodeError as exc:
            raise malformed(f"{name} is not JSON: {exc.found}.", text) from exc

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number from 1."""
        text = self.query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and int(text[:18]) > 0):
            raise malformed(f"{name} is a whole number from 1.", text)
        return int(text[:18])

    def flag(self, name: str) -> bool:
        """Tell whether a parameter is true."""
        return self.query.get(name, "").lower() == "true"

    def refused(self) -> Refused:
        """Return what says that the verb is not accepted here."""
        what = "/".join(part for part in (self.name, self.ident) if part)
        return not_allowed(self.request.method, what)


def route(call: Call) -> Response:
    """Find the answer to a call, and answer it."""
    single = bool(call.ident)
    special = SPECIAL.get((call.request.method, call.name))
    found = special(call) if special is not None and single else None
    if found is not None:
        return found
    verb = VERBS.get((call.request.method, single))
    if verb is None:
        raise call.refused()
    return verb(call)


def answer(
    desk: Desk, request: Request, path: str, most: int | None = None
) -> Response:
    """Answer a request for a resource; refusals become answers, too."""
    try:
        return route(Call.parse(desk, request, path, most))
    except Refused as refused:
        return refusal(refused)


# --- the verbs ---------------------------------------------------------------


def select(call: Call) -> Response:
    """Answer with rows."""
    return selected(call, call.parsed("where"))


def selected(call: Call, where: Any) -> Response:
    """Answer with the rows that match."""
    limit = call.number("limit")
    query = Query(
        where=where,
        props=call.parsed("props"),
        sort=call.parsed("sort"),
        limit=limit if call.most is None else min(limit or call.most, call.most),
        page=call.number("page"),
    )
    rows, total = call.desk.select(call.name, query)
    return json_response(rows, count=total if call.flag("count") else None)


def select_one(call: Call) -> Response:
    """Answer with one row."""
    return json_response(call.desk.select_one(call.name, call.ident))


def insert(call: Call) -> Response:
    """Store a row, many, or a file."""
    if call.is_form and call.name in CONTENTS:
        kind = call.request.headers["Content-Type"]
        file = parse_upload(read(call.request), kind)
        row = call.desk.upload(call.name, file.name, file.content_type, file.content)
        return json_response(row)
    instance = call.json()
    if call.flag("upsert"):
        return json_response(call.desk.upsert(call.name, instance))
    if isinstance(instance, list):
        call.desk.table(call.name)
        return json_response(call.desk.insert_many(call.name, instance))
    return json_response(call.desk.insert(call.name, instance))


def post_one(call: Call) -> Response:
    """Select with a where clause in the body; anything else has no meaning."""
    if call.ident != "select":
        raise call.refused()
    return selected(call, call.json())


def update(call: Call) -> Response:
    """Change a row."""
    return json_response(call.desk.update(call.name, call.ident, call.json()))


def patch(call: Call) -> Response:
    """Change a row by a JSON patch."""
    return json_response(call.desk.patch(call.name, call.ident, call.json()))


def delete(call: Call) -> Response:
    """Take rows away."""
    count = call.desk.delete(call.name, call.parsed("where"))
    headers = {"X-Total-Count": str(count)} if call.flag("count") else {}
    return Response(204, Headers(headers))


def delete_one(call: Call) -> Response:
    """Take a row away."""
    call.desk.delete_one(call.name, call.ident)
    return Response(204)


Verb = Callable[[Call], Response]

VERBS: Mapping[tuple[str, bool], Verb] = {
    ("DELETE", False): delete,
    ("DELETE", True): delete_one,
    ("GET", False): select,
    ("GET", True): select_one,
    ("PATCH", True): patch,
    ("POST", False): insert,
    ("POST", True): post_one,
    ("PUT", True): update,
}
"""What is done, by method and whether one instance is named."""


# --- what some resources do besides ------------------------------------------


def publish(call: Call) -> Response | None:
    """Publish the body to a topic or a service event."""
    if call.ident == "select":
        return None
    call.desk.publish(call.name, call.ident, call.json())
    return EMPTY


def post_to_source(call: Call) -> Response | None:
    """Publish the body to a source, or query it."""
    if not call.ident.endswith("/query"):
        return publish(call)
    source = call.ident.removesuffix("/query")
    return calculated(call, lambda: call.desk.query(source, call.json()))


def execute(call: Call) -> Response | None:
    """Run a procedure with the arguments of the body."""
    if call.ident == "select":
        return None
    return calculated(call, lambda: call.desk.execute(call.ident, arguments(call)))


def execute_in_service(call: Call) -> Response | None:
    """Run a procedure of a service."""
    service, slash, procedure = call.ident.rpartition("/")
    if not slash:
        return None
    name = f"{service}.{procedure}"
    return calculated(call, lambda: call.desk.execute(name, arguments(call)))


def authorized_users(call: Call) -> Response | None:
    """Answer with the users of a namespace: here all users are in all of them."""
    namespace, slash, word = call.ident.rpartition("/")
    if not slash or word != "authorizedUsers":
        return None
    call.desk.world.store.table(call.desk.namespace, call.name).get(namespace)
    return json_response(call.desk.world.users.listed())


SPECIAL: Mapping[tuple[str, str], Callable[[Call], Response | None]] = {
    ("GET", "system.namespaces"): authorized_users,
    ("POST", "system.procedures"): execute,
    ("POST", "system.services"): publish,
    ("POST", "system.sources"): post_to_source,
    ("POST", "system.topics"): publish,
    ("PUT", "system.services"): execute_in_service,
}
"""What comes before the verbs where one instance is named."""


def arguments(call: Call) -> Any:
    """Return the arguments of a procedure; no body means none."""
    return call.json() if read(call.request).strip() else {}


def calculated(call: Call, calculate: Callable[[], Any]) -> Response:
    """Answer with what a function returns, when it does."""

    async def finish() -> Response:
        try:
            value = await calculate()
            if call.flag("stream") and is_sequence(value):
                flushing = Flushing.parse(call.query)
                pieces = pour(value, flushing, call.desk.world.clock)
                return Streamed(200, Headers(JSON), pieces=pieces)
            return json_response(await collect(value))
        except Refused as refused:
            return refusal(refused)

    return Calculated(200, answer=finish)
