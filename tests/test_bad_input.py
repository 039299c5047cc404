"""
Bad input, from users and from services, one kind after the other.

Each is an error of its own class, raised before anything is sent where that is
possible; its text names what is wrong and says what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
import json
from pathlib import Path
import resource
from typing import Any
from urllib.parse import unquote
import zlib

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.config import Profile
from asynctasks.exceptions import (
    AsyncTasksError,
    ConfigError,
    InvalidArgument,
    InvalidState,
    PatienceExceeded,
    RemoteProtocolError,
    ResponseDecodeError,
    ResponseTooLarge,
    TaskFailed,
    TaskLost,
    UnexpectedContent,
)
from asynctasks.sansio.http import Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.testing import MemoryTransport
from tests.faults.raw_server import RawServer, Script, answer, crawl
from tests.scripted import Scripted
from tests.scripted import answer as document
from tests.timing import MS


virtual = pytest.mark.virtual_time

QUICK: dict[str, Any] = {
    "retry": RetryPolicy(attempts=2, wait_initial=0.0, wait_jitter=0.0),
    "poll": PollPolicy(wait_initial=5 * MS, wait_max=5 * MS),
}

Use = Callable[[AimmsClient, str], Coroutine[Any, Any, Any]]


def said(error: AsyncTasksError, *words: str) -> None:
    """See that an error's text has these words in it."""
    text = str(error)

    assert [] == [word for word in words if word not in text], text


# --- ids and names -----------------------------------------------------------

HOSTILE = {
    "empty": ("", ""),
    "up": ("../", "must not contain"),
    "up-twice": ("../../users/admin", "must not contain"),
    "dot": (".", "must not contain . or .."),
    "dots": ("..", "must not contain . or .."),
    "query": ("a?b#c", "must not contain / \\ ? # %"),
    "slash": ("a/b", "must not contain / \\ ? # %"),
    "backslash": ("a\\b", "must not contain / \\ ? # %"),
    "encoded-dots": ("%2e%2e", "must not contain / \\ ? # %"),
    "encoded-twice": ("%252e%252e%252f", "must not contain / \\ ? # %"),
    "line-end": ("a\r\nX: y", "control characters"),
    "nul": ("a\x00b", "control characters"),
    "c1": ("a\x85b", "control characters"),
    "surrogate": ("a\ud800b", ""),
}

USES: dict[str, Use] = {
    "submit": lambda client, name: client.submit(name, {}),
    "run": lambda client, name: client.run(name),
    "select_one": lambda client, name: client.select_one("tasks", name),
    "delete_one": lambda client, name: client.delete_one("tasks", name),
}

USES_OF_IDS: dict[str, Use] = {
    "poll": lambda client, name: client.poll(name),
    "cancel": lambda client, name: client.cancel(name),
    "result": lambda client, name: client.result(name, timeout=5),
}


@virtual
@pytest.mark.parametrize(
    "use",
    [*USES.values(), *USES_OF_IDS.values()],
    ids=[
        *USES,
        *USES_OF_IDS,
    ],
)
@pytest.mark.parametrize(("name", "remedy"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_names(use: Use, name: str, remedy: str) -> None:
    """A name that could leave its place in the URL is refused; nothing is sent."""
    service = Scripted()
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(InvalidArgument) as caught:
            await use(client, name)

    assert 0 == service.calls.total()
    said(caught.value, remedy)


@virtual
@pytest.mark.parametrize("name", ["a b", "ü", "a+b", "a;b=c", "a:b@c", "~"])
async def test_harmless_names_are_encoded(name: str) -> None:
    """Unusual names are one segment of the path, whatever is in them."""
    transport = MemoryTransport(lambda _: document({"id": "t1", "state": "queued"}))
    async with AimmsClient.local(transport=transport) as client:
        await client.submit(name, {})
    (request,) = transport.requests

    folder, _, segment = request.url.rpartition("/")

    assert "http://localhost:8080/api/v2/tasks" == folder
    assert (name, True) == (unquote(segment), segment.isascii())
    assert " " not in segment


# --- credentials -------------------------------------------------------------


@pytest.mark.parametrize("key", ["secret\n", "secret\r\n", " secret", "sec\x00ret"])
def test_key_with_a_line_end(key: str) -> None:
    """The usual fault of a key from a file is named; the key is not shown."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.cloud("acme", app="A", api_key=key)

    said(caught.value, "apiKey='…'")
    assert "secret" not in repr(caught.value)


async def test_key_with_a_line_end_from_a_callable() -> None:
    """A key that is fetched is checked as well, when it is fetched."""

    async def fetch() -> str:
        return "secret\n"

    service = Scripted()
    transport = MemoryTransport(service)
    async with AimmsClient.cloud(
        "acme", app="A", api_key=fetch, transport=transport
    ) as client:
        with pytest.raises(InvalidArgument) as caught:
            await client.count("tasks")

    said(caught.value, "apiKey='…'", "remove the blanks or line ends", "from a file?")
    assert 0 == service.calls.total()


@pytest.mark.parametrize("url", ["http://acme.example", "http://192.168.0.7:8080"])
def test_credentials_over_plain_http(url: str) -> None:
    """A key does not leave this machine in the clear."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.cloud(url, app="A", api_key="secret")

    said(caught.value, url, "refusing to send credentials over plain http; use https")


# --- tokens ------------------------------------------------------------------

OWN = AimmsClient.local().handle("t1").token
"""A token of the client under test."""


def altered(**fields: Any) -> str:
    return json.dumps({**json.loads(OWN), **fields})


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (altered(origin="https://evil.example"), "belongs to another origin"),
        (
            altered(protocol="oml"),
            "belongs to another protocol; this client's is aimms",
        ),
        (altered(variant="v1-cloud"), "belongs to another variant"),
        (altered(asynctasks=99), "is of another version"),
        (altered(id=""), "is damaged"),
        (altered(id=7), "is damaged"),
        (altered(run="one"), "is damaged"),
        (OWN[:-9], "is cut off or damaged"),
        ("{}", "is of another version"),
        ("", "give a task's token or its id"),
        ("   ", "give a task's token or its id"),
        (None, "give a task's token or its id"),
        (7, "give a task's token or its id"),
    ],
)
def test_token_of_another_service(token: Any, words: str) -> None:
    """A token that is not of this service makes no handle."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.local().handle(token)

    said(caught.value, "token", words)


def test_token_names_whose_it_is() -> None:
    """The error names the origin of the token, and the client's own."""
    with pytest.raises(InvalidArgument) as caught:
        AimmsClient.local(9000).handle(OWN)

    said(caught.value, "origin http://localhost:8080", "is http://localhost:9000")


