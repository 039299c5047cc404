"""
What the SDK that :mod:`asynctasks.vantiq` replaces does wrong, and ours does right.

Each test is one defect of vantiqsdk 1.6.0; its sentence says what ours does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import copy
import inspect
import logging
from pathlib import Path
import pickle
import socket
import ssl
import subprocess
import sys
import time
from typing import Any

import aiohttp
from aiohttp import web
import attrs
import pytest
import trustme

from asynctasks.sansio.retry import RetryPolicy
import asynctasks.vantiq
from asynctasks.vantiq import (
    Currency,
    Vantiq,
    VantiqException,
    VantiqOptions,
    VantiqResources,
    execute_procedure,
)
from tests.vantiq_scripted import Answer, ScriptedVantiq


Told = list[tuple[str, Any]]

TOPIC = "/topics/t"
QUICK = VantiqOptions(
    connect_timeout=0.5, retry=RetryPolicy(attempts=2, wait_initial=0.01, wait_jitter=0)
)
SOON = 2.0
"""Seconds that a test waits for what comes at once."""


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


@pytest.fixture
async def client(server: ScriptedVantiq) -> AsyncIterator[Vantiq]:
    """Talk to the server with a token."""
    async with Vantiq(server.url, options=QUICK) as vantiq:
        await vantiq.set_access_token("tok")
        yield vantiq


class Callback:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: Told = []
        self._more = asyncio.Event()

    async def __call__(self, what: str, message: dict[str, Any]) -> None:
        self.told.append((what, message.get("value")))
        self._more.set()

    async def until(self, count: int, what: str = "message") -> Told:
        """Wait until so many of a kind were told."""
        async with asyncio.timeout(SOON):
            while len([t for t in self.told if t[0] == what]) < count:
                self._more.clear()
                await self._more.wait()
        return self.told


async def subscribe(client: Vantiq, topic: str = "/t", **more: Any) -> Callback:
    callback = more.pop("callback", Callback())
    response = await client.subscribe(
        VantiqResources.TOPICS, topic, None, callback, **more
    )
    assert response.is_success
    return callback


def port_of_nobody() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


# --- hangs -------------------------------------------------------------------


async def test_refused_socket_is_an_error() -> None:
    """Subscribing where nobody listens raises within the connect timeout."""
    async with Vantiq(f"http://127.0.0.1:{port_of_nobody()}", options=QUICK) as client:
        await client.set_access_token("tok")
        async with asyncio.timeout(SOON):
            with pytest.raises(VantiqException, match="cannot connect"):
                await client.start_subscriber_transport()
            with pytest.raises(VantiqException, match=r"subtransport\.failed"):
                await subscribe(client)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_failed_handshake_is_an_error(
    server: ScriptedVantiq, client: Vantiq, status: int
) -> None:
    """A server that opens no WebSocket is reported, and no redirect is followed."""
    server.handshake_status = status
    with pytest.raises(VantiqException, match=r"subtransport\.failed"):
        await subscribe(client)


async def test_silent_server_is_an_error(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A server that never answers to the token is given up in time."""
    server.validation = None
    async with asyncio.timeout(SOON):
        with pytest.raises(VantiqException, match="does not say"):
            await subscribe(client)


