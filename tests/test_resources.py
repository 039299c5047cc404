"""Rows: one list, every row, every page, and a coroutine."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from asynctasks.exceptions import InvalidArgument, RemoteProtocolError
from asynctasks.resources import Rows, build_query
from asynctasks.sansio.dialect import Page, Query


class Shelf:
    """Rows that are handed out a page at a time, as services do."""

    def __init__(self, *ids: Any, size: int = 2) -> None:
        self.rows = [{"id": each} for each in ids]
        self.size = size
        self.asked: list[int] = []

    async def fetch(self, query: Query) -> Page:
        self.asked.append(query.offset)
        await asyncio.sleep(0)
        end = query.offset + self.size
        more = end < len(self.rows)
        return Page(
            rows=self.rows[query.offset : end],
            total=len(self.rows),
            next=attrs.evolve(query, offset=end) if more else None,
        )

    def select(self, limit: int | None = None) -> Rows:
        return Rows(self.fetch, Query(), limit)


def ids(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["id"] for row in rows]


# --- the ways to use them ----------------------------------------------------


async def test_nothing_is_asked_before_use() -> None:
    """Rows that nobody uses ask nothing and warn of nothing."""
    shelf = Shelf("a")
    shelf.select().close()
    shelf.select()

    assert [] == shelf.asked


async def test_await() -> None:
    """Awaiting gives all rows of all pages."""
    shelf = Shelf(*"abcde")

    assert [*"abcde"] == ids(await shelf.select())
    assert [0, 2, 4] == shelf.asked


async def test_no_rows() -> None:
    """There may be none."""
    assert [] == await Shelf().select()


async def test_async_for() -> None:
    """A loop holds one page at a time and asks for the next when it is needed."""
    shelf = Shelf(*"abcde")
    seen = [(row["id"], len(shelf.asked)) async for row in shelf.select()]

    assert [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3)] == seen


async def test_leaving_a_loop() -> None:
    """Who leaves the loop asks for no more."""
    shelf = Shelf(*"abcde")
    async for row in shelf.select():
        if row["id"] == "b":
            break

    assert [0] == shelf.asked


async def test_pages() -> None:
    """Pages come as the service cuts them, with its total."""
    pages = [page async for page in Shelf(*"abc").select().pages()]

    assert [(["a", "b"], 3), (["c"], 3)] == [
        (ids(list(page.rows)), page.total) for page in pages
    ]


async def test_create_task() -> None:
    """They are a coroutine for asyncio.create_task()."""
    task = asyncio.create_task(Shelf(*"abc").select())

    assert [*"abc"] == ids(await task)


async def test_task_group() -> None:
    """They are coroutines for a TaskGroup, many at once."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(Shelf(*"abc").select()) for _ in range(3)]

    assert [[*"abc"]] * 3 == [ids(task.result()) for task in tasks]


async def test_gather_and_wait_for() -> None:
    """They are awaitables for gather and wait_for."""
    first, second = await asyncio.gather(
        Shelf("a").select(), asyncio.wait_for(Shelf("b").select(), 5)
    )

    assert ["a", "b"] == ids(first + second)


@pytest.mark.parametrize("turns", range(4))
async def test_cancelled_tasks(turns: int) -> None:
    """A task of rows can be cancelled at any of its steps, the first included."""
    task = asyncio.create_task(Shelf(*"abcdefgh").select())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_coroutine_by_hand() -> None:
    """They can be driven as any coroutine, once."""

    async def fetch(_: Query) -> Page:
        return Page(rows=[{"id": "a"}])

    rows = Rows(fetch, Query(), None)
    with pytest.raises(StopIteration) as caught:
        rows.send(None)
    rows.close()
    with pytest.raises(RuntimeError, match="cannot reuse"):
        rows.send(None)

    assert [{"id": "a"}] == caught.value.value


async def test_rows_are_the_callers() -> None:
    """A row may be changed without harm to anybody."""
    shelf = Shelf("a")
    rows = await shelf.select()
    rows[0]["id"] = "changed"

    assert [{"id": "a"}] == shelf.rows


async def test_errors() -> None:
    """What a page raises comes out of every way to use the rows."""

    async def fetch(query: Query) -> Page:
        raise LookupError

    rows = Rows(fetch, Query(), None)
    with pytest.raises(LookupError):
        await rows
    with pytest.raises(LookupError):
        await asyncio.create_task(rows)
    with pytest.raises(LookupError):
        async for _ in rows:
            pass


