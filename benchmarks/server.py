"""
A fast server of the AIMMS task API, so that the client is what is measured.

One ``asyncio.Protocol``, no framework: it knows just enough HTTP for the contestants.
A task is over when its time has passed and it was looked at often enough. ``run()``
serves it from a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import json
import multiprocessing
from multiprocessing.connection import Connection
import os
import time
from typing import Any
from urllib.parse import parse_qs


ROOTS = (b"/api/v2/tasks", b"/pro-api/v2/tasks")
"""A server without a list that is used, and one with: each has tasks of its own."""

LIST_LIMIT = 100


class World:
    """The tasks: when each is over, and how often it must be looked at before."""

    def __init__(self) -> None:
        self.tasks: dict[bytes, list[float]] = {}

    def submit(self, body: bytes) -> bytes:
        inputs = json.loads(body) if body else {}
        # As a UUID looks: many digits in a row would be read as a large number.
        task_id = b"%08x-5eed-4bad-8ace-%012x" % (len(self.tasks), len(self.tasks))
        seconds = inputs.get("seconds", 0.0)
        # The answer to the submit is no look.
        looks = inputs.get("looks", 0) + 1
        self.tasks[task_id] = [time.monotonic() + seconds, looks, seconds]
        return self.document(task_id)

    def document(self, task_id: bytes) -> bytes:
        task = self.tasks[task_id]
        task[1] -= 1
        end, looks, seconds = task
        over = looks <= 0 and time.monotonic() >= end
        return (
            b'{"id":"%b","appName":"Bench","appVersion":"1","serviceName":"bench",'
            b'"state":"%b","createdAt":"2026-01-01 00:00:00.000000","queueTime":0.0,'
            b'"runTime":%f,"returnCode":%b,"errorMessage":null}'
        ) % (
            task_id,
            b"completed" if over else b"running",
            seconds,
            b"1" if over else b"null",
        )

    def page(self, query: bytes) -> bytes:
        asked = parse_qs(query.decode())
        offset = int(asked.get("offset", ["0"])[0])
        limit = min(int(asked.get("limit", ["100"])[0]), LIST_LIMIT)
        ids = list(self.tasks)[offset : offset + limit]
        rows = b",".join(self.document(task_id) for task_id in ids)
        return b'{"total_tasks":%d,"current_batch":[%b]}' % (len(self.tasks), rows)


class Worlds:
    """What there is below each of the roots."""

    def __init__(self) -> None:
        self.worlds = {root: World() for root in ROOTS}
        self.requests = 0

    def answer(self, method: bytes, target: bytes, body: bytes) -> bytes | None:
        """Return the body of the answer; None for 404."""
        self.requests += 1
        path, _, query = target.partition(b"?")
        if path == b"/stats":
            figures: dict[str, Any] = {"requests": self.requests}
            figures["cpu"] = sum(os.times()[:2])
            return json.dumps(figures).encode()
        root = next((root for root in ROOTS if path.startswith(root)), None)
        if root is None:
            return json.dumps({"_id": "1", "name": "row"}).encode()
        world = self.worlds[root]
        parts = path[len(root) :].strip(b"/").split(b"/")
        if method == b"POST":
            return world.submit(body)
        if parts == [b""]:
            return world.page(query)
        if parts[0] not in world.tasks:
            return None
        return (
            b'{"done":true}' if parts[-1] == b"response" else world.document(parts[0])
        )


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = content_length(head)
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            method, target, _ = head.split(b" ", 2)
            answer = self.worlds.answer(method, target, body)
            status = b"200 OK" if answer is not None else b"404 Not Found"
            self.transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b"
                % (status, len(answer or b""), answer or b"")
            )


def content_length(head: bytes) -> int:
    """Find the length of the body that follows."""
    at = head.lower().find(b"content-length:")
    if at < 0:
        return 0
    return int(head[at + 15 :].split(b"\r\n", 1)[0])


async def serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    worlds = Worlds()
    server = await loop.create_server(lambda: Protocol(worlds), "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main(pipe: Connection) -> None:
    asyncio.run(serve(pipe))


@contextmanager
def run() -> Iterator[str]:
    """Serve from another process; give the URL."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=main, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()
