"""
Vantiq's own Python SDK against the embedded server (extra ``peers``), and ours.

And a library that knows MongoDB's query language against our part of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
import importlib
import logging
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
import pytest

from asynctasks.server.app import LocalServer
from asynctasks.server.vantiq.where import compile_where
from asynctasks.vantiq import VantiqOptions
from tests.timing import MS


pytest.importorskip("vantiqsdk")

pytestmark = [
    pytest.mark.peers,
    # It leaves the answers of its downloads to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SDK = Callable[[str], Any]
"""Makes a client."""

TOPIC = "/test/sdk/topic"

SERVICE = "test.sdk.Service"

DEFINITIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "system.types",
        {
            "name": "TestType",
            "properties": {
                "id": {"type": "String"},
                "ts": {"type": "DateTime"},
                "x": {"type": "Real"},
                "k": {"type": "Integer"},
                "o": {"type": "Object"},
            },
            "naturalKey": ["id"],
            "indexes": [{"keys": ["id"], "options": {"unique": True}}],
        },
    ),
    (
        "system.procedures",
        {
            "ruleText": "PROCEDURE sdk.echo(arg1, arg2)\n"
            "return {arg1: arg1, arg2: arg2, namespace: Context.namespace()}"
        },
    ),
    (
        "system.rules",
        {
            "ruleText": f'RULE onPublish\nWHEN PUBLISH OCCURS ON "{TOPIC}" AS event\n'
            'log.info("Event {}", [event.newValue])\n'
            "INSERT INTO TestType(event.newValue)\nEvent.ack()"
        },
    ),
    (
        "system.services",
        {"name": SERVICE, "eventTypes": {"done": {"direction": "OUTBOUND"}}},
    ),
    (
        "system.procedures",
        {
            "ruleText": "PACKAGE test.sdk\nPROCEDURE Service.publish()\n"
            f'PUBLISH {{name: "outbound"}} TO SERVICE EVENT "{SERVICE}/done"'
        },
    ),
    (
        "system.topics",
        {
            "name": "/reliable",
            "isReliable": True,
            "redeliveryFrequency": 100 * MS,
            "redeliveryTTL": 100,
        },
    ),
]


class Heard:
    """What a callback was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    async def __call__(self, what: str, message: Any) -> None:
        self.calls.append((what, message))

    async def next(self, wanted: str = "message") -> Any:
        """Wait for a message and return it; what came before it is forgotten."""
        async with asyncio.timeout(5.0):
            while True:
                while self.calls:
                    what, message = self.calls.pop(0)
                    # The second frame that names a subscription is no event.
                    if what == wanted and "requestId" not in message["body"]:
                        return message
                await asyncio.sleep(MS)


async def all_gone(server: LocalServer) -> None:
    """Wait until the server knows of no WebSocket any more."""
    while True:
        if not server.vantiq.sockets:
            return
        await asyncio.sleep(MS)


