"""
The walls of the package: who may import whom, and what the pure core may not do.

Every rule is a function from a :class:`Package` to complaints; each is also shown a
package that breaks it, because a check that never turns red checks nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
import subprocess
import sys

import attrs
import pytest


ROOT = Path(__file__).parent.parent

LAYERS = [
    ["__main__"],
    ["cli", "pytest_plugin", "integrations"],
    ["testing"],
    ["vantiq_tasks"],
    ["aimms", "desp", "oml", "vantiq"],
    ["vantiq_events", "vantiq_pages", "vantiq_scripts"],
    ["vantiq_subscriber"],
    ["vantiq_inbox"],
    ["vantiq_session"],
    ["client", "config"],
    ["batch", "resources", "report", "stats", "submit_journal"],
    ["submit_doubts", "journalled"],
    ["options", "batch_engine"],
    ["batch_life", "batch_recovery"],
    ["batch_submit"],
    ["batch_record"],
    ["batch_settle"],
    ["batch_book", "batch_remote", "batch_shelf"],
    ["desk", "batch_inputs", "batch_item", "batch_turns"],
    ["completion", "recurring"],
    ["handle", "subscriber"],
    ["watcher"],
    ["pace"],
    ["watch"],
    ["results"],
    ["driver"],
    ["signer"],
    ["lanes"],
    ["payload"],
    ["counts", "files", "hooks", "journal", "manners", "server", "transport"],
    ["journal_reader", "journal_writer", "journal_items"],
    ["journal_file"],
    ["journal_rows", "journal_lock"],
    ["sansio"],
    ["arguments", "once"],
    ["exceptions"],
]
"""The rooms of the package, from the top floor down; imports point down."""

FLOORS = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}

ROOMS_OF_SEVERAL = {"cli", "config", "integrations", "sansio", "server", "transport"}
"""Folders, whose modules may import each other without cycles."""

DIALECTS = {"aimms", "desp", "oml", "vantiq"}

AIOHTTP = {"transport", "server.app", "server.wire"}
"""The only modules that import aiohttp, but for annotations."""

OPTIONAL = {
    "click": {"cli"},
    "distributed": {"integrations.dask_worker"},
    "rich": {"cli"},
    "platformdirs": {"cli", "config"},
    "pytest": {"pytest_plugin"},
    "orjson": {"sansio.codec"},
    "pandas": {"integrations.arrow"},
    "pyarrow": {"cli.batch_inputs", "integrations.arrow"},
    "opentelemetry": {"integrations.otel"},
    "prometheus_client": {"integrations.prometheus"},
}
"""Libraries of the extras, and the rooms or modules that may import them."""

PURE_IMPORTS = {
    "__future__",
    "abc",
    "attrs",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "datetime",
    "decimal",
    "email",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "orjson",
    "re",
    "string",
    "types",
    "typing",
    "unicodedata",
    "urllib",
}
"""All that the pure core may import; urllib means urllib.parse."""

IMPURE_NAMES = {"now", "today", "utcnow", "environ", "getenv", "urandom"}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "breakpoint", "__import__"}

BANNED_NAMES = {
    "common",
    "constants",
    "errors",
    "helpers",
    "manager",
    "misc",
    "models",
    "types",
    "util",
    "utils",
}

MAX_CODE_LINES = 500

COLD = {"asyncio", "aiohttp", "ssl", "socket", "logging"}
"""What importing the pure core must not load."""


@attrs.frozen
class Import:
    """One import: ``target`` is relative to the package, or a library's name."""

    target: str
    internal: bool
    runtime: bool
    line: int


@attrs.frozen
class Module:
    """One parsed module of the package; ``name`` is relative to it."""

    name: str
    path: Path
    text: str = attrs.field(repr=False)
    tree: ast.Module = attrs.field(repr=False)

    @property
    def room(self) -> str:
        """The module's place in LAYERS: its first folder, or itself."""
        return self.name.partition(".")[0]

    @property
    def is_init(self) -> bool:
        return self.path.name == "__init__.py"

    def imports(self) -> Iterator[Import]:
        """Find all imports, also those within functions."""
        checking = _type_checking_lines(self.tree)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target, internal in self._targets(node):
                    runtime = node.lineno not in checking
                    yield Import(target, internal, runtime, node.lineno)

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from (_inside(alias.name) for alias in node.names)
        elif node.level == 0:
            name, internal = _inside(node.module or "")
            for alias in node.names:
                yield _join(name, alias.name) if internal else name, internal
        else:
            parts = self.name.split(".") if self.name else []
            up = node.level - 1 if self.is_init else node.level
            base = ".".join(parts[: len(parts) - up])
            yield from ((_join(base, node.module, a.name), True) for a in node.names)


