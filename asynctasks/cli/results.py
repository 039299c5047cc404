"""Results of tasks: to stdout, or to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .exits import Exit
from .options import Options
from .terminal import escape
from ..exceptions import InvalidArgument


if TYPE_CHECKING:
    from ..handle import TaskHandle


__all__ = ["check_out", "write_result"]

STDOUT = "-"
"""What ``--out`` calls it."""


def check_out(out: str | None) -> None:
    """
    Refuse a file that could not be written, before a task is waited for.

    Raises:
        InvalidArgument: its folder is not there or not ours, or it is a folder.
    """
    if out is None or out == STDOUT:
        return
    folder = Path(out).parent
    try:
        fault = "name a file, not a folder" if Path(out).is_dir() or not out else ""
    except OSError as exc:
        fault = f"cannot be written: {exc.strerror}"
    if not fault and not folder.is_dir():
        fault = f"there is no folder {str(folder)!r}"
    if not fault and not os.access(folder, os.W_OK | os.X_OK):
        fault = f"we may not write into the folder {str(folder)!r}"
    if fault:
        raise InvalidArgument("--out", out, fault)


async def write_result(options: Options, task: TaskHandle, out: str | None) -> Exit:
    """
    Wait for a task and write its result.

    Args:
        options: of the command line.
        task: the task.
        out: a file; ``-`` for the bytes as they are on stdout; by default JSON or
            text for people.

    Returns:
        OK; FAILED if the task has a result, but it could not be written.

    Raises:
        TaskError: there is no result.
    """
    if out == STDOUT:
        options.terminal.write_raw(await task.result(decode="bytes"))
        return Exit.OK
    if out is not None:
        return await save_result(options, task, out)
    answer = await task.result()
    if isinstance(answer, bytes) and answer:
        what = f"the result is binary ({len(answer):,} bytes)"
        return complain(options, task, f"{what}: name a file for it, or - for stdout")
    if isinstance(answer, str) and not options.json:
        options.terminal.write(escape(answer.removesuffix("\n"), keep="\n\t"))
    else:
        empty = isinstance(answer, bytes)
        options.terminal.write_document(None if empty else answer)
    return Exit.OK


async def save_result(options: Options, task: TaskHandle, out: str) -> Exit:
    """Write the result of a task to a file."""
    try:
        path = await task.download(out)
    except InvalidArgument as exc:
        return complain(options, task, str(exc))
    size = path.stat().st_size
    options.terminal.say(f"saved {size:,} bytes to {path}")
    if options.json:
        options.terminal.write_document({"path": str(path), "bytes": size})
    return Exit.OK


def complain(options: Options, task: TaskHandle, reason: str) -> Exit:
    """Say why a result is not written, and how to have it all the same."""
    again = options.again("result", task.token, "--out", "FILE")
    options.terminal.complain(reason)
    options.terminal.insist(f"the task is over; to have its result:\n  {again}")
    return Exit.FAILED
