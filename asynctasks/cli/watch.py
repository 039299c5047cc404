"""``asynctasks watch``: the states of tasks as they change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Self

import attrs
import click

from .command import Command, hint, pass_options
from .connect import connect
from .exits import Exit, exit_of
from .options import Options, connection_options
from .statuses import build_document, describe, follow
from .terminal import Terminal, escape
from ..exceptions import (
    AsyncTasksError,
    PatienceExceeded,
    TaskCancelled,
    TaskFailed,
)
from ..sansio.task import TaskState, TaskStatus


if TYPE_CHECKING:
    from rich.table import Table

    from ..handle import TaskHandle


__all__ = ["watch_command"]

STYLES = {
    TaskState.QUEUED: "dim",
    TaskState.RUNNING: "cyan",
    TaskState.SUCCEEDED: "green",
    TaskState.FAILED: "red",
    TaskState.CANCELLED: "yellow",
}


@attrs.define(eq=False)
class Line:
    """One watched task, and what was last heard of it."""

    handle: TaskHandle
    status: TaskStatus | None = None
    error: AsyncTasksError | None = None

    @property
    def text(self) -> str:
        """How it is, in a line that is harmless for a terminal."""
        if self.error is not None:
            return f"error: {escape(str(self.error))}"
        return describe(self.status) if self.status is not None else "..."

    @property
    def exit(self) -> Exit:
        """What it means for the exit code."""
        if self.error is not None:
            return exit_of(self.error)
        succeeded = self.status and self.status.state is TaskState.SUCCEEDED
        return Exit.OK if succeeded else Exit.FAILED


class Lines:
    """Prints every change as a line of text or JSON."""

    def __init__(self, terminal: Terminal, *, json: bool) -> None:
        self._terminal = terminal
        self._json = json

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def show(self, line: Line) -> None:
        """Print one change."""
        handle = line.handle
        if self._json:
            document = build_document(handle.id, handle.token, line.status)
            if line.error is not None:
                document["error"] = str(line.error)
            self._terminal.write_row(document)
        else:
            now = datetime.now().astimezone()
            self._terminal.write(f"{now:%H:%M:%S}  {escape(handle.id)}  {line.text}")


class Screen:
    """Draws all tasks again at every change."""

    def __init__(self, terminal: Terminal, lines: Sequence[Line]) -> None:
        from rich.live import Live  # noqa: PLC0415 - for the few who draw

        self._lines = lines
        self._live = Live(
            console=terminal.console(), get_renderable=self.draw, refresh_per_second=8
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def show(self, line: Line) -> None:
        """Draw one change."""
        del line
        self._live.refresh()

    def draw(self) -> Table:
        """Draw all tasks."""
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2))
        for line in self._lines:
            state = line.status.state if line.status else None
            style = "red" if line.error else STYLES.get(state, "") if state else ""
            text = Text(line.text, style)
            table.add_row(escape(line.handle.id), text)
        return table


@click.command("watch", cls=Command)
@click.argument("tasks", metavar="TOKEN|ID...", nargs=-1, required=True)
@connection_options
@pass_options
async def watch_command(options: Options, tasks: Sequence[str]) -> Exit:
    """
    Print the states of tasks until they are over.

    With --json: one JSON document a line for each change.
    """
    async with connect(options) as client:
        lines = [Line(client.handle(task)) for task in dict.fromkeys(tasks)]
        options.open.extend(line.handle.token for line in lines)
        terminal = options.terminal
        drawn = terminal.interactive and not options.json
        view: Lines | Screen = Lines(terminal, json=options.json)
        if drawn:
            view = Screen(terminal, lines)
        with view:
            await watch(lines, view, client.patience)
    late = [line for line in lines if isinstance(line.error, PatienceExceeded)]
    hint(options, [line.handle.token for line in late])
    return max(line.exit for line in lines)


async def watch(lines: Sequence[Line], view: Lines | Screen, patience: float) -> None:
    """Show every change of all tasks."""
    try:
        async with asyncio.TaskGroup() as group:
            for line in lines:
                group.create_task(keep(line, view, patience))
    except BaseExceptionGroup as group_exc:
        # What is no matter of one task, such as a reader who went away.
        raise group_exc.exceptions[0] from None


async def keep(line: Line, view: Lines | Screen, patience: float) -> None:
    """Show every change of one task; its errors are its own."""

    def show(status: TaskStatus) -> None:
        line.status = status
        view.show(line)

    try:
        await follow(line.handle, patience, show)
        if line.status is not None and not line.status.outcome_known:
            show(await find_out(line.handle, line.status))
    except AsyncTasksError as exc:
        line.error = exc
        view.show(line)


async def find_out(task: TaskHandle, status: TaskStatus) -> TaskStatus:
    """Fetch the result of a task that is over, if only that tells how it ended."""
    with suppress(TaskFailed, TaskCancelled):
        await task.result(decode="bytes")
    return task.last_status or status
