"""
The command line: ``asynctasks``, of the extra ``cli``.

Data goes to stdout, talk to stderr. Importing this package loads none of the
libraries that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
import os
from pathlib import Path
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
        sys.stderr.write(f'{what}; in its clone: pip install -e ".[cli]"\n')
        return 2
    from .group import group  # noqa: PLC0415 - needs click

    replace_closed()
    show_anything(sys.stdout)
    return int(group.main(args))


def replace_closed() -> None:
    """Have what is printed to a closed stream vanish, instead of failing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays
            setattr(sys, name, stream)


def show_anything(stream: TextIO) -> None:
    """Have a stream escape characters that its encoding lacks, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
