"""A service whose answers are written down, for tests of what waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Any, Union

from asynctasks.aimms import AimmsClient
from asynctasks.sansio import codec
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.sansio.schedule import PollPolicy
from asynctasks.testing import MemoryTransport


__all__ = ["ROOT", "Line", "Scripted", "answer", "client_of"]

EVERY_SECOND = PollPolicy(
    wait_initial=1.0, wait_max=1.0, wait_exp_base=1.0, wait_jitter=0.0
)

QUICK = RetryPolicy(attempts=3, wait_initial=0.1, wait_jitter=0.0)

ROOT = "/api/v2/tasks/"

Line = Union[str, float, Response, BaseException]  # noqa: UP007 - evaluated at run time
"""A word of the service, seconds to wait, a response, or an error to raise."""


def answer(document: object, status: int = 200) -> Response:
    """Build an answer of JSON."""
    kind = Headers({"Content-Type": "application/json"})
    return Response(status, kind, codec.dumps(document))


class Scripted:
    """
    Answers as the local server of AIMMS v2 does, from scripts.

    A script belongs to a call such as ``"GET t1"``, ``"GET t1/response"``,
    ``"PUT t1"``, ``"DELETE t1"`` or ``"POST solve"``. Its last line is repeated: a
    script that ends with seconds never answers.
    """

    def __init__(self, **scripts: Line | tuple[Line, ...]) -> None:
        self.calls: Counter[str] = Counter()
        """How often each call was made."""

        self._scripts: dict[str, deque[Line]] = {}
        self._submits = 0
        for task, lines in scripts.items():
            script = lines if isinstance(lines, tuple) else (lines,)
            self.write(f"GET {task}", *script)

    def write(self, call: str, *lines: Line) -> None:
        """Write the script of a call; lines of an earlier one are dropped."""
        self._scripts[call] = deque(lines)

    async def __call__(self, request: Request) -> Response:
        call = f"{request.method} {request.path.removeprefix(ROOT)}"
        self.calls[call] += 1
        script = self._scripts.get(call)
        while script:
            line = script.popleft() if len(script) > 1 else script[0]
            if isinstance(line, BaseException):
                raise line
            if isinstance(line, Response):
                return line
            if isinstance(line, str):
                return answer({"id": call.split()[1], "state": line})
            await asyncio.sleep(line)
        return self._default(request.method, call)

    def _default(self, method: str, call: str) -> Response:
        if call.endswith("/response"):
            return answer({"answer": 42})
        if method == "POST":
            self._submits += 1
            return answer({"id": f"t{self._submits}", "state": "queued"})
        if method == "GET":
            return answer({"message": "there is no such task"}, 404)
        return Response(200)


def client_of(service: Scripted, **options: Any) -> AimmsClient:
    """Make a client that looks at its tasks every second."""
    given = {"poll": EVERY_SECOND, "retry": QUICK, **options}
    given.setdefault("transport", MemoryTransport(service))
    return AimmsClient.local(**given)
