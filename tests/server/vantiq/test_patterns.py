"""Regular expressions of clients."""

from __future__ import annotations

import pytest

from asynctasks.server.vantiq.patterns import LONGEST, search
from asynctasks.server.vantiq.refusals import Refused


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("acme.*comp", "an acme company", True),
        ("^a(b|c)d$", "acd", True),
        ("(?:ab)+c", "ababc", True),
        ("(?P<x>ab){2}", "xabab", True),
        ("(?i)ACME", "acme", True),
        ("(?#why)a(?=b)", "ac", False),
        (r"\(a\)*\)", "(a)))", True),
        ("[)(*|]+x", "(*x", True),
        ("[]*]*y", "]*y", True),
        ("a{,}b", "b", True),
        ("x{", "x{", True),
        ("((a))?b?", "", True),
        ("é+", "café", True),
    ],
)
def test_found(pattern: str, text: str, found: bool) -> None:
    """Patterns without repeated choices mean what they mean in Python."""
    assert found is search(pattern)(text)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a?){30}a",
        "((a|b))+",
        "(?:x(?:a*))*",
        "(?P<x>a{2,3})+",
        "(?i:a|A)*",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(a)?(?(1)b|c)",
        "(",
        "*",
        "a{99999999999}",
        "a" * (LONGEST + 1),
    ],
)
def test_refused(pattern: str) -> None:
    """What could take exponential time is refused, and what is no pattern."""
    with pytest.raises(Refused, match=r"\$regex"):
        search(pattern)


@pytest.mark.parametrize(
    ("options", "pattern", "text", "found"),
    [
        ("i", "ACME", "acme", True),
        ("m", "^b", "a\nb", True),
        ("s", "a.b", "a\nb", True),
        ("x", "( a # )*\n )+ b", "aab", True),
        ("x", r"[ ]\ b", "  b", True),
        ("", "a b", "ab", False),
        ("ix", "( A )", "a", True),
    ],
)
def test_options(options: str, pattern: str, text: str, found: bool) -> None:
    """Options are those of MongoDB; blanks of verbose patterns are none."""
    assert found is search(pattern, options)(text)


@pytest.mark.parametrize(("pattern", "options"), [("(a+ | b)*", "x"), ("a", "g")])
def test_refused_options(pattern: str, options: str) -> None:
    """Verbose patterns are looked through, too; other options there are none."""
    with pytest.raises(Refused):
        search(pattern, options)


def test_long_text() -> None:
    """A text is refused that is too long for the repetitions of a pattern."""
    is_in = search("a*a*a*b")

    assert is_in("a" * 100) is False
    with pytest.raises(Refused, match="too often for a text of 1000 characters"):
        is_in("a" * 1000)
