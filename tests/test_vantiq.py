"""The client for Vantiq: what it asks, what it returns, and its life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import asynctasks
from asynctasks import vantiq
from asynctasks.vantiq import (
    Batched,
    Vantiq,
    VantiqException,
    VantiqOptions,
    VantiqResource,
    VantiqResources,
)
from tests.vantiq_scripted import Answer, ScriptedVantiq, Seen


ROOT = "/api/v1/resources"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


@pytest.fixture
async def client(server: ScriptedVantiq) -> AsyncIterator[Vantiq]:
    """Talk to the server with a token."""
    async with Vantiq(server.url) as connected:
        await connected.set_access_token("tok")
        yield connected


Call = Callable[[Vantiq], Awaitable[Any]]

CALLS: dict[str, tuple[Call, str, str, Any]] = {
    "select": (
        lambda c: c.select("T", ["a"], {"b": 1}, {"a": -1}, 2, {"page": "3"}),
        "GET",
        (
            f"{ROOT}/custom/T?props=%5B%22a%22%5D&where=%7B%22b%22:+1%7D"
            "&sort=%7B%22a%22:+-1%7D&limit=2&count=true&page=3"
        ),
        None,
    ),
    "select_one": (lambda c: c.select_one("T", "x"), "GET", f"{ROOT}/custom/T/x", None),
    "select_one of all": (lambda c: c.select_one("T"), "GET", f"{ROOT}/custom/T", None),
    "count": (
        lambda c: c.count("T"),
        "GET",
        f"{ROOT}/custom/T?count=true&limit=1&props=%5B%22_id%22%5D",
        None,
    ),
    "insert": (lambda c: c.insert("T", {"a": 1}), "POST", f"{ROOT}/custom/T", {"a": 1}),
    "insert many": (
        lambda c: c.insert("T", [1, 2]),
        "POST",
        f"{ROOT}/custom/T",
        [1, 2],
    ),
    "upsert": (
        lambda c: c.upsert("T", {"_id": 1, "a": 1}),
        "POST",
        f"{ROOT}/custom/T?upsert=true",
        {"a": 1},
    ),
    "update": (
        lambda c: c.update("T", "x", {"_id": 1, "a": 1}),
        "PUT",
        f"{ROOT}/custom/T/x",
        {"a": 1},
    ),
    "patch": (
        lambda c: c.patch("T", "x", [{"op": "remove", "path": "/a"}]),
        "PATCH",
        f"{ROOT}/custom/T/x",
        [{"op": "remove", "path": "/a"}],
    ),
    "delete": (
        lambda c: c.delete("T", {"a": 1}),
        "DELETE",
        f"{ROOT}/custom/T?count=true&where=%7B%22a%22:+1%7D",
        None,
    ),
    "delete all": (
        lambda c: c.delete("T", None),
        "DELETE",
        f"{ROOT}/custom/T?count=true",
        None,
    ),
    "delete_one": (
        lambda c: c.delete_one("T", "x"),
        "DELETE",
        f"{ROOT}/custom/T/x",
        None,
    ),
    "query": (
        lambda c: c.query("s", [{"a": 1}]),
        "POST",
        f"{ROOT}/sources/s/query",
        [{"a": 1}],
    ),
    "execute": (
        lambda c: c.execute("p.q", [1]),
        "POST",
        f"{ROOT}/procedures/p.q",
        [1],
    ),
    "publish": (
        lambda c: c.publish(VantiqResources.TOPICS, "/a/b", {"m": 1}),
        "POST",
        f"{ROOT}/topics//a/b",
        {"m": 1},
    ),
    "publish nothing": (
        lambda c: c.publish(VantiqResources.SERVICES, "S/E", None),
        "POST",
        f"{ROOT}/services/S/E",
        {},
    ),
    "get_namespace_users": (
        lambda c: c.get_namespace_users("ns"),
        "GET",
        f"{ROOT}/namespaces/ns/authorizedUsers",
        None,
    ),
    "batch": (
        lambda c: c.batch([Batched(method="GET", uri="custom/T")]),
        "POST",
        "/api/v1/batch",
        [
            {
                "method": "GET",
                "headers": {"Authorization": "Bearer tok"},
                "uri": "custom/T",
                "body": None,
            }
        ],
    ),
}


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_operations(server: ScriptedVantiq, client: Vantiq, name: str) -> None:
    """Each operation sends one request, signed, and returns what is answered."""
    call, method, url, body = CALLS[name]
    server.answer(f"{method} {url.partition('?')[0]}", Answer(200, {"a": 1}))
    response = await call(client)
    (seen,) = server.requests

    assert (method, url) == (seen.method, seen.url)
    assert ("Bearer tok", "application/json") == (
        seen.headers["Authorization"],
        seen.headers["Content-Type"],
    )
    assert (b"" if body is None else json.dumps(body).encode()) == seen.body
    assert (True, 200, "application/json") == (
        response.is_success,
        response.status_code,
        response.content_type,
    )
    assert ({} if name == "count" else {"a": 1}) == response.body


async def test_namespace_is_no_path(server: ScriptedVantiq, client: Vantiq) -> None:
    """A slash in its name leads to no other place."""
    await client.get_namespace_users("a/b")
    (seen,) = server.requests

    assert f"{ROOT}/namespaces/a%2Fb/authorizedUsers" == seen.url


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_operations_need_a_token(server: ScriptedVantiq, name: str) -> None:
    """Without a token nothing is sent."""
    async with Vantiq(server.url) as client:
        with pytest.raises(VantiqException, match=r"request\.notauthenticated"):
            await CALLS[name][0](client)

    assert [] == server.requests


@pytest.mark.parametrize("call", ["insert", "upsert", "update"])
async def test_nothing_cannot_be_stored(client: Vantiq, call: str) -> None:
    """An instance that is None is refused by name."""
    code = "insert" if call == "insert" else "upsert"
    key = ["x"] if call == "update" else []
    with pytest.raises(VantiqException, match=rf"io\.vantiq\.python\.{code}\.none"):
        await getattr(client, call)("T", *key, None)


async def test_publishing_elsewhere(server: ScriptedVantiq, client: Vantiq) -> None:
    """What cannot be published to is a failed response, and nothing is sent."""
    response = await client.publish("MyType", "x", {})

    assert (False, 400) == (response.is_success, response.status_code)
    assert ["io.vantiq.python.publish.invalidresource"] == [
        error.code for error in response.errors or []
    ]
    assert [] == server.requests


async def test_upload_that_lacks_something(client: Vantiq) -> None:
    """An upload that cannot be made is a failed response."""
    response = await client.upload("system.documents", "text/plain", None)

    assert ["io.vantiq.python.content"] == [e.code for e in response.errors or []]


def form(seen: Seen) -> bytes:
    boundary = seen.headers["Content-Type"].partition("boundary=")[2].encode()
    return seen.body.replace(boundary, b"B")


@pytest.mark.parametrize(
    "inmem", ["héllo", "héllo".encode(), bytearray("héllo".encode())]
)
async def test_uploading_from_memory(
    server: ScriptedVantiq, client: Vantiq, inmem: Any
) -> None:
    """Content in memory needs only a name, whichever of the two it is."""
    await client.upload("system.documents", "text/plain", None, "my document", inmem)
    (seen,) = server.requests

    assert (
        b"--B\r\n"
        b'Content-Disposition: form-data; name="my document"; filename="my document"'
    ) in form(seen)
    assert "\r\n\r\nhéllo\r\n--B--\r\n".encode() in form(seen)


async def test_uploading_a_file(
    server: ScriptedVantiq, client: Vantiq, tmp_path: Path
) -> None:
    """A file is read while it is sent, and called as it is asked for."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1_000_000))
    await client.upload("system.documents", "a/b", str(path), "docs/a.bin")
    (seen,) = server.requests

    assert f'name="{path}"; filename="docs/a.bin"'.encode() in seen.body
    assert bytes(1_000_000) in seen.body
    assert str(len(seen.body)) == seen.headers["Content-Length"]


