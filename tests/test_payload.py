"""What submits send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.payload import build_payload


@pytest.mark.parametrize(
    ("arguments", "body", "kind"),
    [
        ({}, b"", None),
        ({"inputs": {"x": [1, None]}}, b'{"x":[1,null]}', "application/json"),
        ({"inputs": 0}, b"0", "application/json"),
        ({"content": "tö"}, "tö".encode(), "text/plain; charset=utf-8"),
        ({"content": b"\x00"}, b"\x00", "application/octet-stream"),
        ({"content": "a,b", "content_type": "text/csv"}, b"a,b", "text/csv"),
    ],
    ids=["nothing", "json", "zero", "text", "bytes", "typed"],
)
async def test_payload(
    arguments: dict[str, Any], body: bytes, kind: str | None
) -> None:
    """Inputs are JSON; content goes as it is, with its kind or the one given."""
    payload = await build_payload(**arguments)

    assert (body, kind) == (payload.body, payload.content_type)
    assert arguments.get("inputs") == payload.inputs


async def test_form_has_a_boundary_of_its_own() -> None:
    """What a file says cannot be taken for the end of its part."""
    one, other = [await build_payload(files={"a": b"x"}) for _ in range(2)]

    assert (one.content_type or "").startswith("multipart/form-data; boundary=")
    assert one.content_type != other.content_type


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"inputs": {}, "content": b""}, "inputs"),
        ({"inputs": {}, "files": {}}, "inputs"),
        ({"content": b"", "files": {}}, "inputs"),
        ({"inputs": {}, "content_type": "text/plain"}, "content_type"),
        ({"files": {"a": b""}, "content_type": "text/plain"}, "content_type"),
        ({"content": b"", "content_type": "text/plain\r\nX: y"}, "content_type"),
        ({"content": 3}, "content"),
        ({"content": Path("/does/not/exist")}, "content"),
        ({"files": {}}, "files"),
        ({"inputs": {"x": float("nan")}}, "inputs.x"),
        ({"inputs": {"when": object()}}, "inputs.when"),
    ],
)
async def test_argument_that_cannot_be_sent(
    arguments: dict[str, Any], name: str
) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidArgument) as caught:
        await build_payload(**arguments)

    assert (name, False) == (caught.value.name, caught.value.sent)
