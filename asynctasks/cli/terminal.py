"""Printing: data to stdout, talk to stderr, and nothing that steers the terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from rich.console import Console


__all__ = ["Terminal", "escape", "write_json"]


def escape(text: str, *, keep: str = "") -> str:
    """Make a text of a server harmless: escape what does not print, but for *keep*."""
    return "".join(
        char if char.isprintable() or char in keep else ascii(char)[1:-1]
        for char in text
    )


def write_json(value: Any, *, indent: int | None = 2, plain: bool = False) -> str:
    """
    Write JSON as people read it; what does not print is escaped.

    Args:
        value: what JSON can say.
        indent: blanks a level; None writes one line.
        plain: escape all that is not ASCII.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=plain)
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1]
        for char in text
    )


class Terminal:
    """
    Where a command prints.

    Args:
        quiet: keep the talk to oneself; errors are told all the same.
        color: False for none; None where the terminal has some.
    """

    def __init__(self, *, quiet: bool = False, color: bool | None = None) -> None:
        self._quiet = quiet
        self._color = False if os.environ.get("NO_COLOR") else color

    # --- stdout --------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """Whether somebody looks at stdout."""
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def colorful(self) -> bool:
        """Whether stdout has colors."""
        return self.interactive and self._color is not False

    def can_show(self, characters: str) -> bool:
        """Tell whether the encoding of stdout has these characters."""
        try:
            characters.encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def paint(self, text: str, **style: Any) -> str:
        """Color a text where stdout has colors; the styles are click's."""
        return click.style(text, **style) if self.colorful else text

    def write(self, text: str = "") -> None:
        """Print lines of data, which must be escaped."""
        # Not click.echo(): it writes UTF-8 to a stdout that has only ASCII.
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def write_raw(self, content: bytes) -> None:
        """Print bytes as they are."""
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def write_document(self, value: Any) -> None:
        """Print one JSON document."""
        self._write_json(value, 2)

    def write_row(self, value: Any) -> None:
        """Print one line of a stream of JSON documents."""
        self._write_json(value, None)

    def _write_json(self, value: Any, indent: int | None) -> None:
        text = write_json(value, indent=indent)
        if not self.can_show(text):
            # Else stdout would escape it as Python does, which is no JSON.
            text = write_json(value, indent=indent, plain=True)
        self.write(text)

    # --- stderr --------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell how it goes."""
        if not self._quiet:
            self.insist(text)

    def insist(self, text: str) -> None:
        """Tell what must be known even if the user wants it quiet."""
        sys.stderr.write(escape(text, keep="\n") + "\n")

    def complain(self, text: str, label: str = "error") -> None:
        """Tell what went wrong."""
        shown = f"{label}:"
        if sys.stderr.isatty() and self._color is not False:
            color = "yellow" if label == "warning" else "red"
            shown = click.style(shown, fg=color, bold=True)
        sys.stderr.write(f"{shown} {escape(text)}\n")

    @property
    def watched(self) -> bool:
        """Whether somebody looks at stderr, and does not want it quiet."""
        looks = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        return looks and not self._quiet

    # --- rich ----------------------------------------------------------------

    def console(self, *, talk: bool = False) -> Console:
        """Make a console for what is drawn again and again: on stdout, or for talk."""
        from rich.console import Console  # noqa: PLC0415 - for the few who draw

        return Console(
            stderr=talk,
            no_color=self._color is False,
            highlight=False,
            markup=False,
            emoji=False,
        )
