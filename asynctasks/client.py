"""The client that all task services share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
import copy
from functools import partial
import logging
import os
from pathlib import Path
import random
import secrets
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar
import warnings

import attrs

from . import files as bodies
from .driver import Driver, Lane, Limits
from .exceptions import (
    AsyncTasksError,
    InvalidArgument,
    InvalidState,
    NotFound,
    ResultUnavailable,
    SubmitOutcomeUnknown,
    TaskError,
    TransportError,
)
from .handle import TaskHandle
from .resources import Rows, build_query
from .sansio import codec
from .sansio.auth import Auth
from .sansio.dialect import (
    Capabilities,
    Dialect,
    Launched,
    Payload,
    Prepared,
    Query,
    TaskRef,
    TaskStatus,
)
from .sansio.http import Flow, Request, Response, build_multipart, check_header
from .sansio.retry import NO_RETRY, RetryPolicy, backoff, outcome_unknown
from .sansio.schedule import PollPolicy
from .sansio.token import build_token, parse_token
from .sansio.urls import is_loopback, split_base
from .subscriber import Callback, StatusSubscription, Subscriber
from .transport import AiohttpTransport, Transport
from .watcher import Watch, Watcher


if TYPE_CHECKING:
    import aiohttp


__all__ = ["ClientOptions", "TaskClient"]

T = TypeVar("T")

DAY = 24 * 3600.0

CLOSE_WITHIN = 5.0
"""Seconds that closing takes at most, even if a connection hangs."""


class ClientOptions(TypedDict, total=False):
    """The keyword arguments that every client takes."""

    transport: Transport
    """What moves the bytes; stays the caller's. By default one over HTTP is made."""

    session: aiohttp.ClientSession
    """An aiohttp session to send with; stays the caller's and is never closed."""

    retry: RetryPolicy
    """How one request is repeated."""

    poll: PollPolicy
    """When open tasks are looked at."""

    attempt_timeout: float
    """Seconds for one HTTP attempt; 30 by default."""

    patience: float
    """Seconds that ``result()`` waits when it is not told; 24 hours by default."""

    max_response_bytes: int
    """Bytes of an answer after decompression; 64 MiB by default."""

    cleanup: str
    """``"keep"`` (default), or ``"delete"``: remove a task from the service after
    its result was fetched. Nothing else ever removes a finished task."""

    trusted_origins: Collection[str]
    """Other origins to which a result may be redirected, e.g. a blob store. They
    get no credentials."""

    allow_insecure: bool
    """Send credentials over plain http to another machine; warns."""

    logger: logging.Logger
    """By default ``asynctasks.client``."""


@attrs.define(kw_only=True)
class Hub:
    """What all views of one client share."""

    lane: Lane
    watcher: Watcher
    subscriber: Subscriber
    own_transport: bool
    closing: asyncio.Task[None] | None = None


