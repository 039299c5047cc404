"""The subscriber transport: connections, policies, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import random
from typing import Any

import pytest

from asynctasks import vantiq_subscriber
from asynctasks.hooks import RequestDetails, SubscriberDetails
from asynctasks.sansio.retry import RetryPolicy
from asynctasks.vantiq import Vantiq, VantiqException, VantiqOptions, VantiqResources
from asynctasks.vantiq_subscriber import VantiqSubscriber
from tests.vantiq_scripted import Answer, ScriptedVantiq


TOPIC = "/topics/t"
PLACE = (VantiqResources.TOPICS, "/t", None)


@pytest.fixture(autouse=True)
def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as little as a test can."""
    quick = RetryPolicy(wait_initial=0.01, wait_max=0.02, wait_jitter=0.0)
    monkeypatch.setattr(vantiq_subscriber, "RECONNECT", quick)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


@pytest.fixture
async def client(server: ScriptedVantiq) -> AsyncIterator[Vantiq]:
    """Talk to the server with a token, and give up soon."""
    options = VantiqOptions(connect_timeout=0.5, reconnect_for=0.1, queue_size=3)
    async with Vantiq(server.url, options=options) as vantiq:
        await vantiq.set_access_token("tok")
        yield vantiq


class Callback:
    """Writes down what it is told, when it is allowed to."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self._more = asyncio.Event()

    async def __call__(self, what: str, message: dict[str, Any]) -> None:
        await self.hold.wait()
        self.told.append((what, message.get("value", message.get("body"))))
        self._more.set()

    async def until(self, count: int, what: str = "message") -> list[Any]:
        """Wait until so many of a kind were told; return what they were."""
        async with asyncio.timeout(3):
            while len(found := [v for w, v in self.told if w == what]) < count:
                self._more.clear()
                await self._more.wait()
        return found


async def test_acceptance_is_known_before_it_is_told(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A caller who counts after subscribing sees the callback's first call."""
    callback = Callback()
    response = await asyncio.wait_for(client.subscribe(*PLACE, callback), 2)

    assert [] == callback.told
    assert (True, 204, None) == (
        response.is_success,
        response.status_code,
        response.content_type,
    )
    await callback.until(1, "connect")


async def test_silence_is_a_failure(server: ScriptedVantiq, client: Vantiq) -> None:
    """A subscription that is not answered fails in time and leaves no trace."""
    server.silent = True
    response = await client.subscribe(*PLACE, Callback(), timeout=0.05)

    assert ["io.vantiq.python.subscribe.timeout"] == [
        error.code for error in response.errors or []
    ]
    server.silent = False
    assert (await client.subscribe(*PLACE, Callback())).is_success


