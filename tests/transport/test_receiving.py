"""An answer as it comes."""

from __future__ import annotations

import pytest

from asynctasks.exceptions import ProxyError, ResponseTooLarge
from asynctasks.sansio.http import ERROR_BODY, Request
from asynctasks.transport.receiving import body_limit, respond


REQUEST = Request("GET", "http://127.0.0.1/tasks/7?token=secret")


@pytest.mark.parametrize(
    ("status", "asked", "limit"),
    [
        (200, 10, 10),
        (399, 10**9, 10**9),
        (400, 10, 10),
        (400, 10**9, ERROR_BODY),
        (500, 10**9, ERROR_BODY),
    ],
)
def test_of_a_refusal_less_is_read(status: int, asked: int, limit: int) -> None:
    """The limit is the caller's, but an error keeps 64 KiB at most."""
    assert limit == body_limit(status, asked)


async def test_start_of_a_refusal_is_enough() -> None:
    """A refusal that was cut off is an answer; a success that was is none."""
    refused = respond(404, {}, b"start", REQUEST, whole=False)
    with pytest.raises(ResponseTooLarge, match=r"GET http://127\.0\.0\.1/tasks/7"):
        respond(200, {}, b"start", REQUEST, whole=False)

    assert (404, b"start") == (refused.status, refused.body)


async def test_only_a_proxy_answers_407() -> None:
    """407 is of a proxy, whoever says it; the error tells no query."""
    with pytest.raises(ProxyError, match=r"127\.0\.0\.1") as caught:
        respond(407, {}, b"", REQUEST)

    assert "secret" not in str(caught.value)