def _inside(name: str) -> tuple[str, bool]:
    """Make an absolute name relative to the package, where it is inside."""
    if name == "asynctasks":
        return "", True
    inside = name.startswith("asynctasks.")
    return name.removeprefix("asynctasks."), inside


def _join(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)


def _type_checking_lines(tree: ast.Module) -> set[int]:
    """Return the lines within ``if TYPE_CHECKING:``."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in node.body
        for line in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
    }


class Package:
    """All modules below a folder ``asynctasks``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {
            module.name: module for module in map(self._parse, self._paths())
        }

    def _paths(self) -> list[Path]:
        return sorted((self.root / "asynctasks").rglob("*.py"))

    def _parse(self, path: Path) -> Module:
        parts = path.relative_to(self.root / "asynctasks").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        text = path.read_text("utf-8")
        return Module(name, path, text, ast.parse(text, str(path)))

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def resolve(self, target: str) -> str:
        """Return the module that an internal import means."""
        while target not in self.modules and "." in target:
            target = target.rpartition(".")[0]
        return target if target in self.modules else ""

    def edges(self, module: Module) -> Iterator[tuple[str, Import]]:
        """Return the modules of the package that a module imports at run time."""
        for each in module.imports():
            if each.internal and each.runtime:
                yield self.resolve(each.target), each


Rule = Callable[[Package], Iterator[str]]


# --- the rules ---------------------------------------------------------------


def imports_that_do_not_point_down(package: Package) -> Iterator[str]:
    """Imports point down, never sideways, except within one room."""
    for module in package:
        if not module.name:
            continue
        for target, each in package.edges(module):
            room = target.partition(".")[0]
            if room == module.room and room in ROOMS_OF_SEVERAL:
                continue
            if FLOORS.get(room, 0) <= FLOORS.get(module.room, 0):
                yield f"{module.name}:{each.line} imports {target or 'the package'}"


def rooms_that_nobody_planned(package: Package) -> Iterator[str]:
    """Every room has its floor in LAYERS."""
    for module in package:
        if module.name and module.room not in FLOORS:
            yield f"{module.name} is on no floor of LAYERS"


def server_modules_that_know_the_client(package: Package) -> Iterator[str]:
    """The server knows itself, the pure core and the errors, even in annotations."""
    for module in package:
        if module.room != "server":
            continue
        for each in module.imports():
            target = package.resolve(each.target)
            room = target.partition(".")[0]
            if each.internal and room not in {"server", "sansio", "exceptions"}:
                yield f"{module.name}:{each.line} knows {target or 'the package'}"


def dialects_that_know_each_other(package: Package) -> Iterator[str]:
    """What belongs to one service never imports what belongs to another."""
    for module in package:
        own = services_of(module.name)
        for target, each in package.edges(module):
            if own and services_of(target) - own:
                yield f"{module.name}:{each.line} imports {target}"


def services_of(name: str) -> set[str]:
    """Name the service of a module such as server.oml.calls or sansio.oml_calls."""
    return {part.partition("_")[0] for part in name.split(".")} & DIALECTS


def import_cycles(package: Package) -> Iterator[str]:
    """No module imports itself by way of others."""
    graph = {
        module.name: {t for t, _ in package.edges(module) if t != module.name}
        for module in package
    }
    for name in graph:
        if name in _reachable(graph, name):
            yield f"{name} imports itself by way of others"


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    left = list(graph[start])
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left.extend(graph[name])
    return seen


