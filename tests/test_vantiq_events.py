"""Events of Vantiq as a stream, and the feed that brings them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asynctasks.exceptions import InvalidState, SubscriberClosed
from asynctasks.vantiq import (
    EventStream,
    Vantiq,
    VantiqEvent,
    VantiqException,
    VantiqOptions,
    VantiqResources,
)
from tests.vantiq_scripted import Answer, ScriptedVantiq


TOPIC = "/topics/t"
PLACE = (VantiqResources.TOPICS, "/t")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


@pytest.fixture
async def client(server: ScriptedVantiq) -> AsyncIterator[Vantiq]:
    """Talk to the server with a token."""
    async with Vantiq(server.url) as vantiq:
        await vantiq.set_access_token("tok")
        yield vantiq


async def take(events: EventStream, count: int) -> list[tuple[str, Any]]:
    """Read so many events."""
    async with asyncio.timeout(2):
        read = [await anext(events) for _ in range(count)]
    return [(event.what, event.value) for event in read]


async def test_events_in_order(server: ScriptedVantiq, client: Vantiq) -> None:
    """A stream has every event once, however slowly it is read."""
    async with client.events(*PLACE) as events:
        for n in range(20):
            await server.push(TOPIC, n)
        first = await take(events, 5)
        await asyncio.sleep(0.05)
        rest = await take(events, 15)

    assert [("message", n) for n in range(20)] == first + rest


async def test_iteration(server: ScriptedVantiq, client: Vantiq) -> None:
    """A stream is read with ``async for``."""
    async with client.events(*PLACE) as events, asyncio.timeout(2):
        await server.push(TOPIC, 1)
        async for event in events:
            assert (
                VantiqEvent(
                    what="message",
                    path=f"{TOPIC}/publish",
                    value=1,
                    message=event.message,
                )
                == event
            )
            break


async def test_gap_and_errors_are_events(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """What may be missing, and what is wrong, is read among the events."""
    async with client.events(*PLACE) as events:
        server.cut()
        assert [("gap", None)] == await take(events, 1)
        headers = {"X-Request-Id": TOPIC}
        await server.say({"status": 500, "headers": headers, "body": []})
        assert [("error", None)] == await take(events, 1)
        await server.say({"status": 410, "headers": headers, "body": []})
        assert [("error", None)] == await take(events, 1)
        with pytest.raises(SubscriberClosed, match="is over"):
            await take(events, 1)


async def test_leaving_unsubscribes(server: ScriptedVantiq, client: Vantiq) -> None:
    """After a stream was left, its path is free, and it has no more events."""
    async with client.events(*PLACE) as events:
        pass
    async with client.events(*PLACE) as again:
        await server.push(TOPIC, 2)
        assert [("message", 2)] == await take(again, 1)

    assert [TOPIC] == server.subscribed()
    with pytest.raises(SubscriberClosed):
        await take(events, 2)


async def test_leaving_an_unread_stream(server: ScriptedVantiq, client: Vantiq) -> None:
    """A stream that is left with events in it leaves no task behind."""
    before = asyncio.all_tasks()
    async with client.events(*PLACE):
        for n in range(5):
            await server.push(TOPIC, n)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.01)

    left = {task.get_name() for task in asyncio.all_tasks() - before}
    assert not [name for name in left if TOPIC in name]


async def test_leaving_and_asking_for_something_else(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Other parameters for a path that was left take a new connection."""
    async with client.events(*PLACE):
        pass
    async with client.events(*PLACE, params={"eventFilter": {"a": 1}}) as events:
        await server.push(TOPIC, 1)
        assert [("message", 1)] == await take(events, 1)

    assert 2 == server.handshakes


