"""
The vendor's sample scripts against the server, with only the address changed.

The scripts block; each is written down as the requests that it makes, in its own way,
and runs in a thread. Their pauses are shortened, their endless loops are not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from asynctasks.server.app import LocalServer
from asynctasks.server.payload import Result
from asynctasks.server.services import load_instance
from tests.timing import MS


KEY = {"apiKey": "1" * 44}


class Answer:
    """What a blocking HTTP library returns."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status_code = response.status
        self.content = response.read()
        self.text = self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.text)


def send(
    method: str, url: str, body: bytes | None = None, headers: Any = None
) -> Answer:
    """Make one request on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, url[url.index(parts.path) :], body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def pause() -> None:
    """Wait between two polls."""
    threading.Event().wait(5 * MS)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Give the address of a server that asks the cloud's callers for the key."""
    async with LocalServer(api_key=KEY["apiKey"]) as server:
        server.service("fileInFileOut", lambda inputs: Result(inputs, "x/xlsx"))
        yield server.url


def machine_scheduling(server: str) -> Any:
    """Article 567, the Python client (v1): submit, poll until finished, fetch."""
    api = f"{server}/pro-api/v1/tasks"
    service = "MachineSchedulingMIPTimeIndexedSolver/007"
    headers = {**KEY, "Content-Type": "application/json"}
    body = json.dumps(load_instance()).encode()
    submitted = send(
        "POST", f"{api}/{service}/equalParallelMachineTimeIndexedMIP", body, headers
    )
    task_id = submitted.json()["id"]
    status = ""
    while status != "finished":
        pause()
        status = send("GET", f"{api}/{task_id}", None, KEY).json()["status"]
    return json.loads(send("GET", f"{api}/{task_id}/response", None, KEY).text)


async def test_machine_scheduling(url: str) -> None:
    """The client of the machine scheduling service gets a schedule."""
    found = await asyncio.to_thread(machine_scheduling, url)

    assert {"problemStatus", "solution", "KPIs"} <= set(found)


def count_stars(server: str, base: str, headers: Any, ends: set[str], word: str) -> Any:
    """Article 585, the Python client: a body without a content type."""
    text = json.dumps({"lines": ["* *** **"]}).encode()
    submitted = send("POST", f"{server}{base}/countStarsJson", text, headers)
    tasks = f"{server}{base.partition('/tasks')[0]}/tasks/{submitted.json()['id']}"
    status = ""
    while status not in ends:
        pause()
        status = send("GET", tasks, None, headers).json()[word]
    response = send("GET", f"{tasks}/response", None, headers)
    return response.status_code, response.json()


ENDS_V1 = {"finished", "finished with errors"}
ENDS_V2 = {"completed", "failed"}


@pytest.mark.parametrize(
    ("base", "headers", "ends", "word"),
    [
        ("/api/v1/tasks", {}, ENDS_V1, "status"),
        ("/api/v2/tasks", {}, ENDS_V2, "state"),
        ("/pro-api/v2/tasks/CountTheStars/1.0", KEY, ENDS_V2, "state"),
    ],
)
async def test_count_stars(
    url: str, base: str, headers: Any, ends: set[str], word: str
) -> None:
    """The client of the star counting service gets its count, locally and not."""
    status, found = await asyncio.to_thread(count_stars, url, base, headers, ends, word)

    assert (200, 6) == (status, found["count"])


def vessels(server: str) -> bytes:
    """The vessel scheduling client (v2): a spreadsheet in a form, bytes back."""
    boundary = "----boundary"
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="file"; filename="input.xlsx"\r\n\r\n'
    )
    body = head.encode() + b"PK\x03\x04\r\n\xff" + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    api = f"{server}/api/v2/tasks"
    task_id = send("POST", f"{api}/fileInFileOut", body, kind).json()["id"]
    while send("GET", f"{api}/{task_id}").json()["state"] not in ENDS_V2:
        pause()
    return send("GET", f"{api}/{task_id}/response").content


async def test_vessels(url: str) -> None:
    """The file of a form comes back unharmed."""
    found = await asyncio.to_thread(vessels, url)

    assert b"PK\x03\x04\r\n\xff" == found


def one_after_the_other(server: str) -> list[int]:
    """Article 664 (v2): no body, doubled and trailing slashes, delete at the end."""
    api = f"{server}/pro-api/v2//tasks"
    submitted = send("POST", f"{api}/App/1.0/echo/", None, KEY)
    task = f"{api}/{submitted.json()['id']}/"
    while send("GET", task, None, KEY).json()["state"] != "completed":
        pause()
    deleted = send("DELETE", task, None, KEY)
    return [submitted.status_code, deleted.status_code, send("GET", task).status_code]


async def test_one_after_the_other(url: str) -> None:
    """The script that runs tasks one after the other cleans up after itself."""
    found = await asyncio.to_thread(one_after_the_other, url)

    assert [200, 200, 401] == found


async def test_failed_task_ends_the_script(url: str) -> None:
    """A script that fetches the response of a failed task reads an error in JSON."""

    def script() -> Any:
        task_id = send("POST", f"{url}/api/v2/tasks/fail").json()["id"]
        while send("GET", f"{url}/api/v2/tasks/{task_id}").json()["state"] != "failed":
            pause()
        return send("GET", f"{url}/api/v2/tasks/{task_id}/response").json()

    found = await asyncio.to_thread(script)

    assert {"errorId", "errorCode", "message"} == set(found)
