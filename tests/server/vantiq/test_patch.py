"""JSON Patch, with the examples of RFC 6902's appendix."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq import patch as module
from asynctasks.server.vantiq.patch import apply_patch
from asynctasks.server.vantiq.refusals import Refused


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"foo": "bar"}, ["add", "/baz", "qux"], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["a", "b"]}, ["add", "/foo/1", "x"], {"foo": ["a", "x", "b"]}),
        ({"foo": ["a"]}, ["add", "/foo/-", ["b"]], {"foo": ["a", ["b"]]}),
        (
            {"foo": "bar"},
            ["add", "/child", {"g": {}}],
            {"foo": "bar", "child": {"g": {}}},
        ),
        ({"foo": ["a", "b"]}, ["remove", "/foo/1"], {"foo": ["a"]}),
        ({"baz": "q", "foo": 1}, ["remove", "/baz"], {"foo": 1}),
        ({"baz": "q"}, ["replace", "/baz", "boo"], {"baz": "boo"}),
        ({"temperature": 3}, ["replace", "temperature", 100], {"temperature": 100}),
        ({"a": 1}, ["replace", "", {"b": 2}], {"b": 2}),
        ({"/": 9, "~1": 10}, ["test", "/~01", 10], {"/": 9, "~1": 10}),
        ({"a": {"x": 1, "y": 2}}, ["test", "/a", {"y": 2, "x": 1.0}], None),
    ],
    ids=str,
)
def test_apply(document: Any, patch: list[Any], expected: Any) -> None:
    """Each operation does what the standard says."""
    op, path, *value = patch
    step = {"op": op, "path": path, **({"value": value[0]} if value else {})}

    assert (document if expected is None else expected) == apply_patch(document, [step])


@pytest.mark.parametrize(
    ("op", "source", "target", "expected"),
    [
        ("move", "/foo/waldo", "/qux/thud", {"foo": {}, "qux": {"thud": "fred"}}),
        ("copy", "/foo", "/bar", None),
        ("move", "/qux", "/qux", {"foo": {"waldo": "fred"}, "qux": {}}),
    ],
)
def test_from(op: str, source: str, target: str, expected: Any) -> None:
    """Values are moved and copied; the document itself stays as it is."""
    document: Any = {"foo": {"waldo": "fred"}, "qux": {}}
    found = apply_patch(document, [{"op": op, "from": source, "path": target}])

    assert (expected or {**document, "bar": {"waldo": "fred"}}) == found
    assert {"foo": {"waldo": "fred"}, "qux": {}} == document


@pytest.mark.parametrize(
    "step",
    [
        {"op": "increase", "path": "/a"},
        "add",
        {"op": "add", "path": "/a"},
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "add", "path": "/list/5", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/text/0", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/list/9"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "test", "path": "/text", "value": "other"},
        {"op": "test", "path": "/list", "value": [True]},
        {"op": "move", "from": "/a", "path": "/a/b"},
        {"op": "move", "path": "/a"},
    ],
    ids=str,
)
def test_refused(step: Any) -> None:
    """What does not fit is refused, and nothing is changed."""
    document = {"a": {"x": 1}, "list": [1], "text": "t"}
    with pytest.raises(Refused) as caught:
        apply_patch(document, [step])

    assert (400, {"a": {"x": 1}, "list": [1], "text": "t"}) == (
        caught.value.status,
        document,
    )


@pytest.mark.parametrize(
    "step",
    [
        {"op": "copy", "from": "/a", "path": "/a/-"},
        {"op": "copy", "from": "", "path": "/b"},
    ],
    ids=str,
)
def test_copies_of_copies(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that double a document again and again are refused in time."""
    monkeypatch.setattr(module, "LARGEST", 100_000)
    with pytest.raises(Refused, match="A patch makes"):
        apply_patch({"a": ["x" * 1000]}, [step] * 200)


def test_no_patch() -> None:
    """A patch is an array."""
    with pytest.raises(Refused):
        apply_patch({}, {"op": "add"})
