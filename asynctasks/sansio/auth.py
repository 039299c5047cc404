"""
How requests are signed, and how a credential is come by.

An :class:`Auth` signs each request after its origin was checked. Where the credential
has to be fetched or refreshed, ``renew()`` is a flow that says what to ask; the driver
runs it once for any number of waiters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
import base64
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from typing import Any, Union

import attrs

from . import codec
from .http import Request, Response, Sleep, check_header
from ..exceptions import InvalidArgument, RemoteProtocolError, ResponseDecodeError


__all__ = [
    "Auth",
    "AuthFlow",
    "Credential",
    "HeaderAuth",
    "NoAuth",
    "Resolve",
    "Secret",
    "api_key",
    "basic",
    "bearer",
    "check_token",
    "decode_secret",
    "obtain",
]


class Secret:
    """A text that does not show itself: ``reveal()`` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled; load it where it is used")


Credential = Union[str, Secret, Callable[[], Awaitable[str]]]  # noqa: UP007
"""A key, token or password: as it is, or an async callable that fetches it."""


@attrs.frozen
class Resolve:
    """Yielded by ``renew()``: await this callable and send me what it returns."""

    source: Callable[[], Awaitable[str]]


AuthFlow = Generator[Union[Request, Sleep, Resolve], Any, None]  # noqa: UP007
"""A conversation that obtains a credential; it is sent answers and texts."""


class Auth(ABC):
    """One way to sign requests, with the credential it has at the moment."""

    generation: int = 0
    """Counts renewals, so that of many 401 answers one leads to a renewal."""

    @property
    def secret(self) -> bool:
        """Whether requests carry something that must not travel in the clear."""
        return True

    @property
    def renewable(self) -> bool:
        """Whether a 401 may be answered by a renewal and one more try."""
        return False

    def due(self, now: float) -> bool:
        """
        Tell whether the credential must be renewed before the next request.

        Args:
            now: seconds on the clock of ``Response.at``.
        """
        del now
        return False

    def renew(self) -> AuthFlow:
        """Obtain a new credential and count it in ``generation``."""
        yield from ()

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Return the headers that sign a request."""

    def secrets(self) -> Collection[str]:
        """Return what of the headers must not be shown, should a service quote it."""
        return self.headers().values()


class NoAuth(Auth):
    """Requests go as they are."""

    @property
    def secret(self) -> bool:
        """Nothing is secret."""
        return False

    def headers(self) -> Mapping[str, str]:
        """Return no headers."""
        return {}


def obtain(credential: Credential, name: str) -> Generator[Resolve, Any, str]:
    """
    Return the text of a credential, which may have to be fetched.

    Args:
        credential: the text, a :class:`Secret`, or an async callable.
        name: what the error calls it.

    Raises:
        InvalidArgument: what was fetched is no text.
    """
    if isinstance(credential, Secret):
        return credential.reveal()
    text: Any = (
        credential if isinstance(credential, str) else (yield Resolve(credential))
    )
    if not isinstance(text, str):
        remedy = "the callable must return text"
        raise InvalidArgument(name, type(text).__name__, remedy)
    return text


def decode_secret(response: Response) -> tuple[Any, Response]:
    """
    Decode an answer that holds credentials.

    Returns:
        What was decoded; and the answer without its body, for errors to show.

    Raises:
        ResponseDecodeError: it is not JSON, and the error does not show what it is.
    """
    bare = Response(response.status, response.headers).redacted()
    try:
        document = codec.loads(response.body)
    except ResponseDecodeError:
        document = None  # that error shows the body, so it is not even a context
    if document is None:
        raise ResponseDecodeError("JSON", bare, "something else")
    return document, bare


def check_token(token: str, bare: Response) -> str:
    """
    Return a token that a service handed out, if it can be sent.

    Raises:
        RemoteProtocolError: it is no value of a header; *bare* is what it shows.
    """
    try:
        return check_header("token", token, secret=True)
    except InvalidArgument as exc:
        raise RemoteProtocolError("a usable token", bare, exc.remedy) from exc


class HeaderAuth(Auth):
    """
    One header that carries the credential.

    Args:
        header: its name.
        credential: the secret, or an async callable that fetches it. What is
            fetched is kept and fetched once more after a 401.
        form: makes the header's value of the secret, or refuses it.
    """

    def __init__(
        self, header: str, credential: Credential, form: Callable[[str], str]
    ) -> None:
        self._header = header
        self._form = form
        self._source: Callable[[], Awaitable[str]] | None = None
        self._headers: Mapping[str, str] | None = None
        if isinstance(credential, Secret):
            credential = credential.reveal()
        if isinstance(credential, str):
            self._headers = self._build(credential)
        elif callable(credential):
            self._source = credential
        else:
            remedy = "give the text, or an async callable that returns it"
            raise InvalidArgument(header, type(credential).__name__, remedy)

    def _build(self, secret: str) -> Mapping[str, str]:
        return {self._header: self._form(secret)}

    @property
    def renewable(self) -> bool:
        """Whether the credential can be fetched again."""
        return self._source is not None

    def due(self, now: float) -> bool:
        """Tell whether the credential was never fetched."""
        del now
        return self._headers is None

    def renew(self) -> AuthFlow:
        """Fetch the credential."""
        if self._source is not None:
            secret = yield from obtain(self._source, self._header)
            self._headers = self._build(secret)
            self.generation += 1

    def headers(self) -> Mapping[str, str]:
        """Return the header that carries the credential."""
        return self._headers or {}

    def __repr__(self) -> str:
        return f"<HeaderAuth {self._header}>"


def api_key(key: Credential, header: str = "apiKey") -> Auth:
    """
    Sign with a key in a header of its own.

    Raises:
        InvalidArgument: the key cannot be sent (empty, a line end at its end, ...).
    """
    return HeaderAuth(header, key, lambda key: check_header(header, key, secret=True))


def bearer(token: Credential) -> Auth:
    """
    Sign with ``Authorization: Bearer`` (RFC 6750).

    Raises:
        InvalidArgument: the token cannot be sent.
    """

    def form(token: str) -> str:
        return f"Bearer {check_header('token', token, secret=True)}"

    return HeaderAuth("Authorization", token, form)


def basic(username: str, password: Credential) -> Auth:
    """
    Sign with ``Authorization: Basic`` (RFC 7617), in UTF-8.

    Raises:
        InvalidArgument: the user name holds a colon or a control character, or the
            password cannot be sent.
    """
    text = isinstance(username, str) and username and username.isprintable()
    if not text or ":" in username:
        remedy = "a user name is printable text without a colon"
        raise InvalidArgument("username", username, remedy)

    def form(secret: str) -> str:
        if not secret or not secret.isprintable():
            remedy = "a password is one line of printable text (read from a file?)"
            raise InvalidArgument("password", "…", remedy)
        pair = f"{username}:{secret}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    return HeaderAuth("Authorization", password, form)
