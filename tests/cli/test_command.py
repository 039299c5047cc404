"""How commands end."""

from __future__ import annotations

from contextlib import suppress
import inspect
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import warnings

import click
from click.testing import CliRunner
import pytest

from asynctasks.cli.command import Command, pass_options
from asynctasks.cli.options import Options
from asynctasks.cli.submit import run_command, submit_command
from asynctasks.cli.tasks import cancel_command
from asynctasks.exceptions import ConfigError, ConnectionLost, PatienceExceeded
from asynctasks.sansio.task import TaskState, TaskStatus


ROOT = Path(__file__).parent.parent.parent


def invoke(function: object, *args: str) -> tuple[int, str, str]:
    """Run a function as a command; return its code, stdout and stderr."""
    command = click.command("test", cls=Command)(pass_options(function))
    result = CliRunner().invoke(command, args)
    return result.exit_code, result.stdout, result.stderr


def test_async_functions_are_awaited() -> None:
    """What an async function returns is the exit code."""

    async def function(options: Options) -> int:
        return 3

    assert (3, "", "") == invoke(function)


def test_errors_are_told_in_a_line() -> None:
    """An error of ours is a line on stderr and an exit code, no traceback."""

    def function(options: Options) -> None:
        raise ConfigError("profile \x1b", "is bad")

    assert (2, "", "error: profile \\x1b: is bad\n") == invoke(function)


def test_faults_of_ours_are_not_hidden() -> None:
    """An error that is not one of ours keeps its traceback."""

    def function(options: Options) -> None:
        raise ZeroDivisionError

    command = click.command("test", cls=Command)(pass_options(function))

    assert isinstance(CliRunner().invoke(command).exception, ZeroDivisionError)


def test_lost_patience_says_how_to_go_on() -> None:
    """A wait that ran out ends with 5 and the command that waits again."""

    def function(options: Options) -> None:
        raise PatienceExceeded("1", "a-token", None, 2.0)

    code, _, err = invoke(function)

    assert 5 == code
    assert "error: task 1 did not end within 2 s (now: not seen yet); it goes on" in err
    assert "same handle" not in err
    assert "asynctasks result a-token" in err


def test_cancel_that_is_not_confirmed_says_how_to_see_its_end() -> None:
    """Nobody waits for the result of what was asked to end."""

    def function(options: Options) -> None:
        status = TaskStatus(state=TaskState.RUNNING, cancel_requested=True)
        raise PatienceExceeded("1", "a-token", status, 2.0)

    code, _, err = invoke(function)

    assert 5 == code
    assert "it was asked to end, and may yet\nto see how it ends:" in err
    assert "asynctasks watch a-token" in err
    assert "remote tasks go on" not in err


def test_error_while_waiting_says_how_to_go_on() -> None:
    """Whatever goes wrong after a submit, the task is not lost with it."""

    def function(options: Options) -> None:
        options.open.append("a-token")
        raise ConnectionLost("reset")

    code, _, err = invoke(function)

    assert 6 == code
    assert "asynctasks result a-token" in err


def test_interrupt_says_how_to_go_on() -> None:
    """Ctrl-C ends with 130 and the command that waits again."""

    def function(options: Options) -> None:
        options.open.extend(["one", "two"])
        raise KeyboardInterrupt

    code, _, err = invoke(function)

    assert 130 == code
    assert "asynctasks watch one two" in err


def test_warnings_are_told_in_a_line() -> None:
    """A warning is no source line."""

    def function(options: Options) -> None:
        warnings.warn("the key is open to all", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("default")

        assert (0, "", "warning: the key is open to all\n") == invoke(function)


def start(*args: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "asynctasks", *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_interrupted_wait_tells_the_token(
    local: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    """A real signal ends with its code and leaves the token behind."""
    process = start("run", "sleep", "--input", '{"seconds": 30}', *local)
    assert process.stderr is not None
    lines = [process.stderr.readline(), process.stderr.readline()]
    process.send_signal(number)
    _, err = process.communicate(timeout=20)

    assert "submitted task" in lines[0]
    assert code == process.returncode
    assert "asynctasks result '{" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk")
def test_full_disk_ends_the_command(local: tuple[str, ...]) -> None:
    """What cannot be written is told in a line, and ends with 1."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "asynctasks", "tasks", *local],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )

    told = "error: cannot write: No space left on device\n"
    assert (1, told) == (done.returncode, done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="shells")
def test_closed_output_is_no_fault(local: tuple[str, ...]) -> None:
    """A command whose stdout was closed from the start prints to nobody."""
    words = [sys.executable, "-m", "asynctasks", "tasks", *local]
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(words)} >&-"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("command", [submit_command, run_command, cancel_command])
def test_users_are_asked_before_the_loop_runs(command: click.Command) -> None:
    """On a loop, Ctrl-C would not end what waits for stdin."""
    assert not inspect.iscoroutinefunction(command.callback)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_reader_who_leaves_ends_the_command(local: tuple[str, ...]) -> None:
    """A broken pipe ends with 141 and without a word."""
    process = start("tasks", *local)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.wait(20)
    with suppress(ValueError):
        process.stderr.close()

    assert (141, "") == (process.returncode, err)
