"""The query language of the Vantiq half."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.where import MISSING, compile_where, kind, reach, same


DOCUMENT = {
    "n": 3,
    "f": 2.5,
    "t": "acme company",
    "yes": True,
    "none": None,
    "list": [1, 2, 3],
    "deep": {"a": {"b": 7}},
    "rows": [{"x": 1, "y": "p"}, {"x": 5, "y": "q"}, 8],
    "place": {"type": "Point", "coordinates": [1, 1]},
}


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"n": 3},
        {"n": 3.0},
        {"n": {"$eq": 3}},
        {"none": None},
        {"absent": None},
        {"n.absent": None},
        {"n": {"$gt": 2}},
        {"n": {"$gte": 3, "$lt": 4}},
        {"f": {"$lte": 2.5}},
        {"t": {"$gt": "acme"}},
        {"yes": {"$gte": True}},
        {"none": {"$gte": None}},
        {"n": {"$ne": 4}},
        {"absent": {"$ne": 4}},
        {"n": {"$in": [1, 3]}},
        {"list": {"$in": [3, 9]}},
        {"n": {"$nin": [1, 2]}},
        {"absent": {"$nin": [1, 2]}},
        {"list": 2},
        {"list": [1, 2, 3]},
        {"list": {"$all": [3, 1]}},
        {"list": {"$size": 3}},
        {"list": {"$size": 3.0}},
        {"list": {"$elemMatch": {"$gt": 2, "$lt": 4}}},
        {"rows": {"$elemMatch": {"x": 5, "y": "q"}}},
        {"rows": {"$elemMatch": {"$or": [{"x": 9}, {"y": "p"}]}}},
        {"rows": {"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"x": 5}}]}},
        {"rows.x": 5},
        {"rows.1.x": 5},
        {"list.0": 1},
        {"deep.a.b": 7},
        {"deep": {"a": {"b": 7}}},
        {"t": {"$regex": "acme.*comp"}},
        {"t": {"$regex": "^ACME", "$options": "i"}},
        {"t": {"$not": {"$regex": "^comp"}}},
        {"n": {"$not": {"$gt": 5}}},
        {"absent": {"$exists": False}},
        {"none": {"$exists": True}},
        {"$and": [{"n": 3}, {"f": 2.5}]},
        {"$or": [{"n": 1}, {"f": 2.5}]},
        {"$nor": [{"n": {"$gt": 42}}, {"t": {"$eq": "abc"}}]},
        {"place": {"$near": {"$geometry": {"type": "Point", "coordinates": [1, 1]}}}},
    ],
    ids=str,
)
def test_match(where: dict[str, Any]) -> None:
    """The documented operators match as in MongoDB."""
    assert compile_where(where)(DOCUMENT) is True


@pytest.mark.parametrize(
    "where",
    [
        {"n": 4},
        {"n": "3"},
        {"yes": 1},
        {"n": True},
        {"n": None},
        {"n": {"$gt": "2"}},
        {"n": {"$gt": True}},
        {"n": {"$gt": 3}},
        {"n": {"$lt": 3}},
        {"n": {"$gte": None}},
        {"none": {"$gt": None}},
        {"n": {"$gt": [1]}},
        {"n": {"$ne": 3}},
        {"list": {"$ne": 2}},
        {"n": {"$in": []}},
        {"list": {"$nin": [2]}},
        {"list": [1, 2]},
        {"list": {"$all": []}},
        {"list": {"$all": [1, 4]}},
        {"list": {"$size": 2}},
        {"n": {"$size": 1}},
        {"list": {"$elemMatch": {"$gt": 3}}},
        {"rows": {"$elemMatch": {"x": 1, "y": "q"}}},
        {"deep": {"a": {"b": 7}, "c": 1}},
        {"list.7": 1},
        {"list.x": None},
        {"n": {"$regex": "3"}},
        {"t": {"$regex": "^comp"}},
        {"n": {"$exists": False}},
        {"list.x": {"$exists": True}},
        {"list.²": 1},
        {f"list.{'9' * 5000}": 1},
        {"$and": [{"n": 3}, {"f": 2}]},
        {"$or": [{"n": 1}, {"f": 2}]},
        {"$nor": [{"n": 3}, {"f": 2}]},
    ],
    ids=str,
)
def test_no_match(where: dict[str, Any]) -> None:
    """What does not match does not match."""
    assert compile_where(where)(DOCUMENT) is False


@pytest.mark.parametrize(
    "where",
    [
        None,
        [],
        {"$and": []},
        {"$or": {}},
        {"$where": "true"},
        {"n": {"$type": 1}},
        {"n": {"$gt": 1, "plain": 2}},
        {"n": {"$in": 1}},
        {"n": {"$nin": "x"}},
        {"n": {"$all": 1}},
        {"n": {"$size": -1}},
        {"n": {"$size": 1.5}},
        {"n": {"$size": True}},
        {"n": {"$elemMatch": 1}},
        {"n": {"$not": 1}},
        {"n": {"$regex": 1}},
        {"n": {"$regex": "("}},
        {"n": {"$regex": "a", "$options": "g"}},
        {"n": {"$regex": "(a+)+$"}},
        {"n": {"$options": "i"}},
    ],
    ids=str,
)
def test_refused(where: Any) -> None:
    """What is no query is refused and not taken for one that matches nothing."""
    with pytest.raises(Refused) as caught:
        compile_where(where)

    assert 400 == caught.value.status


def test_reach() -> None:
    """A path ends at values, or nowhere."""
    assert [1, 5] == list(reach(DOCUMENT, ["rows", "x"]))
    assert [MISSING] == list(reach(DOCUMENT, ["n", "x"]))
    assert ["number", "str", "bool"] == [kind(1.5), kind(""), kind(False)]


def test_same() -> None:
    """Objects are the same in the same order of keys only."""
    assert same({"a": 1, "b": [2]}, {"a": 1.0, "b": [2]})
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})
