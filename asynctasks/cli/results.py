"""Results of tasks: to stdout, or to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import Options
from .terminal import escape
from ..exceptions import InvalidArgument


if TYPE_CHECKING:
    from ..handle import TaskHandle


__all__ = ["write_result"]


async def write_result(options: Options, task: TaskHandle, out: str | None) -> None:
    """
    Wait for a task and write its result.

    Args:
        options: of the command line.
        task: the task.
        out: a file; ``-`` for the bytes as they are on stdout; by default JSON or
            text for people.

    Raises:
        TaskError: there is no result.
        InvalidArgument: it is binary, and no file was named.
    """
    terminal = options.terminal
    if out == "-":
        terminal.write_raw(await task.result(decode="bytes"))
        return
    if out is not None:
        path = await task.download(out)
        size = path.stat().st_size
        terminal.say(f"saved {size:,} bytes to {path}")
        if options.json:
            terminal.write_document({"path": str(path), "bytes": size})
        return
    answer = await task.result()
    if isinstance(answer, bytes) and answer:
        remedy = "the result is binary: name a file for it, or - for stdout"
        raise InvalidArgument("--out", "", remedy)
    if isinstance(answer, str) and not options.json:
        terminal.write(escape(answer.removesuffix("\n"), keep="\n\t"))
    else:
        terminal.write_document(answer or None if isinstance(answer, bytes) else answer)
