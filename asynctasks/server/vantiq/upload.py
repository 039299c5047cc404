"""Uploads: the one file of a multipart form."""

from __future__ import annotations

from email.message import Message
import re
from urllib.parse import unquote

import attrs

from .refusals import malformed


__all__ = ["Upload", "parse_upload"]

FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
ENCODED = re.compile(r"filename\*=utf-8''([^;\s]+)", re.IGNORECASE)
KIND = re.compile(r"^content-type:\s*(\S[^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@attrs.frozen
class Upload:
    """A file that was uploaded."""

    name: str
    content_type: str
    content: bytes


def parse_upload(body: bytes, content_type: str) -> Upload:
    """
    Read the first file of a form.

    The document gets the name of the part's *file*, as the vendor's SDKs expect,
    although the vendor's guide says the name of the part.

    Raises:
        Refused: there is none.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = str(message.get_param("boundary", "")).encode()
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace")
        name = parse_filename(lines)
        if name:
            kind = KIND.search(lines)
            found = kind[1].strip() if kind else "application/octet-stream"
            return Upload(name, found, content)
    raise malformed("An upload is a multipart form with one file.")


def parse_filename(head: str) -> str:
    """Return the name of a part's file; empty where it has none."""
    encoded = ENCODED.search(head)
    if encoded:
        return unquote(encoded[1])
    plain = FILENAME.search(head)
    # Browsers write %22 for a quote (WHATWG HTML), others a backslash before it.
    name = re.sub(r"\\(.)", r"\1", plain[1]) if plain else ""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