async def test_closing_the_client_ends_the_stream(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Whoever waits for an event is told when there will be none."""
    async with client.events(*PLACE) as events:
        waiting = asyncio.create_task(take(events, 1))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(SubscriberClosed):
            await waiting


async def test_refusal_is_raised(server: ScriptedVantiq, client: Vantiq) -> None:
    """A stream that the server refuses cannot be entered."""
    body = [{"code": "c", "message": "m", "params": []}]
    server.refusals[TOPIC] = {"status": 403, "body": body}
    with pytest.raises(VantiqException, match="code: c"):
        async with client.events(*PLACE):
            pass


async def test_one_reader(server: ScriptedVantiq, client: Vantiq) -> None:
    """A stream has one reader at a time."""
    async with client.events(*PLACE) as events:
        waiting = asyncio.create_task(take(events, 1))
        await asyncio.sleep(0)
        with pytest.raises(InvalidState, match="one reader"):
            await anext(events)
        await server.push(TOPIC, 1)
        assert [("message", 1)] == await waiting


async def test_giving_up_waiting(server: ScriptedVantiq, client: Vantiq) -> None:
    """A reader that gave up can read on."""
    async with client.events(*PLACE) as events:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(events)
        await server.push(TOPIC, 1)
        assert [("message", 1)] == await take(events, 1)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, False),
        ({"body": "text"}, False),
        ({"body": {"redelivered": True}}, True),
    ],
)
def test_redelivered(message: dict[str, Any], expected: bool) -> None:
    """An event says whether the server had sent it before."""
    assert expected == VantiqEvent(what="message", message=message).redelivered


@pytest.mark.parametrize("body", [None, {}, {"partitionId": 1}, {"sequenceId": 1}])
async def test_what_cannot_be_acknowledged(
    server: ScriptedVantiq, client: Vantiq, body: Any
) -> None:
    """An event without partition and sequence is refused by name."""
    event = VantiqEvent(what="message", message={"body": body})
    async with client.events(*PLACE) as events:
        with pytest.raises(VantiqException, match=r"python\.ack\.no"):
            await events.ack(event)


async def test_token_is_fresh_for_a_connection(server: ScriptedVantiq) -> None:
    """A token of the given age is refreshed before the WebSocket gets it."""
    server.answer("POST /authenticate/refresh", Answer(200, {"accessToken": "new"}))
    options = VantiqOptions(refresh_after=0.001)
    async with Vantiq(server.url, options=options) as client:
        await client.set_access_token("old")
        await asyncio.sleep(0.01)
        await client.start_subscriber_transport()

    assert ["new"] == [frame["object"] for frame in server.frames]


async def test_callback_for_the_end_may_raise(
    server: ScriptedVantiq, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the application at the end is logged."""

    async def ended() -> None:
        raise RuntimeError("my fault")

    client.register_subscriber_on_close(ended)
    await client.start_subscriber_transport()
    await client.close()

    assert "my fault" in caplog.text


async def test_leaving_what_was_never_entered(client: Vantiq) -> None:
    """Without a transport there is nothing to leave."""
    assert not await client.unsubscribe(*PLACE)


async def test_feed_needs_a_token(server: ScriptedVantiq) -> None:
    """Without a token no transport is started."""
    client = Vantiq(server.url)
    with pytest.raises(VantiqException, match=r"subscriber\.notauthenticated"):
        await client.start_subscriber_transport()


async def test_feed_needs_a_transport(client: Vantiq) -> None:
    """Without a transport nothing is acknowledged."""
    with pytest.raises(VantiqException, match="notransport"):
        await client.ack(TOPIC, "s", {"partitionId": 1, "sequenceId": 2})


async def test_acknowledging(server: ScriptedVantiq, client: Vantiq) -> None:
    """An event of a persistent subscription is acknowledged by its name."""
    server.names[TOPIC] = "sub-1"
    async with client.events(*PLACE, params={"persistent": True}) as events:
        await server.push(TOPIC, 1, partitionId=1, sequenceId=2)
        async with asyncio.timeout(2):
            await events.ack(await anext(events))
            await server.heard(3)

    assert "sub-1" == server.frames[2]["parameters"]["subscriptionName"]
