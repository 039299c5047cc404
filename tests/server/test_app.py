"""The embedded server over real sockets on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

from aiohttp import (
    ClientError,
    ClientPayloadError,
    ClientSession,
    ClientWebSocketResponse,
    ServerDisconnectedError,
    WSMsgType,
    WSServerHandshakeError,
    web,
)
from blockbuster import blockbuster_ctx
import pytest

from asynctasks.exceptions import ConfigError, InvalidState
from asynctasks.server.app import LocalServer
from asynctasks.server.faults import Fault
from asynctasks.server.simulator import Simulator
from tests.server import staged
from tests.server.worlds import count_ids
from tests.timing import MS


class Client:
    """Asks a server as any HTTP client does."""

    def __init__(self, server: LocalServer, session: ClientSession) -> None:
        self.server = server
        self.session = session

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        url = f"{self.server.url}{path}"
        async with self.session.request(method, url, **options) as response:
            return response.status, await response.read()

    async def submit(self, service: str, inputs: Any = None) -> str:
        """Submit to the local server and return the id."""
        _, body = await self.ask("POST", f"/api/v2/tasks/{service}", json=inputs)
        task_id: str = json.loads(body)["id"]
        return task_id

    async def wait(self, task_id: str) -> str:
        """Poll until a task has ended and return its word."""
        while True:
            _, body = await self.ask("GET", f"/api/v2/tasks/{task_id}")
            state: str = json.loads(body)["state"]
            if state in {"completed", "failed"}:
                return state
            await asyncio.sleep(5 * MS)


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Give a running server with the packaged services."""
    async with LocalServer() as server:
        yield server


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[Client]:
    """Give a client of the server."""
    async with ClientSession() as session:
        yield Client(server, session)


async def test_run(client: Client) -> None:
    """A task of a packaged service is submitted, polled and fetched."""
    task_id = await client.submit("echo", {"a": 1})
    state = await client.wait(task_id)
    answer = await client.ask("GET", f"/api/v2/tasks/{task_id}/response")

    assert ("completed", (200, b'{"a":1}')) == (state, answer)


async def test_own_service(client: Client) -> None:
    """A service of one's own is registered while the server runs."""

    @client.server.service("twice")
    def twice(inputs: Any) -> Any:
        return {"twice": 2 * inputs}

    client.server.service("staged", staged.twice, executor="process")
    tasks = [await client.submit(name, 4) for name in ("twice", "staged")]
    answers = []
    for task in tasks:
        await client.wait(task)
        _, body = await client.ask("GET", f"/api/v2/tasks/{task}/response")
        answers.append(body)

    assert [b'{"twice":8}', b'{"twice":8}'] == answers


async def test_slashes_and_case(client: Client) -> None:
    """Doubled and trailing slashes, encoded parts and header names do no harm."""
    client.server.service("my service", lambda inputs: inputs)
    status, body = await client.ask(
        "POST", "/pro-api/v2//tasks/My%20App/1.0/my%20service/"
    )
    task_id = json.loads(body)["id"]
    again, _ = await client.ask("GET", f"/pro-api//v2/tasks/{task_id}/")

    assert (200, 200, "My App") == (status, again, json.loads(body)["appName"])


async def test_key() -> None:
    """On this machine the key is asked for where AIMMS does."""
    async with LocalServer(api_key="sesame") as server, ClientSession() as session:
        client = Client(server, session)
        found = [
            (await client.ask("GET", path, headers=headers))[0]
            for path, headers in (
                ("/pro-api/v2/tasks", {}),
                ("/pro-api/v2/tasks", {"APIKEY": "sesame"}),
                ("/api/v2/tasks", {}),
            )
        ]

    assert [401, 200, 200] == found


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_reachable_without_key(host: str) -> None:
    """A server that others can reach needs a key; nothing is bound without."""
    with pytest.raises(ConfigError, match="set an API key"):
        LocalServer(host=host)


