"""Submits to the AIMMS half: which service, when, and who wants to be told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs

from .calls import Call, Refused
from .documents import Flavour, parse_duration, parse_time, write_time
from ..tasks import Changed, Order
from ...sansio.http import Response
from ...sansio.urls import is_loopback, origin_of


__all__ = ["AimmsApp", "Rules", "build_hook_url", "submit"]

CENTURY = 100 * 365 * 86400

SHORTEST = 1.0
"""Seconds between the runs of a recurring task at least."""


@attrs.frozen
class AimmsApp:
    """A published application, for servers that accept no others."""

    versions: Collection[str]
    latest: str | None = None
    """The version that has the tag latest; None where none has."""


@attrs.frozen
class Rules:
    """What a server accepts."""

    apps: Mapping[str, AimmsApp] | None = None
    """The published applications; None accepts any name and version."""

    hook_allowed: Callable[[str], bool] = is_loopback
    """Tells whether a task-state hook at an origin may be called."""


def submit(call: Call, rules: Rules) -> Response:
    """Put a task into the queue and answer what it is."""
    app, version, service = target(call, rules)
    if service not in call.simulator.services:
        known = ", ".join(sorted(call.simulator.services))
        # Locally 403 is documented; for the cloud nothing is.
        status = 404 if call.flavour.cloud else 403
        message = f"there is no service {service!r}; there are: {known}"
        raise Refused(status, "ServiceNotFound", message)
    schedule = scheduled(call) if call.flavour.cloud else {}
    order = Order(
        service=service,
        realm=call.flavour.realm,
        app=app,
        version=version,
        payload=call.body,
        content_type=call.request.headers.get("Content-Type", ""),
        # The cloud strips the parameters of a submit.
        query={} if call.flavour.cloud else call.query,
        labels=labels_of(call, rules),
        not_before=schedule.get("not_before"),
        interval=schedule.get("interval"),
    )
    task = call.simulator.submit(order, call.now)
    return call.answer(call.describe(task))


def target(call: Call, rules: Rules) -> tuple[str | None, str | None, str]:
    """Return application, version and service of a submit."""
    names = call.parts[1:]
    if not call.flavour.cloud and len(names) == 1:
        return None, None, names[0]
    if call.flavour.cloud and len(names) == 3:  # noqa: PLR2004 - app, version, service
        check_app(rules, names[0], names[1])
        return names[0], names[1], names[2]
    if call.flavour == Flavour(cloud=True, version=2) and len(names) == 2:  # noqa: PLR2004
        return names[0], latest(rules, names[0]), names[1]
    wanted = "{app}/{version}/{service}" if call.flavour.cloud else "{service}"
    message = f"submit to {call.request.path} is not served: use tasks/{wanted}"
    raise Refused(404, "NotFound", message)


def check_app(rules: Rules, app: str, version: str) -> None:
    """Refuse an application or version that is not published."""
    if rules.apps is None:
        return
    if app not in rules.apps or version not in rules.apps[app].versions:
        message = f"there is no application {app} {version}"
        raise Refused(404, "ApplicationNotFound", message)


def latest(rules: Rules, app: str) -> str:
    """Return the version of an application that has the tag latest."""
    if rules.apps is None:
        return "latest"
    known = rules.apps.get(app)
    if known is None or known.latest is None:
        message = f"App {app} with latest tag doesn't exist"
        raise Refused(404, "LatestTagMissing", message)
    return known.latest


def scheduled(call: Call) -> dict[str, float | None]:
    """Return when a task may start, and the seconds between its runs."""
    after = call.parsed("scheduleIn", parse_duration)
    due = call.parsed("scheduleFor", parse_time)
    if after is not None and due is not None:
        message = "give scheduleFor or scheduleIn, not both"
        raise Refused(400, "InvalidParameter", message)
    if due is not None and abs(due - call.now) > CENTURY:
        message = "scheduleFor is more than a century away"
        raise Refused(400, "InvalidParameter", message)
    due = due if after is None else call.now + after
    interval = call.parsed("scheduleInterval", parse_duration)
    if interval is not None and interval < SHORTEST:
        # Of the vendor's no limit is known; this one keeps clients from flooding us.
        message = f"scheduleInterval is at least {SHORTEST:g} second"
        raise Refused(400, "InvalidParameter", message)
    return {"not_before": due, "interval": interval}


def labels_of(call: Call, rules: Rules) -> dict[str, str]:
    """Return what has to be remembered of a submit."""
    labels: dict[str, str] = {}
    if not call.flavour.cloud:
        return labels
    if "scheduleInterval" in call.query:
        labels["scheduleInterval"] = call.query["scheduleInterval"]
    hook = call.request.headers.get("taskStateHook")
    if hook:
        check_hook(hook, rules)
        labels["taskStateHook"] = hook
    return labels


def check_hook(url: str, rules: Rules) -> None:
    """Refuse a hook that must not be called."""
    try:
        url.encode("ascii")
        allowed = rules.hook_allowed(origin_of(url))
    except ValueError as exc:
        message = f"taskStateHook is no usable URL: {exc}"
        raise Refused(400, "InvalidParameter", message) from exc
    if not allowed:
        message = "taskStateHook: this server calls loopback addresses only"
        raise Refused(400, "InvalidParameter", message)


def build_hook_url(url: str, change: Changed) -> str:
    """
    Return the URL of a hook with what AIMMS adds to it.

    Neither the algorithm of ``hmac`` nor the format of ``at`` is documented: these
    are HMAC-SHA256 of the task's id in hexadecimal digits, and v2's format of times.
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    keys = [value for name, value in pairs if name == "key"]
    task_id = change.task.id
    added = [
        ("task_uuid", task_id),
        ("task_state", Flavour(cloud=True, version=2).word(change.state)),
        ("at", write_time(change.at)),
    ]
    if keys:
        seal = hmac.new(keys[0].encode(), task_id.encode(), hashlib.sha256)
        added.append(("hmac", seal.hexdigest()))
    kept = [(name, value) for name, value in pairs if name != "key"]
    query = urlencode([*kept, *added], quote_via=quote)
    return parts._replace(query=query, fragment="").geturl()
