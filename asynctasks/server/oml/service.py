"""
The server's half of Oracle Machine Learning: embedded Python execution of OML4Py.

Both versions are served side by side, with the token service, below ``/oml`` and
``/omlusers`` and below their tenant-qualified forms. Where the vendor's documentation
leaves an answer open, the choice made here is named in a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
import gzip
import hashlib
import re
from urllib.parse import unquote

import attrs

from . import jobs, offers
from .answers import OmlRefused
from .calls import Call, OmlQuirks
from .functions import FUNCTIONS
from .tokens import Tokens
from ..half import Awaited
from ..simulator import Simulator
from ..tasks import Changed
from ...sansio.http import Headers, Request, Response


__all__ = ["OmlService"]

Answer = Callable[[Call], Response]

TENANT = r"(?:/tenants/[^/]+/databases/[^/]+)?"

USERS = re.compile(rf"/omlusers{TENANT}/api/oauth2/v1/token(/revoke)?")

SCRIPTS = re.compile(rf"(/oml{TENANT}/api/py-scripts)(?:/(v[12])(?:/(.*))?)?")

SAFE = Headers(
    {
        "Cache-Control": "no-cache, no-store, private",
        "X-Frame-Options": "SAMEORIGIN",
        "X-XSS-Protection": "1;mode=block",
        "X-Content-Type-Options": "nosniff",
    }
)

ENDING = Headers(
    {
        # v1 is known to announce its end in headers; which ones, is not. These are
        # those of RFC 9745 and RFC 8594.
        "Deprecation": "@1767225600",
        "Sunset": "Tue, 31 Mar 2026 00:00:00 GMT",
    }
)

WORTH_PACKING = 1024
"""Bytes from which on an answer is compressed for who can read that."""


class OmlService:
    """
    Answers as Oracle Machine Learning does.

    Args:
        simulator: the world: its services are the scripts, its tables the data.
        tokens: who may ask.
        quirks: see :class:`OmlQuirks`.
    """

    def __init__(
        self, simulator: Simulator, tokens: Tokens, *, quirks: OmlQuirks | None = None
    ) -> None:
        self._simulator = simulator
        self._tokens = tokens
        self._quirks = quirks or OmlQuirks()
        self._preloads: dict[str, dict[str, float]] = {}
        self._sessions = 0

    def handle(self, request: Request, now: float) -> Response | None:
        """Answer a request; None if its path is not one of OML."""
        path = re.sub("/+", "/", request.path).rstrip("/")
        users, scripts = USERS.fullmatch(path), SCRIPTS.fullmatch(path)
        try:
            if scripts is not None:
                response = self._answer(request, scripts, now)
            elif users is not None:
                response = self._tokens.handle(request, users[1] or "", now)
            else:
                return None
        except OmlRefused as refused:
            response = refused.response
        return self._dress(request, response, scripts)

    def notices(self, change: Changed) -> Sequence[Request]:
        """Return nothing: the service calls nobody."""
        del change
        return ()

    def _answer(self, request: Request, match: re.Match[str], now: float) -> Response:
        user = self._tokens.check(request, now)
        # Of a segment, what follows a semicolon is a parameter, and not looked at.
        parts = [part.partition(";")[0] for part in (match[3] or "").split("/")]
        call = Call(
            simulator=self._simulator,
            quirks=self._quirks,
            request=request,
            base=f"{origin_of(request)}{match[1]}",
            version=match[2] or "",
            parts=[unquote(part) for part in parts if part],
            realm=f"oml/{user.upper()}",
            loaded=self._preloads.setdefault(user.upper(), {}),
            now=now,
        )
        return route(call)

    def _dress(
        self, request: Request, response: Response, match: re.Match[str] | None
    ) -> Response:
        """Add the headers that every answer has, or those of its kind."""
        if isinstance(response, Awaited):
            late = response.answer
            dressed = partial(self._dress_late, request, late, match)
            return attrs.evolve(response, answer=dressed)
        headers = dict(response.headers) | dict(SAFE)
        if match is not None and match[2] == "v1":
            headers |= dict(ENDING)
        if match is not None and request.method == "POST":
            headers |= self._session()
        body = response.body
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        if packed and len(body) >= WORTH_PACKING:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)
        return attrs.evolve(response, headers=Headers(headers), body=body)

    def _dress_late(
        self,
        request: Request,
        late: Callable[[], Response],
        match: re.Match[str] | None,
    ) -> Response:
        return self._dress(request, late(), match)

    def _session(self) -> dict[str, str]:
        """Return the cookie of a session; nothing is kept under it."""
        self._sessions += 1
        name = hashlib.sha256(str(self._sessions).encode()).hexdigest()[:24]
        cookie = f"JSESSIONID=node0{name}.node0; Path=/oml; Secure; HttpOnly"
        return {"Set-Cookie": cookie, "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}


def route(call: Call) -> Response:
    """Find who answers."""
    method = {"HEAD": "GET"}.get(call.request.method, call.request.method)
    parts = call.parts
    if method == "POST" and len(parts) in {2, 3} and parts[0] in FUNCTIONS:
        return jobs.run(call)
    shape = SHAPES.sub(r"\1/*", "/".join(parts)) if call.version else "versions"
    answers = answers_at(shape, call.version)
    if method in answers:
        return answers[method](call)
    if answers:
        # Not documented.
        allowed = ", ".join(sorted(answers))
        raise OmlRefused(405, f"{method} is not served here: {allowed}")
    raise OmlRefused(404, f"nothing is served at {call.request.describe()}")


def answers_at(shape: str, version: str) -> dict[str, Answer]:
    """Return what is answered at a path in a version, by method."""
    return {
        method: answer
        for (method, known), (versions, answer) in ROUTES.items()
        if known == shape and version in versions
    }


SHAPES = re.compile(r"^(jobs|preload/conda)/[^/]+")

BOTH, V2 = frozenset({"v1", "v2"}), frozenset({"v2"})

ROUTES: Mapping[tuple[str, str], tuple[frozenset[str], Answer]] = {
    ("GET", "versions"): (frozenset({""}), offers.versions),
    ("GET", ""): (BOTH, offers.version),
    ("GET", "envs"): (BOTH, offers.environments),
    ("GET", "scripts"): (BOTH, offers.scripts),
    ("GET", "jobs"): (V2, jobs.list_jobs),
    ("GET", "jobs/*"): (BOTH, jobs.poll),
    ("GET", "jobs/*/result"): (BOTH, jobs.result),
    ("DELETE", "jobs/*"): (BOTH, jobs.delete),
    ("POST", "jobs/*/cancel"): (V2, jobs.cancel),
    ("GET", "preload/conda"): (V2, offers.preloads),
    ("POST", "preload/conda"): (V2, offers.preload),
    ("DELETE", "preload/conda/*"): (V2, offers.unload),
}
"""What is answered where, and in which versions; a star is an id."""


def origin_of(request: Request) -> str:
    """Return what the client calls this server; empty where it does not say."""
    host = request.headers.get("Host", "")
    return f"http://{host}" if host else ""
