"""The keyword arguments that every client takes, and what is built of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
import logging
import math
from typing import TYPE_CHECKING, TypedDict

import attrs

from .desk import Counts, Manners
from .driver import Limits
from .exceptions import InvalidArgument
from .handle import LEAVE, check_policy
from .hooks import Hook, Hooks
from .lanes import Lanes
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
    "normal_origins",
]

DAY = 24 * 3600.0


class ClientOptions(TypedDict, total=False):
    """The keyword arguments that every client takes."""

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

    cleanup: str
    """``"keep"`` (default), or ``"delete"``: remove a task from the service after
    its result was fetched. Nothing else ever removes a finished task."""

    on_cancel: str
    """What becomes of the remote task when ``result()`` is cancelled: ``"leave"``
    (default) or ``"cancel_remote"``."""

    on_timeout: str
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
        raise InvalidArgument("session", "…", "give a transport or a session, not both")
    learn = None if "poll" in given else LearnedPolicy()
    hooks = Hooks(given.get("hooks", ()), logger)
    return Hub(
        lanes=Lanes(
            transport or AiohttpTransport(session),
            width=_whole("width", given.get("width", 64)),
            max_rate=given.get("max_rate", math.inf),
        ),
        watcher=Watcher(
            policy=given.get("poll") or PollPolicy(),
            learn=given.get("learn", learn),
            merge=given.get("merge", True),
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
    known: Collection[str] = ClientOptions.__annotations__,
) -> None:
    """
    Refuse options that there are not; else a misspelt one would do nothing.

    Raises:
        TypeError: as for any unknown keyword argument.
    """
    for name in given:
        if name not in known:
            there = ", ".join(sorted(known))
            raise TypeError(f"{what} has no option {name!r}; it has: {there}")


def build_limits(given: ClientOptions) -> Limits:
    """Build the bounds of one attempt."""
    limits = Limits()
    timeout = given.get("attempt_timeout", limits.attempt_timeout)
    size = given.get("max_response_bytes", limits.max_response_bytes)
    return Limits(
        attempt_timeout=_seconds("attempt_timeout", timeout),
        max_response_bytes=_whole("max_response_bytes", size),
    )


def build_manners(given: ClientOptions) -> Manners:
    """Build how a client treats its tasks."""
    cleanup = given.get("cleanup", "keep")
    if cleanup not in {"keep", "delete"}:
        raise InvalidArgument("cleanup", cleanup, "choose keep or delete")
    return Manners(
        patience=_seconds("patience", given.get("patience", DAY)),
        cleanup=cleanup,
        on_cancel=check_policy("on_cancel", given.get("on_cancel", LEAVE)),
        on_timeout=check_policy("on_timeout", given.get("on_timeout", LEAVE)),
        trace_context=given.get("trace_context", lambda: None),
    )


def normal_origins(given: Collection[str]) -> frozenset[str]:
    """Bring origins into the form in which they are compared."""
    if isinstance(given, str):
        remedy = "give a collection of origins, e.g. {'https://store.example'}"
        raise InvalidArgument("trusted_origins", given, remedy)
    return frozenset(split_base(url, "trusted_origins")[0] for url in given)


def _seconds(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise InvalidArgument(name, value, "must be a finite number of seconds above 0")
    return float(value)


def _whole(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgument(name, value, "must be a whole number, 1 or more")
    return value
