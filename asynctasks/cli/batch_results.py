"""Where the lines of a batch go: to stdout, or to a file that survives a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .batch_lines import LineFile, build_line, write_line
from .terminal import Terminal
from ..batch import BatchItem
from ..exceptions import JournalFull
from ..journal import Journal
from ..sansio.ledger import ItemState


__all__ = ["Results", "open_results"]


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
        """Write what the journal has: an earlier run may have been cut off anywhere."""
        if self._resume:
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