async def test_file_that_is_not_there(server: ScriptedVantiq, client: Vantiq) -> None:
    """A file that cannot be read is an error, and nothing is sent."""
    with pytest.raises(VantiqException, match="cannot be read"):
        await client.upload("system.documents", "a/b", "/no/such/file")

    assert [] == server.requests


async def test_download(server: ScriptedVantiq, client: Vantiq) -> None:
    """A download is a stream, to be read to its end."""
    headers = {"Content-Type": "text/plain", "X-Total-Count": "1"}
    server.answer("GET /docs/a", Answer(200, b"x" * 250, headers))
    response = await client.download("/docs/a")
    pieces = [await response.body.read(100) for _ in range(4)]

    assert [100, 100, 50, 0] == [len(piece) for piece in pieces]
    assert (True, 1, "text/plain") == (
        response.is_success,
        response.count,
        response.content_type,
    )
    assert "<<streaming body>>" in str(response)
    assert "Bearer tok" == server.requests[0].headers["Authorization"]


async def test_stream(server: ScriptedVantiq, client: Vantiq) -> None:
    """A procedure's result can be read while it is made."""
    server.answer(f"POST {ROOT}/procedures/p", Answer(200, b"[1,\n2]"))
    response = await client.stream("p", {"a": 1}, buffer_size=10, flush_interval=-1)
    lines = [line async for line in response.body]
    await client.stream("p")

    assert [b"[1,\n", b"2]"] == lines
    assert [
        f"{ROOT}/procedures/p?stream=true&maxBufferSize=10&maxFlushInterval=-1",
        f"{ROOT}/procedures/p?stream=true",
    ] == [seen.url for seen in server.requests]


