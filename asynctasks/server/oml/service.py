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
from typing import Any
from urllib.parse import unquote

import attrs

from .answers import (
    OmlRefused,
    answer,
    failure,
    find_uuid,
    job_id,
    read_object,
    write_duration,
    write_elapsed,
    write_preload_time,
    write_time,
)
from .apply import as_script
from .calls import FUNCTIONS, ScriptCall, parse_call
from .tokens import Tokens
from ..half import Awaited
from ..simulator import Simulator
from ..tasks import Changed, Interrupt, Order, SimulatedTask, State
from ...sansio.http import Headers, Request, Response


__all__ = ["OmlQuirks", "OmlService"]

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

PRELOADED = 3600.0
"""Seconds that a preloaded environment stays; how long, is not documented."""

ENVIRONMENTS = (
    {
        "name": "seaborn_env",
        "size": "1.7 GiB",
        "description": "Conda environment with seaborn",
        "number_of_installed_packages": 78,
        "tags": {"python": "3.10", "application": "OML4PY"},
    },
)


@attrs.frozen(kw_only=True)
class OmlQuirks:
    """What the service does, or does not, differently from place to place."""

    strict: bool = True
    """Refuse a ``timeout`` below the documented minimum."""

    semicolon: bool = False
    """End the Location of a new job with a semicolon, as on one page."""

    location: bool = False
    """Add a Location to the answer that a job has finished, for clients to err."""

    cut_off: float = 120.0
    """Seconds after which the connection of a synchronous call is cut."""


