"""
What a server's half may be besides a function of requests.

A half that is *live* also speaks first: it has sockets, does things when they are
due, and keeps what a restart must not lose. The shell gives it the time, moves its
frames, runs its jobs and stores its items.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from typing import Any, Protocol, runtime_checkable

import attrs

from ..sansio.http import Request, Response


__all__ = ["Calculated", "Item", "Job", "Live", "Socket", "Storage", "Streamed"]

Job = Callable[[], Coroutine[Any, Any, None]]
"""Something to be run in the background, until it ends or the server is closed."""


@attrs.frozen
class Item:
    """A piece of what a half keeps."""

    realm: str
    key: str
    value: bytes | None = attrs.field(repr=False)
    """None takes the item away."""


class Storage(Protocol):
    """Where items are kept. It may block: the shell calls it in a thread."""

    def read(self) -> Sequence[Item]:
        """Return all items in the order in which they were first written."""

    def write(self, items: Iterable[Item]) -> None:
        """Write items, all or none; they are on the disk when this returns."""

    def close(self) -> None:
        """Let others use the storage; may be called twice."""


@attrs.frozen(slots=False)
class Calculated(Response):
    """An answer that has to be waited for; its other facts mean nothing."""

    answer: Callable[[], Awaitable[Response]] = attrs.field(kw_only=True)


@attrs.frozen(slots=False)
class Streamed(Response):
    """An answer whose body is sent piece by piece, as it comes."""

    pieces: AsyncIterable[bytes] = attrs.field(kw_only=True)


class Socket(Protocol):
    """The server's half of one connection that is a stream of frames."""

    cut: bool
    """Whether the connection has to break now."""

    def receive(self, frame: str | bytes) -> None:
        """Take what the client sent."""

    def to_send(self) -> Sequence[bytes]:
        """Return what is to be sent, each frame once."""

    def lost(self) -> None:
        """Take note that the connection is over."""


@runtime_checkable
class Live(Protocol):
    """A half that also speaks first."""

    def start(self, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        """
        Take the shell's services, before anything else is asked.

        Args:
            clock: gives the time in seconds since the epoch.
            wake: to be called when something has become due, from any thread.
        """

    def connect(
        self, request: Request, wake: Callable[[], None]
    ) -> Socket | Response | None:
        """
        Open a socket, or refuse; None where the path is not of this protocol.

        Args:
            request: the handshake.
            wake: to be called when the socket has something to send.
        """

    def advance(self, now: float) -> None:
        """Do what is due."""

    def next_wakeup(self) -> float | None:
        """Return when :meth:`advance` has to be called at the latest."""

    def take_jobs(self) -> Sequence[Job]:
        """Return what is to be run in the background, each job once."""

    def take_items(self) -> Sequence[Item]:
        """Return what is to be stored, each change once."""

    def load(self, items: Iterable[Item]) -> None:
        """Take what was stored before."""
