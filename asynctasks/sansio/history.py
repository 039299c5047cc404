"""
When to look next, learned from how long a service's tasks took before.

Between two looks a task may end and nobody notices: that is lateness. Each look costs
a request. For a known distribution of durations, the looks that minimise expected
relative lateness plus a cost per look have, in logarithmic time u = ln t, the density
``sqrt(hazard(u) / (2 * cost))`` (optimal inspection schedules, with lateness weighed
by 1/t). The durations of one service are close to log-normal; its hazard has a closed
form. Pure: durations come in, waits come out.
"""

from __future__ import annotations

from collections import deque
import math

import attrs

from ..arguments import check_number, check_whole
from ..exceptions import InvalidArgument


__all__ = ["DurationHistory", "LearnedPolicy"]

STEP = 0.04
"""The step of the integration, in logarithmic time."""

FAR = -6.0
"""Where the integration starts, in standard deviations: nothing ends before."""

LONGEST = 1e9
"""Seconds, some thirty years: no task takes longer, and the integration is bounded."""

SQRT_2 = math.sqrt(2.0)
SQRT_2PI = math.sqrt(2.0 * math.pi)


@attrs.frozen(kw_only=True)
class LearnedPolicy:
    """How a learned schedule trades lateness against requests."""

    cost: float = 0.025
    """What a look costs, in units of relative lateness: 0.01 is eager, 0.03 frugal."""

    least: int = 5
    """Durations that must be known before the schedule is learned from them."""

    remembered: int = 100
    """Durations that are remembered per service."""

    stretch: float = 0.5
    """Once a task takes longer than most, a wait is at most this share of the time
    since its submit: a service that changed its habits must not starve its tasks."""

    first: float = 0.25
    """The first look comes at this share of the median at the latest: a task that
    fails at once must not go unnoticed."""

    shortest: float = 0.05
    """Seconds that a wait lasts at least."""

    def __attrs_post_init__(self) -> None:
        for name in ("cost", "stretch", "first", "shortest"):
            remedy = "must be a finite number above 0"
            check_number(name, getattr(self, name), lambda n: 0 < n < math.inf, remedy)
        check_whole("remembered", self.remembered)
        if not 2 <= self.least <= self.remembered:  # noqa: PLR2004 - a spread needs 2
            raise InvalidArgument("least", self.least, "must be 2 to *remembered*")


class DurationHistory:
    """
    The last durations of one service, and the schedule that follows from them.

    Args:
        policy: how to trade lateness against requests.
    """

    def __init__(self, policy: LearnedPolicy) -> None:
        self._policy = policy
        self._logs: deque[float] = deque(maxlen=policy.remembered)
        self._sum = 0.0
        self._squares = 0.0

    def __len__(self) -> int:
        return len(self._logs)

    def add(self, duration: float) -> None:
        """
        Remember how long a task took.

        Args:
            duration: seconds from its submit to its end; nonsense is passed over.
        """
        if not 0 <= duration <= LONGEST:
            return
        value = math.log(max(duration, 1e-3))
        if len(self._logs) == self._policy.remembered:
            oldest = self._logs[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._logs.append(value)
        self._sum += value
        self._squares += value * value

    @property
    def learned(self) -> bool:
        """Whether there is enough to learn from."""
        return len(self._logs) >= self._policy.least

    @property
    def median(self) -> float:
        """The median of the fitted distribution, in seconds."""
        return math.exp(self._sum / len(self._logs))

    @property
    def spread(self) -> float:
        """
        The standard deviation of the logarithms.

        Inflated while few durations are known, as a Student distribution is, and
        never so small that the schedule bets everything on one moment.
        """
        count = len(self._logs)
        mean = self._sum / count
        variance = max(0.0, self._squares / count - mean * mean)
        return max(0.1, math.sqrt(variance * (count + 1) / max(1, count - 1)))

    def next_wait(self, elapsed: float) -> float:
        """
        Return the seconds until the next look.

        Args:
            elapsed: seconds since the task was submitted.

        Needs :attr:`learned`.
        """
        policy = self._policy
        mean, spread = self._sum / len(self._logs), self.spread
        start = mean + FAR * spread
        if elapsed > 0:
            start = max(start, math.log(elapsed))
        target = math.exp(self._integrate(start, mean, spread))
        median = math.exp(mean)
        first = policy.first * median
        if elapsed < first:
            target = min(target, first)
        elif elapsed >= median:
            target = min(target, elapsed * (1 + policy.stretch))
        return max(policy.shortest, target - elapsed)

    def _integrate(self, u: float, mean: float, spread: float) -> float:
        """Go on from *u* until the density has summed up to one look."""
        left = 1.0
        end = u + math.log1p(self._policy.stretch) + spread * -FAR
        while u < end:
            z = (u + STEP / 2 - mean) / spread
            looks = math.sqrt(hazard(z) / spread / (2 * self._policy.cost))
            if looks * STEP >= left:
                return u + left / looks
            left -= looks * STEP
            u += STEP
        return u


def hazard(z: float) -> float:
    """Return the hazard of the standard normal distribution: density over tail."""
    if z > 6:  # noqa: PLR2004 - the tail is too small for erfc; its limit is near
        return z + 1 / z
    tail = 0.5 * math.erfc(z / SQRT_2)
    return math.exp(-z * z / 2) / SQRT_2PI / tail
