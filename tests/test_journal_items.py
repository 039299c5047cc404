"""The statements on the items of a journal, on a connection in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
import sqlite3

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks import journal_items as items
from asynctasks.journal_rows import MIGRATIONS
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
