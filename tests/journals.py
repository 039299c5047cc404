"""Journals for tests: entries, and processes that write them until they are killed."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
from typing import Any

from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry, ItemState


__all__ = ["WRITER", "entry", "read_all", "start_writer", "write"]

WRITER = """
import asyncio, sys
from asynctasks.journal import Journal
from asynctasks.sansio.ledger import Entry

async def main():
    async with await Journal.open(sys.argv[1]) as journal:
        first = int(sys.argv[2])
        print("open", flush=True)

        async def write(index):
            await journal.put(Entry(key=f"{first}-{index}", index=index))
            sys.stdout.write(f"{first}-{index}\\n")
            sys.stdout.flush()

        async with asyncio.TaskGroup() as group:
            for lane in range(8):
                async def lane_of(lane=lane):
                    for index in range(lane, int(sys.argv[3]), 8):
                        await write(index)
                group.create_task(lane_of())

asyncio.run(main())
"""
"""Writes rows in eight lanes; prints the key of each that was acknowledged."""


def start_writer(path: Path, first: int, rows: int) -> subprocess.Popen[str]:
    """Start a process that writes rows."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first), str(rows)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def entry(index: int = 0, **facts: Any) -> Entry:
    """Make an entry."""
    return Entry(**{"key": f"k{index}", "index": index, "service": "s", **facts})


async def write(path: Path, *entries: Entry) -> None:
    """Write a journal."""
    async with await Journal.open(path) as journal:
        for each in entries:
            await journal.put(each)


def read_all(path: Path, *states: ItemState, salvage: bool = False) -> list[Entry]:
    """Read a journal."""
    with Journal.read(path, salvage=salvage) as reader:
        return list(reader.items(*states))
