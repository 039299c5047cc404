"""
The pages of ``docs/`` tell the truth: their programs and commands run.

A block of Python that calls ``asyncio.run()`` is a whole program: it is run, and a
block of text behind it is what it prints. One that begins with the name of a file of
tests is run by pytest. Others are compiled, and their imports looked up. Commands
for port 8080 of this machine are run against a server; others are parsed.

``python -m tests.test_docs`` writes the tables that are written from the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
import importlib.metadata
from itertools import zip_longest
import os
from pathlib import Path
import re
import shlex
import stat
import subprocess
import sys
import tomllib

import attrs
import click
import pytest

from asynctasks import exceptions
from asynctasks.cli.exits import MEANINGS, Exit, exit_of
from asynctasks.cli.group import LazyGroup, group
from asynctasks.config import Profile
from asynctasks.config.protocols import CREDENTIALS, FILES, PROTOCOLS
from asynctasks.config.sources import VARIABLES
from asynctasks.exceptions import AsyncTasksError
from asynctasks.testing import serving


ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

URL = "http://127.0.0.1:8080"

TEST_FILE = re.compile(r"# (test_\w+\.py)\n")

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@attrs.frozen
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    printed: str | None = None
    """What a block of text right behind it says."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    """Find the blocks of a language on all pages."""
    for page in PAGES:
        text = (DOCS / page).read_text("utf-8")
        found = list(FENCE.finditer(text))
        for match, after in zip_longest(found, found[1:]):
            printed = None
            if (
                after
                and after[1] == "text"
                and not text[match.end() : after.start()].strip()
            ):
                printed = after[2]
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 2
                yield Block(page, line, language, match[2], printed)


PYTHON = list(blocks("python"))
PROGRAMS = [each for each in PYTHON if "asyncio.run(" in each.text]
TESTS = [each for each in PYTHON if TEST_FILE.match(each.text)]
SHELL = list(blocks("sh"))
COMMANDS = [each for each in SHELL if "asynctasks " in each.text]
SERVED = [each for each in COMMANDS if URL in each.text]


def compiled(block: Block) -> ast.Module:
    """Compile a block; a part of a program may await."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    tree = compile(block.text, str(block), "exec", flags)
    assert isinstance(tree, ast.Module)
    return tree