# --- profiles and files ------------------------------------------------------


def test_unknown_profile(tmp_path: Path) -> None:
    """The error names the file and the profiles that are in it."""
    path = tmp_path / "config.toml"
    path.write_text('[profiles.work]\nurl = "http://localhost:8080"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        Profile.load("wrok", path=path, environ={})

    said(caught.value, "wrok", "work", str(path))


@virtual
async def test_unreadable_input_file(tmp_path: Path) -> None:
    """A file that cannot be read is named before anything is sent."""
    service = Scripted()
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        for path in (tmp_path / "missing.json", tmp_path):
            with pytest.raises(InvalidArgument) as caught:
                await client.submit("solve", content=path)
            said(caught.value, f"content='{path}': cannot be read: ")

    assert 0 == service.calls.total()


# --- JSON --------------------------------------------------------------------


@virtual
@pytest.mark.parametrize(
    ("inputs", "place", "value"),
    [
        ({"a": [0, {"b": float("nan")}]}, "inputs.a[1].b", "nan"),
        ([float("-inf")], "inputs[0]", "-inf"),
        ({"path": Path("x")}, "inputs.path", "a PosixPath"),
        ({"text": "\ud800"}, "inputs.text", "a lone surrogate"),
        ({1, 2}, "inputs", "a set"),
    ],
    ids=["nan", "infinity", "object", "surrogate", "set"],
)
async def test_inputs_that_json_cannot_say(inputs: Any, place: str, value: str) -> None:
    """The error names the place and what is there; nothing is sent."""
    service = Scripted()
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(InvalidArgument) as caught:
            await client.submit("solve", inputs)

    said(caught.value, f"{place}='{value}'", "JSON has no such value; convert it first")
    assert 0 == service.calls.total()


@virtual
@pytest.mark.parametrize(
    "body",
    [b'{"a": NaN}', b'{"a": 1e999}', b"[" * 100_000, b"[-Infinity]"],
    ids=["nan", "huge", "deep", "infinity"],
)
async def test_result_that_is_no_json(body: bytes) -> None:
    """A result that only looks like JSON is refused, and can be had as bytes."""
    service = Scripted(t1="completed")
    service.write("GET t1/response", Response(200, body=body))
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(ResponseDecodeError) as caught:
            await client.result("t1", decode="json")

        said(caught.value, "expected JSON, found")
        assert body == await client.result("t1", decode="bytes")


# --- answers that break the protocol -----------------------------------------

JSON = "Content-Type: application/json"

ODD: dict[str, tuple[Script, type[AsyncTasksError], str]] = {
    "html": (
        answer(200, b"<!DOCTYPE html><html>log in</html>", "Content-Type: text/html"),
        UnexpectedContent,
        "found an HTML page; is this a proxy's or a login page?",
    ),
    "empty": (answer(200, b"", JSON), ResponseDecodeError, "found an empty body"),
    "truncated": (
        answer(200, b'{"id": "t1", "sta', JSON),
        ResponseDecodeError,
        "found",
    ),
    "latin-1": (answer(200, b'{"id": "\xe9"}', JSON), ResponseDecodeError, "found"),
    "list": (answer(200, b"[]", JSON), RemoteProtocolError, "expected a JSON object"),
    "no-state": (
        answer(200, b'{"id": "t1"}', JSON),
        RemoteProtocolError,
        "expected a value at $.status, found no such field",
    ),
    "wrong-type": (
        answer(200, b'{"id": "t1", "state": 7}', JSON),
        RemoteProtocolError,
        "expected a string at $.state, found a whole number",
    ),
    "null": (
        answer(200, b'{"id": "t1", "state": null}', JSON),
        RemoteProtocolError,
        "expected a value at $.state, found null",
    ),
    "redirect": (
        answer(302, b"", "Location: https://evil.example/"),
        RemoteProtocolError,
        "expected status 200, found status 302",
    ),
    "no-content": (answer(204), RemoteProtocolError, "expected status 200"),
}


@pytest.mark.parametrize(("script", "error", "words"), ODD.values(), ids=ODD)
async def test_answer_that_breaks_the_protocol(
    script: Script, error: type[AsyncTasksError], words: str
) -> None:
    """The error names the request, what was expected and what came."""
    async with (
        RawServer(script) as server,
        AimmsClient.local(server.url, **QUICK) as client,
    ):
        with pytest.raises(error) as caught:
            await client.poll("t1")

    said(caught.value, "GET /api/v2/tasks/t1", words)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("name", ["html", "wrong-type"])
async def test_answer_that_breaks_the_protocol_ends_a_wait(name: str) -> None:
    """Waiting on would not help: the reason is told to whoever waits."""
    script, error, words = ODD[name]
    async with (
        RawServer(script) as server,
        AimmsClient.local(server.url, **QUICK) as client,
    ):
        with pytest.raises(error) as caught:
            await client.result("t1", timeout=10)

    said(caught.value, words)


@pytest.mark.parametrize("name", ["empty", "truncated"])
async def test_answer_that_was_cut_off_is_asked_for_again(name: str) -> None:
    """A connection that breaks early looks so; patience is what bounds it."""
    script, error, _ = ODD[name]
    async with (
        RawServer(script) as server,
        AimmsClient.local(server.url, **QUICK) as client,
    ):
        with pytest.raises(PatienceExceeded) as caught:
            await client.result("t1", timeout=100 * MS)

    assert isinstance(caught.value.__cause__, error)


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def bomb(megabytes: int) -> bytes:
    """Build an answer of so many megabytes that travels as some kilobytes."""
    packer = zlib.compressobj(wbits=31)
    # After a full flush each block stands for itself, so that it can be repeated.
    blocks = [
        packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
        for _ in range(2)
    ]
    return blocks[0] + blocks[1] * (megabytes - 1)


def peak() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    "script",
    [
        crawl(ENDLESS, b"0" * 65536, 0.0),
        answer(200, bomb(300), "Content-Encoding: gzip"),
    ],
    ids=["endless", "bomb"],
)
async def test_answer_without_an_end(script: Script) -> None:
    """What is read is bounded after decompression, and so is the memory."""
    before = peak()
    async with (
        RawServer(script) as server,
        AimmsClient.local(server.url, max_response_bytes=2**20, **QUICK) as client,
    ):
        with pytest.raises(ResponseTooLarge) as caught:
            await client.poll("t1")

    said(caught.value, "at most 1,048,576 bytes", "download()", "max_response_bytes=")
    assert peak() - before < 64 * 2**20