@pytest.fixture(params=["vantiqsdk", "asynctasks.vantiq"])
def sdk(request: pytest.FixtureRequest) -> SDK:
    """Give the class of the clients: theirs, and ours in its place."""
    made = importlib.import_module(request.param).Vantiq
    if request.param == "vantiqsdk":
        return made
    # Theirs tells an event again whenever it comes again.
    return partial(made, options=VantiqOptions(duplicate_window=0))


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Give a running server."""
    async with LocalServer() as server:
        yield server


@pytest.fixture
async def client(sdk: SDK, server: LocalServer) -> AsyncIterator[Any]:
    """Give a client of the SDK, logged in, with all definitions made."""
    async with sdk(server.url) as client:
        await client.authenticate("developer", "developer")
        for resource, definition in DEFINITIONS:
            for _ in range(2):  # what is there already is no mistake
                response = await client.insert(resource, definition)
                assert response.is_success, str(response)
        yield client


# --- REST --------------------------------------------------------------------


async def test_session(sdk: SDK, server: LocalServer) -> None:
    """A session begins with a password or a token, and is refreshed."""
    async with sdk(server.url) as client:
        await client.authenticate("developer", "developer")
        first = client.get_access_token()
        await client.refresh()
        second = client.get_access_token()
        response = await client.select("system.types")
    async with sdk(server.url) as client:
        await client.set_access_token("developer")
        with_token = await client.select("system.types")
        await client.set_access_token("wrong")
        refused = await client.select("system.types")

    assert (True, True, True) == (
        first != second,
        response.is_success,
        with_token.is_success,
    )
    assert (False, 401, "io.vantiq.authentication.failed") == (
        refused.is_success,
        refused.status_code,
        refused.errors[0].code,
    )


async def test_crud(client: Any) -> None:
    """Rows are inserted, changed, counted and deleted, one by one and together."""
    cluster = "system.k8sclusters"
    inserted = await client.insert(cluster, {"name": "pythonTestCluster"})
    row = (await client.select_one(cluster, "pythonTestCluster")).body
    upserted = await client.upsert(cluster, {**row, "ingressDefaultNode": "new"})
    updated = await client.update(
        cluster, "pythonTestCluster", {**row, "ingressDefaultNode": "other"}
    )
    absent = await client.delete(cluster, {"name": "ratherUnlikelyName"})
    gone = await client.delete_one(cluster, "pythonTestCluster")
    missing = await client.select_one(cluster, "foo")
    unknown = await client.select("system.junkola")

    assert "vantiq-pythontestcluster-node" == inserted.body["ingressDefaultNode"]
    assert ["new", "other"] == [
        each.body["ingressDefaultNode"] for each in (upserted, updated)
    ]
    assert {"name", "_id"}.isdisjoint([*upserted.body, *updated.body])
    assert (False, 204, None) == (absent.is_success, gone.status_code, gone.count)
    assert ["k8sclusters", "{name=foo}"] == missing.errors[0].params
    assert "io.vantiq.type.system.resource.unknown" == unknown.errors[0].code


async def test_select(client: Any) -> None:
    """Queries have a where, properties, an order, a limit and pages."""
    rows = [{"id": name, "k": number} for number, name in enumerate("abcde")]
    for row in rows:
        await client.insert("TestType", row)
    where = {"$or": [{"k": {"$gt": 2}}, {"id": {"$in": ["a"]}}]}
    found = await client.select(
        "TestType", ["id"], where, {"k": -1}, 2, {"page": "2", "required": "true"}
    )
    everything = await client.select("TestType", None, {})
    counted = await client.count("TestType", where)
    deleted = await client.delete("TestType", {"k": {"$lt": 2}})
    rest = await client.delete("TestType", None)

    assert ([{"id": "a"}], 3, None, 5) == (
        found.body,
        found.count,
        everything.count,
        len(everything.body),
    )
    assert (3, {}, 2, 3, b"") == (
        counted.count,
        counted.body,
        deleted.count,
        rest.count,
        rest.body,
    )


async def test_system_types(client: Any) -> None:
    """The system's types are listed as the vendor's own tests expect them."""
    response = await client.select(
        "system.types",
        ["name", "resourceName"],
        {"$or": [{"name": "ArsType"}, {"name": "ArsTensorFlowModel"}]},
        {"name": -1},
        1,
    )
    counted = await client.count("system.types", {"resourceName": "types"})
    names = {row["name"] for row in (await client.select("system.types")).body}

    assert ([{"name": "ArsType", "resourceName": "types"}], 2, 1) == (
        response.body,
        response.count,
        counted.count,
    )
    assert {"TestType", "ArsNamespace"} <= names


async def test_documents(client: Any, tmp_path: Path) -> None:
    """Documents are inserted, uploaded from memory and disk, and downloaded."""
    documents = "system.documents"
    content = "abcdefgh" * 1000
    file = tmp_path / "test_file"
    await asyncio.to_thread(file.write_text, content)
    inserted = await client.insert(
        documents, {"name": "one", "fileType": "text/plain", "content": content}
    )
    in_memory = await client.upload(
        documents, "text/plain", filename="two words", inmem=content
    )
    from_disk = await client.upload(
        documents, "text/plain", filename=str(file), doc_name="tmp/test_file"
    )
    found = []
    for name in ("one", "two words", "tmp/test_file"):
        row = (await client.select_one(documents, name)).body
        download = await client.download(row["content"])
        found.append((row["contentSize"], await download.body.read()))
    missing = await client.download("/docs/none")

    assert [True, True, True, False] == [
        each.is_success for each in (inserted, in_memory, from_disk, missing)
    ]
    assert [(8000, content.encode())] * 3 == found
    assert 3 == (await client.count(documents)).count


async def test_procedures_and_sources(client: Any, server: LocalServer) -> None:
    """Procedures run, in VAIL and in Python; sources answer."""

    @server.vantiq.procedure("sdk.add")
    async def add(a: int, b: int = 1) -> int:
        return a + b

    server.vantiq.source("s", query=lambda body: [body])
    echo = await client.execute("sdk.echo", {"arg1": 1})
    nothing = await client.execute("sdk.echo", None)
    found = [
        (await client.execute("sdk.add", arguments)).body
        for arguments in ({"a": 1}, [1, 2])
    ]
    query = await client.query("s", {"path": "/"})
    failed = await client.execute("sdk.none", {})

    assert {"arg1": 1, "arg2": None, "namespace": "local"} == echo.body
    assert (None, [2, 3], [{"path": "/"}], 404) == (
        nothing.body["arg1"],
        found,
        query.body,
        failed.status_code,
    )


async def test_namespaces(client: Any, server: LocalServer) -> None:
    """Users are listed; other namespaces and users are taken where there are some."""
    server.vantiq.users.add("Alice", "secret")
    users = await client.get_namespace_users("local")
    await client.insert("system.namespaces", {"name": "ns"})
    client.set_target_namespace("ns")
    client.set_username("Alice")
    there = await client.insert("system.topics", {"name": "/t"})
    client.set_target_namespace("none")
    nowhere = await client.select("system.topics")

    assert {"username": "alice", "preferredUsername": "Alice"} in users.body
    assert ("ns", "alice", 403) == (
        there.body["ars_namespace"],
        there.body["ars_createdBy"],
        nowhere.status_code,
    )


async def test_publish(client: Any, server: LocalServer) -> None:
    """What is published is what rules and sources get."""
    taken: list[Any] = []
    server.vantiq.source("s", publish=taken.append)
    message = {"id": "a", "ts": "2026-01-01T00:00:00.123Z", "x": 3.14, "o": {"a": 1}}
    responses = [
        await client.publish("system.topics", TOPIC, message),
        await client.publish("system.sources", "s", {"m": 1}),
        await client.publish("system.services", f"{SERVICE}/done", {"m": 2}),
        await client.publish("system.services", f"{SERVICE}/none", {}),
    ]
    row = (await client.select_one("TestType", "a")).body

    assert [200, 200, 200, 404] == [each.status_code for each in responses]
    assert message.items() <= row.items()
    assert [{"m": 1}] == taken


# --- subscriptions -----------------------------------------------------------


@pytest.mark.parametrize("prestart", [False, True])
async def test_subscriptions(client: Any, server: LocalServer, prestart: bool) -> None:
    """Topics, service events, type events and sources reach callbacks."""
    if prestart:
        await client.start_subscriber_transport()
    server.vantiq.source("s")
    heard = {name: Heard() for name in ("topic", "service", "type", "source")}
    for resource, ident, operation, name in [
        ("system.topics", TOPIC, None, "topic"),
        ("system.services", f"{SERVICE}/done", None, "service"),
        ("system.types", "TestType", "insert", "type"),
        ("system.sources", "s", None, "source"),
    ]:
        response = await client.subscribe(resource, ident, operation, heard[name])
        assert response.is_success, str(response)
        await heard[name].next("connect")
    await client.execute(f"{SERVICE}.publish", {})
    await client.publish("system.topics", TOPIC, {"id": "a"})
    server.vantiq.receive("s", {"from": "outside"})
    bodies = {name: (await heard[name].next())["body"] for name in heard}

    assert bodies["topic"]["path"] == f"/topics{TOPIC}/publish"
    assert bodies["topic"]["value"] == {"id": "a"}
    assert bodies["service"]["path"] == "/topics/test.sdk/services/Service/done/publish"
    assert bodies["service"]["value"] == {"name": "outbound"}
    assert bodies["type"]["path"].startswith("/types/TestType/insert")
    assert bodies["type"]["value"]["id"] == "a"
    assert bodies["source"]["path"] == "/sources/s/receive"


async def test_type_events(client: Any) -> None:
    """Updates and deletes of a type reach callbacks, too."""
    heard = Heard()
    for operation in ("update", "delete"):
        await client.subscribe("system.types", "TestType", operation, heard)
        await heard.next("connect")
    await client.insert("TestType", {"id": "a"})
    await client.update("TestType", "a", {"k": 1})
    updated = (await heard.next())["body"]["value"]
    await client.delete("TestType", {"k": 1})
    deleted = (await heard.next())["body"]["value"]

    assert ("a", 1) == (updated["id"], updated["k"])
    assert {"ars_bulkOperation": True, "qual": {"k": 1}, "count": 1} == deleted


async def test_reliable(client: Any) -> None:
    """A reliable event comes again until it is acknowledged."""
    heard = Heard()
    await client.subscribe(
        "system.topics", "/reliable", None, heard, {"persistent": True}
    )
    connect = await heard.next("connect")
    name, request = connect["body"]["name"], connect["headers"]["X-Request-Id"]
    await client.publish("system.topics", "/reliable", {"id": 1})
    first, second = await heard.next(), await heard.next()
    await client.ack(request, name, second["body"])
    await client.publish("system.topics", "/reliable", {"id": 2})
    third = await heard.next()
    acks = await client.select(
        "ArsEventAcknowledgement", None, {"subscriptionName": name}
    )

    assert [(1, False), (1, True), (2, False)] == [
        (each["body"]["value"]["id"], each["body"]["redelivered"])
        for each in (first, second, third)
    ]
    assert [1] == [row["sequenceId"] for row in acks.body]
    assert first["body"]["sequenceId"] == second["body"]["sequenceId"]


async def test_resume(sdk: SDK, client: Any, server: LocalServer) -> None:
    """A persistent subscription waits for its client, over a lost connection."""
    heard = Heard()
    await client.subscribe(
        "system.topics", "/reliable", None, heard, {"persistent": True}
    )
    name = (await heard.next("connect"))["body"]["name"]
    server.vantiq.cut_sockets()
    await all_gone(server)
    await client.publish("system.topics", "/reliable", {"id": 1})
    async with sdk(server.url) as other:
        await other.set_access_token("developer")
        again = Heard()
        parameters = {"persistent": True, "subscriptionName": name}
        await other.subscribe("system.topics", "/reliable", None, again, parameters)
        event = await again.next()

    assert {"id": 1} == event["body"]["value"]


async def test_refusals(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Refused subscriptions, and paths that go, are errors for the callback."""
    caplog.set_level(logging.CRITICAL)
    heard = Heard()
    await client.subscribe("system.types", "None", "insert", heard)
    refused = await heard.next("error")
    await client.subscribe("system.types", "TestType", "insert", heard)
    await heard.next("connect")
    await client.delete_one("system.types", "TestType")
    gone = await heard.next("error")

    assert [404, 410] == [refused["status"], gone["status"]]


