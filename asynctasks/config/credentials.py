"""Secrets in files of their own: read when they are needed, and kept private."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
import os
from pathlib import Path
from typing import Any
import warnings

from ..exceptions import ConfigError, ResponseDecodeError
from ..sansio import codec
from ..sansio.auth import Secret


__all__ = ["fetch_from", "is_shared", "read_secret", "warn_of_readers"]


def read_secret(path: os.PathLike[str] | str, name: str) -> Secret:
    """
    Read a secret from a file: the bare text, or JSON with a member of its name.

    Args:
        path: of the file.
        name: such as ``"apiKey"``; cases and underscores do not matter.

    Raises:
        ConfigError: the file cannot be read or does not hold it.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read: {exc.strerror}") from exc
    remedy = f'write {{"{name}": "..."}}, or the text alone'
    text: Any = data.decode("utf-8-sig", "replace").strip()
    if text.startswith("{"):
        try:
            document: Mapping[str, Any] = codec.loads(data)
        except ResponseDecodeError as exc:
            raise ConfigError(str(path), f"is not JSON; {remedy}") from exc
        found = {folded(member): value for member, value in document.items()}
        text = found.get(folded(name))
    if not isinstance(text, str) or not text:
        raise ConfigError(str(path), f"holds no {name}; {remedy}")
    return Secret(text)


def folded(name: str) -> str:
    """Return what the spellings of a name have in common."""
    return name.replace("_", "").lower()


def fetch_from(path: Path, name: str) -> Callable[[], Awaitable[str]]:
    """Return what reads a secret when it is needed, off the event loop."""

    async def fetch() -> str:
        return (await asyncio.to_thread(read_secret, path, name)).reveal()

    return fetch


def is_shared(mode: int) -> bool:
    """Tell whether others on this machine may read a file of that mode."""
    return os.name == "posix" and bool(mode & 0o077)


def warn_of_readers(path: Path) -> None:
    """Warn if others on this machine may read the file."""
    # A file that is not there is reported by whoever reads it.
    with suppress(OSError):
        if is_shared(path.stat().st_mode):
            what = f"{path}: others can read this secret; run chmod 600 on it"
            warnings.warn(what, stacklevel=3)