# --- Python ------------------------------------------------------------------


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_program_prints_what_the_page_says(
    block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole program runs as it is, without warnings."""
    code = compile(block.text, str(block), "exec", dont_inherit=True)
    exec(code, {"__name__": "__main__"})
    printed = capsys.readouterr().out

    assert block.printed in {None, printed}


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_names_that_are_imported_exist(block: Block) -> None:
    """A block is Python, and what it imports from the package is there."""
    missing = [
        alias.name
        for node in ast.walk(compiled(block))
        if isinstance(node, ast.ImportFrom)
        and str(node.module).startswith("asynctasks")
        for alias in node.names
        if not hasattr(importlib.import_module(str(node.module)), alias.name)
    ]

    assert [] == missing


def test_tests_of_the_pages_pass(tmp_path: Path) -> None:
    """The samples of tests are tests."""
    for block in TESTS:
        match = TEST_FILE.match(block.text)
        assert match is not None
        (tmp_path / match[1]).write_text(block.text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **plugin_env()},
    )

    assert 0 == done.returncode, done.stdout
    assert f"{len(TESTS)} passed" in done.stdout


def plugin_env() -> dict[str, str]:
    """Load the plugin by name where the package is not installed."""
    names = {each.name for each in importlib.metadata.entry_points(group="pytest11")}
    return (
        {} if "asynctasks" in names else {"PYTEST_PLUGINS": "asynctasks.pytest_plugin"}
    )


# --- commands ----------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_commands_run(tmp_path: Path) -> None:
    """The commands for a server of this machine end with 0, block by block."""
    tool = tmp_path / "asynctasks"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asynctasks "$@"\n')
    tool.chmod(stat.S_IRWXU)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ASYNCTASKS")}
    env = {**clean, "PYTHONPATH": str(ROOT), "ASYNCTASKS_CONFIG": "/nowhere"}
    env["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with serving() as server:
        running = [
            (
                block,
                subprocess.Popen(
                    ["sh", "-euc", block.text.replace(URL, server.url)],
                    cwd=tmp_path,
                    env=env,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                ),
            )
            for block in SERVED
        ]
        ended = {
            str(block): (process.communicate(timeout=40)[0], process.returncode)
            for block, process in running
        }

    assert {} == {where: said for where, (said, code) in ended.items() if code}


def command_lines(text: str) -> Iterator[list[str]]:
    """Find the calls of the command line in a block."""
    for line in text.replace("\\\n", " ").splitlines():
        _, found, rest = line.partition("asynctasks ")
        if found and not line.startswith(("pip", "python")):
            yield shlex.split(rest.partition(")")[0], comments=True)


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_commands_have_their_options(block: Block) -> None:
    """Every command is there and takes what it is given."""
    for name, *args in command_lines(block.text):
        with click.Context(group) as parent:
            command = LazyGroup().get_command(parent, name)

            assert command is not None, name
            command.make_context(name, args, parent=parent)


# --- profiles ----------------------------------------------------------------


@pytest.mark.parametrize("block", list(blocks("toml")), ids=str)
def test_profiles_can_be_loaded(block: Block, tmp_path: Path) -> None:
    """Every profile of a page is sound."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    path.write_text(block.text)
    names = tomllib.loads(block.text)["profiles"]

    assert list(names) == [
        Profile.load(name, path=path, environ={}).name for name in names
    ]


def test_settings_and_variables_are_all_told() -> None:
    """The page of the command line names every setting and every variable."""
    text = (DOCS / "command-line.md").read_text("utf-8")
    settings = {name for each in PROTOCOLS.values() for name in each.settings}
    told = settings - set(FILES.values()) - {"protocol"}

    assert [] == sorted(name for name in told if f"`{name}`" not in text)
    assert [] == [name for name in VARIABLES.values() if f"`{name}`" not in text]
    assert [] == [name for name in CREDENTIALS if f"`{name}`" not in text]


# --- tables that are written from the code -----------------------------------


def errors_table() -> str:
    """Write the table of the errors, children behind their parents."""
    lines = ["| error | when | try again | exit |", "|---|---|---|---|"]
    lines += list(error_rows(AsyncTasksError, 0))
    return "\n".join(lines)


def error_rows(kind: type[AsyncTasksError], depth: int) -> Iterator[str]:
    """Write the rows of a class and of those below it."""
    words = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    words = re.sub(r"^Raised (by ``result\(\)`` )?((about|on|when) )?", "", words)
    words = words.replace("``", "`").replace(":class:", "").rstrip(".")
    again = "yes" if kind.retryable else ""
    code = int(exit_of(kind.__new__(kind)))
    indent = "&ensp;" * depth * 2
    yield f"| {indent}`{kind.__name__}` | {words} | {again} | {code} |"
    below = {each.__name__: each for each in kind.__subclasses__()}
    for name in exceptions.__all__:
        if name in below:
            yield from error_rows(below[name], depth + 1)


def exits_table() -> str:
    """Write the table of the exit codes."""
    rows = [f"| {int(code)} | {MEANINGS[code]} |" for code in Exit]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


TABLES = {
    ("errors.md", "errors"): errors_table,
    ("command-line.md", "exit codes"): exits_table,
}


def split(page: str, name: str) -> tuple[str, str, str]:
    """Split a page at a table that is written here."""
    text = (DOCS / page).read_text("utf-8")
    begin = f"<!-- {name}: begin (written by tests/test_docs.py) -->"
    end = f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    table, ended, after = rest.partition(end)

    assert found
    assert ended
    return before + begin, table.strip(), end + after


@pytest.mark.parametrize(("page", "name"), TABLES)
def test_tables_are_those_of_the_code(page: str, name: str) -> None:
    """What is written from the code is up to date."""
    _, table, _ = split(page, name)

    assert TABLES[page, name]() == table, "run: python -m tests.test_docs"


# --- promises ----------------------------------------------------------------


def test_every_named_test_exists() -> None:
    """A promise names the test that holds it, and the test is there."""
    text = (DOCS / "faults.md").read_text("utf-8")
    named = set(NAMED_TEST.findall(text))
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).is_file()
        or not re.search(rf"def {name}\(", (ROOT / path).read_text("utf-8"))
    ]

    assert named
    assert [] == missing


def test_every_row_names_a_test() -> None:
    """No promise stands alone."""
    text = (DOCS / "faults.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!---)", line)]
    bare = [row for row in rows if not NAMED_TEST.search(row) and "| test |" not in row]

    assert rows
    assert [] == bare


@pytest.mark.parametrize("page", [*PAGES, "../README.md"])
def test_links_lead_somewhere(page: str) -> None:
    """A link to another page finds it, and its tests and examples are there."""
    text = (DOCS / page).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(
        r"`((?:tests|examples|asynctasks)/[\w/]+\.(?:py|md))(?:`|::)", text
    )
    here = (DOCS / page).parent

    assert [] == [link for link in links if not (here / link).exists()]
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def main() -> None:
    """Write the tables into the pages."""
    for (page, name), write in TABLES.items():
        before, _, after = split(page, name)
        (DOCS / page).write_text(f"{before}\n{write()}\n{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
