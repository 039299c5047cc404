"""The client for AIMMS: PRO in the cloud, and the local DEX server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
import os
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack, overload

import attrs

from . import files as bodies
from .arguments import check_kind, check_wait
from .client import ClientOptions, TaskClient
from .config import Profile
from .config.credentials import fetch_from, read_secret
from .exceptions import InvalidArgument
from .handle import TaskHandle
from .manners import Decode
from .options import check_options
from .payload import build_payload
from .recurring import RecurringTask
from .sansio.aimms import AimmsDialect
from .sansio.answers import decode_content
from .sansio.auth import Credential, NoAuth, Secret
from .sansio.auth import api_key as sign_with_key
from .sansio.token import parse_token
from .sansio.urls import segment, split_base


__all__ = ["AimmsClient", "AimmsSubmit", "Interruption", "read_api_key"]

NEEDS_KEY = (
    "AIMMS in the cloud needs a key: set api_key_file (--api-key-file) or api_key "
    "(ASYNCTASKS_API_KEY); one that runs elsewhere is deployment local (--local)"
)

LAST_PORT = 65_535

LOCAL_PORT = 8080
"""``dex::api::ListenerPort``, where it is not set."""

Interruption = Literal["interrupt-solve", "interrupt-execution"]
"""What is stopped of a running task: the solve, or the whole execution."""


class AimmsSubmit(TypedDict, total=False):
    """The keyword arguments of :meth:`AimmsClient.submit`, but for *schedule_every*."""

    key: str | None
    """Names the submit in the client's journal; see :meth:`TaskClient.submit`."""

    content: bodies.Content | None
    """Instead of the inputs: text, bytes, the path of a file or a stream."""

    content_type: str | None
    """What the content is."""

    files: Mapping[str, bodies.FileContent] | None
    """Instead of both: a form of files, by field name."""

    schedule_for: datetime | str | None
    """When to start: an aware datetime (cloud)."""

    schedule_in: timedelta | float | str | None
    """How long to wait before: a timedelta, seconds, or text such as ``"1 day"``
    (cloud)."""

    task_state_hook: str | None
    """A URL that the service calls with PUT at every change of state (cloud, v2).
    There is no retry: do not rely on it alone."""


