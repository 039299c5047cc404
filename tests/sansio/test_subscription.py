"""The conversation over a WebSocket in which Vantiq tells of events."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.subscription import (
    HELD,
    Subscriptions,
    What,
    build_gap,
)
from tests.vantiq_scripted import sample, samples


TOPIC = "/topics/t"
TOKEN = "1234accessToken"


def frame(status: int, request_id: str = "", body: Any = None, **more: Any) -> bytes:
    headers = {"X-Request-Id": request_id} if request_id else {}
    document = {"status": status, "headers": headers, "body": body, **more}
    return json.dumps(document).encode()


def event(value: Any, request_id: str = TOPIC, **more: Any) -> bytes:
    body = {"path": f"{request_id}/publish", "value": value, **more}
    return frame(100, request_id, body)


def reliable(sequence: Any, **more: Any) -> bytes:
    return event(sequence, partitionId=3, sequenceId=sequence, **more)


class Talk:
    """Plays the server, and the owner of the socket."""

    def __init__(self, **options: Any) -> None:
        self.machine = Subscriptions(**options)
        self.now = 0.0

    def hear(self, *frames: bytes) -> list[tuple[str, Any]]:
        """Hand frames over; return what they mean: the words and the values."""
        for each in frames:
            self.machine.receive(each, lambda: self.now)
        return [
            (what.value, told.get("value", request_id))
            for what, request_id, told in self.machine.events()
        ]

    def said(self) -> list[dict[str, Any]]:
        """Return what is to be sent."""
        return [json.loads(text) for text in self.machine.to_send()]

    def connect(self) -> list[tuple[str, Any]]:
        """Make a connection that the server accepts."""
        self.machine.connected(TOKEN)
        self.machine.to_send()
        return self.hear(frame(200))

    def subscribe(
        self, params: dict[str, Any] | None = None, name: str | None = None
    ) -> None:
        """Subscribe to the topic; the server accepts."""
        self.machine.subscribe(TOPIC, params, None)
        self.hear(frame(200, TOPIC, {"name": name} if name else {}))
        self.said()


@pytest.fixture
def talk() -> Talk:
    """Return a conversation with a server that knows who we are."""
    conversation = Talk()
    conversation.connect()
    return conversation


def play(name: str) -> tuple[Talk, list[Any]]:
    """Play a sample: check what we say, and return what we were told."""
    talk, told = Talk(), []
    talk.machine.connected(TOKEN)
    for line in sample(name)["frames"]:
        said = line["frame"]
        if line["from"] == "server":
            told += talk.hear(json.dumps(said).encode())
        elif said["op"] == "authenticate":
            talk.said()  # the other way to begin, which we do not take
        else:
            if said["op"] == "subscribe":
                params = dict(said["parameters"])
                del params["requestId"]
                namespace = said.get("targetNamespace")
                talk.machine.subscribe(said["resourceId"], params, namespace)
            elif said["op"] == "acknowledge":
                facts = said["parameters"]
                talk.machine.acknowledge(
                    facts["requestId"],
                    facts["subscriptionName"],
                    facts["partitionId"],
                    facts["sequenceId"],
                )
            assert [json.dumps(said)] == talk.machine.to_send()
    return talk, [what for what, _ in told]


TOLD = {
    "socket-authenticate": ["ready"],
    "socket-filter": ["ready", "connect"],
    "socket-gone": ["ready", "connect", "error", "end"],
    "socket-namespace": ["ready", "connect", "message"],
    "socket-persistent-named-apart": ["ready", "connect", "message"],
    "socket-refused": ["refused"],
    "socket-reliable": ["ready", "connect", "message"],
    "socket-resume": ["ready", "connect", "message"],
    "socket-service": ["ready", "connect", "message"],
    "socket-source": ["ready", "connect", "message"],
    "socket-topic": ["ready", "connect", "message"],
    "socket-type": ["ready", "connect", "message", "connect", "message"],
    "socket-unsubscribed": ["ready", "connect", "message", "end"],
    "socket-validate": ["ready"],
}


@pytest.mark.parametrize("name", samples("socket"))
def test_documented_frames(name: str) -> None:
    """We say what is documented, byte for byte, and understand the answers."""
    _, told = play(name)

    assert TOLD[name] == told


def test_event_has_path_and_value_at_its_top(talk: Talk) -> None:
    """What happened where can be read at both places."""
    talk.subscribe()
    talk.machine.receive(event({"a": 1}), float)
    ((what, request_id, told),) = talk.machine.events()

    assert (What.MESSAGE, TOPIC) == (what, request_id)
    assert f"{TOPIC}/publish" == told["path"] == told["body"]["path"]
    assert {"a": 1} == told["value"] == told["body"]["value"]


def test_events_without_a_body_are_told_as_they_are(talk: Talk) -> None:
    """An event that has no path is still an event."""
    talk.subscribe()

    assert [("message", TOPIC)] == talk.hear(frame(100, TOPIC, "text"))
    assert [("message", TOPIC)] == talk.hear(frame(100, TOPIC, {"x": 1}))


def test_nothing_is_subscribed_before_the_server_knows_us() -> None:
    """A subscription waits until the token is accepted."""
    talk = Talk()
    talk.machine.subscribe(TOPIC, None, None)

    assert [] == talk.said()
    talk.machine.connected(TOKEN)
    assert ["validate"] == [said["op"] for said in talk.said()]
    assert [("ready", "")] == talk.hear(frame(200))
    assert ["subscribe"] == [said["op"] for said in talk.said()]


def test_insisting() -> None:
    """Who we are is said again only while the server has not answered."""
    talk = Talk()
    talk.machine.connected(TOKEN)
    talk.machine.insist()

    assert 2 == len(talk.said())
    talk.hear(frame(200))
    talk.machine.insist()
    assert not talk.machine.sending


def test_other_answers_to_the_token() -> None:
    """Neither accepted nor refused: the server has not answered yet."""
    talk = Talk()
    talk.machine.connected(TOKEN)

    assert [] == talk.hear(frame(100), b'{"status": null}')
    assert not talk.machine.ready


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"7",
        b"{}",
        b'{"status": 100, "headers": 7}',
        b'{"status": 100, "headers": {"X-Request-Id": []}}',
    ],
    ids=["empty", "cut", "bytes", "list", "number", "bare", "headers", "id"],
)
def test_garbage_is_told_and_survived(talk: Talk, garbage: bytes) -> None:
    """A frame that cannot be read harms nothing."""
    talk.subscribe()

    assert [("garbled", "")] == talk.hear(garbage)
    assert [("message", 1)] == talk.hear(event(1))


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """No bytes whatever break the conversation."""
    talk = Talk()
    talk.connect()
    talk.hear(data)

    assert talk.machine.ready


def test_frames_for_nobody(talk: Talk) -> None:
    """What is for a subscription that we do not have is not told."""
    assert [] == talk.hear(event(1), frame(200, TOPIC), frame(404, TOPIC))


def test_events_before_the_acceptance_come_after_it(talk: Talk) -> None:
    """The acceptance is told first, whatever the server's order."""
    talk.machine.subscribe(TOPIC, None, None)
    early = [event(n) for n in range(HELD + 5)]
    told = talk.hear(*early, frame(200, TOPIC))

    assert ("connect", TOPIC) == told[0]
    assert [("message", n) for n in range(5, HELD + 5)] == told[1:]


