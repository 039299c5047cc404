"""The options that commands share."""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import shlex

import click
import pytest

from asynctasks.cli.group import LazyGroup, group
from asynctasks.cli.options import Options
from asynctasks.config.protocols import FILES
from asynctasks.exceptions import ConfigError
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def same_level() -> Iterator[None]:
    """Leave the logger as it was."""
    logger = logging.getLogger("asynctasks")
    level = logger.level
    yield
    logger.setLevel(level)


def test_options_stand_before_or_behind_the_command(
    run: Run, local: tuple[str, ...]
) -> None:
    """--json means the same in both places."""
    before = run("--json", "tasks", *local)
    behind = run("tasks", *local, "--json")

    assert "[" == before.output[0]
    assert before.output == behind.output


def test_command_to_go_on_has_the_connection() -> None:
    """The line that goes on names the service, and quotes the token."""
    options = Options(profile="prod", settings={"app": "A B", "deployment": "cloud"})
    line = options.again("result", '{"id":"1"}')

    assert [
        "asynctasks",
        "result",
        '{"id":"1"}',
        "--profile",
        "prod",
        "--app",
        "A B",
        "--cloud",
    ] == shlex.split(line)


@pytest.mark.parametrize(
    ("options", "environ", "level"),
    [
        (Options(verbose=1), {}, logging.INFO),
        (Options(verbose=5), {}, logging.DEBUG),
        (Options(), {"ASYNCTASKS_LOG": "warning"}, logging.WARNING),
        (Options(verbose=2), {"ASYNCTASKS_LOG": "ERROR"}, logging.DEBUG),
    ],
)
def test_level_comes_from_options_or_environment(
    options: Options, environ: dict[str, str], level: int
) -> None:
    """-v wins over ASYNCTASKS_LOG."""
    options.start_logging(environ)

    assert level == logging.getLogger("asynctasks").level


def test_unknown_level_is_refused() -> None:
    """A level that does not exist is a ConfigError that names the variable."""
    with pytest.raises(ConfigError, match="ASYNCTASKS_LOG: 'LOUD' is no level"):
        Options().start_logging({"ASYNCTASKS_LOG": "loud"})


def test_unsound_log_config_ends_with_2(run: Run, isolated: Path) -> None:
    """A logging.ini that cannot be used is told in a line."""
    path = isolated / "logging.ini"
    path.write_text("[loggers]\n")
    result = run("tasks", "--log-config", str(path))

    assert 2 == result.exit_code
    assert "is no sound logging configuration" in result.stderr


def test_no_secret_has_an_option() -> None:
    """Others can see command lines: secrets come from files and the environment."""
    command = LazyGroup().get_command(click.Context(group), "run")

    assert command is not None
    assert set() == FILES.keys() & {each.name for each in command.params}
    assert {"password_file", "token_file"} < {each.name for each in command.params}


def test_command_to_go_on_names_the_protocol() -> None:
    """All settings that have an option are repeated."""
    settings = {"protocol": "desp", "username": "ann", "token_file": "t.txt"}
    line = Options(settings=settings).again("poll", "7")

    assert "asynctasks poll 7 --protocol desp --username ann --token-file t.txt" == line
