"""A web backend: one handler starts a task, another awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import ClientSession, web

from asynctasks import AimmsClient, LocalServer, PatienceExceeded


TASKS = web.AppKey("TASKS", AimmsClient)


async def start(request: web.Request) -> web.Response:
    task = await request.app[TASKS].submit("echo", await request.json())
    return web.json_response({"task": task.token}, status=202)


async def wait(request: web.Request) -> web.Response:
    task = request.app[TASKS].handle(request.query["task"])  # no I/O, no state here
    try:
        return web.json_response(await task.result(timeout=10))
    except PatienceExceeded:
        return web.json_response({"task": task.token}, status=202)


def build_app(url: str) -> web.Application:
    async def tasks(app: web.Application) -> AsyncIterator[None]:
        async with AimmsClient.local(url) as app[TASKS]:  # one client per backend
            yield

    app = web.Application()
    app.cleanup_ctx.append(tasks)
    app.add_routes([web.post("/tasks", start), web.get("/tasks", wait)])
    return app


async def main() -> None:
    async with LocalServer() as server:
        runner = web.AppRunner(build_app(server.url))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/tasks"
        async with ClientSession() as browser:
            async with browser.post(url, json={"x": 1}) as answer:
                started = await answer.json()
            async with browser.get(url, params=started) as answer:
                print(answer.status, await answer.json())
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
