"""One attempt over aiohttp: what goes out, what comes back, and every way to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
import gzip
from pathlib import Path
import socket
import tracemalloc
from typing import Any
import zlib

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aioresponses import aioresponses
import attrs
import pytest
import trustme

from asynctasks.exceptions import (
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    InvalidState,
    ProxyError,
    RemoteProtocolError,
    ResponseTooLarge,
    TlsError,
)
from asynctasks.files import FileBody, StreamBody
from asynctasks.sansio.http import (
    ERROR_BODY,
    Headers,
    Part,
    Request,
    Response,
    build_multipart,
)
from asynctasks.transport import AiohttpTransport
from tests.faults.raw_server import (
    Connection,
    RawServer,
    Script,
    answer,
    closed_port,
    crawl,
    full_backlog,
    never,
    pieces,
    raw,
)
from tests.timing import MS
from tests.transport.asking import (
    AUTHORITY,
    CANARY,
    HERE,
    LONG,
    MIB,
    SHORT,
    download,
    get,
    hung_up,
    post,
    send,
    serve_tls,
    tell_tales,
    trust,
)


# --- what goes out -----------------------------------------------------------

CODINGS = {"Accept-Encoding": "gzip, deflate"}


async def test_what_aiohttp_is_asked(transport: AiohttpTransport) -> None:
    """The request is passed on; redirects are off, no timer is aiohttp's."""
    url = "http://127.0.0.1/a%2Fb?c=%2B"
    with aioresponses() as mocked:
        mocked.put(url, status=201)
        await send(transport, Request("PUT", url, Headers({"A": "b"}), b"{}"), 7)
    ((_, (call,)),) = mocked.requests.items()

    assert (False, False, {"A": "b", **CODINGS}, b"{}") == (
        call.kwargs["allow_redirects"],
        call.kwargs["raise_for_status"],
        call.kwargs["headers"],
        call.kwargs["data"],
    )
    limits = aiohttp.ClientTimeout(total=None, sock_connect=6.3)

    assert limits == call.kwargs["timeout"]


@pytest.mark.parametrize("status", [99, 204, 599, 999])
async def test_odd_statuses(transport: AiohttpTransport, status: int) -> None:
    """A status of no class that HTTP knows is an answer all the same."""
    start = b"HTTP/1.1 %03d X\r\nContent-Length: 0\r\n\r\n" % status
    async with RawServer(raw(start, hang=True)) as server:
        response = await send(transport, get(server.url))

    assert status == response.status


@pytest.mark.parametrize("status", [200, 201, 204, 302, 304, 401, 404, 429, 500, 999])
async def test_every_status_is_an_answer(
    transport: AiohttpTransport, status: int
) -> None:
    """No status is an exception here, and no redirect is followed."""
    with aioresponses() as mocked:
        mocked.get(
            "http://127.0.0.1/", status=status, headers={"Location": "http://[::1]/"}
        )
        response = await send(transport, Request("GET", "http://127.0.0.1/"))

    assert (status, "http://[::1]/") == (response.status, response.headers["location"])


async def test_what_is_on_the_wire(transport: AiohttpTransport) -> None:
    """URL, headers and body arrive as given, and nothing else of ours."""
    async with RawServer(answer()) as server:
        request = Request(
            "POST",
            f"{server.url}/a%2Fb/%2e?q=%2B%20c",
            Headers({"apiKey": "k", "Content-Type": "application/json"}),
            b'{"a":1}',
        )
        await send(transport, request)
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines}

    assert "POST /a%2Fb/%2e?q=%2B%20c HTTP/1.1" == first
    assert b'{"a":1}' == body
    assert {"apiKey: k", "Content-Type: application/json"} <= set(lines)
    assert names == {
        *("host", "apikey", "content-type", "content-length", "accept"),
        *("accept-encoding", "user-agent"),
    }


async def test_codings_that_are_offered(transport: AiohttpTransport) -> None:
    """Only codings are offered of which we see the end, whoever made the session."""
    async with RawServer(answer()) as server, aiohttp.ClientSession() as session:
        given = AiohttpTransport(session)
        for each in (transport, given):
            await send(each, get(server.url))
            await download(each, get(server.url))
            await send(each, attrs.evolve(get(server.url), streamed=True))
            chosen = get(server.url).with_headers({"Accept-Encoding": "br"})
            await send(each, chosen)
    asked = [line for one in server.received for line in one.split(b"\r\n")]
    codings = [line[17:] for line in asked if line.startswith(b"Accept-Encoding: ")]

    assert [b"gzip, deflate", b"gzip, deflate", b"identity", b"br"] * 2 == codings


