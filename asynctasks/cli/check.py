"""``asynctasks check``: can I reach it, does my key work, what does it speak?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
import os
from pathlib import Path
import socket
import ssl
from statistics import median
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import click

from .command import Command, pass_options
from .connect import load_profile, open_client
from .exams import Exam, exam_of
from .exits import Exit, exit_of
from .options import Options, connection_options
from .terminal import Terminal, escape, write_json
from ..exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    ConnectError,
    InvalidArgument,
    NotFound,
    TlsError,
    UnexpectedContent,
)


if TYPE_CHECKING:
    from .exchange import Recorder
    from ..client import TaskClient
    from ..config import Profile


__all__ = ["check_command"]

STEP = 10.0
"""Seconds that one step may take, if --timeout is not less."""

NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""What OpenSSL, in its versions, calls an answer in another protocol."""

PINGS = 3
"""Requests of which the median is the latency."""


class UnknownHost(ConnectError):
    """Raised when the name of the host cannot be looked up."""


class SpeaksNoTls(TlsError):
    """Raised when the port answers to a TLS handshake with something else."""


REMEDIES: tuple[tuple[type[AsyncTasksError], str], ...] = (
    (NotFound, "check the URL, --protocol, --api-version, and --local or --cloud"),
    (UnexpectedContent, "check the URL: this may be a portal or a proxy"),
    (SpeaksNoTls, "is it an http:// address, or another port?"),
    (TlsError, "check the host's name and the clock; is a proxy in between?"),
    (AttemptTimeout, "is a firewall or a proxy in between?"),
    (UnknownHost, "is the name right, and this machine online, or in the VPN?"),
    (ConnectError, "is the port right, and does the service run?"),
)
"""What to do about an error of any service; the first match counts."""


EMPTY: Mapping[type[AsyncTasksError], str] = {}


@attrs.define
class Step:
    """One thing that was checked."""

    name: str
    outcome: str = "skipped"
    detail: str = ""
    remedy: str = ""
    seconds: float | None = None
    exit: Exit = attrs.field(default=Exit.OK, repr=False)


Look = Callable[[], Awaitable[str]]


class Checkup:
    """Takes steps until one fails; those after it are skipped."""

    def __init__(
        self,
        terminal: Terminal,
        *,
        quiet: bool,
        timeout: float,
        remedies: Mapping[type[AsyncTasksError], str] = EMPTY,
    ) -> None:
        self._remedies = (*remedies.items(), *REMEDIES)
        self._terminal = terminal
        self._quiet = quiet
        self._timeout = timeout
        self.steps: list[Step] = []

    @property
    def exit(self) -> Exit:
        """The code of the step that failed."""
        return max((step.exit for step in self.steps), default=Exit.OK)

    async def take(self, name: str, look: Look) -> None:
        """Take a step, unless one failed before."""
        step = Step(name)
        if self.exit is Exit.OK:
            begun = time.monotonic()
            await self._look(step, look)
            step.seconds = time.monotonic() - begun
        self.steps.append(step)
        if not self._quiet:
            self._terminal.write(self._line(step))

    async def _look(self, step: Step, look: Look) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                step.detail = await look()
        except AsyncTasksError as exc:
            step.detail, step.exit = str(exc), exit_of(exc)
            fitting = (r for kind, r in self._remedies if isinstance(exc, kind))
            step.remedy = next(fitting, "")
        except TimeoutError:
            step.detail, step.exit = f"no answer in {self._timeout:g} s", Exit.NETWORK
            step.remedy = "is a firewall or a proxy in between?"
        step.outcome = "failed" if step.exit else "ok"

    def _line(self, step: Step) -> str:
        color = {"ok": "green", "failed": "red"}.get(step.outcome, "yellow")
        outcome = self._terminal.paint(f"{step.outcome:<7}", fg=color)
        took = "" if step.seconds is None else f" ({step.seconds * 1000:.0f} ms)"
        line = f"{outcome}  {step.name:<8} {escape(step.detail)}{took}".rstrip()
        return f"{line}\n         {'':<8} {step.remedy}" if step.remedy else line


