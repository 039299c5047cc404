"""Rows of a resource: one awaitable list, or every page of them."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import aclosing
from typing import Any

from .arguments import check_whole
from .exceptions import RemoteProtocolError
from .sansio.dialect import Page, Query, note_page


__all__ = ["Row", "Rows"]

Row = dict[str, Any]
"""A row as the service wrote it."""

Fetch = Callable[[Query], Awaitable[Page]]

STALE_PAGES = 3
"""
Pages in a row that may show what earlier ones did, or nothing.

Rows that are added while we page push others onto the next page, a whole page of them
at times. A service that does not page at all repeats itself for ever.
"""


class Shown:
    """What the pages have shown so far: one number for each, however long it was."""

    def __init__(self) -> None:
        self._pages: set[int] = set()
        self._stale = 0

    def take(self, rows: Iterable[Mapping[str, Any]], name: str = "id") -> None:
        """
        Remember a page that is followed by another one.

        Args:
            rows: what it shows.
            name: the field that tells rows apart; rows without it are all new.

        Raises:
            RemoteProtocolError: the pages go on and on, and show nothing new.
        """
        keys = frozenset(_key(row, name) for row in rows)
        mark = hash(keys)
        known = None not in keys and (not keys or mark in self._pages)
        self._pages.add(mark)
        self._stale = self._stale + 1 if known else 0
        if self._stale >= STALE_PAGES:
            found = f"{self._stale} pages in a row that show nothing new"
            raise RemoteProtocolError("a page of other rows", None, found)


class Rows(Coroutine[Any, Any, list[Row]]):
    """
    The rows that ``select()`` asks for; nothing is sent before they are used.

    ``await rows`` gives a list; ``async for row in rows`` goes through all pages and
    holds one at a time; ``rows.pages()`` gives the pages. It is a coroutine, so that
    ``asyncio.create_task`` and ``TaskGroup`` take it, and can be awaited once.
    """

    def __init__(self, fetch: Fetch, query: Query, limit: int | None) -> None:
        _check("limit", limit)
        self._fetch = fetch
        self._query = query
        self._limit = limit
        self._list: Coroutine[Any, Any, list[Row]] | None = None

    async def pages(self) -> AsyncGenerator[Page]:
        """
        Go through the pages as the service cuts them.

        Raises:
            RemoteProtocolError: the pages do not advance, or show nothing new.
        """
        query: Query | None = self._query
        read: set[tuple[int, str | None]] = set()
        shown = Shown()
        while query is not None:
            note_page(query, read)
            page = await self._fetch(query)
            if page.next is not None:
                shown.take(page.rows)
            yield page
            query = page.next

    async def __aiter__(self) -> AsyncGenerator[Row]:
        left = self._limit
        before: set[object] = set()
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                # Rows that were added while we paged push others onto the next page.
                here = {_key(row) for row in page.rows} - {None}
                for row in page.rows:
                    if _key(row) in before:
                        continue
                    yield dict(row)
                    if left is not None:
                        left -= 1
                        if left == 0:
                            return
                before = here

    async def _collect(self) -> list[Row]:
        return [row async for row in self]

    def __await__(self) -> Generator[Any, Any, list[Row]]:
        return self._collect().__await__()

    # The protocol of coroutines, for asyncio.create_task().

    def _coroutine(self) -> Coroutine[Any, Any, list[Row]]:
        if self._list is None:
            self._list = self._collect()
        return self._list

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._coroutine().send(value)

    def throw(self, *exc_info: Any) -> Any:
        """Raise inside, as a coroutine does."""
        return self._coroutine().throw(*exc_info)

    def close(self) -> None:
        """Stop, as a coroutine does."""
        if self._list is not None:
            self._list.close()


def _key(row: Mapping[str, Any], name: str = "id") -> object:
    """Return the row's id; None where it has none that can be compared."""
    key = row.get(name)
    return key if isinstance(key, str | int) else None


def build_query(
    where: Mapping[str, Any] | None,
    sort: str | None,
    limit: int | None,
    page_size: int | None,
) -> Query:
    """Make a query of what the user gave; small limits make small pages."""
    _check("limit", limit)
    _check("page_size", page_size)
    size = page_size if page_size is not None else 100
    return Query(
        where=dict(where or {}), sort=sort, limit=min(size, limit) if limit else size
    )


def _check(name: str, number: int | None) -> None:
    if number is not None:
        check_whole(name, number)
