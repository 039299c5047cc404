"""
Driving flows: every request of a client goes through here.

Each policy has one owner and one level::

    drive                        the flow: requests, sleeps, what they mean
      _send_handling_auth        signing, renewal of credentials
        _send_handling_retries   attempts, waits, the clock of one request
          _send_once             the lane, one attempt of the transport
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
import inspect
import logging
import random
from typing import TypeVar
from urllib.parse import urljoin

import attrs

from .exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    InvalidArgument,
    InvalidState,
    RemoteProtocolError,
    ResponseDecodeError,
    ResponseError,
    TransportError,
)
from .hooks import Hooks, RequestDetails, RetryDetails
from .lanes import Kind, Lanes
from .sansio.auth import Auth, Resolve
from .sansio.http import Flow, Headers, Request, Response, Sleep, body_replayable
from .sansio.retry import RetryPolicy, may_repeat, next_wait
from .sansio.urls import origin_of, resolve_server_url
from .transport import Download


__all__ = ["Driver", "Limits"]

T = TypeVar("T")

OK = 200
UNAUTHORIZED = 401
TOO_MANY = 429
SERVER_FAULT = 500

REDIRECTS = frozenset({301, 302, 303, 307, 308})

KEPT = 64
"""Headers whose signed form is kept; those that dialects use are few."""

SHORTEST = 0.001
"""Seconds of an attempt at least: a sleep may end late, and 0 would mean no end."""

SLEPT = Response(204)
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
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._refusal: BaseException | None = None
        self._extra: Mapping[str, str] = {}
        self._kept: dict[int, tuple[Headers, Headers]] = {}

    async def drive(
        self,
        flow: Flow[T],
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
            AsyncTasksError: what the flow raises, with the request it was about.
            InvalidState: the client is closed, or belongs to another loop.
        """
        self.lanes.check()
        policy = self.retry if retry is None else retry
        request: Request | None = None
        try:
            step = next(flow)
            while True:
                if isinstance(step, Sleep):
                    await self.lanes.transport.sleep(step.seconds)
                    step = flow.send(SLEPT)
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
            _name_request(exc, request)
            raise
        finally:
            flow.close()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Download]:
        """
        Send a request whose answer is streamed, and hold it open.

        The lane is not held while the body is read: downloads are bounded by their
        caller. The head is fetched as any other answer is, retries included.
        """
        self.lanes.check()
        try:
            async with self._opened(request) as download:
                target = self._redirected(request, download.head)
                if target is None:
                    yield download
                    return
            async with self._opened(target) as download:
                yield download
        except (ResponseError, RemoteProtocolError) as exc:
            _name_request(exc, request)
            raise

    @asynccontextmanager
    async def _opened(self, request: Request) -> AsyncIterator[Download]:
        async with AsyncExitStack() as stack:
            yield await self._open_handling_auth(request, stack)

    async def _open_handling_auth(
        self, request: Request, stack: AsyncExitStack
    ) -> Download:
        if not request.anonymous:
            await self.see_to_credential()
        seen = self.auth.generation
        download = await self._open_handling_retries(request, stack)
        refused = download.head.status == UNAUTHORIZED
        if refused and await self._renewed(request, seen):
            await stack.aclose()
            download = await self._open_handling_retries(request, stack)
        return download

    async def _open_handling_retries(
        self, request: Request, stack: AsyncExitStack
    ) -> Download:
        begun = asyncio.get_running_loop().time()
        attempt = 1
        while True:
            outcome: Response | AsyncTasksError
            begun += await self._enter(Kind.RESULT, request)
            elapsed = asyncio.get_running_loop().time() - begun
            timeout = self._attempt_timeout(request, self.retry, elapsed)
            try:
                download = await self._open_once(request, stack, timeout, attempt)
                outcome = download.head
            except TransportError as exc:
                outcome = exc
            wait = self._wait(self.retry, request, outcome, attempt, begun)
            if wait is None:
                if isinstance(outcome, Response):
                    head = self._delivered(outcome, attempt)
                    return attrs.evolve(download, head=head)
                outcome.attempts = attempt
                raise outcome
            await stack.aclose()
            await self.lanes.transport.sleep(wait)
            attempt += 1

    async def _open_once(
        self, request: Request, stack: AsyncExitStack, timeout: float, attempt: int
    ) -> Download:
        """Make one attempt up to the head; the lane is left before the body."""
        outcome: Response | AsyncTasksError | None = None
        now = asyncio.get_running_loop().time()
        try:
            opening = self.lanes.transport.open(
                self._signed(request), timeout=timeout, idle=self.limits.idle_timeout
            )
            download = await stack.enter_async_context(opening)
            outcome = download.head
        except AsyncTasksError as exc:
            outcome = exc
            raise
        finally:
            self.lanes.leave(
                Kind.RESULT, outcome, sent_at=now, pause_max=self.retry.retry_after_max
            )
            if self._talks:
                self._tell_attempt(request, outcome, attempt, now)
        return attrs.evolve(download, chunks=self._paced(download.chunks, request))

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

    # --- redirects and credentials -------------------------------------------

    async def _send_handling_auth(
        self, request: Request, kind: Kind, policy: RetryPolicy
    ) -> Response:
        """Sign; where the service does not accept it, renew once and try again."""
        now = asyncio.get_running_loop().time()
        if not request.anonymous and self.auth.due(now):
            await self._renew(self.auth.generation)
        seen = self.auth.generation
        response = await self._send_handling_retries(request, kind, policy)
        if response.status == UNAUTHORIZED and await self._renewed(request, seen):
            response = await self._send_handling_retries(request, kind, policy)
        if request.follow:
            target = self._redirected(request, response)
            if target is not None:
                response = await self._send_handling_retries(target, kind, policy)
        return response

    def _redirected(self, request: Request, response: Response) -> Request | None:
        """
        Return the request that a redirect means, if it may be followed.

        Only where the dialect expects one, only once, and never with credentials
        to another origin.
        """
        location = response.headers.get("Location")
        if not request.follow or response.status not in REDIRECTS or location is None:
            return None
        base = urljoin(self.origin, request.url)
        url = resolve_server_url(base, location, self.trusted_origins)
        foreign = origin_of(url) != self.origin
        return attrs.evolve(
            request, url=url, follow=False, anonymous=request.anonymous or foreign
        )

    async def see_to_credential(self) -> None:
        """
        Renew the credential if it is due; requests do it by themselves.

        Raises:
            AsyncTasksError: no credential could be obtained.
        """
        if self.auth.due(asyncio.get_running_loop().time()):
            await self._renew(self.auth.generation)

    async def _renewed(self, request: Request, seen: int) -> bool:
        """Renew the credential after a 401; tell whether to try once more."""
        if request.anonymous or not self.auth.renewable:
            return False
        await self._renew(seen)
        return body_replayable(request.body)

    async def _renew(self, seen: int) -> None:
        """Renew the credential once, however many requests want it."""
        before = self._renewals
        async with self._renewing:
            if self.auth.generation != seen:
                return  # somebody else did, while we waited
            if self._renewals != before and self._refusal is not None:
                raise self._refusal  # somebody else tried, while we waited
            self._refusal = None
            try:
                await self._ask_for_credential()
            except Exception as exc:
                if isinstance(exc, AsyncTasksError):
                    exc.sent = False  # what waits for the credential was not
                self._refusal = exc
                raise
            finally:
                self._renewals += 1

    async def _ask_for_credential(self) -> None:
        """Drive the flow of the renewal."""
        flow = self.auth.renew()
        answer: object = None
        try:
            while True:
                step = flow.send(answer)
                if isinstance(step, Resolve):
                    answer = await self._fetch(step.source)
                elif isinstance(step, Sleep):
                    await self.lanes.transport.sleep(step.seconds)
                    answer = SLEPT
                else:
                    unsigned = attrs.evolve(step, anonymous=True)
                    answer = await self._send_handling_retries(
                        unsigned, Kind.ADMIN, self.retry
                    )
        except StopIteration:
            return
        finally:
            flow.close()

    async def _fetch(self, source: Callable[[], Awaitable[str]]) -> str:
        fetching = source()
        if not inspect.isawaitable(fetching):
            remedy = "the callable that fetches it must be async"
            raise InvalidArgument("credential", type(fetching).__name__, remedy)
        return await fetching

    def _signed(self, request: Request) -> Request:
        """Return what goes out: an absolute URL, and the credentials."""
        url = request.url
        if url.startswith("/"):
            url = self.origin + url
        elif not request.anonymous and origin_of(url) != self.origin:
            raise InvalidState(f"credentials are meant for {self.origin} only")
        headers = request.headers
        if not request.anonymous:
            headers = self._signed_headers(headers)
        return Request(
            request.method,
            url,
            headers,
            request.body,
            replayable=False,
            streamed=request.streamed,
        )

    def _signed_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Add the credentials; the same headers are often sent again and again."""
        extra = self.auth.headers()
        if not extra:
            return headers
        if extra != self._extra:
            self._extra, self._kept = extra, {}
        kept = self._kept.get(id(headers))
        if kept is not None:
            return kept[1]
        signed = Headers(headers).replaced(extra)
        if isinstance(headers, Headers):  # others may change
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[id(headers)] = (headers, signed)
        return signed

    # --- attempts ------------------------------------------------------------

    async def _send_handling_retries(
        self, request: Request, kind: Kind, policy: RetryPolicy
    ) -> Response:
        """Repeat the request where that is harmless and may help."""
        clock = asyncio.get_running_loop().time
        begun = now = clock()
        attempt = 1
        while True:
            outcome: Response | AsyncTasksError
            wrong: AsyncTasksError | None = None
            if not self.lanes.try_enter(kind):
                begun += await self._enter(kind, request)
                now = clock()
            timeout = self._attempt_timeout(request, policy, now - begun)
            try:
                outcome = await self._send_once(request, kind, timeout, attempt, now)
            except TransportError as exc:
                outcome = exc
            else:
                wrong = _undecodable(outcome) if request.expect_json else None
                if outcome.status == OK and wrong is None:
                    return self._delivered(outcome, attempt)
            wait = self._wait(policy, request, wrong or outcome, attempt, begun)
            if wait is not None:
                await self.lanes.transport.sleep(wait)
                now = clock()
                attempt += 1
                continue
            if isinstance(outcome, AsyncTasksError):
                outcome.attempts = attempt
                raise outcome
            return self._delivered(outcome, attempt)

    async def _enter(self, kind: Kind, request: Request) -> float:
        """
        Take a place in a lane; return the seconds that it was waited for.

        Waiting for a place of our own making is not the request's time.
        """
        clock = asyncio.get_running_loop().time
        waiting = clock()
        await self.lanes.enter(kind, request)
        return clock() - waiting

    def _delivered(self, response: Response, attempt: int) -> Response:
        if response.status < SERVER_FAULT and response.status != TOO_MANY:
            self.lanes.budget.earn(retried=attempt > 1)
        return response if attempt == 1 else attrs.evolve(response, attempts=attempt)

    def _wait(
        self,
        policy: RetryPolicy,
        request: Request,
        outcome: Response | AsyncTasksError,
        attempt: int,
        begun: float,
    ) -> float | None:
        """Return the seconds until the next attempt; None if there is none."""
        if attempt >= policy.attempts or not may_repeat(request, outcome):
            return None
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
        if not self.lanes.budget.spend(throttled=throttled):
            self.logger.warning("%s: too many retries; no more", request.describe())
            return None
        reason = str(outcome.status) if answered else type(outcome).__name__
        self._tell_retry(request, attempt, wait, reason)
        return wait

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
        self, request: Request, kind: Kind, timeout: float, attempt: int, now: float
    ) -> Response:
        """Make one attempt, for which there is a place, and give the place back."""
        outcome: Response | AsyncTasksError | None = None
        talks = self._talks
        if talks:
            self.logger.debug("> %s", request.describe())
        try:
            outcome = await self.lanes.transport.send(
                self._signed(request),
                timeout=timeout,
                max_bytes=self.limits.max_response_bytes,
            )
        except AsyncTasksError as exc:
            outcome = exc
            raise
        else:
            return outcome
        finally:
            self.lanes.leave(
                kind, outcome, sent_at=now, pause_max=self.retry.retry_after_max
            )
            if talks:
                self._tell_attempt(request, outcome, attempt, now)

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


def _name_request(
    exc: TransportError | ResponseError | RemoteProtocolError, request: Request | None
) -> None:
    """Let an error say what it is about."""
    if exc.request is None and request is not None:
        exc.request = request.redacted()


def _undecodable(response: Response) -> ResponseDecodeError | None:
    """Return the error of a success that must be JSON and is not, e.g. cut off."""
    if response.status >= 300 or response.status == 204:  # noqa: PLR2004
        return None
    try:
        response.json()
    except ResponseDecodeError as exc:
        return exc
    except RemoteProtocolError:
        return None  # a page of HTML stays one
    return None
