"""
Services that misbehave in ways that no documentation foresees, against real clients.

Whatever they do: what comes out is a result or an error of ours, in bounded time and
after a bounded number of requests; nothing is submitted twice; nothing is warned of
that heals; and the client goes on.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from pathlib import Path
import re
import struct
from typing import Any

import pytest

from asynctasks import (
    AimmsClient,
    AsyncTasksError,
    ClientOptions,
    Conflict,
    ConnectionLost,
    DespClient,
    OmlClient,
    PatienceExceeded,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    RemoteProtocolError,
    RequestRejected,
    ResultUnavailable,
    RetryPolicy,
    SubmitOutcomeUnknown,
    TaskState,
    vantiq_subscriber,
    watcher,
)
from asynctasks.sansio import oml
from asynctasks.vantiq import Vantiq, VantiqOptions, VantiqResources
from tests.faults.raw_server import Connection, RawServer
from tests.faults.rogue import NOTHING, Rogue, http_answer, json_answer


QUICK: ClientOptions = {
    "poll": PollPolicy(wait_initial=0.01, wait_max=0.02),
    "retry": RetryPolicy(attempts=3, wait_initial=0.01, wait_max=0.02, wait_jitter=0.0),
    "attempt_timeout": 2.0,
    "patience": 5.0,
}

SUBMIT = "POST /api/v2/tasks/solve"
LOOK = "GET /api/v2/tasks/t1"
FETCH = "GET /api/v2/tasks/t1/response"


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as little as a test can."""
    again = RetryPolicy(wait_initial=0.01, wait_max=0.02, wait_jitter=0.0)
    monkeypatch.setattr(vantiq_subscriber, "RECONNECT", again)
    monkeypatch.setattr(watcher, "CONFIRM_WAIT", 0.01)
    monkeypatch.setattr(oml, "RESULT_WAITS", (0.01,) * 4)


def task(state: str, **more: Any) -> bytes:
    return json_answer({"id": "t1", "state": state, **more})


def honest(**scripts: list[bytes]) -> Rogue:
    """Make a local AIMMS whose one task is done at the first look."""
    answers = {"submit": [task("queued")], "look": [task("completed")]}
    answers |= {"fetch": [json_answer({"answer": 42})]} | scripts
    return Rogue(
        {SUBMIT: answers["submit"], LOOK: answers["look"], FETCH: answers["fetch"]}
    )


async def outcome_of(rogue: Rogue, **options: Any) -> Any:
    """Run a task; then see that the client runs another one. Return what came out."""
    async with rogue, AimmsClient.local(rogue.url, **{**QUICK, **options}) as client:
        try:
            outcome = await client.run("solve", {"machines": 3})
        except AsyncTasksError as exc:
            outcome = exc
        assert 1 == rogue.calls[SUBMIT]

        async with asyncio.timeout(5):
            rogue.write(SUBMIT, task("queued"))
            rogue.write(LOOK, task("completed"))
            rogue.write(FETCH, json_answer({"again": True}))
            assert {"again": True} == await client.run("solve")
    return outcome


# --- looks -------------------------------------------------------------------


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: State\r\n\r\n"
    return head + b'%x;a="b"\r\n%b\r\n0;c\r\nState: failed\r\n\r\n' % (len(body), body)


BODY = json.dumps({"id": "t1", "state": "completed"}).encode()

