"""Our client and vantiqsdk, side by side: what they send is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.vantiq_scripted import Answer, ScriptedVantiq, Seen


pytestmark = pytest.mark.peers

TOKENS = {"accessToken": "AT", "idToken": "IT"}

OF_THE_LIBRARY = {"accept", "accept-encoding", "host", "user-agent"}
"""Headers that each HTTP library has its own of."""


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        scripted.answer("GET /authenticate", Answer(200, TOKENS))
        scripted.answer("POST /authenticate/refresh", Answer(200, TOKENS))
        yield scripted


async def use_everything(sdk: ModuleType, url: str, path: Path) -> list[Any]:
    """Call every operation; return what the responses say."""
    client, names = sdk.Vantiq(url), sdk.VantiqResources
    await client.connect()
    await client.authenticate("u", "p:w")
    await client.refresh()
    client.set_target_namespace("ns1")
    client.set_username("other")
    row = {"a": "é", "b": [1, None, 1.5], "c": {"d": True}}
    where = {"$or": [{"name": "é&=;+ "}, {"n": {"$gt": 1}}]}
    odd = "a b/c:@!$'()*,;=~é"
    calls = [
        client.select(names.TYPES, ["name", "a b"], where, {"name": -1}, 5, {"x": "9"}),
        client.select("T", [], {}, {}, 0),
        client.select("T", limit=3, options={"limit": "9", "page": "2"}),
        client.select_one("T"),
        client.select_one(names.TYPES, odd),
        client.delete("T", None),
        client.delete("T", where),
        client.delete_one("T", odd),
        client.insert("T", row),
        client.upsert("T", {"_id": 1, **row}),
        client.update("T", "x", {"_id": 1, **row}),
        client.count("T"),
        client.count("T", where),
        client.query("s", row),
        client.query("s", [row]),
        client.execute("p", None),
        client.execute("p.q", [1, "x"]),
        client.execute("p", row, {"X-Y": "z"}),
        client.publish(names.TOPICS, "/a/b", row),
        client.publish(names.SERVICES, "p.S/E", None),
        client.publish(names.SOURCES, "s", row),
        client.publish("T", "s", row),
        client.get_namespace_users("ns"),
        client.upload(names.DOCUMENTS, "text/plain", "d/e.txt", None, "some é"),
        client.upload(names.DOCUMENTS, "text/plain", str(path), "docs/a b.txt"),
        client.upload(names.DOCUMENTS, None, "x"),
    ]
    responses = [await call for call in calls]
    download = await client.download("/docs/a b")
    told = [await download.body.read(), str(download)]
    await client.close()
    return [[str(r), r.body, r.count, r.status_code] for r in responses] + told


def shown(seen: Seen) -> tuple[Any, ...]:
    """Return what must be equal of a request; of a form, its parts."""
    headers = {
        name.lower(): value
        for name, value in seen.headers.items()
        if name.lower() not in OF_THE_LIBRARY
    }
    body: Any = seen.body
    _, mark, boundary = headers.get("content-type", "").partition("boundary=")
    if mark:
        del headers["content-type"]
        headers.pop("content-length", None)
        headers.pop("transfer-encoding", None)
        parts = seen.body.split(b"--" + boundary.encode())
        # The order of a part's headers means nothing.
        body = [sorted(part.split(b"\r\n")) for part in parts]
    return seen.method, seen.url, headers, body


async def test_requests_are_the_same(server: ScriptedVantiq, tmp_path: Path) -> None:
    """Both send the same requests, byte for byte, and read the answers alike."""
    path = tmp_path / "a.txt"
    path.write_text("hello")
    told, sent = [], []
    for name in ("vantiqsdk", "asynctasks.vantiq"):
        server.requests.clear()
        told.append(
            await use_everything(importlib.import_module(name), server.url, path)
        )
        sent.append([shown(seen) for seen in server.requests])

    assert len(sent[0]) == len(sent[1])
    for theirs, ours in zip(*sent, strict=True):
        assert theirs == ours
    assert told[0] == told[1]


async def subscribe(sdk: ModuleType, server: ScriptedVantiq) -> list[Any]:
    """Subscribe, hear events, acknowledge; return what the callback was told."""
    client, names = sdk.Vantiq(server.url), sdk.VantiqResources
    await client.set_access_token("tok")
    told: list[Any] = []
    more = asyncio.Event()

    async def callback(what: str, message: dict[str, Any]) -> None:
        told.append((what, message["status"], message["body"]))
        more.set()

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(told) < count:
                more.clear()
                await more.wait()

    await client.start_subscriber_transport()
    params = {"persistent": True}
    for place in ((names.TOPICS, "/t", None), (names.TYPES, "T", "INSERT")):
        response = await client.subscribe(*place, callback, dict(params), None)
        told.append(str(response))
    await client.subscribe(names.SERVICES, "p.S/E", None, callback, None, "ns2")
    await until(5)
    body = {"partitionId": 1, "sequenceId": 2}
    await server.push("/topics/t", {"a": 1}, **body)
    await until(6)
    await client.ack("/topics/t", "sub-1", body)
    await server.heard(5)
    await client.close()
    return sorted(map(str, told))


async def test_frames_are_the_same(server: ScriptedVantiq) -> None:
    """Both say the same over the WebSocket, and tell callbacks the same."""
    server.names["/topics/t"] = "sub-1"
    told, said = [], []
    for name in ("vantiqsdk", "asynctasks.vantiq"):
        server.frames.clear()
        told.append(await subscribe(importlib.import_module(name), server))
        said.append(list(server.frames))

    assert said[0] == said[1]
    assert told[0] == told[1]
