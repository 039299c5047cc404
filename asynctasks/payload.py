"""What a submit sends: inputs as JSON, content as it is, or a form of files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
import secrets
from typing import Any

from . import files as bodies
from .exceptions import InvalidArgument
from .sansio import codec
from .sansio.dialect import Payload
from .sansio.http import build_multipart, check_header


__all__ = ["build_payload"]


async def build_payload(
    inputs: Any = None,
    content: bodies.Content | None = None,
    content_type: str | None = None,
    files: Mapping[str, bodies.FileContent] | None = None,
) -> Payload:
    """
    Build the payload of a submit; files are looked at in a thread.

    Raises:
        InvalidArgument: an argument cannot be sent, or does not go with another.
    """
    _check_alone(inputs, content, content_type, files)
    if content is not None:
        # Looking at a file blocks.
        body, default = await asyncio.to_thread(bodies.as_body, content)
        return Payload(body=body, content_type=content_type or default)
    if files is not None:
        parts = await asyncio.to_thread(bodies.as_parts, files)
        form, kind = build_multipart(parts, boundary=secrets.token_hex(16))
        return Payload(body=form, content_type=kind)
    if inputs is None:
        return Payload()
    encoded = codec.dumps(inputs)
    return Payload(body=encoded, content_type="application/json", inputs=inputs)


def _check_alone(
    inputs: Any, content: object, content_type: str | None, files: object
) -> None:
    given = [kind is not None for kind in (inputs, content, files)]
    if sum(given) > 1:
        remedy = "give only one of inputs, content and files"
        raise InvalidArgument("inputs", "several", remedy)
    if content_type is None:
        return
    check_header("content_type", content_type)
    if content is None:
        remedy = "goes with content=; inputs are JSON, files a form"
        raise InvalidArgument("content_type", content_type, remedy)