async def test_close_before_the_answer_is_an_error(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A server that hangs up instead of answering is reported."""

    server.validation = None
    asyncio.get_running_loop().call_later(0.05, server.cut)
    with pytest.raises(VantiqException, match=r"subtransport\.failed"):
        await subscribe(client)


@pytest.mark.parametrize("body", [[], {}, None, "no", [{"error": "no"}]])
async def test_refused_token_is_an_error_whatever_its_form(
    server: ScriptedVantiq, client: Vantiq, body: Any
) -> None:
    """A refusal without code and message is a refusal too."""
    server.validation = {"status": 401, "body": body}
    with pytest.raises(VantiqException, match=r"connect\.failed.* 401") as caught:
        await subscribe(client)

    assert 401 == caught.value.params[0]


async def test_many_unread_downloads_block_nobody(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """However many downloads are open and unread, the next request is sent."""
    server.answer("GET /docs/a", Answer(200, b"x" * 300_000))
    unread = [await client.download("/docs/a") for _ in range(110)]
    response = await client.select_one("T", "1", timeout=SOON)

    assert response.is_success
    assert 300_000 == len(await unread[0].body.read())


# --- lost data ---------------------------------------------------------------


@pytest.mark.parametrize("key", ["", None])
async def test_empty_id_deletes_nothing(
    server: ScriptedVantiq, client: Vantiq, key: Any
) -> None:
    """An empty id is refused; it does not stand for all."""
    with pytest.raises(VantiqException, match="must not be empty"):
        await client.delete_one("T", key)
    with pytest.raises(VantiqException, match="must not be empty"):
        await client.update("T", key, {"a": 1})

    assert [] == server.requests


async def test_ids_are_not_cut(server: ScriptedVantiq, client: Vantiq) -> None:
    """A question mark or a hash in an id does not end it."""
    await client.delete_one(VantiqResources.USERS, "a?b")
    await client.delete_one(VantiqResources.USERS, "a#b")

    assert [
        "/api/v1/resources/users/a%3Fb",
        "/api/v1/resources/users/a%23b",
    ] == [seen.url for seen in server.requests]


async def test_ids_do_not_climb(server: ScriptedVantiq, client: Vantiq) -> None:
    """An id cannot name another resource."""
    with pytest.raises(VantiqException, match="path part"):
        await client.delete_one("T", "../../users/admin")

    assert [] == server.requests


async def test_empty_content_is_uploaded(
    server: ScriptedVantiq, client: Vantiq, tmp_path: Path
) -> None:
    """Empty content in memory is content; no local file is read instead."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    await client.upload(VantiqResources.DOCUMENTS, "text/plain", str(secret), inmem=b"")

    assert b"secret\r\n" not in server.requests[0].body
    assert b"\r\n\r\n\r\n--" in server.requests[0].body


async def test_quote_in_a_name_stays_a_quote(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A quote in the name of a document does not end the header's value."""
    await client.upload(
        VantiqResources.DOCUMENTS, "text/plain", 'a"; x="b', None, "content"
    )

    assert b'filename="a%22; x=%22b"\r\n' in server.requests[0].body


# --- leaked credentials ------------------------------------------------------


async def test_token_stays_at_home(server: ScriptedVantiq, client: Vantiq) -> None:
    """A download from another origin goes without the token."""
    client.set_target_namespace("ns")
    async with ScriptedVantiq().running() as other:
        response = await client.download(f"{other.url}/x")
        await response.body.read()
        headers = {name.lower() for name in other.requests[0].headers}

    assert response.is_success
    assert not {"authorization", "x-target-namespace"} & headers


async def test_headers_of_the_caller_are_not_changed(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """The token is not written into the caller's dict."""
    headers = {"X-Y": "z"}
    await client.execute("p", {}, headers)

    assert {"X-Y": "z"} == headers
    assert "z" == server.requests[0].headers["X-Y"]


# --- the dead subscriber -----------------------------------------------------


async def test_callback_that_raises_harms_nobody(
    server: ScriptedVantiq, client: Vantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a callback is logged, and the events go on, for it too."""

    class Raising(Callback):
        async def __call__(self, what: str, message: dict[str, Any]) -> None:
            await super().__call__(what, message)
            raise RuntimeError("my fault")

    raising = await subscribe(client, callback=Raising())
    other = await subscribe(client, "/u")
    for n in range(2):
        await server.push(TOPIC, n)
        await server.push("/topics/u", n)

    assert [("connect", None), ("message", 0), ("message", 1)] == await raising.until(2)
    assert [("connect", None), ("message", 0), ("message", 1)] == await other.until(2)
    assert "my fault" in caplog.text


async def test_bad_frame_harms_nobody(server: ScriptedVantiq, client: Vantiq) -> None:
    """A frame that is no JSON is skipped."""
    callback = await subscribe(client)
    await server.say("{")
    await server.say(b"\xff\xfe")
    await server.say([1])
    await server.push(TOPIC, 1)

    assert ("message", 1) in await callback.until(1)


async def test_large_event_is_an_event(server: ScriptedVantiq, client: Vantiq) -> None:
    """An event of more than a megabyte arrives."""
    callback = await subscribe(client)
    await server.push(TOPIC, "x" * 5_000_000)
    await server.push(TOPIC, 1)

    assert [5_000_000, 1] == [
        len(value) if isinstance(value, str) else value
        for what, value in await callback.until(2)
        if what == "message"
    ]


async def test_connection_comes_back(server: ScriptedVantiq, client: Vantiq) -> None:
    """After the server hung up, the subscription goes on, and tells of the gap."""
    callback = await subscribe(client)
    server.cut()
    await callback.until(2, "connect")
    await server.push(TOPIC, 1)
    told = await callback.until(1)

    assert ["connect", "gap", "connect", "message"] == [what for what, _ in told]
    assert [TOPIC, TOPIC] == server.subscribed()


async def test_ended_subscription_can_be_made_again(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """After the server ended a subscription, its path is free."""
    unsubscribed = {
        "status": 100,
        "headers": {"X-Request-Id": TOPIC},
        "body": {"op": "unsubscribe", "path": TOPIC},
    }
    gone = {"status": 410, "headers": {"X-Request-Id": TOPIC}, "body": []}
    for frame, what in ((unsubscribed, "message"), (gone, "error")):
        callback = await subscribe(client)
        await server.say(frame)
        await callback.until(1, what)
    callback = await subscribe(client)
    await server.push(TOPIC, 1)

    assert ("message", 1) in await callback.until(1)


async def test_first_subscriptions_at_once_share_a_connection(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """However many subscribe first, there is one connection and all succeed."""
    await asyncio.gather(*[subscribe(client, f"/t{n}") for n in range(5)])

    assert 1 == server.handshakes
    assert 5 == len(set(server.subscribed()))


# --- delivery ----------------------------------------------------------------


async def test_slow_callback_delays_nobody_else(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A callback that takes its time holds up its own events only."""
    hold = asyncio.Event()

    async def slow(what: str, message: dict[str, Any]) -> None:
        await hold.wait()

    await subscribe(client, callback=slow)
    quick = await subscribe(client, "/u")
    await server.push(TOPIC, 1)
    await server.push("/topics/u", 1)

    assert ("message", 1) in await quick.until(1)
    hold.set()


async def test_second_subscription_changes_nothing(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """Subscribing again is refused; the first callback goes on, and hears once."""
    first, second = await subscribe(client), Callback()
    response = await client.subscribe(VantiqResources.TOPICS, "/t", None, second)
    await server.push(TOPIC, 1)

    assert not response.is_success
    assert ["io.vantiq.python.subscribed"] == [e.code for e in response.errors or []]
    assert [("connect", None), ("message", 1)] == await first.until(1)
    assert [] == second.told
    assert [TOPIC] == server.subscribed()


async def test_refused_subscription_is_a_failure(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """What the server refuses is no success."""
    errors = [{"code": "io.vantiq.no", "message": "no {0}", "params": ["t"]}]
    server.refusals[TOPIC] = {"status": 404, "body": errors}
    callback = Callback()
    response = await client.subscribe(VantiqResources.TOPICS, "/t", None, callback)

    assert (False, 404) == (response.is_success, response.status_code)
    assert ["io.vantiq.no"] == [error.code for error in response.errors or []]
    assert [("error", None)] == await callback.until(1, "error")


async def test_topic_without_a_slash(server: ScriptedVantiq, client: Vantiq) -> None:
    """A topic gets the slash that it needs."""
    await subscribe(client, "t")

    assert [TOPIC] == server.subscribed()


# --- errors ------------------------------------------------------------------


@pytest.mark.parametrize("call", ["authenticate", "refresh"])
async def test_failed_authentication_has_the_servers_code(
    server: ScriptedVantiq, client: Vantiq, call: str
) -> None:
    """A refused password or token raises with what the server says."""
    code = "io.vantiq.authentication.failed"
    errors = [{"code": code, "message": "Unauthorized", "parms": []}]
    server.answer("GET /authenticate", Answer(401, errors))
    server.answer("POST /authenticate/refresh", Answer(401, errors))
    calling = client.refresh()
    if call == "authenticate":
        calling.close()
        calling = client.authenticate("u", "p")
    with pytest.raises(VantiqException, match="Unauthorized") as caught:
        await calling

    assert (code, 401) == (caught.value.code, caught.value.status)


async def test_error_without_params_keeps_its_code(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """An error that has no params is read all the same."""
    server.answer(
        "GET /api/v1/resources/custom/T/1", Answer(404, [{"code": "c", "message": "m"}])
    )
    response = await client.select_one("T", "1")

    assert [("c", "m")] == [(e.code, e.message) for e in response.errors or []]


async def test_errors_of_transfers_are_read(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A download or upload that fails says why."""
    refused = Answer(404, [{"code": "c", "message": "m", "params": []}])
    server.answer("GET /docs/a", refused)
    server.answer("POST /api/v1/resources/documents", refused)
    download = await client.download("/docs/a")
    upload = await client.upload(VantiqResources.DOCUMENTS, "text/plain", "a", None, "")

    for response in (download, upload):
        assert (False, 404, None) == (
            response.is_success,
            response.status_code,
            response.body,
        )
        assert ["c"] == [error.code for error in response.errors or []]


async def test_timeout_says_that_it_is_one(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """An answer that does not come in time is an error that says so."""

    patience = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await patience.wait()
        return web.Response()

    server.answer("GET /api/v1/resources/custom/T/1", slowly)
    with pytest.raises(VantiqException, match=r"no answer within 0.1 s") as caught:
        await client.select_one("T", "1", timeout=0.1)
    patience.set()

    assert isinstance(caught.value.__cause__, TimeoutError)
    assert caught.value.retryable


def test_braces_in_messages_do_no_harm() -> None:
    """A message with braces that name no parameter can be raised and shown."""
    error = VantiqException("c", "('{name=foo}') {0} {7} {", ["x"])

    assert "VantiqException: code: c, message=('{name=foo}') x {7} {" == str(error)


def test_exceptions_travel() -> None:
    """An exception can be pickled and copied."""
    error = VantiqException("c", "m {0}", ["x"])

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(error), error.code, error.params) == (
            str(twin),
            twin.code,
            twin.params,
        )


@pytest.mark.parametrize("call", ["download", "upload"])
async def test_transfers_need_a_token(server: ScriptedVantiq, call: str) -> None:
    """Before authentication a transfer is refused by name."""
    client = Vantiq(server.url)
    transfer = client.download("/docs/a")
    if call == "upload":
        transfer.close()
        transfer = client.upload(VantiqResources.DOCUMENTS, "text/plain", "a", None, "")
    with pytest.raises(VantiqException, match=r"request\.notauthenticated"):
        await transfer


# --- life cycle --------------------------------------------------------------


async def test_closing_at_any_moment(server: ScriptedVantiq) -> None:
    """A client can be closed before it was connected, and twice."""
    client = Vantiq(server.url)
    await client.close()
    await client.connect()
    await client.close()
    await client.close()

    assert not client.is_authenticated()


async def test_registration_needs_no_transport(server: ScriptedVantiq) -> None:
    """A callback for the end can be registered before there is a transport."""
    ends: list[str] = []

    async def ended() -> None:
        ends.append("over")

    client = Vantiq(server.url)
    client.register_subscriber_on_close(ended)
    await client.set_access_token("tok")
    await client.start_subscriber_transport()
    await client.close()

    assert ["over"] == ends


async def test_acknowledging_without_a_transport(client: Vantiq) -> None:
    """An acknowledgement that cannot be sent is refused by name."""
    with pytest.raises(VantiqException, match="notransport"):
        await client.ack("/topics/t", "s", {"partitionId": 1, "sequenceId": 2})


async def test_end_is_told_once_and_only_when_it_is_over(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A connection that comes back is no end; closing the client is one."""
    ends: list[str] = []

    async def ended() -> None:
        ends.append("over")

    client.register_subscriber_on_close(ended)
    task = await client.start_subscriber_transport()
    callback = await subscribe(client)
    server.cut()
    await callback.until(2, "connect")

    assert [] == ends
    await client.close()
    assert ["over"] == ends
    assert task is not None
    assert task.done()
    assert task.exception() is None


async def test_closed_client_can_be_used_again(server: ScriptedVantiq) -> None:
    """After close, the client connects anew."""
    client = Vantiq(server.url)
    for _ in range(2):
        async with client:
            await client.set_access_token("tok")
            assert (await client.select("T")).is_success
            await subscribe(client)

    assert 2 == server.handshakes


async def test_procedure_does_not_close_the_client(client: Vantiq) -> None:
    """Executing a procedure leaves a client open that was open."""
    await execute_procedure(client, "p", {})

    assert client.is_authenticated()
    assert (await client.select("T")).is_success


# --- configuration -----------------------------------------------------------


@pytest.fixture
async def secured() -> AsyncIterator[tuple[ScriptedVantiq, ssl.SSLContext]]:
    """Serve with a certificate that only its authority's friends trust."""
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    async with ScriptedVantiq().running(theirs) as scripted:
        yield scripted, ours


async def test_connection_arguments_reach_the_websocket(
    secured: tuple[ScriptedVantiq, ssl.SSLContext],
) -> None:
    """``ssl`` holds for requests and for the WebSocket alike."""
    server, trusting = secured
    for setting in (trusting, False):
        async with Vantiq(server.url, ssl=setting) as client:
            await client.set_access_token("tok")
            assert (await client.select("T")).is_success
            await subscribe(client)
    async with Vantiq(server.url, options=QUICK) as client:
        await client.set_access_token("tok")
        with pytest.raises(VantiqException, match="trusted TLS"):
            await client.select("T")
        with pytest.raises(VantiqException, match="trusted TLS"):
            await client.start_subscriber_transport()


@pytest.mark.parametrize(
    "setting", [False, ssl.create_default_context()], ids=["off", "context"]
)
async def test_tls_settings_do_not_disturb_plain_http(
    server: ScriptedVantiq, setting: Any
) -> None:
    """``ssl`` may be given for a server without TLS."""
    async with Vantiq(server.url, ssl=setting) as client:
        await client.set_access_token("tok")
        assert (await client.select("T")).is_success
        await subscribe(client)


async def test_fingerprint_is_a_tls_setting(
    secured: tuple[ScriptedVantiq, ssl.SSLContext],
) -> None:
    """``aiohttp.Fingerprint`` is honoured: a wrong one is refused."""
    server, _ = secured
    wrong = aiohttp.Fingerprint(b"\0" * 32)
    async with Vantiq(server.url, ssl=wrong, options=QUICK) as client:
        await client.set_access_token("tok")
        with pytest.raises(VantiqException):
            await client.select("T")


async def test_headers_of_the_connection_reach_both(server: ScriptedVantiq) -> None:
    """Headers that are given for the connection go with every request."""
    async with Vantiq(server.url, headers={"X-Gate": "g"}) as client:
        await client.set_access_token("tok")
        await client.select("T")

    assert "g" == server.requests[0].headers["X-Gate"]


async def test_prefix_and_host_names(server: ScriptedVantiq) -> None:
    """A path below the server is kept, for the WebSocket too."""
    async with Vantiq(f"{server.url}/http-gw/") as client:
        await client.set_access_token("tok")
        await client.select("T")
        await subscribe(client)

    assert "/http-gw/api/v1/resources/custom/T" == server.requests[0].url
    assert f"{server.url}/http-gw" == client.get_server()


async def test_netrc_and_proxies_are_not_asked(
    server: ScriptedVantiq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the environment gets into a request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with Vantiq(server.url) as client:
        await client.set_access_token("tok")
        assert (await client.select("T")).is_success

    assert "Bearer tok" == server.requests[0].headers["Authorization"]


async def test_refusals_that_pass_are_repeated(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """A read is repeated after a passing refusal, when the server wants it."""
    call = "GET /api/v1/resources/custom/T"
    server.answer(
        call, Answer(503, [], {"Retry-After": "0.2"}), Answer(200, [{"a": 1}])
    )
    begun = time.monotonic()
    response = await client.select("T")

    assert [{"a": 1}] == response.body
    assert 0.2 <= time.monotonic() - begun


async def test_changes_are_not_repeated(server: ScriptedVantiq, client: Vantiq) -> None:
    """What may have been done is not done again."""
    server.answer("POST /api/v1/resources/custom/T", Answer(503, []), Answer(200, {}))
    response = await client.insert("T", {"a": 1})

    assert not response.is_success
    assert 1 == len(server.requests)


async def test_token_is_refreshed_on_request(server: ScriptedVantiq) -> None:
    """A token of the given age is exchanged once, however many requests wait."""
    server.answer(
        "POST /authenticate/refresh",
        Answer(200, {"accessToken": "new", "idToken": "i"}),
    )
    async with Vantiq(server.url, options=VantiqOptions(refresh_after=0.05)) as client:
        await client.set_access_token("old")
        await asyncio.sleep(0.06)
        await asyncio.gather(*[client.select("T") for _ in range(10)])

    refreshes = [s for s in server.requests if s.url == "/authenticate/refresh"]
    assert [b"old"] == [seen.body for seen in refreshes]
    assert {"Bearer new"} == {
        seen.headers["Authorization"]
        for seen in server.requests
        if seen not in refreshes
    }


# --- arguments and values ----------------------------------------------------


async def test_arguments_are_not_changed(
    server: ScriptedVantiq, client: Vantiq
) -> None:
    """What the caller gave is the caller's."""
    row = {"_id": 1, "a": {"_id": 2}}
    params = {"persistent": True}
    kept = copy.deepcopy((row, params))
    await client.upsert("T", row)
    await client.update("T", "x", row)
    await subscribe(client, params=params)

    assert kept == (row, params)
    assert [{"a": {"_id": 2}}] * 2 == [seen.json for seen in server.requests]


async def test_values_can_be_sent(server: ScriptedVantiq, client: Vantiq) -> None:
    """Money, decimals and instants are sent in their external form."""
    value = {"price": Currency("12.34", "USD")}
    await client.insert("T", value)
    await client.update("T", "x", value)
    await client.publish(VantiqResources.TOPICS, "/t", value)
    await client.execute("p", value)
    await client.select("T", where=value)

    sent = [seen.body for seen in server.requests[:4]]
    assert [b'{"price": "USD:12.34"}'] * 4 == sent
    assert "USD:12.34" in server.requests[4].url


# --- packaging ---------------------------------------------------------------


def test_package_is_typed() -> None:
    """Type checkers see the types of the client."""
    assert (Path(asynctasks.vantiq.__file__).parent / "py.typed").is_file()
    signature = inspect.signature(Vantiq.select)
    assert "VantiqResponse" == signature.return_annotation


def test_client_stands_on_its_own() -> None:
    """The client needs none of the libraries of the SDK that it replaces."""
    program = (
        "import sys, asynctasks.vantiq; "
        "print(*{'vantiqsdk', 'websockets', 'requests', 'urllib3'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        timeout=30,
    )

    assert "" == done.stdout.strip()


async def test_warnings_of_danger(
    server: ScriptedVantiq, caplog: pytest.LogCaptureFixture
) -> None:
    """Certificates that nobody checks, and clear text, are warned of once."""
    with caplog.at_level(logging.WARNING, "Vantiq"):
        for url, setting in ((server.url, False), ("http://far.example", None)):
            client = Vantiq(url, ssl=setting)
            await client.connect()
            await client.connect()
            await client.close()

    assert ["not verified", "in the clear"] == [
        phrase
        for record in caplog.records
        for phrase in ("not verified", "in the clear")
        if phrase in record.getMessage()
    ]


def test_options_say_what_can_be_set() -> None:
    """Every option has a default."""
    assert VantiqOptions() == attrs.evolve(VantiqOptions())
    with pytest.raises(ValueError, match="queue_policy"):
        VantiqOptions(queue_policy="panic")
