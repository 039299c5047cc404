"""
Services as scripts: called as OML calls them, their results written as OML does.

A service that is run by ``do-eval`` is called as ever: with its inputs, and with a
:class:`TaskContext` if it declares a second parameter. Run by another function it is
called as ``service(data, **parameters)``: data are rows (a list of dicts), or the
number of the run. A list of rows that it returns is a table.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any

import attrs

from .functions import ScriptCall
from .scripts import Drawn
from ..context import TaskContext
from ..payload import Result, decode_inputs
from ..tasks import Service
from ...exceptions import InvalidArgument
from ...sansio import codec


__all__ = ["ScriptFailed", "as_script"]

SIZE_LIMIT = 5000
"""Rows or items of a result at most (``OML_OUTPUT_SZLIMIT``)."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class ScriptFailed(Exception):
    """Raised when what a script returned cannot be a result."""


def as_script(service: Service, call: ScriptCall) -> Service:
    """Return the service that is run for a call."""
    kind = AwaitedScript if service.is_async else Script
    return attrs.evolve(service, function=kind(service, call))


@attrs.frozen
class Script:
    """Calls a plain function."""

    service: Service
    call: ScriptCall

    def __call__(self, inputs: Any, context: TaskContext) -> Result:
        """Run the script as often as is wanted."""
        calls = arguments(self.service, self.call, inputs, context)
        values = [self.service.function(*args, **named) for args, named in calls]
        return build_result(self.call, values)


@attrs.frozen
class AwaitedScript:
    """Awaits an async function."""

    service: Service
    call: ScriptCall

    async def __call__(self, inputs: Any, context: TaskContext) -> Result:
        """Run the script as often as is wanted."""
        calls = arguments(self.service, self.call, inputs, context)
        values = [await self.service.function(*args, **named) for args, named in calls]
        return build_result(self.call, values)


def arguments(
    service: Service, call: ScriptCall, inputs: Any, context: TaskContext
) -> Iterable[Arguments]:
    """Yield what the script is called with."""
    if isinstance(inputs, Mapping):
        # What begins so steers the engine, and is no business of the script.
        inputs = {k: v for k, v in inputs.items() if not k.startswith("oml_")}
    if call.function == "do-eval":
        yield (inputs, context) if service.takes_context else (inputs,), {}
        return
    if call.function == "index-apply" and len(call.pieces) > SIZE_LIMIT:
        # Each run gives one item of the result: none of them has to be made.
        raise ScriptFailed(f"Output exceeds maximum length {SIZE_LIMIT}")
    for piece in call.pieces:
        context.check()
        yield (piece,), dict(inputs or {})


# --- results -----------------------------------------------------------------


def build_result(call: ScriptCall, values: Sequence[Any]) -> Result:
    """
    Put what the script returned into its envelope.

    Raises:
        ScriptFailed: it is too long, or JSON cannot say it.
    """
    images = [i for each in values if isinstance(each, Drawn) for i in each.images]
    value = COMBINE[call.function](call, [plain(each) for each in values])
    if isinstance(value, Sized) and len(value) > SIZE_LIMIT:
        raise ScriptFailed(f"Output exceeds maximum length {SIZE_LIMIT}")
    try:
        if call.graphics and images:
            value = pictures(value, images)
        document = {"result": value}
        if call.comments is not None:
            document["comments"] = call.comments
        return Result(codec.dumps(document, name="result"), "application/json")
    except InvalidArgument as exc:
        raise ScriptFailed(f"Output malformed JSON: {exc}") from exc


def plain(value: Any) -> Any:
    """Return what a script returned as JSON has it."""
    if isinstance(value, Drawn):
        return plain(value.value)
    if isinstance(value, Result):
        return decode_inputs(value.content, value.content_type)
    return list(value) if isinstance(value, tuple) else value


def pictures(value: Any, images: Sequence[bytes]) -> list[dict[str, Any]]:
    """Write down images: one element each, with the value as JSON within JSON."""
    data = codec.dumps(value, name="result").decode()
    return [
        {"IMAGE": encode(image), "DATA": data, "ID": number}
        for number, image in enumerate(images, 1)
    ]


def encode(image: bytes) -> str:
    """Write bytes in base 64."""
    return base64.b64encode(image).decode()


def one(call: ScriptCall, values: Sequence[Any]) -> Any:
    """Return the only value."""
    del call
    return values[0]


def every(call: ScriptCall, values: Sequence[Any]) -> Any:
    """Return the value of each run."""
    del call
    return list(values)


def chunks(call: ScriptCall, values: Sequence[Any]) -> Any:
    """Return the tables of all chunks as one."""
    if all(isinstance(value, list) for value in values):
        return [row for value in values for row in value]
    return every(call, values)


def groups(call: ScriptCall, values: Sequence[Any]) -> Any:
    """
    Return the value of each group, by its name; tables by columns.

    The documented example has groups such as ``versicolor_8``: several tables that a
    script returns for one group are numbered, from 1.
    """
    named: dict[str, Any] = {}
    for name, value in zip(call.names, values, strict=True):
        if is_list_of(value, is_table):
            for number, table in enumerate(value, 1):
                named[f"{name}_{number}"] = by_columns(table)
        else:
            named[name] = by_columns(value) if is_table(value) else value
    return named


def is_table(value: Any) -> bool:
    """Tell whether a value is a list of rows."""
    return is_list_of(value, lambda row: isinstance(row, Mapping))


def is_list_of(value: Any, test: Callable[[Any], bool]) -> bool:
    """Tell whether a value is a list of such items, and has some."""
    return isinstance(value, list) and bool(value) and all(map(test, value))


def by_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Write rows as columns: values by the number of their row."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: {str(number): row.get(name) for number, row in enumerate(rows)}
        for name in names
    }


COMBINE: Mapping[str, Callable[[ScriptCall, Sequence[Any]], Any]] = {
    "do-eval": one,
    "table-apply": one,
    "row-apply": chunks,
    "group-apply": groups,
    "index-apply": every,
}
