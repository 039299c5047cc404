"""
Whatever clients send, the server refuses what it cannot use, and never breaks.

Requests that are right are made a little wrong, again and again: other methods, other
values, missing members, other queries.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.http import Headers, Request, Response
from asynctasks.server.vantiq.service import VantiqService
from asynctasks.server.vantiq.socket import VantiqSocket
from asynctasks.server.world import build_halves, build_simulator, vantiq_world


PASSWORD = "developer"

BASIC = "Basic dXNlcjpkZXZlbG9wZXI="
"""``user:developer``"""

METHODS = ["GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE"]

IDS = ["1", "a", "/t", "²", "9" * 5000, "[" * 500, "%", "..", ""]

QUERIES = [
    "",
    "where=[",
    'where={"a":{"$in":1}}',
    'where={"ars_substitution":[]}',
    'where={"l.²":1,"n":{"$regex":"(a+)+"}}',
    "sort={}&limit=0",
    "page=99999999999999999999999&size=-1&sort=name,desc",
    "scheduleIn=P&scheduleInterval=PT0S",
    "scheduleFor=0001-01-01",
    "limit=%FF&offset=²",
    "startDateTime=0001-01-01T00:00:00%2B23:59&endDateTime=x",
    "count=true&stream=true&maxBufferSize=x",
]

ODD: list[Any] = [
    None,
    True,
    -1,
    1e308,
    10**400,
    "",
    "a",
    "x\r\ny",
    "9" * 5000,
    [],
    {},
    [1],
    [None],
    {"a": 1},
    {"$gt": 1},
    json.loads("[" * 90 + "]" * 90),
]

TYPE = {
    "name": "T",
    "properties": {"id": {"type": "String"}, "n": {"type": "Integer"}},
    "naturalKey": ["id"],
    "indexes": [{"keys": ["n"], "options": {"unique": True}}],
}

VANTIQ = "/api/v1/resources"

RIGHT: list[tuple[str, Any]] = [
    ("/pro-api/v2/tasks/App/1/echo", {"a": 1}),
    ("/pro-api/v2/tasks/{id}", {"setstatus": "interrupt-solve"}),
    ("/api/v1/tasks/{id}/response", None),
    ("/api/v2/echo", {"a": 1}),
    ("/omlusers/api/oauth2/v1/token", {"grant_type": "refresh_token", "token": "x"}),
    (
        "/oml/api/py-scripts/v2/group-apply/group_count",
        {
            "input": "select * from IRIS",
            "groupBy": "SPECIES",
            "orderBy": "SEPAL_LENGTH",
            "parameters": "{}",
            "asyncFlag": True,
            "timeout": 1800,
            "service": "LOW",
        },
    ),
    ("/oml/api/py-scripts/v2/index-apply/echo", {"times": 3, "asyncFlag": True}),
    ("/oml/api/py-scripts/v2/jobs/{id}", None),
    ("/oml/api/py-scripts/v2/preload/conda", {"envName": "seaborn_env"}),
    (
        "/secure/api/v2.0/jobConfigs",
        {
            "service": "x/services/1",
            "inputs": {"lines": ["*", "**"], "collection": ["{}"]},
            "label": "l",
            "parent": "x/jobs/1",
            "parallelParameters": ["lines"],
        },
    ),
    ("/secure/api/v2.0/jobConfigs/{id}/launch", None),
    ("/secure/api/v2.0/jobs/{id}/relaunchFailed", None),
    ("/secure/api/v2.0/jobs/search/parametricFind", None),
    ("/secure/api/v2.0/collections", {"name": "n", "fileType": "F"}),
    ("/secure/api/v2.0/collections/{id}", {"name": "n", "description": "d"}),
    ("/secure/api/v2.0/platformFiles/refData", None),
    ("/realms/x/protocol/openid-connect/token", None),
    (f"{VANTIQ}/types", TYPE),
    (f"{VANTIQ}/types/T", TYPE),
    (f"{VANTIQ}/custom/T", {"id": "a", "n": 1}),
    (f"{VANTIQ}/custom/T/{{id}}", [{"op": "copy", "from": "", "path": "/n"}]),
    (f"{VANTIQ}/topics", {"name": "/t", "isReliable": True, "redeliveryTTL": 1}),
    (f"{VANTIQ}/topics//t", {"a": 1}),
    (f"{VANTIQ}/services", {"name": "S", "eventTypes": {"E": {"isReliable": True}}}),
    (f"{VANTIQ}/services/S/E", {"a": 1}),
    (f"{VANTIQ}/documents", {"name": "d", "content": "c", "fileType": "text/plain"}),
    (f"{VANTIQ}/documents/{{id}}", {"name": "d", "content": "c"}),
    (f"{VANTIQ}/rules", {"ruleText": 'RULE r WHEN PUBLISH OCCURS ON "/t" AS e'}),
    (f"{VANTIQ}/procedures", {"ruleText": "PROCEDURE p(a) RETURN a.b"}),
    (f"{VANTIQ}/users", {"username": "joe"}),
    ("/docs/d", None),
    ("/api/v1/batch", [{"method": "GET", "uri": "types", "headers": {}, "body": {}}]),
    ("/authenticate", None),
]


class World:
    """All halves, asked one after the other as the shell does."""

    def __init__(self) -> None:
        self.simulator = build_simulator()
        self.halves = build_halves(self.simulator, api_key=PASSWORD)
        vantiq = vantiq_world(self.simulator)
        vantiq.clock = lambda: 1e9
        self.now = 1e9
        grant = {"grant_type": "password", "username": "u", "password": PASSWORD}
        url = "/omlusers/api/oauth2/v1/token"
        body = json.dumps(grant).encode()
        self.oml = self.ask(Request("POST", url, Headers(), body)).json()["accessToken"]

    def ask(self, request: Request) -> Response:
        """Return the answer of the first half that knows the path."""
        found = (half.handle(request, self.now) for half in self.halves)
        return next((each for each in found if each is not None), Response(404))

    def signature(self, path: str) -> str:
        """Return what signs a request."""
        if path.startswith("/oml"):
            return f"Bearer {self.oml}"
        desp = path.startswith("/secure") or path == "/authenticate"
        return BASIC if desp else f"Bearer {PASSWORD}"


def spoilt(value: Any, draw: Any) -> Any:
    """Return a document that is right but for some of its values."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(ODD))
    if isinstance(value, Mapping):
        kept = {n: each for n, each in value.items() if draw(st.integers(0, 9))}
        return {name: spoilt(each, draw) for name, each in kept.items()}
    return [spoilt(each, draw) for each in value] if isinstance(value, list) else value