def test_second_acceptance_is_a_message(talk: Talk) -> None:
    """A later answer for the same subscription is told as a message."""
    talk.subscribe()

    assert [("message", TOPIC)] == talk.hear(frame(200, TOPIC, {"x": 1}))
    assert [("message", TOPIC), ("end", TOPIC)] == talk.hear(
        frame(200, TOPIC, {"op": "unsubscribe"})
    )
    assert TOPIC not in talk.machine


@pytest.mark.parametrize("said", ['"%s"', '{"status": 401, "body": "no %s"}'])
def test_token_that_is_quoted_is_not_told(said: str) -> None:
    """Neither garbage nor a refusal shows the token, whole or cut off."""
    machine = Subscriptions()
    machine.connected(TOKEN)
    machine.receive((said % TOKEN).encode() + b" " * 170 + TOKEN.encode(), float)
    machine.receive((said % TOKEN).encode(), float)
    told = list(machine.events())

    assert 2 == len(told)
    assert TOKEN[:6] not in repr(told)
    assert "..." in repr(told[0])
    assert "..." in repr(told[1])


def test_refusal(talk: Talk) -> None:
    """A subscription that is refused is over."""
    talk.machine.subscribe(TOPIC, None, None)

    assert [("error", TOPIC), ("end", TOPIC)] == talk.hear(frame(404, TOPIC, []))
    assert 0 == len(talk.machine)


