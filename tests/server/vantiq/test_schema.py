"""Types: the system's, and those that users define."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.schema import SYSTEM, Schema, qualified, system_types


DEFINITION = {
    "name": "T",
    "properties": {
        "id": {"type": "String", "required": True},
        "k": {"type": "Integer", "defaultValue": 7},
        "x": {"type": "Real"},
        "b": {"type": "Boolean"},
        "list": {"type": "Integer", "multi": True},
        "other": {"type": "Currency"},
    },
    "naturalKey": ["id"],
    "indexes": [
        {"keys": ["id"], "options": {"unique": True}},
        {"keys": ["k", "x"], "options": {"unique": True}},
        {"keys": ["b"]},
        {"keys": "b", "options": {"unique": True}},
        "no index",
    ],
}


def test_keys() -> None:
    """The natural key and the unique indexes are keys, each once."""
    assert (("id",), ("k", "x")) == Schema.parse(DEFINITION).keys
    assert () == Schema.parse({"name": "T"}).keys


def test_complete() -> None:
    """A new instance gets the defaults, and keeps what it has."""
    schema = Schema.parse(DEFINITION)

    assert ({"k": 7}, {"k": None}) == (
        schema.complete({}),
        schema.complete({"k": None}),
    )


def test_cluster() -> None:
    """A cluster gets the node that the vendor's tests expect."""
    schema = Schema.of_system("system.k8sclusters")

    assert (
        "vantiq-pythontestcluster-node"
        == (schema.complete({"name": "pythonTestCluster"})["ingressDefaultNode"])
    )
    assert {"name": 7} == schema.complete({"name": 7})


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a"},
        {"id": "a", "k": 1, "x": 1, "b": False, "list": [1], "other": "EUR:1"},
        {"id": "a", "x": 1.5, "unknown": 1},
    ],
)
def test_check(row: Any) -> None:
    """Values of the right types, and properties without definition, are taken."""
    Schema.parse(DEFINITION).check(row)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": 1},
        {"id": "a", "k": 1.5},
        {"id": "a", "k": True},
        {"id": "a", "x": "1"},
        {"id": "a", "b": 1},
    ],
)
def test_check_refuses(row: Any) -> None:
    """A missing property and one of another type are refused by name."""
    with pytest.raises(Refused) as caught:
        Schema.parse(DEFINITION).check(row)

    assert 400 == caught.value.status


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"name": ""},
        {"name": 1},
        {"name": "T", "properties": []},
        {"name": "T", "properties": "x"},
        {"name": "T", "naturalKey": "id"},
        {"name": "T", "naturalKey": [1]},
        {"name": "T", "properties": {"a": 1}},
        {"name": "T", "indexes": 1},
    ],
)
def test_no_definition(row: Any) -> None:
    """What defines no type is refused; an empty array means no properties."""
    if row.get("properties") == []:
        Schema.parse(row)
        return
    with pytest.raises(Refused):
        Schema.parse(row)


@pytest.mark.parametrize(
    "index",
    [1, {"keys": 1}, {"keys": ["a"]}, {"keys": ["a"], "options": []}],
    ids=str,
)
def test_no_unique_index(index: Any) -> None:
    """Only an index that says so is unique."""
    assert () == Schema.parse({"name": "T", "indexes": [index]}).unique


def test_names() -> None:
    """System resources are known with and without their prefix."""
    assert ["system.types", "system.types", None, "system.trackingRegions"] == [
        qualified(name)
        for name in ("types", "system.types", "junkola", "trackingRegions")
    ]


def test_system_types() -> None:
    """Each system resource has a type, as the vendor's tests expect them."""
    rows = {row["name"]: row for row in system_types()}

    assert len(SYSTEM) == len(rows)
    assert ("types", "namespaces", "system.k8sclusters", ["username"], "system") == (
        rows["ArsType"]["resourceName"],
        rows["ArsNamespace"]["resourceName"],
        rows["ArsK8sCluster"]["resourceName"],
        rows["ArsUser"]["naturalKey"],
        rows["ArsType"]["ars_namespace"],
    )
