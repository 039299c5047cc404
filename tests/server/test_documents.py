"""JSON that clients send."""

from __future__ import annotations

import pytest

from asynctasks.exceptions import ResponseDecodeError
from asynctasks.server.documents import DEEPEST, read_json


def nested(levels: int) -> tuple[bytes, bytes]:
    """Return an array and an object of so many levels."""
    return b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize("document", nested(DEEPEST))
def test_deepest(document: bytes) -> None:
    """What is just deep enough is read."""
    assert read_json(document)


@pytest.mark.parametrize(
    "document",
    [*nested(DEEPEST + 1), *nested(900), *nested(100_000), b"NaN", b"", b"\xff"],
)
def test_refused(document: bytes) -> None:
    """What is deeper, or no JSON, is refused by the one error."""
    with pytest.raises(ResponseDecodeError):
        read_json(document)


def test_wide() -> None:
    """A document may have any number of arrays and objects beside each other."""
    found = read_json(b"[" + b'{"a":[]},' * 1000 + b"1]")

    assert [{"a": []}] * 1000 + [1] == found