def test_errors_of_a_subscription(talk: Talk) -> None:
    """An error is told; only the removal of the path ends the subscription."""
    talk.subscribe()

    assert [("error", TOPIC)] == talk.hear(frame(500, TOPIC, []))
    assert [("message", 1)] == talk.hear(event(1))
    assert [("error", TOPIC), ("end", TOPIC)] == talk.hear(frame(410, TOPIC, []))
    assert [] == talk.hear(event(2))


def test_unknown_status_of_an_answer(talk: Talk) -> None:
    """An answer that is neither yes nor no is not told."""
    talk.subscribe()

    assert [] == talk.hear(frame(302, TOPIC), frame(302))


def test_unsubscribe(talk: Talk) -> None:
    """What comes after we left is not told; leaving twice does no harm."""
    talk.subscribe()
    talk.machine.unsubscribe(TOPIC)
    talk.machine.unsubscribe(TOPIC)

    assert [] == talk.hear(event(1))


def test_returning_to_what_was_left(talk: Talk) -> None:
    """Who comes back before the socket is closed goes on, and hears nothing twice."""
    talk.subscribe({"persistent": True}, name="s")
    talk.hear(reliable(1))
    talk.machine.unsubscribe(TOPIC)
    talk.machine.subscribe(TOPIC, {"persistent": True}, None)

    assert [("connect", TOPIC)] == talk.hear()
    assert [] == talk.said()
    assert "s" == talk.machine[TOPIC].name
    assert [("message", 2)] == talk.hear(reliable(1), reliable(2))


@pytest.mark.parametrize("accepted", [True, False])
def test_returning_with_other_wishes(talk: Talk, accepted: bool) -> None:
    """What the server was asked cannot be changed: it takes a new connection."""
    talk.machine.subscribe(TOPIC, {"eventFilter": {"a": 1}}, None)
    if accepted:
        talk.hear(frame(200, TOPIC))
    talk.said()
    talk.machine.unsubscribe(TOPIC)
    talk.machine.subscribe(TOPIC, None if accepted else {"eventFilter": {"a": 1}}, None)

    assert [("restart", "")] == talk.hear()
    assert [] == talk.said()
    talk.connect()
    assert ["subscribe"] == [said["op"] for said in talk.said()]


@pytest.mark.parametrize(
    "end",
    [frame(100, TOPIC, {"op": "unsubscribe", "path": TOPIC}), frame(410, TOPIC, [])],
    ids=["unsubscribed", "gone"],
)
def test_returning_to_what_the_server_ended(talk: Talk, end: bytes) -> None:
    """What the server ended after we left is not returned to, but begun anew."""
    talk.subscribe()
    talk.machine.unsubscribe(TOPIC)

    assert [] == talk.hear(end)
    talk.machine.subscribe(TOPIC, None, None)
    assert ["subscribe"] == [said["op"] for said in talk.said()]
    assert [("connect", TOPIC)] == talk.hear(frame(200, TOPIC))


def test_returning_after_errors_that_end_nothing(talk: Talk) -> None:
    """An error of a subscription that was left does not end it."""
    talk.subscribe()
    talk.machine.unsubscribe(TOPIC)
    talk.hear(frame(500, TOPIC, []), frame(500, "/topics/other", []))
    talk.machine.subscribe(TOPIC, None, None)

    assert [("connect", TOPIC)] == talk.hear()


def test_returning_to_what_was_refused(talk: Talk) -> None:
    """A subscription that was refused after we left is asked for anew."""
    talk.machine.subscribe(TOPIC, None, None)
    talk.machine.unsubscribe(TOPIC)
    talk.said()
    talk.hear(frame(404, TOPIC, []))
    talk.machine.subscribe(TOPIC, None, None)

    assert ["subscribe"] == [said["op"] for said in talk.said()]


def test_what_was_left_ends_with_the_connection(talk: Talk) -> None:
    """On a new connection there is nothing to return to."""
    talk.subscribe()
    talk.machine.unsubscribe(TOPIC)
    talk.machine.lost()
    talk.machine.subscribe(TOPIC, None, None)
    talk.connect()

    assert ["subscribe"] == [said["op"] for said in talk.said()]


# --- after a lost connection -------------------------------------------------


