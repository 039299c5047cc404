"""Answers of the Vantiq half: JSON, or errors."""

from __future__ import annotations

from typing import Any

from .pieces import encode
from .refusals import Refused
from ...sansio.http import Headers, Request, Response


__all__ = ["EMPTY", "JSON", "json_response", "read", "refusal", "rejected"]

JSON = {"Content-Type": "application/json"}

EMPTY = Response(200, Headers(JSON))
"""Success that has nothing to say."""


def json_response(document: Any, *, count: int | None = None) -> Response:
    """Answer with JSON."""
    extra = {} if count is None else {"X-Total-Count": str(count)}
    return Response(200, Headers(JSON | extra), encode(document))


def refusal(refused: Refused) -> Response:
    """Answer with errors."""
    return Response(refused.status, Headers(JSON), encode(refused.document()))


def read(request: Request) -> bytes:
    """Return the body of a request; the shell has read it already."""
    return request.body if isinstance(request.body, bytes) else b""


def rejected(refused: Refused) -> Response:
    """Answer to wrong credentials: here the vendor spells the key ``parms``."""
    error = {"code": refused.code, "message": refused.message, "parms": []}
    return Response(401, Headers(JSON), encode([error]))
