"""
The vocabulary of HTTP as values: requests, responses and the flows of them.

Both halves of a dialect, the client's and the embedded server's, exchange these
values, so that they can be joined in memory without a network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
import math
import re
from typing import Any, Protocol, TypeVar, Union, runtime_checkable

import attrs

from . import codec
from .urls import hide_secrets
from ..exceptions import InvalidArgument, ResponseDecodeError, UnexpectedContent


__all__ = [
    "Body",
    "BodySource",
    "Flow",
    "Headers",
    "JoinedBody",
    "Part",
    "Request",
    "Response",
    "Sleep",
    "body_length",
    "body_replayable",
    "build_multipart",
    "check_header",
]

T = TypeVar("T")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that RFC 9110 section 9.2.1 calls safe: repeating them changes nothing."""

SHOWN_HEADERS = frozenset(
    {
        "content-length",
        "content-location",
        "content-type",
        "date",
        "location",
        "retry-after",
        "server",
        "x-request-id",
    }
)
"""Headers whose values may be shown: an allowlist, so that no secret slips out."""

LINKS = frozenset({"content-location", "location"})
"""Headers that hold a URL, whose query may be a signature: it is not shown."""

REFUSED = 400
"""From here on a status says no (RFC 9110 section 15)."""

SECONDS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
"""Of Retry-After: digits (RFC 9110 section 10.2.3), and a fraction, which some send."""

REQUEST_ID_HEADERS = ("x-request-id", "x-ms-request-id", "opc-request-id")

ERROR_BODY = 64 * 1024
"""Bytes of an answer's body that an error keeps at most."""


class Headers(Mapping[str, str]):
    """
    HTTP headers: an immutable mapping whose names ignore case.

    Repeated headers are joined with a comma and a blank (RFC 9110 section 5.3).
    The representation shows the values of harmless headers only.
    """

    __slots__ = ("_items",)

    def __init__(
        self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    ) -> None:
        pairs = items.items() if isinstance(items, Mapping) else items
        self._items: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            key = name.lower()
            if key in self._items:
                name, first = self._items[key]  # noqa: PLW2901 - the first spelling stays
                value = f"{first}, {value}"  # noqa: PLW2901
            self._items[key] = (name, value)

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._folded() == other._folded()
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(frozenset(self._folded().items()))

    def replaced(self, headers: Mapping[str, str]) -> Headers:
        """Return these headers with others added, in place of those of the name."""
        added = Headers(headers)
        kept = [pair for pair in self.items() if pair[0] not in added]
        return Headers([*kept, *added.items()])

    def as_dict(self) -> dict[str, str]:
        """Return a dict of them; quicker than ``dict(headers)``."""
        return dict(self._items.values())

    def _folded(self) -> dict[str, str]:
        return {key: value for key, (_, value) in self._items.items()}

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}: {_shown(key, value)}"
            for key, (name, value) in self._items.items()
        )
        return f"<Headers {shown}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (list(self._items.values()),)


def _shown(key: str, value: str) -> str:
    """Return what may be shown of the value of a header."""
    if key in LINKS:
        return hide_secrets(value)
    return value if key in SHOWN_HEADERS else "…"


NO_HEADERS = Headers()


@runtime_checkable
class BodySource(Protocol):
    """
    A request body that is produced while it is sent.

    ``open()`` is called once per attempt. A source that can be opened only once
    says ``replayable = False``, and its request is then never repeated.
    """

    @property
    def length(self) -> int | None:
        """The number of bytes, or None where it is not known before the end."""

    @property
    def replayable(self) -> bool:
        """Whether ``open()`` may be called again and gives the same bytes."""

    def open(self) -> AsyncIterator[bytes]:
        """Start from the first byte."""


@attrs.frozen
class JoinedBody:
    """A body of several pieces, sent one after the other."""

    pieces: tuple[bytes | BodySource, ...]


Body = Union[bytes, BodySource, JoinedBody]  # noqa: UP007 - evaluated at run time


def body_length(body: Body) -> int | None:
    """Return the number of bytes of a body, or None where it is not known."""
    if isinstance(body, bytes):
        return len(body)
    if isinstance(body, JoinedBody):
        lengths = [body_length(piece) for piece in body.pieces]
        known = [length for length in lengths if length is not None]
        return sum(known) if len(known) == len(lengths) else None
    return body.length


