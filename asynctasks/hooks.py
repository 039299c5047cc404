"""
What happens inside, told to callables: one frozen value per event.

``hooks=`` of a client is a tuple of callables. Each is called with each of the values
below, on the event loop, and must not block. One that raises is logged and does no
harm. No value holds credentials, headers, bodies or queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import logging
from typing import Union

import attrs

from .sansio.task import TaskRef, TaskStatus


__all__ = [
    "Details",
    "Hook",
    "Hooks",
    "RequestDetails",
    "ResultDetails",
    "RetryDetails",
    "StatusDetails",
    "SubmitDetails",
    "SubscriberDetails",
]


@attrs.frozen(kw_only=True)
class RequestDetails:
    """One attempt of a request is over."""

    origin: str
    method: str
    path: str
    """Without the query, which may hold what is not meant to be shown."""

    attempt: int
    """From 1."""

    seconds: float
    status: int | None = None
    """The HTTP status; None where no answer arrived."""

    received: int = 0
    """Bytes of the answer's body."""

    error: BaseException | None = None
    """Why no answer arrived; None too where the attempt was cancelled."""


@attrs.frozen(kw_only=True)
class RetryDetails:
    """A request will be sent again."""

    origin: str
    method: str
    path: str
    attempt: int
    """The number of the attempt that failed, from 1."""

    wait: float
    """Seconds until the next one."""

    reason: str
    """The class of the error, or the HTTP status."""


@attrs.frozen(kw_only=True)
class SubmitDetails:
    """A submit is over: the task was accepted, or it was not."""

    service: str
    seconds: float
    task: TaskRef | None = None
    token: str = ""
    status: TaskStatus | None = None
    """The first status, where the answer to the submit told it."""

    error: BaseException | None = None


@attrs.frozen(kw_only=True)
class StatusDetails:
    """
    The status of a watched task changed, or there will be no more news of it.

    What was known before, e.g. from the answer to the submit, is not told again.
    """

    task: TaskRef
    token: str
    status: TaskStatus | None
    before: TaskStatus | None
    error: BaseException | None = None


@attrs.frozen(kw_only=True)
class ResultDetails:
    """The result of a task was fetched, or could not be."""

    task: TaskRef
    token: str
    seconds: float
    received: int = 0
    """Bytes; 0 for a download to a file."""

    error: BaseException | None = None


@attrs.frozen(kw_only=True)
class SubscriberDetails:
    """Something happened to the subscriber transport."""

    event: str
    """``"started"``, ``"gap"`` (a full queue dropped an event), ``"callback"`` (one
    raised) or ``"closed"``."""

    error: BaseException | None = None


Details = Union[  # noqa: UP007 - evaluated at run time
    RequestDetails,
    RetryDetails,
    SubmitDetails,
    StatusDetails,
    ResultDetails,
    SubscriberDetails,
]

Hook = Callable[[Details], None]
"""Called with each event; ignores the kinds it does not know."""


class Hooks:
    """
    The hooks of one client; false where there are none.

    Test it before you build the details: unused hooks cost nothing else.

    Args:
        hooks: called in this order.
        logger: gets the errors of hooks.
    """

    def __init__(self, hooks: Iterable[Hook], logger: logging.Logger) -> None:
        self._hooks = tuple(hooks)
        self.logger = logger

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def tell(self, details: Details) -> None:
        """Call each hook; one that raises is logged."""
        for hook in self._hooks:
            try:
                hook(details)
            except Exception:
                self.logger.exception("a hook raised")
