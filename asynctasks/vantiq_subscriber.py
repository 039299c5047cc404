"""
The Vantiq subscriber transport: one WebSocket, for all subscriptions of a client.

What the frames mean is said by :class:`Subscriptions`, which is pure; here bytes are
moved, connections are made again, and callbacks are called. A callback that is slow
or raises harms nobody but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import contextlib
import logging
import random
from typing import Any

from .exceptions import (
    AsyncTasksError,
    ConnectionLost,
    SubscriberClosed,
    VantiqException,
    fresh,
)
from .hooks import Hooks, SubscriberDetails
from .once import share
from .sansio.retry import RetryPolicy, backoff
from .sansio.subscription import (
    Frame,
    Notice,
    Subscriptions,
    What,
    name_request,
)
from .sansio.vantiq import VantiqError, VantiqResponse, read_errors
from .transport import WebSocketStream
from .vantiq_inbox import Inbox, InboxOptions
from .vantiq_session import VantiqOptions


__all__ = ["VantiqSubscriber"]

RECONNECT = RetryPolicy(wait_initial=0.1, wait_max=30.0, wait_jitter=0.3)
"""The waits between attempts to connect again."""

STEADY = 10.0
"""Seconds after which a connection counts as good, and the waits begin anew."""

INSIST_AFTER = 2.0
"""Seconds after which the server is told once more who we are."""

STALLED_AFTER = 5.0
"""Seconds that a full queue holds up the socket; then its oldest events go."""

BURST = 100
"""Frames that are read before the callbacks get a turn."""

CLOSE_WITHIN = 5.0
"""Seconds that the workers have to end."""

HANG_UP_WITHIN = 3.0
"""Seconds for a goodbye; a server that never stops talking does not hear it."""


class VantiqSubscriber:
    """
    The transport of one client, from its start until it is over.

    Args:
        connect: opens a WebSocket to the server.
        token: returns the access token for it.
        renew: has a refused token renewed; returns whether there is another one.
        over: is awaited once, when the transport is over; with whether it ever was
            open.
        options: see :class:`VantiqOptions`.
        logger: of the subscriber.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[WebSocketStream]],
        token: Callable[[], Awaitable[str]],
        renew: Callable[[], Awaitable[bool]],
        over: Callable[[bool], Awaitable[None]],
        options: VantiqOptions,
        logger: logging.Logger,
    ) -> None:
        self._connect = connect
        self._token = token
        self._renew = renew
        self._over = over
        self._options = options
        self._logger = logger
        self._hooks = Hooks(options.hooks, logger)
        self._machine = Subscriptions(window=options.duplicate_window)
        self._inboxes: dict[str, Inbox] = {}
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._stream: WebSocketStream | None = None
        self._cycling: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._finished = False
        self._garbled = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._stream is not None

    # --- life ----------------------------------------------------------------

    async def start(self) -> asyncio.Task[None]:
        """
        Connect; return the asyncio task, which ends when the transport is over.

        Raises:
            VantiqException: the server cannot be reached or refuses the token.
        """
        self._started = asyncio.get_running_loop().create_future()
        # Both now, so that closing in this very moment ends them.
        name = "asynctasks-vantiq"
        self._cycling = asyncio.create_task(self._cycle(), name=f"{name}-reader")
        self._task = asyncio.create_task(self._run(self._cycling), name=name)
        await self.started()
        return self._task

    async def started(self) -> None:
        """
        Wait until the transport is open.

        Raises:
            VantiqException: it could not be opened.
        """
        if self._started is not None:
            await share(self._started)

    async def aclose(self) -> None:
        """End the transport; may be called from a callback, and twice."""
        current = asyncio.current_task()
        if self._cycling is not None:
            self._cycling.cancel()
        if self._task is not None and self._task is not current:
            await asyncio.wait([self._task], timeout=CLOSE_WITHIN)
        workers = {worker for worker in self._workers if worker is not current}
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers, timeout=CLOSE_WITHIN)

    async def _run(self, cycling: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait([cycling])
        finally:
            cycling.cancel()
            await asyncio.wait([cycling])
            error = None if cycling.cancelled() else cycling.exception()
            await self._finish(error)

    async def _finish(self, error: BaseException | None) -> None:
        """Tell everybody that it is over."""
        self._finished = True
        opened = self._start_over(error)
        reason = str(error) if error is not None else "the client was closed"
        closed = SubscriberClosed(reason)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(fresh(closed))
        self._answers.clear()
        for inbox in self._inboxes.values():
            if error is None:
                inbox.discard()
            else:
                inbox.put(What.ERROR.value, _failure(inbox.request_id, reason))
                inbox.end()
        self._inboxes.clear()
        if error is not None and opened:
            self._logger.error("The subscriber transport is over", exc_info=error)
        if opened:
            self._tell("closed", error)
        await self._over(opened)

    def _tell(self, event: str, error: BaseException | None = None) -> None:
        if self._hooks:
            self._hooks.tell(SubscriberDetails(event=event, error=error))

    def _start_over(self, error: BaseException | None) -> bool:
        """Settle the start if it is still waited for; return whether it succeeded."""
        started = self._started
        if started is None or started.done():
            return started is not None and started.exception() is None
        failure = error or SubscriberClosed()
        if not isinstance(failure, VantiqException):
            code = "io.vantiq.python.subtransport.failed"
            message = "Failed to start subscriber transport: {0}"
            failure = VantiqException(code, message, [str(failure)])
            failure.__cause__ = error
        started.set_exception(failure)
        started.exception()  # nobody has to look at it
        return False

    # --- connections ---------------------------------------------------------

    async def _cycle(self) -> None:
        """Go from one connection to the next until there is none."""
        loop = asyncio.get_running_loop()
        stream = await self._open()
        if self._started is not None and not self._started.done():
            self._started.set_result(None)
            self._tell("started")
        failures = 0
        while True:
            since = loop.time()
            try:
                await self._read(stream)
            except ConnectionLost as exc:
                self._logger.info("The subscriber lost its connection: %s", exc)
            finally:
                self._stream = None
                self._machine.lost()
                await _hang_up(stream)
            failures = 0 if loop.time() - since >= STEADY else failures + 1
            stream = await self._reopen(failures)

    async def _reopen(self, failures: int) -> WebSocketStream:
        """Connect again, ever more slowly; refused credentials end it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._options.reconnect_for
        while True:
            dice = random.random()  # noqa: S311 - jitter, not secrecy
            await asyncio.sleep(backoff(RECONNECT, max(failures, 1), dice))
            try:
                return await self._open()
            except VantiqException:
                raise
            except AsyncTasksError as exc:
                failures += 1
                self._logger.info("The subscriber cannot connect again: %s", exc)
                if loop.time() >= until:
                    raise

    async def _open(self) -> WebSocketStream:
        """Connect; where the token is refused, once more with another one."""
        try:
            return await self._connect_with(await self._token())
        except VantiqException as exc:
            if not await self._renew():
                self._logger.error("%s", exc.text)  # noqa: TRY400 - raised as well
                raise
        return await self._connect_with(await self._token())

    async def _connect_with(self, token: str) -> WebSocketStream:
        """Connect and say who we are, within the time for it."""
        stream = await self._connect()
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                self._machine.connected(token)
                await self._introduce(stream)
        except TimeoutError as exc:
            await _hang_up(stream)
            reason = "the server does not say whether it accepts the token"
            raise ConnectionLost(reason) from exc
        except BaseException:
            await _hang_up(stream)
            raise
        self._stream = stream
        self._garbled = 0
        self._logger.debug("Authentication completed.")
        return stream

    async def _introduce(self, stream: WebSocketStream) -> None:
        clock = asyncio.get_running_loop().time
        insisting = asyncio.create_task(self._insist(stream))
        try:
            while not self._machine.ready:
                self._machine.receive(await stream.receive(), clock)
                for notice in self._machine.events():
                    await self._attend(notice)
        finally:
            insisting.cancel()
            await asyncio.wait([insisting])
        await self._send(stream)

    async def _insist(self, stream: WebSocketStream) -> None:
        while True:
            with contextlib.suppress(ConnectionLost):
                await self._send(stream)
            await asyncio.sleep(INSIST_AFTER)
            self._machine.insist()

    async def _send(self, stream: WebSocketStream) -> None:
        for text in self._machine.to_send():
            await stream.send(text)

    async def _flush(self) -> None:
        """Send what is to be sent, if there is a connection; else it keeps."""
        if self._stream is not None:
            # The reader notices too, and what matters is said again.
            with contextlib.suppress(ConnectionLost):
                await self._send(self._stream)

    # --- frames --------------------------------------------------------------

    async def _read(self, stream: WebSocketStream) -> None:
        machine = self._machine
        now = asyncio.get_running_loop().time
        inboxes = self._inboxes
        message = What.MESSAGE
        turn = BURST
        while True:
            machine.receive(await stream.receive(), now)
            for notice in machine.events():
                what, request_id, frame = notice
                if what is not message:
                    await self._attend(notice)
                elif request_id in inboxes:
                    inbox = inboxes[request_id]
                    full = len(inbox.queue) >= inbox.size
                    if not full or await self._make_room(inbox):
                        inbox.put("message", frame)
            if machine.sending:
                await self._send(stream)
            turn -= 1
            if not turn:
                turn = BURST
                await asyncio.sleep(0)

    async def _make_room(self, inbox: Inbox) -> bool:
        """
        Do what the subscription's policy says of a queue that is full.

        Returns:
            Whether there is room now; if not, the subscription is over.
        """
        if inbox.policy == "error":
            reason = f"more than {inbox.size} events wait for the callback"
            self._logger.error("%s: %s; it ends", inbox.request_id, reason)
            inbox.put(What.ERROR.value, _failure(inbox.request_id, reason))
            self._machine.unsubscribe(inbox.request_id)
            self._end(inbox.request_id)
            return False
        if inbox.policy == "block" and not inbox.stalled:
            if await inbox.room(STALLED_AFTER):
                return True
            inbox.stalled = True
            self._logger.warning(
                "The callback of %s does not move; it loses events", inbox.request_id
            )
        inbox.drop()
        return True

    async def _attend(self, notice: Notice) -> None:
        """Deal with what is no event."""
        what, request_id, frame = notice
        if what is What.READY:
            return
        if what is What.REFUSED:
            raise self._refused(frame)
        if what is What.RESTART:
            raise ConnectionLost("the server cannot subscribe now")
        if what is What.GARBLED:
            self._tell_garbled(frame["data"])
            return
        if what is What.END:
            self._end(request_id)
            return
        answer = self._answers.pop(request_id, None)
        if answer is not None and not answer.done():
            # Whoever subscribed hears of it before the callback does.
            answer.set_result(frame)
        if request_id in self._inboxes:
            self._inboxes[request_id].put(what.value, frame)

    def _tell_garbled(self, data: bytes) -> None:
        """Warn of the first frame that cannot be read: there may be no end of them."""
        self._garbled += 1
        level = logging.WARNING if self._garbled == 1 else logging.DEBUG
        self._logger.log(level, "A frame could not be read: %r", data)

    def _refused(self, frame: Frame) -> VantiqException:
        status = frame["status"]
        errors = read_errors(frame.get("body"), status)
        first = errors[0] if errors else VantiqError(str(status), "refused")
        facts = [status, first.code, first.message]
        message = "Connect call failed: {0} :: {1}:{2}"
        return VantiqException("io.vantiq.python.connect.failed", message, facts)

    def _end(self, request_id: str) -> None:
        inbox = self._inboxes.pop(request_id, None)
        if inbox is not None:
            inbox.end()

    # --- what the client calls -----------------------------------------------

    async def subscribe(
        self,
        path: str,
        params: Mapping[str, Any] | None,
        namespace: str | None,
        options: InboxOptions,
        *,
        timeout: float,
    ) -> VantiqResponse:
        """
        Subscribe, and wait for the server's answer.

        Returns:
            Success once the server accepted; a failure with its errors when it
            refuses, does not answer in time, or there is such a subscription.
        """
        if self._finished:
            message = "No transport for subscriptions has been established."
            return _failed("io.vantiq.python.notransport", message, [])
        request_id = name_request(path, namespace)
        if request_id in self._inboxes:
            message = "A subscription for path {0} already exists for ns {1}."
            facts = [path, namespace or "current"]
            return _failed("io.vantiq.python.subscribed", message, facts)
        self._machine.subscribe(path, params, namespace)
        inbox = self._inboxes[request_id] = Inbox(
            request_id,
            options,
            forget=self._machine.forget,
            logger=self._logger,
            hooks=self._hooks,
        )
        answer = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        try:
            await self._attend_to_returns()
            await self._flush()
            self._logger.debug("Subscription request sent.")
            async with asyncio.timeout(timeout):
                frame: Frame = await answer
        except TimeoutError:
            self._forget(request_id)
            message = "No answer to the subscription for path {0} within {1} s."
            code = "io.vantiq.python.subscribe.timeout"
            return _failed(code, message, [path, timeout])
        except SubscriberClosed as exc:
            message = "No transport for subscriptions has been established: {0}"
            return _failed("io.vantiq.python.notransport", message, [str(exc)])
        except BaseException:
            self._forget(request_id)
            raise
        worker = inbox.start()
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)
        return _response(frame)

    async def _attend_to_returns(self) -> None:
        """Deal with a subscription that was left before: it may stand, or not."""
        for notice in self._machine.events():
            if notice[0] is not What.RESTART:
                await self._attend(notice)
            elif self._stream is not None:
                await _hang_up(self._stream)  # the reader connects again

    def unsubscribe(self, path: str, namespace: str | None) -> bool:
        """End a subscription on our side; return whether there was one."""
        return self._forget(name_request(path, namespace))

    def _forget(self, request_id: str) -> bool:
        self._machine.unsubscribe(request_id)
        self._answers.pop(request_id, None)
        inbox = self._inboxes.pop(request_id, None)
        if inbox is not None:
            inbox.discard()
        return inbox is not None

    def name_of(self, request_id: str) -> str | None:
        """Return the server's name of a persistent subscription."""
        known = request_id in self._machine
        return self._machine[request_id].name if known else None

    async def acknowledge(
        self, request_id: str, name: str, partition: Any, sequence: Any
    ) -> None:
        """Tell the server that a reliable event was dealt with; waits for nothing."""
        self._machine.acknowledge(request_id, name, partition, sequence)
        await self._flush()


async def _hang_up(stream: WebSocketStream) -> None:
    """Close a connection in bounded time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_WITHIN):
            await stream.aclose()


def _failed(code: str, message: str, params: list[Any]) -> VantiqResponse:
    return VantiqResponse.from_error(VantiqError(code, message, params))


def _response(frame: Frame) -> VantiqResponse:
    status = frame["status"]
    if status < 400:  # noqa: PLR2004 - refusals
        return VantiqResponse(successful=True, status_code=204, content_type=None)
    response = VantiqResponse(
        successful=False, status_code=status, content_type=frame.get("contentType")
    )
    response.errors = read_errors(frame.get("body"), status)
    return response


def _failure(request_id: str, reason: str) -> Frame:
    """Build the message that tells a callback of an end that the server did not."""
    code = "io.vantiq.python.subtransport.failed"
    error = {"code": code, "message": reason, "params": []}
    return {
        "status": 503,
        "headers": {"X-Request-Id": request_id},
        "body": [error],
    }