def test_reconnect_subscribes_again_and_tells_of_the_gap(talk: Talk) -> None:
    """What was subscribed to is again, and the callback learns that it was not."""
    talk.subscribe({"eventFilter": {"a": 1}})
    talk.machine.lost()
    talk.connect()

    (said,) = talk.said()
    assert {"eventFilter": {"a": 1}, "requestId": TOPIC} == said["parameters"]
    talk.machine.receive(frame(200, TOPIC), float)
    notices = talk.machine.events()
    assert [What.GAP, What.CONNECT] == [what for what, _, _ in notices]
    facts = {"reason": "reconnected", "resumed": False}
    assert build_gap(TOPIC, facts) == notices[0][2]


def test_subscription_that_was_never_accepted_has_no_gap(talk: Talk) -> None:
    """Who never heard anything has missed nothing."""
    talk.machine.subscribe(TOPIC, None, None)
    talk.hear(event("early"))
    talk.machine.lost()
    talk.connect()

    assert ["subscribe"] == [said["op"] for said in talk.said()]
    assert [("connect", TOPIC)] == talk.hear(frame(200, TOPIC))


def test_persistent_subscription_is_resumed(talk: Talk) -> None:
    """A persistent subscription goes on under its name."""
    talk.subscribe({"persistent": True}, name="sub-1")
    talk.machine.lost()
    talk.connect()

    (said,) = talk.said()
    assert {
        "persistent": True,
        "subscriptionName": "sub-1",
        "requestId": TOPIC,
    } == said["parameters"]
    talk.machine.receive(frame(200, TOPIC, {"name": "sub-2"}), float)
    assert talk.machine.events()[0][2]["body"]["resumed"]
    assert "sub-2" == talk.machine[TOPIC].name


def test_forgotten_persistent_subscription_begins_anew(talk: Talk) -> None:
    """Where the server does not know the name any more, it makes a new one."""
    talk.subscribe({"persistent": True, "subscriptionName": "sub-1"}, name="sub-1")
    talk.machine.lost()
    talk.connect()
    talk.said()

    assert [] == talk.hear(frame(404, TOPIC, []))
    (said,) = talk.said()
    assert {"persistent": True, "requestId": TOPIC} == said["parameters"]
    assert [("error", TOPIC), ("end", TOPIC)] == talk.hear(frame(404, TOPIC, []))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_left_alone(talk: Talk, status: int) -> None:
    """A server that cannot subscribe again now is asked later."""
    talk.subscribe()
    talk.machine.lost()
    talk.connect()

    assert [("restart", "")] == talk.hear(frame(status, TOPIC, []))
    assert TOPIC in talk.machine


def test_refusal_after_a_reconnect(talk: Talk) -> None:
    """A subscription that is refused the second time is over."""
    talk.subscribe()
    talk.machine.lost()
    talk.connect()

    assert [("error", TOPIC), ("end", TOPIC)] == talk.hear(frame(404, TOPIC, []))


def test_two_losses_in_a_row(talk: Talk) -> None:
    """A gap is told once, however often the connection broke."""
    talk.subscribe()
    for _ in range(2):
        talk.machine.lost()
        talk.connect()

    assert [("gap", TOPIC), ("connect", TOPIC)] == talk.hear(frame(200, TOPIC))


# --- reliable events ---------------------------------------------------------


def test_duplicates_within_the_window(talk: Talk) -> None:
    """An event that comes again is told once, until its window has passed."""
    talk.subscribe({"persistent": True}, name="s")

    assert [("message", 1)] == talk.hear(reliable(1))
    talk.now = 59.0
    assert [("message", 2)] == talk.hear(reliable(1), reliable(2))
    talk.now = 60.0
    assert [("message", 1)] == talk.hear(reliable(1), reliable(2))


def test_events_are_told_apart_by_partition_and_sequence(talk: Talk) -> None:
    """The same sequence in another partition is another event."""
    talk.subscribe()
    other = event("b", partitionId=4, sequenceId=1)

    assert [("message", 1), ("message", "b")] == talk.hear(reliable(1), other)


def test_no_window_tells_all() -> None:
    """Without a window every delivery is told."""
    talk = Talk(window=0.0)
    talk.connect()
    talk.subscribe()

    assert [("message", 1)] * 2 == talk.hear(reliable(1), reliable(1))


def test_events_that_cannot_be_told_apart(talk: Talk) -> None:
    """An event whose numbers are none is told each time."""
    talk.subscribe()
    odd = event("x", partitionId=[], sequenceId=1)

    assert [("message", "x")] * 2 == talk.hear(odd, odd)


