"""
The server's half of Vantiq: requests in, answers out, and sockets.

Served are ``/authenticate``, ``/api/v1/resources``, ``/api/v1/batch``, the WebSocket
``/api/v1/wsock/websocket`` and the contents of documents. Where the vendor's
documentation leaves an answer open, the choice made here is named in a comment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from .answers import json_response, read, refusal, rejected
from .definitions import CONTENTS
from .desk import Desk
from .pieces import encode
from .refusals import Refused, forbidden, malformed, not_allowed
from .rest import answer
from .socket import VantiqSocket
from .tasks import TaskRows
from .users import bearer_of, parse_basic
from .world import VantiqWorld
from ..documents import read_json
from ..live import Calculated, Item, Job, Socket
from ..tasks import Changed
from ...exceptions import ResponseDecodeError
from ...sansio import codec
from ...sansio.http import Headers, Request, Response


__all__ = ["VantiqService"]

RESOURCES = re.compile(r"/api/v1/resources(?:/(.*))?", re.DOTALL)

WEBSOCKET = "/api/v1/wsock/websocket"

BYTES = "application/octet-stream"

BATCH_ROWS = 1000
"""The rows that a GET of a batch answers at most."""


class VantiqService:
    """
    Answers as Vantiq does.

    Args:
        world: users, data, functions and subscriptions.
        tasks: works on rows that are tasks; None leaves them alone.
    """

    def __init__(self, world: VantiqWorld, tasks: TaskRows | None = None) -> None:
        self.world = world
        self._tasks = tasks

    def handle(self, request: Request, now: float) -> Response | None:
        """Answer a request; None if its path is not one of Vantiq."""
        del now  # the world has a clock, for it also acts on its own
        try:
            return self._route(request)
        except Refused as refused:
            return refusal(refused)

    def notices(self, change: Changed) -> Sequence[Request]:
        """Write changes down; Vantiq tells of them over its sockets."""
        if self._tasks is not None:
            self._tasks.changed(change)
        return ()

    # --- what the shell does -------------------------------------------------

    def start(self, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        """Take the shell's clock, and how to wake it."""
        self.world.clock = clock
        self.world.wake = wake

    def connect(
        self, request: Request, wake: Callable[[], None]
    ) -> Socket | Response | None:
        """Open a WebSocket, which has to authenticate by its first frame."""
        if request.path != WEBSOCKET:
            return None
        socket = VantiqSocket(self.world, wake)
        self.world.sockets.append(socket)
        return socket

    def advance(self, now: float) -> None:
        """Send again what was not acknowledged, and what was delayed."""
        self.world.broker.advance(now)
        if self._tasks is not None:
            self._tasks.advance(now)

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""
        due = [self.world.broker.next_wakeup()]
        if self._tasks is not None:
            due.append(self._tasks.next_wakeup())
        return min((at for at in due if at is not None), default=None)

    def take_jobs(self) -> Sequence[Job]:
        """Return what rules have left to be done."""
        return self.world.functions.take_jobs()

    def take_items(self) -> Sequence[Item]:
        """Return what is to be stored."""
        return self.world.store.kept.take()

    def load(self, items: Iterable[Item]) -> None:
        """Take what was stored, and store from now on."""
        if not self.world.store.kept.storing:  # else it is there already
            self.world.load(items)
            self.world.store.kept.storing = True

    # --- paths ---------------------------------------------------------------

    def _route(self, request: Request) -> Response | None:
        path = request.path.rstrip("/")
        if path in AUTHENTICATION:
            return AUTHENTICATION[path](self, request)
        match = RESOURCES.fullmatch(request.path)
        if match is not None:
            return answer(self._desk(request), request, match[1] or "")
        if path == "/api/v1/batch":
            return self._batch(request)
        if path == "/api/v1/_status":
            self._desk(request)
            return json_response({})
        for resource, root in CONTENTS.items():
            if path.startswith(root):
                name = unquote(request.path.removeprefix(root))
                return self._download(self._desk(request), request, resource, name)
        return None

    def _desk(self, request: Request) -> Desk:
        """Return the desk of the one who asks."""
        query = dict(parse_qsl(request.query))
        headers = request.headers
        token = bearer_of(headers.get("Authorization", "")) or query.get("token", "")
        username = self.world.users.check_token(token, self.world.clock())
        other = headers.get("X-Impersonate-User")
        if other is not None:
            # In no guide, only in the SDKs: here everybody may, for users there are.
            if not self.world.users.knows(other):
                raise forbidden(f"{other} is not a user.", other)
            username = other.lower()
        namespace = headers.get("X-Target-Namespace") or query.get("targetNamespace")
        if namespace:
            self.world.store.check_namespace(namespace)
        return self.world.desk(username, namespace)

    def _download(
        self, desk: Desk, request: Request, resource: str, name: str
    ) -> Response:
        if request.method != "GET":
            raise not_allowed(request.method, request.path)
        content = self.world.store.content(desk.namespace, resource, name)
        row = desk.select_one(resource, name)
        return Response(200, Headers(inert(row["fileType"])), content)

    # --- authentication ------------------------------------------------------

    def _authenticate(self, request: Request) -> Response:
        expect(request, "GET")
        given = request.headers.get("Authorization", "")
        token = bearer_of(given)
        now = self.world.clock()
        try:
            if token:
                username = self.world.users.check_token(token, now)
            else:
                username = self.world.users.check_password(*parse_basic(given))
        except Refused as refused:
            return rejected(refused)
        return json_response(self.world.users.log_in(username, now))

    def _refresh(self, request: Request) -> Response:
        expect(request, "POST")
        token = read(request).decode("utf-8", "replace").strip()
        now = self.world.clock()
        try:
            username = self.world.users.check_token(token, now)
        except Refused as refused:
            return rejected(refused)
        # The old token stays valid: others may be using it.
        return json_response(self.world.users.log_in(username, now))

    def _revoke(self, request: Request) -> Response:
        expect(request, "POST")
        token = read(request).decode("utf-8", "replace").strip()
        try:
            self.world.users.check_token(token, self.world.clock())
        except Refused as refused:
            return rejected(refused)
        self.world.users.revoke(token)
        return Response(204)

    # --- batches -------------------------------------------------------------

    def _batch(self, request: Request) -> Response:
        expect(request, "POST")
        self._desk(request)
        try:
            parts = read_json(read(request))
        except ResponseDecodeError as exc:
            raise malformed(f"The body is not JSON: {exc.found}.") from exc
        if not isinstance(parts, list):
            raise malformed("A batch is a JSON array of requests.")
        given = [self._answer_part(request, part) for part in parts]

        async def finish() -> Response:
            answers = await asyncio.gather(*map(settle, given))
            return json_response([describe(each) for each in answers])

        return Calculated(200, answer=finish)

    def _answer_part(self, request: Request, part: Any) -> Response:
        try:
            asked = parse_part(request, part)
            path = asked.path.lstrip("/")
            return answer(self._desk(asked), asked, path, BATCH_ROWS)
        except Refused as refused:
            return refusal(refused)