ODD_BUT_READABLE = {
    "state goes backwards": [
        *(task(word) for word in ("running", "queued", "running", "assigned"))
    ],
    "states of tomorrow": [task("défragmenting"), task(""), task("x" * 100_000)],
    "empty, now and then": [http_answer(b""), task("running"), http_answer(b"")],
    "204, 205 and 206": [
        b"HTTP/1.1 204 X\r\n\r\n",
        task("running"),
        http_answer(b"", status=205),
        task("running"),
        http_answer(BODY, "Content-Range: bytes 0-40/99", status=206),
    ],
    "a flood of 100 and 103": [
        b"HTTP/1.1 100 X\r\n\r\n" * 500
        + b"HTTP/1.1 103 X\r\nLink: </a>\r\n\r\n" * 50
        + task("running")
    ],
    "Retry-After of nonsense": [
        http_answer(b"", f"Retry-After: {value}", status=429)
        for value in ("-5", "5, 5", "NaN", "inf", "0x10", "soon", "\xff")
    ],
    "Retry-After of years, on a success": [
        json_answer({"id": "t1", "state": "running"}, "Retry-After: 1e9")
    ],
    "an encoding that nobody knows": [
        http_answer(BODY.replace(b"completed", b"running"), "Content-Encoding: rot13")
    ],
    "chunks with extensions, and a trailer": [chunked(BODY)],
    "HTTP/1.0, and no length": [b"HTTP/1.0 200 OK\r\n\r\n" + BODY],
    "lines that end without CR": [
        b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%b" % (len(BODY), BODY)
    ],
    "a hang-up after each answer": [
        http_answer(BODY.replace(b"completed", b"queued"), "Connection: close"),
        NOTHING,
        NOTHING,
    ],
    "cookies of nonsense": [
        http_answer(BODY, "Set-Cookie: =", "Set-Cookie: \x80[]=;;Max-Age=z; a=b")
    ],
    "headers that are no text": [
        http_answer(BODY, "X-Request-Id: \xff\xfe", "Link: <")
    ],
    "a status of ten megabytes": [task("running", filler="x" * 10_000_000)],
    "a byte order mark, and a bogus charset": [
        http_answer(b"\xef\xbb\xbf" + BODY, "Content-Type: text/x; charset=klingon")
    ],
    "times of no calendar": [
        task("running", createdAt="9999-12-31T23:59:59-14:00", runTime=-1e308),
        task("running", createdAt=7, runTime=1e308, queueTime=10**300),
    ],
}


@pytest.mark.parametrize("answers", ODD_BUT_READABLE.values(), ids=ODD_BUT_READABLE)
async def test_odd_looks(
    answers: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """What can be read is read, and what cannot is asked for again."""
    rogue = honest(look=[*answers, task("completed")])

    assert {"answer": 42} == await outcome_of(rogue)
    assert rogue.calls[LOOK] <= len(answers) + 2
    warned = {record.getMessage() for record in caplog.records if record.levelno > 20}
    assert all("a state this version does not know" in words for words in warned)


BELIEVED = {
    "another task": (json_answer({"id": "t2", "state": "completed"}), "t1 at $.id"),
    "a list of tasks": (json_answer([{"id": "t1"}]), "a JSON object"),
    "plain text labelled gzip": (
        http_answer(BODY, "Content-Encoding: gzip"),
        "its content encoding",
    ),
    "a length that is too short": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + BODY,
        "an HTTP answer",
    ),
    "no HTTP at all": (BODY, "an HTTP answer"),
}


@pytest.mark.parametrize(("answer", "expected"), BELIEVED.values(), ids=BELIEVED)
async def test_looks_that_make_no_sense(answer: bytes, expected: str) -> None:
    """What makes no sense three times in a row ends the wait, and says why."""
    rogue = honest(look=[answer])
    outcome = await outcome_of(rogue)

    assert isinstance(outcome, RemoteProtocolError)
    assert f"expected {expected}" in str(outcome) or expected in str(outcome)
    assert 4 == rogue.calls[LOOK]


async def test_429_without_end() -> None:
    """A service that refuses every look is not asked more often for it."""
    rogue = honest(look=[http_answer(b"", status=429)])
    poll = PollPolicy(wait_initial=0.05, wait_max=0.1)
    outcome = await outcome_of(rogue, patience=0.5, poll=poll)

    assert isinstance(outcome, PatienceExceeded)
    assert isinstance(outcome.__cause__, RateLimited)
    assert rogue.calls[LOOK] <= 12