@attrs.frozen(kw_only=True)
class Call:
    """One request, taken apart."""

    request: Request
    base: str
    """What a URL of this server begins with, up to ``py-scripts``."""

    version: str
    parts: Sequence[str]
    """The path below the version, decoded."""

    realm: str
    now: float


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
            request=request,
            base=f"{origin_of(request)}{match[1]}",
            version=match[2] or "",
            parts=[unquote(part) for part in parts if part],
            realm=f"oml/{user.upper()}",
            now=now,
        )
        return self._route(call)

    def _route(self, call: Call) -> Response:
        method = {"HEAD": "GET"}.get(call.request.method, call.request.method)
        parts = call.parts
        if method == "POST" and parts and parts[0] in FUNCTIONS:
            if len(parts) in {2, 3}:
                return self._run(call)
        else:
            shape = SHAPES.sub(r"\1/*", "/".join(parts))
            route = ROUTES.get((method, shape if call.version else "versions"))
            if route is not None and call.version in route[0]:
                return route[1](self, call)
        raise OmlRefused(404, f"nothing is served at {call.request.describe()}")

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

    # --- scripts -------------------------------------------------------------

    def _run(self, call: Call) -> Response:
        function, script = call.parts[:2]
        if script not in self._simulator.services:
            raise OmlRefused(400, f"there is no script {script}")
        wanted = parse_call(
            function,
            call.request,
            call.version,
            self._simulator.tables,
            strict=self._quirks.strict,
        )
        order = build_order(call, script, wanted)
        task = self._simulator.submit(order, call.now)
        if wanted.asynchronous:
            return self._created(call, task)
        return Awaited(
            200,
            task=task,
            answer=partial(self._synchronous, task),
            limit=self._quirks.cut_off,
        )

    def _created(self, call: Call, task: SimulatedTask) -> Response:
        end = ";" if self._quirks.semicolon else ""
        location = f"{call.base}/{call.version}/jobs/{job_id(task)}{end}"
        return Response(201, Headers({"Location": location}))

    def _synchronous(self, task: SimulatedTask) -> Response:
        self._simulator.delete(task)
        return build_result(task, None, refused=400)

    # --- jobs ----------------------------------------------------------------

    def _find(self, call: Call, unknown: int = 500) -> SimulatedTask:
        wanted = call.parts[1]
        task = self._simulator.task(call.realm, find_uuid(wanted))
        if task is None or job_id(task) != wanted:
            raise OmlRefused(unknown, f"Problem finding the job id {wanted}.")
        return task

    def poll(self, call: Call) -> Response:
        """Answer that a job is pending, or finished."""
        task = self._find(call)
        if not self._over(task, call.now):
            facts = {"status": "job is still running"}
            return answer(describe(task, call.version, call.now, **facts), 202)
        url = f"{call.base}/{call.version}/jobs/{job_id(task)}/result"
        headers = {"Content-Location": url}
        if self._quirks.location:
            headers["Location"] = url
        return Response(302, Headers(headers))

    def result(self, call: Call) -> Response:
        """Answer with what a script returned, or how it failed."""
        task = self._find(call)
        if not self._over(task, call.now):
            raise OmlRefused(404, "The result is not ready.")
        # With which status a failure is answered here, is not documented.
        return build_result(task, cut_short(task, call.now), refused=200)

    def delete(self, call: Call) -> Response:
        """Remove a job; v1 only while it runs."""
        task = self._find(call)
        if call.version == "v1" and self._over(task, call.now):
            raise OmlRefused(400, "The job is not running.")
        self._simulator.delete(task)
        return answer({"result": "job deleted successfully"})

    def cancel(self, call: Call) -> Response:
        """End a job that runs."""
        task = self._find(call, unknown=404)
        if self._over(task, call.now):
            raise OmlRefused(400, "The job is not running.")
        self._simulator.interrupt(task, Interrupt.EXECUTION, call.now)
        return answer({"result": "job cancelled successfully"})

    def list_jobs(self, call: Call) -> Response:
        """Answer with all jobs."""
        tasks = [
            task
            for task in self._simulator.tasks(call.realm)
            if task.order.labels["asynchronous"]
        ]
        rows = [
            describe(
                task,
                "v2",
                call.now,
                job_id=job_id(task),
                status=self._word(task, call.now),
            )
            for task in tasks
        ]
        return answer({"result": rows})

    def _over(self, task: SimulatedTask, now: float) -> bool:
        if timed_out(task, now) and not task.state.ended:
            self._simulator.interrupt(task, Interrupt.EXECUTION, now)
        # An interrupt is obeyed at once, though the function may take its time.
        return task.state.ended or task.interrupt is Interrupt.EXECUTION

    def _word(self, task: SimulatedTask, now: float) -> str:
        # Only FINISH is documented, and not whether a failed job is called so too.
        return "FINISH" if self._over(task, now) else "RUNNING"

    # --- what else there is --------------------------------------------------

    def scripts(self, call: Call) -> Response:
        """Answer with all scripts."""
        owner = call.realm.partition("/")[2]
        names = sorted(self._simulator.services)
        return answer({"result": [{"name": each, "owner": owner} for each in names]})

    def environments(self, call: Call) -> Response:
        """Answer with all conda environments."""
        del call
        return answer({"result": {"envs": list(ENVIRONMENTS)}})

    def versions(self, call: Call) -> Response:
        """Answer with both versions."""
        return answer({"items": [version(call, name) for name in ("v1", "v2")]})

    def version(self, call: Call) -> Response:
        """Answer with one version."""
        return answer(version(call, call.version))

    def preloads(self, call: Call) -> Response:
        """Answer with the environments that are loaded."""
        rows = [
            {
                "envName": name,
                "created": write_preload_time(at),
                "expires": write_preload_time(at + PRELOADED),
                "duration": write_duration(call.now - at),
            }
            for name, at in self._loaded(call).items()
        ]
        return answer({"environments": rows})

    def preload(self, call: Call) -> Response:
        """Load an environment."""
        document = read_object(call.request)
        name, loaded = str(document.get("envName")), self._loaded(call)
        if name not in {each["name"] for each in ENVIRONMENTS}:
            raise OmlRefused(400, f"Environment not found with name {name}")
        if name in loaded and document.get("overwrite") is not True:
            raise OmlRefused(400, f"Environment {name} is already preloaded")
        loaded[name] = call.now
        # The name of the key is not documented.
        return answer({"job_id": f"OML-PRELOAD-{name}"})

    def unload(self, call: Call) -> Response:
        """Let go of an environment."""
        name = call.parts[2]
        if self._loaded(call).pop(name, None) is None:
            message = f"Preloaded environment not found with name {name}"
            raise OmlRefused(400, message)
        said = f"Preloaded environment '{name}' deleted successfully"
        return answer({"result": said})

    def _loaded(self, call: Call) -> dict[str, float]:
        loaded = self._preloads.setdefault(call.realm, {})
        for name, at in list(loaded.items()):
            if at + PRELOADED <= call.now:
                del loaded[name]
        return loaded


