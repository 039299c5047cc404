"""A simulated world with the OML half on it, turned by hand."""

from __future__ import annotations

from collections.abc import Mapping
import json
import threading
from typing import Any

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.context import TaskContext
from asynctasks.server.half import Awaited
from asynctasks.server.oml.calls import OmlQuirks
from asynctasks.server.oml.scripts import register
from asynctasks.server.oml.service import OmlService
from asynctasks.server.oml.tokens import Tokens
from asynctasks.server.payload import decode_inputs, encode_output
from asynctasks.server.processes import describe
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Outcome, Start, State
from tests.server.worlds import count_ids


__all__ = ["NOW", "TOKEN", "OmlWorld", "authorized", "context"]

NOW = 1767735607.825
"""2026-01-06 21:40:07 UTC, and a little."""

TOKEN = "eyJhbGciOiJSUzI1NiJ9.token"

ROOT = "/oml/api/py-scripts"


def context() -> TaskContext:
    """Make a context that nobody listens to."""
    never = threading.Event()
    return TaskContext("t", report=print, cancel=never, stop=never, query={})


class OmlWorld:
    """A user who has signed in, and a clock that is moved by hand."""

    def __init__(self, *, host: str = "db.example", **quirks: Any) -> None:
        self.ids: list[str] = []
        counted = count_ids()
        self.simulator = Simulator(
            new_id=lambda: self.ids.pop(0) if self.ids else next(counted)
        )
        register(self.simulator)
        self.simulator.service("echo", lambda inputs: inputs)
        self.given = [TOKEN]
        self.tokens = Tokens(self.new_token)
        self.oml = OmlService(
            self.simulator, self.tokens, quirks=OmlQuirks(**quirks) if quirks else None
        )
        self.host = host
        self.now = NOW
        self.sign_in()

    def new_token(self) -> str:
        """Give TOKEN, then TOKEN2 and so on."""
        token = self.given[-1]
        self.given.append(f"{TOKEN}{len(self.given) + 1}")
        return token

    def sign_in(self, user: str = "OMLUSER") -> str:
        """Get a token."""
        body = {"grant_type": "password", "username": user, "password": "pw"}
        answer = self.ask("POST", "/omlusers/api/oauth2/v1/token", body)
        token: str = answer.json()["accessToken"]
        return token

    def wait(self, seconds: float) -> None:
        """Let time pass, and sign in again."""
        self.now += seconds
        self.given.append(TOKEN)
        self.sign_in()

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        *,
        token: str = TOKEN,
    ) -> Response:
        """Ask; a URL may begin with the version. A synchronous call is waited for."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        where = url if url.startswith("/") else f"{ROOT}/{url}"
        fixed = {"Authorization": f"Bearer {token}"}
        if self.host:
            fixed["Host"] = self.host
        request = Request(method, where, Headers({**fixed, **(headers or {})}), sent)
        response = self.oml.handle(request, self.now)
        assert response is not None
        if isinstance(response, Awaited):
            self.work()
            return response.answer()
        return response

    def submit(self, call: str = "v2/do-eval/echo", **body: Any) -> str:
        """Submit a job; return its id."""
        answer = self.ask("POST", call, {"asyncFlag": True, **body})
        assert 201 == answer.status, answer.body
        return answer.headers["Location"].rpartition("/")[2]

    def work(self) -> None:
        """Run what is due to its end."""
        for action in self.simulator.advance(self.now):
            if isinstance(action, Start):
                self.simulator.finished(action.task, outcome_of(action), self.now)
        if self.simulator.next_wakeup() is not None:
            self.work()


def authorized() -> Headers:
    """Return the headers of a user who is signed in."""
    return Headers({"Authorization": f"Bearer {TOKEN}"})


def outcome_of(start: Start) -> Outcome:
    """Call the function of a task, as the shell does."""
    inputs = decode_inputs(start.payload, start.task.order.content_type)
    try:
        result = encode_output(start.service.function(inputs, context()))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the task failed
        return Outcome(state=State.FAILED, message=describe(exc))
    return Outcome(
        state=State.COMPLETED,
        content=result.content,
        content_type=result.content_type,
    )
