"""
The server's half of AIMMS: requests in, answers out, nothing else.

All four families of URLs are served on one port: ``/pro-api/v1`` and ``/pro-api/v2``
as in the cloud, ``/api/v1`` and ``/api/v2`` as the local server of the Data Exchange
library. Where the vendor's documentation leaves an answer open, the choice made here
is named in a comment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
import hmac
import re
from urllib.parse import parse_qsl, unquote

from .calls import Call, Refused
from .documents import Flavour, parse_day, write_time
from .submits import AimmsApp, Rules, build_hook_url, submit
from ..documents import read_json
from ..half import Delayed
from ..simulator import Simulator
from ..tasks import Changed, Interrupt, SimulatedTask, State
from ...exceptions import ResponseDecodeError
from ...sansio.http import Headers, Request, Response
from ...sansio.urls import is_loopback


__all__ = ["AimmsService"]

FAMILY = re.compile(r"/(pro-)?api/v([12])(?:/(.*))?", re.DOTALL)

INTERRUPTS = {
    "interrupt-solve": Interrupt.SOLVE,
    "interrupt-execution": Interrupt.EXECUTION,
}

FILTERS = {1: ("projectName", "projectVersion"), 2: ("appName", "appVersion")}

NOT_ECHOED = frozenset(
    {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}
)


Answer = Callable[[Call], Response]


class AimmsService:
    """
    Answers as AIMMS does.

    Args:
        simulator: the world with the tasks and services.
        api_key: the key that the cloud's URLs ask for; None asks for none.
        guard_local: ask for the key on the local server's URLs too, which AIMMS
            does not.
        apps: the published applications; None accepts any name and version.
        hook_allowed: tells whether a task-state hook at an origin may be called;
            by default those on this machine, so that no client can make the server
            call what it cannot reach itself.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        api_key: str | None = None,
        guard_local: bool = False,
        apps: Mapping[str, AimmsApp] | None = None,
        hook_allowed: Callable[[str], bool] = is_loopback,
    ) -> None:
        self._simulator = simulator
        self._api_key = api_key
        self._guard_local = guard_local
        self._rules = Rules(apps, hook_allowed)

    def handle(self, request: Request, now: float) -> Response | None:
        """Answer a request; None if its path is not one of AIMMS."""
        path = re.sub("/+", "/", request.path).rstrip("/")
        match = FAMILY.fullmatch(path)
        if match is None:
            return None
        flavour = Flavour(cloud=match[1] is not None, version=int(match[2]))
        parts = [unquote(part) for part in (match[3] or "").split("/")]
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        try:
            self._admit(flavour, request)
            return self._route(
                Call(self._simulator, flavour, request, parts, query, now)
            )
        except Refused as refused:
            return refused.response

    def notices(self, change: Changed) -> Sequence[Request]:
        """Return the calls of the task-state hook that a change asks for."""
        url = change.task.order.labels.get("taskStateHook")
        if url is None or not change.task.order.realm.startswith("aimms"):
            return ()
        return (Request("PUT", build_hook_url(url, change)),)

    # --- who may ask what ----------------------------------------------------

    def _admit(self, flavour: Flavour, request: Request) -> None:
        if self._api_key is None or not (flavour.cloud or self._guard_local):
            return
        given = request.headers.get("apiKey", "").encode()
        if not hmac.compare_digest(given, self._api_key.encode()):
            # The status is not documented.
            raise Refused(401, "Unauthorized", "the API key is missing or wrong")

    def _route(self, call: Call) -> Response:
        parts = list(call.parts)
        if call.request.method == "POST" and parts[0] == "tasks" and parts[1:]:
            return submit(call, self._rules)
        general = [*parts[:1], *["*" for _ in parts[1:2]], *parts[2:]]
        method = {"HEAD": "GET"}.get(call.request.method, call.request.method)
        for shape in ("/".join(parts), "/".join(general)):
            answers = answers_at(call.flavour, shape)
            if method in answers:
                return answers[method](call)
            if answers:
                # Not documented.
                allowed = ", ".join(sorted(answers))
                message = f"{call.request.method} is not served here: {allowed}"
                raise Refused(405, "MethodNotAllowed", message)
        message = f"nothing is served at {call.request.describe()}"
        raise Refused(404, "NotFound", message)


def answers_at(flavour: Flavour, shape: str) -> dict[str, Answer]:
    """Return what is answered at a path, by method."""
    places = {"both", "cloud" if flavour.cloud else "local"}
    return {
        method: answer
        for (where, method, known), answer in ROUTES.items()
        if where in places and known == shape
    }


def poll(call: Call) -> Response:
    """Answer what a task is."""
    return call.answer(call.describe(call.find()))


def response(call: Call) -> Response:
    """Answer with what the service returned."""
    task = call.find()
    if task.outcome is None or task.state is not State.COMPLETED:
        # Not documented.
        word = call.flavour.word(task.state)
        message = f"the task is {word} and has no response"
        raise Refused(404, "NoResponse", message)
    kind = task.outcome.content_type or "application/octet-stream"
    return Response(200, Headers({"Content-Type": kind}), task.outcome.content)


