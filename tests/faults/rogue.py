"""
A service on loopback that answers each request as a test wants, byte for byte.

Unlike :class:`~tests.scripted.Scripted` it speaks HTTP itself, so that it can speak it
wrongly; unlike a script of :class:`~tests.faults.raw_server.RawServer` it answers by
request, whatever the connection it came on::

    async with Rogue({"GET /t1": [json_answer({"state": "done"}), NOTHING]}) as rogue:
        ...  # the first look is answered, the second one finds a closed connection
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import json
from types import TracebackType
from typing import Any, Self

from .raw_server import Connection, RawServer


__all__ = ["NOTHING", "Rogue", "http_answer", "json_answer"]

NOTHING = b""
"""Instead of an answer: the connection is closed."""

SAME_CONNECTION = b"HTTP/1.1 "
"""How an answer begins after which the connection stays open; others end it."""


def http_answer(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Build an answer with headers as they are given, one line each."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    head = "".join(f"{line}\r\n" for line in lines)
    return head.encode("latin-1") + b"\r\n" + body


def json_answer(document: Any, *headers: str, status: int = 200) -> bytes:
    """Build an answer of JSON."""
    kind = "Content-Type: application/json"
    return http_answer(json.dumps(document).encode(), kind, *headers, status=status)


class Rogue:
    """
    Answers requests from scripts; the last line of a script is repeated.

    Args:
        scripts: by call such as ``"GET /jobs/1"``, without the query. What has no
            script is answered 404.
    """

    def __init__(self, scripts: Mapping[str, Sequence[bytes]]) -> None:
        self._scripts = {call: list(lines) for call, lines in scripts.items()}
        self._server = RawServer(self._serve)
        self.calls: Counter[str] = Counter()
        """How often each call was made."""

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    def write(self, call: str, *lines: bytes) -> None:
        """Write the script of a call anew."""
        self._scripts[call] = list(lines)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(exc_type, exc, traceback)

    async def _serve(self, connection: Connection) -> None:
        answer = SAME_CONNECTION
        while answer.startswith(SAME_CONNECTION):
            request = await connection.request()
            method, target = request.split(b" ", 2)[:2]
            answer = self._answer(f"{method.decode()} {target.decode()}")
            await connection.send(answer)

    def _answer(self, asked: str) -> bytes:
        call = asked.partition("?")[0]
        self.calls[call] += 1
        script = self._scripts.get(call, [json_answer({}, status=404)])
        return script.pop(0) if len(script) > 1 else script[0]
