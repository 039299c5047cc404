"""The keyword arguments that every client takes, and what is built of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
import logging
import math
import os
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from .arguments import (
    check_call,
    check_flag,
    check_kind,
    check_rate,
    check_seconds,
    check_whole,
)
from .counts import Counts
from .driver import Limits
from .exceptions import InvalidArgument
from .hooks import Hook, Hooks
from .lanes import Lanes
from .manners import Cleanup, Manners, RemotePolicy, check_cleanup, check_policy
from .pace import Pace
from .sansio.history import LearnedPolicy
from .sansio.retry import RetryPolicy
from .sansio.schedule import PollPolicy
from .sansio.urls import split_base
from .subscriber import Subscriber
from .transport import AiohttpTransport, Transport
from .watcher import Watcher


if TYPE_CHECKING:
    import aiohttp


__all__ = [
    "ClientOptions",
    "Hub",
    "build_hub",
    "build_limits",
    "build_manners",
    "check_options",
    "collect_hooks",
    "normal_origins",
]

DAY = 24 * 3600.0

WIDTH = 64
"""Requests at the same time, where nothing else is said."""


class ClientOptions(TypedDict, total=False):
    """
    The keyword arguments that every client takes.

    Each is checked when the client is made. None stands for the default, so that
    what is optional can be passed on; but see *learn*.
    """

    transport: Transport
    """What moves the bytes; stays the caller's. By default one over HTTP is made."""

    session: aiohttp.ClientSession
    """An aiohttp session to send with; stays the caller's and is never closed."""

    retry: RetryPolicy
    """How one request is repeated."""

    poll: PollPolicy
    """When open tasks are looked at. By default this is learned from how long the
    service's tasks take."""

    learn: LearnedPolicy | None
    """How it is learned; None never learns, which is also so where *poll* is given."""

    merge: bool
    """Merge looks into list requests where the service lists tasks and it pays; True
    by default."""

    attempt_timeout: float
    """Seconds for one HTTP attempt; 30 by default. A large or streamed body may take
    as long for each of its pieces."""

    patience: float
    """Seconds that ``result()`` waits when it is not told; 24 hours by default."""

    width: int
    """Requests at the same time; 64 by default. More make each of them dearer."""

    max_rate: float
    """Requests a second at most; without a limit by default."""

    max_response_bytes: int
    """Bytes of an answer after decompression; 64 MiB by default."""

    cleanup: Cleanup
    """``"keep"`` (default), or ``"delete"``: remove a task from the service after
    its result was fetched. Nothing else ever removes a finished task."""

    on_cancel: RemotePolicy
    """What becomes of the remote task when ``result()`` is cancelled: ``"leave"``
    (default) or ``"cancel_remote"``."""

    on_timeout: RemotePolicy
    """The same for when ``result()`` runs out of patience."""

    trusted_origins: Collection[str]
    """Other origins to which a result may be redirected, e.g. a blob store. They
    get no credentials."""

    allow_insecure: bool
    """Send credentials over plain http to another machine; warns."""

    hooks: Iterable[Hook]
    """Told of what happens inside; see :mod:`asynctasks.hooks`."""

    trace_context: Callable[[], str | None]
    """Returns the W3C trace context of the running code, to be kept in tokens."""

    logger: logging.Logger
    """By default ``asynctasks.client``."""

    journal: str | os.PathLike[str]
    """The path of a journal: what is submitted is durable before it is sent. See
    ``client.journalled()``."""

    grace: float
    """Seconds after which a submit whose answer was lost, and whose task is not in the
    service's list, was not accepted; 30 by default. For a client with a journal."""


@attrs.define(kw_only=True)
class Hub:
    """What all views of one client share."""

    lanes: Lanes
    watcher: Watcher
    subscriber: Subscriber
    hooks: Hooks
    own_transport: bool
    counts: Counts = attrs.field(factory=Counts)
    closing: asyncio.Task[None] | None = None


def build_hub(given: ClientOptions, logger: logging.Logger) -> Hub:
    """
    Build what all views of a client share.

    Raises:
        InvalidArgument: an option cannot be used.
    """
    transport, session = given.get("transport"), given.get("session")
    if transport is not None and session is not None:
        raise InvalidArgument("session", "", "give a transport or a session, not both")
    poll = given.get("poll")
    learn = LearnedPolicy() if poll is None else None
    hooks = Hooks(collect_hooks(given.get("hooks")), logger)
    return Hub(
        lanes=Lanes(
            transport or AiohttpTransport(session),
            width=_chosen(given, "width", WIDTH),
            max_rate=_chosen(given, "max_rate", math.inf),
        ),
        watcher=Watcher(
            Pace(poll or PollPolicy(), given.get("learn", learn)),
            merge=_chosen(given, "merge", default=True),
            logger=logging.getLogger("asynctasks.watcher"),
        ),
        subscriber=Subscriber(
            logger=logging.getLogger("asynctasks.subscriber"), hooks=hooks
        ),
        hooks=hooks,
        own_transport=transport is None,
    )


