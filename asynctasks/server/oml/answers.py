"""
How the OML half writes things down: errors, times, and the ids of jobs.

What the documentation leaves open is named in a comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
import hashlib
import re
from typing import Any

from ..documents import read_json
from ..tasks import SimulatedTask
from ...exceptions import InvalidArgument, ResponseDecodeError
from ...sansio import codec
from ...sansio.http import Headers, Request, Response


__all__ = [
    "OmlRefused",
    "answer",
    "failure",
    "find_uuid",
    "job_id",
    "read_object",
    "write_duration",
    "write_elapsed",
    "write_preload_time",
    "write_time",
]

JSON = Headers({"Content-Type": "application/json"})

MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

TOO_LONG = 1024
MALFORMED = 1026

OTHER = 1000
"""The code of any other failure; which one the service has is not documented."""

CODES = (
    ("Output exceeds maximum length", TOO_LONG),
    ("Output malformed JSON", MALFORMED),
)

V2_ID = re.compile(r"OML-EBPY-(.+)-[0-9a-f]{8}-[A-Z]+-\d{13}_\d{4}(?:-\d\d){5}")


class OmlRefused(Exception):
    """Raised within the OML half to leave with an answer that refuses."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        # Of refusals that are no script's own only the message is documented.
        self.response = answer({"errorMessage": message, **more}, status)


def answer(document: Any, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(status, JSON, codec.dumps(document, name="answer"))


def read_object(request: Request) -> Mapping[str, Any]:
    """
    Read the body of a request, which must be a JSON object.

    Raises:
        OmlRefused: it is not.
    """
    if not isinstance(request.body, bytes):
        raise InvalidArgument("body", request.body, "read it before")
    try:
        document = read_json(request.body)
    except ResponseDecodeError as exc:
        raise OmlRefused(400, "the body must be JSON") from exc
    if not isinstance(document, dict):
        raise OmlRefused(400, "the body must be a JSON object")
    return document


def failure(message: str) -> dict[str, Any]:
    """Write down how a script failed."""
    codes = (code for start, code in CODES if message.startswith(start))
    return {"errorCode": next(codes, OTHER), "errorMessage": message}


# --- ids ---------------------------------------------------------------------


def job_id(task: SimulatedTask) -> str:
    """Return the id of a job: of v1 a UUID, of v2 long and of many parts."""
    if task.order.labels["version"] == "v1":
        return task.id
    moment = datetime.fromtimestamp(task.created_at, UTC)
    digest = hashlib.sha256(task.id.encode()).hexdigest()[:8]
    level, milliseconds = task.order.labels["level"], int(task.created_at * 1000)
    # A clock of twelve hours, as in the documented example.
    written = f"{moment:%Y-%m-%d-%I-%M-%S}"
    return f"OML-EBPY-{task.id}-{digest}-{level}-{milliseconds:013}_{written}"


def find_uuid(text: str) -> str:
    """Return the part of a job's id that tells it from others."""
    match = V2_ID.fullmatch(text)
    return text if match is None else match[1]


# --- times -------------------------------------------------------------------


def write_time(seconds: float, version: str) -> str:
    """Write when a job was created, in the form of the version."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if version == "v2":
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    # The blank before it is documented.
    return f" {month(moment)} {moment:%d,%Y %H:%M}"


def month(moment: datetime) -> str:
    """Return the short English name of a month, whatever the locale."""
    return MONTHS[3 * moment.month - 3 : 3 * moment.month]


def write_elapsed(seconds: float) -> str:
    """Write a duration as ``HH:MM:SS``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def write_preload_time(seconds: float) -> str:
    """Write a time as the list of preloaded environments does."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{month(moment)} {moment:%d, %Y %H:%M:%S} UTC"


def write_duration(seconds: float) -> str:
    """Write a duration as the list of preloaded environments does."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60} hrs, {minutes % 60} mins, {rest} secs"
