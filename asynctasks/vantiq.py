"""
The client for Vantiq, with the names of Vantiq's own SDK for Python.

An application that was written for ``vantiqsdk`` imports from here instead. What goes
beyond that SDK has names of its own: :meth:`Vantiq.rows`, :meth:`Vantiq.events`,
:meth:`Vantiq.unsubscribe`, :meth:`Vantiq.patch`, :meth:`Vantiq.batch`,
:meth:`Vantiq.stream`, :meth:`Vantiq.revoke`, and ``timeout=`` of each call.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
import logging
from pathlib import Path
import secrets
from types import TracebackType
from typing import Any, Self

from .exceptions import VantiqException
from .files import FileBody
from .sansio.http import BodySource, Request, Response
from .sansio.urls import segment
from .sansio.values import (
    Currency,
    GeoJSON,
    ResourceReference,
    VantiqType,
    from_vantiq,
    to_vantiq,
    vantiq_json_default,
)
from .sansio.vantiq import (
    VantiqError,
    VantiqResources,
    VantiqResponse,
    parse_response,
    raise_refusal,
)
from .sansio.vantiq_arguments import (
    PUBLISHING,
    build_part,
    check_upload,
    content_of,
    count_query,
    select_query,
    topic_id,
    without_id,
)
from .sansio.vantiq_requests import Batched, Given
from .transport import Transport
from .vantiq_events import EventFeed, EventStream, VantiqEvent
from .vantiq_inbox import Callback, InboxOptions
from .vantiq_pages import all_rows
from .vantiq_scripts import async_from_sync, execute_procedure
from .vantiq_session import Session, VantiqOptions, explained


__all__ = [
    "Batched",
    "Currency",
    "EventStream",
    "GeoJSON",
    "ResourceReference",
    "Vantiq",
    "VantiqError",
    "VantiqEvent",
    "VantiqException",
    "VantiqOptions",
    "VantiqResource",
    "VantiqResources",
    "VantiqResponse",
    "VantiqType",
    "async_from_sync",
    "execute_procedure",
    "from_vantiq",
    "to_vantiq",
    "vantiq_json_default",
]

VantiqResource = VantiqResources
"""The name that some of Vantiq's examples use."""


