"""Pages of rows of Vantiq, gone through to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .exceptions import RemoteProtocolError
from .resources import Shown
from .sansio.vantiq import VantiqResponse, raise_refusal
from .vantiq_session import explained


__all__: list[str] = []


async def all_rows(
    fetch: Callable[[int], Awaitable[VantiqResponse]], size: int
) -> AsyncIterator[dict[str, Any]]:
    """
    Go through the rows of all pages.

    Args:
        fetch: asks for a page by its number, from 1.
        size: rows of a page; one that has fewer is the last.

    Raises:
        VantiqException: the server refuses; or answers with something else than rows;
            or its pages go on without anything new.
    """
    shown = Shown()
    page = 1
    while True:
        response = await fetch(page)
        raise_refusal(response)
        with explained("select"):
            rows = check_rows(response.body)
            more = len(rows) >= size
            if more:
                shown.take(rows, "_id")
        for row in rows:
            yield row
        if not more:
            return
        page += 1


def check_rows(body: Any) -> list[dict[str, Any]]:
    """
    Return the rows of a page; an answer without a body has none.

    Raises:
        RemoteProtocolError: it is something else.
    """
    rows = body or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RemoteProtocolError("an array of rows", None, type(body).__name__)
    return rows
