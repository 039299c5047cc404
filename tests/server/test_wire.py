"""Requests and answers between aiohttp and the halves of the protocols."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from asynctasks.server.app import LocalServer
from asynctasks.server.wire import HttpLog, drop, text_of


async def converse(server: LocalServer, sent: bytes) -> bytes:
    """Send bytes and return what comes until the server closes."""
    port = int(server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("given", "text"),
    [("a", "a"), ("é", "é"), ("\udcc3\udca9", "é"), ("\udcff", "ÿ")],
)
def test_text(given: str, text: str) -> None:
    """The bytes of a header are UTF-8, or else Latin 1: never half a character."""
    assert text == text_of(given)


def test_drop_what_is_gone() -> None:
    """A connection that is gone already need not be broken."""
    gone: Any = SimpleNamespace(transport=None)

    assert 200 == drop(gone).status


async def test_requests_that_are_none(caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP is refused, and told of in one line without a traceback."""
    caplog.set_level("INFO")
    async with LocalServer() as server:
        answer = await converse(server, b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000)

    assert b"400" == answer.split()[1]
    assert [("a request could not be read: LineTooLong", None)] == [
        (record.message, record.exc_info) for record in caplog.records
    ]


def test_own_faults_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the server itself is logged with its traceback."""
    log = HttpLog(logging.getLogger("asynctasks.server"), {})
    log.exception("Error handling request from %s", "me", exc_info=KeyError("x"))  # noqa: LOG004 - as aiohttp does

    assert "Error handling request from me" == caplog.messages[0]
    assert "KeyError: 'x'" in caplog.text


async def test_header_that_is_no_text() -> None:
    """Bytes of a header that are no UTF-8 are read as Latin 1, and do no harm."""
    lines = ["GET /api/v2/echo HTTP/1.1", "Host: localhost", "Connection: close"]
    text = "\r\n".join([*lines, "X-Said: é", "X-Written: \xff", "", ""])
    async with LocalServer() as server:
        answer = await converse(server, text.encode("latin-1"))

    assert b"200" == answer.split()[1]
