"""
A service that quotes what it was sent does not spread the secrets in it.

It refuses requests, sign-ins too, and quotes their credentials in the answer's body
and headers, or in what is no HTTP at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import itertools
import logging
from pathlib import Path
import re
import threading
from typing import Any
from urllib.parse import quote

from click import Context
from click.testing import CliRunner
import pytest

from asynctasks import AiohttpTransport
from asynctasks.cli.group import group
from asynctasks.sansio import codec
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.testing import MemoryTransport
from tests.canaries import Scene, Search, everywhere, search_batch
from tests.every_method import (
    ACCESS_TOKEN,
    API_KEY,
    CLIENTS,
    ID_TOKEN,
    PASSWORD,
    QUERY_TOKEN,
    REFRESH_TOKEN,
    TASK,
    Maker,
)
from tests.faults.raw_server import Connection, RawServer, Script
from tests.timing import MS


@pytest.fixture(params=CLIENTS, ids=lambda maker: maker.name)
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Scene:
    """Provide the place for one kind of client."""
    return Scene(request.param, tmp_path, caplog)


# --- servers that refuse, and show what they were sent -----------------------

GIVEN = {
    "accessToken": ACCESS_TOKEN,
    "idToken": ID_TOKEN,
    "expiresIn": 3600,
    "access_token": ACCESS_TOKEN,
    "refresh_token": REFRESH_TOKEN,
    "expires_in": 3600,
}
"""A token, as every service would give it."""

ASKED_FOR_TOKEN = ("/token", "/authenticate", "/refresh")


def shown(request: Request) -> str:
    """Return what a debugging proxy would show of a request."""
    assert isinstance(request.body, bytes)
    signed = request.headers.get("Authorization", "").partition(" ")[2]
    body = request.body.decode("utf-8", "replace")
    # The address of a hook is meant for the service, and what it is called with.
    headers = {n: v for n, v in request.headers.items() if n != "taskStateHook"}
    return f"{signed} {headers} {body}"


def refusing(status: int, kind: str = "application/json") -> Callable[[str], Response]:
    def build(text: str) -> Response:
        headers = Headers(
            {
                "Content-Type": kind,
                "WWW-Authenticate": f'Bearer error="{text}"',
                "X-Request-Id": text,
                "Set-Cookie": text,
                "Server": text,
            }
        )
        body = codec.dumps({"message": text, "code": text, "error": text})
        return Response(status, headers, body if "json" in kind else text.encode())

    return build


def redirecting(text: str) -> Response:
    place = f"https://elsewhere.example/x?token={QUERY_TOKEN}&was={quote(text)}"
    headers = {"Location": place, "Content-Location": place}
    return Response(302, Headers(headers), text.encode())


def cut_off(text: str) -> Response:
    kind = Headers({"Content-Type": "application/json"})
    return Response(200, kind, codec.dumps({"accessToken": text, "id": text})[:-3])


def page(text: str) -> Response:
    kind = Headers({"Content-Type": "text/html"})
    return Response(200, kind, f"<html>{text}".encode())


REFUSALS: dict[str, Callable[[str], Response]] = {
    "401": refusing(401),
    "403": refusing(403),
    "500": refusing(500, "text/plain"),
    "302": redirecting,
}

NO_TOKENS = {**REFUSALS, "cut-off": cut_off, "page": page}

SIGN_IN = [
    maker
    for maker in CLIENTS
    if maker.name in {"desp-oauth2", "oml-v2", "vantiq-tasks", "vantiq"}
]
"""Those that get a token for something else."""


def quoting(refuse: Callable[[str], Response]) -> Callable[[Request], Response]:
    return lambda request: refuse(shown(request))


def after_signing_in(
    handler: Callable[[Request], Response],
) -> Callable[[Request], Response]:
    """Give tokens to whoever asks, and answer everything else as *handler* does."""

    def handle(request: Request) -> Response:
        if request.path.endswith(ASKED_FOR_TOKEN):
            kind = Headers({"Content-Type": "application/json"})
            return Response(200, kind, codec.dumps(GIVEN))
        return handler(request)

    return handle


@pytest.mark.virtual_time
@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS)
async def test_server_that_quotes_requests(
    scene: Scene, refuse: Callable[[str], Response]
) -> None:
    """A refusal that quotes the request is told without its secrets."""
    handler = after_signing_in(quoting(refuse))
    async with MemoryTransport(handler) as transport:
        outcome = await scene.play("http://127.0.0.1", transport)

    assert set() == outcome.search.found
    assert len(transport.requests) >= 10


@pytest.mark.virtual_time
@pytest.mark.parametrize("refuse", NO_TOKENS.values(), ids=NO_TOKENS)
@pytest.mark.parametrize("scene", SIGN_IN, ids=lambda maker: maker.name, indirect=True)
async def test_sign_in_that_is_quoted(
    scene: Scene, refuse: Callable[[str], Response]
) -> None:
    """A refusal of a password that quotes it is told without it."""
    async with MemoryTransport(quoting(refuse)) as transport:
        outcome = await scene.play("http://127.0.0.1", transport)

    assert set() == outcome.search.found


# --- what is no HTTP ---------------------------------------------------------


def signature(request: bytes) -> bytes:
    """Return, in one line, what signs a request: headers and body."""
    head, _, body = request.partition(b"\r\n\r\n")
    signs = re.findall(rb"(?im)^(?:proxy-)?(?:authorization|apikey):[^\r]*", head)
    return b" ".join([*signs, body])


async def quote_in_garbage(connection: Connection) -> None:
    said = signature(await connection.request())
    await connection.send(b"HTTP/1.1 200 OK\r\nno name " + said + b": x\r\n\r\n")


async def quote_in_status(connection: Connection) -> None:
    said = signature(await connection.request())
    await connection.send(b"HTTP/1.1 " + said + b"\r\n\r\n")


VARIED = [
    maker
    for maker in CLIENTS
    if maker.name in {"aimms-v2-cloud", "desp-basic", "desp-oauth2", "oml-v2", "vantiq"}
]
"""One client for each way to sign."""

varied = pytest.mark.parametrize(
    "scene", VARIED, ids=lambda maker: maker.name, indirect=True
)


def taking_turns(*scripts: Script) -> Script:
    """Play a script to a connection, the next one to the next connection."""
    turns = itertools.cycle(scripts)

    async def play(connection: Connection) -> None:
        await next(turns)(connection)

    return play


@varied
async def test_what_is_no_http(scene: Scene) -> None:
    """What is said of an answer that is none does not quote it."""
    script = taking_turns(quote_in_garbage, quote_in_status)
    async with RawServer(script) as server, AiohttpTransport() as transport:
        outcome = await scene.play(server.url, transport, timeout=40 * MS)

    assert set() == outcome.search.found
    assert server.accepted >= 10
    assert len(outcome.errors) >= 10


# --- what batches keep -------------------------------------------------------

SUBMITTERS = [
    maker
    for maker in CLIENTS
    if maker.name in {"aimms-v2-cloud", "desp-oauth2", "oml-v2"}
]


@pytest.mark.virtual_time
@pytest.mark.parametrize("maker", SUBMITTERS, ids=lambda maker: maker.name)
async def test_batch_that_is_refused(maker: Maker, tmp_path: Path) -> None:
    """Neither is it where the service quotes what it refuses."""
    handler = after_signing_in(quoting(refusing(403)))
    async with MemoryTransport(handler) as transport:
        search = await search_batch(maker, transport, tmp_path)

    assert set() == search.found


# --- what commands print -----------------------------------------------------

COMMANDS: dict[str, list[str]] = {
    "batch": ["run", "echo", "in.jsonl", "--out", "out.jsonl"],
    "cancel": [TASK, "--yes"],
    "check": ["--record", "record.json"],
    "demo": [],
    "poll": [TASK],
    "result": [TASK],
    "run": ["echo", "--input", "{}"],
    "serve": [],
    "submit": ["echo", "--input", "{}"],
    "tasks": [],
    "watch": [TASK],
}
"""The arguments of every command."""

TALK_TO_THEMSELVES = {"demo", "serve"}
"""Commands that have no secrets: they are servers."""

ACCESS: dict[str, tuple[list[str], dict[str, str]]] = {
    "aimms": (["--cloud", "--app", "Demo"], {"API_KEY": API_KEY}),
    "desp": (["--username", "user"], {"TOKEN": API_KEY}),
    "oml": (["--username", "OMLUSER"], {"PASSWORD": PASSWORD}),
    "vantiq": (["--username", "developer"], {"PASSWORD": PASSWORD}),
}


class Quoting(BaseHTTPRequestHandler):
    """Refuses everything, and quotes what signs it."""

    def refuse(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = f"{dict(self.headers)} {body.decode()}"
        words = codec.dumps({"message": said, "error": said})
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    do_GET = do_POST = do_PUT = do_DELETE = refuse  # noqa: N815 - as it is called

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def quoting_url() -> Iterator[str]:
    """Serve in a thread: a command has an event loop of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Quoting) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def said_as_before() -> Iterator[None]:
    """Undo what -vv does to the loggers of this process."""
    loggers = [logging.getLogger(), logging.getLogger("asynctasks")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_every_command_is_tried() -> None:
    """A command that is new has its arguments here, too."""
    assert set(COMMANDS) == set(group.list_commands(Context(group)))


@pytest.mark.usefixtures("said_as_before")
@pytest.mark.parametrize("protocol", ACCESS)
@pytest.mark.parametrize("command", sorted(set(COMMANDS) - TALK_TO_THEMSELVES))
def test_commands_that_are_refused(
    command: str,
    protocol: str,
    quoting_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command prints and writes no secret, not even when the service quotes it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"x": "1"}\n')
    options, secrets = ACCESS[protocol]
    env = {f"ASYNCTASKS_{name}": value for name, value in secrets.items()}
    env["ASYNCTASKS_CONFIG"] = str(tmp_path / "config.toml")
    given = ["--protocol", protocol, "--url", quoting_url, "-vv", "--timeout", "1"]
    arguments = [command, *COMMANDS[command], *given, *options]
    result = CliRunner(env=env).invoke(group, arguments)
    search = Search()
    search.look("output", result.output)
    for name, text in everywhere(tmp_path):
        search.look(name, text)

    assert set() == search.found
    assert re.search("403|PermissionDenied", result.output)
    assert result.exit_code > 2
