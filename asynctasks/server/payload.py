"""
What goes into a service's function, and what comes out of it.

Inputs, from the submitted bytes:

* nothing gives None;
* ``multipart/form-data`` gives the bytes of the first file, or of the first part
  where there is no file;
* JSON gives the decoded value: whatever is labelled as JSON, and an object or array
  without a label (some clients send none);
* other text gives text where it is UTF-8 and labelled ``text/*`` or not at all;
* anything else gives bytes.
"""

from __future__ import annotations

from typing import Any

import attrs

from .forms import parts_of
from ..exceptions import ResponseDecodeError
from ..sansio import codec


__all__ = ["Result", "decode_inputs", "encode_output"]

UNLABELLED = {"", "application/x-www-form-urlencoded"}
"""No content type, or the one that curl sends when it was told none."""


@attrs.frozen
class Result:
    """What a service returns when its content type matters."""

    content: bytes = attrs.field(repr=False)
    content_type: str = "application/octet-stream"


def decode_inputs(body: bytes, content_type: str) -> Any:
    """Turn a submitted body into the inputs of a function; see the module."""
    if not body:
        return None
    label = content_type.partition(";")[0].strip().lower()
    if label == "multipart/form-data":
        return first_file(body, content_type)
    sniffed = label in UNLABELLED and body.lstrip()[:1] in {b"{", b"["}
    if label == "application/json" or label.endswith("+json") or sniffed:
        try:
            return codec.loads(body)
        except ResponseDecodeError:
            pass  # a wrong label: the function may still make sense of the text
    elif label not in UNLABELLED and not label.startswith("text/"):
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def encode_output(value: Any) -> Result:
    """
    Turn what a function returned into the response of its task.

    Raises:
        InvalidArgument: it holds something that JSON cannot say.
    """
    if isinstance(value, Result):
        return value
    if value is None:
        return Result(b"")
    if isinstance(value, bytes | bytearray | memoryview):
        return Result(bytes(value))
    if isinstance(value, str):
        return Result(value.encode(), "text/plain; charset=utf-8")
    return Result(codec.dumps(value, name="result"), "application/json")


def first_file(body: bytes, content_type: str) -> bytes:
    """Return the bytes of the first file of a form, or of its first part."""
    parts = list(parts_of(body, content_type))
    files = (part for part in parts if part.file_name is not None)
    found = next(files, parts[0] if parts else None)
    return body if found is None else found.content
