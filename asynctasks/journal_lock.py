"""
Who holds the lock of a journal, and whether that process still lives.

Where this can be found out, a process that lives keeps its lock, however long it was
stopped: it may be about to send what it has written that it would.
"""

from __future__ import annotations

import os
from pathlib import Path
import socket
import sys
import time
import uuid

import attrs


__all__ = ["OWN", "STALE", "Holder"]

STALE = 30.0
"""Seconds without a sign of life after which a lock is nobody's, if nothing tells."""


@attrs.frozen
class Holder:
    """Who has a lock: a row of the table."""

    owner: str
    """An id; and, where that is known, when the process began, and what of its
    machine its number counts in: ``"id birth namespace"``."""

    pid: int
    host: str
    beat: float
    """When it was last heard of, in seconds since the epoch."""

    @classmethod
    def of_this_process(cls) -> Holder:
        """Make a holder that is nobody else, of this process neither."""
        pid = os.getpid()
        owner = f"{uuid.uuid4().hex} {_birth(pid)} {_namespace()}"
        return cls(owner, pid, socket.gethostname(), time.time())

    @property
    def silent(self) -> float:
        """Seconds since it was last heard of."""
        return time.time() - self.beat

    @property
    def gone(self) -> bool:
        """Whether the lock is nobody's."""
        lives = self._lives()
        return self.silent >= STALE if lives is None else not lives

    def __str__(self) -> str:
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        heard = f"last heard of {self.silent:.0f} s ago"
        return f"process {self.pid}{where} uses it ({heard})"

    def _lives(self) -> bool | None:
        """Tell whether it lives; None if that cannot be found out here."""
        _, birth, namespace, *_ = [*self.owner.split(" "), "", ""]
        if self.host != socket.gethostname() or namespace not in {"", _namespace()}:
            return None
        if self.pid == os.getpid():
            # In a container, one that died may have had the same number.
            return self.owner in OWN
        if sys.platform == "win32":
            return None  # there, asking with a signal would end it
        if not _is_there(self.pid):
            return False
        now = _birth(self.pid)
        return birth == now if birth and now else None


OWN: set[str] = set()
"""The owners of the locks that this process has."""


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def _birth(pid: int) -> str:
    """Return when a process began, as the system counts; empty if it does not tell."""
    return "".join(_stat(pid)[19:20])


def _stat(pid: int) -> list[str]:
    """Return what Linux tells of a process, from its state on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()


def _namespace() -> str:
    """Return what the numbers of processes count in; containers have their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
