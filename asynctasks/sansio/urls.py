"""
Paths, queries and links: nothing a caller or a server says may leave its place.

Ids become one path segment each and cannot change the path, the query or the
headers; links that a server hands out are resolved against the configured origin
and refused when they point elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import ipaddress
import re
from urllib.parse import quote, unquote, urljoin, urlsplit

from ..exceptions import InvalidArgument, UntrustedUrl


__all__ = [
    "hide_secrets",
    "is_loopback",
    "join_query",
    "origin_of",
    "resolve_server_url",
    "segment",
    "split_base",
]

DEFAULT_PORTS = {"http": 80, "https": 443}

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""The controls of ASCII and Latin 1 (C0, DEL and C1): in no id."""

NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
"""Controls, blanks and line separators: in no URL that a server may hand out."""

NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

SEPARATORS = re.compile(r"[/\\]")
"""What some server takes for the end of a path segment."""

PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
"""Unreserved characters that make no dot segment: a segment that stays as it is."""

BEHIND_PATH = re.compile(r"(?<=[?#]).+", re.DOTALL)
"""The query and the fragment."""

MAX_URL = 8192
"""Characters of a server-given URL at most."""

MAX_ENCODINGS = 8
"""How often an id may be percent-encoded, one encoding within the other."""


def segment(value: str, name: str = "id") -> str:
    """
    Return *value* percent-encoded as exactly one path segment.

    Args:
        value: the id or name as the user has it, not encoded.
        name: what the error calls it.

    Raises:
        InvalidArgument: it is empty, is no valid Unicode, holds controls, or climbs
            in the path (``.`` or ``..`` between slashes, in any encoding).
    """
    if not isinstance(value, str):
        raise InvalidArgument(name, value, "must be text (keep numbers such as 007)")
    if PLAIN.fullmatch(value):
        return value  # most ids are: nothing in it needs a look
    if not value:
        raise InvalidArgument(name, value, "must not be empty")
    if CONTROLS.search(value):
        raise InvalidArgument(name, value, "must not contain control characters")
    if _climbs(value):
        raise InvalidArgument(name, value, "must not contain . or .. as a path part")
    return _quote(value, name)


def _quote(text: str, name: str, safe: str = "") -> str:
    """Percent-encode everything but unreserved and safe characters."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError as exc:
        raise InvalidArgument(name, text, "must be valid Unicode text") from exc


def _climbs(value: str) -> bool:
    """Tell whether a decoder somewhere on the way could see a dot segment."""
    for _ in range(MAX_ENCODINGS):
        if not {".", ".."}.isdisjoint(SEPARATORS.split(value)):
            return True
        decoded = unquote(value)
        if decoded == value:
            return False
        value = decoded
    # Nobody means so many encodings; looking on could take quadratic time.
    return True


def join_query(path: str, params: Mapping[str, str | int | float | bool | None]) -> str:
    """
    Append a query to a path; parameters that are None are left out.

    Everything but unreserved characters is percent-encoded, ``+`` and blanks
    included; booleans are written as ``true`` and ``false``.

    Raises:
        InvalidArgument: a name or value is not valid Unicode.
    """
    pairs = [
        f"{_quote(name, 'query')}={_quote(_text(value), name)}"
        for name, value in params.items()
        if value is not None
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a query value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def split_base(url: str, name: str = "url") -> tuple[str, str]:
    """
    Split a configured base URL into its origin and its path.

    Returns:
        The origin such as ``"https://acme.example"``, without a default port, and
        the path with one slash before and none behind it, such as
        ``"/secure/api/v2.0"`` or ``""``.

    Raises:
        InvalidArgument: it is no absolute http(s) URL, carries a user name, a query
            or a fragment, or climbs in the path.
    """
    shown = hide_secrets(url) if isinstance(url, str) else url
    if not isinstance(url, str) or NOT_IN_URLS.search(url):
        raise InvalidArgument(name, shown, "must be a URL without blanks or controls")
    try:
        origin = origin_of(url)
        parts = urlsplit(url)
    except ValueError as exc:
        raise InvalidArgument(name, shown, f"is not a usable URL: {exc}") from exc
    if parts.query or parts.fragment:
        raise InvalidArgument(name, shown, "a base URL has no query and no fragment")
    path = parts.path.strip("/")
    if _climbs(path):
        raise InvalidArgument(name, shown, "must not contain . or .. as a path part")
    # Two slashes at the begin would make a host of what follows.
    return origin, _quote(f"/{path}" if path else "", name, safe="/%!$&'()*+,;=:@")


def hide_secrets(url: str) -> str:
    """
    Return what may be shown of a URL: no user name, password, query or fragment.

    It need not be a URL: in what is malformed, all before an ``@`` may be a password.
    """
    scheme, slashes, rest = url.partition("//")
    if not slashes:
        scheme, rest = "", url
    if "@" in rest:
        rest = f"…{rest[rest.rindex('@') :]}"
    return f"{scheme}{slashes}{BEHIND_PATH.sub('…', rest)}"[:MAX_URL]


def origin_of(url: str) -> str:
    """
    Return scheme, host and port of a URL, in the one form used for comparisons.

    Raises:
        ValueError: the URL has none, is neither http nor https, carries a user name
            or password, or has a backslash anywhere.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose text shows what may be a password
        raise ValueError("its host or port is malformed") from None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise ValueError("it must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("it must not contain a user name or password")
    if "\\" in url:
        raise ValueError("it must not contain a backslash")
    host = (parts.hostname or "").rstrip(".")
    if not host.isprintable():  # lone surrogates, and what is not to be seen
        raise ValueError("its host or port is malformed")
    if not host:
        raise ValueError("it names no host")
    host = f"[{host}]" if ":" in host else host
    if port is None or port == DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def is_loopback(origin: str) -> bool:
    """Tell whether an origin is on this machine: localhost, 127.0.0.0/8 or ::1."""
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:  # no URL at all
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve_server_url(
    base: str, raw: str, trusted_origins: Collection[str] = ()
) -> str:
    """
    Resolve a link that the service handed out, and refuse it if it is foreign.

    Args:
        base: the absolute URL of the request that was answered.
        raw: the link as the service wrote it: absolute or relative.
        trusted_origins: other origins whose links may be followed (without
            credentials, which is the caller's part).

    Returns:
        The absolute URL, without fragment. As a browser, it quotes what is not
        ASCII; else the path and the query are as the service wrote them.

    Raises:
        UntrustedUrl: it points to another origin (a downgrade to http and another
            port are other origins), carries a user name, or is no http(s) URL. The
            error shows the link without what may be secret in it.
    """
    home = origin_of(base)
    if len(raw) > MAX_URL or NOT_IN_URLS.search(raw) or "\\" in raw:
        raise UntrustedUrl(hide_secrets(raw), home)
    try:
        url = _quote_beyond_ascii(urljoin(base, raw).partition("#")[0])
        origin = origin_of(url)
    except ValueError:  # whose text shows what may be a password
        raise UntrustedUrl(hide_secrets(raw), home) from None
    if origin != home and origin not in trusted_origins:
        raise UntrustedUrl(hide_secrets(raw), home)
    return url


def _quote_beyond_ascii(url: str) -> str:
    """Percent-encode what is not ASCII behind the host, and nothing else."""
    parts = urlsplit(url)
    start = len(f"{parts.scheme}://{parts.netloc}")
    return url[:start] + NOT_ASCII.sub(lambda found: quote(found[0]), url[start:])
