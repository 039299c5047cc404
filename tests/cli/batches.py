"""Inputs and results of batches."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any


__all__ = ["Write", "read"]

Write = Callable[..., str]
"""Writes inputs into the working directory; see the fixture."""


def read(path: str | Path) -> list[Any]:
    """Read lines of results, in the order of the inputs."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return sorted(lines, key=lambda line: line["index"])