# --- queries -----------------------------------------------------------------

SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 1.0, 1.5, "", "a", "ab"])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.fixed_dictionaries({"a": SCALARS})
DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b"]),
    VALUES | st.lists(st.dictionaries(st.just("a"), SCALARS, max_size=1), max_size=2),
)
OPERATORS = st.one_of(
    st.fixed_dictionaries({"$eq": VALUES}),
    st.fixed_dictionaries({"$ne": VALUES}),
    st.fixed_dictionaries({"$gt": SCALARS}),
    st.fixed_dictionaries({"$gte": SCALARS}),
    st.fixed_dictionaries({"$lt": SCALARS}),
    st.fixed_dictionaries({"$lte": SCALARS, "$ne": SCALARS}),
    st.fixed_dictionaries({"$in": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$all": st.lists(SCALARS, max_size=2)}),
    st.fixed_dictionaries({"$size": st.integers(0, 3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$regex": st.sampled_from(["^a", "b$", "A"])}),
    st.fixed_dictionaries({"$elemMatch": st.just({"$gt": 0, "$lt": 2})}),
    st.fixed_dictionaries({"$elemMatch": st.fixed_dictionaries({"a": SCALARS})}),
)
CLAUSES = st.dictionaries(
    st.sampled_from(["a", "b", "a.a"]),
    VALUES | OPERATORS | st.fixed_dictionaries({"$not": OPERATORS}),
    max_size=2,
)
QUERIES = CLAUSES | st.fixed_dictionaries(
    {
        word: st.lists(CLAUSES, min_size=1, max_size=2)
        for word in ("$and", "$or", "$nor")
    }
)


@hypothesis.settings(max_examples=2000)
@hypothesis.given(QUERIES, DOCUMENTS)
def test_where(where: Any, document: Any) -> None:
    """Our operators match what those of a MongoDB library match."""
    mgqpy = pytest.importorskip("mgqpy")

    assert mgqpy.Query(where).test(document) is compile_where(where)(document)