async def test_403_after_an_accepted_submit() -> None:
    """A look that is forbidden ends the wait at once; the token finds the task."""
    outcome = await outcome_of(honest(look=[http_answer(b"", status=403)]))

    assert isinstance(outcome, PermissionDenied)


# --- submits -----------------------------------------------------------------

NO_ANSWER_TO_A_SUBMIT = {
    "an error with status 200": json_answer({"error": "no license"}),
    "an empty id": json_answer({"id": ""}),
    "a number for an id": json_answer({"id": 7}),
    "an id that climbs": json_answer({"id": ".."}),
    "an id with a slash": json_answer({"id": "a/b"}),
    "an id of a megabyte": json_answer({"id": "x" * 1_000_000}),
    "an id of half a letter": http_answer(b'{"id": "\\ud800"}'),
    "nothing": http_answer(b""),
    "204": b"HTTP/1.1 204 X\r\n\r\n",
    "a list": json_answer([{"id": "t1"}]),
    "gzip that is none": http_answer(b'{"id": "t1"}', "Content-Encoding: gzip"),
}


@pytest.mark.parametrize(
    "answer", NO_ANSWER_TO_A_SUBMIT.values(), ids=NO_ANSWER_TO_A_SUBMIT
)
async def test_submits_without_a_usable_id(answer: bytes) -> None:
    """A success that tells no id may have begun a task: that is said, not repeated."""
    outcome = await outcome_of(honest(submit=[answer]))

    assert isinstance(outcome, SubmitOutcomeUnknown)


async def test_refusal_before_the_body_was_read() -> None:
    """A refusal that comes while a large body is sent is told as what it is."""

    async def refuse(connection: Connection) -> None:
        await connection.head()
        await connection.send(http_answer(b"", "Connection: close", status=413))

    async with RawServer(refuse) as server, AimmsClient.local(server.url) as client:
        with pytest.raises(RequestRejected, match="413"):
            await client.submit("solve", content=b"x" * 3_000_000)

        assert 1 == server.accepted


async def test_one_id_for_two_submits() -> None:
    """Tasks that the service takes for one are one; both handles get its result."""
    rogue = honest(look=[task("running"), task("completed")])
    async with rogue, AimmsClient.local(rogue.url, **QUICK) as client:
        outcomes = await asyncio.gather(*(client.run("solve", n) for n in range(2)))

    assert [{"answer": 42}] * 2 == outcomes
    assert (2, 2) == (rogue.calls[SUBMIT], rogue.calls[LOOK])


# --- results, lists, cancels -------------------------------------------------

