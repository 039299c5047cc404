"""
The command line: ``asynctasks``, of the extra ``cli``.

Data goes to stdout, talk to stderr. Importing this package loads none of the
libraries that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
import sys
from typing import TextIO


__all__ = ["main"]

LIBRARIES = ("click", "rich")


def main(args: Sequence[str] | None = None) -> int:
    """
    Run the command line; it exits by itself.

    Args:
        args: by default those of the process.

    Returns:
        2, if the libraries of the extra ``cli`` are not installed.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        what = f"asynctasks needs {' and '.join(missing)} for its command line"
        sys.stderr.write(f'{what}: pip install "asynctasks[cli]"\n')
        return 2
    from .group import group  # noqa: PLC0415 - needs click

    show_anything(sys.stdout)
    return int(group.main(args))


def show_anything(stream: TextIO) -> None:
    """Have a stream escape characters that its encoding lacks, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