class AimmsClient(TaskClient):
    """
    Runs tasks of AIMMS applications; make one with :meth:`cloud` or :meth:`local`.

    The two differ in their paths and in authentication, not in how they are used.
    """

    _dialect: AimmsDialect

    @classmethod
    def cloud(
        cls,
        account: str,
        *,
        app: str | None = None,
        version: str | None = None,
        api_key: Credential | os.PathLike[str],
        api_version: str = "v2",
        **options: Unpack[ClientOptions],
    ) -> Self:
        """
        Make a client of AIMMS PRO in the cloud.

        Args:
            account: its name, as in ``https://NAME.aimms.cloud``, or the whole URL.
            app: the application whose services are called; can be chosen later with
                :meth:`app`.
            version: of the application; text, so that ``"007"`` stays what it is.
                Without it, the version that is tagged latest (v2 only).
            api_key: the key; a path of a file that holds it (``{"apiKey": ...}`` or
                the bare key); or an async callable that fetches it. It needs the
                scope Tasks.
            api_version: of the REST API, ``"v2"`` or ``"v1"`` (which the vendor
                announced to end on 2024-01-31).
            options: see :class:`ClientOptions`.
        """
        remedy = "give the account's name (letters, digits, -) or its URL"
        check_kind("account", account, str, remedy)
        url = account
        if "://" not in account:
            if not account.replace("-", "").isalnum() or not account.isascii():
                raise InvalidArgument("account", account, remedy)
            url = f"https://{account}.aimms.cloud"
        origin, path = split_base(url, "account")
        dialect = AimmsDialect.cloud(
            api_version,
            app=app,
            app_version=version,
            prefix=path.removesuffix(f"/pro-api/{api_version}"),
        )
        return cls(dialect, origin, sign_with_key(_key(api_key)), options)

    @classmethod
    def local(
        cls,
        url: str | int = LOCAL_PORT,
        *,
        api_version: str = "v2",
        **options: Unpack[ClientOptions],
    ) -> Self:
        """
        Make a client of the REST server of an AIMMS on this machine.

        Args:
            url: e.g. ``"http://localhost:8080"``; or only its port.
            api_version: of the REST API, ``"v2"`` or ``"v1"`` (older libraries).
            options: see :class:`ClientOptions`.

        No key is sent: a local server of before DEX 23.1.0.13 takes a request with
        a key for one of the cloud.
        """
        origin, path = split_base(_at_port(url) if isinstance(url, int) else url)
        dialect = AimmsDialect.local(
            api_version, prefix=path.removesuffix(f"/api/{api_version}")
        )
        return cls(dialect, origin, NoAuth(), options)

    @classmethod
    def from_profile(cls, profile: Profile, **options: Unpack[ClientOptions]) -> Self:
        """
        Make a client as a profile says; see :meth:`Profile.load`.

        Args:
            profile: where the service is, and the key.
            options: see :class:`ClientOptions`; they win over the profile's clocks.

        Raises:
            ConfigError: the profile is of another protocol, or has no key.
        """
        profile.check_protocol(AimmsDialect.protocol)
        merged: ClientOptions = {**profile.clocks, **options}
        version = profile.api_version or "v2"
        if profile.deployment == "local":
            return cls.local(profile.url or LOCAL_PORT, api_version=version, **merged)
        account = profile.url or profile.account
        if account is None:
            raise profile.complaint("it needs an account or a url")
        key = profile.credential("api_key")
        if key is None:
            raise profile.complaint(NEEDS_KEY)
        return cls.cloud(
            account,
            app=profile.app,
            version=profile.version,
            api_key=key,
            api_version=version,
            **merged,
        )

    def app(self, name: str, version: str | None = None) -> Self:
        """Return a view of this client for another application (cloud)."""
        if not self._dialect.hosted:
            remedy = "a local server has one application"
            raise InvalidArgument("app", name, remedy)
        segment(name, "app")
        if version is not None:
            segment(version, "version")
        dialect = attrs.evolve(self._dialect, app=name, app_version=version)
        return self._with_dialect(dialect)

    @overload
    async def submit(
        self,
        service: str,
        inputs: Any = None,
        *,
        schedule_every: None = None,
        **options: Unpack[AimmsSubmit],
    ) -> TaskHandle: ...

    @overload
    async def submit(
        self,
        service: str,
        inputs: Any = None,
        *,
        schedule_every: timedelta | float | str,
        **options: Unpack[AimmsSubmit],
    ) -> RecurringTask: ...

    async def submit(
        self,
        service: str,
        inputs: Any = None,
        *,
        schedule_every: timedelta | float | str | None = None,
        **options: Unpack[AimmsSubmit],
    ) -> TaskHandle | RecurringTask:
        """
        Start a task; see :meth:`TaskClient.submit` for the body.

        Args:
            service: the name of the service that the application offers.
            inputs: sent as JSON.
            schedule_every: how often to start it again (cloud): a timedelta, seconds,
                or text such as ``"1 day"``.
            options: see :class:`AimmsSubmit`.

        Returns:
            The task; a :class:`RecurringTask` with *schedule_every*.

        Raises:
            SubmitOutcomeUnknown: the answer was lost; the task may be running.
            InvalidArgument: an argument cannot be used; nothing was sent.
            ResponseError: the service refuses.
        """
        check_options("a submit of AIMMS", options, AimmsSubmit.__annotations__)
        given: dict[str, Any] = {"schedule_every": schedule_every, **options}
        body = [given.pop(name, None) for name in ("content", "content_type", "files")]
        key = given.pop("key", None)
        payload = await build_payload(inputs, *body)
        launched = await self._launch(service, payload, given, key)
        if schedule_every is not None:
            return RecurringTask(self._desk, launched.ref)
        return self._handle_of(launched)

    def recurring(self, token: str) -> RecurringTask:
        """Return a recurring task from its token or id, without I/O."""
        return RecurringTask(self._desk, parse_token(token, self._dialect, self.origin))

    async def interrupt(
        self, task: TaskHandle | str, how: Interruption = "interrupt-solve"
    ) -> str | None:
        """
        Stop the solve of a running task, or its whole execution.

        Args:
            task: the task.
            how: ``"interrupt-solve"``: the rest of the procedure runs on and the
                task ends completed. ``"interrupt-execution"``: it ends failed.

        Returns:
            What a local server says it will do (``"interrupt-processed"``: the task
            was over already); None in the cloud.
        """
        ref = self._own(task).ref
        return await self._driver.drive(self._dialect.interrupt(ref, how))

    async def logs(self, task: TaskHandle | str) -> Any:
        """Fetch the log of a task, decoded as results are (cloud)."""
        flow = self._dialect.logs(self._own(task).ref)
        return decode_content(await self._driver.drive(flow))

    async def download_log(
        self, task: TaskHandle | str, path: os.PathLike[str] | str
    ) -> Path:
        """Stream the log file of a task to a file (cloud)."""
        request = self._dialect.build_log_download(self._own(task).ref)
        async with self._driver.open(request) as download:
            self._dialect.parse_head(download.head)
            return await bodies.save(download.chunks, Path(path))

    async def task_stats(self, *, current: bool = False) -> Any:
        """Fetch the service's statistics of tasks, in its own form (cloud)."""
        return await self._driver.drive(self._dialect.stats(current=current))

    async def intermediate_status(
        self, task: TaskHandle | str, *, decode: Decode = "auto"
    ) -> Any:
        """Fetch what the model writes as its status while it runs (local)."""
        flow = self._dialect.intermediate_status(self._own(task).ref)
        return decode_content(await self._driver.drive(flow), decode)

    async def echo(
        self, content: bytes = b"", *, content_type: str | None = None, delay: float = 0
    ) -> bytes:
        """Have bytes sent back by the server after a delay in seconds (local)."""
        check_kind("content", content, (bytes, bytearray), "give bytes")
        check_wait("delay", delay)
        flow = self._dialect.echo(content, content_type, delay)
        return (await self._driver.drive(flow)).body

    async def server_version(self) -> str:
        """Ask for the version of the REST API (cloud)."""
        return await self._driver.drive(self._dialect.server_version())


def _at_port(port: int) -> str:
    if isinstance(port, bool) or not 0 < port <= LAST_PORT:
        raise InvalidArgument("url", port, f"give a URL, or a port, 1 to {LAST_PORT}")
    return f"http://localhost:{port}"


def _key(given: Credential | os.PathLike[str]) -> Credential:
    if not isinstance(given, os.PathLike):
        return given
    return fetch_from(Path(given), "apiKey")


def read_api_key(path: os.PathLike[str] | str) -> Secret:
    """
    Read an API key from a file: ``{"apiKey": "..."}``, or the bare key.

    Raises:
        ConfigError: the file cannot be read or holds no key.
    """
    return read_secret(path, "apiKey")
