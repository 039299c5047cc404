"""The fixtures that pytest finds by itself."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from asynctasks.aimms import AimmsClient
from asynctasks.pytest_plugin import asynctasks_server  # noqa: F401 - a fixture


if TYPE_CHECKING:
    from asynctasks.server.app import LocalServer

ROOT = Path(__file__).parent.parent


def test_server_serves_plain_tests(asynctasks_server: LocalServer) -> None:  # noqa: F811
    """A test without a loop talks to the server with whatever it has."""
    asynctasks_server.service("double", lambda inputs: {"twice": 2 * inputs["x"]})
    submit = Request(f"{asynctasks_server.url}/api/v2/tasks/double", b'{"x": 2}')
    with urlopen(submit, timeout=5) as answer:
        task = json.load(answer)

    assert "queued" == task["state"]


async def test_server_serves_async_tests(asynctasks_server: LocalServer) -> None:  # noqa: F811
    """A test with a loop of its own talks to the server with our client."""
    async with AimmsClient.local(asynctasks_server.url) as client:
        assert {"x": 1} == await client.run("echo", {"x": 1})


def test_plugin_is_registered() -> None:
    """The distribution tells pytest where the plugin is."""
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))
    (target,) = project["project"]["entry-points"]["pytest11"].values()

    assert "asynctasks.pytest_plugin" == target


def test_plugin_costs_nothing_where_it_is_not_used() -> None:
    """pytest loads the plugin for every project: it must not load the server."""
    program = (
        "import sys, asynctasks.pytest_plugin; "
        "print('aiohttp' in sys.modules, 'asynctasks.testing' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )

    assert "False False" == done.stdout.strip()