# --- tasks -------------------------------------------------------------------


@virtual
async def test_task_that_fails() -> None:
    """The error names the task and has the service's words."""
    failed = {"id": "t1", "state": "failed", "errorMessage": "no \x1b[31moven\n"}
    service = Scripted(t1=("running", document(failed)))
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(TaskFailed) as caught:
            await client.result("t1")

    assert "task t1 failed (failed): no  [31moven " == str(caught.value)


@virtual
async def test_task_that_vanishes() -> None:
    """A task that is not there any more is lost, never finished."""
    service = Scripted(t1=("running", Response(404)))
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(TaskLost) as caught:
            await client.result("t1")

    said(caught.value, "task t1 is not known to the service (any more): it was deleted")


@virtual
async def test_wait_that_runs_out() -> None:
    """The error says for how long, what is known, and how to go on."""
    service = Scripted(t1="running")
    async with AimmsClient.local(transport=MemoryTransport(service)) as client:
        with pytest.raises(PatienceExceeded) as caught:
            await client.result("t1", timeout=90)

    said(caught.value, "task t1 did not end within 90 s (now: RUNNING)", "wait again")
    assert "t1" == client.handle(caught.value.token).id


# --- clients -----------------------------------------------------------------


@virtual
async def test_client_used_after_close() -> None:
    """The error says to make a new one."""
    async with AimmsClient.local(transport=MemoryTransport(Scripted())) as client:
        pass
    with pytest.raises(InvalidState) as caught:
        await client.submit("solve")

    said(caught.value, "the client is closed; make a new one")


def test_client_used_from_another_loop() -> None:
    """The error says to make one client per loop."""
    client = AimmsClient.local(transport=MemoryTransport(Scripted(t1="completed")))

    async def use() -> None:
        await client.poll("t1")

    asyncio.run(use())
    with pytest.raises(InvalidState) as caught:
        asyncio.run(use())

    said(caught.value, "belongs to another event loop; make one client per loop")