def body_replayable(body: Body) -> bool:
    """Tell whether the same bytes can be sent again."""
    if isinstance(body, bytes):
        return True
    if isinstance(body, JoinedBody):
        return all(body_replayable(piece) for piece in body.pieces)
    return body.replayable


@attrs.frozen(slots=False)  # made for each attempt, which is quicker without slots
class Request:
    """
    One request, without credentials: these are added when it is sent.

    ``url`` is a path with an optional query below the client's origin, or an
    absolute URL; every part of it is percent-encoded already.
    """

    method: str
    url: str = attrs.field(repr=lambda url: repr(url.partition("?")[0]))
    headers: Mapping[str, str] = attrs.field(default=NO_HEADERS, repr=False)
    body: Body = attrs.field(default=b"", repr=False)
    replayable: bool = attrs.field(kw_only=True)
    """Whether it may be sent again although it may have arrived the first time."""

    expect_json: bool = attrs.field(default=False, kw_only=True)
    """Whether a 2xx answer must be JSON; a truncated one counts as lost."""

    anonymous: bool = attrs.field(default=False, kw_only=True)
    """Whether it must go without credentials."""

    follow: bool = attrs.field(default=False, kw_only=True)
    """Whether one redirect may be followed; to a trusted origin, unsigned."""

    attempt_timeout: float | None = attrs.field(default=None, kw_only=True)
    """Seconds for one attempt where the call is known to be slow; else None."""

    streamed: bool = attrs.field(default=False, kw_only=True)
    """Whether the body of a 2xx answer is left for the caller to read."""

    final: frozenset[int] = attrs.field(default=frozenset(), kw_only=True)
    """Statuses that are an answer here, though elsewhere they mean: try again."""

    confidential: tuple[str, ...] = attrs.field(default=(), kw_only=True, repr=False)
    """Texts in its body that must not be shown, should the service quote them."""

    @replayable.default
    def _safe_methods_are_replayable(self) -> bool:
        return self.method in SAFE_METHODS

    @property
    def path(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]

    @property
    def query(self) -> str:
        """The query without its question mark; empty where there is none."""
        return self.url.partition("?")[2]

    def describe(self) -> str:
        """Return method and URL without query values, which may be secret."""
        return f"{self.method} {self.path}"

    def redacted(self) -> Request:
        """Return what may be kept in an error or shown: no headers, no body."""
        return Request(self.method, self.path, replayable=self.replayable)

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return a copy that also carries these headers, in place of its own."""
        return attrs.evolve(self, headers=Headers(self.headers).replaced(headers))


@attrs.frozen(slots=False)
class Response:
    """One answer, whole: its body has been read and decompressed."""

    status: int
    headers: Mapping[str, str] = attrs.field(default=NO_HEADERS, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    at: float = attrs.field(default=0.0, kw_only=True, eq=False)
    """When it was received: seconds on the event loop's clock."""

    attempts: int = attrs.field(default=1, kw_only=True, eq=False)
    """How many attempts it took."""

    reader: Any = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The body, still to be read, of an answer to a streamed request; else None."""

    @property
    def refused(self) -> bool:
        """Whether the service says no: a status from 400 on."""
        return self.status >= REFUSED

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case; may be empty."""
        value = self.headers.get("Content-Type", "")
        return value.partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str | None:
        """The service's own id of the request, where it sent one."""
        for name in REQUEST_ID_HEADERS:
            if name in self.headers:
                return self.headers[name]
        return None

    @property
    def retry_after(self) -> float | None:
        """
        The seconds that the service asks to wait (RFC 9110 section 10.2.3).

        A date is read against the answer's own ``Date``, so that a wrong clock on
        either side does no harm. None where it is absent, past or nonsense.
        """
        value = self.headers.get("Retry-After", "").strip()
        if SECONDS.fullmatch(value):
            return float(value)
        seconds = _seconds_until(value, self.headers.get("Date", ""))
        return seconds if seconds >= 0 else None

    def json(self) -> Any:
        """
        Return the body decoded as JSON, whatever content type it carries.

        Raises:
            UnexpectedContent: it is an HTML page.
            ResponseDecodeError: it is empty or not JSON.
        """
        # Kept, because the retry level looks at it before the dialect does.
        if "_json" not in self.__dict__:
            self.__dict__["_json"] = self._decode()
        return self.__dict__["_json"]

    def _decode(self) -> Any:
        try:
            return codec.loads(self.body)
        except ResponseDecodeError as exc:
            start = self.body[:64].removeprefix(codec.BOM).lstrip().lower()
            if start.startswith((b"<!doctype", b"<html")):
                found = "an HTML page"
                raise UnexpectedContent("JSON", self.redacted(), found) from exc
            raise ResponseDecodeError(exc.expected, self.redacted(), exc.found) from exc

    def text(self) -> str:
        """
        Return the body decoded as UTF-8 text, with or without a byte order mark.

        Raises:
            ResponseDecodeError: it is not UTF-8.
        """
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise ResponseDecodeError("UTF-8 text", self.redacted(), str(exc)) from exc

    def redacted(self) -> Response:
        """Return what may be kept in an error: harmless headers, a bounded body."""
        shown = {
            name: _shown(name.lower(), value)
            for name, value in self.headers.items()
            if name.lower() in SHOWN_HEADERS
        }
        return Response(
            self.status,
            Headers(shown),
            self.body[:ERROR_BODY],
            at=self.at,
            attempts=self.attempts,
        )


