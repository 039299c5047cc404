"""
The schema of a journal, and how an entry is written as a row of it.

Every row has a checksum: damage that SQLite does not see must not make an item look
as if it had never been submitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
import zlib

import attrs

from .exceptions import AsyncTasksError
from .sansio import codec
from .sansio.ledger import Entry, Failure, ItemState, Timings


__all__ = [
    "APPLICATION",
    "COLUMNS",
    "LIST",
    "MIGRATIONS",
    "VERSION",
    "DamagedRow",
    "build_row",
    "parse_row",
]

APPLICATION = 0x4154534B
"""Marks an SQLite file as a journal of ours (``PRAGMA application_id``)."""

MIGRATIONS = (
    # 1: the items, what service they are of, and who writes.
    """
    CREATE TABLE items (
        key TEXT PRIMARY KEY NOT NULL, idx INTEGER NOT NULL, digest TEXT NOT NULL,
        service TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        config_id TEXT, token TEXT NOT NULL, task_id TEXT NOT NULL,
        earlier TEXT NOT NULL, failure TEXT NOT NULL, candidates TEXT NOT NULL,
        retries TEXT NOT NULL,
        submitted REAL, queued REAL, started REAL, ended REAL, fetched REAL,
        queue_time REAL, run_time REAL,
        result BLOB, media_type TEXT NOT NULL, stored TEXT NOT NULL,
        crc INTEGER NOT NULL, run INTEGER NOT NULL
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
    CREATE TABLE lock (
        id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL,
        pid INTEGER NOT NULL, host TEXT NOT NULL, beat REAL NOT NULL
    );
    """,
    # 2: when each run began and was last heard of, for reports.
    """
    CREATE TABLE runs (
        run INTEGER PRIMARY KEY, began REAL NOT NULL, beat REAL NOT NULL
    );
    INSERT INTO runs SELECT DISTINCT run, 0.0, 0.0 FROM items;
    """,
)
"""What makes each version of the schema of the one before it."""

VERSION = len(MIGRATIONS)

TIMES = tuple(field.name for field in attrs.fields(Timings))

COLUMNS = (
    "key",
    "idx",
    "digest",
    "service",
    "state",
    "attempts",
    "config_id",
    "token",
    "task_id",
    "earlier",
    "failure",
    "candidates",
    "retries",
    *TIMES,
    "result",
    "media_type",
    "stored",
    "crc",
)
"""The columns of an entry, the checksum last."""

LIST = f"SELECT {', '.join(COLUMNS)} FROM items"  # noqa: S608 - names of columns


class DamagedRow(Exception):
    """Raised when a row is not as it was written."""


def build_row(entry: Entry) -> tuple[Any, ...]:
    """Write an entry as the values of :data:`COLUMNS`."""
    times = entry.timings
    failure = entry.failure
    values = (
        entry.key,
        entry.index,
        entry.digest,
        entry.service,
        entry.state.value,
        entry.attempts,
        entry.config_id,
        entry.token,
        entry.task_id,
        _json(entry.earlier),
        _json([failure.kind, failure.text, failure.word, failure.message])
        if failure is not None
        else "",
        _json(entry.candidates),
        _json(entry.retries),
        times.submitted,
        times.queued,
        times.started,
        times.ended,
        times.fetched,
        times.queue_time,
        times.run_time,
        entry.result,
        entry.media_type,
        entry.stored,
    )
    return (*values, _checksum(values))


def parse_row(row: Sequence[Any]) -> Entry:
    """
    Read an entry from the values of :data:`COLUMNS`.

    Raises:
        DamagedRow: it is not what :func:`build_row` wrote.
    """
    *values, crc = row
    if crc != _checksum(values):
        raise DamagedRow(f"the checksum of item {values[0]!r} is wrong")
    try:
        return _entry(dict(zip(COLUMNS, values, strict=False)))
    except (AsyncTasksError, TypeError, ValueError) as exc:
        raise DamagedRow(f"item {values[0]!r} cannot be read") from exc


def _entry(found: Mapping[str, Any]) -> Entry:
    failure = _parse(found["failure"])
    return Entry(
        key=found["key"],
        index=found["idx"],
        digest=found["digest"],
        service=found["service"],
        state=ItemState(found["state"]),
        attempts=found["attempts"],
        config_id=found["config_id"],
        token=found["token"],
        task_id=found["task_id"],
        earlier=tuple(_parse(found["earlier"])),
        failure=Failure(*failure) if failure else None,
        candidates=tuple(_parse(found["candidates"])),
        retries=tuple(_parse(found["retries"])),
        timings=Timings(**{name: found[name] for name in TIMES}),
        result=found["result"],
        media_type=found["media_type"],
        stored=found["stored"],
    )


def _checksum(values: Sequence[Any]) -> int:
    """Sum up a row; str() of a float is exact and the same everywhere."""
    shown = "\x1f".join(map(str, values))
    return zlib.crc32(shown.encode("utf-8", "surrogatepass"))


def _json(values: Sequence[str]) -> str:
    if not values:
        return ""
    # A server's text may hold what UTF-8 cannot say.
    clean = [value.encode("utf-8", "replace").decode() for value in values]
    return codec.dumps(clean).decode()


def _parse(text: str) -> list[str]:
    found: list[str] = codec.loads(text.encode()) if text else []
    return found