async def test_no_content_type_of_its_own(transport: AiohttpTransport) -> None:
    """A request without a content type goes without one, body or not."""
    async with RawServer(answer()) as server:
        for body in (b"", b"* *** **", StreamBody(pieces(b"x"))):
            await send(transport, post(server.url, body))

    assert not [one for one in server.received if b"content-type" in one.lower()]


async def test_the_answer(transport: AiohttpTransport) -> None:
    """Status, headers, body and time of the answer are those of the wire."""
    async with RawServer(
        answer(201, b'{"id":"7"}', "X-Request-Id: r1", "Via: a", "Via: b")
    ) as server:
        begun = asyncio.get_running_loop().time()
        response = await send(transport, get(server.url))

    assert (201, b'{"id":"7"}', "r1", "a, b") == (
        response.status,
        response.body,
        response.request_id,
        response.headers["via"],
    )
    assert begun <= response.at <= asyncio.get_running_loop().time()


async def test_headers_do_not_show_themselves(transport: AiohttpTransport) -> None:
    """What the service sets as a cookie is not in the text of the answer."""
    async with RawServer(answer(200, b"", f"Set-Cookie: session={CANARY}")) as server:
        response = await send(transport, get(server.url))

    assert CANARY not in repr(response) + repr(response.headers)


async def test_no_cookies(transport: AiohttpTransport) -> None:
    """A cookie that the service sets is not sent back."""
    async with RawServer(answer(200, b"", "Set-Cookie: a=b; Path=/")) as server:
        for _ in range(2):
            await send(transport, get(server.url))

    assert not [one for one in server.received if b"cookie" in one.lower()]


