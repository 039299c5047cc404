"""``asynctasks submit`` and ``asynctasks run``: start tasks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .command import Command, pass_options
from .connect import BODY, check_submit, connect, load_profile, open_client, sign
from .exits import Exit
from .options import Options, add, connection_options
from .results import check_out, write_result
from .statuses import build_document, describe, follow
from ..exceptions import InvalidArgument, ResponseDecodeError
from ..sansio import codec


if TYPE_CHECKING:
    from ..client import TaskClient


__all__ = ["run_command", "submit_command"]

F = TypeVar("F", bound=Callable[..., Any])

JSON_BEGINS = frozenset('{["')
"""What a text begins with that is meant to be JSON."""


PAYLOAD = (
    click.option(
        "--input",
        "inputs",
        metavar="FILE|-|JSON",
        help="JSON inputs: a file, - for stdin, or the JSON itself.",
    ),
    click.option("--content", metavar="FILE|-", help="Send a file as it is, instead."),
    click.option("--content-type", metavar="TYPE", help="What --content is."),
    click.option(
        "--file",
        "files",
        metavar="FIELD=PATH",
        multiple=True,
        help="Send a form of files, instead.",
    ),
    click.option("--in", "wait", metavar="TIME", help='When: "1 day", or seconds.'),
    click.option(
        "--for",
        "moment",
        metavar="TIME",
        help="When: 2026-12-24T18:00+01:00.",
    ),
    click.option(
        "--option",
        "extra",
        metavar="NAME=JSON",
        multiple=True,
        help="What else the service's submit takes, as JSON or plain text.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be sent."),
)
"""What is sent, and when."""


def payload_options(function: F) -> F:
    """Add the options of what is sent."""
    return add(function, PAYLOAD)


@click.command("submit", cls=Command)
@click.argument("service")
@payload_options
@click.option("--every", metavar="TIME", help='Again and again: "1 day", or seconds.')
@connection_options
@pass_options
def submit_command(
    options: Options, /, service: str, **given: Any
) -> Coroutine[Any, Any, None]:
    """
    Start a task and print its token.

    The token stands for the task in all other commands; it is no secret.
    """
    # Before the loop runs: within it, Ctrl-C would not end a read of stdin.
    payload = read_payload(**given)
    act = show_submit if given["dry_run"] else submit
    return act(options, service, payload)


async def submit(options: Options, service: str, payload: dict[str, Any]) -> None:
    """Start a task and print its token."""
    async with connect(options) as client:
        check_submit(client, payload)
        task = await client.submit(service, **payload)
        tell_submitted(options, client, task.id)
        if options.json:
            status = getattr(task, "last_status", None)
            options.terminal.write_document(build_document(task.id, task.token, status))
        else:
            options.terminal.write(task.token)


@click.command("run", cls=Command)
@click.argument("service")
@payload_options
@click.option("--out", metavar="FILE", help="Save the result; - for bytes on stdout.")
@connection_options
@pass_options
def run_command(
    options: Options, /, service: str, *, out: str | None, **given: Any
) -> Coroutine[Any, Any, Exit | None]:
    """Start a task, wait for it, and print its result."""
    check_out(out)
    payload = read_payload(**given)
    if given["dry_run"]:
        return show_submit(options, service, payload)
    return run(options, service, payload, out)


async def run(
    options: Options, service: str, payload: dict[str, Any], out: str | None
) -> Exit:
    """Start a task, wait for it, and print its result."""
    async with connect(options) as client:
        check_submit(client, payload)
        task = await client.submit(service, **payload)
        options.open.append(task.token)
        tell_submitted(options, client, task.id)
        tell = options.terminal.say
        await follow(task, client.patience, lambda status: tell(describe(status)))
        return await write_result(options, task, out)


def tell_submitted(options: Options, client: TaskClient, task_id: str) -> None:
    """Say that the service has a task."""
    where = f"{client.dialect.title} at {client.origin}"
    options.terminal.say(f"submitted task {task_id} to {where}")


async def show_submit(options: Options, service: str, payload: dict[str, Any]) -> None:
    """Print the request that would be sent."""
    from .exchange import DryRun, WouldSend, build_request_document  # noqa: PLC0415

    profile = sign(load_profile(options))
    async with open_client(profile, transport=DryRun()) as client:
        check_submit(client, payload)
        try:
            await client.submit(service, **payload)
        except WouldSend as would:
            request = build_request_document(would.request)
            document = {"origin": client.origin, **request}
    options.terminal.say("nothing was sent; this would be:")
    options.terminal.write_document(document)


# --- what is sent ------------------------------------------------------------


def read_payload(
    *,
    inputs: str | None,
    content: str | None,
    content_type: str | None,
    files: tuple[str, ...],
    wait: str | None,
    moment: str | None,
    extra: tuple[str, ...] = (),
    every: str | None = None,
    dry_run: bool,
) -> dict[str, Any]:
    """Make the arguments of ``client.submit()`` of the options."""
    del dry_run
    payload = {
        "inputs": None if inputs is None else read_inputs(inputs),
        "content": None if content is None else read_content(content),
        "content_type": content_type,
        "files": dict(map(parse_file, files)) or None,
        "schedule_in": parse_duration(wait),
        "schedule_for": None if moment is None else parse_moment(moment),
        "schedule_every": parse_duration(every),
    }
    given = {name: value for name, value in payload.items() if value is not None}
    return given | dict(map(parse_option, extra))


def read_inputs(given: str) -> Any:
    """
    Read JSON: of stdin, of the text itself if it looks like JSON, else of a file.

    Raises:
        InvalidArgument: it cannot be read, or is no JSON.
    """
    if given == "-":
        data = read_stdin("--input")
    elif given.lstrip()[:1] in JSON_BEGINS:
        data = given.encode("utf-8", "surrogateescape")
    else:
        data = read_file("--input", given)
    return parse_json("--input", given, data)


def parse_json(option: str, given: str, data: bytes) -> Any:
    """Read JSON that an option means."""
    try:
        return codec.loads(data)
    except ResponseDecodeError as exc:
        raise InvalidArgument(option, given, f"is not JSON: {exc.found}") from exc


def read_file(option: str, path: str) -> bytes:
    """Read a file that an option names."""
    if not path:
        raise InvalidArgument(option, path, "is empty; name a file")
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        remedy = f"cannot be read: {exc.strerror}"
        raise InvalidArgument(option, path, remedy) from exc


def read_content(given: str) -> bytes | Path:
    """Return the file to send, or all of stdin."""
    return read_stdin("--content") if given == "-" else Path(given)


def read_stdin(option: str) -> bytes:
    """Read all of stdin."""
    # None is what Python makes of a stdin that is closed.
    if sys.stdin is None:
        raise InvalidArgument(option, "-", "stdin is closed; name a file")
    return sys.stdin.buffer.read()


def parse_file(given: str) -> tuple[str, Path]:
    """Read ``FIELD=PATH``."""
    field, equals, path = given.partition("=")
    if not (field and equals and path):
        raise InvalidArgument("--file", given, "write FIELD=PATH")
    return field, Path(path)


def parse_option(given: str) -> tuple[str, Any]:
    """
    Read ``NAME=JSON``; a value that is no JSON is text, as in ``label=test``.

    Raises:
        InvalidArgument: there is no name, it has an option of its own, or what
            begins as JSON does not go on so.
    """
    name, equals, text = given.partition("=")
    if not (name and equals):
        raise InvalidArgument("--option", given, "write NAME=JSON")
    if name in BODY:
        remedy = f"write NAME=JSON; {name} cannot be given in this way"
        raise InvalidArgument("--option", given, remedy)
    data = text.encode("utf-8", "surrogateescape")
    if text.lstrip()[:1] in JSON_BEGINS:
        return name, parse_json("--option", given, data)
    try:
        return name, codec.loads(data)
    except ResponseDecodeError:
        return name, text


def parse_duration(given: str | None) -> float | str | None:
    """Read seconds; other texts are left to the service."""
    try:
        return None if given is None else float(given)
    except ValueError:
        return given


def parse_moment(given: str) -> datetime:
    """Read a point in time with its zone."""
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        remedy = "write date, time and zone, such as 2026-12-24T18:00+01:00"
        raise InvalidArgument("--for", given, remedy)
    return moment
