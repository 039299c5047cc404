"""``asynctasks poll``, ``result``, ``cancel`` and ``tasks``: tasks that exist."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
import sys
from typing import Any

import click

from .command import Command, pass_options
from .connect import connect
from .exits import Exit
from .options import Options, connection_options
from .results import check_out, write_result
from .statuses import build_document, describe
from .terminal import Terminal, escape
from ..exceptions import InvalidArgument


__all__ = ["cancel_command", "poll_command", "result_command", "tasks_command"]

CONFIRM = 60.0
"""Seconds to wait until a cancel is confirmed, without --timeout."""

COLUMNS = ("id", "state", "created", "service")

GAP = 2
"""Blanks between two columns."""

KEYS = {
    "id": ("id",),
    "state": ("state", "status"),
    "created": ("createdAt", "starttime", "createdDate", "startTime", "ars_createdAt"),
    "service": ("serviceName", "servicename", "service"),
}
"""What services call the columns, in their versions."""


@click.command("poll", cls=Command)
@click.argument("task", metavar="TOKEN|ID")
@connection_options
@pass_options
async def poll_command(options: Options, task: str) -> None:
    """Print how it is with a task."""
    async with connect(options) as client:
        handle = client.handle(task)
        status = await handle.status()
    if options.json:
        document = build_document(handle.id, handle.token, status)
        options.terminal.write_document(document)
    else:
        options.terminal.write(describe(status))


@click.command("result", cls=Command)
@click.argument("task", metavar="TOKEN|ID")
@click.option("--out", metavar="FILE", help="Save the result; - for bytes on stdout.")
@connection_options
@pass_options
async def result_command(options: Options, task: str, out: str | None) -> Exit:
    """Wait for a task and print its result."""
    check_out(out)
    async with connect(options) as client:
        handle = client.handle(task)
        options.open.append(handle.token)
        return await write_result(options, handle, out)


@click.command("cancel", cls=Command)
@click.argument("task", metavar="TOKEN|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connection_options
@pass_options
def cancel_command(
    options: Options, task: str, *, yes: bool
) -> Exit | Coroutine[Any, Any, None]:
    """End a remote task, and wait until the service confirms it."""
    # Asked before the loop runs: within it, Ctrl-C would not end the question.
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidArgument("--yes", "", "give it: there is nobody to ask")
        if not click.confirm(f"End task {escape(task)}?", err=True):
            options.terminal.insist("left alone")
            return Exit.FAILED
    return cancel(options, task)


async def cancel(options: Options, task: str) -> None:
    """End a remote task, and print how it ended."""
    timeout = CONFIRM if options.timeout is None else options.timeout
    async with connect(options) as client:
        handle = client.handle(task)
        status = await handle.cancel(timeout=timeout)
    if options.json:
        document = build_document(handle.id, handle.token, status)
        options.terminal.write_document(document)
    else:
        options.terminal.write(describe(status))


@click.command("tasks", cls=Command)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many at most.",
)
@click.option("--after", metavar="YYYY-MM-DD", help="Created on that day or later.")
@click.option("--before", metavar="YYYY-MM-DD", help="Created before that day.")
@connection_options
@pass_options
async def tasks_command(
    options: Options, limit: int, after: str | None, before: str | None
) -> None:
    """List tasks."""
    dates = {"after": after, "before": before}
    where = {name: date for name, date in dates.items() if date is not None}
    async with connect(options) as client:
        rows = await client.select("tasks", where=where, limit=limit)
    if options.json:
        options.terminal.write_document(rows)
    elif options.terminal.interactive:
        draw_rows(options.terminal, [build_cells(row) for row in rows])
    else:
        # Whole cells and tabs, for other programs.
        for cells in (COLUMNS, *map(build_cells, rows)):
            options.terminal.write("\t".join(cells))


def build_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Find the columns in a row; harmless for a terminal."""
    return tuple(
        escape(str(next((row[key] for key in KEYS[name] if row.get(key)), "")))
        for name in COLUMNS
    )


def draw_rows(terminal: Terminal, rows: Sequence[Sequence[str]]) -> None:
    """Draw rows for people: as a table where there is room for whole cells."""
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    console = terminal.console()
    if sum(widths) + GAP * len(widths) > console.width:
        for task, *facts in rows:
            terminal.write(terminal.paint(task, bold=True))
            terminal.write(f"{' ' * GAP}{(' ' * GAP).join(filter(None, facts))}")
        return
    from rich.table import Table  # noqa: PLC0415 - for the few who draw

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
