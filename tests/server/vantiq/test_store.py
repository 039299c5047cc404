"""The data of the Vantiq world."""

from __future__ import annotations

import pytest

from asynctasks.server.vantiq.keep import parse_items
from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.store import Store
from asynctasks.server.vantiq.tables import Stamp


STAMP = Stamp("joe", "home", 0.0)

USERS = [{"username": "joe", "preferredUsername": "Joe"}]


def make_store() -> Store:
    """Make a store with a type T that has a row."""
    store = Store("home", lambda: USERS)
    store.kept.storing = True
    definition = {"name": "T", "naturalKey": ["id"]}
    store.table("home", "system.types").insert(definition, "t", STAMP)
    store.table("home", "T").insert({"id": "a", "x": 1}, "1", STAMP)
    return store


def test_tables() -> None:
    """Each namespace has tables of its own; users and namespaces are shared."""
    store = make_store()
    store.table("home", "system.topics").insert({"name": "/a"}, "1", STAMP)

    assert {} == store.table("other", "system.topics").rows
    assert store.table("home", "ArsType") is store.table("home", "system.types")
    assert store.table("a", "system.users") is store.table("b", "system.users")
    assert ("joe", "home") == (
        store.table("x", "system.users").get("joe")["username"],
        store.table("x", "system.namespaces").get("home")["name"],
    )
    with pytest.raises(Refused, match="type T is not defined"):
        store.table("other", "T")


def test_namespaces() -> None:
    """Only namespaces that there are can be used."""
    store = make_store()
    store.check_namespace("home")
    with pytest.raises(Refused) as caught:
        store.check_namespace("other")

    assert 403 == caught.value.status


def test_redefine() -> None:
    """The rows of a type that is defined anew are found by its new key."""
    store = make_store()
    types = store.table("home", "system.types")
    types.update(types.get("T"), {"naturalKey": ["x"]}, STAMP)
    store.redefine("home", "T")
    store.redefine("home", "never used")

    assert "1" == store.table("home", "T").get("1")["_id"]
    assert ("x",) == store.table("home", "T").schema.natural_key


def test_contents() -> None:
    """Documents have bytes until they are dropped."""
    store = make_store()
    store.keep_content("home", "system.documents", "d", b"x")

    assert b"x" == store.content("home", "system.documents", "d")
    store.drop_content("home", "system.documents", "d")
    with pytest.raises(Refused):
        store.content("home", "system.documents", "d")


def test_sequences() -> None:
    """Each path counts its reliable events."""
    store = make_store()

    assert [1, 2, 1] == [
        store.next_sequence("home", path) for path in ("/a", "/a", "/b")
    ]


def test_drop() -> None:
    """A dropped table is no longer kept."""
    store = make_store()
    store.kept.take()
    store.drop("home", "T")
    store.drop("home", "never used")

    assert [("vantiq T home", "1", None)] == [
        (item.realm, item.key, item.value) for item in store.kept.take()
    ]


def test_clear() -> None:
    """Everything can be forgotten, in memory and where it is kept."""
    store = make_store()
    store.keep_content("home", "system.documents", "d", b"x")
    store.keep_content("other", "system.documents", "d", b"x")
    store.next_sequence("home", "/a")
    store.clear()

    assert {} == parse_items(store.kept.take())
    assert 1 == store.next_sequence("home", "/a")


def test_empty() -> None:
    """A namespace is emptied, and others are left alone."""
    store = make_store()
    store.keep_content("other", "system.documents", "d", b"x")
    store.empty("home")

    assert b"x" == store.content("other", "system.documents", "d")
    with pytest.raises(Refused):
        store.table("home", "T")


def test_load() -> None:
    """What was kept is there again, in another store."""
    first, second = make_store(), Store("home", list)
    first.keep_content("home", "system.documents", "d", b"x")
    first.next_sequence("home", "/a")
    items = sorted(first.kept.take(), key=lambda item: item.realm)
    second.load(parse_items(items) | {("home", ".pending"): {}})

    assert ("1", b"x", 2) == (
        second.table("home", "T").get("a")["_id"],
        second.content("home", "system.documents", "d"),
        second.next_sequence("home", "/a"),
    )
