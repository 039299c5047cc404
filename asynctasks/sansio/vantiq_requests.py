"""
What is asked of Vantiq: one request for each operation, byte for byte as documented.

The JSON in queries and bodies has Python's default separators, and queries are quoted
as forms are: Vantiq's own SDK writes them so, and tests compare them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
import json
from typing import Any, Union
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import attrs

from .http import Body, Headers, Part, Request, build_multipart
from .urls import CONTROLS, origin_of, segment
from .values import vantiq_json_default
from .vantiq import PREFIX, VantiqResources
from ..exceptions import InvalidArgument


__all__ = [
    "Api",
    "Batched",
    "dump",
    "quote_id",
]

JSON_HEADERS = Headers({"Content-Type": "application/json"})
"""Also sent where there is no body."""

TEXT_HEADERS = Headers({"Content-Type": "text/plain"})

ID_SAFE = "/:@!$'()*,;=~+&"
"""Not quoted in ids: names of documents and topics are paths."""

QUERY_SAFE = "!$'()*,/:?@"

URL_SAFE = "/%:@!$&'()*,;=~+?[]"
"""Not quoted in the links of documents; a ``#`` is, because names have it."""

Given = Union[Mapping[str, Any], Sequence[Any], None]  # noqa: UP007 - evaluated at run time
"""What is sent: named values, a list of things, or nothing."""


def dump(value: Any) -> str:
    """
    Write JSON as Vantiq's SDK does; values of Vantiq take their external form.

    Raises:
        TypeError, ValueError, RecursionError: JSON has no such value.
    """
    return json.dumps(value, default=vantiq_json_default, allow_nan=False)


@attrs.frozen(kw_only=True)
class Batched:
    """One request of a batch; its path is relative to the resources."""

    method: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    uri: str
    body: Any = None