async def test_reachable_with_key() -> None:
    """A server that others can reach asks for its key on every path."""
    server = LocalServer(host="0.0.0.0", api_key="sesame")
    async with server, ClientSession() as session:
        client = Client(server, session)
        found = [
            (await client.ask("GET", "/api/v2/tasks", headers=headers))[0]
            for headers in ({}, {"apiKey": "sesame", "Host": "any.example"})
        ]
        url = server.url

    assert ([401, 200], "http://127.0.0.1:") == (found, url[:17])


@pytest.mark.parametrize("host", ["::1", "localhost"])
async def test_loopback_names(host: str) -> None:
    """Other names of this machine work."""
    try:
        async with LocalServer(host=host) as server, ClientSession() as session:
            found, _ = await Client(server, session).ask("GET", "/api/v2/tasks")
    except ConfigError as exc:
        pytest.skip(f"no such address here: {exc}")

    assert 200 == found


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Host": "[bad"},
        {"Origin": "https://page.example"},
        {"Origin": "null"},
        {"Origin": "http://[bad"},
    ],
)
async def test_strangers(client: Client, headers: dict[str, str]) -> None:
    """What a foreign web page makes a browser send is refused."""
    status, _ = await client.ask("POST", "/api/v2/tasks/echo", headers=headers)

    assert (403, 0) == (status, client.server.simulator.submissions.total())