def intermediate_status(call: Call) -> Response:
    """Answer with the intermediate status that the service published."""
    task = call.find()
    if task.published is not None:
        body, kind = task.published
        return Response(200, Headers({"Content-Type": kind}), body)
    if task.progress is None:
        raise Refused(404, "NoStatus", "the task has published no status")
    said = {"progress": task.progress, "message": task.progress_message}
    return call.answer(said)


def interrupt(call: Call) -> Response:
    """Ask a task to stop."""
    task = call.find()
    word = wanted_interrupt(call.body)
    if word not in INTERRUPTS:
        message = f"setstatus must be one of: {', '.join(INTERRUPTS)}"
        raise Refused(405, "InvalidStatus", message)
    news = call.simulator.interrupt(task, INTERRUPTS[word], call.now)
    if call.flavour.cloud:
        return Response(200)
    said = word if news else "interrupt-processed"
    return call.answer({**call.describe(task), "setstatus": said})


def delete(call: Call) -> Response:
    """Remove a task."""
    task = call.find()
    if task.started:
        # Documented for the local server; the cloud deletes queued and
        # completed tasks, and does not say what it answers otherwise.
        raise Refused(405, "TaskRunning", "the task is running: interrupt it first")
    call.simulator.delete(task)
    return Response(200)


def logs(call: Call) -> Response:
    """Answer with the log of a task."""
    # The shape is not documented.
    return call.answer(log_lines(call.find()))


def download_logs(call: Call) -> Response:
    """Answer with the log of a task as a file."""
    text = "".join(f"{line}\n" for line in log_lines(call.find()))
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Response(200, Headers(kind), text.encode())


def list_tasks(call: Call) -> Response:
    """Answer with the tasks that were asked for."""
    tasks = list(call.simulator.tasks(call.flavour.realm))
    total = len(tasks)
    if call.flavour.cloud:
        tasks = filtered(tasks, call)
        total = len(tasks)
        offset = call.number("offset", 0) or 0
        limit = call.number("limit", 1)
        tasks = tasks[offset:][:limit]
    rows = [call.describe(task) for task in tasks]
    return call.answer(call.flavour.listing(rows, total))


def stats(call: Call) -> Response:
    """Count the tasks by their words."""
    # The shapes of both statistics are not documented.
    tasks = call.simulator.tasks(call.flavour.realm)
    return call.answer(Counter(call.flavour.word(task.state) for task in tasks))


def current_stats(call: Call) -> Response:
    """Count the tasks that have not ended by their words."""
    tasks = call.simulator.tasks(call.flavour.realm)
    words = [call.flavour.word(t.state) for t in tasks if not t.state.ended]
    return call.answer(Counter(words))


def echo(call: Call) -> Response:
    """Answer with what was sent, after a while if asked."""
    headers = call.request.headers.items()
    echoed = {n: v for n, v in headers if n.lower() not in NOT_ECHOED and v.isascii()}
    delay = (call.number("delay", 0) or 0) / 1000
    return Delayed(200, Headers(echoed), call.body, delay=min(delay, 3600))


def version(call: Call) -> Response:
    """Answer with the version of the API."""
    return call.answer({"version": f"v{call.flavour.version}.0"})


def health(call: Call) -> Response:
    """Answer that the server is well."""
    return call.answer({"status": "ok"})


def wanted_interrupt(body: bytes) -> str:
    """Return the wanted status; an empty body means interrupt-solve."""
    if not body.strip():
        # The official client sends none; the OpenAPI document describes the call
        # as one that keeps the intermediate result.
        return "interrupt-solve"
    try:
        document = read_json(body)
    except ResponseDecodeError:
        return ""
    word = document.get("setstatus") if isinstance(document, dict) else None
    return word if isinstance(word, str) else ""


def filtered(tasks: list[SimulatedTask], call: Call) -> list[SimulatedTask]:
    """Keep the tasks that the query asks for; the order is that of creation."""
    app, version = (call.query.get(name) for name in FILTERS[call.flavour.version])
    before = call.parsed("before", parse_day)
    after = call.parsed("after", parse_day)
    return [
        task
        for task in tasks
        if app in {None, task.order.app}
        and version in {None, task.order.version}
        and (before is None or task.created_at < before)
        and (after is None or task.created_at >= after)
    ]


def log_lines(task: SimulatedTask) -> list[str]:
    """Return the log of a task, each line with its time."""
    return [f"{write_time(at)} {line}" for at, line in task.log]


ROUTES: Mapping[tuple[str, str, str], Answer] = {
    ("both", "GET", "tasks"): list_tasks,
    ("cloud", "GET", "tasks/stats"): stats,
    ("cloud", "GET", "tasks/stats/current"): current_stats,
    ("both", "GET", "tasks/*"): poll,
    ("both", "PUT", "tasks/*"): interrupt,
    ("both", "DELETE", "tasks/*"): delete,
    ("both", "GET", "tasks/*/response"): response,
    ("local", "GET", "tasks/*/status"): intermediate_status,
    ("cloud", "GET", "tasks/*/logs"): logs,
    ("cloud", "GET", "tasks/*/logs/download"): download_logs,
    ("local", "GET", "echo"): echo,
    ("local", "PUT", "echo"): echo,
    ("local", "POST", "echo"): echo,
    ("local", "DELETE", "echo"): echo,
    ("both", "GET", "version"): version,
    ("both", "GET", "health-check"): health,
}
"""What is answered where; a star is the id of a task."""
