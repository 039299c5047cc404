"""
What is submitted to Insula: a job configuration, and what its service wants.

All inputs are lists of strings. The collections that take the outputs are JSON
within such a string.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from . import codec
from ..exceptions import InvalidArgument


__all__ = ["check_inputs", "encode_inputs", "id_text"]

COLLECTION = "collection"

UNDECLARED = frozenset({COLLECTION, "geoServerSpec", "timeout"})
"""Inputs of the platform, which no service declares."""

PARALLEL = "PARALLEL_PROCESSOR"

PARALLEL_INPUT = "parallelInputs"
"""The values of this input of a parallel service become one sub-job each ..."""

SINGLE_INPUT = "input"
"""... which receives its value under this name."""


def id_text(value: Any, name: str = "id") -> str:
    """
    Return an id as text: of a number, a text, or the row of an entity.

    Raises:
        InvalidArgument: it is none of these.
    """
    if isinstance(value, Mapping):
        value = value.get("id")
    if isinstance(value, bool) or not isinstance(value, int | str):
        remedy = "give an id, or a row that has one"
        raise InvalidArgument(name, type(value).__name__, remedy)
    return str(value)


def encode_inputs(inputs: Any, outputs: Any = None) -> dict[str, list[str]]:
    """
    Write inputs as the service takes them.

    Args:
        inputs: by id, a value or several in a list. Text goes as it is, numbers and
            booleans as JSON writes them, objects as JSON.
        outputs: the identifiers of the collections that take the outputs, by output.

    Raises:
        InvalidArgument: a value cannot be written as text.
    """
    if inputs is not None and not isinstance(inputs, Mapping):
        remedy = "give a mapping of input ids to values"
        raise InvalidArgument("inputs", type(inputs).__name__, remedy)
    encoded = {
        _name(name): list(_texts(name, value))
        for name, value in (inputs or {}).items()
        if value is not None
    }
    if outputs:
        if COLLECTION in encoded:
            remedy = "give the collections in outputs= or in the inputs, not in both"
            raise InvalidArgument("outputs", dict(outputs), remedy)
        encoded[COLLECTION] = [_collections(outputs)]
    return encoded


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidArgument("inputs", name, "the id of an input is text")
    return name


def _texts(name: str, value: Any) -> Iterator[str]:
    many = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    for each in value if many else (value,):
        if isinstance(each, str):
            yield each
        elif isinstance(each, int | float | Mapping | list | tuple):
            yield codec.dumps(each, name=f"inputs[{name!r}]").decode()
        else:
            remedy = "give text, numbers, booleans or objects"
            raise InvalidArgument(f"inputs[{name!r}]", type(each).__name__, remedy)


def _collections(outputs: Any) -> str:
    if not isinstance(outputs, Mapping) or not all(
        isinstance(text, str) and text for pair in outputs.items() for text in pair
    ):
        remedy = "give the identifiers of collections by output id"
        raise InvalidArgument("outputs", outputs, remedy)
    return codec.dumps(dict(outputs), name="outputs").decode()


# --- what the service wants --------------------------------------------------


@attrs.frozen(kw_only=True)
class _Wanted:
    """One declared input."""

    id: str
    required: bool
    most: int
    """How many values at most; 0 where nothing is said."""


def check_inputs(
    service: Mapping[str, Any],
    inputs: Mapping[str, Sequence[str]],
    parallel: Sequence[str] = (),
) -> None:
    """
    Compare inputs with the descriptor of their service.

    Args:
        service: the service's document.
        inputs: as :func:`encode_inputs` wrote them.
        parallel: inputs of which every value becomes a job of its own.

    Raises:
        InvalidArgument: inputs are missing, unknown, or have too many values; or an
            output is not one of the service.
    """
    descriptor = service.get("serviceDescriptor")
    if not isinstance(descriptor, Mapping):
        remedy = "the service does not describe its inputs; submit without the check"
        raise InvalidArgument("check_inputs", True, remedy)  # noqa: FBT003 - what was given
    split = {*parallel, _text(descriptor.get("parallelInputsKey"))}
    declared = {wanted.id: wanted for wanted in _declared(descriptor, "dataInputs")}
    known = declared.keys() | UNDECLARED
    if service.get("type") == PARALLEL:
        known |= {PARALLEL_INPUT}
        split |= {PARALLEL_INPUT}
        if PARALLEL_INPUT in inputs:
            declared.pop(SINGLE_INPUT, None)
    _refuse("has no input", set(inputs) - known, sorted(declared))
    missing = {w.id for w in declared.values() if w.required and not inputs.get(w.id)}
    _refuse("needs the input", missing, sorted(declared))
    for wanted in declared.values():
        _check_number(wanted, inputs, split)
    _check_outputs(descriptor, inputs)


def _check_number(
    wanted: _Wanted, inputs: Mapping[str, Sequence[str]], split: set[str]
) -> None:
    given = len(inputs.get(wanted.id, ()))
    if 0 < wanted.most < given and wanted.id not in split:
        remedy = f"the service takes at most {wanted.most}"
        raise InvalidArgument(f"inputs[{wanted.id!r}]", f"{given} values", remedy)


def _check_outputs(
    descriptor: Mapping[str, Any], inputs: Mapping[str, Sequence[str]]
) -> None:
    outputs = sorted(wanted.id for wanted in _declared(descriptor, "dataOutputs"))
    for text in inputs.get(COLLECTION, ()):
        given = codec.loads(text.encode())
        names = set(given) if isinstance(given, dict) else set()
        _refuse("has no output", names - set(outputs), outputs)


def _refuse(what: str, names: set[str], known: Sequence[str]) -> None:
    if names:
        remedy = f"the service {what}; it has: {', '.join(known) or 'none'}"
        raise InvalidArgument("inputs", ", ".join(sorted(names)), remedy)


def _declared(descriptor: Mapping[str, Any], name: str) -> Iterator[_Wanted]:
    found = descriptor.get(name)
    for each in found if isinstance(found, list) else ():
        if not isinstance(each, dict) or not _text(each.get("id")):
            continue
        attributes = each.get("defaultAttrs")
        has_default = isinstance(attributes, dict) and bool(attributes.get("value"))
        yield _Wanted(
            id=_text(each.get("id")),
            required=_count(each.get("minOccurs")) > 0 and not has_default,
            most=_count(each.get("maxOccurs")),
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
