"""P7: events over a WebSocket to a registered async callback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import importlib.util
import json
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import WSMsgType, web

from .measure import Contestant, Figure, Verdict, compare


EVENT = {
    "status": 100,
    "contentType": "application/json",
    "headers": {"X-Request-Id": "/topics/bench"},
    "body": {"path": "/topics/bench/publish", "value": {"text": "x" * 40, "n": 1}},
}
"""An event of about 200 bytes, as the server sends it: JSON in a binary frame."""

FRAME = json.dumps(EVENT).encode()


async def answer(request: web.Request) -> web.WebSocketResponse:
    """Accept a subscription and send as many events as its name says."""
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            break
        asked = json.loads(message.data)
        accepted: dict[str, Any] = {"status": 200, "headers": {}, "body": None}
        if asked["op"] != "subscribe":
            await socket.send_bytes(json.dumps(accepted).encode())
            continue
        accepted["headers"] = {"X-Request-Id": asked["parameters"]["requestId"]}
        await socket.send_bytes(json.dumps(accepted).encode())
        for _ in range(int(asked["parameters"]["count"])):
            await socket.send_bytes(FRAME)
    return socket


async def serve(pipe: Connection) -> None:
    app = web.Application()
    app.router.add_get("/api/v1/wsock/websocket", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()


def main(pipe: Connection) -> None:
    asyncio.run(serve(pipe))


@contextmanager
def serving() -> Iterator[str]:
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


async def listen(client: Any, count: int) -> int:
    """Subscribe, and wait until all events were given to the callback."""
    seen = 0
    done = asyncio.get_running_loop().create_future()

    async def callback(what: str, message: dict[str, Any]) -> None:
        nonlocal seen
        if what == "message":
            seen += 1
            if seen == count and not done.done():
                done.set_result(None)

    async with client:
        await client.set_access_token("token")
        await client.start_subscriber_transport()
        await client.subscribe(
            "system.topics", "/bench", None, callback, {"count": count}
        )
        await done
    return count


def listeners(url: str, count: int) -> dict[str, Contestant]:
    """Listen with both clients, where the peer is installed."""

    async def ours() -> int:
        from asynctasks.vantiq import Vantiq  # noqa: PLC0415 - as its peer

        return await listen(Vantiq(url), count)

    async def theirs() -> int:
        import vantiqsdk  # type: ignore[import-not-found]  # noqa: PLC0415 - a peer

        return await listen(vantiqsdk.Vantiq(url), count)

    if importlib.util.find_spec("vantiqsdk") is None:
        return {}
    return {"vantiqsdk": theirs, "asynctasks.vantiq": ours}


def run(*, quick: bool) -> tuple[list[Figure], list[Verdict]]:
    """Measure both."""
    with serving() as url:
        rounds = 1 if quick else 5
        found = compare(listeners(url, 500 if quick else 30_000), rounds)
    if not found:
        return [], []
    theirs, ours = found.values()
    fast = importlib.util.find_spec("orjson") is not None
    what = "events a second to a callback, against vantiqsdk"
    with_what = f"{what} ({'orjson' if fast else 'json'})"
    wanted = 2.0 if fast else 1.4
    ratio = theirs.cost / ours.cost
    return list(found.values()), [
        Verdict("P7", with_what, ratio, wanted, at_least=True)
    ]
