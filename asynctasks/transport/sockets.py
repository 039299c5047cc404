"""WebSockets of aiohttp."""

from __future__ import annotations

import aiohttp

from .base import WebSocketStream
from .failures import reason
from ..exceptions import ConnectionLost, RemoteProtocolError
from ..sansio.http import Request, Response


__all__ = [
    "SAY_GOODBYE",
    "SOCKET_OPTIONS",
    "AiohttpSocket",
    "no_websocket",
    "stay_here",
]

SOCKET_OPTIONS = frozenset(
    {"auth", "proxy", "proxy_auth", "proxy_headers", "server_hostname", "ssl"}
)
"""Options of a request that concern the connection, and so a WebSocket too."""

SAY_GOODBYE = aiohttp.ClientWSTimeout(ws_close=2.0)
"""How long the other side of a WebSocket has to answer a close."""


class AiohttpSocket(WebSocketStream):
    """An open WebSocket of aiohttp."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[bool], asked: Request
    ) -> None:
        self._socket = socket
        self._asked = asked

    async def send(self, text: str) -> None:
        """Send a text; see :meth:`WebSocketStream.send`."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as exc:
            said = reason("the WebSocket broke", exc)
            raise ConnectionLost(said, self._asked) from exc

    async def receive(self) -> bytes:
        """Wait for the next message; see :meth:`WebSocketStream.receive`."""
        message = await self._socket.receive()
        kind = message.type
        if kind is aiohttp.WSMsgType.BINARY or kind is aiohttp.WSMsgType.TEXT:
            data: bytes = message.data
            return data
        failure = self._socket.exception() or message.data
        said = f": {failure}" if isinstance(failure, Exception) else ""
        closed = f"the WebSocket was closed ({self._socket.close_code}){said}"
        raise ConnectionLost(closed, self._asked)

    async def aclose(self) -> None:
        """Close it; see :meth:`WebSocketStream.aclose`."""
        await self._socket.close()


async def stay_here(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Refuse the redirect of a WebSocket, for which aiohttp has no option."""
    answer = await handler(request)
    if "Upgrade" in request.headers and 300 <= answer.status < 400:  # noqa: PLR2004
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info, answer.history, status=answer.status
        )
    return answer


def no_websocket(request: Request, status: int) -> RemoteProtocolError:
    """Return the error of a server that answers with a status instead."""
    found = f"status {status}"
    return RemoteProtocolError(
        "a WebSocket", Response(status), found, request.redacted()
    )
