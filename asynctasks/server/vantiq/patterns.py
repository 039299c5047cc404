"""
Regular expressions of clients, which must not keep the server busy without end.

Python's matcher tries alternatives one after the other. Where a repeated group can
match a text in several ways, that takes exponential time: such patterns are refused,
and back references, which hide the same. What is left takes at most the length of the
text to the power of its repetitions, and one more for where the match begins.
"""

from __future__ import annotations

from collections.abc import Iterator
import re

import attrs

from .refusals import malformed


__all__ = ["search"]

LONGEST = 1000
"""Characters of a pattern at most."""

STEPS = 10**9
"""Steps that a search in one text may take at most, if the worst comes."""

OPTIONS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}

ITEM = re.compile(
    r"""(?P<escape>\\(?:.|\Z))
    |(?P<set>\[\^?\]?(?:[^\]\\]|\\.)*\])
    |(?P<again>\(\?P=|\(\?\()
    |(?P<flags>\(\?[aiLmsux]+\)|\(\?\#[^)]*\))
    |(?P<open>\((?:\?(?:[aiLmsux-]*:|P<\w+>|<?[=!]|>))?)
    |(?P<close>\))
    |(?P<either>\|)
    |(?P<repeat>(?:[*+]|\{\d+\}|\{\d*,\d*\})[?+]?)
    |(?P<perhaps>\?[?+]?)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)

BLANK = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|(?P<blank>\s+|#[^\n]*)", re.DOTALL)


@attrs.define
class Group:
    """What is known of a group while it is read."""

    varies: bool = False
    """Whether it has a repetition, an option or an alternative."""


@attrs.frozen
class Search:
    """A pattern that can be searched for."""

    pattern: re.Pattern[str]
    power: int

    def __call__(self, text: str) -> bool:
        """
        Tell whether the pattern is found in a text.

        Raises:
            Refused: that could take too long.
        """
        if len(text) ** self.power > STEPS:
            message = f"$regex repeats too often for a text of {len(text)} characters."
            raise malformed(message, self.pattern.pattern)
        return self.pattern.search(text) is not None


def search(pattern: str, options: str = "") -> Search:
    """
    Compile a pattern.

    Raises:
        Refused: it is none, or could take too long.
    """
    if len(pattern) > LONGEST:
        raise malformed(f"$regex has {LONGEST} characters at most.")
    try:
        flags = sum({OPTIONS[option] for option in options}, start=0)
        compiled = re.compile(pattern, flags)
    except (re.error, KeyError, OverflowError, RecursionError) as exc:
        raise malformed(f"$regex cannot be used: {exc}.", pattern) from exc
    text = without_blanks(pattern) if compiled.flags & re.VERBOSE else pattern
    return Search(compiled, count_repeats(text) + 1)


def without_blanks(pattern: str) -> str:
    """Return a verbose pattern without its blanks and comments."""
    return BLANK.sub(lambda match: "" if match["blank"] else match[0], pattern)


def count_repeats(pattern: str) -> int:
    """
    Count the repetitions of a pattern.

    Raises:
        Refused: a group that can match in several ways is repeated.
    """
    groups = [Group()]
    ended: Group | None = None
    repeats = 0
    for kind in kinds(pattern):
        if kind == "again":
            raise malformed("$regex has a back reference.", pattern)
        if kind in {"repeat", "perhaps"}:
            if kind == "repeat" and ended is not None and ended.varies:
                message = "$regex repeats a group that repeats, or has alternatives."
                raise malformed(message, pattern)
            repeats += kind == "repeat"
            groups[-1].varies = True
        ended = None
        if kind == "open":
            groups.append(Group())
        elif kind == "close":
            ended = groups.pop()
            groups[-1].varies |= ended.varies
        elif kind == "either":
            groups[-1].varies = True
    return repeats


def kinds(pattern: str) -> Iterator[str]:
    """Yield what a pattern consists of, in its order."""
    for match in ITEM.finditer(pattern):
        kind = str(match.lastgroup)
        refers = kind == "escape" and match[0][1:] in {*"123456789"}
        yield "again" if refers else kind