def test_acknowledged_event_that_comes_again_is_acknowledged_again(talk: Talk) -> None:
    """The server did not hear the acknowledgement: it is told once more."""
    talk.subscribe({"persistent": True}, name="s")
    talk.hear(reliable(1))
    talk.machine.acknowledge(TOPIC, "s", 3, 1)
    first = talk.said()

    assert [] == talk.hear(reliable(1, redelivered=True))
    assert first == talk.said()


def test_event_that_was_not_acknowledged_is_not_acknowledged_for_anybody(
    talk: Talk,
) -> None:
    """A duplicate of an event that is being dealt with is silent."""
    talk.subscribe({"persistent": True}, name="s")
    talk.hear(reliable(1))

    assert [] == talk.hear(reliable(1))
    assert [] == talk.said()


def test_forgotten_event_is_told_again(talk: Talk) -> None:
    """An event whose callback raised is told when it comes again."""
    talk.subscribe({"persistent": True}, name="s")
    talk.machine.receive(reliable(1), float)
    ((_, _, told),) = talk.machine.events()
    talk.machine.forget(TOPIC, told)

    assert [("message", 1)] == talk.hear(reliable(1))


def test_forgetting_what_is_not_remembered(talk: Talk) -> None:
    """Forgetting an event that has no number, or no subscription, does no harm."""
    talk.subscribe()
    talk.machine.forget(TOPIC, {"body": "text"})
    talk.machine.forget(TOPIC, {"body": {"partitionId": 1, "sequenceId": 2}})
    talk.machine.forget("/topics/other", {"body": {"partitionId": 1, "sequenceId": 2}})

    assert [("message", 1)] == talk.hear(reliable(1))


def test_acknowledgements_wait_for_the_connection(talk: Talk) -> None:
    """What is acknowledged while there is no connection is said when there is."""
    talk.subscribe({"persistent": True}, name="s")
    talk.hear(reliable(1))
    talk.machine.lost()
    talk.machine.acknowledge(TOPIC, "s", 3, 1)

    assert [] == talk.said()
    talk.connect()
    assert ["subscribe"] == [said["op"] for said in talk.said()]
    talk.hear(frame(200, TOPIC, {"name": "s"}))
    assert ["acknowledge"] == [said["op"] for said in talk.said()]


def test_acknowledging_what_cannot_be_remembered(talk: Talk) -> None:
    """An event whose numbers are none is acknowledged by them all the same."""
    talk.subscribe({"persistent": True}, name="s")
    talk.machine.acknowledge(TOPIC, "s", [3], 1)

    assert [[3]] == [said["parameters"]["partitionId"] for said in talk.said()]


def test_acknowledging_without_a_subscription(talk: Talk) -> None:
    """An acknowledgement is sent for a subscription of somebody else, too."""
    talk.machine.acknowledge("/topics/x", "s", 1, 2)

    assert ["acknowledge"] == [said["op"] for said in talk.said()]


def test_acknowledgement_names_the_namespace(talk: Talk) -> None:
    """A subscription in another namespace is acknowledged there."""
    talk.machine.subscribe(TOPIC, None, "ns2")
    talk.hear(frame(200, f"{TOPIC}@ns2"))
    talk.said()
    talk.machine.acknowledge(f"{TOPIC}@ns2", "s", 1, 2)

    assert [("ns2", TOPIC)] == [
        (said["targetNamespace"], said["resourceId"]) for said in talk.said()
    ]


# --- the name of a persistent subscription -----------------------------------


def named(name: str) -> bytes:
    return frame(100, TOPIC, {"subscriptionName": name})


def test_name_that_is_known_is_no_news(talk: Talk) -> None:
    """A frame that names the subscription as its acceptance did is not told."""
    talk.subscribe({"persistent": True}, name="s")

    assert [] == talk.hear(named("s"))
    assert [("message", TOPIC)] == talk.hear(named("t"))
    assert "t" == talk.machine[TOPIC].name


def test_name_before_the_acceptance(talk: Talk) -> None:
    """A frame that names the subscription may come first."""
    talk.machine.subscribe(TOPIC, {"persistent": True}, None)

    assert [("connect", TOPIC)] == talk.hear(
        named("s"), frame(200, TOPIC, {"name": "s"})
    )


def test_event_that_carries_the_name_is_an_event(talk: Talk) -> None:
    """An event may name its subscription."""
    talk.subscribe({"persistent": True}, name="s")

    assert [("message", 1)] == talk.hear(event(1, subscriptionName="s"))
    assert [("message", TOPIC)] == talk.hear(frame(100, TOPIC, {"op": "other"}))
