"""The command line as a whole, in processes of its own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
import subprocess
import sys

import pytest

from asynctasks.cli.exits import MEANINGS
from asynctasks.cli.group import COMMANDS
from tests.cli.conftest import Run


ROOT = Path(__file__).parent.parent.parent

HEAVY = {"aiohttp", "rich", "yarl"}


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("args", [["--help"], ["submit", "--help"]], ids=" ".join)
def test_help_loads_little(args: list[str]) -> None:
    """--help needs neither a network nor a canvas."""
    done = python(
        "import sys\nfrom asynctasks.cli import main\n"
        f"try: main({args!r})\n"
        f"finally: print(*sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )

    assert 0 == done.returncode
    assert "" == done.stderr.strip()


def test_help_names_commands_and_codes(run: Run) -> None:
    """The help lists every command, and explains every exit code."""
    help_ = run("--help").output

    assert [] == [name for name in COMMANDS if f"  {name} " not in help_]
    assert [] == [meaning for meaning in MEANINGS.values() if meaning not in help_]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    """Every command can be loaded and explains itself."""
    result = run(name, "--help")

    assert 0 == result.exit_code
    assert name in result.output


def test_unknown_command_is_a_usage_error(run: Run) -> None:
    """A command that does not exist ends with 2."""
    assert 2 == run("fly").exit_code


def test_missing_libraries_are_named() -> None:
    """Without the extra, the user is told what to install."""
    done = python(
        "import sys, importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'click' else found(name)\n"
        "from asynctasks.cli import main\n"
        "sys.exit(main(['--help']))"
    )

    assert 2 == done.returncode
    assert 'in its clone: pip install -e ".[cli]"' in done.stderr
    assert "" == done.stdout


def test_version_is_that_of_the_package(run: Run) -> None:
    """--version says which one is installed, or that none is."""
    try:
        installed = version("asynctasks")
    except PackageNotFoundError:
        installed = "0+unknown"

    assert f"asynctasks, version {installed}\n" == run("--version").stdout


def test_module_is_the_command_line() -> None:
    """``python -m asynctasks`` is the same."""
    done = subprocess.run(
        [sys.executable, "-m", "asynctasks", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=True,
    )

    assert "demo" in done.stdout
