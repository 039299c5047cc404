"""Forms that clients send: the parts of a ``multipart/form-data`` body (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
import re
from urllib.parse import unquote

import attrs


__all__ = ["Part", "parts_of"]

QUOTED = r'="((?:[^"\\]|\\.)*)"'

NAME = re.compile(rf"\bname{QUOTED}", re.IGNORECASE)
FILENAME = re.compile(rf"filename{QUOTED}", re.IGNORECASE)
ENCODED = re.compile(r"filename\*=utf-8''([^;\s]+)", re.IGNORECASE)
DISPOSITION = re.compile(
    r"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
KIND = re.compile(r"^content-type:[ \t]*(\S[^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@attrs.frozen
class Part:
    """One part of a form."""

    name: str
    file_name: str | None
    """None where the part is no file."""

    content_type: str
    """Empty where the part does not say."""

    content: bytes = attrs.field(repr=False)


def parts_of(body: bytes, content_type: str) -> Iterator[Part]:
    """
    Yield the parts of a form; none where the body is not one.

    Args:
        body: the whole body of the request.
        content_type: the header of that name, which has the boundary.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = str(message.get_param("boundary", "")).encode()
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []
    for piece in pieces:
        head, _, content = piece.partition(b"\r\n\r\n")
        yield read_part(head.decode("utf-8", "replace"), content)


def read_part(head: str, content: bytes) -> Part:
    """Read the header of a part."""
    found = DISPOSITION.search(head)
    disposition = found[1] if found else ""
    named, kind = NAME.search(disposition), KIND.search(head)
    return Part(
        name=unescaped(named[1]) if named else "",
        file_name=file_name_of(disposition),
        content_type=kind[1].strip() if kind else "",
        content=content,
    )


def file_name_of(disposition: str) -> str | None:
    """Return the name of a part's file; None where it is none."""
    encoded = ENCODED.search(disposition)
    if encoded:
        return unquote(encoded[1])
    plain = FILENAME.search(disposition)
    return unescaped(plain[1]) if plain else None


def unescaped(text: str) -> str:
    """Return what a quoted text means."""
    # Browsers write %22 for a quote (WHATWG HTML), others a backslash before it.
    text = re.sub(r"\\(.)", r"\1", text)
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
