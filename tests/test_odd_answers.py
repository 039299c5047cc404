"""
Whatever a service answers, what is raised is an error of ours.

Every public method of every client is called against documents made by dice, of the
fields and words that services use, in places where they do not.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
import random
from typing import Any

import pytest

from asynctasks import (
    AsyncTasksError,
    PollPolicy,
    RemoteProtocolError,
    RetryPolicy,
)
from asynctasks.sansio import codec
from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.testing import MemoryTransport
from tests.every_method import ACCESS_TOKEN, CLIENTS, TASK, Maker, calls_of


ROUNDS = 6

FIELDS = [
    "id",
    "state",
    "status",
    "word",
    "result",
    "content",
    "_links",
    "_embedded",
    "jobs",
    "services",
    "page",
    "number",
    "size",
    "totalElements",
    "totalPages",
    "name",
    "job",
    "job_id",
    "envs",
    "items",
    "environments",
    "message",
    "errorCode",
    "code",
    "params",
    "href",
    "self",
    "next",
    "generation",
    "createdAt",
    "queueTime",
    "runTime",
    "progress",
    "type",
    "outputs",
    "outputFiles",
    "platformFiles",
    "cost",
    "timestamp",
    "class",
    "properties",
]

WORDS = ["completed", "running", "queued", "failed", "COMPLETED", TASK, "7", "", "\0"]

ODD_BODIES = [b"", b"<html>", b"{", b"\xff", b"null", b"[1, 2]", b'["a"]']

OPTIONS: dict[str, Any] = {
    "poll": PollPolicy(wait_initial=0.05, wait_max=0.05),
    "retry": RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0),
    "patience": 0.1,
}


class Dice(random.Random):
    """Makes answers."""

    def value(self, depth: int = 0) -> Any:
        kind = self.random()
        if depth > 4 or kind < 0.45:
            return self.choice([None, True, 0, 1, -1, 7, 10**30, 1.5, -0.0, *WORDS])
        if kind < 0.7:
            return [self.value(depth + 1) for _ in range(self.choice([0, 1, 1, 2, 3]))]
        fields = self.choices(FIELDS, k=self.choice([0, 1, 2, 4, 8]))
        return {field: self.value(depth + 1) for field in fields}

    def answer(self, request: Request) -> Response:
        if request.path.endswith(("/token", "/authenticate")):
            tokens = {"accessToken": ACCESS_TOKEN, "access_token": ACCESS_TOKEN}
            return Response(200, body=codec.dumps(tokens))
        odd = [201, 202, 204, 302, 400, 401, 404, 409, 429, 500, 503]
        headers = {"Content-Type": self.choice(["application/json", "text/plain"])}
        headers |= self.choice([{}, {}, {"Location": self.choice(["/x/7", "", "//"])}])
        headers |= self.choice([{}, {}, {"X-Total-Count": self.choice(["1", "x"])}])
        plain = self.random() < 0.9
        body = codec.dumps(self.value()) if plain else self.choice(ODD_BODIES)
        return Response(self.choice([200] * 12 + odd), Headers(headers), body)


@pytest.mark.virtual_time
@pytest.mark.parametrize("maker", CLIENTS, ids=lambda maker: maker.name)
async def test_only_errors_of_ours(maker: Maker, tmp_path: Path) -> None:
    """Neither a TypeError nor a KeyError nor anything else of the sort."""
    strange: list[str] = []
    for seed in range(ROUNDS):
        async with MemoryTransport(Dice(seed).answer) as transport:
            options = OPTIONS if maker.name != "vantiq" else {}
            client = maker.make("https://x.example", transport=transport, **options)
            for name, make in calls_of(client, maker, tmp_path):
                try:
                    async with asyncio.timeout(1):
                        await make()
                except (AsyncTasksError, TimeoutError):
                    pass
                except Exception as exc:  # noqa: BLE001 - that is what is looked for
                    strange.append(f"{name} of seed {seed}: {exc!r}")

    assert [] == strange


ROWS = [["a"], [7], [None], [["id"]], [{"id": "x"}, True]]


@pytest.mark.parametrize("rows", ROWS, ids=repr)
@pytest.mark.parametrize(
    ("name", "resource", "wrap"),
    [
        ("vantiq-tasks", "tasks", "%s"),
        ("oml-v2", "scripts", '{"result": %s}'),
        ("oml-v2", "versions", '{"items": %s}'),
        ("oml-v2", "tasks", '{"result": %s}'),
        ("aimms-v2-cloud", "tasks", "%s"),
        ("desp-basic", "jobs", '{"_embedded": {"jobs": %s}}'),
    ],
)
async def test_rows_that_are_no_objects(
    name: str, resource: str, wrap: str, rows: list[Any]
) -> None:
    """A list of something else is an error that says so."""

    def answer(request: Request) -> Response:
        if request.path.endswith(("/token", "/authenticate")):
            return Response(200, body=codec.dumps({"accessToken": ACCESS_TOKEN}))
        kind = Headers({"Content-Type": "application/json"})
        return Response(200, kind, (wrap % codec.dumps(rows).decode()).encode())

    maker = next(maker for maker in CLIENTS if maker.name == name)
    async with MemoryTransport(answer) as transport:
        client = maker.make("https://x.example", transport=transport)
        with pytest.raises(RemoteProtocolError):
            await client.select(resource)
        await client.close()
