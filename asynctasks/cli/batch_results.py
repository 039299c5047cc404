"""Where the lines of a batch go: to stdout, or to a file that survives a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from .batch_lines import LineFile, build_line, write_line
from .terminal import Terminal
from ..batch import BatchItem
from ..exceptions import InvalidArgument, JournalFull, ResponseDecodeError
from ..journal import Journal
from ..sansio import codec
from ..sansio.ledger import ItemState


__all__ = ["Results", "open_results"]

BEGIN = b'{"index":'
"""What every line begins with."""

RESULTLESS = frozenset({ItemState.FAILED.value, ItemState.UNKNOWN.value})


class Results:
    """Prints a line for each item that ended."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    async def replay(self, journal: str) -> None:
        """Write what ended in earlier runs, where it does not come again."""

    def add(self, item: BatchItem) -> None:
        """Write the line of an item, if it is over."""
        if item.state.settled:
            self.write(item)

    def write(self, item: BatchItem) -> None:
        """Write the line of an item."""
        self._terminal.write_raw(write_line(build_line(item)))


class ResultFile(Results):
    """Writes the lines to a file, which it makes whole again first."""

    def __init__(self, terminal: Terminal, file: LineFile, *, resume: bool) -> None:
        super().__init__(terminal)
        self._file = file
        self._resume = resume

    async def replay(self, journal: str) -> None:
        """
        Write what the journal has: an earlier run may have been cut off anywhere.

        Raises:
            InvalidArgument: the file has lines that are not of this batch.
        """
        if self._resume:
            await asyncio.to_thread(check_lines, self._file.path, journal)
            with writable(self._file):
                await asyncio.to_thread(self._file.replace, recorded_lines(journal))

    def write(self, item: BatchItem) -> None:
        """Write the line of an item, unless it was replayed."""
        if not (self._resume and item.recorded and item.ok):
            with writable(self._file):
                self._file.write(write_line(build_line(item)))


def recorded_lines(journal: str) -> Iterator[bytes]:
    """Yield the lines of the items that have a result. It blocks."""
    with Journal.read(journal) as reader:
        for entry in reader.items(ItemState.SUCCEEDED):
            yield write_line(build_line(entry))


def check_lines(path: Path, journal: str) -> None:
    """
    Refuse to replace lines that no run of a batch wrote. It blocks.

    Raises:
        InvalidArgument: there are some.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    done, keys = hash_items(journal)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if hash(line) not in done and not is_of(line, keys):
                remedy = (
                    f"line {number} is not of this batch: name another file for its "
                    f"results, with --journal {journal}"
                )
                raise InvalidArgument("--out", str(path), remedy)


def hash_items(journal: str) -> tuple[set[int], set[int]]:
    """
    Read what lines there may be: many items must fit into memory, so as hashes.

    Returns:
        The lines of results, which do not change; the keys of the items.
    """
    done: set[int] = set()
    keys: set[int] = set()
    with Journal.read(journal) as reader:
        for entry in reader.items():
            keys.add(hash(entry.key))
            if entry.state is ItemState.SUCCEEDED:
                done.add(hash(write_line(build_line(entry))))
    return done, keys


def is_of(line: bytes, keys: Container[int]) -> bool:
    """Tell whether a line without a result, or cut off, may be of these items."""
    if not line.endswith(b"\n"):
        return line.startswith(BEGIN) or BEGIN.startswith(line)
    try:
        row = codec.loads(line)
    except ResponseDecodeError:
        return False
    if not isinstance(row, dict) or row.get("state") not in RESULTLESS:
        return False
    return isinstance(row.get("key"), str) and hash(row["key"]) in keys


@contextmanager
def open_results(terminal: Terminal, out: str, *, resume: bool) -> Iterator[Results]:
    """
    Open what takes the lines.

    Args:
        terminal: prints them, if *out* is ``-``.
        out: else the file.
        resume: whether the file may have lines, of earlier runs.

    Raises:
        InvalidArgument: the file cannot be written, or has something in it.
    """
    if out == "-":
        yield Results(terminal)
        return
    with LineFile(Path(out), fresh=not resume) as file:
        yield ResultFile(terminal, file, resume=resume)


@contextmanager
def writable(file: LineFile) -> Iterator[None]:
    """Say that results cannot be written; the journal has them."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise JournalFull(str(file.path), f"cannot be written: {exc.strerror}") from exc