@click.command("check", cls=Command)
@click.option(
    "--record",
    metavar="FILE",
    help="Save what was said, without secrets, as a sample for tests.",
)
@connection_options
@pass_options
async def check_command(options: Options, record: str | None) -> Exit:
    """
    Check a service: can it be reached, does the key work, what does it speak?

    A token or password is checked as a key is. Nothing is submitted. Names, and ids
    of tasks, are in the file of --record: look through it before you pass it on.
    """
    from .exchange import Recorder  # noqa: PLC0415
    from ..sansio.retry import NO_RETRY  # noqa: PLC0415
    from ..transport import AiohttpTransport  # noqa: PLC0415

    profile = load_profile(options)
    timeout = min(STEP, options.timeout or STEP)
    exam = exam_of(profile)
    checkup = Checkup(
        options.terminal, quiet=options.json, timeout=timeout, remedies=exam.remedies
    )
    recorder = Recorder(AiohttpTransport())
    try:
        made = open_client(profile, transport=recorder, retry=NO_RETRY)
        async with made as client:
            await examine(client, exam, checkup)
    finally:
        await recorder.aclose()
    if record is not None:
        await asyncio.to_thread(save, recorder, client, record)
        options.terminal.say(f"saved what was said to {record}")
    if options.json:
        document = build_document(profile, client, checkup)
        options.terminal.write_document(document)
    return checkup.exit


def build_document(
    profile: Profile, client: TaskClient, checkup: Checkup
) -> dict[str, Any]:
    """Make the document of what was found."""
    fields = attrs.filters.exclude("exit")
    return {
        "profile": profile.name,
        "url": client.origin,
        "speaks": client.dialect.title,
        "ok": checkup.exit is Exit.OK,
        "steps": [attrs.asdict(step, filter=fields) for step in checkup.steps],
    }


async def examine(client: TaskClient, exam: Exam, checkup: Checkup) -> None:
    """Take all steps."""
    parts = urlsplit(client.origin)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    await checkup.take("name", lambda: resolve(host, port))
    await checkup.take("connect", lambda: reach(host, port))
    if secure:
        await checkup.take("tls", lambda: shake(host, port))
    for name, ask in exam.steps:
        await checkup.take(name, partial(ask, client))
    await checkup.take("latency", lambda: measure(partial(exam.ping, client)))


# --- the steps ---------------------------------------------------------------


async def resolve(host: str, port: int) -> str:
    """Look the host up."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise UnknownHost(f"{host} is not known: {exc.strerror}") from exc
    except UnicodeError as exc:
        raise UnknownHost(f"{host} can be no name of a host: {exc}") from exc
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return f"{host} is {', '.join(addresses)}"


async def reach(host: str, port: int) -> str:
    """Connect."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ConnectError(f"port {port}: {reason}") from exc
    writer.close()
    await writer.wait_closed()
    return f"port {port} is open"


async def shake(host: str, port: int) -> str:
    """Shake hands, as the client will."""
    context = ssl.create_default_context()
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as exc:
        raise TlsError(exc.verify_message) from exc
    except ssl.SSLError as exc:
        if exc.reason in NO_TLS:
            raise SpeaksNoTls(f"port {port} does not speak TLS") from exc
        raise TlsError(exc.reason or str(exc)) from exc
    except OSError as exc:
        raise TlsError(exc.strerror or str(exc)) from exc
    session: ssl.SSLObject = writer.get_extra_info("ssl_object")
    until = (session.getpeercert() or {}).get("notAfter", "?")
    version = session.version()
    writer.close()
    await writer.wait_closed()
    return f"{version}, certificate until {until}"


async def measure(look: Look) -> str:
    """Take the time of some requests."""
    taken = []
    for _ in range(PINGS):
        begun = time.monotonic()
        await look()
        taken.append(time.monotonic() - begun)
    return f"median of {PINGS} requests: {median(taken) * 1000:.1f} ms"


def save(recorder: Recorder, client: TaskClient, path: str) -> None:
    """Write what was recorded."""
    sample = recorder.sample(f"recorded by asynctasks check: {client.dialect.title}")
    try:
        Path(path).write_text(write_json(sample) + "\n", "utf-8")
    except OSError as exc:
        remedy = f"cannot be written: {exc.strerror}"
        raise InvalidArgument("--record", path, remedy) from exc
