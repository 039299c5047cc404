"""What can be imported from the package, and what that costs."""

from __future__ import annotations

import ast
import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
import subprocess
import sys
from types import ModuleType

import pytest

import asynctasks


ROOT = Path(__file__).parent.parent

EXPORTS: dict[str, str] = vars(asynctasks)["_EXPORTS"]


def python(program: str, *options: str) -> str:
    """Run a program in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )
    return done.stdout.strip()


def names_for_type_checkers() -> dict[str, str]:
    """Return the names imported under TYPE_CHECKING, and their modules."""
    tree = ast.parse(Path(asynctasks.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or "not exported": f".{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname
    }


def test_all_is_what_is_exported() -> None:
    """The literal list is sorted and complete."""
    assert sorted(EXPORTS) == asynctasks.__all__


def test_type_checkers_see_the_same_names() -> None:
    """What is loaded late is imported for type checkers, from the same modules."""
    assert EXPORTS == names_for_type_checkers()


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_name_is_what_its_module_has(name: str) -> None:
    """Each name is the object of its module, which calls it public."""
    module = importlib.import_module(EXPORTS[name], "asynctasks")

    assert getattr(module, name) is getattr(asynctasks, name)
    assert name in module.__all__


def test_errors_are_all_exported() -> None:
    """No error has to be fetched from a module below."""
    module: ModuleType = importlib.import_module("asynctasks.exceptions")

    assert set(module.__all__) <= set(asynctasks.__all__)


def test_star_import_loads_everything() -> None:
    """A star import gives all public names, and none else."""
    program = (
        "before = set(globals()); from asynctasks import *; "
        "print(*sorted(set(globals()) - before - {'before'}))"
    )

    assert " ".join(asynctasks.__all__) == python(program)


@pytest.mark.parametrize(
    "program",
    [
        "import asynctasks",
        "import asynctasks.server",
        "from asynctasks import TaskState, InvalidArgument, RetryPolicy",
        "import asynctasks.pytest_plugin",
    ],
)
def test_import_is_cheap(program: str) -> None:
    """Importing loads neither aiohttp nor click, before they are used."""
    heavy = {"aiohttp", "click", "rich", "asyncio"} - (
        {"asyncio"} if "pytest" in program else set()
    )
    report = f"import sys; print(*sorted({heavy!r}.intersection(sys.modules)))"

    assert "" == python(f"{program}\n{report}")


def test_version_is_that_of_the_distribution() -> None:
    """The version is the installed one; it is not looked up on import."""
    try:
        installed = version("asynctasks")
    except PackageNotFoundError:
        installed = "0+unknown"

    assert installed == asynctasks.__version__


def test_version_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed, the version is unknown, and no error."""

    def find(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", find)

    assert "0+unknown" == asynctasks.__version__


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="'asynctasks' has no attribute 'Client'"):
        asynctasks.Client  # noqa: B018


def test_names_are_listed_before_they_are_loaded() -> None:
    """Completion in a shell sees the names."""
    assert {*EXPORTS, "__version__"} <= set(dir(asynctasks))


def test_name_is_loaded_once() -> None:
    """The second access does not ask again."""
    program = (
        "import asynctasks; asynctasks.TaskState; "
        "print('TaskState' in vars(asynctasks))"
    )

    assert "True" == python(program)
