"""What an answer says: refusals, fields of the right type, and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import codec
from .http import Response
from ..exceptions import (
    AuthenticationFailed,
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    RemoteProtocolError,
    RequestRejected,
    ResponseDecodeError,
    ResponseError,
    ServiceBroken,
)


__all__ = ["check_decode", "decode_content", "expect", "field", "refusal"]

REFUSALS: Mapping[int, type[ResponseError]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
}

TOO_MANY = 429

SERVER_FAULT = 500

UNAVAILABLE = 503

WORDS = ("message", "errorMessage", "error_description", "error")
"""Where the services, and OAuth 2 (RFC 6749), put their words about an error."""


def refusal(response: Response) -> ResponseError:
    """
    Return the error that a refusing answer means, with the service's words.

    A 503 that says when to come back means what a 429 does.
    """
    status, asked = response.status, response.retry_after
    words = _words(response)
    if status == TOO_MANY or (status == UNAVAILABLE and asked is not None):
        return RateLimited(response.redacted(), words, retry_after=asked)
    other = ServiceBroken if status >= SERVER_FAULT else RequestRejected
    return REFUSALS.get(status, other)(response.redacted(), words)


def _words(response: Response) -> str:
    """Find the service's own words in an error answer of whatever form."""
    try:
        document = response.json()
    except RemoteProtocolError:
        text = response.body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
    if isinstance(document, dict):
        for name in WORDS:
            words = document.get(name)
            if isinstance(words, str) and words:
                return words
    return response.body.decode("utf-8", "replace").strip()


def expect(response: Response, *statuses: int) -> Response:
    """
    Return the answer if its status is one of these.

    Raises:
        ResponseError: the service refuses (4xx, 5xx).
        RemoteProtocolError: another success or a redirect than documented.
    """
    if response.status in statuses:
        return response
    if response.refused:
        raise refusal(response)
    wanted = " or ".join(str(status) for status in statuses)
    found = f"status {response.status}"
    raise RemoteProtocolError(f"status {wanted}", response.redacted(), found)


def field(
    document: Any,
    name: str,
    kinds: type | tuple[type, ...],
    response: Response,
    *,
    required: bool = False,
) -> Any:
    """
    Return a field of a JSON object, checked, never converted.

    Args:
        document: what was decoded.
        name: the field's name.
        kinds: the types it may have; a bool is never an int here.
        response: the answer it came in, for the error.
        required: refuse it where it is missing or null; else that gives None.

    Raises:
        RemoteProtocolError: it is missing or of another type; the error has its
            JSON path.
    """
    if not isinstance(document, dict):
        found = _kind(document)
        raise RemoteProtocolError("a JSON object", response.redacted(), found)
    value = document.get(name)
    if value is None:
        if not required:
            return None
        found = "null" if name in document else "no such field"
        raise RemoteProtocolError(f"a value at $.{name}", response.redacted(), found)
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, wanted) or (
        isinstance(value, bool) and bool not in wanted
    ):
        names = " or ".join(KINDS.get(kind, kind.__name__) for kind in wanted)
        found = _kind(value)
        raise RemoteProtocolError(f"{names} at $.{name}", response.redacted(), found)
    return value


KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _kind(value: Any) -> str:
    return KINDS.get(type(value), type(value).__name__)


DECODERS = ("auto", "json", "text", "bytes")


def check_decode(decode: str) -> None:
    """
    Refuse what is no way to decode a result.

    Raises:
        InvalidArgument: it is none of those of :func:`decode_content`.
    """
    if decode not in DECODERS:
        remedy = f"choose one of {', '.join(DECODERS)}"
        raise InvalidArgument("decode", decode, remedy)


def decode_content(response: Response, decode: str = "auto") -> Any:
    """
    Decode a result.

    Args:
        response: the answer that carries it.
        decode: ``"json"``, ``"text"`` and ``"bytes"`` insist on that kind.
            ``"auto"`` gives the decoded value for a JSON media type and for what is
            a JSON object or array whatever it is labelled, text for ``text/*``, and
            else bytes.

    Raises:
        InvalidArgument: *decode* is none of these.
        ResponseDecodeError: the body is not of the kind that was insisted on, or
            that it is labelled as.
    """
    check_decode(decode)
    if decode == "json" or (decode == "auto" and _is_json(response.media_type)):
        return response.json()
    if decode == "text":
        return response.text()
    if decode == "bytes":
        return response.body
    # Some services label results by a file extension that was never set.
    if response.body.removeprefix(codec.BOM).lstrip()[:1] in {b"{", b"["}:
        try:
            return codec.loads(response.body)
        except ResponseDecodeError:
            pass
    return response.text() if response.media_type.startswith("text/") else response.body


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")
