"""
Driving flows: every request of a client goes through here.

Each policy has one owner and one level::

    drive                        the flow: requests, sleeps, what they mean
      _send_handling_auth        renewal of credentials, redirects
        _send_handling_retries   attempts, waits, the clock of one request
          _send_once             the lane, one signed attempt of the transport

:meth:`Driver.open` goes the same way for an answer whose body is read piece by piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Generator
from contextlib import AsyncExitStack, asynccontextmanager
import logging
import random
from typing import Any, TypeVar

import attrs

from .exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    RemoteProtocolError,
    ResponseDecodeError,
    ResponseError,
    TransportError,
)
from .hooks import Hooks, RequestDetails, RetryDetails
from .lanes import Kind, Lanes
from .sansio.auth import Auth, Resolve
from .sansio.http import Request, Response, Sleep, body_replayable
from .sansio.retry import RetryPolicy, next_wait
from .sansio.secrecy import conceal_error, conceal_response
from .sansio.urls import origin_of, resolve_server_url
from .signer import Signer, fetch
from .transport import Download


__all__ = ["Driver", "Limits"]

T = TypeVar("T")

OK = 200
NO_CONTENT = 204
REDIRECTION = 300
UNAUTHORIZED = 401
TOO_MANY = 429
SERVER_FAULT = 500

REDIRECTS = frozenset({301, 302, 303, 307, 308})

SHORTEST = 0.001
"""Seconds of an attempt at least: a sleep may end late, and 0 would mean no end."""

SLEPT = Response(NO_CONTENT)
"""What a flow is sent after it slept."""


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of one attempt."""

    attempt_timeout: float = 30.0
    """Seconds for one attempt, unless the dialect knows the call to be slower."""

    max_response_bytes: int = 64 * 1024 * 1024
    """Bytes of an answer after decompression."""

    idle_timeout: float = 60.0
    """Seconds between two pieces of a download."""

    min_rate: float = 100.0
    """Bytes a second that a download must bring, measured over ``idle_timeout``."""


