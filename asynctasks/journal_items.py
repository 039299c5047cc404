"""What is asked of the items of a journal, as statements on its connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
import sqlite3
import time
import uuid

import attrs

from .exceptions import InvalidArgument, JournalError
from .journal_rows import COLUMNS, LIST, build_row, parse_row
from .sansio import codec
from .sansio.ledger import Entry, ItemState
from .sansio.reconcile import Baseline


__all__ = [
    "Accounts",
    "Begun",
    "accounts",
    "baseline",
    "begin_run",
    "claim",
    "find",
    "get",
    "note_baseline",
    "put",
    "select",
    "unseen",
    "unsettled",
]

ALL = ", ".join(COLUMNS)

PLACES = ", ".join("?" * (len(COLUMNS) + 1))

UPDATES = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])

VALUES = 500
"""Values in one statement; old versions of SQLite take 999."""

BASELINE = "baseline of "
"""What the name of the fact begins with that has a service's baseline."""

# Nothing but names of columns is ever put together into a statement.

PUT = (
    f"INSERT INTO items ({ALL}, run) VALUES ({PLACES}) "  # noqa: S608
    f"ON CONFLICT (key) DO UPDATE SET {UPDATES}"
)

GET = f"SELECT {ALL}, run FROM items WHERE key = ?"  # noqa: S608


@attrs.frozen(kw_only=True)
class Begun:
    """A run of a journal."""

    run: int
    id: str
    fresh: bool


@attrs.frozen(kw_only=True)
class Accounts:
    """What items know of tasks."""

    own: frozenset[str]
    """Tasks of items, or of their earlier attempts: of nobody else."""

    contested: frozenset[str]
    """Tasks that may be of an item that is unknown: perhaps of somebody else."""

    blind: float | None
    """When the last item was submitted that is unknown, and whose task may be any."""


def begin_run(
    connection: sqlite3.Connection,
    path: Path,
    facts: Mapping[str, str],
    *,
    resume: bool,
) -> Begun:
    """
    Note a new run.

    Raises:
        JournalError: the journal is about something else, or has items already.
    """
    known = dict(connection.execute("SELECT name, value FROM facts"))
    for name, value in facts.items():
        if known.setdefault(name, value) != value:
            reason = f"belongs to the {name} {known[name]}, not to {value}"
            raise JournalError(str(path), reason)
    (items,) = connection.execute("SELECT count(*) FROM items").fetchone()
    if items and not resume:
        raise JournalError(str(path), f"has {items} items: resume it, or name another")
    known.setdefault("id", uuid.uuid4().hex)
    sql = "REPLACE INTO facts (name, value) VALUES (?, ?)"
    connection.executemany(sql, known.items())
    now = time.time()
    sql = "INSERT INTO runs (began, beat) VALUES (?, ?)"
    run = int(connection.execute(sql, (now, now)).lastrowid or 0)
    return Begun(run=run, id=known["id"], fresh=items == 0)


def note_baseline(
    connection: sqlite3.Connection, service: str, baseline: Baseline | None
) -> None:
    """Write down what a service's list showed; None: nobody knows."""
    connection.execute("DELETE FROM facts WHERE name = ?", (BASELINE + service,))
    if baseline is not None:
        since = baseline.since and baseline.since.isoformat()
        # A server's text may hold what UTF-8 cannot say.
        ids = [each.encode("utf-8", "replace").decode() for each in baseline.ids]
        value = codec.dumps([since, *ids]).decode()
        sql = "INSERT INTO facts (name, value) VALUES (?, ?)"
        connection.execute(sql, (BASELINE + service, value))


def baseline(connection: sqlite3.Connection, service: str) -> Baseline | None:
    """Read what :func:`note_baseline` wrote last."""
    sql = "SELECT value FROM facts WHERE name = ?"
    row = connection.execute(sql, (BASELINE + service,)).fetchone()
    if row is None:
        return None
    since, *ids = codec.loads(row[0].encode())
    return Baseline(frozenset(ids), since and datetime.fromisoformat(since))


def put(connection: sqlite3.Connection, entry: Entry, run: int) -> None:
    """Write what is known of an item."""
    connection.execute(PUT, (*build_row(entry), run))