def libraries_in_the_wrong_room(package: Package) -> Iterator[str]:
    """aiohttp and the libraries of the extras stay where they belong."""
    allowed = {**OPTIONAL, "aiohttp": AIOHTTP}
    for module in package:
        for each in module.imports():
            library = each.target.partition(".")[0]
            rooms = allowed.get(library)
            if each.internal or not each.runtime or rooms is None:
                continue
            if module.room not in rooms and module.name not in rooms:
                yield f"{module.name}:{each.line} imports {library}"


def impurities(package: Package) -> Iterator[str]:
    """The pure core has no loop, clock, dice, environment, network or log."""
    for module in package:
        if module.room != "sansio":
            continue
        for each in module.imports():
            if not each.internal and not _is_pure(each.target, module.name):
                yield f"{module.name}:{each.line} imports {each.target}"
        for node in ast.walk(module.tree):
            what = _impurity(node)
            if what:
                yield f"{module.name}:{getattr(node, 'lineno', 0)} has {what}"


def _is_pure(target: str, name: str) -> bool:
    if target.startswith("urllib"):
        return target == "urllib.parse"
    if target == "orjson":
        return name == "sansio.codec"
    return target.partition(".")[0] in PURE_IMPORTS


def _impurity(node: ast.AST) -> str:
    """Name what a node of the syntax tree does that the pure core may not."""
    if isinstance(node, ast.AsyncFunctionDef):
        return f"async def {node.name}"
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        return "await"
    if isinstance(node, ast.Attribute) and node.attr in IMPURE_NAMES:
        return f".{node.attr}"
    return _impure_call(node) if isinstance(node, ast.Call) else ""


def _impure_call(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) if name in IMPURE_CALLS:
            return f"{name}()"
        case ast.Attribute(attr="astimezone") if not (node.args or node.keywords):
            return "the local time zone"
        case ast.Attribute(attr="fromtimestamp") if len(node.args + node.keywords) < 2:
            return "the local time zone"
    return ""


def modules_without_all(package: Package) -> Iterator[str]:
    """Every module says what is public."""
    for module in package:
        if module.path.name in {"__init__.py", "__main__.py"}:
            continue
        names = {
            target.id
            for node in module.tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (
                node.targets if isinstance(node, ast.Assign) else [node.target]
            )
            if isinstance(target, ast.Name)
        }
        if "__all__" not in names:
            yield f"{module.name} has no __all__"


def modules_that_say_nothing(package: Package) -> Iterator[str]:
    """Every module has a docstring, and a name that says what it holds."""
    for module in package:
        if not ast.get_docstring(module.tree):
            yield f"{module.name} has no docstring"
        banned = BANNED_NAMES.intersection(module.name.split("."))
        if banned:
            yield f"{module.name} is called {banned.pop()}"


def modules_that_are_too_long(package: Package) -> Iterator[str]:
    """No module has more than 500 lines of code."""
    for module in package:
        lines = code_lines(module)
        if lines > MAX_CODE_LINES:
            yield f"{module.name} has {lines} lines of code"


def code_lines(module: Module) -> int:
    """Count lines without blanks, comments and docstrings."""
    silent = {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and n not in silent
        for n, line in enumerate(module.text.splitlines(), 1)
    )


def modules_without_a_test(package: Package) -> Iterator[str]:
    """The module a/b.py is tested by tests/a/test_b.py."""
    for module in package:
        if module.path.name in {"__init__.py", "__main__.py"}:
            continue
        *folders, name = module.name.split(".")
        partner = package.root.joinpath("tests", *folders, f"test_{name}.py")
        if not partner.is_file():
            yield f"{module.name} has no {partner.relative_to(package.root)}"


RULES = [
    dialects_that_know_each_other,
    import_cycles,
    imports_that_do_not_point_down,
    impurities,
    libraries_in_the_wrong_room,
    modules_that_are_too_long,
    modules_that_say_nothing,
    modules_without_a_test,
    modules_without_all,
    rooms_that_nobody_planned,
    server_modules_that_know_the_client,
]


# --- the package as it is ----------------------------------------------------


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_the_rule(package: Package, rule: Rule) -> None:
    """The package as it is breaks none of the rules."""
    complaints = sorted(rule(package))

    assert [] == complaints