class Driver:
    """
    Drives the flows of one view of a client: one origin, one credential.

    Args:
        lanes: shared by all views of a client.
        origin: where requests with a path go.
        auth: how they are signed.
        retry: how often they are repeated.
        limits: the bounds of one attempt.
        trusted_origins: where a redirected result may be fetched, unsigned.
        hooks: told of attempts and retries; their logger gets a line per attempt at
            DEBUG, without queries and credentials.
        dice: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        lanes: Lanes,
        *,
        origin: str,
        auth: Auth,
        retry: RetryPolicy,
        limits: Limits,
        hooks: Hooks,
        trusted_origins: Collection[str] = (),
        dice: random.Random | None = None,
    ) -> None:
        self.lanes = lanes
        self.origin = origin
        self.auth = auth
        self.retry = retry
        self.limits = limits
        self.trusted_origins = frozenset(trusted_origins)
        self.hooks = hooks
        self.logger = hooks.logger
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not secrecy
        self._signer = Signer(auth, origin)

    async def drive(
        self,
        flow: Generator[Request | Sleep | Resolve, Any, T],
        *,
        kind: Kind = Kind.ADMIN,
        retry: RetryPolicy | None = None,
    ) -> T:
        """
        Hold the conversation and return what it means.

        Args:
            flow: of a dialect.
            kind: which lane its requests take.
            retry: instead of the driver's own policy.

        Raises:
            AsyncTasksError: what the flow raises, with the request it was about, and
                without the secrets that an answer quoted.
            InvalidState: the client is closed, or belongs to another loop.
        """
        self.lanes.check()
        policy = self.retry if retry is None else retry
        request: Request | None = None
        try:
            step = next(flow)
            while True:
                if not isinstance(step, Request):
                    step = flow.send(await self._answer(step))
                    continue
                request = step
                try:
                    answer = await self._send_handling_auth(request, kind, policy)
                except TransportError as exc:
                    step = flow.throw(exc)
                else:
                    step = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except (TransportError, ResponseError, RemoteProtocolError) as exc:
            self._complete(exc, request)
            raise
        finally:
            flow.close()

    async def _answer(self, step: Sleep | Resolve) -> Any:
        """Do what a flow wants that is no request."""
        if isinstance(step, Resolve):
            return await fetch(step.source)
        await self.lanes.transport.sleep(step.seconds)
        return SLEPT

    def _complete(
        self,
        exc: TransportError | ResponseError | RemoteProtocolError,
        request: Request | None,
    ) -> None:
        """Let an error say what it is about, and nothing that is secret."""
        if request is None:
            return
        if exc.request is None:
            exc.request = request.redacted()
        conceal_error(exc, self._signer.secrets(request))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Download]:
        """
        Send a request whose answer is streamed, and hold it open.

        The lane is not held while the body is read: downloads are bounded by their
        caller. The head is fetched as any other answer is, retries included.
        """
        self.lanes.check()
        try:
            async with AsyncExitStack() as stack:
                head = await self._send_handling_auth(
                    request, Kind.RESULT, self.retry, stack
                )
                yield Download(head, head.reader)
        except (TransportError, ResponseError, RemoteProtocolError) as exc:
            self._complete(exc, request)
            raise

    async def see_to_credential(self) -> None:
        """
        Renew the credential if it is due; requests do it by themselves.

        Raises:
            AsyncTasksError: no credential could be obtained.
        """
        if self.auth.due(asyncio.get_running_loop().time()):
            await self._signer.renew(self.auth.generation, self.drive)

    # --- credentials and redirects -------------------------------------------

    async def _send_handling_auth(
        self,
        request: Request,
        kind: Kind,
        policy: RetryPolicy,
        stack: AsyncExitStack | None = None,
    ) -> Response:
        """
        See to the credential; where the service refuses it, renew it and try again.

        Args:
            request: not signed yet.
            kind: which lane it takes.
            policy: how often it is repeated.
            stack: holds the answer open, whose body is then to be read from its
                ``reader``; None to have it read.
        """
        signed = not request.anonymous
        if signed and self.auth.due(asyncio.get_running_loop().time()):
            await self._signer.renew(self.auth.generation, self.drive)
        seen = self.auth.generation
        response = await self._send_handling_retries(request, kind, policy, stack)
        if response.status == UNAUTHORIZED and signed and self.auth.renewable:
            replayable = body_replayable(request.body)
            if replayable:
                await _let_go(stack)  # the renewal may need its connection
            await self._signer.renew(seen, self.drive)
            if replayable:
                response = await self._send_handling_retries(
                    request, kind, policy, stack
                )
        if request.follow and response.status in REDIRECTS:
            target = self._redirected(request, response)
            if target is not None:
                await _let_go(stack)
                return await self._send_handling_auth(target, kind, policy, stack)
        return response

    def _redirected(self, request: Request, response: Response) -> Request | None:
        """
        Return the request that a redirect means, if it says where to.

        It may not be redirected again, and is not signed for another origin.
        """
        location = response.headers.get("Location")
        if location is None:
            return None
        base = self._signer.absolute(request.url)
        url = resolve_server_url(base, location, self.trusted_origins)
        foreign = origin_of(url) != self.origin
        return attrs.evolve(
            request, url=url, follow=False, anonymous=request.anonymous or foreign
        )

    # --- attempts ------------------------------------------------------------

    async def _send_handling_retries(
        self,
        request: Request,
        kind: Kind,
        policy: RetryPolicy,
        stack: AsyncExitStack | None,
    ) -> Response:
        """Repeat the request where that is harmless and may help."""
        clock = asyncio.get_running_loop().time
        begun = now = clock()
        attempt, paid = 1, 0.0
        while True:
            outcome: Response | AsyncTasksError
            wrong: AsyncTasksError | None = None
            if not self.lanes.try_enter(kind):
                begun += await self._enter(kind, request)
                now = clock()
            timeout = self._attempt_timeout(request, policy, now - begun)
            try:
                outcome = await self._send_once(
                    request, kind, timeout, attempt, now, stack
                )
            except TransportError as exc:
                outcome = exc
            else:
                wrong = _undecodable(outcome) if request.expect_json else None
                if outcome.status == OK and wrong is None:
                    return self._delivered(outcome, attempt, paid)
            again = self._retry(policy, request, wrong or outcome, attempt, begun)
            if again is None:
                break
            wait, paid = again
            await _let_go(stack)
            await self.lanes.transport.sleep(wait)
            now = clock()
            attempt += 1
        if isinstance(outcome, AsyncTasksError):
            outcome.attempts = attempt
            raise outcome
        return self._delivered(outcome, attempt, None if wrong else paid)

    async def _enter(self, kind: Kind, request: Request) -> float:
        """
        Take a place in a lane; return the seconds that it was waited for.

        Waiting for a place of our own making is not the request's time.
        """
        clock = asyncio.get_running_loop().time
        waiting = clock()
        await self.lanes.enter(kind, request)
        return clock() - waiting

    def _delivered(
        self, response: Response, attempt: int, paid: float | None
    ) -> Response:
        """Take in an answer that stands; *paid* is None where it is no success."""
        healthy = response.status < SERVER_FAULT and response.status != TOO_MANY
        if healthy and paid is not None:
            self.lanes.budget.earn(paid)
        return response if attempt == 1 else attrs.evolve(response, attempts=attempt)

    def _retry(
        self,
        policy: RetryPolicy,
        request: Request,
        outcome: Response | AsyncTasksError,
        attempt: int,
        begun: float,
    ) -> tuple[float, float] | None:
        """Return the seconds until the next attempt and its price; or None."""
        wait = next_wait(
            policy,
            request,
            outcome,
            attempt=attempt,
            elapsed=asyncio.get_running_loop().time() - begun,
            dice=self._dice.random(),
        )
        if wait is None:
            return None
        answered = isinstance(outcome, Response)
        throttled = answered and outcome.status == TOO_MANY
        paid = self.lanes.budget.spend(throttled=throttled)
        if not paid:
            self.logger.warning("%s: too many retries; no more", request.describe())
            return None
        reason = str(outcome.status) if answered else type(outcome).__name__
        self._tell_retry(request, attempt, wait, reason)
        return wait, paid

    def _tell_retry(
        self, request: Request, attempt: int, wait: float, reason: str
    ) -> None:
        self.logger.info(
            "%s: %s; attempt %d follows in %.2f s",
            request.describe(),
            reason,
            attempt + 1,
            wait,
        )
        if self.hooks:
            self.hooks.tell(
                RetryDetails(
                    origin=self.origin,
                    method=request.method,
                    path=request.path,
                    attempt=attempt,
                    wait=wait,
                    reason=reason,
                )
            )

    def _attempt_timeout(
        self, request: Request, policy: RetryPolicy, elapsed: float
    ) -> float:
        """Return the seconds for the next attempt."""
        if request.attempt_timeout is not None:
            return request.attempt_timeout
        left = policy.timeout - elapsed
        return min(self.limits.attempt_timeout, max(left, SHORTEST))

    async def _send_once(
        self,
        request: Request,
        kind: Kind,
        timeout: float,
        attempt: int,
        now: float,
        stack: AsyncExitStack | None,
    ) -> Response:
        """Make one attempt, for which there is a place, and give the place back."""
        outcome: Response | AsyncTasksError | None = None
        talks = self._talks
        if talks:
            self.logger.debug("> %s", request.describe())
        try:
            signed = self._signer.sign(request)
            if stack is None:
                outcome = await self.lanes.transport.send(
                    signed, timeout=timeout, max_bytes=self.limits.max_response_bytes
                )
            else:
                outcome = await self._open_once(signed, timeout, stack)
            if outcome.status >= REDIRECTION:  # a success is the caller's own
                outcome = conceal_response(outcome, self._signer.secrets(request))
        except AsyncTasksError as exc:
            outcome = exc
            conceal_error(exc, self._signer.secrets(request))
            raise
        else:
            return outcome
        finally:
            self.lanes.leave(
                kind, outcome, sent_at=now, pause_max=self.retry.retry_after_max
            )
            if talks:
                self._tell_attempt(request, outcome, attempt, now)

    async def _open_once(
        self, request: Request, timeout: float, stack: AsyncExitStack
    ) -> Response:
        """Make one attempt up to the head, whose ``reader`` is the body to come."""
        opening = self.lanes.transport.open(
            request, timeout=timeout, idle=self.limits.idle_timeout
        )
        download = await stack.enter_async_context(opening)
        return attrs.evolve(download.head, reader=self._paced(download.chunks, request))

    async def _paced(
        self, chunks: AsyncIterator[bytes], request: Request
    ) -> AsyncIterator[bytes]:
        """
        Give a body up that crawls: slower than a rate, over a whole idle time.

        Only the time in which a piece is waited for counts, not what the reader does.
        """
        clock = asyncio.get_running_loop().time
        asked, waited, received = clock(), 0.0, 0
        async for chunk in chunks:
            waited += clock() - asked
            received += len(chunk)
            if waited >= self.limits.idle_timeout:
                if received < self.limits.min_rate * waited:
                    rate = f"less than {self.limits.min_rate:,.0f} bytes a second"
                    raise AttemptTimeout(
                        f"the answer crawls: {rate}", request.redacted()
                    )
                waited, received = 0.0, 0
            yield chunk
            asked = clock()

    @property
    def _talks(self) -> bool:
        """Whether anybody wants to hear of attempts."""
        return bool(self.hooks) or self.logger.isEnabledFor(logging.DEBUG)

    def _tell_attempt(
        self,
        request: Request,
        outcome: Response | AsyncTasksError | None,
        attempt: int,
        sent_at: float,
    ) -> None:
        seconds = asyncio.get_running_loop().time() - sent_at
        answer = outcome if isinstance(outcome, Response) else None
        error = outcome if isinstance(outcome, AsyncTasksError) else None
        details = RequestDetails(
            origin=self.origin,
            method=request.method,
            path=request.path,
            attempt=attempt,
            seconds=seconds,
            status=answer.status if answer is not None else None,
            received=len(answer.body) if answer is not None else 0,
            error=error,
        )
        said = details.status or type(outcome).__name__
        what = f"{request.describe()} ({details.received} bytes)"
        self.logger.debug("< %s %s in %.3f s", said, what, seconds)
        self.hooks.tell(details)


async def _let_go(stack: AsyncExitStack | None) -> None:
    """Close what was opened for an answer that does not stand."""
    if stack is not None:
        await stack.aclose()


def _undecodable(response: Response) -> ResponseDecodeError | None:
    """Return the error of a success that must be JSON and is not, e.g. cut off."""
    if response.status >= REDIRECTION or response.status == NO_CONTENT:
        return None
    try:
        response.json()
    except ResponseDecodeError as exc:
        return exc
    except RemoteProtocolError:
        return None  # a page of HTML stays one
    return None
