"""
The text that stands for one task, in any process and for years.

A token is versioned JSON: the protocol and its version, the origin, and what
identifies the task there. It holds no secret, and is checked when it is read.
"""

from __future__ import annotations

from typing import Any

import attrs

from . import codec
from .dialect import Dialect
from .task import TaskRef
from ..exceptions import InvalidArgument, ResponseDecodeError


__all__ = ["build_token", "parse_token"]

VERSION = 1

FIELDS = {
    "id": "id",
    "service": "service",
    "app": "app",
    "app_version": "appVersion",
    "run": "run",
    "generation": "generation",
    "trace": "trace",
}
"""The fields of a :class:`TaskRef` and their names in a token."""


def build_token(dialect: Dialect, origin: str, ref: TaskRef) -> str:
    """
    Write the token of a task.

    Args:
        dialect: what the client speaks.
        origin: whom it speaks to.
        ref: the task.

    Raises:
        InvalidArgument: the task's id or names are not valid Unicode.
    """
    document: dict[str, Any] = {
        "asynctasks": VERSION,
        "protocol": dialect.protocol,
        "variant": dialect.variant,
        "origin": origin,
    }
    for name, value in attrs.asdict(ref).items():
        if value is not None:
            document[FIELDS[name]] = value
    return codec.dumps(document, name="token").decode()


def parse_token(text: str, dialect: Dialect, origin: str) -> TaskRef:
    """
    Read the token of a task, or a bare id.

    Args:
        text: a token, or an id of the service.
        dialect: what the client speaks.
        origin: whom it speaks to.

    Raises:
        InvalidArgument: it is no token, or one of another service.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgument("token", text, "give a task's token or its id")
    if not text.lstrip().startswith("{"):
        return TaskRef(id=text)
    try:
        document = codec.loads(text.encode())
    except (ResponseDecodeError, UnicodeEncodeError) as exc:
        raise InvalidArgument("token", text, "is cut off or damaged") from exc
    version = document.get("asynctasks")
    if type(version) is not int or version != VERSION:  # True and 1.0 equal 1
        remedy = "is of another version; read it with the version that wrote it"
        raise InvalidArgument("token", text, remedy)
    ours = {"protocol": dialect.protocol, "variant": dialect.variant, "origin": origin}
    for name, expected in ours.items():
        if document.get(name) != expected:
            remedy = f"belongs to another {name}; this client's is {expected}"
            raise InvalidArgument("token", f"{name} {document.get(name)}", remedy)
    return _ref(document, text)


def _ref(document: dict[str, Any], text: str) -> TaskRef:
    values: dict[str, Any] = {name: document.get(key) for name, key in FIELDS.items()}
    numbers = {name: values.pop(name) for name in ("run", "generation")}
    texts = all(value is None or isinstance(value, str) for value in values.values())
    counts = all(value is None or _is_count(value) for value in numbers.values())
    if not texts or not counts or not values["id"]:
        raise InvalidArgument("token", text, "is damaged")
    return TaskRef(**numbers, **values)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0  # a bool is no number here
