"""The parser of the small part of VAIL."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.refusals import Refused
from asynctasks.server.vantiq.syntax import (
    Array,
    Assign,
    Call,
    Insert,
    Literal,
    Name,
    Object,
    Publish,
    Return,
    Statement,
)
from asynctasks.server.vantiq.vail import parse_vail


def statement(text: str) -> Statement:
    """Parse one statement."""
    (found,) = parse_vail(f"PROCEDURE p(a)\n{text}").block
    return found


def test_procedure() -> None:
    """A procedure has a name, parameters and a block."""
    program = parse_vail("PROCEDURE pythonsdk.echo(arg1, arg2)\nRETURN arg1;;")

    assert ("pythonsdk.echo", ("arg1", "arg2"), None) == (
        program.name,
        program.parameters,
        program.topic,
    )
    assert (Return(Name(("arg1",))),) == program.block


def test_package() -> None:
    """A package is part of the name; keywords may be written in any case."""
    program = parse_vail("package test.sdk\nprocedure service.run()\nreturn 1")

    assert "test.sdk.service.run" == program.name


def test_rule() -> None:
    """A rule has a topic and the variable of its event."""
    program = parse_vail('RULE r WHEN PUBLISH OCCURS ON "/a/b" AS event Event.ack()')

    assert ("r", "/a/b", ("event",), (Call("Event.ack", ()),)) == (
        program.name,
        program.topic,
        program.parameters,
        program.block,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RETURN", Return(Literal(None))),
        ("RETURN -1.5e3", Return(Literal(-1500.0))),
        ("RETURN 7", Return(Literal(7))),
        ("RETURN True", Return(Literal(True))),
        ("RETURN null", Return(Literal(None))),
        (r'RETURN "a\"b\n\'"', Return(Literal("a\"b\n'"))),
        (r"""RETURN 'a"b\'\"'""", Return(Literal('a"b\'"'))),
        ("RETURN []", Return(Array(()))),
        ("RETURN [1, a.b.c]", Return(Array((Literal(1), Name(("a", "b", "c")))))),
        ("RETURN {}", Return(Object(()))),
        (
            'RETURN {x: 1, "y z": a}',
            Return(Object((("x", Literal(1)), ("y z", Name(("a",)))))),
        ),
        ("RETURN Context.namespace()", Return(Call("Context.namespace", ()))),
        ("x = 1", Assign("x", Literal(1))),
        ("var x = 1", Assign("x", Literal(1))),
        ("INSERT INTO T(a)", Insert("T", Name(("a",)))),
        ("INSERT p.T(a.b)", Insert("p.T", Name(("a", "b")))),
        ("INSERT T()", Insert("T", Object(()))),
        ("INSERT T(x: 1)", Insert("T", Object((("x", Literal(1)),)))),
        (
            'PUBLISH {} TO TOPIC "/t"',
            Publish(Object(()), "topics", Literal("/t")),
        ),
        (
            'PUBLISH a TO SERVICE EVENT "p.S/E" // and so on',
            Publish(Name(("a",)), "services", Literal("p.S/E")),
        ),
        (
            'log.info("{}", [a]) /* and\nso on */',
            Call("log.info", (Literal("{}"), Array((Name(("a",)),)))),
        ),
    ],
)
def test_statement(text: str, expected: Any) -> None:
    """All that is in the grammar is understood."""
    assert expected == statement(text)


def test_return_alone() -> None:
    """A value begins in the line of its RETURN."""
    block = parse_vail("PROCEDURE p()\nRETURN\nx = 1").block

    assert (Return(Literal(None)), Assign("x", Literal(1))) == block


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "the end"),
        ("TYPE t()", 1, "TYPE"),
        ("PROCEDURE", 1, "the end"),
        ("PROCEDURE p(a", 1, "the end"),
        ("PROCEDURE p(1)", 1, "1"),
        ("PROCEDURE p()\nRETURN 1 + 2", 2, "'\\+'"),
        ("PROCEDURE p()\n\nIF (a) {}", 3, "IF"),
        ("PROCEDURE p()\nSELECT FROM T", 2, "SELECT"),
        ("PROCEDURE p()\na.b = 1", 2, "a.b"),
        ("PROCEDURE p()\nvar f()", 2, "f"),
        ("PROCEDURE p()\nother.proc()", 2, "other.proc\\(\\)"),
        ("PROCEDURE p()\nContext.namespace(1)", 2, "Context.namespace\\(\\)"),
        ("PROCEDURE p()\nlog.info()", 2, "log.info\\(\\)"),
        ("PROCEDURE p()\nRETURN }", 2, "}"),
        ("PROCEDURE p()\nRETURN {1: 2}", 2, "1"),
        ("PROCEDURE p()\nINSERT T(a", 2, "the end"),
        ('PROCEDURE p()\nRETURN "\\q"', 2, '"'),
        ("PROCEDURE p()\nPUBLISH 1 TO SOURCE s", 2, "SOURCE"),
        ('RULE r WHEN INSERT OCCURS ON "/t" AS e', 1, "INSERT"),
        ("RULE r WHEN PUBLISH OCCURS ON t AS e", 1, "t"),
        ("PROCEDURE p()\nRETURN 1e999", 2, "1e999"),
        ("PROCEDURE p()\nRETURN -1e999", 2, "-1e999"),
        ("PROCEDURE p()\nRETURN " + "9" * 5000, 2, "9"),
        ("PROCEDURE p()\nRETURN " + "[" * 5000, 2, r"\["),
        ("PROCEDURE p()\nRETURN " + "{a:" * 5000, 2, "{"),
    ],
)
def test_compile_error(text: str, line: int, what: str) -> None:
    """All else is a compile error that says what and where."""
    words = f"Line {line}: {what}.* is not in the part of VAIL"
    with pytest.raises(Refused, match=words) as caught:
        parse_vail(text)

    assert (400, "io.asynctasks.vail") == (caught.value.status, caught.value.code)


def test_large_integer() -> None:
    """Integers are exact, however large."""
    assert Literal(10**400) == statement(f"RETURN {10**400}").value


def test_deep_value() -> None:
    """Values may be nested as deep as people nest them, one after the other."""
    value = "[" * 20 + "1" + "]" * 20
    block = parse_vail(f"PROCEDURE p() a = [{', '.join([value] * 9)}]").block

    assert 1 == len(block)


def test_no_text() -> None:
    """A rule or procedure without text is refused."""
    with pytest.raises(Refused, match="ruleText"):
        parse_vail(None)
