"""What a program consists of."""

from __future__ import annotations

from asynctasks.server.vantiq.syntax import Literal, Program, Return


def test_program() -> None:
    """A program is a value; without a topic it is a procedure."""
    block = (Return(Literal(1)),)

    assert Program("p", (), block) == Program("p", (), block, topic=None)
