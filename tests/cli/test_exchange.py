"""What goes over the wire, without secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json

import pytest

from asynctasks.cli.exchange import (
    DryRun,
    Recorder,
    WouldSend,
    build_request_document,
    build_response_document,
)
from asynctasks.sansio.http import Headers, JoinedBody, Request, Response
from asynctasks.transport import Download, Transport


KEY = "cAnArY"

SIGNED = Request(
    "GET",
    "https://acme.example/pro-api/v2/tasks?limit=1&hookKey=h1dden",
    Headers({"apiKey": KEY, "Accept": "application/json", "Cookie": "s=1"}),
)


class Parrot(Transport):
    """Answers with the request's key, as a careless service may."""

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        body = json.dumps({"said": f"your key is {KEY}", "nested": [{"token": "abc"}]})
        headers = Headers({"Set-Cookie": "a=b", "Content-Type": "application/json"})
        return Response(200, headers, body.encode())

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Download]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        yield Download(Response(200), chunks())

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_recording_has_the_form_of_a_sample() -> None:
    """The recorded exchange has the samples' form, and none of the secrets."""
    recorder = Recorder(Parrot())
    await recorder.send(SIGNED, timeout=1, max_bytes=99)
    sample = recorder.sample("a test")

    assert {
        "source": "a test",
        "exchange": [
            {
                "request": {
                    "method": "GET",
                    "url": "/pro-api/v2/tasks?limit=1&hookKey=redacted",
                    "headers": {
                        "apiKey": "redacted",
                        "Accept": "application/json",
                        "Cookie": "redacted",
                    },
                    "body": {"text": ""},
                },
                "response": {
                    "status": 200,
                    "headers": {
                        "Set-Cookie": "redacted",
                        "Content-Type": "application/json",
                    },
                    "body": {
                        "said": "your key is redacted",
                        "nested": [{"token": "redacted"}],
                    },
                },
            }
        ],
    } == sample


async def test_streams_are_recorded_by_their_head() -> None:
    """Of a download the head is kept, and its body passes through."""
    recorder = Recorder(Parrot())
    async with recorder.open(SIGNED, timeout=1, idle=1) as download:
        body = [chunk async for chunk in download.chunks]
    await recorder.aclose()

    assert [b"x"] == body
    assert 1 == len(recorder.sample("a test")["exchange"])


async def test_dry_run_raises_what_would_be_sent() -> None:
    """A dry run sends nothing, whichever way."""
    with pytest.raises(WouldSend) as sent:
        await DryRun().send(SIGNED, timeout=1, max_bytes=1)
    with pytest.raises(WouldSend):
        DryRun().open(SIGNED, timeout=1, idle=1)

    assert SIGNED is sent.value.request


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": 28.0}', {"a": 28.0}),
        (b"hello", {"text": "hello"}),
        (b"7", {"text": "7"}),
        (b"\xff\x00", {"base64": "/wA="}),
        (JoinedBody((b"ab", b"c")), {"bytes": 3}),
    ],
)
def test_body_is_shown(body: bytes, shown: object) -> None:
    """A body is JSON, text, base64, or how long it is."""
    assert shown == build_request_document(Request("PUT", "/x", body=body))["body"]


def test_links_of_a_response_lose_their_signature() -> None:
    """A signed link to a result is no key any more."""
    headers = Headers({"Location": "https://blob.example/r?sv=1&sig=abc"})
    document = build_response_document(Response(302, headers))

    assert "https://blob.example/r?sv=1&sig=redacted" == document["headers"]["Location"]