@attrs.frozen
class Api:
    """
    Builds the requests of one server.

    Args:
        origin: scheme, host and port.
        prefix: the path below which Vantiq answers; usually empty.
        version: of the API.
    """

    origin: str
    prefix: str = ""
    version: str = "1"
    base: str = attrs.field(init=False)
    """The path of the API."""

    root: str = attrs.field(init=False)
    """The path of all resources."""

    @base.default
    def _base(self) -> str:
        return f"{self.prefix}/api/v{segment(self.version, 'api_version')}"

    @root.default
    def _root(self) -> str:
        return f"{self.base}/resources"

    @property
    def socket(self) -> Request:
        """The handshake of the WebSocket; it carries no credentials."""
        url = f"{self.origin}{self.base}/wsock/websocket"
        return Request("GET", url, anonymous=True)

    @property
    def status(self) -> Request:
        """A question that every server answers, if only with a refusal."""
        return Request("GET", f"{self.base}/_status", anonymous=True)

    # --- authentication ------------------------------------------------------

    def authenticate(self, username: str, password: str) -> Request:
        """
        Exchange name and password for a token.

        Raises:
            InvalidArgument: they are not valid Unicode.
        """
        try:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        except UnicodeEncodeError:  # which holds the whole text
            remedy = "it and the user name must be valid Unicode text"
            raise InvalidArgument("password", "…", remedy) from None
        headers = Headers({"Authorization": f"Basic {pair}"})
        return Request("GET", f"{self.prefix}/authenticate", headers, anonymous=True)

    def refresh(self, token: str) -> Request:
        """Exchange a token for a new one; the token is the body."""
        return self._with_token("refresh", token)

    def revoke(self, token: str) -> Request:
        """End the validity of a token."""
        return self._with_token("revoke", token)

    def _with_token(self, verb: str, token: str) -> Request:
        path = f"{self.prefix}/authenticate/{verb}"
        body = token.encode()
        secrets = (token,)
        return Request(
            "POST", path, TEXT_HEADERS, body, anonymous=True, confidential=secrets
        )

    # --- resources -----------------------------------------------------------

    def path(
        self, resource: str, resource_id: str | None = None, suffix: str = ""
    ) -> str:
        """
        Return the path of a resource, or of one thing in it.

        Args:
            resource: ``"system.documents"``, or the name of a type.
            resource_id: what the user calls it; None means the whole resource.
            suffix: what follows the id, quoted already; without an id, one that is
                no path can stand here.

        Raises:
            InvalidArgument: a name is empty, holds controls, or climbs.
        """
        system = isinstance(resource, str) and resource.startswith(PREFIX)
        name = resource.removeprefix(PREFIX) if system else resource
        place = f"{'' if system else 'custom/'}{segment(name, 'resource')}"
        if resource_id is None:
            return f"{self.root}/{place}{suffix}"
        return f"{self.root}/{place}/{quote_id(resource_id)}{suffix}"

    def get(
        self,
        resource: str,
        resource_id: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        suffix: str = "",
    ) -> Request:
        """Read; it may be repeated, and redirected within the server."""
        url = self.path(resource, resource_id, suffix) + _query(query)
        return Request("GET", url, JSON_HEADERS, follow=True)

    def send(
        self,
        method: str,
        resource: str,
        resource_id: str | None = None,
        *,
        instance: Given = None,
        query: Mapping[str, str] | None = None,
        suffix: str = "",
    ) -> Request:
        """
        Change something; nothing is sent as an empty object.

        Raises:
            TypeError, ValueError, RecursionError: JSON has no such value.
        """
        url = self.path(resource, resource_id, suffix) + _query(query)
        body = dump({} if instance is None else instance).encode()
        return Request(method, url, JSON_HEADERS, body)

    def execute(
        self,
        procedure_id: str,
        params: Given,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        streamed: bool = False,
    ) -> Request:
        """
        Execute a procedure.

        Raises:
            TypeError, ValueError, RecursionError: JSON has no such parameters.
        """
        resource = VantiqResources.PROCEDURES
        request = self.send(
            "POST", resource, procedure_id, instance=params, query=query
        )
        given = Headers(headers or {})
        request = attrs.evolve(request, headers=given, streamed=streamed)
        return request.with_headers(JSON_HEADERS)

    def delete(
        self,
        resource: str,
        resource_id: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        suffix: str = "",
    ) -> Request:
        """Delete; never repeated, because the second answer would be a refusal."""
        url = self.path(resource, resource_id, suffix) + _query(query)
        return Request("DELETE", url, JSON_HEADERS)

    def batch(self, requests: Iterable[Batched]) -> Request:
        """Make one request of many, which the server runs in parallel."""
        items = [attrs.asdict(each) for each in requests]
        body = dump(items).encode()
        return Request("POST", f"{self.base}/batch", JSON_HEADERS, body)

    # --- documents -----------------------------------------------------------

    def download(self, path: str) -> Request:
        """
        Fetch the content of a document.

        Args:
            path: the ``content`` of the document, below the server or absolute. An
                absolute one of another origin is asked without credentials.

        Raises:
            InvalidArgument: it is no path and no http(s) URL.
        """
        if not isinstance(path, str) or not path or CONTROLS.search(path):
            raise InvalidArgument("path", path, "give the content of a document")
        if "://" not in path and not path.startswith("//"):
            path = f"{self.prefix}/{path.removeprefix('/')}"
        try:
            url = quote(urljoin(f"{self.origin}/", path), safe=URL_SAFE)
            foreign = origin_of(url) != self.origin
        except ValueError as exc:
            raise InvalidArgument("path", path, f"cannot be fetched: {exc}") from exc
        if not foreign:
            parts = urlsplit(url)
            # Two slashes at the begin would make a host of what follows.
            url = f"/{parts.path.lstrip('/')}?{parts.query}".removesuffix("?")
        return Request("GET", url, anonymous=foreign, streamed=True, follow=True)

    def upload(
        self, resource: str, part: Part, *, boundary: str, replayable: bool = False
    ) -> Request:
        """Send one file as a form."""
        body: Body
        body, kind = build_multipart([part], boundary=boundary)
        headers = Headers({"Content-Type": kind})
        return Request(
            "POST", self.path(resource), headers, body, replayable=replayable
        )


def quote_id(resource_id: str) -> str:
    """
    Quote an id; its slashes stay, because documents and topics are named by paths.

    Raises:
        InvalidArgument: it is empty, holds controls, or climbs.
    """
    if segment(resource_id, "resource_id") == resource_id:
        return resource_id  # nothing in it needs quoting
    return quote(resource_id, safe=ID_SAFE)


def _query(params: Mapping[str, str] | None) -> str:
    """Quote as aiohttp quotes the parameters that it is given."""
    if not params:
        return ""
    pairs = (
        f"{quote_plus(name, QUERY_SAFE)}={quote_plus(value, QUERY_SAFE)}"
        for name, value in params.items()
    )
    return f"?{'&'.join(pairs)}"