RESULTS = {
    "a part": http_answer(b"part", "Content-Range: bytes 0-3/9", status=206),
    "a circle": http_answer(b"", f"Location: {FETCH[4:]}", status=302),
    "two places": http_answer(b"", "Location: /a", "Location: /b", status=302),
    "a wrong checksum": http_answer(
        gzip.compress(b"x" * 99)[:-8] + b"\0" * 8, "Content-Encoding: gzip"
    ),
    "more than was promised": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("answer", RESULTS.values(), ids=RESULTS)
async def test_results_that_are_none(answer: bytes) -> None:
    """A result that is not whole, or not there, is an error: never a part of one."""
    rogue = honest(fetch=[answer])

    assert isinstance(await outcome_of(rogue), RemoteProtocolError)
    assert rogue.calls[FETCH] <= 3


async def test_result_that_is_half_a_stream(tmp_path: Path) -> None:
    """Half of a compressed result is no result, and no file, however it is labelled."""
    half = gzip.compress(json.dumps({"answer": [*range(99)]}).encode())[:-9]
    rogue = honest(fetch=[http_answer(half, "Content-Encoding: gzip")])
    async with rogue, AimmsClient.local(rogue.url, **QUICK) as client:
        handle = await client.submit("solve")
        with pytest.raises(ConnectionLost, match="ended too early"):
            await handle.result()
        with pytest.raises(ConnectionLost, match="ended too early"):
            await handle.download(tmp_path / "result.json")

    assert [] == list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_list_that_does_not_page() -> None:
    """A service that shows its first page for ever is found out."""
    first = {"current_batch": [{"id": "a"}, {"id": "b"}], "total_tasks": 10**9}
    rogue = Rogue({"GET /pro-api/v2/tasks": [json_answer(first)]})
    async with rogue:
        client = AimmsClient.cloud(rogue.url, app="A", version="1", api_key="k")
        async with client:
            with pytest.raises(RemoteProtocolError, match="nothing new"):
                await client.select("tasks")

    assert 4 == rogue.calls["GET /pro-api/v2/tasks"]


@pytest.mark.parametrize(
    ("after", "expected"), [("completed", TaskState.SUCCEEDED), ("running", Conflict)]
)
async def test_cancel_that_is_refused(
    after: str, expected: TaskState | type[AsyncTasksError]
) -> None:
    """A cancel that came too late says how the task ended; another one fails."""
    rogue = honest(look=[task("running"), task(after)])
    rogue.write(LOOK.replace("GET", "PUT"), http_answer(b"", status=409))
    async with rogue, AimmsClient.local(rogue.url, **QUICK) as client:
        try:
            outcome: Any = (await client.handle("t1").cancel()).state
        except AsyncTasksError as exc:
            outcome = type(exc)

    assert expected is outcome


async def test_cancel_that_never_happens() -> None:
    """A cancel that is accepted and has no effect is waited for in bounded time."""
    rogue = honest(look=[task("running")])
    rogue.write(LOOK.replace("GET", "PUT"), http_answer(b""))
    async with rogue, AimmsClient.local(rogue.url, **QUICK) as client:
        with pytest.raises(PatienceExceeded):
            await client.handle("t1").cancel(timeout=0.1)

    assert 1 == rogue.calls[LOOK.replace("GET", "PUT")]


# --- the other services ------------------------------------------------------

JOBS = "/oml/api/py-scripts/v2/jobs"


async def test_oml_forgets_a_job_that_it_finished() -> None:
    """A job that is gone when its result is fetched has none; it did not fail."""
    gone = json_answer({"errorMessage": "Problem finding the job id."}, status=500)
    over = http_answer(b"", f"Content-Location: {JOBS}/j1/result", status=302)
    rogue = Rogue(
        {
            f"GET {JOBS}/j1": [over, gone],
            f"GET {JOBS}/j1/result": [gone],
            f"GET {JOBS}": [json_answer({"result": []})],
        }
    )
    async with rogue, OmlClient(rogue.url, token="tok", **QUICK) as client:
        with pytest.raises(ResultUnavailable):
            await client.handle("j1").result()

    assert 5 == rogue.calls[f"GET {JOBS}/j1/result"]


async def test_oml_behind_a_login_page() -> None:
    """A redirect to a login page is not the end of a job."""
    login = http_answer(b"", "Location: /login?next=%2Foml", status=302)
    rogue = Rogue({f"GET {JOBS}/j1": [login]})
    async with rogue, OmlClient(rogue.url, token="tok", **QUICK) as client:
        with pytest.raises(RemoteProtocolError, match="a link to j1"):
            await client.handle("j1").result()

    assert 0 == rogue.calls[f"GET {JOBS}/j1/result"]


async def test_desp_launch_with_an_odd_status() -> None:
    """The job of a launch is not lost with a status that cannot be read."""
    root = "/secure/api/v2.0"
    rogue = Rogue(
        {
            f"POST {root}/jobConfigs/": [json_answer({"id": 7}, status=201)],
            f"POST {root}/jobConfigs/7/launch": [json_answer({"id": 5, "status": 1})],
            f"GET {root}/jobs/5": [json_answer({"id": 5, "status": "COMPLETED"})],
            f"GET {root}/jobs/5/outputFiles": [json_answer({})],
        }
    )
    async with rogue:
        client = DespClient(rogue.url, username="me", token="tok", **QUICK)
        async with client:
            assert [] == await client.run("20", {"a": 1})

    assert 1 == rogue.calls[f"POST {root}/jobConfigs/7/launch"]


# --- WebSockets --------------------------------------------------------------

TOPIC = (VantiqResources.TOPICS, "/t", None)


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, length: int = -1
) -> bytes:
    """Build a frame as servers send them, with any length that it claims."""
    size = len(data) if length < 0 else length
    head = bytes([fin << 7 | opcode])
    if size < 126:
        return head + bytes([size]) + data
    return head + bytes([127]) + struct.pack(">Q", size) + data