@pytest.mark.parametrize(
    "name",
    sorted(path.stem for path in (ROOT / "asynctasks/sansio").glob("[!_]*.py")),
)
def test_pure_core_loads_no_loop(name: str) -> None:
    """Importing a module of the pure core loads no event loop, network or log."""
    program = (
        f"import sys, asynctasks.sansio.{name}; "
        f"print(*sorted({COLD!r}.intersection(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )

    assert "" == done.stdout.strip()


# --- the rules themselves ----------------------------------------------------

HEAD = '"""Holds something."""\n__all__ = []\n'

SKELETON = [
    "__init__",
    "aimms",
    "cli.__init__",
    "client",
    "exceptions",
    "handle",
    "sansio.__init__",
    "sansio.aimms",
    "sansio.codec",
    "sansio.http",
    "sansio.oml",
    "server.__init__",
    "server.aimms",
    "server.app",
    "server.oml",
    "transport",
    "watcher",
]


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Make a small package that keeps all the rules."""
    for name in SKELETON:
        add(tmp_path, name, "")
        folder, _, word = name.rpartition(".")
        partner = tmp_path.joinpath("tests", folder, f"test_{word}.py")
        partner.parent.mkdir(parents=True, exist_ok=True)
        partner.touch()
    return tmp_path


def add(root: Path, name: str, source: str, head: str = HEAD) -> None:
    """Write one module."""
    path = root.joinpath("asynctasks", *name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + source, "utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_accepts_what_is_right(skeleton: Path, rule: Rule) -> None:
    """A package that does what is allowed gets no complaint."""
    add(skeleton, "sansio.aimms", "from . import codec, http\nimport attrs, json, re")
    add(skeleton, "sansio.codec", "import orjson\nfrom ..exceptions import Any")
    add(skeleton, "server.aimms", "from ..sansio.aimms import x\nfrom .app import y")
    add(skeleton, "server.app", "from aiohttp import web")
    add(skeleton, "aimms", "from .sansio.aimms import x\nfrom .client import y")
    add(skeleton, "client", "from .handle import x\nimport time, asyncio")
    add(skeleton, "cli.__init__", "from asynctasks.client import x\nimport click")
    add(
        skeleton,
        "handle",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from .client import TaskClient\n",
    )

    assert [] == list(rule(Package(skeleton)))


VIOLATIONS: list[tuple[Rule, str, str, str]] = [
    (impurities, "sansio.aimms", "import time", "imports time"),
    (impurities, "sansio.aimms", "import random", "imports random"),
    (impurities, "sansio.aimms", "from asyncio import sleep", "imports asyncio"),
    (impurities, "sansio.aimms", "import logging", "imports logging"),
    (impurities, "sansio.aimms", "import os", "imports os"),
    (impurities, "sansio.aimms", "import socket", "imports socket"),
    (impurities, "sansio.aimms", "import aiohttp", "imports aiohttp"),
    (impurities, "sansio.aimms", "import threading", "imports threading"),
    (impurities, "sansio.aimms", "import secrets", "imports secrets"),
    (impurities, "sansio.aimms", "from uuid import uuid1", "imports uuid"),
    (impurities, "sansio.aimms", "import urllib.request", "imports urllib.request"),
    (impurities, "sansio.aimms", "import orjson", "imports orjson"),
    (impurities, "sansio.http", "def f():\n    import time", "imports time"),
    (impurities, "sansio.http", "async def f(): pass", "has async def f"),
    (impurities, "sansio.http", "x = datetime.now(UTC)", "has .now"),
    (impurities, "sansio.http", "x = date.today()", "has .today"),
    (impurities, "sansio.http", "x = datetime.utcnow()", "has .utcnow"),
    (impurities, "sansio.http", "x = sys.modules['os'].environ", "has .environ"),
    (impurities, "sansio.http", "x = at.astimezone()", "has the local time zone"),
    (impurities, "sansio.http", "datetime.fromtimestamp(3)", "has the local time zone"),
    (impurities, "sansio.http", "x = open('file')", "has open()"),
    (
        imports_that_do_not_point_down,
        "sansio.aimms",
        "from .. import transport",
        "imports transport",
    ),
    (
        imports_that_do_not_point_down,
        "transport",
        "from .watcher import Watcher",
        "imports watcher",
    ),
    (
        imports_that_do_not_point_down,
        "watcher",
        "from asynctasks.handle import TaskHandle",
        "imports handle",
    ),
    (
        imports_that_do_not_point_down,
        "handle",
        "def f():\n    from . import client",
        "imports client",
    ),
    (
        imports_that_do_not_point_down,
        "client",
        "import asynctasks",
        "imports the package",
    ),
    (
        imports_that_do_not_point_down,
        "exceptions",
        "from .sansio import http",
        "imports sansio.http",
    ),
    (
        server_modules_that_know_the_client,
        "server.app",
        "from ..transport import Transport",
        "knows transport",
    ),
    (
        server_modules_that_know_the_client,
        "server.app",
        "if TYPE_CHECKING:\n    from ..client import TaskClient",
        "knows client",
    ),
    (
        dialects_that_know_each_other,
        "sansio.aimms",
        "from .oml import OmlDialect",
        "imports sansio.oml",
    ),
    (
        dialects_that_know_each_other,
        "server.oml",
        "from ..sansio.aimms import STATES",
        "imports sansio.aimms",
    ),
    (
        dialects_that_know_each_other,
        "server.oml.calls",
        "from ...sansio.aimms import STATES",
        "imports sansio.aimms",
    ),
    (
        dialects_that_know_each_other,
        "sansio.oml_calls",
        "from .aimms import STATES",
        "imports sansio.aimms",
    ),
    (libraries_in_the_wrong_room, "watcher", "import aiohttp", "imports aiohttp"),
    (
        libraries_in_the_wrong_room,
        "server.aimms",
        "from aiohttp import web",
        "imports aiohttp",
    ),
    (libraries_in_the_wrong_room, "client", "import rich.table", "imports rich"),
    (modules_that_say_nothing, "server.utils", "", "is called utils"),
    (modules_without_a_test, "server.faults", "", "has no tests/server/test_faults.py"),
    (rooms_that_nobody_planned, "attic", "", "is on no floor of LAYERS"),
]


@pytest.mark.parametrize(
    ("rule", "name", "source", "complaint"),
    VIOLATIONS,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_rule_turns_red(
    skeleton: Path, rule: Rule, name: str, source: str, complaint: str
) -> None:
    """A module that breaks a rule gets one complaint that names both."""
    add(skeleton, name, source)
    (found,) = rule(Package(skeleton))

    assert (name, complaint) == (found[: len(name)], found[-len(complaint) :])


def test_cycle_turns_red(skeleton: Path) -> None:
    """Modules that import each other are named, all of them."""
    add(skeleton, "sansio.http", "from .codec import loads")
    add(skeleton, "sansio.codec", "def f():\n    from . import oml")
    add(skeleton, "sansio.oml", "from ..sansio import http")
    names = [found.partition(" ")[0] for found in import_cycles(Package(skeleton))]

    assert ["sansio.codec", "sansio.http", "sansio.oml"] == names


@pytest.mark.parametrize(
    ("rule", "head", "complaint"),
    [
        (modules_without_all, '"""Says what it holds."""', "client has no __all__"),
        (modules_that_say_nothing, "__all__ = []", "client has no docstring"),
    ],
    ids=["all", "docstring"],
)
def test_headless_module_turns_red(
    skeleton: Path, rule: Rule, head: str, complaint: str
) -> None:
    """A module without ``__all__`` or docstring is named."""
    add(skeleton, "client", "", head=head)

    assert [complaint] == list(rule(Package(skeleton)))


def test_long_module_turns_red(skeleton: Path) -> None:
    """Only lines of code count: no docstrings, comments and blanks."""
    silence = '"""\n' + "Words.\n" * 600 + '"""\n' + "# Why.\n\n" * 600
    add(skeleton, "client", silence + "x = 1\n" * (MAX_CODE_LINES - 1))
    add(skeleton, "handle", silence + "x = 1\n" * MAX_CODE_LINES)

    assert ["handle has 501 lines of code"] == list(
        modules_that_are_too_long(Package(skeleton))
    )
