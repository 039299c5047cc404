"""The service in memory, and the server in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import threading
from typing import Any
from urllib.request import urlopen

import attrs
import pytest

from asynctasks import testing
from asynctasks.aimms import AimmsClient
from asynctasks.exceptions import (
    AttemptTimeout,
    ConfigError,
    ConnectError,
    ConnectionLost,
    InvalidState,
    RemoteProtocolError,
    ResponseTooLarge,
    VantiqException,
)
from asynctasks.sansio.http import ERROR_BODY, BodySource, JoinedBody, Request, Response
from asynctasks.server.app import LocalServer
from asynctasks.server.simulator import Simulator
from asynctasks.server.world import vantiq_world
from asynctasks.testing import MemoryTransport, build_simulator, serving
from asynctasks.vantiq import Vantiq, VantiqResources


virtual = pytest.mark.virtual_time

GET = Request("GET", "http://localhost/some/path?x=1")


async def send(transport: MemoryTransport, request: Request = GET) -> Response:
    return await transport.send(request, timeout=5.0, max_bytes=1000)


def test_module_offers_what_tests_need() -> None:
    """One import serves a test: transport, world and server."""
    assert [
        "Handler",
        "LocalServer",
        "MemoryTransport",
        "Simulator",
        "build_simulator",
        "serving",
    ] == testing.__all__
    assert (LocalServer, Simulator) == (testing.LocalServer, testing.Simulator)


# --- a function as the service -----------------------------------------------


@virtual
async def test_function_answers() -> None:
    """A plain function is given the path and the bytes, and answers."""

    def handler(request: Request) -> Response:
        return Response(200, body=f"{request.url}".encode())

    async with MemoryTransport(handler) as transport:
        response = await send(transport)

    assert b"/some/path?x=1" == response.body
    assert asyncio.get_running_loop().time() == response.at
    assert [GET] == transport.requests


async def test_requests_are_remembered_in_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of more than it keeps, the transport forgets the oldest."""
    monkeypatch.setattr(testing, "KEPT", 3)
    async with MemoryTransport(lambda _: Response(200)) as transport:
        for number in range(5):
            request = attrs.evolve(GET, url=f"https://acme.example/{number}")
            await transport.send(request, timeout=1.0, max_bytes=10)

    assert ["2", "3", "4"] == [request.url[-1] for request in transport.requests]


@virtual
async def test_root_is_a_path_too() -> None:
    """A URL without a path asks for the root."""

    def handler(request: Request) -> Response:
        return Response(200, body=request.url.encode())

    response = await send(MemoryTransport(handler), Request("GET", "http://localhost"))

    assert b"/" == response.body


@virtual
async def test_async_function_answers_in_time_or_not() -> None:
    """An async function may take its time, up to that of the attempt."""

    async def handler(request: Request) -> Response:
        await asyncio.sleep(float(request.query))
        return Response(204)

    transport = MemoryTransport(handler)

    assert 204 == (await send(transport, attrs.evolve(GET, url="/?4.5"))).status
    with pytest.raises(AttemptTimeout, match="no answer within 5 s"):
        await send(transport, attrs.evolve(GET, url="/?5.5"))


@virtual
@pytest.mark.parametrize(
    "error", [ConnectError("refused"), TimeoutError("its own"), KeyError("x")]
)
async def test_function_may_raise(error: Exception) -> None:
    """What the function raises comes out as it is."""

    def handler(request: Request) -> Response:
        raise error

    with pytest.raises(type(error)) as caught:
        await send(MemoryTransport(handler))

    assert error is caught.value


class Stream:
    """A body that is produced while it is sent."""

    length = None
    replayable = False

    async def open(self) -> AsyncIterator[bytes]:
        yield b"two "
        yield b"three"


@virtual
async def test_bodies_are_read_whole() -> None:
    """The function, and whoever looks later, sees the bytes of a streamed body."""
    bodies: list[Any] = []

    def handler(request: Request) -> Response:
        bodies.append(request.body)
        return Response(200)

    source: BodySource = Stream()
    transport = MemoryTransport(handler)
    await send(transport, Request("PUT", "/", body=JoinedBody((b"one ", source))))

    assert [b"one two three"] == bodies == [r.body for r in transport.requests]


@virtual
async def test_limits_are_those_of_other_transports() -> None:
    """A body that is too large is refused; one of a refusal is cut off."""
    body = b"0" * (ERROR_BODY + 1)
    with pytest.raises(ResponseTooLarge):
        await send(MemoryTransport(lambda _: Response(200, body=body)))
    response = await send(MemoryTransport(lambda _: Response(400, body=body)))

    assert ERROR_BODY == len(response.body)


# --- streams -----------------------------------------------------------------


@virtual
async def test_answer_is_streamed() -> None:
    """The head comes first, the body in pieces."""
    body = bytes(200_000)
    transport = MemoryTransport(lambda _: Response(200, body=body))
    async with transport.open(GET, timeout=5, idle=1) as download:
        pieces = [piece async for piece in download.chunks]

    assert (200, b"") == (download.head.status, download.head.body)
    assert (4, body) == (len(pieces), b"".join(pieces))


