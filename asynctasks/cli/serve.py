"""``asynctasks serve``: the embedded server, with services of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
import inspect
import json
from pathlib import Path
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from .command import Command, pass_options
from .connect import CLIENTS
from .options import Options, talk_options
from .terminal import escape
from ..exceptions import ConfigError
from ..sansio.urls import is_loopback


if TYPE_CHECKING:
    from ..server.app import LocalServer


__all__ = ["load_services", "serve_command"]

WORLD = frozenset({"server", "simulator"})
"""What the parameter is called of a function that registers services itself."""


@click.command("serve", cls=Command)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Others than this machine's own need a key.",
)
@click.option(
    "--parallel",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Tasks that run at the same time.",
)
@click.option(
    "--load",
    "loads",
    metavar="MODULE:ATTR",
    multiple=True,
    help="Services: a function, a mapping of names to functions, or a function of "
    "one parameter called server, which registers them.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    envvar="ASYNCTASKS_API_KEY",
    help="The key that clients must send. Others can see it in the list of "
    "processes: better use ASYNCTASKS_API_KEY or --api-key-file.",
)
@click.option("--api-key-file", metavar="FILE", help="The file with that key.")
@click.option(
    "--data",
    metavar="FILE",
    help="Keep what Vantiq's clients store in this file; else it is in memory only.",
)
@talk_options
@pass_options
async def serve_command(
    options: Options,
    port: int,
    host: str,
    parallel: int,
    loads: Sequence[str],
    api_key: str | None,
    api_key_file: str | None,
    data: str | None,
) -> None:
    """
    Serve tasks on this machine until Ctrl-C: as AIMMS, Oracle Machine Learning,
    DESP and Vantiq do, all on one port.

    The key is also the password and the token of all users.
    Packaged services: echo, sleep, fail, countStarsJson,
    equalParallelMachineTimeIndexedMIP, group_count, RandomRedDots, TestProcessor.
    """
    from ..aimms import read_api_key  # noqa: PLC0415 - it loads aiohttp
    from ..server.app import LocalServer  # noqa: PLC0415

    if api_key_file is not None:
        api_key = read_api_key(api_key_file).reveal()
    server = LocalServer(
        host=host, port=port, parallel=parallel, api_key=api_key, data=data
    )
    for load in loads:
        load_services(load, server)
    stopped = asyncio.Event()
    # Where there are no signals, Ctrl-C still ends the loop.
    with suppress(NotImplementedError):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with server:
        announce(options, server, host, api_key)
        await stopped.wait()
    options.terminal.say("stopped")


def build_key_headers(host: str, api_key: str | None) -> tuple[str, str]:
    """Return curl's options for the key: on the local paths, and on the cloud's."""
    if not api_key:
        return "", ""
    option = '-H "apiKey: $ASYNCTASKS_API_KEY" '
    return "" if is_loopback(f"http://{host}") else option, option


def announce(
    options: Options, server: LocalServer, host: str, api_key: str | None
) -> None:
    """Print the address, and say what can be done with it."""
    services = sorted(server.simulator.services)
    document = {"url": server.url, "protocols": sorted(CLIENTS), "services": services}
    if options.json:
        options.terminal.write_document(document)
    else:
        options.terminal.write(server.url)
    lines = [
        f"services: {', '.join(services)}",
        *say_curl(server.url, build_key_headers(host, api_key)),
        *say_tool(server.url, api_key),
        "Ctrl-C stops it.",
    ]
    options.terminal.say("\n".join(lines))


def say_curl(url: str, keys: tuple[str, str]) -> Iterator[str]:
    """Say how to reach the server with curl."""
    body = "-H 'Content-Type: application/json' -d '{\"hello\": \"world\"}'"
    local, cloud = (f"  curl {key}{body} {url}" for key in keys)
    yield "as an AIMMS on this machine:"
    yield f"{local}/api/v2/tasks/echo"
    yield "as AIMMS PRO in the cloud:"
    yield f"{cloud}/pro-api/v2/tasks/Demo/007/echo"


def say_tool(url: str, key: str | None) -> Iterator[str]:
    """Say how to reach the server with this tool, as each service."""
    secret = '"$ASYNCTASKS_API_KEY"' if key else "any"
    yield "with this tool: as AIMMS, Oracle Machine Learning, DESP and Vantiq:"
    for environment, command, inputs in (
        # With an application it is one in the cloud, which takes the key.
        ("", "run echo --app Demo" if key else "run echo", {"hello": "world"}),
        (
            f"ASYNCTASKS_PASSWORD={secret} ",
            "run RandomRedDots --protocol oml --username me",
            {"num_dots": 3},
        ),
        (
            f"ASYNCTASKS_TOKEN={secret} ",
            "run TestProcessor --protocol desp --username me",
            {"s2_input": "a", "s3_input": "b"},
        ),
        (
            f"ASYNCTASKS_PASSWORD={secret if key else 'developer'} ",
            "run echo --protocol vantiq --username developer",
            {"hello": "world"},
        ),
    ):
        given = shlex.quote(json.dumps(inputs))
        yield f"  {environment}asynctasks {command} --input {given} --url {url}"


# --- services of one's own ---------------------------------------------------


def load_services(text: str, server: LocalServer) -> None:
    """
    Register the services that ``module:attr`` means.

    Args:
        text: a module that can be imported, also from the working folder, and a
            name in it: a function (a service of that name), a mapping of names to
            functions, or a function with one parameter called ``server`` or
            ``simulator``, which registers services itself.
        server: gets them.

    Raises:
        ConfigError: there is no such thing, or it is no service.
    """
    source = f"--load {text}"
    found = find(source, text)
    if isinstance(found, Mapping):
        functions = dict(found)
    elif callable(found) and wants_world(found):
        wanted = next(iter(inspect.signature(found).parameters))
        found(server if wanted == "server" else server.simulator)
        return
    elif callable(found) and hasattr(found, "__name__"):
        functions = {found.__name__: found}
    else:
        what = escape(repr(found))
        reason = f"is neither a function nor a mapping of names to functions: {what}"
        raise ConfigError(source, reason)
    for name, function in functions.items():
        if not isinstance(name, str) or not name or not callable(function):
            raise ConfigError(source, f"{name!r} is no function: {function!r}")
        server.service(name, function)


def find(source: str, text: str) -> Any:
    """Import a module and return a name of it."""
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise ConfigError(source, "write MODULE:ATTR, such as myservices:solve")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as exc:  # the module is the user's: anything can go wrong in it
        words = escape(f"{type(exc).__name__}: {exc}")
        raise ConfigError(source, f"cannot be loaded: {words}") from exc
    return found


def wants_world(function: Callable[..., Any]) -> bool:
    """Tell whether a function registers services instead of being one."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return len(parameters) == 1 and not WORLD.isdisjoint(parameters)
