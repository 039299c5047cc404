"""The Vantiq half with a clock that a test turns by hand: no loop, no dice."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
import json
from typing import Any

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.live import Calculated, Streamed
from asynctasks.server.vantiq.service import VantiqService
from asynctasks.server.vantiq.socket import VantiqSocket
from asynctasks.server.vantiq.world import VantiqWorld


__all__ = ["NOW", "Client", "Site", "make_world"]

NOW = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""

TYPE = {
    "name": "TestType",
    "properties": {"id": {"type": "String"}, "k": {"type": "Integer"}},
    "naturalKey": ["id"],
}


def make_world(**options: Any) -> VantiqWorld:
    """Make a world whose ids and tokens are counted."""
    ids, tokens = count(0x10000), count(1)
    world = VantiqWorld(
        users={"SomeUser": "trulySecret", "other": "secret"},
        tokens={"1234accessToken": "someuser"},
        new_id=lambda: f"{next(ids):024x}",
        new_token=lambda: f"token-{next(tokens)}",
        **options,
    )
    world.clock = lambda: NOW
    return world


class Site:
    """A server's half, asked by a user who is known."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.woken = 0
        self.world = make_world(**options)
        self.service = VantiqService(self.world)
        self.service.start(lambda: self.now, self.wake)
        self.desk = self.world.desk()

    def wake(self) -> None:
        self.woken += 1

    def define(self, **facts: Any) -> None:
        """Define the type TestType."""
        self.desk.insert("system.types", TYPE | facts)

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask; a body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": "Bearer 1234accessToken"} | dict(headers or {})
        response = self.service.handle(
            Request(method, url, Headers(given), sent), self.now
        )
        assert response is not None
        return response

    async def call(self, method: str, url: str, body: Any = b"") -> Response:
        """Ask, and wait for what has to be waited for."""
        response = self.ask(method, url, body)
        if isinstance(response, Calculated):
            response = await response.answer()
        if isinstance(response, Streamed):
            pieces = [piece async for piece in response.pieces]
            return Response(response.status, response.headers, b"".join(pieces))
        return response

    def code(self, response: Response) -> tuple[int, str]:
        """Return the status and the code of a refusal."""
        return response.status, response.json()[0]["code"]

    def connect(self, token: str | None = "1234accessToken") -> Client:
        """Open a WebSocket, by default one that is authenticated."""
        client = Client(self)
        if token is not None:
            client.say(op="validate", resourceName="system.credentials", object=token)
            client.hear()
        return client

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.service.advance(self.now)


class Client:
    """The other end of a WebSocket."""

    def __init__(self, site: Site) -> None:
        self.woken = 0
        request = Request("GET", "/api/v1/wsock/websocket")
        socket = site.service.connect(request, self.wake)
        assert isinstance(socket, VantiqSocket)
        self.socket = socket

    def wake(self) -> None:
        self.woken += 1

    def say(self, **frame: Any) -> None:
        """Send a frame."""
        self.socket.receive(json.dumps(frame))

    def hear(self) -> list[Any]:
        """Return what the server sent since last time."""
        return [json.loads(frame) for frame in self.socket.to_send()]

    def subscribe(self, path: str, **parameters: Any) -> list[Any]:
        """Subscribe and return the answer."""
        parameters = {"requestId": path} | parameters
        self.say(
            op="subscribe",
            resourceName="events",
            resourceId=path,
            parameters=parameters,
        )
        return self.hear()

    def events(self) -> list[Any]:
        """Return the values of the events since last time."""
        return [frame["body"]["value"] for frame in self.hear()]
