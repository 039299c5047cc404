"""The world of the Vantiq half."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.vantiq.desk import MOST_RULES
from asynctasks.server.vantiq.refusals import Refused
from tests.server.vantiq.worlds import Site, make_world


RELIABLE = {
    "name": "/r",
    "isReliable": True,
    "redeliveryFrequency": 2,
    "redeliveryTTL": 100,
}


def test_desk() -> None:
    """A desk is by default that of the first user, at home."""
    site = Site()
    desk = site.world.desk("joe", "ns")

    assert [("other", "local"), ("joe", "ns")] == [
        (each.username, each.namespace) for each in (site.desk, desk)
    ]


def test_quiet_world() -> None:
    """A world without a shell works, too."""
    world = make_world(home="here")
    world.desk().publish("topics", "/t", 1)

    assert "here" == world.desk().namespace


def test_receive() -> None:
    """A message that arrives from a source is an event."""
    site = Site()
    site.world.source("S")
    client = site.connect()
    client.subscribe("/sources/S")
    site.world.receive("S", {"m": 1})
    (frame,) = client.hear()

    assert ("/sources/S/receive", {"m": 1}) == (
        frame["body"]["path"],
        frame["body"]["value"],
    )


# --- rules -------------------------------------------------------------------


def test_rules(caplog: pytest.LogCaptureFixture) -> None:
    """Rules run when something is published to their topic."""
    site = Site()
    site.define()
    seen: list[Any] = []
    site.world.rule("/t")(lambda event: seen.append((event.path, event.value)))
    text = 'RULE {} WHEN PUBLISH OCCURS ON "{}" AS e\nINSERT INTO TestType(e.newValue)'
    for name, topic in (("one", "/t"), ("two", "/u")):
        rule = {"ruleText": text.format(name, topic)}
        site.desk.insert("system.rules", rule)
    off = {"ruleText": text.format("three", "/t"), "active": False}
    site.desk.insert("system.rules", off)
    site.desk.publish("topics", "/t", {"id": "a"})
    site.desk.publish("topics", "/t", {"id": "a"})

    assert [("/topics/t/publish", {"id": "a"})] * 2 == seen
    assert 1 == site.desk.select("TestType")[1]
    assert "the rule one failed" in caplog.text


def test_on() -> None:
    """Functions are called with events of any path."""
    site = Site()
    site.define()
    seen: list[Any] = []
    site.world.on("/types/TestType/insert")(
        lambda event: seen.append(event.value["id"])
    )
    site.desk.insert("TestType", {"id": "a"})
    site.desk.update("TestType", "a", {"k": 1})

    assert ["a"] == seen


async def test_async_rule() -> None:
    """An async rule is left to the shell."""
    site = Site()
    seen: list[Any] = []

    @site.world.rule("/t")
    async def rule(event: Any) -> None:
        seen.append(event.value)

    site.desk.publish("topics", "/t", 1)
    (job,) = site.service.take_jobs()
    await job()

    assert ([1], True) == (seen, site.woken > 0)


def test_endless_rules(caplog: pytest.LogCaptureFixture) -> None:
    """Rules that call each other without end are stopped."""
    site = Site()
    text = 'RULE r WHEN PUBLISH OCCURS ON "/t" AS e PUBLISH 1 TO TOPIC "/t"'
    site.desk.insert("system.rules", {"ruleText": text})
    client = site.connect()
    client.subscribe("/topics/t")
    site.desk.publish("topics", "/t", 1)

    assert 51 == len(client.events())
    assert "without end" in caplog.text


def test_avalanche(caplog: pytest.LogCaptureFixture) -> None:
    """Rules that double their events are stopped after a thousand."""
    site = Site()
    twice = 'PUBLISH 1 TO TOPIC "/t" ' * 2
    text = f'RULE r WHEN PUBLISH OCCURS ON "/t" AS e {twice}'
    site.desk.insert("system.rules", {"ruleText": text})
    client = site.connect()
    client.subscribe("/topics/t")
    site.desk.publish("topics", "/t", 1)
    first = len(client.events())
    site.desk.publish("topics", "/t", 1)

    assert (2 * MOST_RULES + 1, first) == (first, len(client.events()))
    assert "too often" in caplog.text


# --- definitions that go -----------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "name", "path"),
    [
        ("system.types", "TestType", "/types/TestType/insert"),
        ("system.topics", "/t", "/topics/t"),
        ("system.sources", "S", "/sources/S"),
        ("system.services", "p.S", "/services/p.S/E"),
    ],
)
def test_gone(resource: str, name: str, path: str) -> None:
    """Who subscribed to what is deleted is told with 410, once."""
    site = Site()
    site.define()
    site.desk.insert("system.topics", {"name": "/t"})
    site.desk.insert("system.sources", {"name": "S"})
    site.desk.insert("system.services", {"name": "p.S", "eventTypes": {"E": {}}})
    client = site.connect()
    client.subscribe(path)
    client.subscribe("/topics/other")
    site.desk.delete_one(resource, name)
    (frame,) = client.hear()

    assert (410, {"X-Request-Id": path}) == (frame["status"], frame["headers"])
    assert {"code", "message", "params"} == frame["body"][0].keys()
    assert ["/topics/other"] == [s.path for s in site.world.broker.subscriptions]


def test_type_changed() -> None:
    """The rows of a type that changes are found by its new key."""
    site = Site()
    site.define()
    site.desk.insert("TestType", {"id": "a", "k": 7})
    site.desk.update("system.types", "TestType", {"naturalKey": ["k"]})
    site.desk.insert("system.secrets", {"name": "s"})
    site.desk.update("system.secrets", "s", {"x": 1})

    assert "a" == site.desk.select_one("TestType", "7")["id"]


def test_type_gone() -> None:
    """The rows of a type go with it."""
    site = Site()
    site.define()
    site.desk.insert("TestType", {"id": "a"})
    site.desk.delete_one("system.types", "TestType")
    with pytest.raises(Refused):
        site.desk.select("TestType")
    site.define()

    assert 0 == site.desk.select("TestType")[1]


def test_others_gone() -> None:
    """Documents go with their content; with most rows nothing goes."""
    site = Site()
    site.desk.insert("system.documents", {"name": "d", "content": "x"})
    site.desk.insert("system.secrets", {"name": "s"})
    site.desk.delete("system.documents")
    site.desk.delete("system.secrets")

    with pytest.raises(Refused):
        site.world.store.content("local", "system.documents", "d")


def test_subscription_gone() -> None:
    """A persistent subscription can be deleted."""
    site = Site()
    client = site.connect()
    name = client.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    site.desk.delete_one("system.subscriptions", name)
    (frame,) = client.hear()

    assert (100, "unsubscribe", name) == (
        frame["status"],
        frame["body"]["op"],
        frame["body"]["subscriptionName"],
    )


def test_namespace_gone() -> None:
    """What is in a namespace goes with it, subscriptions too."""
    site = Site()
    site.desk.insert("system.namespaces", {"name": "ns"})
    there = site.world.desk(namespace="ns")
    there.insert("system.topics", {"name": "/t"})
    client = site.connect()
    client.say(
        op="subscribe",
        resourceName="events",
        resourceId="/topics/t",
        targetNamespace="ns",
    )
    client.hear()
    site.desk.delete_one("system.namespaces", "ns")
    (frame,) = client.hear()

    assert {"op": "unsubscribe", "path": "/topics/t", "namespace": "ns"} == frame[
        "body"
    ]
    assert 0 == there.select("system.topics")[1]


# --- what goes wrong ---------------------------------------------------------


def test_knobs() -> None:
    """Sockets are cut, events lost or delayed, and tokens expire."""
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t")
    site.world.drop_events()
    for value in (1, 2):
        site.desk.publish("topics", "/t", value)
    found = [client.events()]
    site.world.delay_events(5.0)
    site.desk.publish("topics", "/t", 3)
    found.append(client.events())
    site.turn(5.0)
    found.append(client.events())
    login = site.world.users.log_in("other", site.now)
    site.world.expire_tokens()
    site.world.cut_sockets()

    assert ([[2], [], [3]], True) == (found, client.socket.cut)
    with pytest.raises(Refused):
        site.world.users.check_token(login["accessToken"], site.now)


def test_unsubscribe() -> None:
    """The server may end a subscription at any time."""
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t", persistent=True)
    site.world.unsubscribe("/topics/t")
    (frame,) = client.hear()

    assert ("unsubscribe", 0) == (
        frame["body"]["op"],
        site.desk.select("system.subscriptions")[1],
    )


def test_unsubscribe_who_is_away() -> None:
    """A subscription whose client is away ends in silence."""
    site = Site()
    client = site.connect()
    client.subscribe("/topics/t", persistent=True)
    client.socket.lost()
    site.world.unsubscribe("/topics/t")

    assert ([], []) == (client.hear(), site.world.broker.subscriptions)


def test_reset() -> None:
    """A reset forgets data, subscriptions and knobs; functions stay."""
    site = Site()
    site.define()
    site.world.procedure("p")(int)
    site.world.delay_events(1.0)
    site.world.drop_events(7)
    client = site.connect()
    client.subscribe("/topics/t")
    site.world.reset()
    (frame,) = client.hear()

    assert ("unsubscribe", ["p"], 0.0, 0) == (
        frame["body"]["op"],
        list(site.world.functions.procedures),
        site.world.broker.delay,
        site.world.broker.drop_next,
    )
    with pytest.raises(Refused):
        site.desk.select("TestType")


# --- over a restart ----------------------------------------------------------


def test_restart() -> None:
    """Data, persistent subscriptions and what they wait for survive a restart."""
    first, second = Site(), Site()
    first.service.load([])
    first.define()
    first.desk.insert("TestType", {"id": "a"})
    first.desk.insert("system.topics", RELIABLE)
    client = first.connect()
    client.subscribe("/topics/none", persistent=True)
    name = client.subscribe("/topics/r", persistent=True)[0]["body"]["name"]
    client.subscribe("/topics/r")
    for value in (1, 2):
        first.desk.publish("topics", "/r", value)
    client.say(
        op="acknowledge",
        resourceName="events",
        parameters={"subscriptionName": name, "sequenceId": 1, "partitionId": 0},
    )
    second.service.load(first.service.take_items())
    client = second.connect()
    client.subscribe("/topics/r", subscriptionName=name, persistent=True)
    accepted = client.subscribe("/topics/r", subscriptionName=name, persistent=True)
    second.desk.publish("topics", "/r", 3)
    (event,) = client.hear()

    assert [200, 100, 100] == [frame["status"] for frame in accepted]
    assert {"value": 2, "sequenceId": 2, "redelivered": True}.items() <= (
        accepted[2]["body"].items()
    )
    assert (3, 3) == (event["body"]["value"], event["body"]["sequenceId"])
    assert "a" == second.desk.select_one("TestType", "a")["id"]
