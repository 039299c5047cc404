"""What one user may do in one namespace."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.desk import Query
from asynctasks.server.vantiq.refusals import Refused
from tests.server.vantiq.worlds import Site


@pytest.fixture
def site() -> Site:
    """Give a server with a type and some rows."""
    site = Site()
    site.define()
    for number, name in enumerate("abcde"):
        site.desk.insert("TestType", {"id": name, "k": number})
    return site


def ids(site: Site, **query: Any) -> list[str]:
    rows, _ = site.desk.select("TestType", Query(**query))
    return [row["id"] for row in rows]


def test_select(site: Site) -> None:
    """Rows are selected, sorted, and cut into pages; the total counts all pages."""
    query = Query(
        where={"k": {"$gt": 0}}, sort={"k": -1}, props=["id"], limit=2, page=2
    )

    assert ([{"id": "c"}, {"id": "b"}], 4) == site.desk.select("TestType", query)
    assert ["a", "b"] == ids(site, limit=2)
    assert list("abcde") == ids(site)
    assert [[], list("abcde")] == [ids(site, page=2), ids(site, page=1)]


def test_select_near(site: Site) -> None:
    """What is near comes by its distance, unless a sort is asked for."""
    for name, x in (("a", 3), ("b", 1), ("c", 2)):
        at = {"type": "Point", "coordinates": [x, 0]}
        site.desk.update("TestType", name, {"at": at})
    here = {"$geometry": {"type": "Point", "coordinates": [0, 0]}}
    where = {"at": {"$near": here}}

    assert [["b", "c", "a"], ["a", "b", "c"]] == [
        ids(site, where=where),
        ids(site, where=where, sort={"id": 1}),
    ]


def test_substitution(site: Site) -> None:
    """The server puts in who asks."""
    where = {"ars_createdBy": {"ars_substitution": "ars_username"}}

    assert 5 == len(ids(site, where=where))


def test_copies(site: Site) -> None:
    """What is given out can be changed without harm."""
    site.desk.select_one("TestType", "a")["k"] = 99
    rows, _ = site.desk.select("TestType")
    rows[0]["k"] = 99
    site.desk.insert("TestType", {"id": "new"})["k"] = 99

    assert ([0, 1, 2, 3, 4], 99) == (
        [row["k"] for row in site.desk.select("TestType")[0][:5]],
        rows[0]["k"],
    )


def test_duplicate(site: Site) -> None:
    """An instance with a key that is taken is refused; many are taken one by one."""
    outcomes = site.desk.insert_many(
        "TestType", [{"id": "x"}, {"id": "a"}, {"id": "y"}]
    )

    assert ["x", None, "y"] == [each.get("id") for each in outcomes]
    assert 409 == outcomes[1]["status"]
    assert "io.asynctasks.resource.exists" == outcomes[1]["body"][0]["code"]


def test_definitions_may_come_again(site: Site) -> None:
    """An existing definition that is inserted replaces the old one."""
    first = site.desk.select_one("system.types", "TestType")
    again = site.desk.insert(
        "system.types", {"name": "TestType", "naturalKey": ["k"], "properties": {}}
    )

    assert (first["_id"], 2) == (again["_id"], again["ars_version"])
    assert "d" == site.desk.select_one("TestType", "3")["id"]


def test_upsert(site: Site) -> None:
    """An upsert inserts, or answers with what changed."""
    new = site.desk.upsert("TestType", {"id": "new"})
    old = site.desk.upsert("TestType", {"id": "a", "k": 9})

    assert ("new", 9) == (new["id"], old["k"])
    assert {"id", "_id"}.isdisjoint(old)
    with pytest.raises(Refused):
        site.desk.upsert("TestType", [])


def test_update(site: Site) -> None:
    """An update answers with what changed; a missing row is refused."""
    assert {"k": 9}.items() <= site.desk.update("TestType", "a", {"k": 9}).items()
    assert {} == site.desk.update("TestType", "a", {"k": 9})
    with pytest.raises(Refused, match=r"\{id=zz\}"):
        site.desk.update("TestType", "zz", {})


def test_patch(site: Site) -> None:
    """A patch answers with what changed, and leaves an object."""
    patch = [{"op": "replace", "path": "/k", "value": 7}]

    assert 7 == site.desk.patch("TestType", "a", patch)["k"]
    with pytest.raises(Refused):
        site.desk.patch("TestType", "a", [{"op": "replace", "path": "", "value": 1}])


def test_delete(site: Site) -> None:
    """Rows are deleted one by one, by a where clause, or all."""
    site.desk.delete_one("TestType", "a")
    some = site.desk.delete("TestType", {"k": {"$lte": 2}})
    rest = site.desk.delete("TestType")

    assert (2, 2, 0) == (some, rest, site.desk.delete("TestType"))
    with pytest.raises(Refused, match="k8sclusters") as caught:
        site.desk.delete("system.k8sclusters", {"name": "ratherUnlikelyName"})
    assert ["k8sclusters", "{name=ratherUnlikelyName}"] == caught.value.params


def test_system_rows_stay(site: Site) -> None:
    """What belongs to the system cannot be deleted."""
    before = site.desk.select("system.types")[1]

    assert (1, before - 1) == (
        site.desk.delete("system.types"),
        site.desk.select("system.types")[1],
    )
    with pytest.raises(Refused) as caught:
        site.desk.delete_one("system.types", "ArsType")
    assert 403 == caught.value.status


def test_type_events(site: Site) -> None:
    """Changes of rows are events with the row; deletes of many with their number."""
    client = site.connect()
    for what in ("insert", "update", "delete"):
        client.subscribe(f"/types/TestType/{what}")
    site.desk.insert("TestType", {"id": "x"})
    site.desk.update("TestType", "x", {"k": 1})
    site.desk.update("TestType", "x", {"k": 1})
    site.desk.delete_one("TestType", "x")
    site.desk.delete("TestType", {"k": 0})
    site.desk.delete("TestType")
    bodies = [frame["body"] for frame in client.hear()]

    assert ["insert/x", "update/x", "delete/x", "delete", "delete"] == [
        body["path"].removeprefix("/types/TestType/") for body in bodies
    ]
    assert [("x", None), ("x", 1), ("x", 1)] == [
        (body["value"]["id"], body["value"].get("k")) for body in bodies[:3]
    ]
    assert {"ars_bulkOperation": True, "qual": {"k": 0}, "count": 1} == (
        bodies[3]["value"]
    )


def test_type_event_without_key(site: Site) -> None:
    """A row without natural key is known by its id."""
    site.define(name="Bare", naturalKey=[])
    client = site.connect()
    client.subscribe("/types/Bare/insert")
    row = site.desk.insert("Bare", {})
    (frame,) = client.hear()

    assert f"/types/Bare/insert/{row['_id']}" == frame["body"]["path"]


# --- documents ---------------------------------------------------------------


def content(site: Site, name: str) -> bytes:
    return site.world.store.content("local", "system.documents", name)


def test_documents(site: Site) -> None:
    """Documents are inserted, changed and deleted with their content."""
    documents = "system.documents"
    row = site.desk.insert(documents, {"name": "a/b", "content": "one"})
    found = [content(site, "a/b")]
    changes = site.desk.update(documents, "a/b", {"content": "other"})
    found.append(content(site, "a/b"))
    site.desk.update(documents, "a/b", {"fileType": "text/html"})
    site.desk.update(documents, "a/b", {"content": "/docs/a/b", "x": 1})
    found.append(content(site, "a/b"))
    kept = site.desk.select_one(documents, "a/b")
    site.desk.delete_one(documents, "a/b")

    assert ([b"one", b"other", b"other"], 3, 5) == (
        found,
        row["contentSize"],
        changes["contentSize"],
    )
    assert ("/docs/a/b", 5, "text/html") == (
        kept["content"],
        kept["contentSize"],
        kept["fileType"],
    )
    with pytest.raises(Refused):
        content(site, "a/b")


def test_upload(site: Site) -> None:
    """An upload answers with four facts, and replaces what has its name."""
    first = site.desk.upload("system.documents", "d", "text/plain", b"one")
    second = site.desk.upload("system.documents", "d", "image/png", b"\xff")

    assert first == {
        "name": "d",
        "fileType": "text/plain",
        "contentSize": 3,
        "content": "/docs/d",
    }
    assert ("image/png", 1, b"\xff") == (
        second["fileType"],
        second["contentSize"],
        content(site, "d"),
    )


# --- what happens elsewhere --------------------------------------------------


def test_publish(site: Site) -> None:
    """Messages go to topics, service events and sources."""
    taken: list[Any] = []
    site.world.source("function", publish=taken.append)
    site.world.source("deaf")
    events = {"E": {"direction": "INBOUND"}}
    site.desk.insert("system.services", {"name": "p.S", "eventTypes": events})
    site.desk.insert("system.sources", {"name": "row"})
    client = site.connect()
    client.subscribe("/topics/t")
    client.subscribe("/services/p.S/E")
    for resource, target in [
        ("system.topics", "/t"),
        ("services", "p.S/E"),
        ("sources", "function"),
        ("sources", "deaf"),
        ("sources", "row"),
    ]:
        site.desk.publish(resource, target, {"to": target})

    assert [{"to": "/t"}, {"to": "p.S/E"}] == client.events()
    assert [{"to": "function"}] == taken


@pytest.mark.parametrize(
    ("resource", "target", "status"),
    [
        ("topics", "t", 400),
        ("services", "S/E", 404),
        ("services", "S", 404),
        ("sources", "none", 404),
        ("types", "T", 400),
    ],
)
def test_publish_refused(site: Site, resource: str, target: str, status: int) -> None:
    """Nothing is published to what there is not."""
    with pytest.raises(Refused) as caught:
        site.desk.publish(resource, target, 1)

    assert status == caught.value.status


async def test_execute(site: Site) -> None:
    """Procedures are Python functions or VAIL."""
    site.world.procedure("p.add")(lambda a, b=1: a + b)
    text = "PROCEDURE p.echo(a, b)\nRETURN {a: a, b: b, n: Context.namespace()}"
    site.desk.insert("system.procedures", {"ruleText": text})

    assert [5, 3, {"a": 1, "b": None, "n": "local"}] == [
        await site.desk.execute("p.add", {"a": 4}),
        await site.desk.execute("p.add", [1, 2]),
        await site.desk.execute("p.echo", [1]),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "status"), [("none", {}, 404), ("none", "x", 400)]
)
async def test_execute_refused(
    site: Site, name: str, arguments: Any, status: int
) -> None:
    """Unknown procedures, and arguments that are none, are refused."""
    with pytest.raises(Refused) as caught:
        await site.desk.execute(name, arguments)

    assert status == caught.value.status


async def test_query(site: Site) -> None:
    """Sources answer, if they are functions that do."""
    site.world.source("function", query=lambda body: [body])
    site.world.source("deaf")
    site.desk.insert("system.sources", {"name": "row"})

    assert [{"q": 1}] == await site.desk.query("function", {"q": 1})
    for name, status in (("row", 400), ("none", 404), ("deaf", 404)):
        with pytest.raises(Refused) as caught:
            await site.desk.query(name, {})
        assert status == caught.value.status
