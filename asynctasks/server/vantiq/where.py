"""
The query language of ``where``.

The operators are those of Vantiq's API Reference Guide: equality, ``$eq`` ``$gt``
``$gte`` ``$lt`` ``$lte`` ``$ne`` ``$in`` ``$nin`` ``$all`` ``$elemMatch`` ``$regex``
(with ``$options``) ``$size`` ``$and`` ``$or`` ``$not`` ``$nor`` ``$geoIntersects``
``$geoWithin`` ``$near`` ``$nearSphere``, and ``$exists``. They mean what they mean in
MongoDB. Any other is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import operator
from typing import Any

from .geo import GEO_OPERATORS, is_number
from .patterns import search
from .refusals import malformed


__all__ = ["MISSING", "Where", "compile_where", "kind", "reach", "same"]

Where = Callable[[Any], bool]
"""Tells whether a document is one of those that were asked for."""

Test = Callable[[Sequence[Any]], bool]
"""Tells whether what was found at a path is what was asked for."""

MISSING = object()
"""What is at a path that leads nowhere."""

LONGEST_PLACE = 10
"""Digits; no array is so long."""


def compile_where(where: Any) -> Where:
    """
    Build the test that a query describes.

    Raises:
        Refused: it is no query.
    """
    if not isinstance(where, Mapping):
        raise malformed("A where clause is a JSON object.", where)
    tests = [compile_clause(name, value) for name, value in where.items()]
    return lambda document: all(test(document) for test in tests)


def compile_clause(name: str, value: Any) -> Where:
    """Build the test of one member of a query."""
    if name in LOGICAL:
        if not isinstance(value, list) or not value:
            raise malformed(f"{name} needs an array of conditions.", value)
        return LOGICAL[name]([compile_where(each) for each in value])
    if name.startswith("$"):
        raise malformed(f"{name} is not an operator of where.", name)
    path = name.split(".")
    test = compile_field(value)
    return lambda document: test(list(reach(document, path)))


def all_of(tests: Sequence[Where]) -> Where:
    """Build ``$and``."""
    return lambda document: all(test(document) for test in tests)


def any_of(tests: Sequence[Where]) -> Where:
    """Build ``$or``."""
    return lambda document: any(test(document) for test in tests)


def none_of(tests: Sequence[Where]) -> Where:
    """Build ``$nor``."""
    return lambda document: not any(test(document) for test in tests)


LOGICAL: Mapping[str, Callable[[Sequence[Where]], Where]] = {
    "$and": all_of,
    "$or": any_of,
    "$nor": none_of,
}


def compile_field(value: Any) -> Test:
    """Build the test of what is at a path: operators, or a value to be equal to."""
    if not is_operators(value):
        return equals(value)
    if "$options" in value and "$regex" not in value:
        raise malformed("$options goes with $regex.", value)
    tests = [
        compile_operator(name, operand, value)
        for name, operand in value.items()
        if name != "$options"
    ]
    return lambda found: all(test(found) for test in tests)


def is_operators(value: Any) -> bool:
    """Tell whether a value holds operators."""
    return isinstance(value, Mapping) and any(name.startswith("$") for name in value)


def compile_operator(name: str, operand: Any, value: Mapping[str, Any]) -> Test:
    """Build the test of one operator."""
    if name == "$regex":
        return matches(operand, value.get("$options", ""))
    if name in GEO_OPERATORS:
        accepts = GEO_OPERATORS[name](operand)
        return lambda found: any(accepts(each) for each in found)
    if name in RANGES:
        return ordered(RANGES[name], operand)
    if name in OPERATORS:
        return OPERATORS[name](operand)
    raise malformed(f"{name} is not an operator of where.", name)


# --- what is at a path -------------------------------------------------------


def reach(document: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield what is at a path; arrays on the way are searched."""
    if not path:
        yield document
    elif isinstance(document, Mapping):
        if path[0] in document:
            yield from reach(document[path[0]], path[1:])
        else:
            yield MISSING
    elif isinstance(document, list):
        place = place_of(path[0])
        if place is not None and place < len(document):
            yield from reach(document[place], path[1:])
        for item in document:
            if isinstance(item, Mapping):
                yield from reach(item, path)
    else:
        yield MISSING


def place_of(part: str) -> int | None:
    """Return the place in an array that a part of a path means."""
    is_number = part.isascii() and part.isdigit() and len(part) < LONGEST_PLACE
    return int(part) if is_number else None


