"""The client for DESP User Workflow Processing, which is CGI's Insula."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
import os
from pathlib import Path
import secrets
from typing import Any, ClassVar, Self, TypedDict, Unpack
import weakref

from . import files as bodies
from .client import ClientOptions, TaskClient
from .config import Profile
from .exceptions import InvalidArgument
from .handle import TaskHandle
from .options import check_options
from .payload import build_payload
from .sansio import codec
from .sansio.auth import Auth, Credential, NoAuth, basic, bearer
from .sansio.desp import ROOT, DespDialect
from .sansio.desp_inputs import id_text
from .sansio.desp_jobs import CostEstimate, LogLine, OutputFile, parse_file
from .sansio.dialect import Launched, Prepared
from .sansio.filenames import safe_filename
from .sansio.http import Part, Response, build_multipart
from .sansio.oauth import OAuth2Password
from .sansio.urls import is_loopback, split_base


__all__ = ["DespClient", "DespResources", "DespSubmit"]

TOKEN_URL = "https://auth.destine.eu/realms/desp/protocol/openid-connect/token"  # noqa: S105 - a URL
"""Where DestinE gives out tokens."""

CLIENT_ID = "insula-public"
"""The name under which DestinE knows those who ask without a secret."""

SCOPE = "openid"
"""What is asked for there."""

NEEDS = (
    "DESP needs a username with token_file or token; or access_token_file or "
    "access_token; or a username with token_url and password_file or password"
)

UPLOAD_TIMEOUT = 3600.0
"""Seconds for an upload; the service takes files of up to 6 GB."""


class DespResources:
    """The names of the resources, for ``select()`` and the other verbs."""

    SERVICES: ClassVar = "services"
    JOB_CONFIGS: ClassVar = "jobConfigs"
    JOBS: ClassVar = "jobs"
    PLATFORM_FILES: ClassVar = "platformFiles"
    COLLECTIONS: ClassVar = "collections"


class DespSubmit(TypedDict, total=False):
    """The keyword arguments of :meth:`DespClient.submit` and ``prepare``."""

    outputs: Mapping[str, str]
    """The identifiers of the collections that take the outputs, by output id."""

    parent: TaskHandle | str
    """A job whose sub-job the new one becomes."""

    label: str
    """Shown with the job; two configurations that differ in it alone are equal."""

    parallel_parameters: Sequence[str]
    """Inputs of which every value becomes a sub-job, where the service can do it."""

    search_parameters: Sequence[str]
    """Inputs whose values are searches to be replaced by what they find."""

    check_inputs: bool
    """Compare the inputs with the service's descriptor first; one more request."""

    max_cost: float
    """Launch only if the service estimates at most this, in its credits."""

    content: bodies.Content | None
    """Not taken by this service, as are the next two."""

    content_type: str | None
    files: Mapping[str, bodies.FileContent] | None