# --- limits ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "asked"), [(1, [0]), (2, [0]), (3, [0, 2]), (5, [0, 2, 4])]
)
async def test_limits(limit: int, asked: list[int]) -> None:
    """No more rows come than are wanted, and no more pages are asked for."""
    shelf = Shelf(*"abcde")

    assert [*"abcde"][:limit] == ids(await shelf.select(limit))
    assert asked == shelf.asked


async def test_a_limit_beyond_the_end() -> None:
    """Fewer rows than wanted are all there are."""
    assert [*"abc"] == ids(await Shelf(*"abc").select(100))


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True])
def test_limits_that_are_none(limit: Any) -> None:
    """A limit that is no whole number, or below one, is refused."""
    with pytest.raises(InvalidArgument, match="a whole number, 1 or more"):
        Shelf().select(limit)


# --- pages that move ---------------------------------------------------------


async def test_rows_that_move_to_the_next_page() -> None:
    """A row that newer ones push onto the next page comes once."""
    shelf = Shelf(*"abcd")
    seen = []
    async for row in shelf.select():
        seen.append(row["id"])
        if row["id"] == "b":
            shelf.rows.insert(0, {"id": "new"})

    assert [*"abcd"] == seen


async def test_a_page_of_rows_seen_before() -> None:
    """A page that brings nothing new is passed over, and does not count."""
    shelf = Shelf(*"abcd")
    seen = []
    async for row in shelf.select(3):
        seen.append(row["id"])
        if row["id"] == "b":
            shelf.rows[:0] = [{"id": "new"}, {"id": "newer"}]

    assert [*"abc"] == seen


async def test_the_end_moves() -> None:
    """When rows go away while paging, the end comes earlier."""
    shelf = Shelf(*"abcde")
    seen = []
    async for row in shelf.select():
        seen.append(row["id"])
        del shelf.rows[3:]

    assert [*"abc"] == seen


@pytest.mark.parametrize("key", [None, [1], {"a": 1}, 1.5])
async def test_rows_without_a_comparable_id(key: Any) -> None:
    """Rows that have no id to go by all come."""
    assert [key] * 3 == ids(await Shelf(key, key, key).select())


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param(["ab"], "ab", id="the same page for ever"),
        pytest.param(["ab", "cd"], "abcd", id="a circle of two"),
        pytest.param(["ab", "", ""], "ab", id="nothing for ever"),
    ],
)
async def test_pages_that_show_nothing_new(pages: list[str], expected: str) -> None:
    """Pages that go on and on without anything new are an error, not a busy loop."""
    asked: list[int] = []

    async def fetch(query: Query) -> Page:
        asked.append(query.offset)
        shown = pages[len(asked) % len(pages) - 1]
        follows = attrs.evolve(query, offset=query.offset + 2)
        return Page(rows=[{"id": each} for each in shown], next=follows)

    async def collect() -> None:
        async for row in Rows(fetch, Query(), None):
            seen.add(row["id"])

    seen: set[str] = set()
    with pytest.raises(RemoteProtocolError, match="3 pages in a row"):
        await collect()

    assert set(expected) == seen
    assert len(asked) <= 5


async def test_rows_without_an_id() -> None:
    """Rows need no id."""
    shelf = Shelf()
    shelf.rows = [{"name": "a"}, {"name": "a"}, {"name": "a"}]

    assert [{"name": "a"}] * 3 == await shelf.select()


@pytest.mark.parametrize(
    ("follows", "expected"),
    [
        (Query(offset=0), "found the page at 0 again"),
        (Query(cursor="c7"), "found the page at c7 again"),
    ],
)
async def test_pages_that_do_not_advance(follows: Query, expected: str) -> None:
    """A service that hands out a page twice is told off, not followed for ever."""

    async def fetch(query: Query) -> Page:
        return Page(rows=[{"id": query.offset}], next=follows)

    with pytest.raises(RemoteProtocolError, match=expected):
        await Rows(fetch, Query(), None)


# --- queries -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "page_size", "expected"),
    [
        (None, None, 100),
        (20, None, 20),
        (1000, None, 100),
        (None, 7, 7),
        (20, 7, 7),
        (3, 7, 3),
    ],
)
def test_page_sizes(limit: int | None, page_size: int | None, expected: int) -> None:
    """Pages are as large as wanted, and no larger than the limit."""
    query = build_query({"a": 1}, "name", limit, page_size)

    assert Query(where={"a": 1}, sort="name", limit=expected) == query


def test_no_filter() -> None:
    """Without a filter there is an empty one."""
    assert {} == build_query(None, None, None, None).where


@pytest.mark.parametrize("page_size", [0, -1, True])
def test_page_sizes_below_one(page_size: int) -> None:
    """A page of nothing is refused."""
    with pytest.raises(InvalidArgument, match="page_size"):
        build_query(None, None, None, page_size)
