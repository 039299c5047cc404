"""Ten thousand tasks through one client leave nothing behind."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
import json
from pathlib import Path
import sys
from typing import Any, ClassVar

import pytest

from tests.crash.bench import tell


pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

HALF = 5_000

ID = 80
"""Bytes of the id of a task and its place: those of the last thousands are kept, so
that a submit whose answer was lost can be told from the others."""

SLOW = 5
"""Looks after which a slow task is over."""

MEGABYTE = 1024 * 1024

PROGRAM = Path(__file__).with_name("leak_process.py")


class Service(asyncio.Protocol):
    """Answers as a local server of AIMMS does, quicker than one would."""

    submitted = 0
    looks: ClassVar[Counter[str]] = Counter()
    latest: ClassVar[deque[str]] = deque(maxlen=100)

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._whole():
            head, _, rest = self._received.partition(b"\r\n\r\n")
            self._received = rest[self._length(head) :]
            self._answer(head.split(b" ", 2))

    def _whole(self) -> bool:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        return bool(end) and len(rest) >= self._length(head)

    def _length(self, head: bytes) -> int:
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return int(line.partition(b":")[2])
        return 0

    def _answer(self, asked: list[bytes]) -> None:
        method, path = asked[0].decode(), asked[1].decode()
        last = path.rpartition("/")[2]
        document: Any = {"answer": 42}
        if method == "POST":
            Service.submitted += 1
            document = {"id": f"{last}-{Service.submitted}", "state": "queued"}
            Service.latest.append(document["id"])
        elif last.startswith("tasks"):
            document = [state_of(each) for each in Service.latest]
        elif last != "response":
            document = state_of(last)
        body = json.dumps(document).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        assert self._transport is not None
        self._transport.write(head.encode() + body)


def state_of(task: str) -> dict[str, str]:
    """Tell how it is with a task; its service is in its id."""
    service = task.partition("-")[0]
    Service.looks[task] += 1
    if service == "slow" and Service.looks[task] < SLOW:
        return {"id": task, "state": "running"}
    return {"id": task, "state": "failed" if service == "fail" else "completed"}


async def run_halves(url: str) -> list[dict[str, Any]]:
    """Run the process; return what it said after its start, each half, and the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        url,
        str(HALF),
        stdout=asyncio.subprocess.PIPE,
        cwd=PROGRAM.parent.parent.parent,
    )
    out, _ = await process.communicate()

    assert 0 == process.returncode
    return [json.loads(line) for line in out.splitlines()]


async def test_ten_thousand_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    """The second half of them needs no more than the first did."""
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        start, first, second, end = await run_halves(f"http://127.0.0.1:{port}")
    tell(capsys, f"start {start}\nhalf  {first}\nall   {second}\nend   {end}")

    assert Service.submitted >= 1.8 * HALF
    assert second["resident"] - first["resident"] < 4 * MEGABYTE
    assert second["allocated"] - first["allocated"] < HALF * ID + 64 * 1024
    assert second["objects"] - first["objects"] < 200
    # Connections are kept, as many as were ever used at once; nothing else grows.
    assert second["files"] - second["sockets"] <= first["files"] - first["sockets"]
    assert second["sockets"] <= 64
    assert second["tasks"] <= first["tasks"] <= 6
    assert 1 == end["tasks"]
    assert end["sockets"] < start["sockets"]
