"""
A small part of VAIL, the language of Vantiq's rules and procedures: its parser.

::

    program   = [ "PACKAGE" name ] ( procedure | rule )
    procedure = "PROCEDURE" name "(" [ word { "," word } ] ")" block
    rule      = "RULE" word "WHEN" "PUBLISH" "OCCURS" "ON" text "AS" word block
    block     = { statement [ ";" ] }
    statement = "RETURN" [ value ]
              | "PUBLISH" value "TO" ( "TOPIC" | "SERVICE" "EVENT" ) value
              | "INSERT" [ "INTO" ] name "(" [ value | member { "," member } ] ")"
              | [ "VAR" ] word "=" value
              | call
    value     = text | number | "true" | "false" | "null" | object | array | call
              | name
    object    = "{" [ member { "," member } ] "}"
    member    = ( word | text ) ":" value
    array     = "[" [ value { "," value } ] "]"
    call      = "Context" "." "namespace" "(" ")" | "Event" "." "ack" "(" ")"
              | "log" "." word "(" value { "," value } ")"
    name      = word { "." word }

Keywords may be written in any case; a name is a variable and the members of its
value; comments are those of Java. Anything else is a compile error that says what
is not understood and where: operators, IF, FOR, SELECT, other triggers and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
import json
import math
import re
from typing import Any, TypeVar

import attrs

from .refusals import Refused
from .syntax import (
    Array,
    Assign,
    Call,
    Insert,
    Literal,
    Name,
    Object,
    Program,
    Publish,
    Return,
    Statement,
    Value,
)


__all__ = ["parse_vail"]

T = TypeVar("T")

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>[{}\[\]().,:;=])""",
    re.DOTALL | re.VERBOSE,
)

CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}

DEEPEST = 50
"""Levels of objects, arrays and calls at most."""

FUNCTIONS = {"Context.namespace": 0, "Event.ack": 0}
"""What can be called, and with how many arguments; log's methods take any."""


@attrs.frozen
class Token:
    """A word, text, number or sign, and where it is."""

    kind: str
    text: str
    line: int

    def means(self, word: str) -> bool:
        """Tell whether it is this keyword or sign."""
        return self.kind != "text" and self.text.upper() == word


def parse_vail(source: Any) -> Program:
    """
    Compile the text of a rule or procedure.

    Raises:
        Refused: it is not within the grammar of this module.
    """
    if not isinstance(source, str):
        raise Refused(400, "io.asynctasks.vail", "The ruleText is missing.")
    return compiled(source)


@lru_cache(maxsize=256)
def compiled(source: str) -> Program:
    """Compile a text, or remember what it was compiled to."""
    return Parser([*tokens(source)]).program()


def tokens(source: str) -> Iterator[Token]:
    """Split a text; an end token is the last."""
    at, line = 0, 1
    while at < len(source):
        match = TOKEN.match(source, at)
        if match is None:
            raise misunderstood(repr(source[at]), line)
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match[0], line)
        line += match[0].count("\n")
        at = match.end()
    yield Token("end", "the end", line)


def misunderstood(what: str, line: int, wanted: str = "") -> Refused:
    """Return a compile error."""
    expected = f"; expected {wanted}" if wanted else ""
    message = (
        f"Line {line}: {what} is not in the part of VAIL that this server "
        f"understands{expected}."
    )
    return Refused(400, "io.asynctasks.vail", message, [what, line])