@st.composite
def requests(draw: Any) -> tuple[str, str, bytes]:
    """Make a request that may be a little wrong, or very."""
    path, body = draw(st.sampled_from(RIGHT))
    path = path.replace("{id}", draw(st.sampled_from(IDS)))
    query = draw(st.sampled_from(QUERIES))
    raw = draw(st.sampled_from([None, None, None, b"", b"\xff", b"[" * 9999, b"NaN"]))
    sent = json.dumps(spoilt(body, draw)).encode() if raw is None else raw
    return draw(st.sampled_from(METHODS)), f"{path}?{query}" if query else path, sent


@settings(max_examples=25)
@given(asked=st.lists(requests(), min_size=20, max_size=40))
def test_no_request_breaks_the_server(asked: list[tuple[str, str, bytes]]) -> None:
    """Every request is answered, no answer is a fault, and no header is split."""
    world = World()
    for method, target, body in asked:
        signed = {"Authorization": world.signature(target), "apiKey": PASSWORD}
        headers = Headers(signed | {"Content-Type": "application/json"})
        answer = world.ask(Request(method, target, headers, body))

        assert answer.status < 500 or b"Problem finding the job id" in answer.body
        assert all(value.isprintable() for value in answer.headers.values())


FRAMES: list[dict[str, Any]] = [
    {"op": "insert", "resourceName": "types", "object": TYPE},
    {"op": "insert", "resourceName": "T", "object": {"id": "a", "n": 1}},
    {"op": "update", "resourceName": "T", "resourceId": "a", "object": {"n": 2}},
    {"op": "patch", "resourceName": "T", "resourceId": "a", "object": []},
    {"op": "delete", "resourceName": "T", "resourceId": "a"},
    {
        "op": "select",
        "resourceName": "T",
        "parameters": {
            "where": {"id": {"$in": ["a"]}, "n": {"$gt": 1}},
            "sort": {"n": 1},
            "props": ["id"],
            "limit": 1,
            "page": 1,
            "count": True,
        },
    },
    {"op": "publish", "resourceName": "topics", "resourceId": "/t", "object": 1},
    {"op": "execute", "resourceName": "procedures", "resourceId": "p", "object": {}},
    {
        "op": "subscribe",
        "resourceName": "events",
        "resourceId": "/topics/t",
        "parameters": {"persistent": True, "requestId": "1", "eventFilter": {"a": 1}},
        "targetNamespace": "local",
    },
    {
        "op": "acknowledge",
        "resourceName": "events",
        "parameters": {"subscriptionName": "s", "sequenceId": 1, "partitionId": 0},
    },
    {"op": "unsubscribe", "resourceName": "events", "resourceId": "/topics/t"},
]


@st.composite
def frames(draw: Any) -> str | bytes:
    """Make a frame that may be a little wrong, or none."""
    raw = draw(st.sampled_from([None] * 9 + [b"\xff", "", "[" * 9999, "null"]))
    right = draw(st.sampled_from(FRAMES))
    return json.dumps(spoilt(right, draw)) if raw is None else raw


@settings(max_examples=25)
@given(sent=st.lists(frames(), min_size=20, max_size=40))
def test_no_frame_breaks_the_server(sent: list[str | bytes]) -> None:
    """Every frame that is refused is answered, and the connection goes on."""
    world = World()
    vantiq = next(half for half in world.halves if isinstance(half, VantiqService))
    socket = vantiq.connect(Request("GET", "/api/v1/wsock/websocket"), int)
    assert isinstance(socket, VantiqSocket)
    log_in = {"op": "validate", "resourceName": "x", "object": PASSWORD}
    for frame in (json.dumps(log_in), *sent):
        socket.receive(frame)
        vantiq.advance(world.now)
    answers = [json.loads(each) for each in socket.to_send()]

    assert not socket.cut
    assert {200, 100, 204, 400, 403, 404, 405, 409, 410} >= {
        each["status"] for each in answers
    }


@pytest.mark.parametrize("form", ["", "; boundary=", "; boundary=B", "; boundary=\xff"])
@pytest.mark.parametrize(
    "body", [b"", b"--B", b"--B\r\n\r\n--B--", b"--B\r\nContent-Disposition: \xff--B--"]
)
def test_no_form_breaks_the_server(form: str, body: bytes) -> None:
    """What is no form is refused where forms are taken."""
    world = World()
    for target in (f"{VANTIQ}/documents", "/secure/api/v2.0/platformFiles/refData"):
        kind = {"Content-Type": f"multipart/form-data{form}"}
        headers = Headers({"Authorization": world.signature(target), **kind})
        answer = world.ask(Request("POST", target, headers, body))

        assert 400 == answer.status
