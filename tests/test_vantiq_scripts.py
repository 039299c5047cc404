"""Calling Vantiq from scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import contextvars

import pytest

from asynctasks.vantiq import (
    Vantiq,
    VantiqException,
    async_from_sync,
    execute_procedure,
)
from tests.vantiq_scripted import Answer, ScriptedVantiq


CALL = "POST /api/v1/resources/procedures/p"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


class TokenClient(Vantiq):
    """Gets its token when it is entered."""

    async def connect(self, *, check: bool = False) -> None:
        """Connect with a token."""
        await super().connect(check=check)
        if not self.is_authenticated():
            self._session.auth.accept("tok", None, 0.0)


async def test_client_that_is_not_connected(server: ScriptedVantiq) -> None:
    """A client that is not in use is connected for the call, and closed."""
    server.answer(CALL, Answer(200, {"x": 1}))
    client = TokenClient(server.url)
    response = await execute_procedure(client, "p", {"a": 1})

    assert {"x": 1} == response.body
    assert not client.is_authenticated()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([{"code": "c", "message": "boom", "params": []}], "failed: boom"),
        ([], "failed: no error detail returned"),
    ],
)
async def test_failure_is_raised(
    server: ScriptedVantiq, body: list[object], words: str
) -> None:
    """A procedure that fails raises with the server's words."""
    server.answer(CALL, Answer(500, body))
    async with Vantiq(server.url) as client:
        await client.set_access_token("tok")
        with pytest.raises(VantiqException, match=words) as caught:
            await execute_procedure(client, "p", {})

    assert "io.vantiq.sdk.procedure.execution.failed" == caught.value.code


COLOUR = contextvars.ContextVar("COLOUR", default="none")


@async_from_sync
async def join(first: str, second: str, *, sep: str = "-") -> str:
    """Join two texts."""
    await asyncio.sleep(0)
    return f"{first}{sep}{second}{sep}{COLOUR.get()}"


def test_without_a_loop() -> None:
    """Where no loop runs, one does for the time of the call."""
    assert "x+y+none" == join("x", "y", sep="+")


async def test_within_a_loop() -> None:
    """Where a loop runs, the call has one of its own, and the same context."""
    COLOUR.set("red")

    assert "x-y-red" == join("x", "y")


def test_name_and_docstring_stay() -> None:
    """The plain function is called and documented as the async one."""
    assert ("join", "Join two texts.") == (join.__name__, join.__doc__)
