"""
Who may send now: lanes by kind of request, and the moods of the service.

Each kind of request has a lane of its own, so that a flood of one starves no other. A
lane narrows when the service refuses because of too many requests, and widens again
while it accepts. A pause that the service asks for, a rate that the user sets, and an
outage hold for all lanes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
import enum
import math

from .exceptions import (
    AsyncTasksError,
    ConnectError,
    InvalidState,
    RemoteProtocolError,
    TransportError,
)
from .sansio.http import Request, Response
from .sansio.limits import AdaptiveLimit, Outage, Pause, RetryBudget, TokenBucket
from .transport import Transport


__all__ = ["Kind", "Lane", "Lanes"]

BAD = 400
"""Statuses from here on are looked at."""

TOO_MANY = 429
UNAVAILABLE = 503


class Kind(enum.StrEnum):
    """What a request is for."""

    SUBMIT = "submit"
    POLL = "poll"
    RESULT = "result"
    ADMIN = "admin"
    """Everything else: lists, cancels, deletes, renewals of credentials."""


SHARES: Mapping[Kind, float] = {
    Kind.SUBMIT: 0.25,
    Kind.POLL: 0.375,
    Kind.RESULT: 0.25,
    Kind.ADMIN: 0.125,
}
"""The part of a client's width that each lane has."""


class Lane:
    """
    Lets so many requests run at the same time; the others wait in order.

    Args:
        width: requests at most.
    """

    def __init__(self, width: int) -> None:
        self.limit = AdaptiveLimit(width)
        self.running = 0
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    async def enter(self) -> None:
        """Wait for a place and take it."""
        if self.running < self.limit.limit and not self._waiting:
            self.running += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = None
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.leave()  # it was given to us in the very moment we gave up
            else:
                # It is gone already if a place became free in this very moment.
                self._waiting.pop(place, None)
            raise

    def leave(self) -> None:
        """Give a place back; whoever has waited longest gets it."""
        self.running -= 1
        if self._waiting:
            self.admit()

    def admit(self) -> None:
        """Let those in for whom there is room."""
        while self._waiting and self.running < self.limit.limit:
            place, _ = self._waiting.popitem(last=False)
            if not place.done():
                self.running += 1
                place.set_result(None)


class Lanes:
    """
    What several views of one client share: the transport, and who may use it.

    Args:
        transport: what moves the bytes.
        width: requests at the same time, over all lanes. More make each of them
            dearer.
        max_rate: requests a second at most, over all lanes.
    """

    def __init__(
        self, transport: Transport, *, width: int = 64, max_rate: float = math.inf
    ) -> None:
        self.transport = transport
        self.closed = False
        self.pause = Pause()
        self.budget = RetryBudget()
        self.outage = Outage()
        self.lanes = {
            kind: Lane(max(1, round(width * share))) for kind, share in SHARES.items()
        }
        self.rated = 0.0
        """Seconds that requests have waited for the rate, in all."""

        self._bucket = TokenBucket(max_rate)
        self._rated = not math.isinf(max_rate)
        self._reached = True
        self._calm = not self._rated
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> asyncio.AbstractEventLoop:
        """
        Return the running loop, which is the client's loop from its first use on.

        Raises:
            InvalidState: the client is closed, or belongs to another loop.
        """
        loop = asyncio.get_running_loop()
        if self.closed:
            raise InvalidState("the client is closed; make a new one")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise InvalidState(
                "the client belongs to another event loop; make one client per loop"
            )
        return loop

    def try_enter(self, kind: Kind) -> bool:
        """Take a place at once, if nothing at all speaks against it."""
        lane = self.lanes[kind]
        if lane.waiting or lane.running >= lane.limit.limit:
            return False
        if not self._calm and self._restless():
            return False
        lane.running += 1
        return True

    async def enter(self, kind: Kind, request: Request) -> None:
        """
        Wait for a place in a lane and take it; :meth:`leave` gives it back.

        Raises:
            ConnectError: the service is unreachable and somebody else is probing.
        """
        lane = self.lanes[kind]
        await lane.enter()
        try:
            await self._wait_for_turn()
            self._check_outage(request)
        except BaseException:
            lane.leave()
            raise

    def _restless(self) -> bool:
        """
        Tell whether there is a pause, a rate or an outage to look after.

        If not, and the service was reached, that is remembered until there is one
        again: it is asked for every request.
        """
        if self._rated or self.outage.on:
            return True
        if self.pause.asked and self.pause.left(asyncio.get_running_loop().time()) > 0:
            return True
        self._calm = self._reached
        return False

    def hold(self, seconds: float, now: float) -> None:
        """Let nothing go for some seconds: the service asked for a pause."""
        self.pause.ask(seconds, now)
        self._calm = False

    def _check_outage(self, request: Request) -> None:
        if not self.outage.admit():
            raise ConnectError(OUTAGE, request.redacted())

    async def _wait_for_turn(self) -> None:
        """Wait until the service wants requests and the rate allows one."""
        if not self._restless():
            return
        loop = asyncio.get_running_loop()
        async with self._turn:  # in order
            while True:
                # Both anew each time: a pause may be asked for, or prolonged, while
                # somebody waits for the rate.
                paused = self.pause.left(loop.time())
                wait = paused or self._bucket.take(loop.time())
                if wait <= 0:
                    return
                if not paused:
                    self.rated += wait
                await asyncio.sleep(wait)

    def leave(
        self,
        kind: Kind,
        outcome: Response | AsyncTasksError | None,
        *,
        sent_at: float,
        pause_max: float,
    ) -> None:
        """
        Give a place back, and take in how the attempt went.

        Args:
            kind: of the request.
            outcome: the answer or the error; None for an attempt that was given up.
            sent_at: when it began, on the loop's clock.
            pause_max: seconds of a pause that are obeyed.
        """
        lane = self.lanes[kind]
        if not self._calm or not isinstance(outcome, Response) or outcome.status >= BAD:
            self._take_in(lane, outcome, sent_at, pause_max)
        else:
            lane.limit.succeeded()
        lane.leave()

    def _take_in(
        self,
        lane: Lane,
        outcome: Response | AsyncTasksError | None,
        sent_at: float,
        pause_max: float,
    ) -> None:
        """Learn from how an attempt went."""
        if isinstance(outcome, Response):
            self._answered(lane, outcome, sent_at, pause_max)
        elif isinstance(outcome, TransportError) and outcome.retryable:
            now = asyncio.get_running_loop().time()
            self.outage.unreached(sent_at=sent_at, now=now)
            self._reached = self._calm = False
        elif isinstance(outcome, TransportError | RemoteProtocolError):
            self._reach()
        else:
            self.outage.abandoned(sent_at=sent_at)

    def _reach(self) -> None:
        self.outage.reached()
        self._reached = True

    def _answered(
        self, lane: Lane, response: Response, sent_at: float, pause_max: float
    ) -> None:
        self._reach()
        if response.status not in {TOO_MANY, UNAVAILABLE}:
            lane.limit.succeeded()
            return
        now = asyncio.get_running_loop().time()
        asked = response.retry_after
        if asked is not None and asked <= pause_max:
            self.hold(asked, now)
        if response.status == TOO_MANY:
            lane.limit.refused(sent_at=sent_at, now=now)


OUTAGE = "the service is unreachable; one request at a time tries to reach it"
