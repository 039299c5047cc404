"""The client for Oracle Machine Learning: Python scripts run by the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack
import warnings

from . import files as bodies
from .client import ClientOptions, TaskClient
from .config import Profile
from .config.credentials import read_secret
from .exceptions import InvalidArgument
from .handle import TaskHandle
from .payload import build_payload
from .sansio.answers import decode_content
from .sansio.auth import Auth, Credential, Secret, bearer
from .sansio.oml import OmlDialect, parse_place
from .sansio.oml_auth import OmlAuth
from .sansio.oml_calls import OmlOptions, OmlSettings
from .sansio.oml_results import Image, decode_images, rows_of


__all__ = [
    "Image",
    "OmlClient",
    "OmlOptions",
    "OmlSettings",
    "decode_images",
    "rows_of",
]

Columns = str | Sequence[str]


class OmlClient(TaskClient):
    """
    Runs scripts of OML4Py's embedded Python execution as tasks.

    Args:
        url: of the database's machine learning, as the console shows it: ending in
            ``/oml/`` or ``/omlusers/`` or neither, with a tenant or without.
        username: of a database user with the role OML_DEVELOPER.
        password: the password; or an async callable that fetches it.
        token: instead of both, a token that was had elsewhere. As text it is
            refreshed while the service allows it (for eight hours); an async
            callable is asked again when the service does not accept its token.
        api_version: of the REST API: ``"v2"``; or ``"v1"``, which is deprecated by
            the vendor and ends in spring 2026.
        options: see :class:`ClientOptions`.

    A token lives for an hour and is refreshed before; after eight hours, and when
    the service refuses it, the password is used again: once, however many tasks
    are open. A task's result is what its script returned.
    """

    _dialect: OmlDialect

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: Credential | None = None,
        token: Credential | None = None,
        api_version: str = "v2",
        **options: Unpack[ClientOptions],
    ) -> None:
        place = parse_place(url)
        dialect = OmlDialect(place=place, version=api_version)
        if api_version == "v1":
            message = "the vendor ends API v1 of OML4Py in spring 2026; use v2"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        auth = _build_auth(place.users, username, password, token)
        super().__init__(dialect, place.origin, auth, options)

    @classmethod
    def from_profile(cls, profile: Profile, **options: Unpack[ClientOptions]) -> Self:
        """
        Make a client as a profile says; see :meth:`Profile.load`.

        A file with a token is read here, one with a password when it is needed.

        Args:
            profile: where the database is, and a password or a token.
            options: see :class:`ClientOptions`; they win over the profile's clocks.

        Raises:
            ConfigError: the profile is of another protocol, or lacks something.
        """
        profile.check_protocol(OmlDialect.protocol)
        if profile.url is None:
            raise profile.complaint("it needs a url, as the console shows it")
        token = profile.token
        if profile.token_file is not None:
            # Not fetched again and again: a token that is text is kept alive.
            token = read_secret(profile.token_file, "token")
        password = profile.credential("password")
        if token is None and (profile.username is None or password is None):
            reason = (
                "OML needs a username with password_file or password, or else "
                "token_file or token"
            )
            raise profile.complaint(reason)
        merged: ClientOptions = {**profile.clocks, **options}
        return cls(
            profile.url,
            username=profile.username if token is None else None,
            password=password,
            token=token,
            api_version=profile.api_version or "v2",
            **merged,
        )

    # --- scripts as tasks ----------------------------------------------------

    async def submit(
        self,
        service: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        content: bodies.Content | None = None,
        content_type: str | None = None,
        files: Mapping[str, bodies.FileContent] | None = None,
        **options: Unpack[OmlOptions],
    ) -> TaskHandle:
        """
        Have a script run as a job.

        Args:
            service: the name of the script.
            inputs: its keyword arguments, and control arguments such as
                ``oml_input_type``.
            content: not for scripts: refused, as are *content_type* and *files*.
            content_type: see *content*.
            files: see *content*.
            options: which function, over what, and how; see :class:`OmlOptions`.
                By default ``do-eval``.

        Raises:
            SubmitOutcomeUnknown: the answer was lost; the job may be running.
            InvalidArgument: an argument is missing or out of range; nothing was
                sent.
        """
        payload = await build_payload(inputs, content, content_type, files)
        given: dict[str, Any] = {**options}
        key = given.pop("key", None)
        return self._handle_of(await self._launch(service, payload, given, key))

    async def do_eval(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        **settings: Unpack[OmlSettings],
    ) -> TaskHandle:
        """Run a script once, without data."""
        return await self.submit(script, inputs, function="do-eval", **settings)

    async def table_apply(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        query: str,
        **settings: Unpack[OmlSettings],
    ) -> TaskHandle:
        """Run a script over all rows of a query at once."""
        return await self.submit(
            script, inputs, function="table-apply", query=query, **settings
        )

    async def row_apply(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        query: str,
        rows: int,
        parallel: bool | int = False,
        **settings: Unpack[OmlSettings],
    ) -> TaskHandle:
        """Run a script over each chunk of so many rows of a query."""
        return await self.submit(
            script,
            inputs,
            function="row-apply",
            query=query,
            rows=rows,
            parallel=parallel,
            **settings,
        )

    async def group_apply(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        query: str,
        group_by: Columns,
        order_by: Columns | None = None,
        parallel: bool | int = False,
        **settings: Unpack[OmlSettings],
    ) -> TaskHandle:
        """Run a script over each group of rows with equal values in some columns."""
        return await self.submit(
            script,
            inputs,
            function="group-apply",
            query=query,
            group_by=group_by,
            order_by=order_by,
            parallel=parallel,
            **settings,
        )

    async def index_apply(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        times: int,
        parallel: bool | int = False,
        **settings: Unpack[OmlSettings],
    ) -> TaskHandle:
        """Run a script so many times; it is given the number of the run, from 1."""
        return await self.submit(
            script,
            inputs,
            function="index-apply",
            times=times,
            parallel=parallel,
            **settings,
        )

    async def comments(self, task: TaskHandle | str) -> Any:
        """Fetch the comments of a finished job (v2); None where it has none."""
        return await self._driver.drive(self._dialect.comments(self._own(task).ref))

    # --- scripts while you wait ----------------------------------------------

    async def call(
        self,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        **options: Unpack[OmlOptions],
    ) -> Any:
        """
        Run a script while the connection is held, and return what it returns.

        The service's HTTP server cuts the connection after about 120 seconds, and
        nothing can be found out then: what may take longer belongs into
        :meth:`submit`.

        Raises:
            TaskFailed: the script failed. ``task_id`` is its name: there is no job.
            SubmitOutcomeUnknown: the answer was lost; the script may have run.
        """
        flow = self._dialect.call(script, inputs, options)
        return decode_content(await self._desk.drive_once(flow), "json")

    # --- the token -----------------------------------------------------------

    async def revoke(self) -> bool:
        """
        Have the present token declared invalid.

        A client with a password gets a new one with its next request.

        Returns:
            False where there was none, or it was invalid already.

        Raises:
            InvalidArgument: the token comes from a callable of yours.
        """
        auth = self._driver.auth
        if not isinstance(auth, OmlAuth):
            remedy = "only a token that this client manages can be revoked"
            raise InvalidArgument("token", repr(auth), remedy)
        return await self._driver.drive(auth.revoke())


def _build_auth(
    root: str,
    username: str | None,
    password: Credential | None,
    token: Credential | None,
) -> Auth:
    if token is None or isinstance(token, str | Secret):
        return OmlAuth(root, username=username, password=password, token=token)
    if username is not None:
        raise InvalidArgument("token", "…", "give username and password, or a token")
    return bearer(token)