Route = Callable[[OmlService, Call], Response]

SHAPES = re.compile(r"^(jobs|preload/conda)/[^/]+")

BOTH, V2 = frozenset({"v1", "v2"}), frozenset({"v2"})

ROUTES: Mapping[tuple[str, str], tuple[frozenset[str], Route]] = {
    ("GET", "versions"): (frozenset({""}), OmlService.versions),
    ("GET", ""): (BOTH, OmlService.version),
    ("GET", "envs"): (BOTH, OmlService.environments),
    ("GET", "scripts"): (BOTH, OmlService.scripts),
    ("GET", "jobs"): (V2, OmlService.list_jobs),
    ("GET", "jobs/*"): (BOTH, OmlService.poll),
    ("GET", "jobs/*/result"): (BOTH, OmlService.result),
    ("DELETE", "jobs/*"): (BOTH, OmlService.delete),
    ("POST", "jobs/*/cancel"): (V2, OmlService.cancel),
    ("GET", "preload/conda"): (V2, OmlService.preloads),
    ("POST", "preload/conda"): (V2, OmlService.preload),
    ("DELETE", "preload/conda/*"): (V2, OmlService.unload),
}
"""What is answered where, and in which versions; a star is an id."""


def origin_of(request: Request) -> str:
    """Return what the client calls this server; empty where it does not say."""
    host = request.headers.get("Host", "")
    return f"http://{host}" if host else ""


def build_order(call: Call, script: str, wanted: ScriptCall) -> Order:
    """Write down what is to be run."""
    labels = {
        "version": call.version,
        "level": wanted.level,
        "asynchronous": "yes" if wanted.asynchronous else "",
    }
    if wanted.asynchronous:
        labels["limit"] = str(wanted.time_limit)
    return Order(
        service=script,
        realm=call.realm,
        payload=wanted.parameters,
        content_type="application/json",
        labels=labels,
        wrap=partial(as_script, call=wanted),
    )


def timed_out(task: SimulatedTask, until: float) -> bool:
    """Tell whether a job has run for too long."""
    limit = task.order.labels.get("limit")
    if limit is None or task.running_at is None:
        return False
    end = until if task.ended_at is None else task.ended_at
    return end - task.running_at >= float(limit)


def cut_short(task: SimulatedTask, now: float) -> str | None:
    """Return why a job that is over did not come to its own end; None if it did."""
    if timed_out(task, now):
        seconds = task.order.labels["limit"]
        return f"The job timed out after {seconds} seconds."
    interrupted = task.interrupt is Interrupt.EXECUTION
    return "The job was cancelled." if interrupted else None


def build_result(task: SimulatedTask, words: str | None, *, refused: int) -> Response:
    """Answer with what a script returned; or with words, its own or those given."""
    outcome = task.outcome
    if words is None and outcome is not None and outcome.state is State.COMPLETED:
        kind = Headers({"Content-Type": "application/json"})
        return Response(200, kind, outcome.content)
    own = "" if outcome is None else outcome.message
    return answer(failure(words or own), refused)


def describe(
    task: SimulatedTask, form: str, now: float, **facts: str
) -> dict[str, Any]:
    """Write down a job, and since when there is one."""
    end = now if task.ended_at is None else task.ended_at
    return {
        "createdDate": write_time(task.created_at, form),
        **facts,
        "elapsedTime": write_elapsed(end - task.created_at),
    }


def version(call: Call, name: str) -> dict[str, Any]:
    """Write down a version of the API."""
    url = f"{call.base}/{name}"
    links = [
        {"rel": "self", "href": url},
        *[{"rel": "child", "href": f"{url}/{each}"} for each in CHILDREN],
    ]
    latest = name == "v2"
    lifecycle = "ACTIVE" if latest else "DEPRECATED@2026-03-31"
    return {"version": name, "isLatest": latest, "lifecycle": lifecycle, "links": links}


CHILDREN = ("scripts", "envs", *(f"{name}/{{scriptName}}" for name in FUNCTIONS))
"""Templates are written literally into the links."""