async def test_own_page(client: Client) -> None:
    """A page of this machine may use the server."""
    headers = {"Origin": "http://localhost:3000"}
    status, _ = await client.ask("GET", "/api/v2/tasks", headers=headers)

    assert 200 == status


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_large(chunked: bool) -> None:
    """A body beyond the limit is 413, announced or not; one at the limit passes."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 1001

    async with LocalServer(max_body=1000) as server, ClientSession() as session:
        client = Client(server, session)
        data = pieces() if chunked else b"x" * 1001
        large, _ = await client.ask("POST", "/api/v2/tasks/echo", data=data)
        fits, _ = await client.ask("POST", "/api/v2/tasks/echo", data=b"x" * 1000)

    assert (413, 200, 1) == (large, fits, server.simulator.submissions.total())


@pytest.mark.parametrize(("drop", "expected"), [("request", 0), ("answer", 1)])
async def test_dropped_connection(client: Client, drop: Any, expected: int) -> None:
    """A connection breaks before, or after, the submit was accepted."""
    client.server.simulator.faults.add(Fault(drop=drop), method="POST")
    with pytest.raises(ServerDisconnectedError):
        await client.submit("echo")

    assert expected == client.server.simulator.submissions.total()


async def test_hook() -> None:
    """A task-state hook on this machine hears of every change; redirects are left."""
    heard: list[tuple[str, str]] = []
    done = asyncio.Event()

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.method, request.query["task_state"]))
        if request.query["task_state"] == "completed":
            done.set()
        raise web.HTTPTemporaryRedirect("/elsewhere")

    app = web.Application()
    app.router.add_route("*", "/hook", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    async with LocalServer() as server, ClientSession() as session:
        url = f"{server.url}/pro-api/v2/tasks/App/1.0/echo"
        async with session.post(url, headers={"taskStateHook": hook}):
            pass
        async with asyncio.timeout(5):
            await done.wait()
    await runner.cleanup()

    assert [("PUT", "assigned"), ("PUT", "running"), ("PUT", "completed")] == heard


async def test_close_while_busy() -> None:
    """Closing ends what runs, and the port is free again."""
    async with LocalServer() as server, ClientSession() as session:
        await Client(server, session).submit("sleep", {"seconds": 3600})
        port = int(server.url.rpartition(":")[2])
    async with LocalServer(port=port) as again:
        url = again.url

    assert f"http://127.0.0.1:{port}" == url


async def test_taken_port(server: LocalServer) -> None:
    """A port that is taken is named, and nothing is left open."""
    port = int(server.url.rpartition(":")[2])
    second = LocalServer(port=port)
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
        await second.start()
    await second.aclose()


async def test_loop_is_never_blocked(tmp_path: Path) -> None:
    """A server is made, started, asked and closed with no blocking call on its loop."""
    with blockbuster_ctx():
        async with (
            LocalServer(data=tmp_path / "data.db") as server,
            ClientSession() as session,
        ):
            client = Client(server, session)
            task = await client.submit("echo", {"a": 1})
            state = await client.wait(task)

    assert "completed" == state


async def test_failed_start(tmp_path: Path) -> None:
    """A server that cannot read its data leaves nothing open; it may start later."""
    path = tmp_path / "data.db"
    path.write_bytes(b"something else" * 100)
    server = LocalServer(data=path)
    with pytest.raises(ConfigError, match=r"data\.db"):
        await server.start()
    path.unlink()
    async with server:
        url = server.url

    assert url.startswith("http://127.0.0.1")


async def test_states() -> None:
    """A server has no URL before it runs, is not started twice, and starts again."""
    server = LocalServer()
    with pytest.raises(InvalidState):
        assert server.url
    await server.start()
    with pytest.raises(InvalidState):
        await server.start()
    await server.aclose()
    await server.aclose()
    await server.start()
    found = server.url
    await server.aclose()

    assert found


async def test_request_while_closing(client: Client) -> None:
    """A request that arrives while the server closes is told so, or finds it gone."""
    client.server._worker = None
    status, _ = await client.ask("GET", "/api/v2/tasks")

    assert 503 == status


async def test_given_world() -> None:
    """A server may be given its world, and serves nothing else."""
    simulator = Simulator(new_id=count_ids().__next__)
    simulator.service("only", lambda inputs: inputs)
    async with LocalServer(simulator) as server, ClientSession() as session:
        client = Client(server, session)
        task_id = await client.submit("only", 1)
        status, _ = await client.ask("POST", "/api/v2/tasks/echo")

    assert ("task-1", 403) == (task_id, status)


async def test_odd_requests(server: LocalServer) -> None:
    """Requests that no library sends are answered or refused, never a 500."""
    port = int(server.url.rpartition(":")[2])
    found = []
    for line in (
        "GET /api/v2/tasks/%ff%00%2e%2e HTTP/1.1\r\nHost: localhost",
        f"GET http://localhost:{port}/api/v2/tasks HTTP/1.1\r\nHost: localhost",
        "GET /api/v2/tasks HTTP/1.0",
        "OPTIONS * HTTP/1.1\r\nHost: localhost",
        "PATCH /api/v2/tasks HTTP/1.1\r\nHost: localhost",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{line}\r\nConnection: close\r\n\r\n".encode())
        found.append(int((await reader.read())[9:12]))
        writer.close()
        await writer.wait_closed()

    assert [404, 200, 403, 404, 405] == found


def test_cold_import() -> None:
    """The package is imported without aiohttp, until the server is wanted."""
    program = (
        "import sys, asynctasks.server as s; a = 'aiohttp' in sys.modules;"
        "s.TaskContext; s.Result; s.Simulator; s.Fault; s.AimmsApp;"
        "b = 'aiohttp' in sys.modules; s.LocalServer;"
        "print(a, b, 'aiohttp' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "False False True" == done.stdout.strip()


# --- WebSockets, streams and data --------------------------------------------

WEBSOCKET = "/api/v1/wsock/websocket"

ACCESS = {"Authorization": "Bearer developer"}


async def converse(client: Client, *frames: Any) -> ClientWebSocketResponse:
    """Open a WebSocket, authenticate and send frames."""
    socket = await client.session.ws_connect(f"{client.server.url}{WEBSOCKET}")
    await socket.send_json({"op": "validate", "object": "developer"})
    for frame in frames:
        await socket.send_str(json.dumps(frame))
    return socket


async def all_gone(server: LocalServer) -> None:
    """Wait until the server knows of no WebSocket any more."""
    while True:
        if not server.vantiq.sockets:
            return
        await asyncio.sleep(MS)


async def hear(socket: ClientWebSocketResponse) -> Any:
    """Return what the server says next, in a binary frame."""
    return json.loads(await socket.receive_bytes())


SUBSCRIBE = {"op": "subscribe", "resourceName": "events", "resourceId": "/topics/t"}


async def test_websocket(client: Client) -> None:
    """Events reach a client, also those that happen within the server."""
    socket = await converse(client, SUBSCRIBE)
    found = [(await hear(socket))["status"] for _ in range(2)]
    status, _ = await client.ask(
        "POST", "/api/v1/resources/topics//t", json=1, headers=ACCESS
    )
    client.server.vantiq.desk().publish("topics", "/t", 2)
    values = [(await hear(socket))["body"]["value"] for _ in range(2)]
    await socket.close()

    assert ([200, 200], 200, [1, 2]) == (found, status, values)


async def test_websocket_cut(client: Client) -> None:
    """A cut breaks the connection without a farewell."""
    socket = await converse(client)
    await hear(socket)
    client.server.vantiq.cut_sockets()
    message = await socket.receive()

    assert (WSMsgType.CLOSED, 1006) == (message.type, socket.close_code)


async def test_websocket_of_closing_server(client: Client) -> None:
    """A server that is closed says good-bye."""
    socket = await converse(client)
    await hear(socket)
    await client.server.aclose()
    message = await socket.receive()

    assert (WSMsgType.CLOSE, 1001) == (message.type, message.data)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/elsewhere", {}, 404),
        (WEBSOCKET, {"Origin": "https://evil.example"}, 403),
        (WEBSOCKET, {"Host": "evil.example"}, 403),
    ],
)
async def test_refused_handshake(
    client: Client, path: str, headers: dict[str, str], status: int
) -> None:
    """Handshakes elsewhere, or from foreign web pages, are refused."""
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.session.ws_connect(f"{client.server.url}{path}", headers=headers)

    assert status == caught.value.status


async def test_broken_handshake(client: Client) -> None:
    """A fault may break a handshake, and one that is none is refused."""
    client.server.simulator.faults.add(Fault(drop="request"), times=9)
    with pytest.raises(ClientError):
        await client.session.ws_connect(f"{client.server.url}{WEBSOCKET}")
    client.server.simulator.faults.clear()
    status, _ = await client.ask("GET", WEBSOCKET, headers={"Upgrade": "websocket"})

    assert 400 == status


async def test_large_frame() -> None:
    """A frame is as large as a body at most."""
    async with LocalServer(max_body=1000) as server, ClientSession() as session:
        socket = await converse(Client(server, session))
        await hear(socket)
        await socket.send_str("x" * 2000)
        message = await socket.receive()
        await all_gone(server)

    assert (WSMsgType.CLOSE, 1009) == (message.type, message.data)


async def test_stream(client: Client) -> None:
    """A streamed answer arrives piece by piece; if it fails, the connection breaks."""
    more = asyncio.Event()

    @client.server.vantiq.procedure("count")
    async def count(*, fail: bool) -> AsyncIterator[int]:
        yield 1
        await more.wait()
        if fail:
            raise ValueError("no more")
        yield 2

    client.server.vantiq.procedure("start")(lambda fail: count(fail=fail))
    url = f"{client.server.url}/api/v1/resources/procedures/start"
    query = {"stream": "true", "maxFlushInterval": "-1"}
    found = []
    for fail in (False, True):
        more.clear()
        async with client.session.post(
            url, params=query, json=[fail], headers=ACCESS
        ) as answer:
            found.append(await answer.content.readany())
            more.set()
            if fail:
                with pytest.raises(ClientPayloadError):
                    await answer.read()
            else:
                found.append(await answer.read())

    assert [b"[1", b",2]", b"[1"] == found


async def test_data(tmp_path: Path) -> None:
    """What is stored in a file survives a restart, and is of one server at a time."""
    path = tmp_path / "data"
    async with LocalServer(data=path) as server, ClientSession() as session:
        client = Client(server, session)
        status, _ = await client.ask(
            "POST", "/api/v1/resources/topics", json={"name": "/t"}, headers=ACCESS
        )
        with pytest.raises(ConfigError, match="locked"):
            await LocalServer(data=path).start()
    async with LocalServer(data=path) as server, ClientSession() as session:
        again, body = await Client(server, session).ask(
            "GET", "/api/v1/resources/topics//t", headers=ACCESS
        )

    assert (200, 200, "/t") == (status, again, json.loads(body)["name"])
