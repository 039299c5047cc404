"""The statements on the items of a journal, on a connection in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
import sqlite3

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks import journal_items as items
from asynctasks.journal_rows import MIGRATIONS
from asynctasks.sansio.reconcile import Baseline
from tests.journals import entry


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(connect()) as made:
        yield made


def connect() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        made.executescript(script)
    return made


def test_run_has_a_number(connection: sqlite3.Connection) -> None:
    """The first run is 1 and finds nothing; the second finds what there is."""
    first = items.begin_run(connection, Path("j"), {}, resume=False)
    items.put(connection, entry(), first.run)
    second = items.begin_run(connection, Path("j"), {}, resume=True)

    assert (1, True, 2, False) == (first.run, first.fresh, second.run, second.fresh)
    assert first.id == second.id


@pytest.mark.parametrize("since", [None, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)])
def test_baseline_is_of_one_service(
    connection: sqlite3.Connection, since: datetime | None
) -> None:
    """What was there before is read as it was written last, for each service."""
    items.note_baseline(connection, "a", Baseline(frozenset({"old"})))
    items.note_baseline(
        connection, "a", Baseline(frozenset({"x", "\N{SNOWMAN}"}), since)
    )
    items.note_baseline(connection, "b", Baseline())
    items.note_baseline(connection, "b", None)

    assert Baseline(frozenset({"x", "\N{SNOWMAN}"}), since) == items.baseline(
        connection, "a"
    )
    assert (None, None) == (
        items.baseline(connection, "b"),
        items.baseline(connection, "c"),
    )


def test_baseline_survives_the_next_run(connection: sqlite3.Connection) -> None:
    """A run that goes on knows what was there before the run whose intents it has."""
    known = Baseline(frozenset({"t"}))
    items.begin_run(connection, Path("j"), {}, resume=False)
    items.note_baseline(connection, "work", known)
    items.begin_run(connection, Path("j"), {"origin": "o"}, resume=True)

    assert known == items.baseline(connection, "work")


def test_get_finds_nothing(connection: sqlite3.Connection) -> None:
    """An item that is not there is None."""
    assert None is items.get(connection, "k0")


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_numbers_follow_the_order_of_equal_inputs(given: list[str]) -> None:
    """However inputs repeat, each gets the next number of its kind, in each run."""
    database = connect()
    expected = []
    for index, kind in enumerate(given):
        number = given[: index + 1].count(kind)
        expected.append(kind if number == 1 else f"{kind}#{number}")
    for run in (1, 2):
        found = [
            items.claim(database, entry(n, key=kind), run, named=False)[0].key
            for n, kind in enumerate(given)
        ]

        assert expected == found
    database.close()
