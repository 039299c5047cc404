"""Tables of the Vantiq half."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.schema import Schema
from asynctasks.server.vantiq.tables import Row, Stamp, Table, write_time
from asynctasks.server.vantiq.where import compile_where
from tests.server.vantiq.worlds import NOW


STAMP = Stamp("joe", "ns", NOW)


class Noted:
    """A table and what it said of changes."""

    def __init__(self, *key: str, unique: tuple[tuple[str, ...], ...] = ()) -> None:
        self.notes: list[tuple[str, Row | None]] = []
        self.table = Table(Schema("T", key, unique), lambda *n: self.notes.append(n))
        self.ids = 0

    def insert(self, **instance: Any) -> Row:
        self.ids += 1
        return self.table.insert(instance, f"id{self.ids}", STAMP)


def test_insert() -> None:
    """A stored row has an id and the stamps of the server."""
    noted = Noted("name")
    row = noted.insert(name="a", ars_version=99)

    assert row == {
        "name": "a",
        "_id": "id1",
        "ars_namespace": "ns",
        "ars_version": 1,
        "ars_createdAt": "2023-11-14T22:13:20.000Z",
        "ars_createdBy": "joe",
    }
    assert [("id1", row)] == noted.notes


def test_find() -> None:
    """Rows are found by their id and by their natural key."""
    noted = Noted("k")
    first, second = noted.insert(k="a"), noted.insert(k=7)

    assert [first, first, second, None] == [
        noted.table.find(ident) for ident in ("id1", "a", "7", "b")
    ]


TYPED = Schema(
    "T", ("k",), (("n",),), {"k": {"type": "String"}, "n": {"type": "Integer"}}
)


@pytest.mark.parametrize(
    ("where", "looked_at"),
    [
        ({"k": "b"}, 1),
        ({"_id": "id3"}, 1),
        ({"_id": {"$in": ["id3", "id1", "none"]}}, 2),
        ({"x": 1, "k": {"$in": ["c", "a"]}}, 2),
        ({"k": "none"}, 0),
        ({"k": {"$in": []}}, 0),
        ({"k": {"$in": ["a", None]}}, 4),
        ({"k": None}, 4),
        ({"n": 2}, 4),
        ({"x": "1"}, 4),
        ({"$or": [{"k": "a"}]}, 4),
        ({}, 4),
    ],
    ids=str,
)
def test_candidates(where: Any, looked_at: int) -> None:
    """A query for keys looks at few rows, and finds what a search would, in order."""
    table = Table(TYPED, lambda *_: None)
    for number, key in enumerate(("a", "b", "c", None), 1):
        table.insert({"k": key, "n": number, "x": 1}, f"id{number}", STAMP)
    accepts = compile_where(where)
    found = list(table.candidates(where))

    assert looked_at == len(found)
    assert [row for row in table.rows.values() if accepts(row)] == [
        row for row in found if accepts(row)
    ]


def test_find_without_key() -> None:
    """Without a natural key of one property the id alone finds a row."""
    noted = Noted("a", "b")
    row = noted.insert(a="x", b="y")

    assert (row, None) == (noted.table.find("id1"), noted.table.find("x"))


@pytest.mark.parametrize(
    ("key", "words"), [(("name",), "{name=foo}"), ((), "{_id=foo}")]
)
def test_get(key: tuple[str, ...], words: str) -> None:
    """A missing row is refused with the name of its key."""
    with pytest.raises(Refused, match=words):
        Noted(*key).table.get("foo")


def test_twin() -> None:
    """A twin has the same id or the same natural key."""
    noted = Noted("a", "b")
    row = noted.insert(a=1, b=2)

    assert [row, row, None, None] == [
        noted.table.twin(instance)
        for instance in ({"_id": "id1"}, {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1})
    ]


def test_conflict() -> None:
    """Two rows cannot have a key in common; rows without it do no harm."""
    noted = Noted("id", unique=(("x", "y"),))
    noted.insert(id="a", x=1, y=1)
    noted.insert(x=1)
    noted.insert(x=1)
    for instance in ({"id": "a"}, {"id": "b", "x": 1, "y": 1}):
        with pytest.raises(Refused) as caught:
            noted.insert(**instance)

        assert 409 == caught.value.status
    assert 3 == len(noted.table.rows)


def test_update() -> None:
    """An update answers with what changed, and what the server stamped."""
    noted = Noted("name")
    row = noted.insert(name="a", x=1, y=2)
    given = {"name": "a", "x": 5, "y": 2.0, "_id": "other", "ars_version": 9}
    changes = noted.table.update(row, given, STAMP)

    assert changes == {
        "x": 5,
        "ars_version": 2,
        "ars_modifiedAt": "2023-11-14T22:13:20.000Z",
        "ars_modifiedBy": "joe",
    }
    assert row | changes == noted.table.rows["id1"]


def test_update_of_nothing() -> None:
    """Nothing that changes is nothing that is stored."""
    noted = Noted("name")
    row = noted.insert(name="a")

    assert ({}, 1) == (noted.table.update(row, {"name": "a"}, STAMP), len(noted.notes))


def test_update_of_key() -> None:
    """A row is found by its new key, and no longer by the old one."""
    noted = Noted("name")
    row = noted.insert(name="a")
    noted.table.update(row, {"name": "b"}, STAMP)

    assert (None, "id1") == (
        noted.table.find("a"),
        noted.table.get("b")["_id"],
    )


def test_refused_update() -> None:
    """A row cannot take another's key, and stays as it was."""
    noted = Noted("name")
    row = noted.insert(name="a")
    noted.insert(name="b")
    with pytest.raises(Refused):
        noted.table.update(row, {"name": "b", "x": 1}, STAMP)

    assert row == noted.table.find("a")


def test_replace() -> None:
    """A patched row loses what the patch took away, and keeps the server's part."""
    noted = Noted("name")
    row = noted.insert(name="a", x=1)
    changes = noted.table.replace(row, {"_id": "z", "name": "a", "y": 2}, STAMP)

    assert (2, None) == (changes["y"], changes["x"])
    assert {"_id": "id1", "y": 2, "ars_createdBy": "joe"}.items() <= (
        noted.table.rows["id1"].items()
    )
    assert "x" not in noted.table.rows["id1"]


def test_remove() -> None:
    """A removed row is gone, and its key is free."""
    noted = Noted("name")
    noted.insert(name="a")
    noted.table.remove("id1")
    noted.insert(name="a")

    assert [("id1", None)] == noted.notes[1:2]


def test_load() -> None:
    """A row that was stored before is found, and not stored again."""
    noted = Noted("name")
    noted.table.load({"_id": "x", "name": "a"})

    assert ("x", []) == (noted.table.get("a")["_id"], noted.notes)


@pytest.mark.parametrize("instance", [None, [], "x"])
def test_no_instance(instance: Any) -> None:
    """An instance is an object."""
    noted = Noted("name")
    row = noted.insert(name="a")
    with pytest.raises(Refused):
        noted.table.insert(instance, "x", STAMP)
    with pytest.raises(Refused):
        noted.table.update(row, instance, STAMP)


def test_write_time() -> None:
    """Times are UTC with milliseconds."""
    assert "2023-11-14T22:13:20.250Z" == write_time(NOW + 0.25)
