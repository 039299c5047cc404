"""The exchanges that Oracle documents, as requests and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asynctasks.sansio.http import Headers, Request, Response


__all__ = ["HOST", "SAMPLES", "UUID", "V2_ID", "answer_of", "body_of", "exchange"]

SAMPLES = Path(__file__).parent.parent / "samples" / "oml"

HOST = "https://qtraya2braestch-omldb.adb.us-sanjose-1.oraclecloudapps.com"

UUID = "3887d8a2-9b91-448c-940e-542b39205049"

V2_ID = (
    "OML-EBPY-54b9da97-27a1-4b2e-a8d5-9d2f9a4bc2c8-28fc85fd-LOW-1767735607825"
    "_2026-01-06-09-40-07"
)


def exchange(name: str) -> list[tuple[Request, Response]]:
    """Return the requests and answers of a sample."""
    document = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return [
        (_request(each["request"]), _response(each["response"]))
        for each in document["exchange"]
    ]


def answer_of(name: str) -> Response:
    """Return the only answer of a sample."""
    ((_, response),) = exchange(name)
    return response


def body_of(request: Request) -> Any:
    """Return what a request says; its order does not matter."""
    assert isinstance(request.body, bytes)
    return json.loads(request.body) if request.body else None


def _request(message: dict[str, Any]) -> Request:
    headers = Headers(message["headers"])
    return Request(message["method"], message["url"], headers, _bytes(message))


def _response(message: dict[str, Any]) -> Response:
    return Response(message["status"], Headers(message["headers"]), _bytes(message))


def _bytes(message: dict[str, Any]) -> bytes:
    body = message["body"]
    if isinstance(body, dict) and set(body) == {"text"}:
        return str(body["text"]).encode()
    return json.dumps(body, separators=(",", ":")).encode()
