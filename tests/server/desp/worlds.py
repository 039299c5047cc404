"""A simulated world with Insula's half on it, that a test turns by hand."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
import json
from typing import Any

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.desp.catalogue import Input, describe
from asynctasks.server.desp.service import DespService
from asynctasks.server.desp.store import Job
from asynctasks.server.simulator import Simulator
from asynctasks.server.tasks import Outcome, Start, State


__all__ = ["NOW", "DespWorld"]

NOW = 1707571157.964
"""2024-02-10 13:19:17.964 UTC."""

ROOT = "/secure/api/v2.0"


def count_ids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"00000000-0000-0000-0000-{number:012}"


@describe(id=20, inputs=[Input("s2_input"), Input("s3_input")])
def join(inputs: Mapping[str, str]) -> str:
    """Stand for the guide's service; the world runs nothing."""
    return f"{inputs['s2_input']} {inputs['s3_input']}"


@describe(id=21, kind="PARALLEL_PROCESSOR")
def each(inputs: Any) -> Any:
    """Stand for a service that splits its inputs."""


@describe(id=22, outputs=("one", "two"), cost=3.0)
def pair(inputs: Any) -> Any:
    """Stand for a service of two outputs."""


class DespWorld:
    """A simulator with Insula's half on it, and a clock that is moved by hand."""

    def __init__(self, *, parallel: int = 2, **options: Any) -> None:
        self._new_id = count_ids().__next__
        self.simulator = Simulator(parallel=parallel, new_id=self._new_id)
        self.desp = DespService(self.simulator, new_id=self._new_id, **options)
        self.store = self.desp.store
        self.simulator.service("TestProcessor", join)
        self.simulator.service("Each", each)
        self.simulator.service("Pair", pair)
        self.simulator.service("Free", lambda inputs: inputs)
        self.now = NOW

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        *,
        user: str = "user",
    ) -> Response:
        """Ask Insula; a body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        pair = base64.b64encode(f"{user}:token".encode()).decode()
        signed = {"Authorization": f"Basic {pair}", "Accept": "*/*"}
        given = Headers(signed if headers is None else headers)
        target = url if url.startswith("/realms") else f"{ROOT}{url}"
        response = self.desp.handle(Request(method, target, given, sent), self.now)
        assert response is not None
        return response

    def get(self, url: str, **options: Any) -> Any:
        """Return the document of a URL."""
        answer = self.ask("GET", url, **options)
        assert 200 == answer.status, answer
        return answer.json()

    def config(self, inputs: Any = None, service: int = 1, **fields: Any) -> int:
        """Store a configuration of ``Free`` and return its id."""
        user = fields.pop("user", "user")
        document = {"service": f"x/services/{service}", "inputs": inputs or {}}
        answer = self.ask("POST", "/jobConfigs", {**document, **fields}, user=user)
        number: int = answer.json()["id"]
        return number

    def launch(self, inputs: Any = None, service: int = 1, **fields: Any) -> Job:
        """Launch and return the job."""
        user = fields.get("user", "user")
        config = self.config(inputs, service, **fields)
        answer = self.ask("POST", f"/jobConfigs/{config}/launch", user=user)
        return self.store.jobs[answer.json()["id"]]

    def turn(self, seconds: float = 0.0) -> list[Start]:
        """Let time pass and return what starts."""
        self.now += seconds
        said = self.simulator.advance(self.now)
        return [action for action in said if isinstance(action, Start)]

    def end(
        self, job: Job, state: State = State.COMPLETED, **facts: Any
    ) -> dict[str, Any]:
        """Let a job end, and return its document."""
        self.turn()
        assert job.task is not None
        self.simulator.finished(job.task, Outcome(state=state, **facts), self.now)
        self.turn()
        found: dict[str, Any] = self.get(f"/jobs/{job.id}")
        return found
