"""The options that commands share, before or behind the command's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
import math
import shlex
from typing import Any, TypeVar

import attrs
import click

from .terminal import Terminal
from ..config.protocols import PROTOCOLS
from ..exceptions import ConfigError


__all__ = [
    "Options",
    "add",
    "connection_options",
    "group_options",
    "talk_options",
    "version_option",
]

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("WARNING", "INFO", "DEBUG")
"""What is logged without -v, with one and with two."""

CONNECTION = {
    "url": "--url",
    "account": "--url",
    "app": "--app",
    "version": "--app-version",
    "api_version": "--api-version",
    "api_key_file": "--api-key-file",
    "protocol": "--protocol",
    "username": "--username",
    "password_file": "--password-file",
    "token_file": "--token-file",
    "token_url": "--token-url",
}
"""The settings of a profile that have an option."""


@attrs.define
class Options:
    """What was said on the command line, wherever in it."""

    json: bool = False
    quiet: bool = False
    verbose: int = 0
    no_color: bool = False
    log_config: str | None = None
    profile: str | None = None
    timeout: float | None = None
    settings: dict[str, Any] = attrs.field(factory=dict)
    """Settings that win over those of the profile."""

    open: list[str] = attrs.field(factory=list)
    """Tokens of the tasks that are waited for."""

    @property
    def terminal(self) -> Terminal:
        """Where to print."""
        return Terminal(quiet=self.quiet, color=False if self.no_color else None)

    def start_logging(self, environ: Mapping[str, str]) -> None:
        """
        Log as the options or the environment say.

        Raises:
            ConfigError: the file or the level cannot be used.
        """
        file = self.log_config or environ.get("ASYNCTASKS_LOG_CONFIG")
        level = LEVELS[min(self.verbose, 2)] if self.verbose else ""
        level = level or environ.get("ASYNCTASKS_LOG", "").upper()
        if not file and not level:
            return
        import logging  # noqa: PLC0415 - only where it is wanted

        if file:
            from ..config import configure_logging  # noqa: PLC0415

            configure_logging(file)
        else:
            logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        if level:
            if level not in logging.getLevelNamesMapping():
                remedy = f"{level!r} is no level; choose DEBUG, INFO or WARNING"
                raise ConfigError("ASYNCTASKS_LOG", remedy)
            logging.getLogger("asynctasks").setLevel(level)

    def again(self, command: str, *tokens: str) -> str:
        """Return the command line that goes on with tasks."""
        words = ["asynctasks", command, *tokens]
        if self.profile is not None:
            words += ["--profile", self.profile]
        for name, option in CONNECTION.items():
            if self.settings.get(name) is not None:
                words += [option, str(self.settings[name])]
        if self.settings.get("deployment") is not None:
            words.append(f"--{self.settings['deployment']}")
        return shlex.join(words)


def take(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep an option that was given."""
    if given(ctx, param):
        setattr(ctx.ensure_object(Options), str(param.name), value)


def take_setting(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a setting that was given."""
    if given(ctx, param):
        ctx.ensure_object(Options).settings[str(param.name)] = value


def take_address(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep an address: a URL, or the name of an account."""
    if given(ctx, param):
        url = "://" in value
        if not url and not value.replace("-", "").isalnum():
            remedy = f"{value!r} is no account; write a URL with http:// or https://"
            raise click.BadParameter(remedy)
        ctx.ensure_object(Options).settings["url" if url else "account"] = value


def show_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Print the version and end."""
    del param
    if value and not ctx.resilient_parsing:
        click.echo(f"asynctasks, version {import_module('asynctasks').__version__}")
        ctx.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=show_version,
    help="Show the version and exit.",
)


def take_seconds(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a finite number of seconds above 0."""
    if given(ctx, param):
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            reason = f"{value!r} is not a number of seconds above 0"
            raise click.BadParameter(reason)
        setattr(ctx.ensure_object(Options), str(param.name), seconds)


def given(ctx: click.Context, param: click.Parameter) -> bool:
    """Tell whether a parameter was given on the command line."""
    source = ctx.get_parameter_source(str(param.name))
    return source is click.core.ParameterSource.COMMANDLINE


def shared(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Make an option that goes to the :class:`Options`, not to the function."""
    keep = {"expose_value": False, "callback": take}
    return click.option(*names, **{**keep, **attributes})


TALK = (
    shared("--json", is_flag=True, help="Print data as JSON."),
    shared("-q", "--quiet", is_flag=True, help="Print data and errors only."),
    shared("-v", "--verbose", count=True, help="Log what happens; -vv: requests too."),
    shared("--no-color", is_flag=True, help="No colors (also: NO_COLOR=1)."),
    shared(
        "--log-config",
        metavar="FILE",
        help="Log as this logging.ini says. It can run code: trust it.",
    ),
)

WAITING = (
    shared("--profile", metavar="NAME", help="The profile to take."),
    shared(
        "--timeout",
        metavar="SECONDS",
        callback=take_seconds,
        help="How long to wait: for tasks to end, for each step of a check.",
    ),
)


def setting(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Make an option that is a setting of the profile."""
    return shared(*names, **{"callback": take_setting, **attributes})


ADDRESS = (
    setting(
        "--protocol",
        type=click.Choice(sorted(PROTOCOLS)),
        help="What is spoken there; by default aimms.",
    ),
    shared(
        "--url",
        metavar="URL",
        callback=take_address,
        help="Where the service is, or the name of its account.",
    ),
    setting(
        "--local",
        "deployment",
        flag_value="local",
        help="It is a server inside one AIMMS.",
    ),
    setting(
        "--cloud",
        "deployment",
        flag_value="cloud",
        help="It is AIMMS PRO in the cloud.",
    ),
    setting("--app", metavar="NAME", help="The application."),
    setting(
        "--app-version",
        "version",
        metavar="VERSION",
        help="Its version; by default the latest.",
    ),
    setting(
        "--api-version",
        type=click.Choice(["v1", "v2"]),
        help="The version of the REST API.",
    ),
    setting(
        "--api-key-file",
        metavar="FILE",
        help="The file with the key (also: ASYNCTASKS_API_KEY).",
    ),
    setting("--username", metavar="NAME", help="The user (also: ASYNCTASKS_USERNAME)."),
    setting(
        "--password-file",
        metavar="FILE",
        help="The file with the password (also: ASYNCTASKS_PASSWORD).",
    ),
    setting(
        "--token-file",
        metavar="FILE",
        help="The file with the token (also: ASYNCTASKS_TOKEN).",
    ),
    setting(
        "--token-url",
        metavar="URL",
        help="Where a password is changed for a token (DESP).",
    ),
)


def talk_options(function: F) -> F:
    """Add the options of how to talk."""
    return add(function, TALK)


def group_options(function: F) -> F:
    """Add the options that may stand before the command's name."""
    return add(function, (*WAITING, *TALK))


def connection_options(function: F) -> F:
    """Add the options of where the service is, and of how to talk."""
    return add(function, (*WAITING, *ADDRESS, *TALK))


def add(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    """Add options, the first one first in the help."""
    for option in reversed(options):
        function = option(function)
    return function
