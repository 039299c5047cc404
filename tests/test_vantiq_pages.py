"""Pages of rows of Vantiq: what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.sansio.vantiq import VantiqError, VantiqResponse
from asynctasks.vantiq import VantiqException
from asynctasks.vantiq_pages import all_rows


class Pages:
    """Gives what is written down, page by page; the last one for ever."""

    def __init__(self, *bodies: Any) -> None:
        self._bodies = bodies
        self.asked: list[int] = []

    async def __call__(self, page: int) -> VantiqResponse:
        self.asked.append(page)
        response = VantiqResponse(
            successful=True, status_code=200, content_type="application/json"
        )
        response.body = self._bodies[min(page, len(self._bodies)) - 1]
        return response


def rows(*keys: Any) -> list[dict[str, Any]]:
    return [{"_id": key} for key in keys]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (Pages(rows("a", "b"), rows("c")), ["a", "b", "c"]),
        (Pages(rows("a", "b"), []), ["a", "b"]),
        (Pages(None), []),
        (Pages({}), []),
        # Rows without a comparable id are all new.
        (Pages(rows(None, None), rows(None, None), rows(None)), [None] * 5),
    ],
    ids=["short", "empty", "nothing", "no-body", "no-ids"],
)
async def test_all_rows(pages: Pages, expected: list[Any]) -> None:
    """A page that is not full is the last one."""
    assert expected == [row["_id"] async for row in all_rows(pages, 2)]


@pytest.mark.parametrize("body", [5, "text", {"a": 1}, [None], [["a"]]])
async def test_pages_that_are_none(body: Any) -> None:
    """A page that holds no rows is an error with Vantiq's code."""
    with pytest.raises(VantiqException, match="an array of rows"):
        _ = [row async for row in all_rows(Pages(body), 2)]


async def test_pages_without_an_end() -> None:
    """A server that gives its first page for ever is found out."""
    pages = Pages(rows("a", "b"))
    with pytest.raises(VantiqException, match="nothing new"):
        _ = [row async for row in all_rows(pages, 2)]

    assert [1, 2, 3, 4] == pages.asked


async def test_refusal() -> None:
    """A page that is refused ends the rows."""

    async def refuse(page: int) -> VantiqResponse:
        return VantiqResponse.from_error(VantiqError("c", "no", []))

    with pytest.raises(VantiqException, match="code: c"):
        _ = [row async for row in all_rows(refuse, 2)]
