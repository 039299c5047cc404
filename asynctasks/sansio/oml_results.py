"""
What scripts return: the envelope around it, images, and tables in their two forms.

Sources: the pages on return values and results in the OML4Py REST guide, the
notebooks of oracle-samples/oracle-db-examples, and dbt-oracle for failures.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from . import codec
from .answers import expect
from .http import Response
from .task import TaskState, TaskStatus
from ..exceptions import (
    InvalidArgument,
    RemoteProtocolError,
    ResponseDecodeError,
    TaskCancelled,
    TaskFailed,
)


__all__ = [
    "Image",
    "decode_images",
    "is_own_failure",
    "open_result",
    "parse_failure",
    "rows_of",
]

MAY_SPEAK_OF_SCRIPTS = frozenset({200, 400, 500})
"""
Statuses under which an error message may be the script's.

A failed script is documented as 400 for a synchronous call; of a job it may be any of
them, and dbt-oracle looks for the message whatever the status is.
"""


def parse_failure(response: Response) -> str | None:
    """Return the words of a failed script; None where the answer has none."""
    if response.status not in MAY_SPEAK_OF_SCRIPTS:
        return None
    try:
        document = response.json()
    except RemoteProtocolError:
        return None
    if not isinstance(document, dict) or "errorMessage" not in document:
        return None
    words = document["errorMessage"]
    return words if isinstance(words, str) else codec.dumps(words).decode()


def is_own_failure(response: Response) -> bool:
    """Tell whether an answer speaks of a script: only its failures have a code."""
    return parse_failure(response) is not None and "errorCode" in response.json()


def open_result(
    response: Response, task_id: str, status: TaskStatus | None = None
) -> Response:
    """
    Take the value of a script out of its envelope.

    Args:
        response: the answer that carries ``{"result": ...}``.
        task_id: what an error is about.
        status: what was known of the job.

    Returns:
        An answer whose body is the value alone, as JSON.

    Raises:
        TaskFailed: the script failed; the error has the service's words.
        TaskCancelled: it has a message, and a cancel was asked for before.
    """
    words = parse_failure(response)
    if words is not None:
        cancelled = status is not None and status.cancel_requested
        state = TaskState.CANCELLED if cancelled else TaskState.FAILED
        ended = attrs.evolve(
            status or TaskStatus(state=state),
            state=state,
            done=True,
            outcome_known=True,
            message=words,
        )
        raise (TaskCancelled if cancelled else TaskFailed)(task_id, "", ended)
    document = expect(response, 200).json()
    if not isinstance(document, dict) or "result" not in document:
        raise RemoteProtocolError("a value at $.result", response.redacted())
    value = codec.dumps(document["result"], name="result")
    return attrs.evolve(response, body=value)


# --- images ------------------------------------------------------------------


@attrs.frozen
class Image:
    """An image that a script rendered, and what it returned."""

    id: int
    """Its number, from 1."""

    content: bytes = attrs.field(repr=False)
    """The image as it is in a file: PNG, as far as is documented."""

    data: Any = attrs.field(default=None, repr=False)
    """What the script returned."""


def decode_images(result: Any) -> list[Image]:
    """
    Decode what a call with ``graphics=True`` gives.

    Args:
        result: what ``result()`` returned: ``[{"IMAGE": ..., "DATA": ..., "ID": 1}]``.

    Raises:
        InvalidArgument: it holds no images.
    """
    rows = result if isinstance(result, list) else [result]
    try:
        return [_image(number, row) for number, row in enumerate(rows, 1)]
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        ResponseDecodeError,
    ) as exc:
        remedy = "is no result of a call with graphics=True"
        raise InvalidArgument("result", type(result).__name__, remedy) from exc


def _image(number: int, row: Mapping[str, Any]) -> Image:
    data = row.get("DATA")
    # The return value is JSON within the JSON.
    value = codec.loads(data.encode()) if isinstance(data, str) else data
    content = base64.b64decode(row["IMAGE"], validate=True)
    return Image(row.get("ID", number), content, value)


# --- tables ------------------------------------------------------------------


def rows_of(result: Any, *, group: str | None = None) -> list[dict[str, Any]]:
    """
    Make rows of a result that is a table, or several of them by group or run.

    A table is a list of objects, or an object of columns (``{"A": {"0": 1}}``): the
    service writes both. Groups are objects of tables, runs are lists of them.

    Args:
        result: what ``result()`` returned.
        group: the column in which the name of the group is put, or the number of the
            run, from 1; None puts it nowhere.

    Raises:
        InvalidArgument: it is no table.
    """
    table = _rows(result)
    if table is not None:
        return table
    rows: list[dict[str, Any]] = []
    for name, each in _tables(result):
        table = _rows(each)
        if table is None:
            remedy = "is no table: neither rows nor columns, nor groups of them"
            raise InvalidArgument("result", type(result).__name__, remedy)
        extra = {} if group is None else {group: name}
        rows += [{**extra, **row} for row in table]
    return rows


def _tables(result: Any) -> Iterable[tuple[Any, Any]]:
    """Return what are meant to be tables, with the group or run that each is of."""
    if isinstance(result, dict):
        return result.items()
    return enumerate(result if isinstance(result, list) else [None], 1)


def _rows(table: Any) -> list[dict[str, Any]] | None:
    """Return the rows of one table; None where it is none."""
    if isinstance(table, list):
        objects = all(isinstance(row, dict) for row in table)
        return [dict(row) for row in table] if objects else None
    if not isinstance(table, dict) or not all(map(_is_column, table.values())):
        return None
    marks = {mark: None for column in table.values() for mark in column}
    return [
        {name: column.get(mark) for name, column in table.items()} for mark in marks
    ]


def _is_column(value: Any) -> bool:
    """Tell whether an object is a column: values by the number of their row."""
    return isinstance(value, dict) and all(
        mark.isdecimal() and not isinstance(item, dict | list)
        for mark, item in value.items()
    )