class Parser:
    """Reads a program from its tokens."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def program(self) -> Program:
        """Read all of it."""
        package = f"{self._name()}." if self._take("PACKAGE") else ""
        if self._take("PROCEDURE"):
            return self._procedure(package)
        self._need("RULE")
        name = self._word()
        for word in ("WHEN", "PUBLISH", "OCCURS", "ON"):
            self._need(word)
        topic = self._text()
        self._need("AS")
        return Program(package + name, (self._word(),), self._block(), topic)

    def _procedure(self, package: str) -> Program:
        name = self._name()
        self._need("(")
        parameters = self._list(")", self._word)
        return Program(package + name, tuple(parameters), self._block())

    def _block(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while self._next.kind != "end":
            found.append(self._statement())
            while self._take(";"):
                pass
        return tuple(found)

    # --- statements ----------------------------------------------------------

    def _statement(self) -> Statement:
        start = self._next
        if self._take("RETURN"):
            # A value begins in the line of its RETURN.
            bare = self._next.kind == "end" or self._next.line > start.line
            return Return(Literal(None) if bare else self._value())
        if self._take("PUBLISH"):
            return self._publish()
        if self._take("INSERT"):
            return self._insert()
        declared = self._take("VAR")
        return self._assignment_or_call(declared=declared)

    def _publish(self) -> Publish:
        value = self._value()
        self._need("TO")
        if self._take("SERVICE"):
            self._need("EVENT")
            return Publish(value, "services", self._value())
        self._need("TOPIC")
        return Publish(value, "topics", self._value())

    def _insert(self) -> Insert:
        self._take("INTO")
        name = self._name()
        self._need("(")
        if self._take(")"):
            return Insert(name, Object(()))
        if self._tokens[self._at + 1].means(":"):
            return Insert(name, Object(tuple(self._list(")", self._member))))
        value = self._value()
        self._need(")")
        return Insert(name, value)

    def _assignment_or_call(self, *, declared: bool) -> Statement:
        start = self._next
        name = self._name()
        if not declared and self._next.means("("):
            return self._call(name, start)
        if "." in name or not self._take("="):
            raise misunderstood(name, start.line, "a statement")
        return Assign(name, self._value())

    # --- values --------------------------------------------------------------

    def _value(self) -> Value:
        if self._depth == DEEPEST:
            wanted = f"at most {DEEPEST} levels"
            raise misunderstood(self._next.text, self._next.line, wanted)
        self._depth += 1
        value = self._flat_value()
        self._depth -= 1
        return value

    def _flat_value(self) -> Value:
        token = self._next
        if token.kind == "text":
            return Literal(self._text())
        if token.kind == "number":
            self._at += 1
            return Literal(number(token))
        if self._take("{"):
            return Object(tuple(self._list("}", self._member)))
        if self._take("["):
            return Array(tuple(self._list("]", self._value)))
        return self._named()

    def _named(self) -> Value:
        token = self._next
        if token.kind != "word":
            raise misunderstood(token.text, token.line, "a value")
        name = self._name()
        if self._next.means("("):
            return self._call(name, token)
        if name.lower() in CONSTANTS:
            return Literal(CONSTANTS[name.lower()])
        return Name(tuple(name.split(".")))

    def _call(self, name: str, start: Token) -> Call:
        self._need("(")
        arguments = tuple(self._list(")", self._value))
        logs = name.startswith("log.") and arguments
        if not logs and FUNCTIONS.get(name) != len(arguments):
            raise misunderstood(f"{name}()", start.line)
        return Call(name, arguments)

    def _member(self) -> tuple[str, Value]:
        name = self._text() if self._next.kind == "text" else self._word()
        self._need(":")
        return name, self._value()

    def _list(self, end: str, read: Callable[[], T]) -> list[T]:
        found: list[T] = []
        if self._take(end):
            return found
        while True:
            found.append(read())
            if self._take(end):
                return found
            self._need(",")

    # --- tokens --------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, word: str) -> bool:
        """Step over this word if it is next."""
        found = self._next.means(word)
        self._at += found
        return found

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise misunderstood(self._next.text, self._next.line, word)

    def _word(self) -> str:
        token = self._next
        if token.kind != "word":
            raise misunderstood(token.text, token.line, "a name")
        self._at += 1
        return token.text

    def _name(self) -> str:
        parts = [self._word()]
        while self._take("."):
            parts.append(self._word())
        return ".".join(parts)

    def _text(self) -> str:
        token = self._next
        if token.kind != "text":
            raise misunderstood(token.text, token.line, "a text in quotes")
        self._at += 1
        return unquoted(token)


def number(token: Token) -> int | float:
    """Return what a number means."""
    try:
        value: int | float = json.loads(token.text)
    except ValueError:  # more digits than Python converts
        value = math.inf
    if value in {math.inf, -math.inf}:
        raise misunderstood(token.text[:20], token.line, "a smaller number")
    return value


def unquoted(token: Token) -> str:
    """Return what a text in quotes means; escapes are those of JSON."""
    inner = token.text[1:-1].replace("\\'", "'")
    if token.text[0] == "'":
        inner = re.sub(r'(?<!\\)"', r"\"", inner)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        raise misunderstood(token.text, token.line, "the escapes of JSON") from None