class Vantiq:
    """
    A client of one Vantiq server.

    Use it as an async context manager, or call :meth:`close`. Operations return a
    :class:`VantiqResponse`, a refusal by the server included; what keeps an answer
    from arriving is raised as :class:`VantiqException`. ``timeout=`` of an operation
    is in seconds and bounds all of it, retries included.

    Args:
        server: the URL of the server, e.g. ``"https://dev.vantiq.com"``.
        api_version: of the REST API; ``"1"`` by default.
        options: what else can be set.
        transport: what moves the bytes, e.g. one in memory; stays the caller's.
        connect_args: keyword arguments of aiohttp for every request and for the
            WebSocket: ``ssl``, ``proxy``, ``headers``, ``timeout``, ...
    """

    def __init__(
        self,
        server: str,
        api_version: str | None = None,
        *,
        options: VantiqOptions | None = None,
        transport: Transport | None = None,
        **connect_args: Any,
    ) -> None:
        self._server = server.removesuffix("/") if isinstance(server, str) else server
        self._api_version = api_version or "1"
        self._options = options or VantiqOptions()
        self._logger = logging.getLogger(type(self).__name__)
        self._session = Session(
            self._server,
            self._api_version,
            self._options,
            connect_args,
            self._logger,
            transport,
        )
        self._username: str | None = None
        self._feed = EventFeed(self._session, self.refresh, self._logger)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(server={self._server}, "
            f"is_connected={self._session.opened}, "
            f"is_authenticated={self.is_authenticated()})"
        )

    def __str__(self) -> str:
        return (
            f"{type(self).__name__} connection to {self._server}, "
            f"is_connected: {self._session.opened}, "
            f"is_authenticated: {self.is_authenticated()}"
        )

    # --- life cycle ----------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self, *, check: bool = False) -> None:
        """
        Open the session, again after :meth:`close` too; nothing is sent.

        Args:
            check: ask the server whether it is there.

        Raises:
            VantiqException: it is not there.
        """
        if not self._session.opened:
            self._session.open()
            self._logger.debug("Connected to server: %s", self._server)
        if check:
            await self._session.converse("connect", self._session.api.status)

    async def close(self) -> None:
        """
        Close the client and forget its credentials.

        May be called at any moment, more than once, and from a callback.
        """
        self._username = None
        await self._feed.aclose()
        await self._session.close()

    def get_server(self) -> str:
        """Return the URL of the server."""
        return self._server

    def get_api_version(self) -> str:
        """Return the version of the API."""
        return self._api_version

    # --- who we are ----------------------------------------------------------

    async def set_access_token(self, access_token: str) -> None:
        """
        Use a token; nothing is sent.

        Raises:
            VantiqException: it can be no token.
        """
        await self.connect()
        now = asyncio.get_running_loop().time()
        with explained("set_access_token"):
            self._session.auth.accept(access_token, self.get_id_token(), now)

    def get_access_token(self) -> str | None:
        """Return the token in use; None before and after."""
        return self._session.auth.token

    def get_id_token(self) -> str | None:
        """Return the id token that the server gave, if it gave one."""
        return self._session.auth.id_token

    def set_target_namespace(self, namespace: str | None) -> None:
        """Make requests for another namespace; None means the token's own."""
        with explained("set_target_namespace"):
            self._session.auth.namespace = namespace or None

    def get_target_namespace(self) -> str | None:
        """Return the namespace that requests are for; None is the token's own."""
        return self._session.auth.namespace

    def set_username(self, username: str | None) -> None:
        """Make requests in the name of another user, which the server must allow."""
        with explained("set_username"):
            self._session.auth.impersonated = username or None
        self._username = username

    def get_username(self) -> str | None:
        """Return the user name that was authenticated or set."""
        return self._username

    def is_authenticated(self) -> bool:
        """Tell whether there is a token to sign requests with."""
        return self._session.authenticated

    async def authenticate(self, username: str, password: str) -> None:
        """
        Exchange a user name and a password for a token.

        Raises:
            VantiqException: the server refuses, with its code; or no usable answer
                arrived.
        """
        await self.connect()
        request = self._session.api.authenticate(username, password)
        await self._obtain("Authentication", "authenticate", request)
        self._username = username

    async def refresh(self) -> None:
        """
        Exchange the token for a new one.

        Raises:
            VantiqException: there is none, the server refuses, or no usable answer
                arrived.
        """
        request = self._session.api.refresh(self._token_for_refresh())
        await self._obtain("Authentication/refresh", "refresh", request)

    async def revoke(self) -> None:
        """
        End the validity of the token, and forget it.

        Raises:
            VantiqException: there is none, the server refuses, or no usable answer
                arrived.
        """
        request = self._session.api.revoke(self._token_for_refresh())
        raise_answer(await self._session.converse("revoke", request))
        self._session.auth.clear()

    def _token_for_refresh(self) -> str:
        token = self.get_access_token()
        if token is None or not self._session.opened:
            code = "io.vantiq.python.refreshnotauthenticated"
            message = (
                "Cannot refresh access token as this session is not authenticated."
            )
            raise VantiqException(code, message, [])
        return token

    async def _obtain(self, what: str, operation: str, request: Request) -> None:
        """Ask for tokens and use them."""
        answer = await self._session.converse(operation, request)
        try:
            with explained(operation):
                raise_answer(answer)
                self._session.auth.accept_answer(answer)
        except VantiqException as exc:
            self._logger.error(  # noqa: TRY400 - it is raised, traceback and all
                "%s to server %s failed: %s", what, self._server, exc
            )
            raise

    @property
    def session(self) -> Session:
        """The connection and the credentials, for clients that build on this one."""
        return self._session

    @property
    def feed(self) -> EventFeed:
        """The events of all subscriptions, for clients that build on this one."""
        return self._feed

    # --- resources -----------------------------------------------------------

    async def select(
        self,
        resource: str,
        properties: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        sort_spec: Mapping[str, int] | None = None,
        limit: int | None = None,
        options: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Read rows.

        Args:
            resource: a system resource, or the name of a type.
            properties: which properties; all of them by default.
            where: which rows, e.g. ``{"age": {"$gt": 21}}``.
            sort_spec: e.g. ``{"name": 1}``; -1 descends.
            limit: rows at most; with it, ``count`` says how many there are in all.
            options: more parameters of the query, e.g. ``{"page": "2"}``.
            timeout: seconds for the call.

        Returns:
            A response whose body is a list of rows.
        """

        def build() -> Request:
            query = select_query(properties, where, sort_spec, limit, options)
            return self._session.api.get(resource, query=query)

        return await self._session.perform("select", build, timeout=timeout)

    def rows(
        self,
        resource: str,
        properties: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        sort_spec: Mapping[str, int] | None = None,
        *,
        page_size: int = 100,
        options: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """
        Go through the rows of all pages, one page in memory at a time.

        Rows are sorted by ``_id`` unless *sort_spec* says otherwise, because pages of
        rows without an order may overlap.

        Args:
            resource: a system resource, or the name of a type.
            properties: which properties.
            where: which rows.
            sort_spec: in which order.
            page_size: rows a request.
            options: more parameters of each query.
            timeout: seconds for each request.

        Raises:
            VantiqException: the server refuses, with its code; or no usable answer
                arrived; or its pages go on without anything new.
        """

        def fetch(page: int) -> Awaitable[VantiqResponse]:
            order, paging = sort_spec or {"_id": 1}, {"page": str(page)}
            paging = {**(options or {}), **paging}
            return self.select(
                resource, properties, where, order, page_size, paging, timeout=timeout
            )

        return all_rows(fetch, page_size)

    async def select_one(
        self,
        resource: str,
        resource_id: str | None = None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """Read one thing by its id; without an id, all of the resource."""

        def build() -> Request:
            return self._session.api.get(resource, resource_id)

        return await self._session.perform("selectOne", build, timeout=timeout)

    async def count(
        self,
        resource: str,
        where: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """Count the rows that match; see ``count`` of the response."""

        def build() -> Request:
            return self._session.api.get(resource, query=count_query(where))

        response = await self._session.perform("count", build, timeout=timeout)
        response.body = {}
        return response

    async def insert(
        self, resource: str, instance: Given, *, timeout: float | None = None
    ) -> VantiqResponse:
        """Add a row, or a list of them; see the body for what became of it."""
        _require("insert", instance, "inserted")

        def build() -> Request:
            return self._session.api.send("POST", resource, instance=instance)

        return await self._session.perform("insert", build, timeout=timeout)

    async def upsert(
        self, resource: str, instance: Given, *, timeout: float | None = None
    ) -> VantiqResponse:
        """Add a row, or change the one with the same natural key."""
        _require("upsert", instance, "upserted")

        def build() -> Request:
            row, query = without_id(instance), {"upsert": "true"}
            return self._session.api.send("POST", resource, instance=row, query=query)

        return await self._session.perform("upsert", build, timeout=timeout)

    async def update(
        self,
        resource: str,
        resource_id: str,
        instance: Mapping[str, Any],
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """Change properties of one thing; the body has those that changed."""
        _require("upsert", instance, "upserted")

        def build() -> Request:
            row, key = without_id(instance), _key(resource_id)
            return self._session.api.send("PUT", resource, key, instance=row)

        return await self._session.perform("update", build, timeout=timeout)

    async def patch(
        self,
        resource: str,
        resource_id: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Change one thing by steps (JSON Patch, RFC 6902).

        Args:
            resource: a system resource, or the name of a type.
            resource_id: which one.
            operations: e.g. ``[{"op": "replace", "path": "/x", "value": 2}]``.
            timeout: seconds for the call.
        """

        def build() -> Request:
            steps, key = list(operations), _key(resource_id)
            return self._session.api.send("PATCH", resource, key, instance=steps)

        return await self._session.perform("patch", build, timeout=timeout)

    async def delete(
        self,
        resource: str,
        where: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Delete the rows that match; see ``count`` of the response.

        Args:
            resource: a system resource, or the name of a type.
            where: which rows; None deletes **all of them**.
            timeout: seconds for the call.
        """

        def build() -> Request:
            query = {"count": "true"}
            if where is not None:
                query |= select_query(None, where, None, None, None)
            return self._session.api.delete(resource, query=query)

        return await self._session.perform("delete", build, timeout=timeout)

    async def delete_one(
        self, resource: str, resource_id: str, *, timeout: float | None = None
    ) -> VantiqResponse:
        """Delete one thing by its id, which must not be empty."""

        def build() -> Request:
            return self._session.api.delete(resource, _key(resource_id))

        return await self._session.perform("delete", build, timeout=timeout)

    async def batch(
        self, requests: Iterable[Batched], *, timeout: float | None = None
    ) -> VantiqResponse:
        """
        Make many requests at once; the server runs them in parallel.

        Args:
            requests: each has a method, a path below the resources such as
                ``"custom/Order?limit=10"``, and a body.
            timeout: seconds for the call.

        Returns:
            A response whose body is a list of ``{"status", "headers", "body"}``, in
            the same order.
        """

        def build() -> Request:
            signs = self._session.auth.headers()
            return self._session.api.batch(
                Batched(
                    method=each.method,
                    headers={**signs, **each.headers},
                    uri=each.uri,
                    body=each.body,
                )
                for each in requests
            )

        return await self._session.perform("batch", build, timeout=timeout, slow=True)

    # --- doing things --------------------------------------------------------

    async def query(
        self, source_id: str, query: Given, *, timeout: float | None = None
    ) -> VantiqResponse:
        """Send a query to a source; the body is its answer."""

        def build() -> Request:
            return self._session.api.send(
                "POST",
                VantiqResources.SOURCES,
                _key(source_id),
                suffix="/query",
                instance=query,
            )

        return await self._session.perform("query", build, timeout=timeout, slow=True)

    async def execute(
        self,
        procedure_id: str,
        params: Given = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Execute a procedure.

        Args:
            procedure_id: its name.
            params: by name in a dict, or in order in a list.
            headers: more headers of the request.
            timeout: seconds for the call; 5 minutes by default.
        """

        def build() -> Request:
            return self._session.api.execute(_key(procedure_id), params, headers)

        return await self._session.perform("execute", build, timeout=timeout, slow=True)

    async def stream(
        self,
        procedure_id: str,
        params: Given = None,
        headers: Mapping[str, str] | None = None,
        *,
        buffer_size: int | None = None,
        flush_interval: int | None = None,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Execute a procedure whose result is sent while it is made.

        Args:
            procedure_id: its name.
            params: by name in a dict, or in order in a list.
            headers: more headers of the request.
            buffer_size: bytes that the server gathers at most before it sends;
                64 KiB by default.
            flush_interval: milliseconds after which it sends what there is; 0 leaves
                it to the size, -1 sends each write.
            timeout: seconds until the head of the answer is there, and between two
                pieces.

        Returns:
            A response whose body is a stream: ``await body.read(n)``, or
            ``async for line in body``.
        """
        query = {"stream": "true"}
        if buffer_size is not None:
            query["maxBufferSize"] = str(buffer_size)
        if flush_interval is not None:
            query["maxFlushInterval"] = str(flush_interval)

        def build() -> Request:
            return self._session.api.execute(
                _key(procedure_id), params, headers, query, streamed=True
            )

        return await self._session.perform("execute", build, timeout=timeout, slow=True)

    async def publish(
        self,
        resource: str,
        resource_id: str,
        msg: Given,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Publish a message.

        Args:
            resource: ``VantiqResources.TOPICS``, ``SOURCES`` or ``SERVICES``.
            resource_id: a topic such as ``"/a/b"``, a source, or ``"Service/Event"``.
            msg: the message.
            timeout: seconds for the call.
        """
        if resource not in PUBLISHING:
            code = "io.vantiq.python.publish.invalidresource"
            message = (
                "The publish operation can be performed only on the following "
                "resources: {0}"
            )
            error = VantiqError(code, message, [list(PUBLISHING)])
            return VantiqResponse.from_error(error)

        def build() -> Request:
            key = topic_id(resource, _key(resource_id))
            return self._session.api.send("POST", resource, key, instance=msg)

        return await self._session.perform("publish", build, timeout=timeout)

    async def get_namespace_users(
        self, namespace: str, *, timeout: float | None = None
    ) -> VantiqResponse:
        """List the users of a namespace; only its administrators may."""

        def build() -> Request:
            users = f"/{segment(namespace, 'namespace')}/authorizedUsers"
            return self._session.api.get(VantiqResources.NAMESPACES, suffix=users)

        name = "getNamespaceUsers"
        return await self._session.perform(name, build, timeout=timeout)

    # --- documents -----------------------------------------------------------

    async def upload(
        self,
        resource: str,
        content_type: str,
        filename: str | None,
        doc_name: str | None = None,
        inmem: str | bytes | bytearray | None = None,
        *,
        timeout: float | None = None,
    ) -> VantiqResponse:
        """
        Upload a file, or what is in memory, and make a document of it.

        Args:
            resource: usually ``VantiqResources.DOCUMENTS``.
            content_type: of the content, e.g. ``"image/png"``.
            filename: the file, which is read while it is sent; with *inmem*, only a
                name.
            doc_name: what the document is called; as the file by default.
            inmem: the content, instead of a file's.
            timeout: seconds for the call; 5 minutes by default.
        """
        error = check_upload(resource, content_type, filename, doc_name, inmem)
        if error is not None:
            return VantiqResponse.from_error(error)
        self._session.ready_for("upload")
        name = filename if filename is not None else str(doc_name)
        with explained("upload"):
            # Looking at a file blocks.
            body: bytes | BodySource = (
                await asyncio.to_thread(FileBody, Path(name))
                if inmem is None
                else content_of(inmem)
            )
            part = build_part(body, content_type, name, doc_name)

        def build() -> Request:
            boundary = secrets.token_hex(16)
            return self._session.api.upload(resource, part, boundary=boundary)

        return await self._session.perform("upload", build, timeout=timeout, slow=True)

    async def download(
        self, path: str, *, timeout: float | None = None
    ) -> VantiqResponse:
        """
        Fetch the content of a document.

        Args:
            path: the ``content`` of the document. The token goes to the client's own
                server only, wherever the path leads.
            timeout: seconds until the head of the answer is there, and between two
                pieces.

        Returns:
            A response whose body is a stream: ``await body.read(n)``, ``b""`` at its
            end. Read it to its end, or close the client.
        """

        def build() -> Request:
            return self._session.api.download(path)

        return await self._session.perform("download", build, timeout=timeout)

    # --- events --------------------------------------------------------------

    async def start_subscriber_transport(self) -> asyncio.Task[None] | None:
        """
        Start what brings events to callbacks; :meth:`subscribe` does it too.

        Returns:
            Its asyncio task, which runs until the transport is over; None if it runs
            already.

        Raises:
            VantiqException: the server cannot be reached or refuses the token.
        """
        return await self._feed.start()

    async def subscribe(  # noqa: PLR0913 - the first six are a contract
        self,
        resource: str,
        resource_id: str,
        operation: str | None,
        callback: Callback,
        params: Mapping[str, Any] | None = None,
        target_namespace: str | None = None,
        *,
        timeout: float = 30.0,
        queue_size: int | None = None,
        queue_policy: str | None = None,
    ) -> VantiqResponse:
        """
        Have a callback told of events.

        It is called with ``"connect"``, ``"message"`` and ``"error"`` and the message,
        one after the other; and with ``"gap"`` where events may be missing, after the
        connection was lost or because it is too slow. The event is ``value``, what
        happened where is ``path``; both also stand in the message's ``body``.

        Args:
            resource: ``VantiqResources.TOPICS``, ``SOURCES``, ``SERVICES``, ``TYPES``.
            resource_id: a topic such as ``"/a/b"``, a source, ``"Service/Event"``, or
                the name of a type.
            operation: ``"insert"``, ``"update"`` or ``"delete"``, for types only.
            callback: see above; it may be slow or raise without harm to others.
            params: e.g. ``{"persistent": True}``.
            target_namespace: another namespace than the client's.
            timeout: seconds to wait for the server's answer.
            queue_size: events that may wait; see :class:`VantiqOptions`.
            queue_policy: what happens when that many wait.

        Returns:
            Success once the server has accepted, before the callback is called; a
            failure when it refuses, or there is such a subscription already.

        Raises:
            VantiqException: there can be no such subscription, or the transport
                cannot be started.
        """
        place = (resource, resource_id, operation, target_namespace)
        with explained("subscribe"):
            inbox = InboxOptions(
                callback=callback,
                size=queue_size or self._options.queue_size,
                policy=queue_policy or self._options.queue_policy,
            )
        return await self._feed.subscribe(place, inbox, params, timeout)

    async def unsubscribe(
        self,
        resource: str,
        resource_id: str,
        operation: str | None = None,
        target_namespace: str | None = None,
    ) -> bool:
        """
        End a subscription; events that still wait are not told.

        Vantiq has no such request: the server sends on, unheard, until the connection
        is closed, and keeps a persistent subscription after that.

        Returns:
            Whether there was one.
        """
        place = (resource, resource_id, operation, target_namespace)
        return self._feed.unsubscribe(place)

    def events(
        self,
        resource: str,
        resource_id: str,
        operation: str | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        target_namespace: str | None = None,
        queue_size: int | None = None,
        queue_policy: str | None = None,
    ) -> EventStream:
        """
        Read events as a stream; see :meth:`subscribe` for the arguments.

        ::

            async with client.events(VantiqResources.TOPICS, "/a/b") as events:
                async for event in events:
                    print(event.path, event.value)

        Entering it raises :class:`VantiqException` where the server refuses.
        """
        place = (resource, resource_id, operation, target_namespace)
        size = queue_size or self._options.queue_size
        policy = queue_policy or self._options.queue_policy
        return self._feed.stream(place, params, size=size, policy=policy)

    async def ack(
        self, request_id: str, subscription_id: str, msg: Mapping[str, Any]
    ) -> None:
        """
        Acknowledge a reliable event of a persistent subscription.

        Args:
            request_id: ``X-Request-Id`` of the message's headers.
            subscription_id: ``name`` in the body of the ``connect`` message.
            msg: the body of the message.

        Raises:
            VantiqException: it is no reliable event, or there is no transport.
        """
        await self._feed.ack(request_id, subscription_id, msg)

    def register_subscriber_on_close(
        self, callback: Callable[[], Awaitable[None]]
    ) -> None:
        """
        Have an async callback called when the subscriber transport is over.

        That is when the client is closed, or when it gave up connecting again: once
        for each transport. A later callback replaces an earlier one.
        """
        self._feed.on_close = callback


def _key(resource_id: Any) -> str:
    """Return an id that must be there; its form is checked with the path."""
    return resource_id if resource_id is not None else ""


def raise_answer(answer: Response) -> None:
    """Raise what the server refused; a success may hold tokens and is not read."""
    if answer.refused:
        raise_refusal(parse_response(answer))


def _require(operation: str, instance: Any, done: str) -> None:
    if instance is None:
        message = f"The object to be {done} cannot be None."
        raise VantiqException(f"io.vantiq.python.{operation}.none", message, [])