def check_options(
    what: str,
    given: Mapping[str, object],
    known: Collection[str] | None = None,
) -> None:
    """
    Refuse options that there are not, or that are of the wrong kind.

    A misspelt one would do nothing, a wrong one fail in the midst of some request.

    Args:
        what: takes them, for the error.
        given: by name.
        known: the names that there are, whatever their values; by default those of a
            client, whose values are looked at too.

    Raises:
        TypeError: as for any unknown keyword argument.
        InvalidArgument: one cannot be used.
    """
    names = CHECKS.keys() if known is None else known
    for name, value in given.items():
        if name not in names:
            there = ", ".join(sorted(names))
            raise TypeError(f"{what} has no option {name!r}; it has: {there}")
        if known is None and value is not None:
            CHECKS[name](name, value)


def _check_session(name: str, value: object) -> None:
    # By what it does: aiohttp is imported in transport.py only, and tests and
    # tracers wrap sessions. A session of requests or httpx lacks this.
    if not callable(getattr(value, "ws_connect", None)):
        raise InvalidArgument(name, value, "give an aiohttp.ClientSession")


def _check_hooks(name: str, value: object) -> None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        remedy = "give an iterable of callables, such as hooks=(hook,)"
        raise InvalidArgument(name, value, remedy)


def collect_hooks(given: Iterable[Hook] | None) -> tuple[Hook, ...]:
    """
    Return the hooks that were given.

    Raises:
        InvalidArgument: one of them cannot be called.
    """
    # Not checked before: an iterator can be gone through only once.
    hooks = tuple(given or ())
    for hook in hooks:
        check_call("hooks", hook, "give callables, which take one value each")
    return hooks


def _check_origins(name: str, value: Any) -> None:
    # A text would be taken for a collection of letters.
    many = isinstance(value, Collection) and not isinstance(value, str | bytes)
    if not many or not all(isinstance(each, str) for each in value):
        remedy = "give a collection of origins, e.g. {'https://store.example'}"
        raise InvalidArgument(name, value, remedy)


CHECKS: Mapping[str, Callable[[str, Any], object]] = {
    "transport": partial(
        check_kind,
        kind=Transport,
        remedy="give a Transport; an aiohttp session goes to session=",
    ),
    "session": _check_session,
    "retry": partial(
        check_kind,
        kind=RetryPolicy,
        remedy="give a RetryPolicy, e.g. RetryPolicy(attempts=5)",
    ),
    "poll": partial(
        check_kind,
        kind=PollPolicy,
        remedy="give a PollPolicy, e.g. PollPolicy(wait_max=5)",
    ),
    "learn": partial(
        check_kind, kind=LearnedPolicy, remedy="give a LearnedPolicy, or None"
    ),
    "merge": check_flag,
    "attempt_timeout": check_seconds,
    "patience": check_seconds,
    "width": check_whole,
    "max_rate": check_rate,
    "max_response_bytes": check_whole,
    "cleanup": lambda _, value: check_cleanup(value),
    "on_cancel": check_policy,
    "on_timeout": check_policy,
    "trusted_origins": _check_origins,
    "allow_insecure": check_flag,
    "hooks": _check_hooks,
    "trace_context": partial(
        check_call, remedy="give a function that returns text, or None"
    ),
    "journal": partial(
        check_kind, kind=(str, os.PathLike), remedy="give the path of a file"
    ),
    "grace": check_seconds,
    "logger": partial(
        check_kind,
        kind=(logging.Logger, logging.LoggerAdapter),
        remedy="give a logger, e.g. logging.getLogger('mine')",
    ),
}
"""What each option must be, by its name."""


def _chosen(given: ClientOptions, name: str, default: Any) -> Any:
    """Return an option; its default where it is not given, or None."""
    value = given.get(name)
    return default if value is None else value


def build_limits(given: ClientOptions) -> Limits:
    """Build the bounds of one attempt."""
    limits = Limits()
    timeout = _chosen(given, "attempt_timeout", limits.attempt_timeout)
    size = _chosen(given, "max_response_bytes", limits.max_response_bytes)
    return Limits(attempt_timeout=float(timeout), max_response_bytes=size)


def build_manners(given: ClientOptions) -> Manners:
    """Build how a client treats its tasks."""
    return Manners(
        patience=float(_chosen(given, "patience", DAY)),
        cleanup=_chosen(given, "cleanup", "keep"),
        on_cancel=_chosen(given, "on_cancel", "leave"),
        on_timeout=_chosen(given, "on_timeout", "leave"),
        trace_context=_chosen(given, "trace_context", lambda: None),
    )


def normal_origins(given: Collection[str] | None) -> frozenset[str]:
    """Bring origins into the form in which they are compared."""
    return frozenset(split_base(url, "trusted_origins")[0] for url in given or ())