class DespClient(TaskClient):
    """
    Runs processing services of DESP, or of another Insula.

    ::

        async with DespClient("https://…", username="me", token=key) as client:
            task = await client.submit("20", {"s2_input": "a"}, outputs={"result": c})
            files = await task.result()
            await client.download_outputs(task, "results")

    Args:
        url: of the platform, with or without a slash or the API's path at its end.
        username: with *token*, for HTTP Basic.
        token: the user's API key, or an async callable that fetches it.
        access_token: instead of both, a ready OAuth 2 token or a callable for it.
        auth: instead of all three, any way to sign.
        options: see :class:`ClientOptions`.

    See :meth:`oauth2` for the platforms that want a password.
    """

    _dialect: DespDialect

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        token: Credential | None = None,
        access_token: Credential | None = None,
        auth: Auth | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        origin, path = split_base(url)
        dialect = DespDialect(origin=origin, prefix=path.removesuffix(ROOT))
        signing = _auth(username, token, access_token, auth)
        super().__init__(dialect, origin, signing, options)
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )
        self._service_ids: dict[str, str] = {}

    @classmethod
    def oauth2(
        cls,
        url: str,
        *,
        username: str,
        password: Credential,
        token_url: str = TOKEN_URL,
        client_id: str = CLIENT_ID,
        scope: str = SCOPE,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """
        Make a client that fetches and refreshes tokens with a password.

        Args:
            url: of the platform.
            username: of the user.
            password: of the user, or an async callable that fetches it.
            token_url: of the platform's identity provider.
            client_id: as the identity provider knows the client.
            scope: what is asked for.
            options: see :class:`ClientOptions`.
        """
        auth = OAuth2Password(
            token_url,
            username=username,
            password=password,
            client_id=client_id,
            scope=scope,
        )
        return cls(url, auth=auth, **options)

    @classmethod
    def from_profile(cls, profile: Profile, **options: Unpack[ClientOptions]) -> Self:
        """
        Make a client as a profile says; see :meth:`Profile.load`.

        Args:
            profile: where the platform is, and one of these: user name and token,
                an access token, or user name, password and token URL. A platform on
                this machine needs none of them.
            options: see :class:`ClientOptions`; they win over the profile's clocks.

        Raises:
            ConfigError: the profile is of another protocol, or lacks something.
        """
        profile.check_protocol(DespDialect.protocol)
        if profile.url is None:
            raise profile.complaint("it needs a url")
        merged: ClientOptions = {**profile.clocks, **options}
        signing = _auth_of(profile)
        if signing is None and not is_loopback(profile.url):
            raise profile.complaint(NEEDS)
        return cls(profile.url, auth=signing, **merged)

    # --- submit --------------------------------------------------------------

    async def submit(
        self,
        service: str,
        inputs: Any = None,
        *,
        key: str | None = None,
        **options: Unpack[DespSubmit],
    ) -> TaskHandle:
        """
        Start a job: :meth:`prepare` and :meth:`launch`.

        Args:
            service: its id; or its name, which is looked up once.
            inputs: by id, a value or a list of them. The platform keeps neither the
                order of several values nor equal ones among them.
            key: names the submit in the client's journal; see
                :meth:`TaskClient.submit`.
            options: see :class:`DespSubmit`.

        Raises:
            SubmitOutcomeUnknown: the answer was lost; the job may be running. See
                :meth:`launched_since`.
            InvalidArgument: an argument cannot be used, or the costs are too high;
                nothing was launched.
            ResponseError: the service refuses.
        """
        prepared = await self.prepare(service, inputs, **options)
        return await self.launch(prepared, key=key)

    async def prepare(
        self, service: str, inputs: Any = None, **options: Unpack[DespSubmit]
    ) -> Prepared:
        """
        Store a job configuration, without running anything; see :meth:`submit`.

        The platform finds an equal configuration again: its id is then the same.
        """
        check_options("a submit of DESP", options, DespSubmit.__annotations__)
        payload = await build_payload(
            inputs,
            options.get("content"),
            options.get("content_type"),
            options.get("files"),
        )
        given: dict[str, Any] = dict(options)
        parent = options.get("parent")
        given["parent"] = parent.id if isinstance(parent, TaskHandle) else parent
        given["service_id"] = await self._service_id(service)
        return await self._driver.drive(self._dialect.prepare(service, payload, given))

    async def launch(self, prepared: Prepared, *, key: str | None = None) -> TaskHandle:
        """
        Start a job of a stored configuration; each launch is a new job and charged.

        Launches of one configuration go one after the other: so what a lost answer
        may have started can be told from what others did.

        Args:
            prepared: the configuration.
            key: as of :meth:`submit`.

        Raises:
            SubmitOutcomeUnknown: as :meth:`submit`.
        """
        async with self._turn(prepared):
            return self._handle_of(await self._begin(prepared, key))

    def _turn(self, prepared: Prepared) -> asyncio.Lock:
        return self._turns.setdefault(prepared.config_id or "", asyncio.Lock())

    async def _prepare(
        self, service: str, inputs: Any, options: Mapping[str, Any]
    ) -> Prepared:
        given: DespSubmit = {**options}  # type: ignore[typeddict-item]
        return await self.prepare(service, inputs, **given)

    async def _start(self, prepared: Prepared) -> TaskHandle:
        async with self._turn(prepared):
            return await super()._start(prepared)

    async def launched_since(
        self, prepared: Prepared | str, since: datetime
    ) -> list[TaskHandle]:
        """
        List the jobs of a configuration that were created after a time.

        Args:
            prepared: the configuration, or its id.
            since: when the launch was sent (aware).
        """
        config = _config_id(prepared)
        refs = await self._driver.drive(self._dialect.launched_since(config, since))
        return [TaskHandle(self._desk, ref) for ref in refs]

    async def estimate_cost(self, prepared: Prepared | str) -> CostEstimate:
        """Ask what launching a configuration, or the id of one, would cost."""
        return await self._driver.drive(self._dialect.estimate(_config_id(prepared)))

    async def _service_id(self, service: str) -> str:
        if service not in self._service_ids:
            flow = self._dialect.find_service(id_text(service, "service"))
            self._service_ids[service] = await self._driver.drive(flow)
        return self._service_ids[service]

    # --- jobs ----------------------------------------------------------------

    async def terminate(self, task: TaskHandle | str) -> None:
        """
        Ask a running job to stop; it ends ``COMPLETED``, with the files so far.

        ``task.cancel()`` does this too, for a job that has started.
        """
        await self._driver.drive(self._dialect.terminate(self._own(task).ref))

    async def relaunch_failed(self, task: TaskHandle | str) -> TaskHandle:
        """
        Run a failed job again, or the failed sub-jobs of a parent; this charges.

        Returns:
            A new handle of the same job. The old one keeps the end that it saw.
        """
        flow = self._dialect.relaunch_failed(self._own(task).ref)
        return self._handle_of(await self._driver.drive(flow))

    async def sub_jobs(self, task: TaskHandle | str) -> list[TaskHandle]:
        """List the sub-jobs of a parent, with their states as last seen."""
        parts: list[Launched] = await self._driver.drive(
            self._dialect.sub_jobs(self._own(task).ref)
        )
        return [TaskHandle(self._desk, part.ref, part.status) for part in parts]

    async def logs(self, task: TaskHandle | str) -> list[LogLine]:
        """Fetch the log of a job; empty also while the log store is down."""
        return await self._driver.drive(self._dialect.logs(self._own(task).ref))

    # --- files ---------------------------------------------------------------

    async def output_files(self, task: TaskHandle | str) -> list[OutputFile]:
        """List the files that a job has made by now, without waiting for its end."""
        return await self._driver.drive(self._dialect.output_files(self._own(task).ref))

    async def download_outputs(
        self,
        task: TaskHandle | str,
        folder: os.PathLike[str] | str,
        *,
        limit: int = 4,
        replace: bool = False,
        timeout: float | None = None,
    ) -> list[Path]:
        """
        Wait until a job is over, and stream its files into a folder.

        Args:
            task: the job.
            folder: made where it is not there. The names in it are those of the
                service, made harmless; equal ones get the file's id before them.
            limit: downloads at the same time.
            replace: files of the same names that are there; else they are an error.
            timeout: seconds to wait for the end of the job.

        Returns:
            The paths, in the order of the service's list.

        Raises:
            InvalidArgument: a file is there already, or cannot be written.
            TaskError: as ``result()``.
        """
        if limit < 1:
            raise InvalidArgument("limit", limit, "must be 1 or more")
        rows = await self._own(task).result(timeout=timeout, decode="json")
        files = [parse_file(row, LISTED) for row in rows]
        where = Path(folder)
        await asyncio.to_thread(where.mkdir, parents=True, exist_ok=True)
        slots = asyncio.Semaphore(limit)

        async def fetch(file: OutputFile, name: str) -> Path:
            async with slots:
                return await self.download_file(file, where / name, replace=replace)

        pairs = zip(files, _names(files), strict=True)
        tasks = [asyncio.create_task(fetch(*pair)) for pair in pairs]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def download_file(
        self,
        file: OutputFile | str,
        path: os.PathLike[str] | str,
        *,
        replace: bool = False,
    ) -> Path:
        """
        Stream a platform file to disk; the service may charge for it.

        Args:
            file: the file, or its id.
            path: of the new file; or a folder, in which it gets its own name, made
                harmless.
            replace: a file that is there; else it is an error.

        Raises:
            InvalidArgument: a file is there already, or cannot be written.
            NotFound: the service has no such file.
        """
        target = Path(path)
        if await asyncio.to_thread(target.is_dir):
            target /= safe_filename(await self._name_of(file))
        if not replace and await asyncio.to_thread(target.exists):
            remedy = "is there already; say replace=True, or give another name"
            raise InvalidArgument("path", str(target), remedy)
        file_id = file.id if isinstance(file, OutputFile) else id_text(file, "file")
        request = self._dialect.build_file_download(file_id)
        return await self._desk.results.stream(request, target, replace=replace)

    async def _name_of(self, file: OutputFile | str) -> str:
        if isinstance(file, OutputFile):
            return file.name
        row = await self.select_one(DespResources.PLATFORM_FILES, file)
        return parse_file(row, LISTED).name if row is not None else ""

    async def upload(
        self,
        file: bodies.FileContent,
        collection: str | Mapping[str, Any],
        *,
        file_type: str = "OTHER",
        properties: Mapping[str, Any] | None = None,
        timeout: float = UPLOAD_TIMEOUT,
    ) -> Mapping[str, Any]:
        """
        Upload a file of reference data; it is streamed.

        Args:
            file: its path or content; with its name as ``(name, content)``. Names
                are unique per user, across collections.
            collection: its identifier (which is not its id), or its row.
            file_type: ``GEOTIFF``, ``SHAPEFILE``, ``MOSAIC`` or ``OTHER``.
            properties: ``title``, ``description``, ``startTime``, ``endTime`` and
                ``geometry`` (WKT).
            timeout: seconds for the upload.

        Returns:
            The new file's row; its ``uri`` is what jobs take as an input.

        Raises:
            Conflict: there is a file of this name.
            TransportError: the answer was lost; the file may be there.
        """
        identifier = collection
        if isinstance(collection, Mapping):
            identifier = collection.get("identifier", "")
        parts = await asyncio.to_thread(bodies.as_parts, {"file": file})
        if properties is not None:
            text = codec.dumps(dict(properties), name="properties")
            parts.append(Part("userProperties", text, None, "application/json"))
        form, kind = build_multipart(parts, boundary=secrets.token_hex(16))
        query = {"fileType": file_type, "collection": str(identifier)}
        return await self._driver.drive(
            self._dialect.upload(form, kind, query, timeout)
        )

    # --- the user ------------------------------------------------------------

    async def current_user(self) -> Mapping[str, Any]:
        """Ask the service who signs these requests."""
        return await self._driver.drive(self._dialect.current_user())


LISTED = Response(200)
"""Stands for the answer in which rows came, in errors about them."""


def _auth(
    username: str | None,
    token: Credential | None,
    access_token: Credential | None,
    auth: Auth | None,
) -> Auth:
    pair = username is not None or token is not None
    if sum((pair, access_token is not None, auth is not None)) > 1:
        remedy = "give username and token, or access_token, or auth"
        raise InvalidArgument("auth", "several", remedy)
    if pair:
        if username is None or token is None:
            raise InvalidArgument("token", "…", "give username and token together")
        return basic(username, token)
    if access_token is not None:
        return bearer(access_token)
    return auth or NoAuth()


def _auth_of(profile: Profile) -> Auth | None:
    access_token = profile.credential("access_token")
    if access_token is not None:
        return bearer(access_token)
    token, password = profile.credential("token"), profile.credential("password")
    if token is None and password is None:
        return None
    if profile.username is None:
        raise profile.complaint(NEEDS)
    if token is not None:
        return basic(profile.username, token)
    if password is None or profile.token_url is None:
        raise profile.complaint(f"a password needs a token_url, such as {TOKEN_URL}")
    return OAuth2Password(
        profile.token_url,
        username=profile.username,
        password=password,
        client_id=profile.client_id or CLIENT_ID,
        scope=SCOPE,
    )


def _config_id(prepared: Prepared | str) -> str:
    if isinstance(prepared, Prepared):
        return prepared.config_id or ""
    return id_text(prepared, "prepared")


def _names(files: Sequence[OutputFile]) -> list[str]:
    """Return a harmless name for each file, no two of them alike on any disk."""
    names = [safe_filename(file.name) for file in files]
    folded = [name.casefold() for name in names]
    return [
        name
        if folded.count(name.casefold()) == 1
        else safe_filename(f"{file.id}-{name}")
        for file, name in zip(files, names, strict=True)
    ]
