"""
How many requests, how fast, and when none at all.

Pure: time comes in as ``now`` (seconds on the event loop's clock), and what comes out
is a number of seconds to wait. The driver and the watcher do the waiting.
"""

from __future__ import annotations

import math

import attrs

from ..exceptions import InvalidArgument


__all__ = ["AdaptiveLimit", "Outage", "Pause", "RetryBudget", "TokenBucket"]


WHOLE = 1 - 1e-9
"""One token, as far as sums of floats can tell."""


class TokenBucket:
    """
    A rate: so many requests a second on average, with short bursts.

    Args:
        rate: requests a second; ``math.inf`` for no limit.
        burst: requests that may come at once after a quiet time; None for those of a
            tenth of a second, and at least one.
    """

    def __init__(self, rate: float, *, burst: float | None = None) -> None:
        if not rate > 0:
            raise InvalidArgument("max_rate", rate, "must be above 0 requests a second")
        self.rate = rate
        self.burst = max(1.0, rate / 10 if burst is None else burst)
        self._tokens = self.burst
        self._at = 0.0

    def take(self, now: float) -> float:
        """
        Take one token.

        Returns:
            0.0 if there was one; else the seconds until there is one, and none is
            taken.
        """
        if math.isinf(self.rate):
            return 0.0
        passed = max(0.0, now - self._at)
        self._tokens = min(self.burst, self._tokens + passed * self.rate)
        self._at = max(self._at, now)
        if self._tokens >= WHOLE:
            self._tokens = max(0.0, self._tokens - 1)
            return 0.0
        return (1 - self._tokens) / self.rate


class AdaptiveLimit:
    """
    How many requests may run at once: more while it works, fewer when it does not.

    Additive increase, multiplicative decrease, as TCP does: each success adds
    ``1 / limit``, a refusal halves the limit. Refusals of requests that were sent
    before the last decrease do not count again.

    Args:
        most: the limit that is never passed, and the one to begin with.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise InvalidArgument("width", most, "must be 1 or more")
        self.most = most
        self._limit = float(most)
        self._decreased_at = -math.inf

    @property
    def limit(self) -> int:
        """Requests that may run at the same time now."""
        return max(1, int(self._limit))

    def succeeded(self) -> None:
        """Count an answer that was no refusal."""
        if self._limit < self.most:
            self._limit = min(self.most, self._limit + 1 / self._limit)

    def refused(self, *, sent_at: float, now: float) -> None:
        """
        Count a refusal because of too many requests or jobs.

        Args:
            sent_at: when the request was sent, seconds on the loop's clock.
            now: when the refusal came, on the same clock.
        """
        if sent_at > self._decreased_at:  # in the same moment: of the same wave
            self._limit = max(1.0, self._limit / 2)
            self._decreased_at = now


class Pause:
    """The pause that a service asked for; it holds for all requests to it."""

    def __init__(self) -> None:
        self._until = -math.inf

    def ask(self, seconds: float, now: float) -> None:
        """Take a wish for a pause; the longest one counts."""
        self._until = max(self._until, now + seconds)

    @property
    def asked(self) -> bool:
        """Whether a pause was ever asked for: if not, no clock has to be read."""
        return self._until > -math.inf

    def left(self, now: float) -> float:
        """Return the seconds until requests are welcome again; 0.0 if they are."""
        return max(0.0, self._until - now)


@attrs.define
class RetryBudget:
    """
    Retries that a service may be burdened with; a storm of them empties it.

    The numbers are those of botocore's standard mode: a retry costs 14 tokens, one
    after a refusal of too many requests 5; a success brings back what the last retry
    before it cost, or 1 where there was none.
    """

    most: float = 500.0
    tokens: float = attrs.field(init=False)

    COST = 14.0
    THROTTLED = 5.0

    @tokens.default
    def _full(self) -> float:
        return self.most

    def spend(self, *, throttled: bool) -> float:
        """Pay for a retry; return its price, or 0.0 where there is not enough."""
        cost = self.THROTTLED if throttled else self.COST
        if self.tokens < cost:
            return 0.0
        self.tokens -= cost
        return cost

    def earn(self, paid: float = 0.0) -> None:
        """Take in a success; *paid* is the price of the retry before it, if any."""
        self.tokens = min(self.most, self.tokens + (paid or 1.0))


class Outage:
    """
    Whether a service is reachable; while it is not, one request at a time probes it.

    Args:
        after: failures to reach it, in a row, that make an outage.
    """

    def __init__(self, *, after: int = 20) -> None:
        self._after = after
        self._failures = 0
        self._began = -math.inf
        self._probing = False

    @property
    def on(self) -> bool:
        """Whether the service counts as unreachable."""
        return self._failures >= self._after

    def admit(self) -> bool:
        """Tell whether a request may go now; one that may is the probe."""
        if not self.on:
            return True
        if self._probing:
            return False
        self._probing = True
        return True

    def reached(self) -> None:
        """Count an answer of whatever kind: the service is there."""
        self._failures = 0
        self._probing = False

    def unreached(self, *, sent_at: float, now: float) -> None:
        """Count a failure to get any answer."""
        self._failures += 1
        if self._failures == self._after:
            self._began = now
        else:
            self.abandoned(sent_at=sent_at)

    def abandoned(self, *, sent_at: float) -> None:
        """Count a request that was cancelled: it says nothing, but probes no more."""
        if sent_at >= self._began:  # one that was sent before was not the probe
            self._probing = False
