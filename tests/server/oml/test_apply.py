"""Services called as scripts, and their results written as OML does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
import json
from typing import Any

import attrs
import pytest

from asynctasks.exceptions import TaskCancelled
from asynctasks.server.context import TaskContext
from asynctasks.server.oml.apply import ScriptFailed, as_script
from asynctasks.server.oml.functions import ScriptCall
from asynctasks.server.oml.scripts import Drawn
from asynctasks.server.payload import Result
from asynctasks.server.tasks import Service
from tests.server.oml.worlds import context


def script(function: Callable[..., Any], call: ScriptCall) -> Service:
    return as_script(Service("f", function), call)


def call(function: str = "do-eval", *pieces: Any, **facts: Any) -> ScriptCall:
    return ScriptCall(
        function=function, asynchronous=True, parameters=b"", pieces=pieces, **facts
    )


def run(
    function: Callable[..., Any], how: ScriptCall | None = None, inputs: Any = None
) -> Any:
    service = script(function, how or call())
    assert service.takes_context
    result = service.function(inputs, context())
    assert "application/json" == result.content_type
    return json.loads(result.content)


def test_do_eval() -> None:
    """A service is called with its inputs; control arguments are not handed on."""
    inputs = {"a": 1, "oml_input_type": "default"}

    assert {"result": {"a": 1}} == run(lambda inputs: inputs, inputs=inputs)
    assert {"result": [1]} == run(lambda inputs: inputs, inputs=[1])


def test_context() -> None:
    """A service that declares a second parameter gets its context."""

    def service(inputs: Any, task: TaskContext) -> Any:
        return task.task_id

    assert {"result": "t"} == run(service)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (None, None),
        ((1, 2), [1, 2]),
        ("text", "text"),
        (Result(b'{"a":1}', "application/json"), {"a": 1}),
        (Result(b"text", "text/plain"), "text"),
        (Drawn([1], [b"png"]), [1]),
    ],
)
def test_values(value: Any, result: Any) -> None:
    """Whatever a service returns, the result has it as JSON."""
    assert {"result": result} == run(lambda _: value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"bytes", "malformed JSON"),
        ({"a": {1}}, "malformed JSON"),
        (float("nan"), "malformed JSON"),
        (Drawn(b"bytes", [b"png"]), "malformed JSON"),
        ([0] * 5001, "maximum length 5000"),
        ({str(number): 0 for number in range(5001)}, "maximum length 5000"),
    ],
)
def test_what_cannot_be_a_result(value: Any, complaint: str) -> None:
    """What is too long, or no JSON, fails with the service's own words."""
    with pytest.raises(ScriptFailed, match=complaint):
        run(lambda _: value, call(graphics=True))


def test_longest_result() -> None:
    """The limit itself is allowed."""
    assert 5000 == len(run(lambda _: [0] * 5000)["result"])


def test_table_apply() -> None:
    """A script gets all rows, and its arguments by keyword."""

    def count(dat: Any, more: int) -> int:
        return len(dat) + more

    how = call("table-apply", [{"A": 1}, {"A": 2}])

    assert {"result": 12} == run(count, how, {"more": 10, "oml_na_omit": True})


def test_row_apply() -> None:
    """Tables of the chunks are put together; other values are listed."""
    how = call("row-apply", [{"A": 1}, {"A": 2}], [{"A": 3}])

    assert {"result": [{"A": 1}, {"A": 2}, {"A": 3}]} == run(lambda dat: dat, how)
    assert {"result": [2, 1]} == run(len, how)


def test_index_apply() -> None:
    """A script gets the number of its run."""
    assert {"result": [1, 4, 9]} == run(lambda i: i * i, call("index-apply", 1, 2, 3))


def test_endless_index() -> None:
    """More runs than a result has items fail before the first."""
    ran: list[int] = []
    how = attrs.evolve(call("index-apply"), pieces=range(2**31))
    with pytest.raises(ScriptFailed, match="Output exceeds maximum length"):
        run(ran.append, how)

    assert [] == ran


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (7, {"x": 7}),
        ([], {"x": []}),
        (
            [{"A": 1}, {"B": 2}],
            {"x": {"A": {"0": 1, "1": None}, "B": {"0": None, "1": 2}}},
        ),
        ([[{"A": 1}], [{"A": 2}]], {"x_1": {"A": {"0": 1}}, "x_2": {"A": {"0": 2}}}),
        ({"A": 1}, {"x": {"A": 1}}),
    ],
)
def test_group_apply(value: Any, written: Any) -> None:
    """Groups are named; tables are written by columns, and several are numbered."""
    how = call("group-apply", [{"A": 1}], names=("x",))

    assert {"result": written} == run(lambda _: value, how)


def test_images() -> None:
    """Images are numbered, and have the value as JSON within JSON."""
    drawn = Drawn([{"a": 1}], [b"one", b"two"])
    data = '[{"a":1}]'

    assert [
        {"IMAGE": base64.b64encode(b"one").decode(), "DATA": data, "ID": 1},
        {"IMAGE": base64.b64encode(b"two").decode(), "DATA": data, "ID": 2},
    ] == run(lambda _: drawn, call(graphics=True))["result"]


def test_no_images() -> None:
    """A script that renders nothing has its value as result."""
    assert {"result": 1} == run(lambda _: 1, call(graphics=True))


def test_comments() -> None:
    """The description of a job stands beside its result."""
    assert {"result": 1, "comments": "why"} == run(lambda _: 1, call(comments="why"))


async def test_async_service() -> None:
    """A service that is async is awaited, once for each piece."""

    async def double(index: int) -> int:
        await asyncio.sleep(0)
        return 2 * index

    service = script(double, call("index-apply", 1, 2))
    assert service.is_async
    result = await service.function(None, context())

    assert {"result": [2, 4]} == json.loads(result.content)


def test_cancel_between_pieces() -> None:
    """A job that is cancelled ends before its next piece."""

    class Set:
        def is_set(self) -> bool:
            return True

    told = TaskContext("t", report=print, cancel=Set(), stop=Set(), query={})
    service = script(lambda _: 1, call("index-apply", 1, 2))

    with pytest.raises(TaskCancelled):
        service.function(None, told)
