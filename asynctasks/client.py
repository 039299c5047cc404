"""The client that all task services share."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import suppress
import copy
from functools import partial
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self
import warnings

from . import files as bodies
from .arguments import check_kind
from .batch import Batch, build_batch
from .batch_item import Terms
from .batch_remote import Remote
from .desk import Desk
from .driver import Driver
from .exceptions import InvalidArgument, InvalidState, SubmitOutcomeUnknown
from .handle import TaskHandle
from .journalled import JournalledTask
from .lanes import Kind
from .manners import Decode, ErrorPolicy, RemotePolicy, check_waiting
from .once import share
from .options import (
    ClientOptions,
    build_hub,
    build_limits,
    build_manners,
    check_options,
    normal_origins,
)
from .payload import build_payload
from .resources import Rows, build_query
from .sansio.auth import Auth
from .sansio.dialect import (
    Capabilities,
    Dialect,
    Launched,
    Payload,
    Prepared,
    Query,
    Reconcile,
)
from .sansio.http import Flow
from .sansio.retry import RetryPolicy
from .sansio.task import TaskRef, TaskStatus
from .sansio.token import parse_token
from .sansio.urls import is_loopback
from .stats import ClientStats, build_stats
from .submit_journal import SubmitJournal
from .subscriber import Callback, StatusSubscription


__all__ = ["ClientOptions", "TaskClient"]

GRACE = 30.0
"""Seconds after which a task that is not in the service's list was not accepted."""

