"""A server beside the commands, and a way to run them in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
import json
from pathlib import Path
import threading
from typing import Any

from click.testing import CliRunner, Result
import pytest

from asynctasks.cli.group import group
from asynctasks.config.sources import VARIABLES
from asynctasks.server.app import LocalServer


KEY = "cAnArY-1234567890-cAnArY"
"""The key of the server; it must never be seen in what a command prints."""

Run = Callable[..., Result]

OTHERS = ("ASYNCTASKS_PROFILE", "ASYNCTASKS_LOG", "ASYNCTASKS_LOG_CONFIG")
"""Variables of the environment that are no settings of a profile."""


async def serve(ready: threading.Event, said: list[LocalServer], stop: list) -> None:
    """Serve until told to stop."""
    async with LocalServer(api_key=KEY, parallel=16) as server:
        server.service("text", lambda _: "one\ntwo \x1b[31mred\n")
        server.service("binary", lambda _: b"\x00\xff\x00")
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopped.set))
        said.append(server)
        ready.set()
        await stopped.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    """Serve in a thread: a command has an event loop of its own."""
    ready, said, stop = threading.Event(), [], []
    thread = threading.Thread(target=lambda: asyncio.run(serve(ready, said, stop)))
    thread.start()
    assert ready.wait(10)
    yield said[0]
    stop[0]()
    thread.join(10)


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let no setting of the developer's into the test."""
    for name in (*VARIABLES.values(), *OTHERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASYNCTASKS_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path


@pytest.fixture
def run(isolated: Path) -> Iterator[Run]:
    """Run a command; whatever it prints, it never prints the key."""
    results: list[Result] = []

    def run(*args: str, stdin: str | bytes | None = None, **env: str) -> Result:
        runner = CliRunner(env={f"ASYNCTASKS_{k}": v for k, v in env.items()})
        results.append(runner.invoke(group, args, input=stdin))
        return results[-1]

    yield run

    for result in results:
        assert KEY not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.fixture
def local(server: LocalServer) -> tuple[str, ...]:
    """Return the options for the server as an AIMMS on this machine."""
    return ("--url", server.url)


@pytest.fixture
def cloud(server: LocalServer) -> tuple[str, ...]:
    """Return the options for the server as AIMMS PRO in the cloud."""
    return ("--url", server.url, "--app", "Demo", "--app-version", "007")


@pytest.fixture
def url(server: LocalServer) -> str:
    """Return the address of the server, which speaks all protocols."""
    return server.url


@pytest.fixture
def oml(url: str) -> tuple[str, ...]:
    """Return the options for the server as Oracle Machine Learning."""
    return ("--protocol", "oml", "--username", "ann", "--url", url)


@pytest.fixture
def vantiq(url: str) -> tuple[str, ...]:
    """Return the options for the server as Vantiq."""
    return ("--protocol", "vantiq", "--username", "developer", "--url", url)


@pytest.fixture
def desp(url: str) -> tuple[str, ...]:
    """Return the options for the server as DESP."""
    return ("--protocol", "desp", "--username", "ann", "--url", url)


@pytest.fixture
def write(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write inputs into the working directory."""
    monkeypatch.chdir(isolated)

    def write(rows: list[Any], name: str = "in.jsonl") -> str:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (isolated / name).write_text(text)
        return name

    return write
