"""Add a service: 202 and a Location on submit, a status document, a result."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from asynctasks import Capabilities, Dialect, TaskClient, TaskRef, TaskState, TaskStatus
from asynctasks.sansio.answers import expect, field
from asynctasks.sansio.auth import NoAuth
from asynctasks.sansio.dialect import Launched, Prepared, Reconcile
from asynctasks.sansio.http import Flow, Headers, Request, Response
from asynctasks.sansio.urls import segment
from asynctasks.testing import MemoryTransport


@attrs.frozen
class PlainDialect(Dialect):
    """How the service words things."""

    protocol: ClassVar[str] = "plain"
    variant: ClassVar[str] = "v1"
    title: ClassVar[str] = "Plain jobs"
    capabilities: ClassVar[Capabilities] = Capabilities(reconcile=Reconcile.NONE)
    states: ClassVar[Mapping[str, TaskState]] = {
        "accepted": TaskState.QUEUED,
        "running": TaskState.RUNNING,
        "successful": TaskState.SUCCEEDED,
        "failed": TaskState.FAILED,
        "dismissed": TaskState.CANCELLED,
    }

    def launch(self, prepared: Prepared) -> Flow[Launched]:
        url = f"/services/{segment(prepared.service, 'service')}/jobs"
        kind = Headers({"Content-Type": prepared.payload.content_type or "text/plain"})
        body = prepared.payload.body
        response = yield Request("POST", url, kind, body, replayable=False)
        # The id is taken and the URL rebuilt: a Location may point anywhere.
        location = expect(response, 202).headers.get("Location", "")
        task_id = location.rstrip("/").rpartition("/")[2]
        return Launched(ref=TaskRef(id=task_id, service=prepared.service))

    def poll(self, ref: TaskRef) -> Flow[TaskStatus]:
        response = yield Request("GET", self.job(ref), expect_json=True)
        document = expect(response, 200).json()
        word = field(document, "status", str, response, required=True)
        message = field(document, "message", str, response) or ""
        return TaskStatus(state=self.state_of(word), word=word, message=message)

    def result(self, ref: TaskRef, status: TaskStatus) -> Flow[Response]:
        return expect((yield self.build_download(ref)), 200)

    def build_download(self, ref: TaskRef) -> Request:
        return Request("GET", f"{self.job(ref)}/result")

    def cancel(self, ref: TaskRef) -> Flow[TaskStatus]:
        expect((yield Request("DELETE", self.job(ref), replayable=True)), 200, 204)
        status = yield from self.poll(ref)
        return attrs.evolve(status, cancel_requested=not status.done)

    def job(self, ref: TaskRef) -> str:
        return f"/jobs/{segment(ref.id)}"


async def serve(request: Request) -> Response:
    """Answer as the service would; a real one is reached without ``transport=``."""
    documents: dict[str, Any] = {
        "/services/greet/jobs": Response(202, Headers({"Location": "/jobs/7"})),
        "/jobs/7": Response(200, body=b'{"status": "successful"}'),
        "/jobs/7/result": Response(200, body=b'{"greeting": "hello"}'),
    }
    return documents[request.path]


async def main() -> None:
    async with (
        MemoryTransport(serve) as transport,
        TaskClient(
            PlainDialect(),
            "https://jobs.example",
            NoAuth(),
            {"transport": transport},
        ) as client,
    ):
        print(await client.run("greet", {"name": "Ann"}))


if __name__ == "__main__":
    asyncio.run(main())
