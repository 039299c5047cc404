"""REST below ``/api/v1/resources``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from asynctasks.sansio.http import Request, Response
from asynctasks.server.live import Calculated, Streamed
from asynctasks.server.vantiq.rest import answer
from tests.server.vantiq.worlds import Site


class Rest(Site):
    """A server with a type and two rows."""

    def __init__(self) -> None:
        super().__init__()
        self.define()
        for number, name in enumerate(("a", "b/c")):
            self.desk.insert("TestType", {"id": name, "k": number})

    def do(self, method: str, path: str, body: Any = b"") -> Response:
        return self.ask(method, f"/api/v1/resources/{path}", body)


@pytest.fixture
def rest() -> Rest:
    """Give such a server."""
    return Rest()


def test_select(rest: Rest) -> None:
    """All parameters of a query are understood, as the SDK writes them."""
    path = (
        "types?props=%5B%22name%22,+%22resourceName%22%5D&where=%7B%22$or%22:+%5B%7B"
        "%22name%22:+%22ArsType%22%7D,+%7B%22name%22:+%22ArsTensorFlowModel%22%7D%5D"
        "%7D&sort=%7B%22name%22:+-1%7D&limit=1&count=true&required=true"
    )
    response = rest.do("GET", path)

    assert ([{"name": "ArsType", "resourceName": "types"}], "2", 200) == (
        response.json(),
        response.headers["X-Total-Count"],
        response.status,
    )


def test_pages(rest: Rest) -> None:
    """Pages count from 1; without count=true there is no count."""
    response = rest.do("GET", "custom/TestType?limit=1&page=2")

    assert (["b/c"], None) == (
        [row["id"] for row in response.json()],
        response.headers.get("X-Total-Count"),
    )


def test_select_by_post(rest: Rest) -> None:
    """The where clause may be the body."""
    response = rest.do("POST", "custom/TestType/select?count=true", {"k": 1})

    assert ("b/c", "1") == (
        response.json()[0]["id"],
        response.headers["X-Total-Count"],
    )
    for resource in ("procedures", "sources", "topics"):
        assert [] == rest.do("POST", f"{resource}/select", {"name": "x"}).json()


@pytest.mark.parametrize("path", ["b/c", "b%2Fc"])
def test_select_one(rest: Rest, path: str) -> None:
    """An id may have slashes, encoded or not."""
    assert 1 == rest.do("GET", f"custom/TestType/{path}").json()["k"]


def test_missing(rest: Rest) -> None:
    """What there is not is a documented error."""
    missing = rest.do("GET", "k8sclusters/foo")
    unknown = rest.do("GET", "junkola")

    assert [
        {
            "code": "io.vantiq.resource.not.found",
            "message": "The requested instance ('{name=foo}') of the k8sclusters "
            "resource could not be found.",
            "params": ["k8sclusters", "{name=foo}"],
        }
    ] == missing.json()
    assert (404, (404, "io.vantiq.type.system.resource.unknown")) == (
        missing.status,
        rest.code(unknown),
    )


def test_insert(rest: Rest) -> None:
    """One, many and files are inserted at the same place."""
    one = rest.do("POST", "custom/TestType", {"id": "x"})
    many = rest.do("POST", "custom/TestType", [{"id": "y"}, {"id": "x"}])
    upserted = rest.do("POST", "custom/TestType?upsert=true", {"id": "x", "k": 5})

    assert ("x", ["y", 409], 5) == (
        one.json()["id"],
        [many.json()[0]["id"], many.json()[1]["status"]],
        upserted.json()["k"],
    )


def test_upload(rest: Rest) -> None:
    """A form with a file becomes a document."""
    body = (
        b'--B\r\nContent-Disposition: form-data; name="x"; filename="d/e.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nsome content\r\n--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    documents = rest.ask("POST", "/api/v1/resources/documents", body, headers)
    others = rest.ask("POST", "/api/v1/resources/types", body, headers)

    assert ({"name", "fileType", "contentSize", "content"}, 400) == (
        documents.json().keys(),
        others.status,
    )


def test_change(rest: Rest) -> None:
    """Rows are updated and patched."""
    patch = [{"op": "replace", "path": "/k", "value": 8}]

    assert [7, 8] == [
        rest.do("PUT", "custom/TestType/a", {"k": 7}).json()["k"],
        rest.do("PATCH", "custom/TestType/a", patch).json()["k"],
    ]


def test_delete(rest: Rest) -> None:
    """What is deleted is counted if asked for, and answered with nothing."""
    where = quote('{"k": {"$gt": 0}}')
    found = [
        rest.do("DELETE", f"custom/TestType?where={where}&count=true"),
        rest.do("DELETE", "custom/TestType/a"),
        rest.do("DELETE", "custom/TestType"),
        rest.do("DELETE", f"custom/TestType?where={where}"),
    ]

    assert [(204, "1", b""), (204, None, b""), (204, None, b"")] == [
        (each.status, each.headers.get("X-Total-Count"), each.body)
        for each in found[:3]
    ]
    assert 404 == found[3].status


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "types?where=%7B", b"", 400),
        ("GET", "types?limit=x", b"", 400),
        ("GET", "types?page=0", b"", 400),
        ("POST", "types", b"{", 400),
        ("POST", "custom/None", b"[]", 404),
        ("POST", "custom/TestType/a", b"{}", 405),
        ("POST", "topics/no-slash", b"1", 400),
        ("PUT", "types", b"{}", 405),
        ("PATCH", "types", b"[]", 405),
        ("OPTIONS", "types", b"", 405),
        ("GET", "", b"", 404),
    ],
)
def test_refused(rest: Rest, method: str, path: str, body: bytes, status: int) -> None:
    """What cannot be done is refused with the documented status."""
    response = rest.do(method, path, body)

    assert (status, {"code", "message", "params"}) == (
        response.status,
        response.json()[0].keys(),
    )


def test_publish(rest: Rest) -> None:
    """The double slash of topics is part of their names."""
    rest.desk.insert("system.services", {"name": "p.S", "eventTypes": {"E": {}}})
    rest.world.source("S")
    client = rest.connect()
    client.subscribe("/topics/a/b")
    client.subscribe("/services/p.S/E")
    found = [
        rest.do("POST", path, {"m": path})
        for path in ("topics//a/b", "services/p.S/E", "sources/S")
    ]

    assert [(200, b"", "application/json")] * 3 == [
        (each.status, each.body, each.media_type) for each in found
    ]
    assert [{"m": "topics//a/b"}, {"m": "services/p.S/E"}] == client.events()


async def test_execute(rest: Rest) -> None:
    """Procedures are executed by their names, or by those of their services."""
    rest.world.procedure("p.S.add")(lambda a, b=1: a + b)
    rest.world.procedure("now")(lambda: "2026-01-01T00:00:00Z")
    path = "/api/v1/resources"

    assert [5, 3, "2026-01-01T00:00:00Z", (404, "io.vantiq.resource.not.found")] == [
        (await rest.call("POST", f"{path}/procedures/p.S.add", {"a": 4})).json(),
        (await rest.call("PUT", f"{path}/services/p.S/add", [1, 2])).json(),
        (await rest.call("POST", f"{path}/procedures/now")).json(),
        rest.code(await rest.call("POST", f"{path}/procedures/none", {})),
    ]


def test_update_of_service(rest: Rest) -> None:
    """A service without procedure is a definition."""
    rest.desk.insert("system.services", {"name": "p.S"})

    assert 1 == rest.do("PUT", "services/p.S", {"x": 1}).json()["x"]


async def test_stream(rest: Rest) -> None:
    """A sequence is streamed where that is asked for; all else is whole."""

    @rest.world.procedure("count")
    def count_up(to: int) -> Iterator[int]:
        yield from range(1, to + 1)

    rest.world.procedure("one")(lambda: {"a": 1})
    path = "/api/v1/resources/procedures"
    streaming = "stream=true&maxBufferSize=1024&maxFlushInterval=-1"
    response = rest.ask("POST", f"{path}/count?{streaming}", {"to": 3})
    assert isinstance(response, Calculated)
    streamed = await response.answer()
    assert isinstance(streamed, Streamed)
    pieces = [piece async for piece in streamed.pieces]

    assert [b"[1", b",2", b",3", b"]"] == pieces
    assert [[1, 2], {"a": 1}, (400, "io.asynctasks.request.malformed")] == [
        (await rest.call("POST", f"{path}/count", {"to": 2})).json(),
        (await rest.call("POST", f"{path}/one?{streaming}", {})).json(),
        rest.code(
            await rest.call("POST", f"{path}/count?stream=true&maxBufferSize=x", [1])
        ),
    ]


async def test_query(rest: Rest) -> None:
    """Sources are queried below their name."""
    rest.world.source("S", query=lambda body: [body["path"]])
    response = await rest.call("POST", "/api/v1/resources/sources/S/query", {"path": 1})

    assert [1] == response.json()


def test_authorized_users(rest: Rest) -> None:
    """The users of a namespace are listed, with their names in lower case."""
    response = rest.do("GET", "namespaces/local/authorizedUsers")

    assert {"username": "someuser", "preferredUsername": "SomeUser"} in response.json()
    assert [404, 200] == [
        rest.do("GET", "namespaces/none/authorizedUsers").status,
        rest.do("GET", "namespaces/local").status,
    ]


def test_most(rest: Rest) -> None:
    """A batch limits the rows of its selects."""
    found = [
        answer(rest.desk, Request("GET", url), url.partition("?")[0], 1).json()
        for url in ("custom/TestType", "custom/TestType?limit=2")
    ]

    assert [1, 1] == [len(rows) for rows in found]
