"""A Vantiq server whose answers are written down, for tests of its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import json
from pathlib import Path
import ssl
from typing import Any

from aiohttp import web
import attrs


__all__ = ["Answer", "ScriptedVantiq", "Seen", "sample", "samples"]

SAMPLES = Path(__file__).parent / "samples" / "vantiq"


def samples(kind: str) -> list[str]:
    """Return the names of the samples of a kind: rest or socket."""
    return sorted(path.stem for path in SAMPLES.glob(f"{kind}-*.json"))


def sample(name: str) -> Any:
    """Read a sample."""
    return json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


@attrs.frozen
class Seen:
    """A request as it arrived."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@attrs.frozen
class Answer:
    """What is answered."""

    status: int = 200
    body: Any = attrs.field(factory=dict)
    headers: dict[str, str] = attrs.field(factory=dict)

    def build(self) -> web.Response:
        """Build the answer; a body of text or bytes goes as it is, others as JSON."""
        kind = {"Content-Type": "application/json", **self.headers}
        raw = self.body
        if isinstance(raw, str):
            raw = raw.encode()
        if not isinstance(raw, bytes):
            raw = json.dumps(raw).encode()
        return web.Response(status=self.status, body=raw, headers=kind)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedVantiq:
    """
    Answers ``{}`` to every request and accepts every subscription, unless told else.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.answers: dict[str, list[Answer | Handler]] = {}
        self.frames: list[dict[str, Any]] = []
        """What clients said over WebSockets."""

        self._heard = asyncio.Event()
        self.sockets: list[web.WebSocketResponse] = []
        self.handshakes = 0
        self.handshake_status = 101
        self.validation: dict[str, Any] | None = {"status": 200, "body": {}}
        """The answer to a token; None stays silent."""

        self.refusals: dict[str, dict[str, Any]] = {}
        """By request id: the frame that answers a subscribe."""

        self.names: dict[str, str] = {}
        """By request id: the name that a persistent subscription gets."""

        self.silent = False
        """Whether subscribes are not answered."""

        self.peers: list[asyncio.Transport] = []
        self._runner: web.AppRunner | None = None

    def answer(self, call: str, *answers: Answer | Handler) -> None:
        """Write what is answered to e.g. ``"GET /docs/a"``; the last one stays."""
        self.answers[call] = list(answers)

    @asynccontextmanager
    async def running(
        self, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> AsyncIterator[ScriptedVantiq]:
        """Serve on this machine."""
        await self.start(tls, port)
        try:
            yield self
        finally:
            await self.stop()

    async def start(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """Begin to serve."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if tls else 'http'}://{host}:{port}"

    async def stop(self) -> None:
        """Serve no more."""
        for socket in self.sockets:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/wsock/websocket"):
            return await self._socket(request)
        body = await request.read()
        seen = Seen(request.method, request.raw_path, dict(request.headers), body)
        self.requests.append(seen)
        script = self.answers.get(f"{request.method} {request.path}", [Answer()])
        line = script.pop(0) if len(script) > 1 else script[0]
        return line.build() if isinstance(line, Answer) else await line(request)

    # --- WebSockets ----------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        if self.handshake_status != 101:
            headers = {"Location": "http://127.0.0.1:1/"}
            return web.Response(status=self.handshake_status, headers=headers)
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        self.peers.append(request.transport)
        self.sockets.append(socket)
        async for message in socket:
            frame = json.loads(message.data)
            self.frames.append(frame)
            self._heard.set()
            await self._reply(socket, frame)
        self.sockets.remove(socket)
        return socket

    async def _reply(self, socket: web.WebSocketResponse, frame: Any) -> None:
        if frame["op"] == "validate":
            if self.validation is not None:
                await send(socket, self.validation)
        elif frame["op"] == "subscribe" and not self.silent:
            request_id = frame["parameters"]["requestId"]
            name = self.names.get(request_id)
            body = {} if name is None else {"name": name}
            accepted = {"status": 200, "body": body}
            answer = self.refusals.get(request_id, accepted)
            headers = {"X-Request-Id": request_id}
            await send(socket, {"headers": headers, **answer})

    async def push(
        self, request_id: str, value: Any, path: str | None = None, **more: Any
    ) -> None:
        """Send an event to all who are connected."""
        body = {"path": path or f"{request_id}/publish", "value": value, **more}
        headers = {"X-Request-Id": request_id}
        await self.say({"status": 100, "headers": headers, "body": body})

    async def say(self, frame: Any) -> None:
        """Send a frame to all who are connected; bytes and texts as they are."""
        for socket in list(self.sockets):
            await send(socket, frame)

    async def heard(self, count: int) -> None:
        """Wait until clients have said so many frames in all."""
        while len(self.frames) < count:
            self._heard.clear()
            await self._heard.wait()

    def cut(self) -> None:
        """Break all WebSockets, without a word."""
        for peer in self.peers:
            peer.abort()
        self.peers.clear()

    def subscribed(self) -> list[str]:
        """Return the request ids that clients subscribed to, in order."""
        return [
            frame["parameters"]["requestId"]
            for frame in self.frames
            if frame["op"] == "subscribe"
        ]


async def send(socket: web.WebSocketResponse, frame: Any) -> None:
    """Send a frame as Vantiq does: JSON in a binary message."""
    if isinstance(frame, str):
        await socket.send_str(frame)
    elif isinstance(frame, bytes):
        await socket.send_bytes(frame)
    else:
        await socket.send_bytes(json.dumps(frame).encode())
