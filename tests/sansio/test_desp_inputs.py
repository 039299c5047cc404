"""Inputs become lists of text, and are compared with what a service wants."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.desp_inputs import check_inputs, encode_inputs, id_text
from tests.sansio.insula import load


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("007", ["007"]),
        (7, ["7"]),
        (0.25, ["0.25"]),
        (True, ["true"]),
        (["a", 1], ["a", "1"]),
        (("a",), ["a"]),
        ({"mode": "APPEND"}, ['{"mode":"APPEND"}']),
        ([{"a": 1}, [2, 3]], ['{"a":1}', "[2,3]"]),
        ([], []),
        ("", [""]),
    ],
)
def test_encoded(value: Any, expected: list[str]) -> None:
    """Text goes as it is, all else as JSON writes it."""
    assert {"in": expected} == encode_inputs({"in": value})


def test_nothing() -> None:
    """There may be no inputs; an input that is None is left out."""
    assert ({}, {}) == (encode_inputs(None), encode_inputs({"in": None}))


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        "text",
        {"": "x"},
        {1: "x"},
        {"in": b"x"},
        {"in": {1, 2}},
        {"in": float("nan")},
        {"in": object()},
        {"in": [None]},
    ],
)
def test_not_encoded(inputs: Any) -> None:
    """What cannot be said as text is refused."""
    with pytest.raises(InvalidArgument):
        encode_inputs(inputs)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1))
def test_outputs(outputs: dict[str, str]) -> None:
    """The collections of the outputs are JSON within the inputs."""
    [text] = encode_inputs({}, outputs)["collection"]

    assert outputs == json.loads(text)


@pytest.mark.parametrize("outputs", [["x"], {"result": 1}, {"result": ""}, {1: "x"}])
def test_bad_outputs(outputs: Any) -> None:
    """Collections are named by text, by output."""
    with pytest.raises(InvalidArgument):
        encode_inputs({}, outputs)


def test_outputs_twice() -> None:
    """Collections are given in one way."""
    with pytest.raises(InvalidArgument, match="not in both"):
        encode_inputs({"collection": "{}"}, {"result": "x"})


@pytest.mark.parametrize(
    "value", ["7", 7, {"id": 7}, {"id": "7", "name": "x"}], ids=repr
)
def test_id(value: Any) -> None:
    """An id is a number, a text or in a row."""
    assert "7" == id_text(value)


@pytest.mark.parametrize("value", [True, None, {}, 1.5, b"7"])
def test_no_id(value: Any) -> None:
    """Nothing else is an id."""
    with pytest.raises(InvalidArgument):
        id_text(value)


# --- the check ---------------------------------------------------------------


def service(*inputs: Any, kind: str = "PROCESSOR", **more: Any) -> dict[str, Any]:
    outputs = [{"id": "result"}]
    described = {"dataInputs": list(inputs), "dataOutputs": outputs, **more}
    return {"type": kind, "serviceDescriptor": described}


def wanted(name: str, least: Any = 1, most: Any = 1, **default: str) -> dict[str, Any]:
    return {"id": name, "minOccurs": least, "maxOccurs": most, "defaultAttrs": default}


def check(service: Any, inputs: Any, *parallel: str) -> None:
    check_inputs(service, encode_inputs(inputs), parallel)


def test_recorded_descriptor() -> None:
    """The recorded descriptor takes the guide's inputs."""
    recorded = load("service")[0][1].json()
    outputs = {"result": "eopaasbb235018ba8342dda1df91a5c3678395"}
    inputs = encode_inputs({"s2_input": "a", "s3_input": "b", "timeout": 1}, outputs)

    check_inputs(recorded, inputs)


PARALLEL = {"kind": "PARALLEL_PROCESSOR"}

FITTING = [
    (service(), {}, ()),
    (service(wanted("a", 0)), {}, ()),
    (service(wanted("a", 1, 1, value="x")), {}, ()),
    (service(wanted("a", 1, 0)), {"a": ["x", "y"]}, ()),
    (service(wanted("a", None, None)), {"a": ["x", "y"]}, ()),
    (service(wanted("a")), {"a": ["x", "y"]}, ("a",)),
    (service(wanted("a"), parallelInputsKey="a"), {"a": ["x", "y"]}, ()),
    (service(wanted("input"), **PARALLEL), {"parallelInputs": ["x", "y"]}, ()),
    (service(wanted("input"), **PARALLEL), {"input": "x"}, ()),
    (service(wanted("a"), None, {"id": 1}, {}), {"a": "x"}, ()),
    (service(), {"collection": '{"result": "c"}', "geoServerSpec": "{}"}, ()),
    (service(), {"collection": "[]"}, ()),
]


@pytest.mark.parametrize(("document", "inputs", "parallel"), FITTING)
def test_fitting(document: Any, inputs: Any, parallel: Any) -> None:
    """Inputs that fit the descriptor pass."""
    check(document, inputs, *parallel)


@pytest.mark.parametrize(
    ("document", "inputs", "words"),
    [
        (service(wanted("a")), {}, "needs the input; it has: a"),
        (service(wanted("a")), {"a": []}, "needs the input"),
        (service(wanted("a")), {"a": "x", "b": "y"}, "has no input; it has: a"),
        (service(), {"b": "y"}, "it has: none"),
        (service(wanted("a")), {"a": ["x", "y"]}, "takes at most 1"),
        (service(wanted("input"), **PARALLEL), {}, "needs the input"),
        (service(), {"collection": '{"other": "c"}'}, "has no output"),
        ({"name": "x"}, {}, "does not describe"),
        (service(dataInputs={}), {"a": 1}, "has no input"),
    ],
)
def test_not_fitting(document: Any, inputs: Any, words: str) -> None:
    """What does not fit is named, with what there is."""
    with pytest.raises(InvalidArgument, match=words):
        check(document, inputs)
