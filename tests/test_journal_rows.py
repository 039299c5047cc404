"""Entries as rows, and rows as entries again."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.journal_rows import (
    COLUMNS,
    MIGRATIONS,
    VERSION,
    DamagedRow,
    build_row,
    parse_row,
)
from asynctasks.sansio.ledger import Entry, Failure, ItemState, Timings


texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.none() | st.floats(0, 1e10)

entries = st.builds(
    Entry,
    key=texts,
    index=st.integers(0, 2**62),
    digest=texts,
    service=texts,
    state=st.sampled_from(ItemState),
    attempts=st.integers(0, 99),
    config_id=st.none() | texts,
    token=texts,
    task_id=texts,
    earlier=st.lists(texts, max_size=3).map(tuple),
    failure=st.none() | st.builds(Failure, texts, texts, texts, texts),
    candidates=st.lists(texts, max_size=3).map(tuple),
    retries=st.lists(texts, max_size=3).map(tuple),
    timings=st.builds(Timings, submitted=times, ended=times, run_time=times),
    result=st.none() | st.binary(max_size=20),
    media_type=texts,
    stored=texts,
)

ENTRY = Entry(
    key="k",
    index=3,
    token='{"id":"t1"}',
    failure=Failure("TaskFailed", "no"),
    timings=Timings(submitted=1.5),
    result=b"42",
)


@given(entries)
def test_rows_survive_sqlite(entry: Entry) -> None:
    """What SQLite gives back of a row is the entry that was written."""
    connection = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        connection.executescript(script)
    places = ", ".join("?" * len(COLUMNS))
    names = ", ".join(COLUMNS)
    sql = f"INSERT INTO items ({names}, run) VALUES ({places}, 1)"
    connection.execute(sql, build_row(entry))
    row = connection.execute(f"SELECT {names} FROM items").fetchone()
    connection.close()

    assert entry == parse_row(row)


@pytest.mark.parametrize("place", range(len(COLUMNS)))
def test_no_value_can_be_changed(place: int) -> None:
    """A row of which one value is another is damaged."""
    row = list(build_row(ENTRY))
    row[place] = "other" if row[place] != "other" else "another"

    with pytest.raises(DamagedRow):
        parse_row(row)


def test_texts_of_servers_need_not_be_unicode() -> None:
    """What UTF-8 cannot say in an error's text is replaced."""
    entry = Entry(key="k", index=0, failure=Failure("TaskFailed", "\ud800!"))
    read = parse_row(build_row(entry))

    assert Failure("TaskFailed", "?!") == read.failure


def test_version_counts_the_migrations() -> None:
    """There is a step for every version."""
    assert len(MIGRATIONS) == VERSION
