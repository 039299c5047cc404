"""One WebSocket of a client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.server.vantiq import socket as socket_module
from tests.server.vantiq.worlds import Client, Site


RELIABLE = {
    "name": "/r",
    "isReliable": True,
    "redeliveryFrequency": 2,
    "redeliveryTTL": 100,
}


def errors(frames: list[Any]) -> list[tuple[int, str]]:
    """Return status and code of refusals."""
    return [(frame["status"], frame["body"][0]["code"]) for frame in frames]


def acknowledge(client: Client, name: Any, number: Any, **more: Any) -> None:
    """Acknowledge as the vendor's Python SDK does."""
    parameters = {
        "requestId": "/topics/r",
        "subscriptionName": name,
        "sequenceId": number,
        "partitionId": 0,
    }
    client.say(
        op="acknowledge",
        resourceName="events",
        resourceId="/topics/r",
        parameters=parameters | more,
    )


@pytest.mark.parametrize(
    "frame",
    [
        {"op": "validate", "object": "1234accessToken"},
        {
            "op": "authenticate",
            "object": {"username": "SomeUser", "password": "trulySecret"},
        },
    ],
)
def test_authentication(frame: Any) -> None:
    """A socket is authenticated by a token, or by name and password."""
    client = Client(Site())
    client.say(resourceName="system.credentials", **frame)
    (answer,) = client.socket.to_send()

    assert isinstance(answer, bytes)
    assert {
        "status": 200,
        "contentType": "application/json",
        "headers": {},
        "body": {},
    } == json.loads(answer)
    assert [] == client.hear()


@pytest.mark.parametrize(
    "frame",
    [
        {"op": "validate", "object": "wrong"},
        {"op": "validate"},
        {"op": "authenticate", "object": {"username": "SomeUser", "password": "no"}},
        {"op": "authenticate", "object": "SomeUser"},
        {"op": "subscribe", "resourceName": "events", "resourceId": "/topics/t"},
    ],
)
def test_unauthorized(frame: Any) -> None:
    """Who is not authenticated is told so with code and message."""
    client = Client(Site())
    client.say(**frame)

    assert [(401, "io.vantiq.authentication.failed")] == errors(client.hear())


def test_transient() -> None:
    """A subscription is accepted by its id, and hears of what happens."""
    site = Site()
    client = site.connect()
    (accepted,) = client.subscribe("/topics/t", requestId="mine")
    before = client.woken
    site.desk.publish("topics", "/t", {"m": 1})
    (event,) = client.hear()

    assert (200, {"X-Request-Id": "mine"}, {}) == (
        accepted["status"],
        accepted["headers"],
        accepted["body"],
    )
    assert event == {
        "status": 100,
        "contentType": "application/json",
        "headers": {"X-Request-Id": "mine"},
        "body": {
            "path": "/topics/t/publish",
            "value": {"m": 1},
            "namespace": "local",
            "username": "someuser",
        },
    }
    assert before + 1 == client.woken


def test_filter() -> None:
    """Filtered subscriptions hear of what matches."""
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t", eventFilter={"type": "REMOTE"})
    for kind in ("REMOTE", "MQTT"):
        site.desk.publish("topics", "/t", {"type": kind})

    assert [{"type": "REMOTE"}] == client.events()


def test_namespace() -> None:
    """A frame may be for another namespace, if there is one."""
    site = Site()
    site.desk.insert("system.namespaces", {"name": "ns"})
    client = site.connect()
    for namespace in ("ns", "none"):
        client.say(
            op="subscribe",
            resourceName="events",
            resourceId="/topics/t",
            targetNamespace=namespace,
        )
    accepted, refused = client.hear()
    site.world.desk(namespace="ns").publish("topics", "/t", 1)
    site.desk.publish("topics", "/t", 2)

    assert (200, 403, [1]) == (accepted["status"], refused["status"], client.events())


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/types/None/insert", {}, 404),
        ("/topics/t", {"eventFilter": [1]}, 400),
        ("/topics/t", {"subscriptionName": "none"}, 404),
    ],
)
def test_refused_subscription(path: str, parameters: Any, status: int) -> None:
    """A refused subscription is answered by its id, and not there."""
    site = Site()
    (refused,) = site.connect().subscribe(path, **parameters)

    assert (status, {"X-Request-Id": path}, []) == (
        refused["status"],
        refused["headers"],
        site.world.broker.subscriptions,
    )


def test_persistent() -> None:
    """A persistent subscription has a name, in both places where SDKs look."""
    site = Site()
    first, second = site.connect().subscribe("/topics/r", persistent=True)
    name = first["body"]["name"]
    row = site.desk.select_one("ArsSubscription", name)

    assert ({"name", "namespace", "topic"}, 200) == (
        first["body"].keys(),
        first["status"],
    )
    assert (100, {"subscriptionName": name, "requestId": "/topics/r"}) == (
        second["status"],
        second["body"],
    )
    assert ("/topics/r", "/topics/r", "someuser") == (
        row["topic"],
        row["requestId"],
        row["username"],
    )