AUTHENTICATION: Mapping[str, Callable[[VantiqService, Request], Response]] = {
    "/authenticate": VantiqService._authenticate,  # noqa: SLF001 - its own routes
    "/authenticate/refresh": VantiqService._refresh,  # noqa: SLF001
    "/authenticate/revoke": VantiqService._revoke,  # noqa: SLF001
}


def inert(kind: str) -> dict[str, str]:
    """Return headers with which a browser runs nothing of what clients stored."""
    return {
        "Content-Type": kind if kind.isascii() and kind.isprintable() else BYTES,
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def expect(request: Request, method: str) -> None:
    """Refuse other methods."""
    if request.method != method:
        raise not_allowed(request.method, request.path)


def parse_part(request: Request, part: Any) -> Request:
    """Read one request of a batch; what it does not say, the batch says."""
    if not isinstance(part, Mapping) or not isinstance(part.get("uri"), str):
        raise malformed("A request of a batch has a method and a uri.", part)
    headers = part.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise malformed("The headers of a request are a JSON object.", part)
    names = ("Authorization", "X-Target-Namespace", "X-Impersonate-User")
    kept = {n: request.headers[n] for n in names if n in request.headers}
    body = b"" if part.get("body") is None else encode(part["body"])
    method = str(part.get("method", "GET")).upper()
    asked = Request(method, part["uri"], Headers(kept), body)
    return asked.with_headers({str(n): str(v) for n, v in headers.items()})


async def settle(response: Response) -> Response:
    """Wait for an answer if it has to be waited for."""
    return await response.answer() if isinstance(response, Calculated) else response


def describe(response: Response) -> dict[str, Any]:
    """Write an answer down as a batch does."""
    kept = {n: v for n, v in response.headers.items() if n != "Content-Type"}
    body = codec.loads(response.body) if response.body else None
    return {"status": response.status, "headers": kept, "body": body}
