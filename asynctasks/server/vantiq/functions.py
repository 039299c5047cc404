"""The Python functions behind procedures, rules and sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
import inspect
import logging
from typing import Any, TypeVar

import attrs

from .refusals import Refused
from ..live import Job


__all__ = ["Functions", "Source", "call"]

LOGGER = logging.getLogger("asynctasks.server")

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen
class Source:
    """What an external source is here: functions."""

    query: Callable[..., Any] | None = None
    publish: Callable[..., Any] | None = None


class Functions:
    """The registered functions, and what they left to be done."""

    def __init__(self) -> None:
        self.procedures: dict[str, Callable[..., Any]] = {}
        self.listeners: list[tuple[str, Callable[..., Any]]] = []
        """Event paths, and what is called with the events at and below them."""

        self.sources: dict[str, Source] = {}
        self.jobs: list[Job] = []
        """What the shell has to run in the background."""

    def procedure(self, name: str) -> Callable[[F], F]:
        """Decorate a function that clients may execute by this name."""

        def register(function: F) -> F:
            self.procedures[name] = function
            return function

        return register

    def on(self, path: str) -> Callable[[F], F]:
        """Decorate a function that is called with each event of a path."""

        def register(function: F) -> F:
            self.listeners.append((path, function))
            return function

        return register

    def listening(self, path: str) -> list[Callable[..., Any]]:
        """Return what is to be called with an event."""
        return [
            function
            for root, function in self.listeners
            if f"{path}/".startswith(f"{root}/")
        ]

    def take_jobs(self) -> Sequence[Job]:
        """Return what async functions have left to be done, each job once."""
        jobs, self.jobs = self.jobs, []
        return jobs

    def run(self, function: Callable[..., Any], value: Any) -> None:
        """Call a function with what happened; its failure is logged."""
        try:
            result = function(value)
        except Exception:
            LOGGER.exception("%r failed", function)
            return
        if inspect.isawaitable(result):
            self.jobs.append(partial(finish, result))


async def finish(result: Awaitable[Any]) -> None:
    """Wait for what a function began; its failure is logged."""
    try:
        await result
    except Exception:
        LOGGER.exception("a function failed")


async def call(name: str, function: Callable[..., Any], arguments: Any) -> Any:
    """
    Call a function with arguments by name or by position.

    Raises:
        Refused: the arguments are not its, or it raised an exception.
    """
    try:
        bound = bind(function, arguments)
    except TypeError as exc:
        message = f"{name}: {exc}."
        raise Refused(400, "io.asynctasks.procedure.arguments", message) from exc
    try:
        value = bound()
        return await value if inspect.isawaitable(value) else value
    except Refused:
        raise
    except Exception as exc:
        message = f"{name} failed: {exc}"
        raise Refused(400, "io.asynctasks.procedure.failed", message, [name]) from exc


def bind(function: Callable[..., Any], arguments: Any) -> Callable[[], Any]:
    """Return a function together with its arguments."""
    args = [] if isinstance(arguments, Mapping) else arguments
    named = arguments if isinstance(arguments, Mapping) else {}
    with suppress(ValueError):  # some builtins do not say what they take
        inspect.signature(function).bind(*args, **named)
    return partial(function, *args, **named)