def said(status: int, **headers: str) -> bytes:
    document = {"status": status, "headers": headers, "body": {}}
    return frame(2, json.dumps(document).encode())


async def welcome(connection: Connection) -> None:
    """Open the WebSocket, accept the token and the subscription."""
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", await connection.head())
    assert key is not None
    magic = key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic).digest())
    await connection.send(
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
    )
    await connection.reader.read(65536)
    await connection.send(said(200))
    await connection.reader.read(65536)
    await connection.send(said(200, **{"X-Request-Id": "/topics/t"}))


BREAKS = {
    "a continuation of nothing": frame(0, b"x"),
    "a message within a message": frame(2, b"x", fin=False) + frame(2, b"y"),
    "reserved bits": bytes([0xF2, 1]) + b"x",
    "an opcode of tomorrow": frame(7, b"x"),
    "a length beyond all bounds": frame(2, b"x", length=2**63 - 1),
    "a ping that is too long": frame(9, b"x" * 200),
    "a close with a code that is none": frame(8, struct.pack(">H", 999)),
    "a close of one byte": frame(8, b"x"),
    "fragments without an end": frame(2, b"x" * 9000, fin=False) * 1
    + frame(0, b"x" * 9000, fin=False) * 9,
}


@pytest.mark.parametrize("nonsense", BREAKS.values(), ids=BREAKS)
async def test_websocket_that_breaks_the_protocol(
    nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that makes no sense is left for another one; the gap is told."""

    async def break_it(connection: Connection) -> None:
        await welcome(connection)
        await connection.send(nonsense)
        await connection.closed()

    async def go_on(connection: Connection) -> None:
        await welcome(connection)
        await connection.closed()

    async def take(what: str, message: dict[str, Any]) -> None:
        told.append(what)
        if what == "gap":
            again.set()

    told: list[str] = []
    again = asyncio.Event()
    options = VantiqOptions(max_response_bytes=50_000)
    async with RawServer(break_it, go_on) as server:
        async with Vantiq(server.url, options=options) as client, asyncio.timeout(5):
            await client.set_access_token("tok")
            assert (await client.subscribe(*TOPIC, take)).is_success
            await again.wait()
        assert 2 == server.accepted

    assert ["connect", "gap"] == told[:2]
    assert [] == [record for record in caplog.records if record.levelno > 20]


@pytest.mark.parametrize("chatter", [frame(2, b"nonsense"), frame(9), frame(10)])
async def test_websocket_that_never_stops_talking(
    chatter: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Chatter floods neither the log nor the client, and does not hold up its end."""

    async def talk(connection: Connection) -> None:
        await welcome(connection)
        while True:
            await connection.send(chatter * 100)
            await asyncio.sleep(0)

    async def take(what: str, message: dict[str, Any]) -> None:
        pass

    monkeypatch.setattr(vantiq_subscriber, "HANG_UP_WITHIN", 0.1)
    async with RawServer(talk) as server:
        client = Vantiq(server.url)
        await client.set_access_token("tok")
        response = await client.subscribe(*TOPIC, take)
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await client.close()

    assert response.is_success
    assert caplog.text.count("could not be read") <= 1
