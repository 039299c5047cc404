"""``asynctasks batch status``, ``failures`` and ``export``: what a journal says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
import sys
from typing import Any, TypeVar

import attrs
import click

from .apart import keep_apart
from .batch_lines import build_details, build_line, write_line
from .command import Command, pass_options
from .options import Options, talk_options
from .terminal import Terminal, escape
from ..exceptions import ConfigError
from ..sansio.ledger import Entry, ItemState


__all__ = ["export_command", "failures_command", "status_command"]

F = TypeVar("F", bound=Callable[..., Any])

CANDIDATES = 5
"""Tasks that are named on a line."""

MEANINGS = {
    ItemState.SUCCEEDED: "done",
    ItemState.FAILED: "failed",
    ItemState.UNKNOWN: "unknown: submitted or not, nobody can tell",
    ItemState.SUBMITTED: "at the service",
    ItemState.INTENDED: "in doubt: the submit may have been sent",
    ItemState.WAITING: "waiting",
}
"""What people read of the states."""


def journal_options(function: F) -> F:
    """Add what every command on a journal takes."""
    salvage = click.option(
        "--salvage", is_flag=True, help="Read what can be read of a damaged journal."
    )
    return click.argument("journal")(salvage(function))


@click.command("status", cls=Command)
@journal_options
@click.option("--report", metavar="FILE.html", help="Draw what became of it.")
@talk_options
@pass_options
def status_command(
    options: Options, /, journal: str, *, salvage: bool, report: str | None
) -> None:
    """Count what became of the items; the batch may be running."""
    from ..journal import Journal  # noqa: PLC0415 - it loads asyncio

    keep_apart({"JOURNAL": journal, "--report": report})
    with Journal.read(journal, salvage=salvage) as reader:
        summary = reader.summary()
    if report is not None:
        write_report(options, journal, report)
    document = attrs.asdict(summary)
    document["counts"] = {state.value: n for state, n in summary.counts.items()}
    for name in ("began", "written"):
        document[name] = write_time(document[name])
    if options.json:
        options.terminal.write_document(document)
    else:
        show_summary(options.terminal, document)


def write_report(options: Options, journal: str, path: str) -> None:
    """Draw what became of a batch."""
    from ..report import BatchReport  # noqa: PLC0415 - for the few who want it

    try:
        BatchReport.from_journal(journal).to_html(path)
    except OSError as exc:
        raise ConfigError(path, f"cannot be written: {exc.strerror}") from exc
    options.terminal.say(f"the report is in {path}")


def show_summary(terminal: Terminal, document: dict[str, Any]) -> None:
    """Print counts for people."""
    for state, meaning in MEANINGS.items():
        count = document["counts"][state.value]
        if count or state in {ItemState.SUCCEEDED, ItemState.FAILED}:
            terminal.write(f"{count:>10,}  {meaning}")
    terminal.write(f"{document['total']:>10,}  in all")
    words = [document["protocol"], document["variant"], document["origin"]]
    service = escape(" ".join(filter(None, words)))
    runs = "one run" if document["runs"] == 1 else f"{document['runs']} runs"
    times = f"from {document['began']} to {document['written']}"
    terminal.say(f"{service}: {runs}, {times}")
    if document["locked_by"] is not None:
        terminal.say(f"process {document['locked_by']} is running it")


@click.command("failures", cls=Command)
@journal_options
@talk_options
@pass_options
def failures_command(options: Options, /, journal: str, *, salvage: bool) -> None:
    """
    Print the items that have no result, and why.

    With --json: a JSON document a line, as "batch export" has it.
    """
    from ..journal import Journal  # noqa: PLC0415

    kinds: Counter[str] = Counter()
    with Journal.read(journal, salvage=salvage) as reader:
        for entry in reader.items(ItemState.FAILED, ItemState.UNKNOWN):
            kinds[entry.failure.kind if entry.failure else entry.state.value] += 1
            if options.json:
                options.terminal.write_row(build_details(entry))
            else:
                options.terminal.write(describe(entry))
    for kind, count in kinds.most_common():
        options.terminal.say(f"{count:,} of {kind}")


def describe(entry: Entry) -> str:
    """Say in a line why an item has no result."""
    line = build_line(entry)
    words = [str(entry.index), entry.key, line.get("error", entry.state.value)]
    text = "  ".join(words) + f": {line.get('message', '')}"
    if entry.candidates:
        text += f" (it may be {name_some(entry.candidates)})"
    return escape(text)


def name_some(candidates: Sequence[str]) -> str:
    """Name the first tasks, and count the rest; an export has them all."""
    more = len(candidates) - CANDIDATES
    named = [*candidates[:CANDIDATES], *([f"{more:,} others"] if more > 0 else [])]
    return " or ".join(named)


@click.command("export", cls=Command)
@journal_options
@click.option("--out", metavar="FILE|-", default="-", help="By default stdout.")
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in ItemState]),
    multiple=True,
    help="Only items that are in it; may be given again.",
)
@talk_options
@pass_options
def export_command(
    options: Options,
    /,
    journal: str,
    *,
    salvage: bool,
    out: str,
    states: tuple[str, ...],
) -> None:
    """Print all that is known of the items: a JSON document a line."""
    from ..journal import Journal  # noqa: PLC0415

    keep_apart({"JOURNAL": journal, "--out": out})
    with Journal.read(journal, salvage=salvage) as reader:
        entries = reader.items(*map(ItemState, states))
        lines = (write_line(build_details(entry)) for entry in entries)
        if out == "-":
            sys.stdout.buffer.writelines(lines)
            sys.stdout.buffer.flush()
            return
        try:
            with Path(out).open("wb") as file:
                file.writelines(lines)
        except OSError as exc:
            raise ConfigError(out, f"cannot be written: {exc.strerror}") from exc
    options.terminal.say(f"saved to {out}")


def write_time(seconds: float | None) -> str | None:
    """Write a time of the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
