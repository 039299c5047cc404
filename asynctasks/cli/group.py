"""``asynctasks`` itself: its commands, each loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from .exits import MEANINGS
from .options import group_options, version_option


__all__ = ["COMMANDS", "LazyGroup", "group"]

COMMANDS = {
    "demo": "demo",
    "serve": "serve",
    "submit": "submit",
    "run": "submit",
    "batch": "batch",
    "watch": "watch",
    "poll": "tasks",
    "result": "tasks",
    "cancel": "tasks",
    "tasks": "tasks",
    "check": "check",
}
"""The commands, and the modules they are in."""

EPILOG = """\b
Settings come from options, then from the environment, then from the profile:
  ASYNCTASKS_PROFILE, _PROTOCOL, _BASE_URL, _USERNAME, _API_KEY, _PASSWORD, _TOKEN,
  _ACCESS_TOKEN, _TIMEOUT, _LOG, _LOG_CONFIG, _CONFIG

\b
Exit codes:
"""

CODES = "\n".join(f"  {code:>3}  {MEANINGS[code]}" for code in sorted(MEANINGS))


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".{COMMANDS[cmd_name]}", __package__)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG + CODES,
)
@version_option
@group_options
def group() -> None:
    """
    Run long tasks behind REST services: submit, poll, result, cancel.

    Start with "asynctasks demo". The options below may also stand behind the name
    of a command.
    """