@pytest.mark.parametrize("piece", [1, 1000])
async def test_chunked_answers(transport: AiohttpTransport, piece: int) -> None:
    """An answer in chunks is put together."""
    body = b"0123456789" * 1000
    parts = [body[start : start + piece] for start in range(0, len(body), piece)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with RawServer(raw(head + coded + b"0\r\n\r\n")) as server:
        response = await send(transport, get(server.url))

    assert body == response.body


async def test_compressed_answers(transport: AiohttpTransport) -> None:
    """A compressed body is decompressed."""
    body = gzip.compress(b"6" * 100_000)
    async with RawServer(answer(200, body, "Content-Encoding: gzip")) as server:
        response = await send(transport, get(server.url))

    assert b"6" * 100_000 == response.body


async def test_answers_before_the_answer(transport: AiohttpTransport) -> None:
    """Early hints are passed over."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6"
    async with RawServer(raw(early + final)) as server:
        response = await send(transport, get(server.url))

    assert (200, b"6") == (response.status, response.body)


async def test_bytes_after_the_body(transport: AiohttpTransport) -> None:
    """What comes after an answer is not taken for the next one."""
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6" + extra
    async with RawServer(raw(first), answer(200, b"good")) as server:
        bodies = [(await send(transport, get(server.url))).body for _ in range(2)]

    assert [b"6", b"good"] == bodies


async def test_connections_are_used_again(transport: AiohttpTransport) -> None:
    """Answers that were read whole leave their connection for the next request."""
    async with RawServer(answer(keep=True)) as server:
        for _ in range(5):
            await send(transport, get(server.url))

        assert 1 == server.accepted


# --- streamed bodies ---------------------------------------------------------


def body_of(received: bytes) -> tuple[dict[str, str], bytes]:
    """Take a received request apart and its chunks together."""
    head, _, rest = received.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    if "transfer-encoding" not in headers:
        return headers, rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return headers, body


EVERY_BYTE = bytes(range(256)) * 4096


async def test_files_are_streamed(transport: AiohttpTransport, tmp_path: Path) -> None:
    """A file arrives byte for byte, with its length, as often as it is sent."""
    path = tmp_path / "input.bin"
    path.write_bytes(EVERY_BYTE)
    async with RawServer(answer()) as server:
        request = post(server.url, FileBody(path))
        for _ in range(2):
            await send(transport, request)
    expected = (str(len(EVERY_BYTE)), EVERY_BYTE)
    for received in server.received:
        headers, body = body_of(received)

        assert expected == (headers["content-length"], body)
        assert "transfer-encoding" not in headers


async def test_large_bodies(transport: AiohttpTransport) -> None:
    """A body of many bytes is written in pieces, with its length."""
    async with RawServer(answer()) as server:
        await send(transport, post(server.url, EVERY_BYTE * 2))
    headers, body = body_of(server.received[0])

    assert EVERY_BYTE * 2 == body
    assert (str(len(body)), False) == (
        headers["content-length"],
        "content-type" in headers,
    )


async def test_long_uploads(transport: AiohttpTransport) -> None:
    """A body may take longer than an attempt, as long as its pieces do not."""

    async def steady() -> AsyncIterator[bytes]:
        for _ in range(8):
            await asyncio.sleep(SHORT)
            yield b"piece"

    async with RawServer(answer()) as server:
        request = post(server.url, StreamBody(steady()))
        response = await send(transport, request, 5 * SHORT)

    assert 200 == response.status


async def test_uploads_that_stall(transport: AiohttpTransport) -> None:
    """A piece that does not come in time ends the attempt."""

    async def stalls() -> AsyncIterator[bytes]:
        yield b"piece"
        await asyncio.sleep(3600)

    async with RawServer(answer()) as server:
        with pytest.raises(AttemptTimeout):
            await send(transport, post(server.url, StreamBody(stalls())), SHORT)


async def test_early_answers(transport: AiohttpTransport) -> None:
    """An answer that comes before the body was sent counts; the body is closed."""
    ended = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        try:
            yield b"begun"
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def script(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
        await connection.closed()

    async with RawServer(script) as server:
        response = await send(transport, post(server.url, StreamBody(slow())))
        await asyncio.wait_for(ended.wait(), LONG)

    assert 413 == response.status


async def test_iterators_are_streamed(transport: AiohttpTransport) -> None:
    """An async iterator arrives byte for byte, in chunks."""
    source = StreamBody(pieces(EVERY_BYTE, b"", b"\r\n0\r\n\r\n", b"end"))
    async with RawServer(answer()) as server:
        await send(transport, post(server.url, source))
    headers, body = body_of(server.received[0])

    assert EVERY_BYTE + b"\r\n0\r\n\r\nend" == body
    assert ("chunked", False) == (
        headers["transfer-encoding"],
        "content-length" in headers,
    )


@pytest.mark.parametrize("known", [True, False])
async def test_forms_are_streamed(
    transport: AiohttpTransport, tmp_path: Path, known: bool
) -> None:
    """A form arrives as it was built; with its length where all parts have one."""
    path = tmp_path / "input.bin"
    path.write_bytes(EVERY_BYTE)
    last = b"end" if known else StreamBody(pieces(b"e", b"nd"))
    parts = [Part("file", FileBody(path), "input.bin"), Part("note", last)]
    form, kind = build_multipart(parts, boundary="b7")
    async with RawServer(answer()) as server:
        request = post(server.url, form).with_headers({"Content-Type": kind})
        await send(transport, request)
    headers, body = body_of(server.received[0])
    expected = (
        b'--b7\r\nContent-Disposition: form-data; name="file"; filename="input.bin"'
        b"\r\n\r\n" + EVERY_BYTE + b"\r\n--b7\r\n"
        b'Content-Disposition: form-data; name="note"\r\n\r\nend\r\n--b7--\r\n'
    )

    assert (expected, kind.lower()) == (body, headers["content-type"])
    assert known is ("content-length" in headers)


@pytest.mark.parametrize(
    "error", [KeyError("mine"), OSError(5, "mine"), TimeoutError("mine")], ids=repr
)
@pytest.mark.parametrize("verb", [send, download])
async def test_bodies_that_fail(
    transport: AiohttpTransport, error: Exception, verb: Callable[..., Any]
) -> None:
    """The caller's own error comes back as it is, not as a broken connection."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"begun"
        raise error

    async with RawServer(never) as server:
        with pytest.raises(type(error), match="mine") as caught:
            await verb(transport, post(server.url, StreamBody(failing())))

        assert error is caught.value
        assert await hung_up(server)


async def test_a_file_that_shrinks(transport: AiohttpTransport, tmp_path: Path) -> None:
    """A file that is shorter than was promised fails at once, and says so."""
    path = tmp_path / "input.bin"
    path.write_bytes(EVERY_BYTE)
    body = FileBody(path)
    path.write_bytes(b"short")
    async with RawServer(never) as server:
        with pytest.raises(InvalidArgument, match="became shorter"):
            await send(transport, post(server.url, body))


# --- connections that do not come about --------------------------------------


async def test_refused(transport: AiohttpTransport) -> None:
    """Where nobody listens, nothing was sent; the error names host and port."""
    port = closed_port()
    with pytest.raises(ConnectError) as caught:
        await send(transport, post(f"http://127.0.0.1:{port}"))

    assert (False, True) == (caught.value.sent, caught.value.retryable)
    assert f"cannot connect to 127.0.0.1:{port}: " in str(caught.value)
    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize(("connect", "total"), [(SHORT, LONG), (LONG, SHORT)])
async def test_connections_that_stall(connect: float, total: float) -> None:
    """A connection that does not stand in time is known not to have sent anything."""
    async with AiohttpTransport(connect_timeout=connect) as transport:
        with (
            full_backlog() as port,
            pytest.raises(ConnectError, match="no connection to") as caught,
        ):
            await send(transport, post(f"http://127.0.0.1:{port}"), total)

    assert caught.value.sent is False
    assert [] == tell_tales(caught.value)


class NobodyKnows(AbstractResolver):
    """Knows no host."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        """Nothing is open."""


async def test_unknown_hosts() -> None:
    """A host that nobody knows is named; nothing was sent."""
    connector = aiohttp.TCPConnector(resolver=NobodyKnows())
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(ConnectError, match=r"acme\.invalid.*not known") as caught:
            await send(AiohttpTransport(session), post("http://acme.invalid"))

    assert caught.value.sent is False
    assert [] == tell_tales(caught.value)


# --- connections that break --------------------------------------------------

BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nbegun"
GZIP = "Content-Encoding: gzip"
PACKED = gzip.compress(b"0123456789" * 99)


async def late_reset(connection: Connection) -> None:
    """Reset a connection whose end would be the end of the body."""
    await connection.request()
    await connection.send(ENDLESS)
    await asyncio.sleep(10 * MS)  # or it would overtake the body
    connection.reset()


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (raw(b"", reset=True), "the connection broke"),
        (raw(b""), "the connection broke"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "the connection broke"),
        (raw(BEGUN, reset=True), "the connection broke|ended too early"),
        (raw(BEGUN), "the answer ended too early"),
        (raw(CHUNKED + b"5\r\nbegun\r\n"), "the answer ended too early"),
        (late_reset, "the answer ended too early"),
        (answer(200, PACKED[:-1], GZIP), "the answer ended too early"),
        (
            raw(b"HTTP/1.1 200 X\r\n%b\r\n\r\n%b" % (GZIP.encode(), PACKED[:20])),
            "early",
        ),
    ],
    ids=[
        *("rst", "fin", "head", "body-rst", "body-fin", "chunked"),
        *("endless-rst", "half-gzip", "endless-half-gzip"),
    ],
)
async def test_broken_connections(
    transport: AiohttpTransport, verb: Callable[..., Any], script: Script, expected: str
) -> None:
    """However a connection breaks after sending: no partial data, sent is True."""
    async with RawServer(script) as server:
        with pytest.raises(ConnectionLost, match=expected) as caught:
            await verb(transport, post(server.url))

    assert (True, True) == (caught.value.sent, caught.value.retryable)
    assert [] == tell_tales(caught.value)


async def test_a_stale_connection(transport: AiohttpTransport) -> None:
    """A kept connection that breaks under the next request may have carried it."""

    async def once(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await connection.head()
        connection.reset()

    async with RawServer(once) as server:
        await send(transport, post(server.url))
        with pytest.raises(ConnectionLost) as caught:
            await send(transport, post(server.url, b"x" * 100_000))

    assert caught.value.sent is True
    assert [] == tell_tales(caught.value)


async def test_an_answer_without_length(transport: AiohttpTransport) -> None:
    """A body that ends with the connection is all there is; its reader must judge."""
    cut = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id": "7'
    async with RawServer(raw(cut)) as server:
        response = await send(transport, get(server.url))

    assert b'{"id": "7' == response.body


# --- answers that do not come ------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nX: "


@pytest.mark.parametrize(
    "script",
    [
        never,
        crawl(HEAD, b"x", SHORT / 10),
        crawl(BEGUN, b"x", SHORT / 10),
        crawl(CHUNKED, b"1\r\nx\r\n", SHORT / 10),
    ],
    ids=["never", "head", "body", "chunks"],
)
async def test_slow_answers(transport: AiohttpTransport, script: Script) -> None:
    """An attempt has an end, whatever drips in; its connection is given up."""
    async with RawServer(script) as server:
        with pytest.raises(AttemptTimeout, match=r"no answer within 0\.1 s") as caught:
            await send(transport, get(server.url), 0.1)

        assert await hung_up(server)
    assert (True, True) == (caught.value.sent, caught.value.retryable)
    assert [] == tell_tales(caught.value)


# --- answers that are none ---------------------------------------------------


BOTH_LENGTHS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\nevil\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n"
        + b"X: y\r\n" * 200
        + b"X: "
        + b"y" * 100_000
        + b"\r\n\r\n",
        BOTH_LENGTHS,
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nevil\r\n",
    ],
    ids=["garbage", "status", "flood", "cl-te", "two-cl", "negative", "nul", "chunk"],
)
async def test_answers_that_are_no_http(
    transport: AiohttpTransport, verb: Callable[..., Any], data: bytes
) -> None:
    """What is no HTTP is the service's fault, not its status 400; it is hung up on."""
    async with RawServer(raw(data, hang=True)) as server:
        with pytest.raises(RemoteProtocolError, match="expected an HTTP") as caught:
            await verb(transport, get(server.url))

        assert await hung_up(server)
    assert (None, False) == (caught.value.status, caught.value.retryable)
    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize("verb", [send, download])
async def test_bodies_in_another_encoding(
    transport: AiohttpTransport, verb: Callable[..., Any]
) -> None:
    """What is not compressed as it says is the service's fault."""
    async with RawServer(answer(200, b"plain", "Content-Encoding: gzip")) as server:
        with pytest.raises(RemoteProtocolError, match="cannot be decompressed"):
            await verb(transport, get(server.url))


# --- answers that are too large ----------------------------------------------


def bomb(mib: int) -> bytes:
    """Return so many MiB of zeros, compressed to a thousandth."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the next block depends on nothing before it.
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (mib - 1) + packer.flush()


async def test_a_bomb(transport: AiohttpTransport) -> None:
    """Of 300 MB that come compressed, no more is unpacked than is allowed."""
    packed = answer(200, bomb(300), "Content-Encoding: gzip")
    async with RawServer(packed) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ResponseTooLarge) as caught:
                await send(transport, get(server.url), limit=MIB)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert await hung_up(server)
    assert peak < 6 * MIB
    assert MIB == caught.value.limit
    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        CHUNKED,
    ],
    ids=["endless", "announced", "chunked"],
)
async def test_endless_bodies(transport: AiohttpTransport, start: bytes) -> None:
    """A body that does not end is read up to the limit."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(start)
        while True:
            await connection.send(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")

    async with RawServer(script) as server:
        with pytest.raises(ResponseTooLarge):
            await send(transport, get(server.url), limit=MIB)

        assert await hung_up(server)


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
@pytest.mark.parametrize("sized", [True, False])
async def test_the_limit(
    transport: AiohttpTransport, size: int, fits: bool, sized: bool
) -> None:
    """A body may be as large as the limit and not a byte larger."""
    body = b"x" * size
    script = answer(200, body) if sized else raw(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    async with RawServer(script) as server:
        try:
            response = await send(transport, get(server.url), limit=1000)
        except ResponseTooLarge:
            assert not fits
        else:
            assert (True, body) == (fits, response.body)


@pytest.mark.parametrize(
    "script",
    [
        answer(500, b"x" * MIB),
        raw(b"HTTP/1.1 500 X\r\n\r\n" + b"x" * MIB),
        answer(500, gzip.compress(b"x" * MIB), "Content-Encoding: gzip"),
    ],
    ids=["announced", "endless", "compressed"],
)
@pytest.mark.parametrize("verb", [send, download])
async def test_refusals_are_cut_off(
    transport: AiohttpTransport, verb: Callable[..., Any], script: Script
) -> None:
    """Of a refusal the first 64 KiB are kept; it stays the refusal it is."""
    async with RawServer(script) as server:
        found = await verb(transport, get(server.url))
        head = found if isinstance(found, Response) else found[0]

    assert (500, ERROR_BODY) == (head.status, len(head.body))


# --- requests that cannot be said --------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("GET", "http:///x"), "is not a usable URL"),
        (Request("GET", "http://127.0.0.1:99999/x"), "HTTP cannot say it"),
        (
            Request("GET", "http://127.0.0.1:1/", Headers({"A": "b\r\nC: d"})),
            "HTTP cannot say it",
        ),
    ],
    ids=["host", "port", "header"],
)
@pytest.mark.parametrize("verb", [send, download])
async def test_requests_that_cannot_be_said(
    transport: AiohttpTransport,
    verb: Callable[..., Any],
    request_: Request,
    expected: str,
) -> None:
    """What HTTP has no words for is refused as an argument."""
    async with RawServer(never) as server:
        url = request_.url.replace("127.0.0.1:1/", f"127.0.0.1:{server.port}/")
        request_ = Request(request_.method, url, request_.headers)
        with pytest.raises(InvalidArgument, match=expected):
            await verb(transport, request_)


# --- TLS ---------------------------------------------------------------------

OTHERS = trustme.CA()
ELSEWHERE = AUTHORITY.issue_cert("acme.example")
EXPIRED = AUTHORITY.issue_cert(
    "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)
)


async def test_trusted_tls() -> None:
    """A certificate of an authority that was named is trusted."""
    async with (
        RawServer(answer(200, b"6"), ssl_context=serve_tls(HERE)) as server,
        AiohttpTransport(ssl_context=trust(AUTHORITY)) as transport,
    ):
        response = await send(transport, get(server.url))

    assert b"6" == response.body


@pytest.mark.parametrize(
    ("certificate", "authority", "expected"),
    [
        (HERE, None, "unable to get local issuer certificate"),
        (HERE, OTHERS, "unable to get local issuer certificate"),
        (ELSEWHERE, AUTHORITY, "IP address mismatch"),
        (EXPIRED, AUTHORITY, "certificate has expired"),
    ],
    ids=["unknown", "other", "host", "expired"],
)
@pytest.mark.parametrize("verb", [send, download])
async def test_untrusted_tls(
    verb: Callable[..., Any],
    certificate: trustme.LeafCert,
    authority: trustme.CA | None,
    expected: str,
) -> None:
    """A certificate that does not verify ends the attempt before a byte is sent."""
    context = None if authority is None else trust(authority)
    async with (
        RawServer(answer(), ssl_context=serve_tls(certificate)) as server,
        AiohttpTransport(ssl_context=context) as transport,
    ):
        with pytest.raises(TlsError, match=expected) as caught:
            await verb(transport, post(server.url))

    assert [] == server.received
    assert (False, False) == (caught.value.sent, caught.value.retryable)
    assert [] == tell_tales(caught.value)


async def test_tls_to_a_plain_port(transport: AiohttpTransport) -> None:
    """A port that does not speak TLS is a TlsError; there is no downgrade."""
    plain = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    async def script(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.send(plain)

    async with RawServer(script) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(TlsError) as caught:
            await send(transport, post(url))

    assert [] == tell_tales(caught.value)


# --- proxies -----------------------------------------------------------------


def through(port: int) -> AiohttpTransport:
    return AiohttpTransport(proxy=f"http://me:{CANARY}@127.0.0.1:{port}")


async def test_a_proxy() -> None:
    """A proxy is asked for the whole URL, with the credentials meant for it."""
    async with (
        RawServer(answer(200, b"6")) as server,
        through(server.port) as transport,
    ):
        response = await send(transport, Request("GET", "http://acme.example/tasks"))
    lines = server.received[0].split(b"\r\n")

    assert b"6" == response.body
    assert b"GET http://acme.example/tasks HTTP/1.1" == lines[0]
    assert [line for line in lines if line.startswith(b"Proxy-Authorization: Basic ")]


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [407, 502])
async def test_proxies_that_refuse(
    verb: Callable[..., Any], scheme: str, status: int
) -> None:
    """A refusal by the proxy is a ProxyError that tells no password."""
    refusal = answer(status, b"no", "Proxy-Authenticate: Basic")
    async with RawServer(refusal) as server, through(server.port) as transport:
        if (scheme, status) == ("http", 502):
            return  # nobody can tell whether the proxy or the service says so
        with pytest.raises(ProxyError, match=f"acme.example.* {status}") as caught:
            await verb(transport, post(f"{scheme}://acme.example"))

    assert (False, False) == (caught.value.sent, caught.value.retryable)
    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxies_that_are_not_there(
    verb: Callable[..., Any], scheme: str
) -> None:
    """A proxy that refuses the connection is a ProxyError that tells no password."""
    async with through(closed_port()) as transport:
        with pytest.raises(ProxyError, match="it cannot be reached") as caught:
            await verb(transport, post(f"{scheme}://acme.example"))

    assert [] == tell_tales(caught.value)


@pytest.mark.parametrize(
    "proxy",
    [
        f"me:{CANARY}@127.0.0.1:3128",
        f"ftp://me:{CANARY}@127.0.0.1",
        f"http://me:{CANARY}@",
        f"http://me:{CANARY}@127.0.0.1:port",
        f"//{CANARY}",
        "",
        None,
        7,
    ],
)
def test_unusable_proxies(proxy: Any) -> None:
    """What is no URL of a proxy is refused and not shown."""
    if proxy is None:
        return
    with pytest.raises(InvalidArgument, match=r"http://host:3128") as caught:
        AiohttpTransport(proxy=proxy)

    assert [] == tell_tales(caught.value)


# --- sessions ----------------------------------------------------------------


async def test_a_session_of_the_caller() -> None:
    """A session that was given is used, and stays open."""
    async with (
        RawServer(answer(418, b"tea")) as server,
        aiohttp.ClientSession(
            headers={"User-Agent": "mine"}, raise_for_status=True
        ) as session,
    ):
        async with AiohttpTransport(session) as transport:
            response = await send(transport, get(server.url))

        assert not session.closed
    assert b"User-Agent: mine" in server.received[0]
    assert 418 == response.status


async def test_a_session_that_was_closed() -> None:
    """A session that its owner closed is an InvalidState."""
    async with aiohttp.ClientSession() as session:
        transport = AiohttpTransport(session)
    with pytest.raises(InvalidState, match="that was given is closed"):
        await send(transport, get("http://127.0.0.1:1"))


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize("start", [BEGUN, CHUNKED, ENDLESS, b"HTTP/1.1"])
async def test_close_while_an_answer_comes(
    transport: AiohttpTransport, verb: Callable[..., Any], start: bytes
) -> None:
    """Who reads an answer learns at once that the transport is closed under it."""
    async with RawServer(raw(start, hang=True)) as server:
        reading = asyncio.create_task(verb(transport, get(server.url)))
        await asyncio.sleep(20 * MS)
        await transport.aclose()
        async with asyncio.timeout(LONG / 2):
            with pytest.raises(ConnectionLost):
                await reading

        assert await hung_up(server)


@pytest.mark.parametrize("verb", [send, download])
async def test_use_after_close(verb: Callable[..., Any]) -> None:
    """A closed transport sends nothing; it may be closed twice, used or not."""
    unused = AiohttpTransport()
    await unused.aclose()
    async with RawServer(answer()) as server:
        used = AiohttpTransport()
        await send(used, get(server.url))
        await used.aclose()
        await used.aclose()
        for transport in (unused, used):
            with pytest.raises(InvalidState, match="the transport is closed"):
                await verb(transport, get(server.url))

    assert 1 == server.accepted


async def test_close_hangs_up() -> None:
    """A closed transport leaves no connection open."""
    async with RawServer(answer(keep=True)) as server:
        async with AiohttpTransport() as transport:
            await send(transport, get(server.url))

        assert await hung_up(server)


# --- downloads ---------------------------------------------------------------


async def test_a_download(transport: AiohttpTransport) -> None:
    """The head comes first, then the body piece by piece, of any size."""
    async with (
        RawServer(answer(200, EVERY_BYTE, "Content-Type: image/png")) as server,
        transport.open(get(server.url), timeout=LONG, idle=LONG) as opened,
    ):
        got = [piece async for piece in opened.chunks]

    assert (200, "image/png", b"") == (
        opened.head.status,
        opened.head.media_type,
        opened.head.body,
    )
    assert EVERY_BYTE == b"".join(got)
    assert len(got) > 1


async def test_refused_downloads(transport: AiohttpTransport) -> None:
    """A refusal's words are in its head; there are no pieces."""
    async with RawServer(answer(404, b'{"message":"gone"}')) as server:
        head, body = await download(transport, get(server.url))

    assert (404, {"message": "gone"}, b"") == (head.status, head.json(), body)


async def test_redirected_downloads(transport: AiohttpTransport) -> None:
    """A redirect is an answer as any other."""
    async with RawServer(answer(302, b"", "Location: /blob")) as server:
        head, _ = await download(transport, get(server.url))

    assert (302, "/blob") == (head.status, head.headers["Location"])


async def test_downloads_without_a_head(transport: AiohttpTransport) -> None:
    """The head has to come in time."""
    async with RawServer(crawl(HEAD, b"x", SHORT / 10)) as server:
        with pytest.raises(AttemptTimeout, match=r"no answer within 0\.1 s"):
            await download(transport, get(server.url), timeout=0.1)

        assert await hung_up(server)


async def test_downloads_that_stop(transport: AiohttpTransport) -> None:
    """A body that stops is given up after the idle time."""
    async with RawServer(raw(BEGUN, hang=True)) as server:
        with pytest.raises(AttemptTimeout) as caught:
            await download(transport, get(server.url), idle=SHORT)

        assert await hung_up(server)
    assert [] == tell_tales(caught.value)


async def test_steady_downloads(transport: AiohttpTransport) -> None:
    """A body may take much longer than the idle time, as long as it moves on."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(head)
        for _ in range(20):
            await asyncio.sleep(0.02)
            await connection.send(b"x" * 1000)

    async with RawServer(script) as server:
        _, body = await download(transport, get(server.url), idle=0.2)

    assert b"x" * 20_000 == body


async def test_downloads_that_are_left(transport: AiohttpTransport) -> None:
    """Who leaves a download before its end leaves no connection."""
    async with RawServer(crawl(BEGUN, b"x" * 1000, SHORT / 10)) as server:
        async with transport.open(get(server.url), timeout=LONG, idle=LONG) as opened:
            await anext(opened.chunks)

        assert await hung_up(server)


# --- cancellation ------------------------------------------------------------


async def stall(connection: Connection) -> None:
    """Take a body without end, a little at a time."""
    await connection.head()
    await asyncio.sleep(3600)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize("verb", [send, download])
@pytest.mark.parametrize(
    ("script", "body"),
    [
        (never, b"{}"),
        (raw(BEGUN, hang=True), b"{}"),
        (raw(BEGUN.replace(b"200", b"500"), hang=True), b"{}"),
        (stall, StreamBody),
    ],
    ids=["waiting", "reading", "refused", "sending"],
)
async def test_cancellation(
    transport: AiohttpTransport, verb: Callable[..., Any], script: Script, body: Any
) -> None:
    """A cancelled attempt ends at once, hangs up, and leaves the transport usable."""
    content = body if isinstance(body, bytes) else body(endless())
    async with RawServer(script, answer(200, b"6")) as server:
        attempt = asyncio.ensure_future(verb(transport, post(server.url, content)))
        await asyncio.sleep(SHORT / 2)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        if script is not stall:
            assert await hung_up(server)
        response = await send(transport, get(server.url))

    assert b"6" == response.body


# --- bodies that are left to their reader ------------------------------------


def streamed(base: str) -> Request:
    return attrs.evolve(get(base), streamed=True)


async def test_a_body_is_left_to_its_reader(transport: AiohttpTransport) -> None:
    """The body of a success is read when its reader wants it, of any size."""
    async with RawServer(answer(200, EVERY_BYTE)) as server:
        response = await send(transport, streamed(server.url), limit=10)
        body = await response.reader.read()

    assert (b"", EVERY_BYTE) == (response.body, body)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_other_answers_have_no_reader(
    transport: AiohttpTransport, status: int
) -> None:
    """What is no success is read at once, or hung up on."""
    async with RawServer(answer(status, b"words", "Location: /x")) as server:
        response = await send(transport, streamed(server.url))

        assert await hung_up(server)
    words = b"" if status == 302 else b"words"

    assert (status, words, None) == (response.status, response.body, response.reader)


# --- sessions by path --------------------------------------------------------


async def test_a_session_is_asked_by_path() -> None:
    """What goes to the base is asked of the session by its path alone."""
    async with (
        RawServer(answer()) as server,
        RawServer(answer()) as other,
        AiohttpTransport(base_url=server.url) as transport,
    ):
        await send(transport, get(server.url, "/a%2Fb"))
        await send(transport, get(other.url, "/c"))

    assert server.received[0].startswith(b"GET /a%2Fb?token=")
    assert other.received[0].startswith(b"GET /c?token=")


async def test_transport_that_is_not_closed_is_told_of() -> None:
    """A session of ours that is left open warns; one of the caller's does not."""
    transport = AiohttpTransport()
    async with RawServer(answer()) as server, aiohttp.ClientSession() as session:
        await send(transport, get(server.url))
        await send(AiohttpTransport(session), get(server.url))
        told: list[str] = []
        transport.__del__(lambda message, *_, **__: told.append(message))
        await transport.aclose()
        transport.__del__(lambda message, *_, **__: told.append(message))

    assert ["a client was not closed; use it with async with, or close it"] == told


async def test_no_cookies_of_a_host_with_a_name() -> None:
    """Nor is it where a cookie jar would: for hosts that are no addresses."""
    async with (
        RawServer(answer(200, b"", "Set-Cookie: a=b; Path=/")) as server,
        AiohttpTransport() as transport,
    ):
        request = Request("GET", f"http://localhost:{server.port}/")
        for _ in range(2):
            async with transport.open(request, timeout=5, idle=5) as download:
                assert 200 == download.head.status

    assert 2 == len(server.received)
    assert not [one for one in server.received if b"cookie" in one.lower()]


async def test_body_is_closed_when_the_answer_is_early() -> None:
    """Who produces a body hears that nobody wants the rest, before send() is over."""
    closed: list[int] = []

    async def produce() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1024
                await asyncio.sleep(SHORT)
        finally:
            closed.append(1)

    async def refuse(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await connection.closed()

    async with RawServer(refuse) as server, AiohttpTransport() as transport:
        request = Request("POST", f"{server.url}/", body=StreamBody(produce()))
        response = await transport.send(request, timeout=5, max_bytes=100)

        assert (413, [1]) == (response.status, closed)
