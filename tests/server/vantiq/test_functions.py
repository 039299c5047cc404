"""The Python functions behind procedures, rules and sources."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.functions import Functions, Source, call
from asynctasks.server.vantiq.refusals import Refused, forbidden


async def test_register() -> None:
    """Functions are registered by decorators, which leave them as they are."""
    functions = Functions()

    @functions.procedure("p")
    def procedure() -> int:
        return 1

    @functions.on("/types/T")
    def rule(event: Any) -> None:
        del event

    assert ({"p": procedure}, 1) == (functions.procedures, procedure())
    assert [[rule], [rule], []] == [
        functions.listening(path)
        for path in ("/types/T", "/types/T/insert/a", "/types/Two")
    ]
    assert Source() == Source(query=None, publish=None)


async def test_run(caplog: pytest.LogCaptureFixture) -> None:
    """Async functions become jobs; what fails is logged and harms nobody."""
    functions = Functions()
    seen: list[Any] = []

    async def later(value: Any) -> None:
        seen.append(value)

    async def fail_later(value: Any) -> None:
        raise ValueError(value)

    def fail(value: Any) -> None:
        raise ValueError(value)

    for function in (seen.append, later, fail_later, fail):
        functions.run(function, 1)
    for job in functions.take_jobs():
        await job()

    assert ([1, 1], 2, []) == (seen, len(caplog.records), functions.take_jobs())


async def test_call() -> None:
    """Arguments come by name or by position."""

    async def divide(a: int, b: int = 2) -> float:
        return a / b

    assert [3.0, 2.0, 6.0, range(3)] == [
        await call("divide", divide, {"a": 6}),
        await call("divide", divide, [6, 3]),
        await call("six", lambda: 6.0, {}),
        await call("range", range, [3]),
    ]


@pytest.mark.parametrize("arguments", [{}, {"x": 1}, [1, 2]])
async def test_wrong_arguments(arguments: Any) -> None:
    """Arguments that a function does not take are refused."""
    with pytest.raises(Refused, match="f: "):
        await call("f", lambda a: a, arguments)


async def test_failure() -> None:
    """What a function raises becomes a refusal; a refusal stays what it is."""

    def fail() -> None:
        raise ValueError("no more")

    def refuse() -> None:
        raise forbidden("No.")

    with pytest.raises(Refused, match="f failed: no more"):
        await call("f", fail, [])
    with pytest.raises(Refused, match=r"^No\.$"):
        await call("f", refuse, [])