def leaves(found: Sequence[Any]) -> Iterator[Any]:
    """Yield the values at a path, and the items of those that are arrays."""
    for value in found:
        yield None if value is MISSING else value
        if isinstance(value, list):
            yield from value


# --- the operators -----------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    """Compare as MongoDB does: 1 is 1.0, and not true; the order of keys counts."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [*one] == [*other] and all(map(same, one.values(), other.values()))
    if is_number(one) and is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def equals(wanted: Any) -> Test:
    """Build equality; null is also what is not there."""
    return lambda found: any(same(value, wanted) for value in leaves(found))


def differs(wanted: Any) -> Test:
    """Build ``$ne``."""
    equal = equals(wanted)
    return lambda found: not equal(found)


def is_in(wanted: Any) -> Test:
    """Build ``$in``."""
    if all(isinstance(each, str) for each in array("$in", wanted)):
        texts = frozenset(wanted)
        return lambda found: any(
            isinstance(value, str) and value in texts for value in leaves(found)
        )
    tests = [equals(each) for each in array("$in", wanted)]
    return lambda found: any(test(found) for test in tests)


def not_in(wanted: Any) -> Test:
    """Build ``$nin``."""
    tests = [equals(each) for each in array("$nin", wanted)]
    return lambda found: not any(test(found) for test in tests)


def has_all(wanted: Any) -> Test:
    """Build ``$all``, which an empty array matches never."""
    tests = [compile_field(each) for each in array("$all", wanted)]
    return lambda found: bool(tests) and all(test(found) for test in tests)


def has_element(wanted: Any) -> Test:
    """Build ``$elemMatch``: one item of an array meets all conditions."""
    if not isinstance(wanted, Mapping):
        raise malformed("$elemMatch needs a JSON object.", wanted)
    if is_operators(wanted) and not LOGICAL.keys() & wanted.keys():
        field = compile_field(wanted)
        return lambda found: any(field([item]) for item in items(found))
    where = compile_where(wanted)
    return lambda found: any(
        where(item) for item in items(found) if isinstance(item, Mapping | list)
    )


def items(found: Sequence[Any]) -> Iterator[Any]:
    """Yield the items of the arrays at a path."""
    return (item for value in found if isinstance(value, list) for item in value)


def has_size(wanted: Any) -> Test:
    """Build ``$size``."""
    if not is_number(wanted) or wanted < 0 or wanted != int(wanted):
        raise malformed("$size needs a whole number from 0.", wanted)
    return lambda found: any(isinstance(v, list) and len(v) == wanted for v in found)


def exists(wanted: Any) -> Test:
    """Build ``$exists``."""
    return lambda found: bool(wanted) is any(value is not MISSING for value in found)


def negated(wanted: Any) -> Test:
    """Build ``$not``."""
    if not is_operators(wanted):
        raise malformed("$not needs an operator.", wanted)
    test = compile_field(wanted)
    return lambda found: not test(found)


def matches(pattern: Any, options: Any) -> Test:
    """Build ``$regex``: found anywhere in a text."""
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise malformed("$regex and $options are texts.", pattern)
    is_in_text = search(pattern, options)
    return lambda found: any(
        isinstance(value, str) and is_in_text(value) for value in leaves(found)
    )


def ordered(compare: Callable[[Any, Any], bool], wanted: Any) -> Test:
    """Build a comparison; only values of one kind have an order."""

    def test(found: Sequence[Any]) -> bool:
        return any(
            kind(value) == kind(wanted) and compare(value, wanted)
            for value in leaves(found)
        )

    if wanted is None:  # null is as great as null, and no less
        alike = equals(None)
        return alike if compare in {operator.ge, operator.le} else lambda _: False
    return test if kind(wanted) in {"number", "str", "bool"} else lambda _: False


RANGES: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}

OPERATORS: Mapping[str, Callable[[Any], Test]] = {
    "$all": has_all,
    "$elemMatch": has_element,
    "$eq": equals,
    "$exists": exists,
    "$in": is_in,
    "$ne": differs,
    "$nin": not_in,
    "$not": negated,
    "$size": has_size,
}


def kind(value: Any) -> str:
    """Return the kind of a value; all numbers are of one kind."""
    return "number" if is_number(value) else type(value).__name__


def array(name: str, operand: Any) -> list[Any]:
    """Return an operand that has to be an array."""
    if not isinstance(operand, list):
        raise malformed(f"{name} needs an array.", operand)
    return operand
