"""Both JSON libraries keep the one contract."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util
import json
import math
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument, ResponseDecodeError
from asynctasks.sansio import codec


Loads = Callable[[bytes], Any]

BACKENDS = pytest.mark.parametrize(
    "loads",
    [codec.loads_stdlib, codec.loads_orjson],
    ids=["stdlib", "orjson"],
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@BACKENDS
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b" \t\r\n7 \n", 7),
        (b"12345678901234567890123456789012", 12345678901234567890123456789012),
        (b"-9223372036854775809", -9223372036854775809),
        (b"18446744073709551615", 18446744073709551615),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\ud83d"', "\\ud83d"),
        ('"é\u2028"'.encode(), "é\u2028"),
        (b"1e-400", 0.0),
        (b"[" * 200 + b"]" * 200, None),
    ],
    ids=[
        "document",
        "one-bom",
        "blanks",
        "32-digits",
        "below-64-bits",
        "64-bits",
        "last-key-wins",
        "surrogate-pair",
        "escaped-backslash",
        "utf-8",
        "underflow",
        "200-levels",
    ],
)
def test_what_is_read(loads: Loads, data: bytes, expected: object) -> None:
    """Both libraries read the same documents as the same values."""
    value = loads(data)
    while data.startswith(b"[[") and value:
        (value,) = value

    assert ([] if expected is None else expected) == value


@BACKENDS
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty body"),
        (b" \r\n", "an empty body"),
        (b"NaN", ""),
        (b"[Infinity]", ""),
        (b"-Infinity", ""),
        (b"1e400", ""),
        (b"-1.8e308", ""),
        (b"\xef\xbb\xbf\xef\xbb\xbf1", ""),
        (b'"\\ud83d"', ""),
        (b'{"\\uDC00": 1}', ""),
        (b'"\xff"', ""),
        (b'"\xed\xa0\x80"', ""),
        (b"[" * 100_000 + b"]" * 100_000, ""),
        (b"9" * 5000, ""),
        (b'{"a": 1', ""),
        (b"[1,]", ""),
        (b"{'a': 1}", ""),
        (b"01", ""),
        (b"1 2", ""),
        (b'"a\nb"', ""),
        (b"<html>", "'<html>'"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else "",
)
def test_what_is_refused(loads: Loads, data: bytes, found: str) -> None:
    """Both libraries refuse the same texts, with our error and a short excerpt."""
    with pytest.raises(ResponseDecodeError) as caught:
        loads(data)

    assert "JSON" == caught.value.expected
    assert found in caught.value.found
    assert 0 < len(caught.value.found) < 1000


@BACKENDS
@given(DOCUMENTS)
def test_round_trip(loads: Loads, document: object) -> None:
    """What is written is read back equal, by either library."""
    assert document == loads(codec.dumps(document))


@given(st.binary() | TEXT.map(str.encode) | DOCUMENTS.map(codec.dumps))
def test_backends_agree(data: bytes) -> None:
    """Both libraries read the same value from a text, or both refuse it."""

    def outcome(loads: Loads) -> object:
        try:
            return repr(loads(data))
        except ResponseDecodeError:
            return ResponseDecodeError

    assert outcome(codec.loads_stdlib) == outcome(codec.loads_orjson)


def test_dumps_is_compact_utf8() -> None:
    """What is written has no blanks and no escapes that it does not need."""
    value = {"é": [1, 2.0, None, True, ("a", 10**30)], "n": 3, 7: -0.0}
    expected = '{"é":[1,2.0,null,true,["a",' + "1" + "0" * 30 + ']],"n":3,"7":-0.0}'

    assert expected.encode() == codec.dumps(value)


def circular() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("value", "where", "what"),
    [
        (math.nan, "inputs", "nan"),
        ({"a": [1, {"b": math.inf}]}, "inputs.a[1].b", "inf"),
        ([1, (2, -math.inf)], "inputs[1][1]", "-inf"),
        ({"a": {1, 2}}, "inputs.a", "a set"),
        ({"when": b"x"}, "inputs.when", "a bytes"),
        ({"fine": [{}, []], "bad": object()}, "inputs.bad", "a object"),
        ({"a": {(1, 2): 3}}, "inputs.a", "a key that is a tuple"),
        ({math.nan: 3}, "inputs", "a key that is nan"),
        ({"a": ["\ud800"]}, "inputs.a[0]", "a lone surrogate"),
        ({"\ud800": 1}, "inputs", "a key that is a lone surrogate"),
        ({10**5000: 1}, "inputs", "a key that is an integer of too many digits"),
        ([10**5000], "inputs[0]", "an integer of too many digits"),
        (
            circular(),
            ("inputs" + "[0]" * 201)[:100] + "…",
            "too many nested levels, or a value that contains itself",
        ),
    ],
    ids=[
        "nan",
        "infinity",
        "tuple",
        "set",
        "bytes",
        "object",
        "key",
        "nan-key",
        "surrogate",
        "surrogate-key",
        "digits-key",
        "digits",
        "circle",
    ],
)
def test_dumps_names_the_place(value: object, where: str, what: str) -> None:
    """What JSON cannot say is refused, with its place and what it is."""
    with pytest.raises(InvalidArgument) as caught:
        codec.dumps(value)

    assert (where, what) == (caught.value.name, caught.value.value)


def test_dumps_names_the_argument() -> None:
    """The error calls the argument what the caller calls it."""
    with pytest.raises(InvalidArgument, match=r"^row\.a='nan': JSON has no"):
        codec.dumps({"a": math.nan}, name="row")


def test_loads_is_the_fastest_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """With orjson it is used, without it the standard library is."""
    assert codec.loads is codec.loads_orjson
    spec = codec.__spec__
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setitem(sys.modules, "orjson", None)
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)

    assert without.loads is without.loads_stdlib
    assert {"a": 1} == without.loads(json.dumps({"a": 1}).encode())
