"""
Faults on request: what a test wants to go wrong, and when.

A fault waits for the next requests that match it, is used up by them, and is gone.
"""

from __future__ import annotations

import re
from typing import Literal

import attrs

from ..sansio.http import Request, Response


__all__ = ["Fault", "Faults"]


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with a request. Without any of it, nothing does."""

    response: Response | None = None
    """Answered instead of handling the request."""

    drop: Literal["request", "answer"] | None = None
    """
    Where the connection breaks: before the request is handled, or after it was,
    so that its answer is lost.
    """

    delay: float = 0.0
    """Seconds to wait before the answer."""


@attrs.define
class _Waiting:
    fault: Fault
    times: int
    method: str | None
    path: re.Pattern[str]


class Faults:
    """The faults that are waiting for requests; the first that matches is taken."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def add(
        self,
        fault: Fault,
        *,
        times: int = 1,
        method: str | None = None,
        path: str = "",
    ) -> None:
        """
        Let a fault wait.

        Args:
            fault: what goes wrong.
            times: with how many requests.
            method: only with this method, such as ``"POST"``.
            path: only where this regular expression is found in the path.
        """
        self._waiting.append(_Waiting(fault, times, method, re.compile(path)))

    def answer(
        self, response: Response, *, times: int = 1, method: str | None = None
    ) -> None:
        """Answer the next requests with this, without handling them."""
        self.add(Fault(response=response), times=times, method=method)

    def lose_answer(self, *, times: int = 1, method: str | None = "POST") -> None:
        """Handle the next requests (by default submits), but lose the answers."""
        self.add(Fault(drop="answer"), times=times, method=method)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._waiting.clear()

    def take(self, request: Request) -> Fault:
        """Return what goes wrong with this request, and count it."""
        for waiting in self._waiting:
            if waiting.method not in {None, request.method}:
                continue
            if waiting.path.search(request.path):
                return self._use(waiting)
        return NOTHING

    def _use(self, waiting: _Waiting) -> Fault:
        waiting.times -= 1
        if waiting.times < 1:
            self._waiting.remove(waiting)
        return waiting.fault


NOTHING = Fault()
