"""A name for a file that a server suggested, which may say anything."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote


__all__ = ["safe_filename"]

SEPARATORS = re.compile(r"[/\\]")

NOT_IN_NAMES = re.compile(r'[<>:"|?*]')
"""What Windows has in no name of a file; a colon names streams and drives there."""

RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"}
)
"""Names that Windows takes for devices, with any extension."""

LONGEST_PATH = 4096
"""Characters of a path of which the end is looked at."""

LONGEST = 200
"""Bytes of a name; file systems take 255, and a temporary name has some more."""


def safe_filename(suggested: str, fallback: str = "download") -> str:
    """
    Return a name that stays in its folder and that every file system takes.

    Args:
        suggested: by the server: a name or a path, of which the last part counts.
        fallback: returned where nothing is left of it.
    """
    # Decoded first, so that no %2F becomes a slash for whoever decodes it later.
    name = unicodedata.normalize("NFC", unquote(suggested[-LONGEST_PATH:]))
    name = " ".join(SEPARATORS.split(name)[-1].split())
    # Without controls, and what is invisible or turns the text around.
    name = "".join(filter(str.isprintable, name))
    name = NOT_IN_NAMES.sub("_", name).strip(". ")
    if name.partition(".")[0].strip().lower() in RESERVED:
        name = f"_{name}"
    return _shortened(name) or fallback


def _shortened(name: str) -> str:
    """Cut a name that is too long before its extension."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = f"{dot}{extension}".encode()
    if not stem or len(tail) > LONGEST // 4:
        stem, tail = name, b""
    kept = stem.encode()[: LONGEST - len(tail)].decode(errors="ignore")
    return kept.rstrip(". ") + tail.decode()