@virtual
async def test_streamed_refusal_has_its_body_in_the_head() -> None:
    """A refusal is read, up to a limit, and has nothing to stream."""
    body = b"0" * (ERROR_BODY + 1)
    transport = MemoryTransport(lambda _: Response(404, body=body))
    async with transport.open(GET, timeout=5, idle=1) as download:
        pieces = [piece async for piece in download.chunks]

    assert (404, ERROR_BODY, []) == (
        download.head.status,
        len(download.head.body),
        pieces,
    )


# --- a simulator as the service ----------------------------------------------


@virtual
async def test_simulated_services_run() -> None:
    """The example of the module works, in hours that pass at once."""
    simulator = build_simulator()

    @simulator.service("double")
    async def double(inputs: Any) -> Any:
        await asyncio.sleep(3600)
        return {"twice": 2 * inputs["x"]}

    async with (
        MemoryTransport(simulator) as transport,
        AimmsClient.local(transport=transport) as client,
    ):
        assert {"twice": 4} == await client.run("double", {"x": 2})

    assert 3600 < asyncio.get_running_loop().time() < 3610


@virtual
async def test_simulated_faults_happen() -> None:
    """A fault of the simulator is one of the transport."""
    simulator = build_simulator()
    simulator.faults.lose_answer(method="GET")
    async with MemoryTransport(simulator) as transport:
        with pytest.raises(ConnectionLost):
            await send(transport)


@virtual
async def test_key_is_asked_for() -> None:
    """The simulated cloud wants its key."""
    request = Request("GET", "http://localhost/pro-api/v2/tasks")
    async with MemoryTransport(build_simulator(), api_key="secret") as transport:
        assert 401 == (await send(transport, request)).status
        assert (
            200
            == (
                await send(transport, request.with_headers({"apiKey": "secret"}))
            ).status
        )


@virtual
async def test_closed_transport_is_refused() -> None:
    """A transport can be closed twice, and not used afterwards."""
    transport = MemoryTransport(build_simulator())
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(InvalidState, match="the transport is closed"):
        await send(transport)


# --- a server in a thread ----------------------------------------------------


def test_server_serves_code_without_a_loop() -> None:
    """The server answers plain blocking code while the block lasts."""
    with serving(parallel=1) as server:
        with urlopen(f"{server.url}/api/v2/health-check", timeout=5) as answer:
            status = answer.status

        assert (200, 1) == (status, server.simulator.parallel)

    assert "asynctasks-server" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(InvalidState):
        server.url  # noqa: B018


@pytest.mark.parametrize("host", ["0.0.0.0", "256.0.0.1"])
def test_server_that_cannot_start_leaves_no_thread(host: str) -> None:
    """When the server refuses to start, its thread ends."""
    with pytest.raises(ConfigError), serving(host=host):
        pass

    assert "asynctasks-server" not in {thread.name for thread in threading.enumerate()}


def test_block_that_raises_ends_the_server() -> None:
    """An error of the block comes out, and the thread ends."""
    with pytest.raises(KeyError), serving():
        raise KeyError("of the block")

    assert "asynctasks-server" not in {thread.name for thread in threading.enumerate()}


@virtual
async def test_websockets_in_memory() -> None:
    """Vantiq's events come through memory, too; a cut connection comes back."""
    simulator = build_simulator()
    told: list[Any] = []
    topic = (VantiqResources.TOPICS, "/a")

    def callback(what: str, message: dict[str, Any]) -> None:
        told.append(message["value"] if what == "message" else what)

    async with (
        MemoryTransport(simulator) as transport,
        Vantiq("http://127.0.0.1", transport=transport) as client,
    ):
        await client.set_access_token("developer")
        await client.subscribe(*topic, None, callback)
        await client.publish(*topic, {"n": 1})
        await asyncio.sleep(1)
        vantiq_world(simulator).cut_sockets()
        await asyncio.sleep(10)
        await client.publish(*topic, {"n": 2})
        await asyncio.sleep(1)

    assert ["connect", {"n": 1}, "gap", "connect", {"n": 2}] == told


async def test_function_opens_no_websockets() -> None:
    """A transport that is a function has no sockets; one that is closed neither."""
    transport = MemoryTransport(lambda _: Response(204))
    async with Vantiq("http://127.0.0.1", transport=transport) as client:
        await client.set_access_token("any")
        with pytest.raises(VantiqException, match="opens no WebSockets"):
            await client.start_subscriber_transport()
    world = MemoryTransport(build_simulator())
    asked = {"timeout": 1.0, "heartbeat": 1.0, "max_bytes": 1}
    with pytest.raises(RemoteProtocolError):
        await world.connect(GET, **asked)
    await world.aclose()
    with pytest.raises(ConnectError):
        await world.connect(GET, **asked)
