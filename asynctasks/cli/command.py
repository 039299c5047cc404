"""How every command runs: on an event loop if it wants one, errors become exits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
import inspect
import os
import signal
import sys
from typing import Any
import warnings

import click

from .exits import Exit, exit_of
from .options import Options
from ..exceptions import AsyncTasksError, PatienceExceeded, TaskError


__all__ = ["Command", "hint", "pass_options"]

pass_options = click.make_pass_decorator(Options, ensure=True)
"""Gives a command's function the :class:`Options` as its first argument."""


class Command(click.Command):
    """A command whose function may be async, and may return an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the function and exit with its code."""
        options = ctx.ensure_object(Options)
        with reporting(options):
            options.start_logging(os.environ)
            code = super().invoke(ctx)
            if inspect.iscoroutine(code):
                code = asyncio.run(terminable(code))
        if code:
            ctx.exit(code)


class Terminated(BaseException):
    """Raised by SIGTERM, as KeyboardInterrupt is by Ctrl-C."""


async def terminable(work: Coroutine[Any, Any, Any]) -> Any:
    """
    Run a command that may take other measures; SIGTERM ends it as Ctrl-C does.

    Raises:
        Terminated: it was ended.
    """
    task, asked = asyncio.current_task(), asyncio.Event()

    def end() -> None:
        asked.set()
        if task is not None:
            task.cancel()

    # Not everywhere are there such handlers, and only in the main thread.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        return await work
    except asyncio.CancelledError:
        if asked.is_set():
            raise Terminated from None
        raise


@contextmanager
def reporting(options: Options) -> Iterator[None]:
    """Say what went wrong in a line, and exit with its code."""
    terminal = options.terminal

    def warn(message: Warning | str, *_: object, **__: object) -> None:
        terminal.complain(str(message), "warning")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            yield
    except AsyncTasksError as exc:
        explain(options, exc)
        raise click.exceptions.Exit(exit_of(exc)) from exc
    except BrokenPipeError as exc:
        discard_output()
        raise click.exceptions.Exit(Exit.BROKEN_PIPE) from exc
    except OSError as exc:
        # Of stdout: files and connections are told by errors of ours.
        discard_output()
        terminal.complain(f"cannot write: {exc.strerror or exc}")
        raise click.exceptions.Exit(Exit.FAILED) from exc
    except (KeyboardInterrupt, Terminated, click.Abort) as exc:
        ended = isinstance(exc, Terminated)
        terminal.insist("\nterminated" if ended else "\ninterrupted")
        hint(options, options.open)
        raise click.exceptions.Exit(
            Exit.TERMINATED if ended else Exit.INTERRUPTED
        ) from exc


def explain(options: Options, error: AsyncTasksError) -> None:
    """Say what went wrong, and how to go on."""
    if isinstance(error, PatienceExceeded) and error.token:
        options.terminal.complain(error.reason)
        asked = error.status is not None and error.status.cancel_requested
        hint(options, [error.token], ending=asked)
        return
    options.terminal.complain(str(error))
    if not isinstance(error, TaskError):
        hint(options, options.open)


def hint(options: Options, tokens: list[str], *, ending: bool = False) -> None:
    """
    Say how to go on with tasks that go on.

    Args:
        options: of the command line.
        tokens: of the tasks; without any, nothing is said.
        ending: they were asked to end, so that nobody waits for their results.
    """
    if tokens:
        alone = len(tokens) == 1 and not ending
        line = options.again("result" if alone else "watch", *tokens)
        what = "to see how it ends" if ending else "remote tasks go on; to wait again"
        options.terminal.insist(f"{what}:\n  {line}")


def discard_output() -> None:
    """Have nothing flushed at exit to a reader who went away."""
    # The streams of a test have no file descriptor.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