def get(connection: sqlite3.Connection, key: str) -> Entry | None:
    """Read one item."""
    row = connection.execute(GET, (key,)).fetchone()
    return None if row is None else parse_row(row[:-1])


def claim(
    connection: sqlite3.Connection,
    entry: Entry,
    run: int,
    *,
    named: bool,
) -> tuple[Entry, bool]:
    """
    Take an item into a run; see :meth:`Journal.claim`.

    Raises:
        InvalidArgument: the run has taken this key already.
    """
    key = entry.key if named else _free_key(connection, entry.key, run)
    row = connection.execute(GET, (key,)).fetchone()
    if row is None:
        new = entry if key == entry.key else attrs.evolve(entry, key=key)
        put(connection, new, run)
        return new, True
    if row[-1] >= run:
        raise InvalidArgument("key", key, "several inputs have it")
    connection.execute("UPDATE items SET run = ? WHERE key = ?", (run, key))
    return parse_row(row[:-1]), False


def _free_key(connection: sqlite3.Connection, key: str, run: int) -> str:
    """Return the first of ``key``, ``key#2``, ... that this run has not taken."""

    def taken(number: int) -> bool:
        sql = "SELECT run FROM items WHERE key = ?"
        row = connection.execute(sql, (_numbered(key, number),)).fetchone()
        return row is not None and row[0] >= run

    if not taken(1):
        return key
    # As many equal inputs as there may be: no list of them is kept, nor gone through.
    above = 2
    while taken(above):
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if taken(middle) else (below, middle)
    return _numbered(key, above)


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}#{number}"


def find(connection: sqlite3.Connection, task_id: str) -> str | None:
    """Return the key of the item that has a task."""
    sql = "SELECT key FROM items WHERE task_id = ? LIMIT 1"
    row = connection.execute(sql, (task_id,)).fetchone()
    return None if row is None else str(row[0])


def select(
    connection: sqlite3.Connection, states: Collection[ItemState]
) -> list[Entry]:
    """Read the items in these states."""
    marks = ", ".join("?" * len(states))
    sql = f"{LIST} WHERE state IN ({marks}) ORDER BY idx"
    values = tuple(state.value for state in states)
    return [parse_row(row) for row in connection.execute(sql, values)]


def unsettled(connection: sqlite3.Connection, run: int, service: str) -> list[Entry]:
    """Read the items of earlier runs that may be at the service."""
    values = (ItemState.SUBMITTED.value, ItemState.INTENDED.value, run, service)
    sql = f"{LIST} WHERE state IN (?, ?) AND run < ? AND service = ? ORDER BY idx"
    return [parse_row(row) for row in connection.execute(sql, values)]


def unseen(connection: sqlite3.Connection, run: int) -> int:
    """Count the items of earlier runs that this one has not taken."""
    sql = "SELECT count(*) FROM items WHERE run < ?"
    return int(connection.execute(sql, (run,)).fetchone()[0])


def accounts(connection: sqlite3.Connection, ids: Collection[str]) -> Accounts:
    """Tell which of these ids of tasks items account for; see :class:`Accounts`."""
    wanted = set(ids)
    own = _own(connection, sorted(wanted))
    contested: set[str] = set()
    sql = f"{LIST} WHERE earlier != '' OR candidates != ''"
    for row in connection.execute(sql):
        entry = parse_row(row)
        own.update(wanted.intersection(entry.earlier))
        contested.update(wanted.intersection(entry.candidates))
    sql = "SELECT max(submitted) FROM items WHERE state = ? AND candidates = ''"
    (blind,) = connection.execute(sql, (ItemState.UNKNOWN.value,)).fetchone()
    contested -= own
    return Accounts(own=frozenset(own), contested=frozenset(contested), blind=blind)


def _own(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Return those that are tasks of items."""
    found: set[str] = set()
    for start in range(0, len(ids), VALUES):
        some = ids[start : start + VALUES]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT task_id FROM items WHERE task_id IN ({marks})"  # noqa: S608
        found.update(one for (one,) in connection.execute(sql, some))
    return found
