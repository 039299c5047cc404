"""
Oracle's own lines of curl, and its dbt adapter's requests, at the embedded server.

Of the lines only the address is changed. The adapter's requests are written down as it
makes them: it appends ``/result`` to the Location of the submit, reads nothing else of
the headers, and takes any 200 of the status for pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import http.client
import json
import shlex
import shutil
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from asynctasks.server.app import LocalServer
from tests.timing import MS


SIGN_IN = """curl -X POST --header 'Content-Type: application/json' \
--header 'Accept: application/json' -d '{"grant_type":"password",
"username":"'OMLUSER'", "password":"'pw'"}' "<url>/omlusers/api/oauth2/v1/token" """

SUBMIT = """curl -i -X POST --header "Authorization: Bearer <token>" \
--header 'Content-Type: application/json' --header 'Accept: application/json' \
-d '{"asyncFlag":true, "input":"select * from IRIS", \
"parameter":"{\\"oml_input_type\\":\\"pandas.DataFrame\\"}", "groupBy":"Species", \
"orderBy":"Sepal_Length", "parallelFlag":true}' \
"<url>/oml/api/py-scripts/v1/group-apply/group_count" """

STATUS = """curl -i -X GET --header "Authorization: Bearer <token>" \
--header 'Accept: application/json' "<url>/oml/api/py-scripts/v1/jobs/<job id>" """

RESULT = STATUS.replace("<job id>", "<job id>/result").replace("-i ", "")

REVOKE = """curl -X POST "<url>/omlusers/api/oauth2/v1/token/revoke" \
--header "Authorization: Bearer <token>" --header 'Content-Type: application/json' """


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with LocalServer() as server:
        yield server


async def run(line: str, **known: str) -> str:
    """Run a line of curl; return what it prints."""
    for name, value in known.items():
        line = line.replace(f"<{name.replace('_', ' ')}>", value)
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line), "--silent", stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return printed.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_documented_lines(server: LocalServer) -> None:
    """Sign in, submit, poll, fetch and revoke, as the guide has it."""
    signed_in = await run(SIGN_IN, url=server.url)
    known = {"url": server.url, "token": json.loads(signed_in)["accessToken"]}
    created = await run(SUBMIT, **known)
    location = created.partition("Location: ")[2].splitlines()[0]
    known["job_id"] = location.rpartition("/")[2]
    status = ""
    while "302 Found" not in status:
        status = await run(STATUS, **known)
    result = json.loads(await run(RESULT, **known))["result"]

    assert created.startswith("HTTP/1.1 201 Created")
    assert "Set-Cookie: JSESSIONID=" in created
    assert f"Content-Location: {location}/result" in status
    assert "\nLocation:" not in status
    assert {"0": 5} == result["versicolor_8"]["COUNT"]
    assert '{"status":"ok"}' == await run(REVOKE, **known)
    assert "401" in await run(STATUS, **known)


class Adapter:
    """Makes the requests of dbt-oracle 1.11.1."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {"Content-Type": "application/json"}

    def send(self, method: str, url: str, body: Any = None) -> Any:
        """Make one request; return status, Location and JSON."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, parts.path, sent, self.headers)
            response = connection.getresponse()
            text = response.read() or b"null"
            return response.status, response.getheader("Location"), json.loads(text)
        finally:
            connection.close()

    def sign_in(self, body: dict[str, str]) -> None:
        """Get a token, or refresh it."""
        url = f"{self.url}/omlusers/api/oauth2/v1/token"
        status, _, document = self.send("POST", url, body)
        assert status == 200
        self.headers["Authorization"] = f"Bearer {document['accessToken']}"

    def run(self, script: str, parameters: str) -> Any:
        """Submit, poll and fetch."""
        url = f"{self.url}/oml/api/py-scripts/v1/do-eval/{script}"
        body = {"service": "HIGH", "parameters": parameters}
        body |= {"asyncFlag": True, "timeout": 1800}
        _, location, _ = self.send("POST", url, body)
        while True:
            status, _, document = self.send("GET", location)
            if status == 302:
                return self.send("GET", f"{location}/result")[2]
            assert status == 202, document
            threading.Event().wait(5 * MS)


async def test_adapter(server: LocalServer) -> None:
    """The adapter signs in, refreshes in its own way, and finds success and failure."""
    adapter = Adapter(server.url)

    def use() -> list[Any]:
        adapter.sign_in(
            {"grant_type": "password", "username": "OMLUSER", "password": "pw"}
        )
        token = adapter.headers["Authorization"].partition(" ")[2]
        adapter.sign_in({"grant_type": "refresh_token", "token": token})
        return [adapter.run(name, '{"message":"x"}') for name in ("echo", "fail")]

    done, failed = await asyncio.to_thread(use)

    assert {"result": {"message": "x"}} == done
    assert "x" == failed["errorMessage"]