async def test_rows_of_all_pages(server: ScriptedVantiq, client: Vantiq) -> None:
    """Rows come page by page, until one is not full."""
    pages = [[{"n": 1}, {"n": 2}], [{"n": 3}]]
    server.answer(f"GET {ROOT}/custom/T", *[Answer(200, page) for page in pages])
    rows = client.rows("T", where={"a": 1}, page_size=2, options={"required": "true"})

    assert [1, 2, 3] == [row["n"] async for row in rows]
    assert [
        f"{ROOT}/custom/T?where=%7B%22a%22:+1%7D&sort=%7B%22_id%22:+1%7D&limit=2"
        f"&count=true&required=true&page={page}"
        for page in (1, 2)
    ] == [seen.url for seen in server.requests]


async def test_rows_raise_what_is_refused(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A page that is refused ends the rows with the server's code."""
    refused = Answer(403, [{"code": "c", "message": "m", "params": []}])
    server.answer(f"GET {ROOT}/custom/T", refused)
    with pytest.raises(VantiqException, match="code: c"):
        _ = [row async for row in client.rows("T")]


@pytest.mark.parametrize("where", [{"a": {1, 2}}, {"a": float("nan")}])
async def test_what_cannot_be_written(client: Vantiq, where: Any) -> None:
    """What JSON cannot say is an error of ours, with the reason."""
    with pytest.raises(VantiqException, match=r"python\.operationerror"):
        await client.select("T", where=where)


# --- who we are --------------------------------------------------------------


async def test_authentication(server: ScriptedVantiq, client: Vantiq) -> None:
    """Name and password are exchanged for tokens, tokens for new ones."""
    server.answer(
        "GET /authenticate", Answer(200, {"accessToken": "a", "idToken": "i"})
    )
    server.answer("POST /authenticate/refresh", Answer(200, {"accessToken": "b"}))
    await client.authenticate("ü", "p:w")

    assert ("a", "i", "ü", True) == (
        client.get_access_token(),
        client.get_id_token(),
        client.get_username(),
        client.is_authenticated(),
    )
    await client.refresh()
    first, second = server.requests
    assert "Basic w7w6cDp3" == first.headers["Authorization"]
    assert (b"a", "text/plain", False) == (
        second.body,
        second.headers["Content-Type"],
        "Authorization" in second.headers,
    )
    assert ("b", None) == (client.get_access_token(), client.get_id_token())


@pytest.mark.parametrize("body", [{}, [], {"accessToken": 7}, b"", "text"])
async def test_answers_without_a_token(
    server: ScriptedVantiq, client: Vantiq, body: Any
) -> None:
    """An authentication that brings no token has failed."""
    server.answer("GET /authenticate", Answer(200, body))
    with pytest.raises(VantiqException, match="authenticate"):
        await client.authenticate("u", "p")

    assert client.get_username() is None


async def test_failure_is_logged(
    server: ScriptedVantiq, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed authentication is an error in the log of the class."""
    server.answer("GET /authenticate", Answer(401, {"error": "no"}))
    with pytest.raises(VantiqException), caplog.at_level(logging.ERROR, "Vantiq"):
        await client.authenticate("u", "secret")

    (record,) = caplog.records
    assert "Vantiq" == record.name
    assert f"Authentication to server {server.url} failed" in record.getMessage()
    assert "secret" not in caplog.text


async def test_refresh_needs_a_token(server: ScriptedVantiq) -> None:
    """There is nothing to refresh or revoke before there is a token."""
    client = Vantiq(server.url)
    for call in (client.refresh, client.revoke):
        with pytest.raises(VantiqException, match="refreshnotauthenticated"):
            await call()


async def test_revoking(server: ScriptedVantiq, client: Vantiq) -> None:
    """A revoked token is forgotten; one that was not revoked is kept."""
    refused = Answer(403, [{"code": "c", "message": "m", "params": []}])
    server.answer("POST /authenticate/revoke", refused, Answer(204, b""))
    with pytest.raises(VantiqException, match="code: c"):
        await client.revoke()

    assert client.is_authenticated()
    await client.revoke()
    assert not client.is_authenticated()
    assert b"tok" == server.requests[1].body


@pytest.mark.parametrize("token", ["", "a\nb", None])
async def test_what_is_no_token(server: ScriptedVantiq, token: Any) -> None:
    """A token that cannot be sent is refused without showing it."""
    client = Vantiq(server.url)
    with pytest.raises(VantiqException, match="set_access_token"):
        await client.set_access_token(token)
    await client.close()

    assert not client.is_authenticated()


async def test_namespace_and_user(server: ScriptedVantiq, client: Vantiq) -> None:
    """Requests can be for another namespace and in another's name."""
    client.set_target_namespace("ns")
    client.set_username("other")
    await client.select("T")
    client.set_target_namespace(None)
    await client.select("T")
    first, second = (seen.headers for seen in server.requests)

    assert ("ns", "other") == (first["X-Target-Namespace"], first["X-Impersonate-User"])
    assert "X-Target-Namespace" not in second
    assert (None, "other") == (client.get_target_namespace(), client.get_username())
    with pytest.raises(VantiqException):
        client.set_target_namespace("a\nb")
    with pytest.raises(VantiqException):
        client.set_username("a\nb")


# --- life --------------------------------------------------------------------


async def test_life(server: ScriptedVantiq) -> None:
    """What a client says of itself before, while and after it is used."""
    client = Vantiq(f"{server.url}/", "2")
    before = repr(client)
    await client.set_access_token("tok")
    client.set_username("u")
    client.set_target_namespace("ns")
    during = repr(client)
    await client.select("T")
    await client.close()

    shown = f"Vantiq(server={server.url}, is_connected={{0}}, is_authenticated={{0}})"
    assert (shown.format(False), shown.format(True)) == (before, during)
    connection = f"Vantiq connection to {server.url}, is_connected: False, "
    assert f"{connection}is_authenticated: False" == str(client)
    assert (server.url, "2") == (client.get_server(), client.get_api_version())
    assert "/api/v2/resources/custom/T" == server.requests[0].url
    assert [None] * 4 == [
        client.get_access_token(),
        client.get_id_token(),
        client.get_username(),
        client.get_target_namespace(),
    ]
    assert not client.is_authenticated()


async def test_checking_the_connection(server: ScriptedVantiq) -> None:
    """On request, connecting asks the server whether it is there."""
    server.answer("GET /api/v1/_status", Answer(401, []))
    client = Vantiq(server.url)
    await client.connect(check=True)

    assert ["/api/v1/_status"] == [seen.url for seen in server.requests]
    await server.stop()
    with pytest.raises(VantiqException, match="connect operation"):
        await client.connect(check=True)
    await client.close()


@pytest.mark.parametrize("server_url", ["", "dev.vantiq.com", "ftp://x", None])
def test_what_is_no_server(server_url: Any) -> None:
    """A server is named by a URL of the web."""
    with pytest.raises(ValueError, match="server"):
        Vantiq(server_url)


async def test_closing_from_a_callback(server: ScriptedVantiq, client: Vantiq) -> None:
    """A callback may close the client that calls it."""
    closed = asyncio.Event()

    async def close(what: str, message: dict[str, Any]) -> None:
        await client.close()
        closed.set()

    await client.subscribe(VantiqResources.TOPICS, "/t", None, close)
    async with asyncio.timeout(2):
        await closed.wait()

    assert not client.is_authenticated()


async def test_closing_from_the_end(server: ScriptedVantiq, client: Vantiq) -> None:
    """So may the callback for the end; should it raise, that is logged."""
    ends: list[int] = []

    async def ended() -> None:
        ends.append(1)
        await client.close()
        raise RuntimeError

    client.register_subscriber_on_close(ended)
    await client.start_subscriber_transport()
    assert await client.start_subscriber_transport() is None
    await client.close()

    assert [1] == ends


async def test_transport_needs_a_token(server: ScriptedVantiq) -> None:
    """Without a token there is no transport."""
    client = Vantiq(server.url)
    with pytest.raises(VantiqException, match=r"subscriber\.notauthenticated"):
        await client.start_subscriber_transport()


async def test_events_and_acknowledgement(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Events can be read as a stream, acknowledged, and left."""
    server.names["/topics/t"] = "sub-1"
    place = (VantiqResources.TOPICS, "/t")
    async with client.events(*place, params={"persistent": True}) as events:
        await server.push("/topics/t", 7, partitionId=1, sequenceId=2)
        async with asyncio.timeout(2):
            event = await anext(events)
            await events.ack(event)
            await client.ack("/topics/t", "sub-1", event.message["body"])
            await server.heard(4)

    assert ("message", "/topics/t/publish", 7) == (event.what, event.path, event.value)
    acks = [frame for frame in server.frames if frame["op"] == "acknowledge"]
    expected = {
        "requestId": "/topics/t",
        "subscriptionName": "sub-1",
        "sequenceId": 2,
        "partitionId": 1,
    }
    assert [expected, expected] == [frame["parameters"] for frame in acks]
    assert not await client.unsubscribe(*place)


async def test_subclasses_log_under_their_name(
    server: ScriptedVantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """Loggers are named after the class."""

    class Mine(Vantiq):
        """A client of one's own."""

    with caplog.at_level(logging.DEBUG, "Mine"):
        async with Mine(server.url):
            pass

    assert [f"Connected to server: {server.url}"] == [
        record.getMessage() for record in caplog.records if record.name == "Mine"
    ]


async def test_timeouts_of_the_connection(server: ScriptedVantiq) -> None:
    """``timeout`` of aiohttp is taken as seconds, and as its own class."""
    for timeout in (5, aiohttp.ClientTimeout(total=5, sock_connect=1)):
        async with Vantiq(server.url, timeout=timeout) as client:
            await client.set_access_token("tok")
            assert (await client.select("T", timeout=1.0)).is_success


def test_names() -> None:
    """Everything public is exported, under the names of the original and ours."""
    assert VantiqResource is VantiqResources
    assert vantiq.__all__ == sorted(vantiq.__all__)
    for name in vantiq.__all__:
        assert getattr(asynctasks, name) is getattr(vantiq, name)


async def test_options_are_used(server: ScriptedVantiq) -> None:
    """Limits hold for answers."""
    server.answer(f"GET {ROOT}/custom/T", Answer(200, ["x" * 1000]))
    options = VantiqOptions(max_response_bytes=100)
    async with Vantiq(server.url, options=options) as client:
        await client.set_access_token("tok")
        with pytest.raises(VantiqException, match="at most 100 bytes"):
            await client.select("T")
