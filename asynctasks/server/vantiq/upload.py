"""Uploads: the one file of a multipart form."""

from __future__ import annotations

import attrs

from .refusals import malformed
from ..forms import parts_of


__all__ = ["Upload", "parse_upload"]


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
    for part in parts_of(body, content_type):
        if part.file_name:
            kind = part.content_type or "application/octet-stream"
            return Upload(part.file_name, kind, part.content)
    raise malformed("An upload is a multipart form with one file.")