def _seconds_until(then: str, now: str) -> float:
    # Not at the top, because it loads socket; an answer's head rarely has dates.
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        gap = parsedate_to_datetime(then) - parsedate_to_datetime(now)
    except (ValueError, TypeError, OverflowError):
        return math.nan  # no dates, only one of them with a zone, or no such year
    return gap.total_seconds()


@attrs.frozen
class Sleep:
    """Yielded by a flow that wants to wait. The answer to it is meaningless."""

    seconds: float


Flow = Generator[Union[Request, Sleep], Response, T]  # noqa: UP007
"""
A conversation that we lead: it yields requests, is sent their answers, and
returns what they mean. A transport error is thrown into it.
"""


def check_header(name: str, value: str, *, secret: bool = False) -> str:
    """
    Return *value* if it can be the value of a header.

    Args:
        name: the argument or header that is named in the error.
        value: printable ASCII.
        secret: keep the value out of the error.

    Raises:
        InvalidArgument: it is empty or holds controls or other characters.
    """
    if not isinstance(value, str):
        raise InvalidArgument(name, type(value).__name__, "must be text")
    shown = "…" if secret else value
    if not value:
        raise InvalidArgument(name, shown, "must not be empty")
    if value != value.strip():
        remedy = "remove the blanks or line ends around it (read from a file?)"
        raise InvalidArgument(name, shown, remedy)
    if not (value.isascii() and value.isprintable()):
        remedy = "only printable ASCII characters can be sent in a header"
        raise InvalidArgument(name, shown, remedy)
    return value


@attrs.frozen
class Part:
    """One part of a multipart form: a field or a file."""

    name: str
    content: bytes | BodySource = attrs.field(repr=False)
    filename: str | None = None
    content_type: str | None = None


def build_multipart(parts: Iterable[Part], *, boundary: str) -> tuple[JoinedBody, str]:
    """
    Build a multipart/form-data body (RFC 7578).

    Args:
        parts: the parts, in order.
        boundary: a text that occurs in none of them; take a random one.

    Returns:
        The body, and the content type that goes with it.

    Raises:
        InvalidArgument: a name cannot be sent, or there is no part.
    """
    pieces: list[bytes | BodySource] = []
    for part in parts:
        disposition = f'form-data; name="{_quote(part.name)}"'
        if part.filename is not None:
            disposition += f'; filename="{_quote(part.filename)}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        if part.content_type is not None:
            kind = check_header("content_type", part.content_type)
            head += f"Content-Type: {kind}\r\n"
        pieces += [f"{head}\r\n".encode(), part.content, b"\r\n"]
    if not pieces:
        raise InvalidArgument("files", "{}", "give at least one file")
    pieces.append(f"--{boundary}--\r\n".encode())
    return JoinedBody(tuple(pieces)), f"multipart/form-data; boundary={boundary}"


def _quote(text: str) -> str:
    """Escape a name as browsers do (WHATWG HTML, "multipart/form-data")."""
    if not text or not text.isprintable():
        remedy = "a name of a form field or file is one line of printable text"
        raise InvalidArgument("files", text, remedy)
    return text.replace('"', "%22")
