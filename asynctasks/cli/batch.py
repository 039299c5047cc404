"""``asynctasks batch``: run a service on every row of a file, and survive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .batch_journal import export_command, failures_command, status_command
from .command import Command, pass_options
from .exits import Exit
from .options import Options, connection_options


__all__ = ["batch_command"]


class BatchGroup(click.Group):
    """A group that runs a batch where no command of it is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the command where it is left out."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show how it is mostly used."""
        del ctx
        return ["SERVICE INPUTS [OPTIONS]", "| COMMAND [ARGS]..."]


@click.group("batch", cls=BatchGroup)
def batch_command() -> None:
    """
    Run a service on every row of a file; survive kills, resume, count.

    "asynctasks batch solve inputs.jsonl --out results.jsonl" runs a batch; for its
    options: "asynctasks batch run --help". What became of it is in its journal.
    """


@batch_command.command("run", cls=Command)
@click.argument("service")
@click.argument("inputs", metavar="INPUTS.{jsonl,csv,parquet}|-")
@click.option(
    "--out",
    metavar="FILE|-",
    default="-",
    help="Where the results go, a line of JSON each; by default stdout.",
)
@click.option(
    "--journal",
    metavar="FILE",
    help="What survives a kill; by default the name of --out or INPUTS with .db.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Tasks that are submitted and have not ended, at most.",
)
@click.option(
    "--submits",
    metavar="N",
    type=click.IntRange(min=1),
    help="Submits at the same time. More than the default, which is 1 where only the "
    "service's list can settle a lost answer, may leave items unknown after a kill.",
)
@click.option("--resume", is_flag=True, help="Go on with the journal of a batch.")
@click.option(
    "--retry-failed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Submit an item that failed again, up to so many times.",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["skip", "resubmit", "raise"]),
    default="skip",
    show_default=True,
    help="When nobody can tell whether an item was submitted: tell, or risk it twice.",
)
@click.option(
    "--key",
    metavar="FIELD",
    help="The field that identifies a row; by default all of it.",
)
@click.option("--report", metavar="FILE.html", help="Draw what became of it.")
@connection_options
@pass_options
async def run_command(options: Options, /, **given: Any) -> Exit:
    """
    Run a service on every row of a file.

    Each row becomes the JSON inputs of one task, each result one line. Ctrl-C stops
    submitting and prints the line that resumes; a second one leaves at once.
    """
    from .batch_run import Order, run_batch  # noqa: PLC0415 - it loads aiohttp

    return await run_batch(options, Order(**with_journal(given)))


def with_journal(given: dict[str, Any]) -> dict[str, Any]:
    """Choose the journal where it is not named: beside the results, or the inputs."""
    if given["journal"] is None:
        beside = given["inputs"] if given["out"] == "-" else given["out"]
        name = "batch.db" if beside == "-" else f"{Path(beside).name}.db"
        given["journal"] = str(Path(beside).with_name(name) if beside != "-" else name)
    return given


COMMANDS: Sequence[click.Command] = (
    status_command,
    failures_command,
    export_command,
)

for command in COMMANDS:
    batch_command.add_command(command)