async def test_giving_up_subscribing(server: ScriptedVantiq, client: Vantiq) -> None:
    """Whoever is cancelled while subscribing has not subscribed."""
    await client.start_subscriber_transport()
    server.silent = True
    waiting = asyncio.create_task(client.subscribe(*PLACE, Callback()))
    await server.heard(2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not await client.unsubscribe(*PLACE)


async def test_closing_while_subscribing(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A subscription that waits when the client is closed is a failure."""
    await client.start_subscriber_transport()
    server.silent = True
    waiting = asyncio.create_task(client.subscribe(*PLACE, Callback()))
    await server.heard(2)
    await client.close()

    assert ["io.vantiq.python.notransport"] == [
        error.code for error in (await waiting).errors or []
    ]


async def test_parameters_that_cannot_be_sent(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """What JSON cannot say is refused, and the path stays free."""
    with pytest.raises(VantiqException, match="subscribe"):
        await client.subscribe(*PLACE, Callback(), {"a": object()})

    assert (await client.subscribe(*PLACE, Callback())).is_success


async def test_refusal(server: ScriptedVantiq, client: Vantiq) -> None:
    """A refusal is a failed response, and is told to the callback too."""
    body = [{"code": "c", "message": "m", "params": []}]
    server.refusals[TOPIC] = {"status": 403, "contentType": "a/b", "body": body}
    callback = Callback()
    response = await client.subscribe(*PLACE, callback)

    assert (False, 403, "a/b") == (
        response.is_success,
        response.status_code,
        response.content_type,
    )
    assert ["c"] == [error.code for error in response.errors or []]
    assert [body] == await callback.until(1, "error")


async def test_hooks_are_told(server: ScriptedVantiq) -> None:
    """Hooks hear of requests, and of what happens to the subscriber."""
    told: list[Any] = []
    dropped = asyncio.Event()

    def hook(details: Any) -> None:
        told.append(details)
        if details == SubscriberDetails(event="gap"):
            dropped.set()

    options = VantiqOptions(queue_size=1, queue_policy="drop_oldest", hooks=[hook])
    callback = Callback()

    async def fail(what: str, message: dict[str, Any]) -> None:
        await callback(what, message)
        raise ValueError(what)

    async with Vantiq(server.url, options=options) as client:
        await client.set_access_token("tok")
        await client.subscribe(*PLACE, fail)
        await callback.until(1, "connect")
        callback.hold.clear()
        for value in range(5):
            await server.push(TOPIC, value)
        await client.count(VantiqResources.TYPES)
        await asyncio.wait_for(dropped.wait(), 3)
        callback.hold.set()
        await callback.until(1, "gap")
    events = [each for each in told if isinstance(each, SubscriberDetails)]
    (request,) = (each for each in told if isinstance(each, RequestDetails))

    assert ["started", "callback", "gap"] == [each.event for each in events[:3]]
    assert "connect" == str(events[1].error)
    assert ("closed", None) == (events[-1].event, events[-1].error)
    assert ("GET", True) == (request.method, request.path.endswith("types"))


async def test_subscribing_twice(server: ScriptedVantiq, client: Vantiq) -> None:
    """A path that is subscribed to is not subscribed to again."""
    await client.subscribe(*PLACE, Callback())
    response = await client.subscribe(*PLACE, Callback())

    assert ["io.vantiq.python.subscribed"] == [e.code for e in response.errors or []]


@pytest.mark.parametrize(("params", "connections"), [(None, 1), ({"a": 1}, 2)])
async def test_coming_back(
    server: ScriptedVantiq, client: Vantiq, params: Any, connections: int
) -> None:
    """Who left and comes back hears each event once; new wishes take a connection."""
    await client.subscribe(*PLACE, Callback())
    await client.unsubscribe(*PLACE)
    callback = Callback()
    assert (await client.subscribe(*PLACE, callback, params)).is_success
    await server.push(TOPIC, 1)

    assert [1] == await callback.until(1)
    assert connections == server.handshakes == len(server.subscribed())


async def test_namespaces_are_apart(server: ScriptedVantiq, client: Vantiq) -> None:
    """The same path in two namespaces is two subscriptions."""
    client.set_target_namespace("ns1")
    here, there = Callback(), Callback()
    await client.subscribe(*PLACE, here)
    await client.subscribe(*PLACE, there, None, "ns2")
    await server.push(f"{TOPIC}@ns2", 1)

    assert [1] == await there.until(1)
    assert [f"{TOPIC}@ns1", f"{TOPIC}@ns2"] == server.subscribed()
    assert ["ns1", "ns2"] == [f["targetNamespace"] for f in server.frames[1:]]


async def test_unsubscribing(server: ScriptedVantiq, client: Vantiq) -> None:
    """What was left is told nothing more."""
    left, other = Callback(), Callback()
    await client.subscribe(*PLACE, left)
    await client.subscribe(VantiqResources.TOPICS, "/u", None, other)
    await left.until(1, "connect")

    assert await client.unsubscribe(*PLACE)
    assert not await client.unsubscribe(*PLACE)
    await server.push(TOPIC, 1)
    await server.push("/topics/u", 2)
    assert [2] == await other.until(1)
    assert ["connect"] == [what for what, _ in left.told]


# --- full queues -------------------------------------------------------------


async def flood(
    server: ScriptedVantiq, client: Vantiq, policy: str
) -> tuple[Callback, Callback]:
    """Let a callback stand still while ten events come for it."""
    slow, other = Callback(), Callback()
    slow.hold.clear()
    await client.subscribe(*PLACE, slow, queue_policy=policy)
    await client.subscribe(VantiqResources.TOPICS, "/u", None, other)
    await other.until(1, "connect")
    for n in range(10):
        await server.push(TOPIC, n)
    await server.push("/topics/u", "x")
    return slow, other


async def test_blocking_loses_nothing(server: ScriptedVantiq, client: Vantiq) -> None:
    """A queue that is full for a moment holds up the socket, and nothing is lost."""
    slow, other = await flood(server, client, "block")
    await asyncio.sleep(0.05)
    slow.hold.set()

    assert list(range(10)) == await slow.until(10)
    assert ["x"] == await other.until(1)


async def test_callback_that_stands_still_loses_its_oldest(
    server: ScriptedVantiq,
    client: Vantiq,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A callback that does not move holds up nobody for ever."""
    monkeypatch.setattr(vantiq_subscriber, "STALLED_AFTER", 0.05)
    slow, other = await flood(server, client, "block")

    assert ["x"] == await other.until(1)
    slow.hold.set()
    assert [7, 8, 9] == await slow.until(3)
    ((gap),) = await slow.until(1, "gap")
    assert 7 == gap["missed"]
    assert 1 == caplog.text.count("does not move")


async def test_dropping_the_oldest(server: ScriptedVantiq, client: Vantiq) -> None:
    """Who prefers the newest loses the oldest at once, and is told."""
    slow, other = await flood(server, client, "drop_oldest")

    assert ["x"] == await other.until(1)
    slow.hold.set()
    assert [7, 8, 9] == await slow.until(3)
    assert 7 == (await slow.until(1, "gap"))[0]["missed"]


async def test_error_ends_the_subscription(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Who prefers to know is told of the overflow, after what waited."""
    slow, other = await flood(server, client, "error")

    assert ["x"] == await other.until(1)
    slow.hold.set()
    await slow.until(1, "error")
    assert [("message", 0), ("message", 1), ("message", 2)] == slow.told[1:4]
    assert "error" == slow.told[-1][0]
    assert not await client.unsubscribe(*PLACE)


# --- connections -------------------------------------------------------------


async def test_server_that_is_not_there() -> None:
    """Where nobody listens, the start fails with the reason."""
    async with Vantiq("http://127.0.0.1:1") as client:
        await client.set_access_token("tok")
        with pytest.raises(VantiqException, match="cannot connect"):
            await client.start_subscriber_transport()


async def test_server_that_says_nothing(server: ScriptedVantiq, client: Vantiq) -> None:
    """Where the token is not answered to, the start fails in time."""
    server.validation = None
    with pytest.raises(VantiqException, match="does not say"):
        await client.start_subscriber_transport()


async def test_closing_while_starting(server: ScriptedVantiq, client: Vantiq) -> None:
    """A start that waits when the client is closed fails."""
    server.validation = None
    starting = asyncio.create_task(client.start_subscriber_transport())
    await server.heard(1)
    await client.close()
    with pytest.raises(VantiqException, match="closed"):
        await starting


async def test_garbage(
    server: ScriptedVantiq, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """A frame that cannot be read is logged, and the next one is read."""
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    await server.say("{")
    await server.push(TOPIC, 1)

    assert [1] == await callback.until(1)
    assert "could not be read" in caplog.text


async def test_flood_of_garbage(
    server: ScriptedVantiq, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many frames that cannot be read, one is warned of; the rest is for DEBUG."""
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    for _ in range(100):
        await server.say("{")
    await server.push(TOPIC, 1)

    assert [1] == await callback.until(1)
    assert 1 == caplog.text.count("could not be read")


class Forgetful(ScriptedVantiq):
    """Accepts a token for one connection, and the next one for the next."""

    async def _reply(self, socket: Any, frame: Any) -> None:
        accepted = frame.get("object") == f"tok{self.handshakes > 1:d}"
        self.validation = {"status": 200 if accepted else 401, "body": []}
        await super()._reply(socket, frame)


@pytest.mark.parametrize("renewable", [True, False])
async def test_token_that_is_refused_on_the_way(
    renewable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that a new connection is refused for is renewed, if it can be."""
    tokens = iter(["tok0", "tok1"])

    async def fetch() -> str:
        return next(tokens)

    types = "GET /api/v1/resources/types"
    async with Forgetful().running() as server, Vantiq(server.url) as client:
        server.answer(types, Answer(401, []), Answer(200, []))
        if renewable:
            client.session.auth.obtain_with(fetch)
            await client.session.see_to_token()
        else:
            await client.set_access_token("tok0")
        callback = Callback()
        await client.subscribe(*PLACE, callback)
        await callback.until(1, "connect")
        server.cut()
        await callback.until(*((2, "connect") if renewable else (1, "error")))

        assert renewable is client.feed.connected
    assert renewable is ("Connect call failed: 401" not in caplog.text)


async def test_end_by_the_server(server: ScriptedVantiq, client: Vantiq) -> None:
    """A subscription that the server ends is told so, and its path is free."""
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    headers = {"X-Request-Id": TOPIC}
    await server.say({"status": 410, "headers": headers, "body": ["gone"]})

    assert [["gone"]] == await callback.until(1, "error")
    assert (await client.subscribe(*PLACE, Callback())).is_success


async def test_acknowledged_event_that_comes_again(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """An acknowledgement that the server missed is sent again by itself."""
    server.names[TOPIC] = "s"
    callback = Callback()
    await client.subscribe(*PLACE, callback, {"persistent": True})
    await server.push(TOPIC, 1, partitionId=1, sequenceId=1)
    await callback.until(1)
    await client.ack(TOPIC, "s", {"partitionId": 1, "sequenceId": 1})
    await server.push(TOPIC, 1, partitionId=1, sequenceId=1)
    await server.heard(4)

    assert ["acknowledge"] * 2 == [frame["op"] for frame in server.frames[2:]]


async def test_closing_while_a_callback_works(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A callback that does not end is cancelled when the client is closed."""
    callback = Callback()
    callback.hold.clear()
    await client.subscribe(*PLACE, callback)
    await asyncio.sleep(0.05)
    await client.close()

    assert [] == callback.told


async def test_many_frames_at_once_leave_turns(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Callbacks get their turns within a burst."""
    callback = Callback()
    await client.subscribe(*PLACE, callback, queue_size=10_000)
    for n in range(1000):
        await server.push(TOPIC, n)

    assert list(range(1000)) == await callback.until(1000)


async def test_insisting(
    server: ScriptedVantiq, client: Vantiq, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that missed who we are is told again."""
    monkeypatch.setattr(vantiq_subscriber, "INSIST_AFTER", 0.05)
    server.validation = None
    starting = asyncio.create_task(client.start_subscriber_transport())
    await server.heard(1)
    server.validation = {"status": 200}
    await starting

    assert ["validate", "validate"] == [frame["op"] for frame in server.frames]


async def test_two_starts_at_once(server: ScriptedVantiq, client: Vantiq) -> None:
    """Who starts second waits for the first, and fails with it."""
    server.validation = {"status": 401, "body": []}
    starts = [client.start_subscriber_transport() for _ in range(2)]
    results = await asyncio.gather(*starts, return_exceptions=True)

    assert [VantiqException] * 2 == [type(result) for result in results]
    server.validation = {"status": 200}
    assert await client.start_subscriber_transport() is not None


async def test_server_that_comes_back(server: ScriptedVantiq) -> None:
    """A server that is away for a while is found again, however often it fails."""
    options = VantiqOptions(connect_timeout=0.5)
    async with Vantiq(server.url, options=options) as client:
        await client.set_access_token("tok")
        callback = Callback()
        await client.subscribe(*PLACE, callback)
        port = int(server.url.rpartition(":")[2])
        await server.stop()
        await asyncio.sleep(0.1)
        await server.start(port=port)
        await callback.until(2, "connect")
        await server.push(TOPIC, 1)

        assert [1] == await callback.until(1)


async def test_subscribing_while_it_is_away(server: ScriptedVantiq) -> None:
    """A subscription made without a connection is made when there is one."""
    async with Vantiq(server.url) as client:
        await client.set_access_token("tok")
        await client.start_subscriber_transport()
        server.handshake_status = 503
        server.cut()
        await asyncio.sleep(0.05)
        callback = Callback()
        waiting = asyncio.create_task(client.subscribe(*PLACE, callback))
        await client.ack(TOPIC, "s", {"partitionId": 1, "sequenceId": 2})
        await asyncio.sleep(0.05)
        server.handshake_status = 101

        assert (await waiting).is_success


async def test_giving_up(server: ScriptedVantiq, client: Vantiq) -> None:
    """A server that stays away ends the transport; a new one can be started."""
    ends: list[str] = []

    async def ended() -> None:
        ends.append("over")

    client.register_subscriber_on_close(ended)
    task = await client.start_subscriber_transport()
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    server.handshake_status = 503
    server.cut()
    ((error,),) = await callback.until(1, "error")
    assert task is not None
    await task

    assert "io.vantiq.python.subtransport.failed" == error["code"]
    assert ["over"] == ends
    server.handshake_status = 101
    assert (await client.subscribe(*PLACE, Callback())).is_success


async def test_token_that_is_refused_later(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A token that is refused on the way ends the transport at once."""
    task = await client.start_subscriber_transport()
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    server.validation = {"status": 401, "body": [{"code": "c", "message": "expired"}]}
    server.cut()
    ((error,),) = await callback.until(1, "error")
    assert task is not None
    await task

    assert "expired" in error["message"]


async def test_server_that_cannot_subscribe_again_now(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A server that is too busy to subscribe again is asked later."""
    callback = Callback()
    await client.subscribe(*PLACE, callback)
    server.refusals[TOPIC] = {"status": 503, "body": []}
    server.cut()
    await server.heard(8)
    server.refusals.clear()

    assert [{}, {}] == await callback.until(2, "connect")


async def test_cancelling_the_task(server: ScriptedVantiq, client: Vantiq) -> None:
    """Whoever cancels the transport's task ends the transport."""
    ends: list[str] = []

    async def ended() -> None:
        ends.append("over")

    client.register_subscriber_on_close(ended)
    task = await client.start_subscriber_transport()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["over"] == ends
    assert await client.start_subscriber_transport() is not None


async def test_dead_connection_is_noticed(server: ScriptedVantiq) -> None:
    """A server that answers no ping is left, and found again."""
    options = VantiqOptions(heartbeat=0.1)
    async with Vantiq(server.url, options=options) as client:
        await client.set_access_token("tok")
        callback = Callback()
        await client.subscribe(*PLACE, callback)
        (peer,) = server.peers
        peer.pause_reading()
        await callback.until(2, "connect")

    assert 2 == server.handshakes


async def test_over_is_over(server: ScriptedVantiq, client: Vantiq) -> None:
    """A transport that is over takes no subscription, and can be closed again."""
    await client.start_subscriber_transport()
    subscriber = client._feed._transport()
    await client.close()
    response = await subscriber.subscribe("/topics/t", None, None, None, timeout=1)  # type: ignore[arg-type]

    assert ["io.vantiq.python.notransport"] == [e.code for e in response.errors or []]
    await subscriber.aclose()


async def test_never_started(server: ScriptedVantiq) -> None:
    """A transport that was never started can be closed, and waited for."""

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    subscriber = VantiqSubscriber(
        connect=nothing,
        token=nothing,
        renew=nothing,
        over=nothing,
        options=VantiqOptions(),
        logger=vantiq_subscriber.logging.getLogger("test"),
    )
    await subscriber.started()
    await subscriber.aclose()


# --- reliable delivery under fire --------------------------------------------


@pytest.mark.parametrize("seed", range(3))
async def test_no_reliable_event_is_lost_or_seen_twice(
    server: ScriptedVantiq, seed: int
) -> None:
    """Connections cut at random lose no event, and none is told twice."""
    dice = random.Random(seed)
    server.names[TOPIC] = "sub-1"
    async with Vantiq(server.url) as client:
        await client.set_access_token("tok")
        seen: list[int] = []

        async def callback(what: str, message: dict[str, Any]) -> None:
            if what == "message":
                seen.append(message["value"])
                await client.ack(TOPIC, "sub-1", message["body"])

        await client.subscribe(*PLACE, callback, {"persistent": True})
        async with asyncio.timeout(20):
            while len(seen) < 50:
                for n in unacknowledged(server, 50):
                    await server.push(TOPIC, n, partitionId=1, sequenceId=n)
                await asyncio.sleep(0.02)
                if dice.random() < 0.3:
                    server.cut()

    assert sorted(set(seen)) == sorted(seen) == list(range(50))


def unacknowledged(server: ScriptedVantiq, count: int) -> list[int]:
    """Return the events that the server has to deliver again."""
    acked = {
        frame["parameters"]["sequenceId"]
        for frame in server.frames
        if frame["op"] == "acknowledge"
    }
    return [n for n in range(count) if n not in acked]


async def test_status_of_a_document(server: ScriptedVantiq, client: Vantiq) -> None:
    """Requests go on while the subscriber has no connection."""
    await client.start_subscriber_transport()
    server.handshake_status = 503
    server.cut()
    server.answer("GET /api/v1/resources/custom/T", Answer(200, [1]))

    assert [1] == (await client.select("T")).body


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 10, 40])
async def test_closing_while_it_starts(server: ScriptedVantiq, turns: int) -> None:
    """A client that is closed while the transport starts leaves nothing behind."""
    before = asyncio.all_tasks()
    client = Vantiq(server.url)
    await client.set_access_token("tok")
    starting = asyncio.create_task(client.start_subscriber_transport())
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await client.close()
        await asyncio.wait([starting])

    ours = {task.get_name() for task in asyncio.all_tasks() - before}
    assert set() == {name for name in ours if name.startswith("asynctasks-vantiq")}
    assert starting.exception() is not None or (
        starting.result() is not None and starting.result().done()
    )
