"""
No secret is in anything that can be seen, whatever is called.

Secrets are planted in every client; then every public method is called, against a
server that works, connections that break, and proxies that refuse. What came of it is
searched for the secrets.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks import AiohttpTransport
from asynctasks.testing import MemoryTransport
from tests.canaries import (
    Outcome,
    Scene,
    build_world,
    search_batch,
)
from tests.every_method import CLIENTS, PROXY_PASSWORD, Maker
from tests.faults.raw_server import Connection, RawServer, closed_port
from tests.timing import MS


@pytest.fixture(params=CLIENTS, ids=lambda maker: maker.name)
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Scene:
    """Provide the place for one kind of client."""
    return Scene(request.param, tmp_path, caplog)


# --- a server that works -----------------------------------------------------


@pytest.mark.virtual_time
async def test_server_that_works(scene: Scene) -> None:
    """Success shows no secret: neither what was sent, nor tokens that were given."""
    async with MemoryTransport(build_world(), api_key=scene.maker.key) as transport:
        task = None
        if scene.maker.name not in {"vantiq", "oml-token"}:
            client = scene.maker.make("http://127.0.0.1", transport=transport)
            handle = await client.submit(scene.maker.service, {"x": "1"})
            await handle.result()
            task = handle.token
            await client.close()
        outcome = await scene.play("http://127.0.0.1", transport, task=task)
        for request in transport.requests:
            signed = request.headers.get("Authorization", "").partition(" ")[2]
            if signed:
                outcome.search.plant(signed, "a token of the server")

    assert set() == outcome.search.found
    assert len(transport.requests) >= 15


# --- connections that break --------------------------------------------------


async def break_off(connection: Connection) -> None:
    await connection.request()
    connection.reset()


async def refuse_to_connect(connection: Connection) -> None:
    said = await connection.request()
    quoted = said.replace(b"\r\n", b" ")
    await connection.send(
        b"HTTP/1.1 407 " + quoted + b"\r\nX-Quote: " + quoted + b"\r\n"
        b"Content-Length: %d\r\n\r\n" % len(said) + said
    )


VARIED = [
    maker
    for maker in CLIENTS
    if maker.name in {"aimms-v2-cloud", "desp-basic", "desp-oauth2", "oml-v2", "vantiq"}
]
"""One client for each way to sign."""

varied = pytest.mark.parametrize(
    "scene", VARIED, ids=lambda maker: maker.name, indirect=True
)


@varied
async def test_connections_that_break(scene: Scene) -> None:
    """What is said of a broken exchange has no secret in it."""
    async with RawServer(break_off) as server, AiohttpTransport() as transport:
        outcome = await scene.play(server.url, transport, timeout=40 * MS)

    assert set() == outcome.search.found
    assert server.accepted >= 10
    assert len(outcome.errors) >= 10


@varied
async def test_password_of_a_proxy_that_refuses(scene: Scene) -> None:
    """A proxy that quotes its password is told of without it."""
    async with RawServer(refuse_to_connect) as server:
        proxy = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{server.port}"
        outcome = await play_behind(proxy, scene)

    assert set() == outcome.search.found
    assert server.accepted >= 10
    assert len(outcome.errors) >= 10


@pytest.mark.parametrize("scene", VARIED[:1], ids=["aimms"], indirect=True)
async def test_password_of_a_proxy_that_is_not_there(scene: Scene) -> None:
    """A proxy that cannot be reached is told of without its password."""
    proxy = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{closed_port()}"
    outcome = await play_behind(proxy, scene)

    assert set() == outcome.search.found
    assert len(outcome.errors) >= 10


async def play_behind(proxy: str, scene: Scene) -> Outcome:
    async with AiohttpTransport(proxy=proxy) as transport:
        return await scene.play("https://service.example", transport, timeout=40 * MS)


# --- what batches keep -------------------------------------------------------

SUBMITTERS = [
    maker
    for maker in CLIENTS
    if maker.name in {"aimms-v2-cloud", "desp-oauth2", "oml-v2"}
]


@pytest.mark.virtual_time
@pytest.mark.parametrize("maker", SUBMITTERS, ids=lambda maker: maker.name)
async def test_batch_that_works(maker: Maker, tmp_path: Path) -> None:
    """Neither the journal nor the report has a secret in it."""
    async with MemoryTransport(build_world(), api_key=maker.key) as transport:
        search = await search_batch(maker, transport, tmp_path)
        for request in transport.requests:
            signed = request.headers.get("Authorization", "").partition(" ")[2]
            if signed:
                search.plant(signed, "a token of the server")

    assert set() == search.found
