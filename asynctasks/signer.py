"""Signing requests: one credential, which is renewed once for all who want it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import closing
import inspect

import attrs

from .exceptions import AsyncTasksError, InvalidArgument, InvalidState, fresh
from .sansio.auth import Auth, AuthFlow
from .sansio.http import Headers, Request
from .sansio.secrecy import forms_of, secrets_of
from .sansio.urls import origin_of


__all__ = ["Signer", "fetch"]

KEPT = 64
"""Headers whose signed form is kept; those that dialects use are few."""

Drive = Callable[[AuthFlow], Awaitable[None]]


class Signer:
    """
    Signs the requests to one origin.

    Args:
        auth: how.
        origin: where requests with a path go, and the only place for signed ones.
    """

    def __init__(self, auth: Auth, origin: str) -> None:
        self._auth = auth
        self._origin = origin
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._refusal: BaseException | None = None
        self._extra: Mapping[str, str] = {}
        self._kept: dict[int, tuple[Headers, Headers]] = {}
        self._signing: tuple[str, ...] = ()
        self._secrets: frozenset[str] = frozenset()

    def absolute(self, url: str) -> str:
        """Return the absolute form of a path or URL."""
        return self._origin + url if url.startswith("/") else url

    def sign(self, request: Request) -> Request:
        """
        Return what goes out: an absolute URL, and the credentials.

        Raises:
            InvalidState: it goes elsewhere, and would be signed.
        """
        url = request.url
        if url.startswith("/"):  # as absolute(), a call less: it is on every way out
            url = self._origin + url
        elif not request.anonymous and origin_of(url) != self._origin:
            raise InvalidState(f"credentials are meant for {self._origin} only")
        headers = request.headers
        if not request.anonymous:
            headers = self._signed(headers)
        return Request(
            request.method,
            url,
            headers,
            request.body,
            replayable=False,
            streamed=request.streamed,
            confidential=request.confidential,
        )

    def _signed(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Add the credentials; the same headers are often sent again and again."""
        extra = self._auth.headers()
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

    def secrets(self, request: Request) -> Collection[str]:
        """Return what must not be shown, should the service quote the request."""
        signing = tuple(self._auth.secrets())
        if signing != self._signing:
            self._signing, self._secrets = signing, forms_of(signing)
        return self._secrets | secrets_of(request)

    async def renew(self, seen: int, drive: Drive) -> None:
        """
        Renew the credential once, however many requests want it.

        Args:
            seen: the generation that is not good any more.
            drive: drives the flow of the renewal.

        Raises:
            AsyncTasksError: there is none to be had; nothing that waited was sent.
        """
        before = self._renewals
        async with self._renewing:
            if self._auth.generation != seen:
                return  # somebody else did, while we waited
            if self._renewals != before and self._refusal is not None:
                raise fresh(self._refusal)  # somebody else tried, while we waited
            self._refusal = None
            try:
                await drive(_unsigned(self._auth.renew()))
            except Exception as exc:
                if isinstance(exc, AsyncTasksError):
                    exc.sent = False  # what waits for the credential was not
                self._refusal = exc
                raise
            finally:
                self._renewals += 1


def _unsigned(flow: AuthFlow) -> AuthFlow:
    """Let the requests of a renewal go without the credential that it renews."""
    answer = None
    with closing(flow):
        while True:
            try:
                step = flow.send(answer)
            except StopIteration:
                return
            if isinstance(step, Request):
                step = attrs.evolve(step, anonymous=True)
            answer = yield step


async def fetch(source: Callable[[], Awaitable[str]]) -> str:
    """
    Fetch a credential from where the caller keeps it.

    Raises:
        InvalidArgument: the callable is not async; what it returned is not shown.
    """
    fetching = source()
    if not inspect.isawaitable(fetching):
        remedy = "the callable that fetches it must be async"
        raise InvalidArgument("credential", type(fetching).__name__, remedy)
    return await fetching
