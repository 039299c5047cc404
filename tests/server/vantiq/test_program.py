"""Running the small part of VAIL."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asynctasks.server.vantiq.program import bind, run_program
from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.vail import parse_vail


class Host:
    """Remembers what a program did."""

    namespace = "ns"

    def __init__(self) -> None:
        self.done: list[Any] = []

    def publish(self, resource: str, target: str, value: Any) -> None:
        self.done.append((resource, target, value))

    def insert(self, resource: str, instance: Any) -> Any:
        self.done.append((resource, instance))


def run(text: str, host: Host | None = None, **variables: Any) -> Any:
    program = parse_vail(f"PROCEDURE p({', '.join(variables)})\n{text}")
    return run_program(program, variables, host or Host())


def test_values() -> None:
    """Values are calculated from literals, variables and their members."""
    text = "var x = {a: [1, e.v.w], n: Context.namespace()}\nreturn {x: x, y: e.z.z}"

    assert {"x": {"a": [1, 2], "n": "ns"}, "y": None} == run(text, e={"v": {"w": 2}})


def test_nothing_returned() -> None:
    """A program that returns nothing returns null, and acks are taken."""
    assert run("Event.ack()") is None


def test_effects(caplog: pytest.LogCaptureFixture) -> None:
    """Programs publish, insert and log; what is after RETURN is not done."""
    host = Host()
    caplog.set_level(logging.INFO, "asynctasks.server")
    run(
        'PUBLISH {m: 1} TO TOPIC "/t"; PUBLISH a TO SERVICE EVENT "S/E"\n'
        'INSERT INTO T(a)\nlog.error("got {} and {}", [a, 2])\nlog.note("x")\n'
        "RETURN 1\nINSERT INTO T(a)",
        host,
        a=7,
    )

    assert [("topics", "/t", {"m": 1}), ("services", "S/E", 7), ("T", 7)] == host.done
    assert [(logging.ERROR, "got 7 and 2"), (logging.INFO, "x")] == [
        (record.levelno, record.message) for record in caplog.records
    ]


def test_unknown_variable() -> None:
    """A variable that has no value is refused by its name."""
    with pytest.raises(Refused, match="variable b"):
        run("RETURN b", a=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": None, "b": None}),
        ({"b": 1}, {"a": None, "b": 1}),
        ([1], {"a": 1, "b": None}),
        ([1, 2], {"a": 1, "b": 2}),
    ],
)
def test_bind(given: Any, expected: Any) -> None:
    """Arguments come by name or by position; what is not given is null."""
    program = parse_vail("PROCEDURE p(a, b)")

    assert expected == bind(program, given)


@pytest.mark.parametrize("given", [{"c": 1}, [1, 2, 3]])
def test_bind_refuses(given: Any) -> None:
    """Arguments without a parameter are refused."""
    with pytest.raises(Refused, match=r"p (has no parameter c|takes 2 arguments)"):
        bind(parse_vail("PROCEDURE p(a, b)"), given)