@pytest.mark.parametrize("key", ["subscriptionName", "subscriptionId"])
def test_acknowledge(key: str) -> None:
    """What is acknowledged does not come again; whatever the SDK calls the name."""
    site = Site()
    site.desk.insert("system.topics", RELIABLE)
    client = site.connect()
    name = client.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    site.desk.publish("topics", "/r", 1)
    number = client.hear()[0]["body"]["sequenceId"]
    for _ in range(2):
        acknowledge(client, None, number, **{key: name})
    site.turn(10.0)
    (row,) = site.desk.select("ArsEventAcknowledgement")[0]

    assert ([], name, number, 0) == (
        client.hear(),
        row["subscriptionName"],
        row["sequenceId"],
        row["partitionId"],
    )


def test_redelivery() -> None:
    """What is not acknowledged comes again."""
    site = Site()
    site.desk.insert("system.topics", RELIABLE)
    client = site.connect()
    client.subscribe("/topics/r", persistent=True)
    site.desk.publish("topics", "/r", 1)
    due = site.service.next_wakeup()
    site.turn(3.0)

    assert (site.now, [False, True]) == (
        due,
        [frame["body"]["redelivered"] for frame in client.hear()],
    )


@pytest.mark.parametrize(
    ("name", "number", "status"), [("none", 1, 404), (None, "x", 400)]
)
def test_refused_acknowledgement(name: str | None, number: Any, status: int) -> None:
    """An acknowledgement of nothing is refused."""
    site = Site()
    client = site.connect()
    known = client.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    acknowledge(client, name or known, number)

    assert [status] == [frame["status"] for frame in client.hear()]


def test_acknowledgements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last acknowledgements are listed."""
    monkeypatch.setattr(socket_module, "ACKNOWLEDGEMENTS", 2)
    site = Site()
    site.desk.insert("system.topics", RELIABLE)
    client = site.connect()
    name = client.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    for number in (1, 2, 3):
        site.desk.publish("topics", "/r", number)
        acknowledge(client, name, number)
    rows, _ = site.desk.select("ArsEventAcknowledgement")

    assert [2, 3] == [row["sequenceId"] for row in rows]


def test_resume() -> None:
    """After a lost connection the same name goes on where it was."""
    site = Site()
    site.desk.insert("system.topics", RELIABLE)
    first = site.connect()
    name = first.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    site.desk.publish("topics", "/r", 1)
    first.socket.lost()
    first.socket.lost()
    site.desk.publish("topics", "/r", 2)
    second = site.connect()
    accepted = second.subscribe("/topics/r", persistent=True, subscriptionName=name)

    assert [name, (1, True), (2, False)] == [
        accepted[0]["body"]["name"],
        *((f["body"]["value"], f["body"]["redelivered"]) for f in accepted[2:]),
    ]
    assert [second.socket] == site.world.sockets


def test_unsubscribe() -> None:
    """A client may unsubscribe; others go on."""
    site = Site()
    client, other = site.connect(), site.connect()
    client.subscribe("/topics/t", persistent=True)
    other.subscribe("/topics/t")
    client.say(
        op="unsubscribe",
        resourceName="events",
        resourceId="/topics/t",
        parameters={"requestId": "r"},
    )
    (answer,) = client.hear()
    site.desk.publish("topics", "/t", 1)

    assert (200, {"X-Request-Id": "r"}, [], [1]) == (
        answer["status"],
        answer["headers"],
        client.hear(),
        other.events(),
    )
    assert 0 == site.desk.select("system.subscriptions")[1]


def test_operations() -> None:
    """The socket takes all operations of the API."""
    site = Site()
    site.define()
    client = site.connect()
    client.say(
        op="insert",
        resourceName="TestType",
        object={"id": "a"},
        parameters={"requestId": "r"},
    )
    client.say(op="select", resourceName="types", resourceId="TestType")
    client.say(op="select", resourceName="none")
    inserted, selected, refused = client.hear()

    assert ({"X-Request-Id": "r"}, "a", "TestType", 404) == (
        inserted["headers"],
        inserted["body"]["id"],
        selected["body"]["name"],
        refused["status"],
    )


async def test_execute() -> None:
    """Procedures are answered when they are done."""
    site = Site()
    site.world.procedure("range")(range)
    client = site.connect()
    client.say(op="execute", resourceName="procedures", resourceId="range", object=[3])
    client.say(op="execute", resourceName="procedures", resourceId="none")
    waiting = client.hear()
    for job in site.service.take_jobs():
        await job()
    done, refused = client.hear()

    assert ([], [0, 1, 2], 404) == (waiting, done["body"], refused["status"])


@pytest.mark.parametrize("frame", ["no JSON", '{"op":"dance"}', '{"op":"subscribe"}'])
def test_nonsense(frame: str) -> None:
    """What is not understood is refused, and the socket goes on."""
    client = Site().connect()
    client.socket.receive(frame)

    assert [(400, "io.asynctasks.request.malformed")] == errors(client.hear())
    assert 200 == client.subscribe("/topics/t")[0]["status"]


def test_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for which too much waits is cut off, and nothing is kept for it."""
    monkeypatch.setattr(socket_module, "MOST_FRAMES", 3)
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t")
    for number in range(3):
        site.desk.publish("topics", "/t", number)
    before = client.socket.cut
    for number in range(2):
        site.desk.publish("topics", "/t", number)

    assert (False, True, []) == (before, client.socket.cut, client.hear())


def test_break_off() -> None:
    """A socket can be cut."""
    client = Site().connect()
    client.socket.break_off()

    assert (True, 2) == (client.socket.cut, client.woken)
