"""
The one JSON contract, whatever library is behind it.

Reading: UTF-8 with at most one byte order mark; finite numbers only; integers
exact; no lone surrogates; nesting up to some hundred levels. Whatever breaks
this is a :class:`ResponseDecodeError`, never an error of the JSON library.

Writing: compact UTF-8; finite numbers and plain types only. Whatever breaks this
is an :class:`InvalidArgument` that names the place.

The standard library is always there; orjson (extra ``speed``) reads faster.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import math
import re
from typing import Any

from ..exceptions import InvalidArgument, ResponseDecodeError


try:
    import orjson
except ImportError:  # the extra ``speed`` is not installed
    orjson = None  # type: ignore[assignment]


__all__ = ["dumps", "loads", "loads_orjson", "loads_stdlib"]

BOM = b"\xef\xbb\xbf"

LONG = 19
"""Digits from which on an integer may have more than 64 bits; orjson rounds those."""

LONG_INTEGER = b"0" * 19
"""So many digits orjson may turn into a float: beyond 64 bits."""

LONG_PATH = 100
"""Characters of the path of a value that an error shows."""

DIGITS_ALIKE = bytes(0x30 if byte in b"0123456789" else 0x20 for byte in range(256))
"""Makes a zero of each digit: a long integer is then a text, found very much faster
than by a regular expression."""

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""Where a surrogate is written as an escape; only then it may be a lone one."""

DEEPEST = 200
"""Levels to which an error tells the place of a value that JSON has not."""


def loads_stdlib(data: bytes) -> Any:
    """Read JSON with the standard library; see the module for the contract."""
    try:
        text = data.removeprefix(BOM).decode()
        value = DECODER.decode(text)
        if SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as exc:
        raise ResponseDecodeError("JSON", found="too many nested levels") from exc
    except ValueError as exc:
        raise ResponseDecodeError("JSON", found=_describe(data, exc)) from exc
    return value


def loads_orjson(data: bytes) -> Any:
    """Read JSON with orjson; see the module for the contract."""
    if LONG_INTEGER in data.translate(DIGITS_ALIKE):
        return loads_stdlib(data)  # orjson would silently round it
    data = data.removeprefix(BOM)
    try:
        return orjson.loads(data)
    except ValueError as exc:
        raise ResponseDecodeError("JSON", found=_describe(data, exc)) from exc


loads: Callable[[bytes], Any] = loads_stdlib if orjson is None else loads_orjson
"""
Read JSON with the fastest library there is.

Raises:
    ResponseDecodeError: it is not JSON as the contract has it.
"""


def dumps(value: Any, *, name: str = "inputs") -> bytes:
    """
    Write *value* as compact JSON.

    Args:
        value: dicts, lists, strings, finite numbers, booleans and None.
        name: what the error calls it.

    Raises:
        InvalidArgument: it holds something that JSON cannot say.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        where, what = _offender(value, name, 0)
        where = where if len(where) <= LONG_PATH else f"{where[:LONG_PATH]}…"
        remedy = "JSON has no such value; convert it first"
        raise InvalidArgument(where, what, remedy) from exc


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
"""Made once: json.loads() with arguments makes one for each call."""


def _describe(data: bytes, exc: ValueError) -> str:
    """Say what is wrong and show how the text begins."""
    if not data.strip():
        return "an empty body"
    start = data[:120].decode("utf-8", "replace")
    return f"{exc.__class__.__name__} ({str(exc)[:100]}) in {start!r}"


def _offender(value: Any, where: str, depth: int) -> tuple[str, str]:
    """Find the first value that JSON cannot say: its path, and what it is."""
    if depth > DEEPEST:
        return where, "too many nested levels, or a value that contains itself"
    if isinstance(value, dict):
        for key in value:
            if complaint := _complaint(key):
                return where, f"a key that is {complaint}"
        items = [(f"{where}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(f"{where}[{index}]", item) for index, item in enumerate(value)]
    else:
        return where, _complaint(value)
    found = (_offender(item, place, depth + 1) for place, item in items)
    return next((each for each in found if each[1]), (where, ""))


def _complaint(value: object) -> str:
    """Say why a value that holds no others cannot be written; else nothing."""
    if not (value is None or isinstance(value, str | int | float)):
        return f"a {type(value).__name__}"
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return "a lone surrogate"
    except ValueError:
        integer = isinstance(value, int)
        return "an integer of too many digits" if integer else repr(value)
    return ""
