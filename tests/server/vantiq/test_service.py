"""The server's half of Vantiq, with the documented exchanges as the referee."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.vantiq.socket import VantiqSocket
from tests.server.vantiq.worlds import NOW, Site


def basic(name: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


# --- authentication ----------------------------------------------------------


def test_authenticate() -> None:
    """Name and password give two tokens, with which all can be asked."""
    site = Site()
    tokens = site.ask("GET", "/authenticate", b"", basic("SomeUser", "trulySecret"))
    access = {"Authorization": f"Bearer {tokens.json()['accessToken']}"}

    assert ({"accessToken", "idToken"}, 200, 200) == (
        tokens.json().keys(),
        site.ask("GET", "/api/v1/_status", b"", access).status,
        site.ask("GET", "/authenticate", b"", access).status,
    )


@pytest.mark.parametrize(
    "headers",
    [
        basic("SomeUser", "wrong"),
        basic("nobody", ""),
        {"Authorization": "Bearer wrong"},
        {"Authorization": ""},
    ],
)
def test_wrong_credentials(headers: dict[str, str]) -> None:
    """Wrong credentials are refused as the vendor does, in its spelling."""
    response = Site().ask("GET", "/authenticate", b"", headers)

    assert (401, {"code", "message", "parms"}) == (
        response.status,
        response.json()[0].keys(),
    )


def test_refresh_and_revoke() -> None:
    """A token is the body of what is asked about it."""
    site = Site()
    nobody = {"Authorization": ""}
    token = site.world.users.log_in("other", NOW)["accessToken"].encode()
    new = site.ask("POST", "/authenticate/refresh", token, nobody).json()["accessToken"]
    revoked = site.ask("POST", "/authenticate/revoke", token, nobody)
    again = [
        site.ask("POST", f"/authenticate/{word}", token, nobody).status
        for word in ("refresh", "revoke")
    ]
    site.world.users.check_token(new, NOW)

    assert (204, [401, 401]) == (revoked.status, again)


def test_expiry() -> None:
    """A login is over after a day."""
    site = Site()
    token = site.world.users.log_in("other", NOW)["accessToken"]
    access = {"Authorization": f"Bearer {token}"}
    site.now += 24 * 3600

    assert (401, "io.vantiq.authentication.failed") == (
        site.code(site.ask("GET", "/api/v1/resources/types", b"", access))
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/authenticate"),
        ("GET", "/authenticate/refresh"),
        ("GET", "/authenticate/revoke"),
        ("GET", "/api/v1/batch"),
        ("POST", "/docs/x"),
    ],
)
def test_wrong_method(method: str, path: str) -> None:
    """Other methods are refused."""
    assert 405 == Site().ask(method, path).status


def test_token_in_query() -> None:
    """The token may be in the query, as for those who cannot set headers."""
    site = Site()
    path = "/api/v1/resources/types/ArsType?token=1234accessToken"

    assert [200, 401] == [
        site.ask("GET", url, b"", {"Authorization": ""}).status
        for url in (path, path.replace("1234", "5678"))
    ]


def test_impersonation() -> None:
    """Requests may be made in the name of another user, if there is one."""
    site = Site()
    site.define()
    found = [
        site.ask(
            "POST",
            "/api/v1/resources/custom/TestType",
            {"id": name},
            {"X-Impersonate-User": name},
        )
        for name in ("Other", "nobody")
    ]

    assert ("other", 403) == (found[0].json()["ars_createdBy"], found[1].status)


@pytest.mark.parametrize("way", ["header", "query"])
def test_namespace(way: str) -> None:
    """Requests may be for another namespace, if there is one."""
    site = Site()
    site.desk.insert("system.namespaces", {"name": "ns"})
    path = "/api/v1/resources/topics"
    found = []
    for namespace in ("ns", "none"):
        header = {"X-Target-Namespace": namespace} if way == "header" else {}
        url = path if header else f"{path}?targetNamespace={namespace}"
        found.append(site.ask("POST", url, {"name": "/t"}, header))

    assert ("ns", 403) == (found[0].json()["ars_namespace"], found[1].status)


# --- paths -------------------------------------------------------------------


def test_download() -> None:
    """Documents are at the place that their row tells, with their type."""
    site = Site()
    site.desk.upload("system.documents", "d e/f.png", "image/png", b"\xff")
    found = site.ask("GET", "/docs/d%20e/f.png")
    missing = site.ask("GET", "/docs/none")

    assert ("sandbox", "nosniff") == (
        found.headers["Content-Security-Policy"],
        found.headers["X-Content-Type-Options"],
    )
    assert (200, "image/png", b"\xff", 404) == (
        found.status,
        found.media_type,
        found.body,
        missing.status,
    )


def test_download_of_odd_type() -> None:
    """A type that no header can hold is served as bytes."""
    site = Site()
    site.desk.upload("system.documents", "d", "text/x\r\nSet-Cookie: a", b"1")
    found = site.ask("GET", "/docs/d")

    assert "application/octet-stream" == found.headers["Content-Type"]


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/tasks", "/api/v1/resourcesx", "/api/v2/resources/types"]
)
def test_paths_of_others(path: str) -> None:
    """What is not of Vantiq is left to others."""
    site = Site()

    assert site.service.handle(Request("GET", path), NOW) is None
    assert site.service.connect(Request("GET", path), lambda: None) is None


def test_nothing_to_notify() -> None:
    """Vantiq calls no hooks."""
    change: Any = None

    assert () == Site().service.notices(change)


# --- batches -----------------------------------------------------------------


async def batch(site: Site, *parts: Any) -> Any:
    return (await site.call("POST", "/api/v1/batch", list(parts))).json()


async def test_batch() -> None:
    """Each request of a batch has its own answer."""
    site = Site()
    site.define()
    site.desk.insert("system.namespaces", {"name": "ns"})
    site.world.procedure("add")(lambda a, b: a + b)
    answers = await batch(
        site,
        {"method": "POST", "uri": "custom/TestType", "body": {"id": "a"}},
        {"method": "GET", "uri": "/custom/TestType?count=true"},
        {"method": "get", "uri": "custom/TestType/b", "headers": {}, "body": None},
        {"method": "POST", "uri": "procedures/add", "body": [1, 2]},
        {"uri": "custom/TestType", "headers": {"X-Target-Namespace": "ns"}},
        {"method": "DELETE", "uri": "custom/TestType/a"},
        {"uri": "types", "headers": {"Authorization": "Bearer wrong"}},
        {"uri": "types", "headers": 7},
        {"method": "GET"},
        "nonsense",
    )

    assert [200, 200, 404, 200, 404, 204, 401, 400, 400, 400] == [
        each["status"] for each in answers
    ]
    assert ({"X-Total-Count": "1"}, 3, None) == (
        answers[1]["headers"],
        answers[3]["body"],
        answers[5]["body"],
    )


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_no_batch(body: bytes) -> None:
    """A batch is an array."""
    assert 400 == Site().ask("POST", "/api/v1/batch", body).status


# --- the shell's part --------------------------------------------------------


def test_load_once() -> None:
    """What was stored is taken once; a server that starts again has it."""
    first, second = Site(), Site()
    first.service.load([])
    first.desk.insert("system.topics", {"name": "/t"})
    items = first.service.take_items()
    for _ in range(2):
        second.service.load(items)
    second.desk.delete("system.topics")
    second.service.load(items)

    assert 0 == second.desk.select("system.topics")[1]
    assert None is second.service.next_wakeup()


def test_time() -> None:
    """What is delayed is sent when the shell says that it is time."""
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t")
    site.world.delay_events(5.0)
    site.desk.publish("topics", "/t", 1)
    due = site.service.next_wakeup()
    site.turn(5.0)

    assert (site.now, [1], []) == (due, client.events(), site.service.take_jobs())


def test_sockets() -> None:
    """Each connection has a socket of its own."""
    site = Site()
    request = Request("GET", "/api/v1/wsock/websocket", Headers({}))
    sockets = [site.service.connect(request, lambda: None) for _ in range(2)]

    assert site.world.sockets == sockets
    assert all(isinstance(socket, VantiqSocket) for socket in sockets)
    assert isinstance(site.ask("GET", "/authenticate"), Response)
