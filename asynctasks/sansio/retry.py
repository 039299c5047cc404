"""
When a request is sent again, and when that would be wrong.

Pure: the caller brings the clock (``elapsed``) and the dice (a number from 0 to 1).
What may be repeated follows from what was sent, never from hope: a request that may
have arrived is repeated only if its dialect says that repeating it is harmless.
"""

from __future__ import annotations

from typing import TypeGuard

import attrs

from .http import Request, Response, body_replayable
from ..exceptions import (
    AsyncTasksError,
    InvalidArgument,
    RemoteProtocolError,
    ServiceBroken,
    TransportError,
)


__all__ = [
    "NO_RETRY",
    "RetryPolicy",
    "backoff",
    "may_repeat",
    "next_wait",
    "outcome_unknown",
]

REPEATABLE_STATUSES = frozenset({408, 425, 500, 502, 503, 504})
"""Refusals that may pass, for requests whose repetition is harmless."""

REFUSED_UNPROCESSED = 429
"""The service says that it did not look at the request: any may be repeated."""

GATEWAY_LOST_THE_ANSWER = frozenset({502, 504})
"""A gateway speaks: whether the service behind it got the request is not known."""

REDIRECTION = 300
"""Below it a status means success."""

LONGEST = 1e9
"""Seconds, some thirty years: beyond that, arithmetic may end in infinity."""

MAX_EXP_BASE = 1000
"""Of the waits; with :data:`MAX_EXPONENT` and :data:`LONGEST` they stay finite."""

MAX_EXPONENT = 64
"""Attempts after which waits grow no more, however far away ``wait_max`` is."""


def _seconds(_: object, field: attrs.Attribute[float], value: object) -> None:
    if not (_is_number(value) and 0 <= value <= LONGEST):
        raise InvalidArgument(field.name, value, "must be a finite number, 0 or more")


def _above_zero(_: object, field: attrs.Attribute[float], value: float) -> None:
    if value == 0:
        raise InvalidArgument(field.name, value, "must be a number above 0")


def _exp_base(_: object, field: attrs.Attribute[float], value: object) -> None:
    if not (_is_number(value) and 0 < value <= MAX_EXP_BASE):
        remedy = f"must be a number above 0, at most {MAX_EXP_BASE}"
        raise InvalidArgument(field.name, value, remedy)


def _attempts(_: object, field: attrs.Attribute[int], value: object) -> None:
    if not (_is_number(value) and isinstance(value, int) and value >= 1):
        raise InvalidArgument(field.name, value, "must be a whole number, 1 or more")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """
    How often, how long and how patiently one request is repeated.

    The wait before attempt *n + 1* is ``wait_initial * wait_exp_base**(n - 1)`` plus
    a random part of ``wait_jitter``, at most ``wait_max`` seconds; a ``Retry-After``
    of the service replaces it where it is longer.
    """

    attempts: int = attrs.field(default=10, validator=_attempts)
    """How often a request is sent at most."""

    timeout: float = attrs.field(default=45.0, validator=[_seconds, _above_zero])
    """Seconds for one request with all its retries; it bounds the last attempt."""

    wait_initial: float = attrs.field(default=0.1, validator=_seconds)
    wait_max: float = attrs.field(default=5.0, validator=_seconds)
    wait_jitter: float = attrs.field(default=1.0, validator=_seconds)
    wait_exp_base: float = attrs.field(default=2.0, validator=_exp_base)
    retry_after_max: float = attrs.field(default=120.0, validator=_seconds)
    """Seconds of ``Retry-After`` that are obeyed; beyond, ``RateLimited`` is raised."""


NO_RETRY = RetryPolicy(attempts=1)
"""One attempt; the watcher's polls use it, because their schedule is their retry."""


def backoff(policy: RetryPolicy, attempt: int, dice: float) -> float:
    """
    Return the seconds to wait after the given attempt.

    Args:
        policy: how patiently.
        attempt: the number of the attempt that failed, from 1.
        dice: a random number from 0 to 1.
    """
    growth = policy.wait_exp_base ** min(attempt - 1, MAX_EXPONENT)
    grown = policy.wait_initial * growth
    return min(policy.wait_max, grown + dice * policy.wait_jitter)


def may_repeat(request: Request, outcome: Response | AsyncTasksError) -> bool:
    """Tell whether sending the request again is harmless and may help."""
    if isinstance(outcome, TransportError) and not outcome.sent:
        return outcome.retryable
    if not body_replayable(request.body):
        return False
    if isinstance(outcome, AsyncTasksError):
        return outcome.retryable and request.replayable
    if outcome.status == REFUSED_UNPROCESSED:
        return True
    passing = REPEATABLE_STATUSES - request.final
    return request.replayable and outcome.status in passing


def next_wait(
    policy: RetryPolicy,
    request: Request,
    outcome: Response | AsyncTasksError,
    *,
    attempt: int,
    elapsed: float,
    dice: float,
) -> float | None:
    """
    Decide what follows an attempt.

    Args:
        policy: how often and how long.
        request: what was sent.
        outcome: its answer, or the error instead of one.
        attempt: the number of the attempt, from 1.
        elapsed: seconds since the first attempt began.
        dice: a random number from 0 to 1.

    Returns:
        The seconds to wait before the next attempt; None when there is none and
        the outcome stands.
    """
    if attempt >= policy.attempts or not may_repeat(request, outcome):
        return None
    wait = backoff(policy, attempt, dice)
    asked = outcome.retry_after if isinstance(outcome, Response) else None
    if asked is not None:
        if asked > policy.retry_after_max:
            return None
        wait = max(wait, asked)
    return wait if elapsed + wait < policy.timeout else None


def outcome_unknown(error: AsyncTasksError) -> bool:
    """
    Tell whether a submit that ended with this error may have been accepted.

    So it is when something was sent and no answer came, when a gateway lost the
    answer, and when a success arrived that cannot be read.
    """
    if not error.sent:
        return False
    if isinstance(error, TransportError):
        return True
    if isinstance(error, ServiceBroken):
        return error.status in GATEWAY_LOST_THE_ANSWER
    if isinstance(error, RemoteProtocolError):
        return error.status is None or error.status < REDIRECTION
    return False