CLOSE_WITHIN = 5.0
"""Seconds that closing takes at most, even if a connection hangs."""


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
        check_options(type(self).__name__, given)
        self._options = given
        self._logger = given.get("logger") or logging.getLogger("asynctasks.client")
        self._manners = build_manners(given)
        self._check_clear_text(origin, auth)
        self._hub = build_hub(given, self._logger)
        self._dialect = dialect
        self._driver = self._build_driver(origin, auth)
        self._desk = self._build_desk(self._driver, dialect)
        self._submits = self._build_submits(given)
        self._owner = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._dialect.title} at {self.origin}>"

    # --- lifecycle -----------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._hub.lanes.check()
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
            hub.lanes.check()
            hub.lanes.closed = True
            hub.closing = asyncio.create_task(self._close(), name="asynctasks-close")
        await share(hub.closing)

    async def _close(self) -> None:
        hub = self._hub
        reason = "the client was closed; the task goes on, its token finds it again"
        steps: list[Callable[[], Awaitable[object]]] = []
        if self._submits is not None:
            steps.append(self._submits.aclose)
        steps.append(partial(hub.watcher.aclose, InvalidState(reason)))
        steps.append(partial(hub.subscriber.aclose))
        if hub.own_transport:
            steps.append(partial(hub.lanes.transport.aclose))
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
        return self._manners.patience

    def with_auth(self, auth: Auth) -> Self:
        """
        Return a view of this client that signs its requests in another way.

        It shares transport, watcher and limits: make one per user of a web backend.
        """
        if not isinstance(auth, Auth):  # it may be the bare key: it is not shown
            remedy = "give an Auth, such as bearer(token)"
            raise InvalidArgument("auth", type(auth).__name__, remedy)
        self._check_clear_text(self.origin, auth)
        driver = self._build_driver(self.origin, auth)
        return self._view(self._build_desk(driver, self._dialect))

    def _with_dialect(self, dialect: Dialect) -> Self:
        return self._view(self._build_desk(self._driver, dialect))

    def _view(self, desk: Desk) -> Self:
        if self._submits is not None:
            # A lost submit would be looked for in another list than it is in.
            reason = "a client with a journal has no views"
            raise InvalidState(f"{reason}: make another client, with its own journal")
        view = copy.copy(self)
        parts = {"_desk": desk, "_driver": desk.driver, "_dialect": desk.dialect}
        vars(view).update(parts, _owner=False)
        return view

    def _build_submits(self, given: ClientOptions) -> SubmitJournal | None:
        path, grace = given.get("journal"), given.get("grace")
        if path is None:
            return None
        remote = Remote(self._desk, self._prepare, self._start)
        return SubmitJournal(Path(path), remote, self._desk, grace=grace or GRACE)

    def _build_desk(self, driver: Driver, dialect: Dialect) -> Desk:
        return Desk(
            driver,
            dialect,
            watcher=self._hub.watcher,
            subscriber=self._hub.subscriber,
            manners=self._manners,
            counts=self._hub.counts,
        )

    def _build_driver(self, origin: str, auth: Auth) -> Driver:
        given = self._options
        return Driver(
            self._hub.lanes,
            origin=origin,
            auth=auth,
            retry=given.get("retry") or RetryPolicy(),
            limits=build_limits(given),
            trusted_origins=normal_origins(given.get("trusted_origins", ())),
            hooks=self._hub.hooks,
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
        key: str | None = None,
    ) -> TaskHandle:
        """
        Start a remote task.

        Args:
            service: what to run.
            inputs: sent as JSON.
            content: instead of *inputs*: text, bytes, the path of a file or an
                async iterable of bytes, sent as it is.
            content_type: of *content*; by default text, or what the ending of a
                file says, or octet-stream.
            files: instead of both: a form of files, by field name.
            key: names the submit in the client's journal, so that it is made once: a
                second one under the same key, in whatever run, returns the task of
                the first. Without it, each submit is one of its own.

        Returns:
            The handle of the task, which the service has accepted.

        Raises:
            JournalError: the client's journal cannot be written, or has the key with
                another input; nothing was sent.
            SubmitOutcomeUnknown: the answer was lost; the task may be running.
                Never repeated blindly; see :meth:`candidates`.
            InvalidArgument: an argument cannot be used; nothing was sent.
            ResponseError: the service refuses; ``sent`` is True.
        """
        payload = await build_payload(inputs, content, content_type, files)
        launched = await self._launch(service, payload, {}, key)
        return self._handle_of(launched)

    async def _launch(
        self,
        service: str,
        payload: Payload,
        options: Mapping[str, Any],
        key: str | None = None,
    ) -> Launched:
        prepared = await self._desk.prepare(service, payload, options)
        return await self._begin(prepared, key)

    async def _begin(self, prepared: Prepared, key: str | None) -> Launched:
        """Start what was prepared; with a journal, once for each key."""
        if self._submits is not None:
            return await self._submits.start(prepared, key)
        if key is not None:
            remedy = "is for the journal of a client; give it one: journal=path"
            raise InvalidArgument("key", key, remedy)
        return await self._desk.start(prepared)

    async def _prepare(
        self, service: str, inputs: Any, options: Mapping[str, Any]
    ) -> Prepared:
        """Make a submit ready, for a batch; starts nothing."""
        given = dict(options)
        payload = await build_payload(
            inputs,
            given.pop("content", None),
            given.pop("content_type", None),
            given.pop("files", None),
        )
        flow = self._dialect.prepare(service, payload, given)
        return await self._driver.drive(flow, kind=Kind.SUBMIT)

    async def _start(self, prepared: Prepared) -> TaskHandle:
        return self._handle_of(await self._desk.start(prepared))

    def _remote(self) -> Remote:
        by_list = self.capabilities.reconcile is Reconcile.ORPHANS
        if by_list and self._submits is not None:
            reason = "tasks of a batch could be taken for lost ones of this client's"
            raise InvalidState(f"{reason} journal: make another client for the batch")
        return Remote(self._desk, self._prepare, self._start)

    def _handle_of(self, launched: Launched) -> TaskHandle:
        """Return the handle of a task that was accepted just now."""
        now = asyncio.get_running_loop().time()
        self._desk.announce(launched, now)
        return TaskHandle(self._desk, launched.ref, launched.status, since=now)

    async def candidates(self, error: SubmitOutcomeUnknown) -> list[TaskHandle]:
        """
        List the tasks that may be of a submit of this client whose answer was lost.

        Those are tasks of the same service, created since the submit began, that no
        submit of this client accounts for. With none of them the submit was probably
        not accepted: ask once more after some seconds, lists may lag. One is very
        likely it, if no other submit of the service was under way and nobody else
        uses the credentials. Of several, you have to tell.

        Raises:
            UnsupportedOperation: the service lets nobody find out.
        """
        refs = await self._desk.find_lost(error)
        return [TaskHandle(self._desk, ref) for ref in refs]

    def journalled(self) -> AsyncGenerator[JournalledTask, None]:
        """
        Go through what was submitted with the client's journal, in whatever run.

        Each comes again, in each run, until it is given to :meth:`acknowledge`. What a
        run that was killed left in doubt is found out first, as far as the service
        lets us.

        Raises:
            InvalidState: the client has no journal.
            JournalError: while it is gone through: it cannot be used.
            AsyncTasksError: the same: the service cannot be asked what became of
                something. What is certain has been given.
        """
        return self._journal().tasks()

    async def acknowledge(
        self, task: TaskHandle | str | None = None, *, key: str | None = None
    ) -> None:
        """
        Note in the client's journal that you are done with a task.

        It comes no more from :meth:`journalled`. Its key stays taken: it is submitted
        no second time.

        Args:
            task: that was submitted; its token or id.
            key: of the submit, instead, e.g. where there is no task.

        Raises:
            InvalidArgument: the journal does not have it.
            JournalError: this cannot be noted.
        """
        handle = None if task is None else self._own(task)
        await self._journal().acknowledge(handle, key)

    def _journal(self) -> SubmitJournal:
        if self._submits is None:
            raise InvalidState("this client has no journal; give it one: journal=path")
        return self._submits

    def handle(self, token: str) -> TaskHandle:
        """
        Return the handle of a task, without I/O.

        Args:
            token: of a handle, from whatever process; or an id of the service.

        Raises:
            InvalidArgument: the token is of another service, or damaged.
        """
        return TaskHandle(self._desk, parse_token(token, self._dialect, self.origin))

    async def poll(self, task: TaskHandle | str) -> TaskStatus:
        """Ask for the status of a task once; see :meth:`TaskHandle.status`."""
        return await self._own(task).status()

    async def result(
        self,
        task: TaskHandle | str,
        *,
        timeout: float | None = None,
        decode: Decode = "auto",
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
        decode: Decode = "auto",
        on_cancel: RemotePolicy | None = None,
        on_timeout: RemotePolicy | None = None,
        **submit: Any,
    ) -> Any:
        """
        Submit, wait and fetch: :meth:`submit` and :meth:`TaskHandle.result`.

        Should it be cancelled or time out, the remote task goes on unless *on_cancel*
        or *on_timeout* says otherwise; errors of the wait carry its token.
        """
        # Before anything is sent: it would be found out when the task is running.
        check_waiting(timeout, decode, on_cancel, on_timeout)
        task = await self.submit(service, inputs, **submit)
        return await task.result(
            timeout=timeout, decode=decode, on_cancel=on_cancel, on_timeout=on_timeout
        )

    def map(  # noqa: PLR0913 - each is a fact of a batch
        self,
        service: str,
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        limit: int = 50,
        ordered: bool = False,
        on_error: ErrorPolicy = "collect",
        retry_failed: int = 0,
        key: Callable[[Any], str] | None = None,
        timeout: float | None = None,
        decode: Decode = "auto",
        on_cancel: RemotePolicy | None = None,
        on_timeout: RemotePolicy | None = None,
        **submit: Any,
    ) -> Batch:
        """
        Run a service for each of many inputs.

        Args:
            service: what to run.
            inputs: any iterable, plain or async; read when there is room, so that a
                million of them need no more memory than a hundred.
            limit: remote tasks at a time: submitted and not yet ended.
            ordered: give items in the order of the inputs, not as they end.
            on_error: ``"collect"`` gives failed items as any other; ``"raise"`` ends
                the batch with the error of the first.
            retry_failed: how often an item is submitted again that failed for a
                reason that may pass: its task failed or was lost, or the service broke.
            key: names an input; by default its index does.
            timeout: seconds to wait for the end of one task; by default the client's
                ``patience``. The item then says ``SUBMITTED``: its task goes on.
            decode: of results; see :meth:`TaskHandle.result`.
            on_cancel: what becomes of the remote tasks when the batch is closed early:
                ``"leave"`` or ``"cancel_remote"``; by default the client's.
            on_timeout: the same for a task whose *timeout* is over.
            submit: arguments of :meth:`submit`, the same for all.

        Returns:
            The batch: iterate it with ``async for``, best within ``async with``. Its
            items have the result or the error. For one that survives the death of the
            process see :class:`BatchSubmitter`.
        """
        terms = Terms(
            service=service,
            limit=limit,
            ordered=ordered,
            on_error=on_error,
            retry_failed=retry_failed,
            key=key,
            timeout=timeout,
            decode=decode,
            on_cancel=on_cancel,
            on_timeout=on_timeout,
            options=submit,
        )
        return build_batch(terms, inputs, self._remote())

    def _own(self, task: TaskHandle | str) -> TaskHandle:
        if isinstance(task, TaskHandle):
            return task
        return self.handle(task)

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
            The subscription; ``unsubscribe()`` ends it. One of a single task ends
            with the task.
        """
        if task is not None and service is not None:
            raise InvalidArgument("service", service, "give a task or a service")
        if service is not None:
            check_kind("service", service, str, "give the name of a service")
        self._hub.lanes.check()
        handle = None if task is None else self._own(task)

        def wants(scope: object, ref: TaskRef) -> bool:
            return scope is self._driver and service in {None, ref.service}

        subscription = self._hub.subscriber.add(
            callback, wants=wants if handle is None else None, queue_size=queue_size
        )
        if handle is not None:
            try:
                self._desk.follow(subscription, handle.ref, handle.last_status)
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
        self._hub.lanes.check()
        return self._hub.subscriber.start()

    # --- what limits it ------------------------------------------------------

    def stats(self) -> ClientStats:
        """
        Say what was done so far, and what limits throughput now.

        Cheap, but for one look at each open task.
        """
        return build_stats(self._hub)

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