class TaskClient:
    """
    A client of one service; see its subclasses for how to make one.

    Use it as an async context manager, or call :meth:`close`. It belongs to the
    event loop in which it is first used.
    """

    def __init__(
        self,
        dialect: Dialect,
        origin: str,
        auth: Auth,
        options: ClientOptions | None = None,
    ) -> None:
        given: ClientOptions = options or {}
        _check_names(type(self).__name__, given)
        self._dialect = dialect
        self._options = given
        self._logger = given.get("logger") or logging.getLogger("asynctasks.client")
        self._cleanup = given.get("cleanup", "keep")
        if self._cleanup not in {"keep", "delete"}:
            raise InvalidArgument("cleanup", self._cleanup, "choose keep or delete")
        self._patience = _seconds("patience", given.get("patience", DAY))
        self._check_clear_text(origin, auth)
        self._hub = _build_hub(given)
        self._driver = self._build_driver(origin, auth)
        self._owner = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._dialect.title} at {self.origin}>"

    # --- lifecycle -----------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._hub.lane.check()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close the client; may be called more than once, and without having entered.

        Remote tasks go on. Whoever still waits for one gets ``InvalidState``. Views
        made by ``app()`` and ``with_auth()`` share everything with the client they
        were made from; closing a view does nothing.
        """
        if not self._owner:
            return
        hub = self._hub
        if hub.closing is None:
            hub.lane.check()
            hub.lane.closed = True
            hub.closing = asyncio.create_task(self._close(), name="asynctasks-close")
        await asyncio.shield(hub.closing)

    async def _close(self) -> None:
        hub = self._hub
        reason = "the client was closed; the task goes on, its token finds it again"
        steps = [partial(hub.watcher.aclose, InvalidState(reason))]
        steps.append(partial(hub.subscriber.aclose))
        if hub.own_transport:
            steps.append(partial(hub.lane.transport.aclose))
        for step in steps:
            # One that hangs must not keep the next one from being closed.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN / len(steps)):
                    await step()

    # --- what it is ----------------------------------------------------------

    @property
    def origin(self) -> str:
        """Scheme, host and port of the service."""
        return self._driver.origin

    @property
    def dialect(self) -> Dialect:
        """How the service words things."""
        return self._dialect

    @property
    def capabilities(self) -> Capabilities:
        """What the service has."""
        return self._dialect.capabilities

    @property
    def patience(self) -> float:
        """Seconds that a wait lasts when it is not told."""
        return self._patience

    @property
    def keeps_results(self) -> bool:
        """Whether a result can be fetched again after it was fetched."""
        return self._cleanup == "keep"

    def with_auth(self, auth: Auth) -> Self:
        """
        Return a view of this client that signs its requests in another way.

        It shares transport, watcher and limits: make one per user of a web backend.
        """
        self._check_clear_text(self.origin, auth)
        return self._view(_driver=self._build_driver(self.origin, auth))

    def _with_dialect(self, dialect: Dialect) -> Self:
        return self._view(_dialect=dialect)

    def _view(self, **parts: object) -> Self:
        view = copy.copy(self)
        vars(view).update(parts, _owner=False)
        return view

    def _build_driver(self, origin: str, auth: Auth) -> Driver:
        given = self._options
        return Driver(
            self._hub.lane,
            origin=origin,
            auth=auth,
            retry=given.get("retry") or RetryPolicy(),
            limits=_build_limits(given),
            trusted_origins=_origins(given.get("trusted_origins", ())),
            logger=self._logger,
        )

    def _check_clear_text(self, origin: str, auth: Auth) -> None:
        if not auth.secret or origin.startswith("https:") or is_loopback(origin):
            return
        if not self._options.get("allow_insecure", False):
            remedy = "refusing to send credentials over plain http; use https"
            raise InvalidArgument("url", origin, remedy)
        warnings.warn(f"credentials travel in the clear to {origin}", stacklevel=4)

    async def drive(self, flow: Flow[Any]) -> Any:
        """Hold a conversation of the dialect and return what it means."""
        return await self._driver.drive(flow)

    # --- tasks ---------------------------------------------------------------

    async def submit(
        self,
        service: str,
        inputs: Any = None,
        *,
        content: bodies.Content | None = None,
        content_type: str | None = None,
        files: Mapping[str, bodies.FileContent] | None = None,
    ) -> TaskHandle:
        """
        Start a remote task.

        Args:
            service: what to run.
            inputs: sent as JSON.
            content: instead of *inputs*: text, bytes, the path of a file or an
                async iterable of bytes, sent as it is.
            content_type: of *content*; by default text or octet-stream.
            files: instead of both: a form of files, by field name.

        Returns:
            The handle of the task, which the service has accepted.

        Raises:
            SubmitOutcomeUnknown: the answer was lost; the task may be running.
                Never repeated blindly.
            InvalidArgument: an argument cannot be used; nothing was sent.
            ResponseError: the service refuses; ``sent`` is True.
        """
        payload = await self._payload(inputs, content, content_type, files)
        launched = await self._launch(service, payload, {})
        return self._handle_of(launched)

    async def _payload(
        self,
        inputs: Any,
        content: bodies.Content | None,
        content_type: str | None,
        files: Mapping[str, bodies.FileContent] | None,
    ) -> Payload:
        given = [kind is not None for kind in (inputs, content, files)]
        if sum(given) > 1:
            remedy = "give only one of inputs, content and files"
            raise InvalidArgument("inputs", "several", remedy)
        if content_type is not None:
            check_header("content_type", content_type)
            if content is None:
                remedy = "goes with content=; inputs are JSON, files a form"
                raise InvalidArgument("content_type", content_type, remedy)
        if content is not None:
            # Looking at a file blocks.
            body, default = await asyncio.to_thread(bodies.as_body, content)
            return Payload(body=body, content_type=content_type or default)
        if files is not None:
            parts = await asyncio.to_thread(bodies.as_parts, files)
            form, kind = build_multipart(parts, boundary=secrets.token_hex(16))
            return Payload(body=form, content_type=kind)
        if inputs is None:
            return Payload()
        body = codec.dumps(inputs)
        return Payload(body=body, content_type="application/json", inputs=inputs)

    async def _launch(
        self, service: str, payload: Payload, options: Mapping[str, Any]
    ) -> Launched:
        prepared = await self._driver.drive(
            self._dialect.prepare(service, payload, options)
        )
        return await self._start(prepared)

    async def _start(self, prepared: Prepared) -> Launched:
        return await self._drive_once(self._dialect.launch(prepared))

    async def _drive_once(self, flow: Flow[T]) -> T:
        """Hold a conversation that starts work; tell if its answer was lost."""
        try:
            return await self._driver.drive(flow)
        except AsyncTasksError as exc:
            if not outcome_unknown(exc):
                raise
            request = getattr(exc, "request", None)
            raise SubmitOutcomeUnknown(exc, request) from exc

    def _handle_of(self, launched: Launched) -> TaskHandle:
        ref, status = launched.ref, launched.status
        for subscription in self._hub.subscriber.wanting(self._driver, ref):
            try:
                self._follow(subscription, ref, status)
            except InvalidState as exc:
                # The task was accepted: its handle must not get lost.
                self._logger.warning("task %s is not followed: %s", ref.id, exc)
        return TaskHandle(self, ref, status)

    def handle(self, token: str) -> TaskHandle:
        """
        Return the handle of a task, without I/O.

        Args:
            token: of a handle, from whatever process; or an id of the service.

        Raises:
            InvalidArgument: the token is of another service, or damaged.
        """
        return TaskHandle(self, parse_token(token, self._dialect, self.origin))

    async def poll(self, task: TaskHandle | str) -> TaskStatus:
        """Ask for the status of a task once; see :meth:`TaskHandle.status`."""
        return await self._own(task).status()

    async def result(
        self,
        task: TaskHandle | str,
        *,
        timeout: float | None = None,
        decode: str = "auto",
    ) -> Any:
        """Wait for a task and fetch its result; see :meth:`TaskHandle.result`."""
        return await self._own(task).result(timeout=timeout, decode=decode)

    async def cancel(
        self, task: TaskHandle | str, *, timeout: float = 60.0
    ) -> TaskStatus:
        """End a remote task; see :meth:`TaskHandle.cancel`."""
        return await self._own(task).cancel(timeout=timeout)

    async def run(
        self,
        service: str,
        inputs: Any = None,
        *,
        timeout: float | None = None,
        decode: str = "auto",
        **submit: Any,
    ) -> Any:
        """
        Submit, wait and fetch: :meth:`submit` and :meth:`TaskHandle.result`.

        Should it be cancelled or time out, the remote task goes on; errors of the
        wait carry its token.
        """
        task = await self.submit(service, inputs, **submit)
        return await task.result(timeout=timeout, decode=decode)

    def _own(self, task: TaskHandle | str) -> TaskHandle:
        return self.handle(task) if isinstance(task, str) else task

    # --- events --------------------------------------------------------------

    async def subscribe(
        self,
        callback: Callback,
        *,
        task: TaskHandle | str | None = None,
        service: str | None = None,
        queue_size: int = 1000,
    ) -> StatusSubscription:
        """
        Have a callback told of the states of tasks.

        Args:
            callback: called with each :class:`Event`, in order. It may be slow or
                raise without harm to others.
            task: only of this task, its present state first.
            service: only of tasks of this service that are submitted from now on
                through this client, or a view of it with the same credentials.
                Without either: of all that are.
            queue_size: events that may wait for the callback; see
                :class:`StatusSubscription`.

        Returns:
            The subscription; ``unsubscribe()`` ends it.
        """
        if task is not None and service is not None:
            raise InvalidArgument("service", service, "give a task or a service")
        self._hub.lane.check()
        handle = None if task is None else self._own(task)

        def wants(scope: object, ref: TaskRef) -> bool:
            if handle is not None or scope is not self._driver:
                return False
            return service is None or service == ref.service

        subscription = self._hub.subscriber.add(
            callback, wants=wants, queue_size=queue_size
        )
        if handle is not None:
            try:
                self._follow(subscription, handle.ref, handle.last_status)
            except InvalidState:
                subscription.unsubscribe()
                raise
        return subscription

    async def start_subscriber_transport(self) -> asyncio.Task[None] | None:
        """
        Start what brings events to callbacks; ``subscribe()`` does it too.

        Returns:
            Its asyncio task, which runs until the client is closed; None if it
            runs already.
        """
        self._hub.lane.check()
        return self._hub.subscriber.start()

    def _follow(
        self,
        subscription: StatusSubscription,
        ref: TaskRef,
        first: TaskStatus | None,
    ) -> None:
        watch = self.hold(ref, first)
        subscription.follow(watch, lambda: self.release(ref, watch))

    # --- resources -----------------------------------------------------------

    def select(
        self,
        resource: str,
        *,
        where: Mapping[str, Any] | None = None,
        sort: str | None = None,
        limit: int | None = None,
        page_size: int | None = None,
    ) -> Rows:
        """
        Read rows: ``await`` gives a list, ``async for`` goes through all pages.

        Args:
            resource: e.g. ``"tasks"``.
            where: filters, in the service's own names.
            sort: in the service's own form.
            limit: rows at most; without it all of them.
            page_size: rows a request at most; 100 by default.

        Raises:
            UnsupportedOperation: the service has no such resource, filter or sort;
                the error names what it has.
        """
        self._require(resource, "select")

        async def fetch(query: Query) -> Any:
            return await self._driver.drive(self._dialect.select(resource, query))

        return Rows(fetch, build_query(where, sort, limit, page_size), limit)

    async def select_one(self, resource: str, key: str) -> Mapping[str, Any] | None:
        """Read one row by its key; None where there is none."""
        self._require(resource, "select_one")
        return await self._driver.drive(self._dialect.select_one(resource, key))

    async def insert(self, resource: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add a row; return it as the service has it."""
        self._require(resource, "insert")
        return await self._driver.drive(self._dialect.insert(resource, row))

    async def update(
        self, resource: str, key: str, row: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Change the row of this key; return it as the service has it."""
        self._require(resource, "update")
        return await self._driver.drive(self._dialect.update(resource, key, row))

    async def upsert(self, resource: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add a row, or change the one with the same key."""
        self._require(resource, "upsert")
        return await self._driver.drive(self._dialect.upsert(resource, row))

    async def delete(self, resource: str, where: Mapping[str, Any]) -> int:
        """Delete the rows that match; return how many."""
        self._require(resource, "delete")
        return await self._driver.drive(self._dialect.delete_rows(resource, where))

    async def delete_one(self, resource: str, key: str) -> bool:
        """Delete one row; return whether there was one."""
        self._require(resource, "delete_one")
        return await self._driver.drive(self._dialect.delete_one(resource, key))

    async def count(self, resource: str, where: Mapping[str, Any] | None = None) -> int:
        """Count the rows that match."""
        self._require(resource, "count")
        return await self._driver.drive(self._dialect.count(resource, where or {}))

    def _require(self, resource: str, verb: str) -> None:
        self.capabilities.require(resource, verb, self._dialect.title)

    # --- what handles need: see handle.Tasks ---------------------------------

    def token_of(self, ref: TaskRef) -> str:
        """Return the token of a task."""
        return build_token(self._dialect, self.origin, ref)

    async def look(self, ref: TaskRef) -> TaskStatus:
        """Ask for the status of a task, with the retries of any request."""
        return await self._driver.drive(self._dialect.poll(ref))

    async def _look_once(self, ref: TaskRef) -> TaskStatus:
        # One attempt: the watcher's schedule is its retry.
        return await self._driver.drive(self._dialect.poll(ref), retry=NO_RETRY)

    def _key(self, ref: TaskRef) -> object:
        # Two views with different credentials look for themselves.
        return (self._driver, ref.id, ref.run, ref.generation)

    def hold(self, ref: TaskRef, first: TaskStatus | None) -> Watch:
        """Watch a task until :meth:`release`."""
        self._hub.lane.check()
        return self._hub.watcher.hold(
            self._key(ref),
            ref,
            self._look_once,
            token=self.token_of(ref),
            first=first,
        )

    def release(self, ref: TaskRef, watch: Watch) -> None:
        """Let go of a watch."""
        self._hub.watcher.release(self._key(ref), watch)

    def tell(self, ref: TaskRef, status: TaskStatus) -> None:
        """Tell those who watch a task what was seen of it elsewhere."""
        self._hub.watcher.offer(self._key(ref), status)

    async def fetch(self, ref: TaskRef, status: TaskStatus) -> Response:
        """Fetch the result of a task that ended."""
        try:
            return await self._driver.drive(self._dialect.result(ref, status))
        except NotFound as exc:
            raise ResultUnavailable(ref.id, self.token_of(ref), status) from exc
        except TaskError as exc:
            exc.token = self.token_of(ref)  # which the dialect does not know
            raise

    async def save(self, ref: TaskRef, path: os.PathLike[str]) -> Path:
        """Stream the result of a task that ended to a file."""
        try:
            request = await self._driver.drive(self._dialect.find_download(ref))
            saved = await self._stream(request, path)
        except NotFound as exc:
            raise ResultUnavailable(ref.id, self.token_of(ref)) from exc
        except TaskError as exc:
            exc.token = self.token_of(ref)
            raise
        if not self.keeps_results:
            await self.clean_up(ref)
        return saved

    async def _stream(
        self, request: Request, path: os.PathLike[str], *, replace: bool = True
    ) -> Path:
        """Stream an answer to a file, again from the start should it break off."""
        policy = self._driver.retry
        attempt = 1
        while True:
            try:
                async with self._driver.open(request) as got:
                    self._dialect.parse_head(got.head)
                    return await bodies.save(got.chunks, path, replace=replace)
            except TransportError as exc:
                # The head has retries of its own; this is a body that broke off.
                if not exc.retryable or attempt >= min(policy.attempts, 3):
                    raise
                await asyncio.sleep(backoff(policy, attempt, random.random()))  # noqa: S311
                attempt += 1

    async def clean_up(self, ref: TaskRef) -> None:
        """Remove a task whose result was fetched; failing to is no error."""
        try:
            await self.remove(ref)
        except AsyncTasksError as exc:
            self._logger.warning("task %s could not be removed: %s", ref.id, exc)

    async def ask_cancel(self, ref: TaskRef) -> TaskStatus:
        """Ask the service to end a task."""
        return await self._driver.drive(self._dialect.cancel(ref))

    async def remove(self, ref: TaskRef) -> None:
        """Remove a task from the service."""
        await self._driver.drive(self._dialect.delete(ref))

    async def nap(self, looks: int) -> None:
        """Wait as the poll policy says after so many looks."""
        policy = self._hub.watcher.policy
        await asyncio.sleep(policy.next_wait(looks, random.random()))  # noqa: S311


def _build_hub(given: ClientOptions) -> Hub:
    transport, session = given.get("transport"), given.get("session")
    if transport is not None and session is not None:
        raise InvalidArgument("session", "…", "give a transport or a session, not both")
    return Hub(
        lane=Lane(transport or AiohttpTransport(session)),
        watcher=Watcher(
            policy=given.get("poll") or PollPolicy(),
            logger=logging.getLogger("asynctasks.watcher"),
        ),
        subscriber=Subscriber(logger=logging.getLogger("asynctasks.subscriber")),
        own_transport=transport is None,
    )


def _check_names(client: str, given: ClientOptions) -> None:
    """Refuse options that there are not; else a misspelt one would do nothing."""
    known = sorted(ClientOptions.__annotations__)
    for name in given:
        if name not in known:
            raise TypeError(
                f"{client} has no option {name!r}; it has: {', '.join(known)}"
            )


def _build_limits(given: ClientOptions) -> Limits:
    limits = Limits()
    timeout = given.get("attempt_timeout", limits.attempt_timeout)
    size = given.get("max_response_bytes", limits.max_response_bytes)
    if not isinstance(size, int) or size < 1:
        raise InvalidArgument("max_response_bytes", size, "must be 1 or more")
    return Limits(
        attempt_timeout=_seconds("attempt_timeout", timeout), max_response_bytes=size
    )


def _origins(given: Collection[str]) -> frozenset[str]:
    """Bring origins into the form in which they are compared."""
    if isinstance(given, str):
        remedy = "give a collection of origins, e.g. {'https://store.example'}"
        raise InvalidArgument("trusted_origins", given, remedy)
    return frozenset(split_base(url, "trusted_origins")[0] for url in given)


def _seconds(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise InvalidArgument(name, value, "must be a finite number of seconds above 0")
    return float(value)
