"""The inputs of a batch: rows of JSON lines, CSV or Parquet, read when needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
import csv
from itertools import islice
from pathlib import Path
import re
import sys
from typing import Any, BinaryIO

from ..exceptions import InvalidArgument, ResponseDecodeError
from ..sansio import codec


__all__ = ["FORMATS", "count_rows", "read_rows", "stream"]

CHUNK = 256
"""Rows that are read at once; the event loop goes on meanwhile."""

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
"""A cell that is a number of JSON; 007 is none and stays as it is."""

WORDS: Mapping[str, Any] = {"": None, "true": True, "false": False, "null": None}
"""Cells that are no text."""


def read_rows(given: str) -> Iterator[Any]:
    """
    Read inputs one by one. It blocks.

    Args:
        given: a file, whose name ends in its format, or ``-`` for JSON lines of stdin.

    Raises:
        InvalidArgument: it cannot be read, or a row of it; it says which.
    """
    if given == "-":
        yield from read_jsonl("-", sys.stdin.buffer)
        return
    suffix = Path(given).suffix.lower()
    if suffix not in FORMATS:
        remedy = f"its name must end in {', '.join(FORMATS)}"
        raise InvalidArgument("INPUTS", given, remedy)
    with readable(given):
        yield from FORMATS[suffix](given)


def count_rows(given: str, key: Callable[[Any], str] | None = None) -> int:
    """
    Read all inputs once, to find what is wrong before anything is sent. It blocks.

    Args:
        given: see :func:`read_rows`.
        key: finds the key of a row.

    Raises:
        InvalidArgument: a row cannot be read, or has no key.
    """
    count = 0
    for count, row in enumerate(read_rows(given), 1):  # noqa: B007 - the last one
        if key is not None:
            key(row)
    return count


async def stream(given: str) -> AsyncIterator[Any]:
    """Give the inputs, a chunk of them read in a thread at a time."""
    rows = read_rows(given)
    while chunk := await asyncio.to_thread(lambda: list(islice(rows, CHUNK))):
        for row in chunk:
            yield row


@contextmanager
def readable(given: str) -> Iterator[None]:
    """Say what is wrong with a file."""
    try:
        yield
    except OSError as exc:
        remedy = f"cannot be read: {exc.strerror or exc}"
        raise InvalidArgument("INPUTS", given, remedy) from exc
    except (csv.Error, UnicodeDecodeError) as exc:
        raise InvalidArgument("INPUTS", given, f"cannot be read: {exc}") from exc


# --- formats -----------------------------------------------------------------


def read_jsonl_file(path: str) -> Iterator[Any]:
    """Read a file of JSON lines."""
    with Path(path).open("rb") as file:
        yield from read_jsonl(path, file)


def read_jsonl(name: str, lines: BinaryIO) -> Iterator[Any]:
    """Read a JSON value of each line; blank lines are none."""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            yield codec.loads(line)
        except ResponseDecodeError as exc:
            remedy = f"is not JSON: {exc.found}"
            raise InvalidArgument("INPUTS", f"{name}, line {number}", remedy) from exc


def read_csv(path: str) -> Iterator[dict[str, Any]]:
    """Read a row of each line: an object whose keys are the header's."""
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise InvalidArgument("INPUTS", path, "two columns have the same name")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                remedy = f"has {len(cells)} cells, the header {len(header)}"
                where = f"{path}, line {reader.line_num}"
                raise InvalidArgument("INPUTS", where, remedy)
            yield dict(zip(header, map(parse_cell, cells), strict=True))


def parse_cell(cell: str) -> Any:
    """Read a number, true, false and nothing as what they are; else text."""
    if NUMBER.fullmatch(cell):
        return codec.loads(cell.encode())
    return WORDS.get(cell, cell)


def read_parquet(path: str) -> Iterator[dict[str, Any]]:
    """Read a row after the other, a batch of them at a time."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - of an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as exc:
        remedy = "reading Parquet needs pyarrow: pip install pyarrow"
        raise InvalidArgument("INPUTS", path, remedy) from exc
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=CHUNK):
                yield from batch.to_pylist()
    except pa.ArrowException as exc:
        raise InvalidArgument("INPUTS", path, f"cannot be read: {exc}") from exc


FORMATS: Mapping[str, Callable[[str], Iterator[Any]]] = {
    ".jsonl": read_jsonl_file,
    ".ndjson": read_jsonl_file,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
"""How files are read, by the end of their name."""
