"""JSON Patch (RFC 6902): the changes that PATCH asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from .refusals import malformed
from .where import same
from ..documents import read_json
from ...exceptions import InvalidArgument, ResponseDecodeError
from ...sansio import codec


__all__ = ["apply_patch"]

LARGEST = 16 * 1024 * 1024
"""Bytes of a document that a patch copies within; those of one of MongoDB."""


def apply_patch(document: Any, patch: Any) -> Any:
    """
    Return a changed copy; the document stays as it is.

    Raises:
        Refused: the patch is none, or does not fit; then nothing is changed.
    """
    if not isinstance(patch, list):
        raise malformed("A patch is a JSON array of operations.", patch)
    root = {"": deepcopy(document)}
    for step in patch:
        word = str(step.get("op") if isinstance(step, Mapping) else step)
        if word not in STEPS:
            raise malformed(f"A patch has no operation {word!r}.", word)
        try:
            STEPS[word](root, step)
        except (LookupError, TypeError, ValueError) as exc:
            message = f"The operation {word} cannot be done: {exc}."
            raise malformed(message, step) from exc
        if word == "copy":
            check_size(root[""])
    return root[""]


def check_size(document: Any) -> None:
    """Refuse what copies of copies have made too large or too deep."""
    try:
        data = codec.dumps(document, name="patch")
        read_json(data)
    except (InvalidArgument, ResponseDecodeError) as exc:
        raise malformed("A patch makes a document that is nested too deeply.") from exc
    if len(data) > LARGEST:
        raise malformed(f"A patch makes {LARGEST:,} bytes at most.")


def parse_pointer(pointer: str) -> list[str]:
    """Split a JSON pointer (RFC 6901)."""
    # The guide's WebSocket example writes "temperature" for "/temperature".
    path = pointer if pointer[:1] in {"", "/"} else f"/{pointer}"
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]


def place(root: Any, pointer: str) -> tuple[Any, Any]:
    """Return what holds a place, and its key or index."""
    *path, last = parse_pointer(pointer)
    holder = root
    for part in path:
        holder = holder[index(holder, part)]
    return holder, index(holder, last)


def index(holder: Any, part: str) -> Any:
    """Return a part of a pointer as what it is in its holder."""
    if isinstance(holder, dict):
        return part
    if not isinstance(holder, list):
        raise TypeError(f"there is nothing in which {part!r} could be")
    if part == "-":
        return len(holder)
    if not (part.isascii() and part.isdigit()):
        raise ValueError(f"{part!r} is no index")
    return int(part)


def get(root: Any, pointer: str) -> Any:
    """Return what is at a place."""
    holder, key = place(root, pointer)
    return holder[key]


def add(root: Any, pointer: str, value: Any) -> None:
    """Put a value at a place; in an array, before what is there."""
    holder, key = place(root, pointer)
    if isinstance(holder, list):
        if key > len(holder):
            raise IndexError(f"the array ends before {key}")
        holder.insert(key, value)
    else:
        holder[key] = value


def remove(root: Any, pointer: str) -> Any:
    """Take away and return what is at a place."""
    holder, key = place(root, pointer)
    return holder.pop(key)


def replace(root: Any, step: Mapping[str, Any]) -> None:
    """Put a value in place of another."""
    holder, key = place(root, step["path"])
    holder[key]  # has to be there
    holder[key] = step["value"]


def move(root: Any, step: Mapping[str, Any]) -> None:
    """Take a value from one place to another."""
    if f"{step['path']}/".startswith(f"{step['from']}/"):
        if step["path"] == step["from"]:
            return
        raise ValueError("nothing can be moved into itself")
    add(root, step["path"], remove(root, step["from"]))


def test(root: Any, step: Mapping[str, Any]) -> None:
    """Insist on a value."""
    if not same_members(get(root, step["path"]), step["value"]):
        raise ValueError(f"{step['path']} is another value")


def same_members(one: Any, other: Any) -> bool:
    """Compare without regard to the order of members."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_members(value, other[name]) for name, value in one.items()
        )
    return same(one, other)


STEPS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": lambda root, step: add(root, step["path"], step["value"]),
    "copy": lambda root, step: add(
        root, step["path"], deepcopy(get(root, step["from"]))
    ),
    "move": move,
    "remove": lambda root, step: remove(root, step["path"]),
    "replace": replace,
    "test": test,
}
