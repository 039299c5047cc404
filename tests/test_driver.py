"""Each policy has one owner: flows, credentials, redirects, retries, the lane."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
import json
import logging
import random
from typing import Any

import pytest

from asynctasks.driver import Driver, Limits
from asynctasks.exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    InvalidState,
    NotFound,
    RateLimited,
    RemoteProtocolError,
    ResponseDecodeError,
    ServiceBroken,
    TransportError,
    UnexpectedContent,
    UntrustedUrl,
)
from asynctasks.files import StreamBody
from asynctasks.hooks import Hooks, RequestDetails, RetryDetails
from asynctasks.lanes import SHARES, Kind, Lanes
from asynctasks.sansio.answers import expect
from asynctasks.sansio.auth import Auth, AuthFlow, NoAuth, api_key, bearer
from asynctasks.sansio.http import Flow, Headers, Request, Response, Sleep
from asynctasks.sansio.retry import NO_RETRY, RetryPolicy, outcome_unknown
from asynctasks.testing import MemoryTransport
from asynctasks.transport import Download


HOME = "https://acme.example"
BLOBS = "https://blobs.example"
GET = Request("GET", "/tasks/7")
SUBMIT = Request("POST", "/tasks/svc", body=b"{}")
LOGGER = logging.getLogger("tests.driver")

Handler = Callable[[Request], Response | Awaitable[Response]]


def drive_on(
    transport: MemoryTransport,
    auth: Auth | None = None,
    *,
    width: int = 64,
    trusted: tuple[str, ...] = (),
    **policies: Any,
) -> Driver:
    return Driver(
        Lanes(transport, width=width),
        origin=HOME,
        auth=NoAuth() if auth is None else auth,
        retry=policies.get("retry", RetryPolicy()),
        limits=policies.get("limits", Limits()),
        trusted_origins=trusted,
        hooks=Hooks((), LOGGER),
        dice=random.Random(7),
    )


def ask(request: Request = GET) -> Flow[Response]:
    """Ask once and return the answer as it is."""
    return (yield request)


def scripted(*outcomes: Response | BaseException) -> MemoryTransport:
    """Answer with these, one after the other."""
    left = list(outcomes)

    def handler(_: Request) -> Response:
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return MemoryTransport(handler)


def sent(transport: MemoryTransport, name: str = "apiKey") -> list[str | None]:
    """Return the values of a header of all requests that were sent."""
    return [request.headers.get(name) for request in transport.requests]


# --- flows -------------------------------------------------------------------


async def test_a_flow_is_sent_the_answers() -> None:
    """A flow gets the answers of its requests and its value is returned."""

    def flow() -> Flow[tuple[int, int]]:
        first = yield GET
        second = yield SUBMIT
        return first.status, second.status

    transport = scripted(Response(200), Response(404))

    assert (200, 404) == await drive_on(transport).drive(flow())
    assert [f"{HOME}/tasks/7", f"{HOME}/tasks/svc"] == [
        request.url for request in transport.requests
    ]


async def test_a_flow_that_asks_nothing() -> None:
    """A flow that yields nothing needs no transport."""

    def flow() -> Flow[int]:
        yield from ()
        return 7

    assert 7 == await drive_on(scripted()).drive(flow())


@pytest.mark.virtual_time
async def test_a_flow_sleeps() -> None:
    """A flow that wants to wait waits on the transport's clock."""

    def flow() -> Flow[int]:
        yield Sleep(3600)
        response = yield GET
        yield Sleep(1800)
        return response.status

    clock = asyncio.get_running_loop().time
    begun = clock()
    status = await drive_on(scripted(Response(200))).drive(flow())

    assert (200, 5400) == (status, pytest.approx(clock() - begun, abs=1))


async def test_transport_errors_are_thrown_into_the_flow() -> None:
    """A flow may go on after a transport error."""

    def flow() -> Flow[tuple[str, int]]:
        try:
            yield SUBMIT
        except ConnectionLost as exc:
            reason = exc.reason
        response = yield GET
        return reason, response.status

    transport = scripted(ConnectionLost("reset"), Response(200))

    assert ("reset", 200) == await drive_on(transport).drive(flow())


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ConnectionLost("reset"), ConnectionLost),
        (Response(404), NotFound),
        (Response(302), RemoteProtocolError),
    ],
    ids=["transport", "refusal", "protocol"],
)
async def test_errors_name_their_request(
    outcome: Response | BaseException, expected: type[AsyncTasksError]
) -> None:
    """What a flow raises says which request it was about, without its query."""

    def flow() -> Flow[Response]:
        request = Request("POST", "/tasks/svc?key=secret", Headers({"a": "b"}), b"c")
        return expect((yield request), 200)

    with pytest.raises(expected) as caught:
        await drive_on(scripted(outcome)).drive(flow())

    assert Request("POST", "/tasks/svc", replayable=False) == caught.value.request


async def test_errors_before_any_request() -> None:
    """What a flow raises before it asks has no request."""

    def flow() -> Flow[None]:
        yield from ()
        raise ConnectionLost("mine")

    with pytest.raises(ConnectionLost) as caught:
        await drive_on(scripted()).drive(flow())

    assert None is caught.value.request


async def test_errors_keep_their_request() -> None:
    """An error that knows its request keeps it."""
    error = ConnectionLost("reset", Request("GET", "/other"))
    with pytest.raises(ConnectionLost) as caught:
        await drive_on(scripted(error), retry=NO_RETRY).drive(ask())

    assert "/other" == caught.value.request.url


async def test_a_cancelled_flow_is_closed() -> None:
    """A flow whose driver is cancelled is closed, and nothing is left running."""
    closed = []

    def flow() -> Flow[None]:
        try:
            yield GET
        finally:
            closed.append(True)

    async def forever(_: Request) -> Response:
        await asyncio.sleep(3600)
        raise AssertionError

    driving = asyncio.ensure_future(drive_on(MemoryTransport(forever)).drive(flow()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving

    assert [True] == closed


# --- the lane ----------------------------------------------------------------


async def test_a_closed_lane() -> None:
    """After close nothing is sent."""
    transport = scripted()
    driver = drive_on(transport)
    driver.lanes.closed = True
    with pytest.raises(InvalidState, match="the client is closed"):
        await driver.drive(ask())
    with pytest.raises(InvalidState, match="the client is closed"):
        async with driver.open(GET):
            pass

    assert [] == transport.requests


def test_another_loop() -> None:
    """A client belongs to the loop of its first use."""
    driver = drive_on(scripted(Response(200)))
    asyncio.run(driver.drive(ask()))
    with pytest.raises(InvalidState, match="another event loop"):
        asyncio.run(driver.drive(ask()))


@pytest.mark.virtual_time
@pytest.mark.parametrize("width", [1, 3, 64])
async def test_the_width_of_the_lane(width: int) -> None:
    """No more requests run at once than their lane is wide: a share of the width."""
    running = most = 0

    async def handler(_: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return Response(200)

    driver = drive_on(MemoryTransport(handler), width=width)
    await asyncio.gather(*[driver.drive(ask()) for _ in range(100)])

    assert max(1, round(width * SHARES[Kind.ADMIN])) == most


@pytest.mark.virtual_time
async def test_waits_do_not_hold_the_lane() -> None:
    """Between two attempts the lane is free for others."""
    answers = {"/bad": Response(503, Headers({"Retry-After": "10"}))}

    def handler(request: Request) -> Response:
        return answers.get(request.path, Response(200))

    driver = drive_on(MemoryTransport(handler), width=1)
    waiting = asyncio.ensure_future(driver.drive(ask(Request("GET", "/bad"))))
    await asyncio.sleep(1)
    answers.clear()

    assert 200 == (await driver.drive(ask())).status
    assert not waiting.done()
    assert 200 == (await waiting).status


# --- retries -----------------------------------------------------------------


@pytest.mark.virtual_time
async def test_attempts_are_counted() -> None:
    """An answer says how many attempts it took."""
    transport = scripted(
        ConnectError("refused"), ConnectionLost("reset"), Response(503), Response(200)
    )
    response = await drive_on(transport).drive(ask())

    assert (200, 4, 4) == (
        response.status,
        response.attempts,
        len(transport.requests),
    )


@pytest.mark.virtual_time
async def test_errors_count_attempts() -> None:
    """An error says how many attempts there were before it."""
    transport = scripted(*[ConnectionLost("reset")] * 3)
    with pytest.raises(ConnectionLost) as caught:
        await drive_on(transport, retry=RetryPolicy(attempts=3)).drive(ask())

    assert 3 == caught.value.attempts


@pytest.mark.parametrize(
    ("outcomes", "attempts"),
    [
        ([ConnectionLost("reset")], 1),
        ([AttemptTimeout("30 s")], 1),
        ([ConnectError("refused"), ConnectionLost("reset")], 2),
    ],
    ids=["lost", "timeout", "refused"],
)
@pytest.mark.virtual_time
async def test_a_submit_is_sent_once(
    outcomes: list[BaseException], attempts: int
) -> None:
    """A submit that may have arrived is not repeated; one that cannot have is."""
    transport = scripted(*outcomes)
    with pytest.raises(TransportError) as caught:
        await drive_on(transport).drive(ask(SUBMIT))

    assert (attempts, attempts) == (caught.value.attempts, len(transport.requests))


async def test_the_policy_of_one_call() -> None:
    """A call may bring a policy of its own."""
    transport = scripted(Response(503))
    response = await drive_on(transport).drive(ask(), retry=NO_RETRY)

    assert (503, 1) == (response.status, len(transport.requests))


JSON_GET = Request("GET", "/tasks/7", expect_json=True)
CUT_OFF = Response(200, body=b'{"id": "7')


@pytest.mark.virtual_time
async def test_an_answer_cut_off_is_asked_for_again() -> None:
    """A success that must be JSON and is not is repeated where that is harmless."""
    transport = scripted(CUT_OFF, Response(200, body=b""), Response(200, body=b"{}"))
    response = await drive_on(transport).drive(ask(JSON_GET))

    assert ({}, 3) == (response.json(), response.attempts)


@pytest.mark.parametrize(
    ("request_", "answer", "expected"),
    [
        (
            Request("POST", "/x", expect_json=True),
            CUT_OFF,
            ResponseDecodeError,
        ),
        (JSON_GET, Response(200, body=b"<html>Sign in"), UnexpectedContent),
        (GET, CUT_OFF, ResponseDecodeError),
        (JSON_GET, Response(404, body=b"{"), NotFound),
        (JSON_GET, Response(302, body=b"{"), RemoteProtocolError),
    ],
    ids=["submit", "page", "no-json", "refusal", "redirect"],
)
async def test_answers_that_stand(
    request_: Request, answer: Response, expected: type[AsyncTasksError]
) -> None:
    """Any other answer is the flow's to judge, at once."""

    def flow() -> Flow[Any]:
        return expect((yield request_), 200).json()

    transport = scripted(answer)
    with pytest.raises(expected):
        await drive_on(transport).drive(flow())

    assert 1 == len(transport.requests)


async def test_nothing_is_no_json() -> None:
    """A 204 has no body and needs none."""
    response = await drive_on(scripted(Response(204))).drive(ask(JSON_GET))

    assert (204, 1) == (response.status, response.attempts)


@pytest.mark.virtual_time
async def test_an_answer_that_is_never_whole() -> None:
    """The last answer goes to the flow, which says what is wrong with it."""

    def flow() -> Flow[Any]:
        return (yield JSON_GET).json()

    transport = scripted(*[CUT_OFF] * 3)
    with pytest.raises(ResponseDecodeError) as caught:
        await drive_on(transport, retry=RetryPolicy(attempts=3)).drive(flow())

    assert 3 == caught.value.attempts


async def hang(_: Request) -> Response:
    await asyncio.sleep(1e9)
    raise AssertionError


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("attempt_timeout", "expected", "attempts"),
    [(30.0, 45.0, 2), (100.0, 45.0, 1), (1.0, 45.0, 10)],
)
async def test_one_request_has_an_end(
    attempt_timeout: float, expected: float, attempts: int
) -> None:
    """The policy's time bounds all attempts and waits, the last attempt too."""
    transport = MemoryTransport(hang)
    driver = drive_on(transport, limits=Limits(attempt_timeout=attempt_timeout))
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(AttemptTimeout) as caught:
        await driver.drive(ask())

    assert attempts == caught.value.attempts
    assert clock() - begun <= expected + 0.01


@pytest.mark.virtual_time
async def test_slow_calls_have_their_own_clock() -> None:
    """A request that is known to be slow may take longer than the policy's time."""
    driver = drive_on(MemoryTransport(hang))
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(AttemptTimeout):
        await driver.drive(ask(Request("GET", "/slow", attempt_timeout=300)))

    assert 300 == pytest.approx(clock() - begun, abs=0.01)


class LateSleeper(MemoryTransport):
    """A transport whose sleeps end late, and that keeps the timeouts it is given."""

    def __init__(self) -> None:
        super().__init__(lambda _: Response(503))
        self.timeouts: list[float] = []

    async def send(
        self, request: Request, *, timeout: float, max_bytes: int
    ) -> Response:
        self.timeouts.append(timeout)
        return await super().send(request, timeout=timeout, max_bytes=max_bytes)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + 1000)


@pytest.mark.virtual_time
async def test_a_late_sleep_is_not_a_long_attempt() -> None:
    """When the time is over before the last attempt begins, it is a short one."""
    transport = LateSleeper()
    response = await drive_on(transport).drive(ask())

    assert (503, 2) == (response.status, response.attempts)
    assert 0 < transport.timeouts[1] < 0.1


async def test_what_the_log_says(caplog: pytest.LogCaptureFixture) -> None:
    """Attempts are logged, without queries and credentials."""
    caplog.set_level(logging.DEBUG, LOGGER.name)
    transport = scripted(Response(503), Response(200, body=b"{}"))
    driver = drive_on(
        transport, api_key("canary"), retry=RetryPolicy(wait_initial=0, wait_max=0)
    )
    await driver.drive(ask(Request("GET", "/tasks/7?token=canary")))

    assert [
        "> GET /tasks/7",
        "< 503 GET /tasks/7 (0 bytes)",
        "GET /tasks/7: 503; attempt 2 follows",
        "> GET /tasks/7",
        "< 200 GET /tasks/7 (2 bytes)",
    ] == [message.partition(" in 0.0")[0] for message in caplog.messages]


# --- credentials -------------------------------------------------------------


class Keys:
    """Hands out keys; the services accept the last one only."""

    def __init__(self, *, delay: float = 0.0) -> None:
        self.fetched = 0
        self.accepted = 1
        self._delay = delay

    async def fetch(self) -> str:
        await asyncio.sleep(self._delay)
        self.fetched += 1
        return f"k{self.fetched}"

    async def serve(self, request: Request) -> Response:
        await asyncio.sleep(self._delay)
        good = request.headers.get("apiKey") == f"k{self.accepted}"
        return Response(200 if good else 401)


async def test_a_key_is_fetched_once() -> None:
    """A key that is fetched is kept for all requests."""
    keys = Keys()
    driver = drive_on(MemoryTransport(keys.serve), api_key(keys.fetch))
    for _ in range(3):
        await driver.drive(ask())

    assert 1 == keys.fetched


@pytest.mark.virtual_time
async def test_many_want_the_first_key() -> None:
    """A hundred requests that all need the first key fetch it once."""
    keys = Keys(delay=1)
    driver = drive_on(MemoryTransport(keys.serve), api_key(keys.fetch))
    answers = await asyncio.gather(*[driver.drive(ask()) for _ in range(100)])

    assert ({200}, 1) == ({answer.status for answer in answers}, keys.fetched)


@pytest.mark.virtual_time
async def test_many_are_refused_at_once() -> None:
    """A hundred 401s lead to one renewal, and to one replay each."""
    keys = Keys(delay=1)
    transport = MemoryTransport(keys.serve)
    driver = drive_on(transport, api_key(keys.fetch), width=800)
    await driver.drive(ask())
    keys.accepted = 2
    answers = await asyncio.gather(*[driver.drive(ask(SUBMIT)) for _ in range(100)])

    assert ({200}, 2) == ({answer.status for answer in answers}, keys.fetched)
    assert 1 + 2 * 100 == len(transport.requests)


async def test_one_replay() -> None:
    """A renewed key that is refused too is told; there is no second renewal."""
    keys = Keys()
    keys.accepted = -1
    transport = MemoryTransport(keys.serve)
    response = await drive_on(transport, api_key(keys.fetch)).drive(ask())

    assert (401, 2, ["k1", "k2"]) == (
        response.status,
        keys.fetched,
        sent(transport),
    )


async def test_a_given_key_is_not_renewed() -> None:
    """A 401 to a key that was given is an answer."""
    transport = scripted(Response(401))
    response = await drive_on(transport, api_key("k")).drive(ask())

    assert (401, ["k"]) == (response.status, sent(transport))


async def test_anonymous_requests() -> None:
    """A request that must go without credentials does, and renews none."""
    keys = Keys()
    transport = scripted(Response(401))
    driver = drive_on(transport, api_key(keys.fetch))
    response = await driver.drive(ask(Request("GET", "/x", anonymous=True)))

    assert (401, 0, [None]) == (response.status, keys.fetched, sent(transport))


async def test_a_body_that_is_gone_is_not_sent_again() -> None:
    """After a 401 a one-shot body is not replayed; the next request has a new key."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"once"

    keys = Keys()
    transport = MemoryTransport(keys.serve)
    driver = drive_on(transport, api_key(keys.fetch))
    await driver.drive(ask())
    keys.accepted = 2
    body = StreamBody(pieces())
    refused = await driver.drive(ask(Request("POST", "/x", body=body)))
    accepted = await driver.drive(ask())

    assert (401, 200, ["k1", "k1", "k2"]) == (
        refused.status,
        accepted.status,
        sent(transport),
    )


@pytest.mark.virtual_time
async def test_a_renewal_that_fails_is_told_to_all_who_wait() -> None:
    """A failing renewal fails all who waited for it; the next request tries anew."""
    calls = 0

    async def fetch() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1)
        if calls == 1:
            raise ConnectionLost("the token service")
        return "k1"

    driver = drive_on(scripted(Response(200)), bearer(fetch))
    outcomes = await asyncio.gather(
        *[driver.drive(ask(SUBMIT)) for _ in range(100)], return_exceptions=True
    )

    assert 1 == calls
    assert {("the token service", False)} == {
        (exc.reason, exc.sent) for exc in outcomes if isinstance(exc, ConnectionLost)
    }
    assert 200 == (await driver.drive(ask())).status


@pytest.mark.virtual_time
async def test_a_renewal_that_is_cancelled_is_taken_over() -> None:
    """When the request that renews is cancelled, the next one that waits renews."""
    keys = Keys(delay=1)
    driver = drive_on(MemoryTransport(keys.serve), api_key(keys.fetch))
    first = asyncio.ensure_future(driver.drive(ask()))
    second = asyncio.ensure_future(driver.drive(ask()))
    await asyncio.sleep(0.5)
    first.cancel()
    response = await second

    assert (True, 200, 1) == (first.cancelled(), response.status, keys.fetched)


async def test_errors_of_the_callable() -> None:
    """What the caller's own callable raises comes back as it is."""

    async def fetch() -> str:
        raise KeyError("mine")

    transport = scripted()
    with pytest.raises(KeyError, match="mine"):
        await drive_on(transport, api_key(fetch)).drive(ask())

    assert [] == transport.requests


async def test_a_callable_that_is_not_async() -> None:
    """What it returns is not shown: it may be the key itself."""
    given: Any = lambda: "hidden"  # noqa: E731
    with pytest.raises(InvalidArgument, match="must be async") as caught:
        await drive_on(scripted(), api_key(given)).drive(ask())

    assert "hidden" not in str(caught.value)


class TokenService(Auth):
    """Signs with a token that a service hands out."""

    def __init__(self) -> None:
        self.token = ""

    @property
    def renewable(self) -> bool:
        return True

    def due(self, now: float) -> bool:
        return not self.token

    def renew(self) -> AuthFlow:
        response = yield Request("POST", f"{BLOBS}/token", replayable=True)
        yield Sleep(60)
        self.token = expect(response, 200).json()["token"]
        self.generation += 1

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.mark.virtual_time
async def test_renewals_that_ask_a_service() -> None:
    """A renewal is a conversation: unsigned, retried, at any origin, with pauses."""
    transport = scripted(
        Response(503), Response(200, body=b'{"token":"t1"}'), Response(200)
    )
    clock = asyncio.get_running_loop().time
    begun = clock()
    response = await drive_on(transport, TokenService()).drive(ask())

    assert 200 == response.status
    assert [None, None, "Bearer t1"] == sent(transport, "Authorization")
    assert f"{BLOBS}/token" == transport.requests[0].url
    assert 60 <= clock() - begun < 70


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(500), ServiceBroken),
        (Response(200, body=b"<html>"), UnexpectedContent),
        (ConnectionLost("reset"), ConnectionLost),
    ],
    ids=["refusal", "page", "reset"],
)
@pytest.mark.virtual_time
async def test_renewals_that_fail(
    answer: Response | BaseException, error: type[ServiceBroken]
) -> None:
    """What the service of tokens did is told of the request for the token."""
    driver = drive_on(scripted(answer), TokenService(), retry=NO_RETRY)
    with pytest.raises(error) as caught:
        await driver.drive(ask())

    assert Request("POST", f"{BLOBS}/token", replayable=True) == caught.value.request


@pytest.mark.virtual_time
async def test_every_waiter_has_an_error_of_its_own() -> None:
    """What one of them notes on it is not in those of the others."""

    async def refuse(_: Request) -> Response:
        await asyncio.sleep(1)
        return Response(500)

    driver = drive_on(MemoryTransport(refuse), TokenService(), retry=NO_RETRY)
    errors = await asyncio.gather(
        *[driver.drive(ask()) for _ in range(3)], return_exceptions=True
    )

    assert [ServiceBroken] * 3 == [type(error) for error in errors]
    assert 3 == len({id(error) for error in errors})


async def test_secrets_that_are_quoted_are_not_told() -> None:
    """No refusal shows the key that it quotes; a success is the caller's own."""
    quoting = [Response(status, body=b"canary-7") for status in (403, 200)]
    driver = drive_on(scripted(*quoting), api_key("canary-7"))
    answers = [await driver.drive(ask()) for _ in quoting]

    assert [b"...", b"canary-7"] == [answer.body for answer in answers]


@pytest.mark.parametrize("how", ["drive", "open"])
async def test_secrets_in_errors_of_the_transport(how: str) -> None:
    """What a broken answer quotes is in no error, wherever it is told."""
    told: list[Any] = []
    transport = scripted(ConnectionLost("garbage: canary-7"))
    driver = drive_on(transport, api_key("canary-7"), retry=NO_RETRY)
    driver.hooks = Hooks((told.append,), LOGGER)
    with pytest.raises(ConnectionLost) as caught:
        await result(driver, how)
    (details,) = told

    assert ["garbage: …"] * 2 == [caught.value.reason, details.error.reason]


async def test_credentials_stay_at_home() -> None:
    """A signed request to another origin is a mistake of ours, and not sent."""
    transport = scripted()
    driver = drive_on(transport, api_key("k"))
    with pytest.raises(InvalidState, match=f"credentials are meant for {HOME} only"):
        await driver.drive(ask(Request("GET", f"{BLOBS}/x")))

    assert [] == transport.requests


async def test_absolute_urls_at_home() -> None:
    """An absolute URL of the own origin is signed."""
    transport = scripted(Response(200))
    await drive_on(transport, api_key("k")).drive(ask(Request("GET", f"{HOME}/x")))

    assert (f"{HOME}/x", ["k"]) == (transport.requests[0].url, sent(transport))


async def test_the_credential_wins() -> None:
    """A header of the dialect cannot stand beside the credential of that name."""
    transport = scripted(Response(200))
    request = Request("GET", "/x", Headers({"APIKEY": "old", "Accept": "a/b"}))
    await drive_on(transport, api_key("k")).drive(ask(request))

    assert {"apikey": "k", "accept": "a/b"} == {
        name.lower(): value for name, value in transport.requests[0].headers.items()
    }


# --- redirects ---------------------------------------------------------------

RESULT = Request("GET", "/tasks/7/response?groupIndex=2", follow=True)


def redirect(location: str, status: int = 302) -> Response:
    return Response(status, Headers({"Location": location}))


async def result(driver: Driver, how: str, request: Request = RESULT) -> Response:
    """Fetch a result by either way."""
    if how == "drive":
        return await driver.drive(ask(request))
    async with driver.open(request) as download:
        body = b"".join([piece async for piece in download.chunks])
        return Response(
            download.head.status,
            download.head.headers,
            body or download.head.body,
            attempts=download.head.attempts,
        )


WAYS = pytest.mark.parametrize("how", ["drive", "open"])


@WAYS
@pytest.mark.parametrize(
    ("location", "url", "key"),
    [
        (f"{HOME}/blob/7", f"{HOME}/blob/7", "k"),
        ("https://ACME.example:443/blob/7", "https://ACME.example:443/blob/7", "k"),
        ("/blob/7?sig=%2B", f"{HOME}/blob/7?sig=%2B", "k"),
        ("blob", f"{HOME}/tasks/7/blob", "k"),
        (f"{BLOBS}/7?sig=s", f"{BLOBS}/7?sig=s", None),
    ],
    ids=["absolute", "spelling", "path", "relative", "trusted"],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_that_are_followed(
    how: str, location: str, url: str, key: str | None, status: int
) -> None:
    """A result may be elsewhere: at home signed, at a trusted origin unsigned."""
    transport = scripted(redirect(location, status), Response(200, body=b"6"))
    driver = drive_on(transport, api_key("k"), trusted=(BLOBS,))
    response = await result(driver, how)

    assert b"6" == response.body
    assert [(f"{HOME}{RESULT.url}", "k"), (url, key)] == [
        (request.url, request.headers.get("apiKey")) for request in transport.requests
    ]


@WAYS
@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/7",
        "//evil.example/7",
        "http://acme.example/7",
        "https://acme.example:8443/7",
        "https://acme.example@evil.example/7",
        "https://me:pw@acme.example/7",
        "file:///etc/passwd",
        "https://blobs.example.evil.example/7",
        "/\\evil.example/7",
    ],
)
async def test_redirects_that_are_refused(how: str, location: str) -> None:
    """A redirect to an origin that nobody trusts is an error; nothing is sent there."""
    transport = scripted(redirect(location))
    driver = drive_on(transport, api_key("k"), trusted=(BLOBS,))
    with pytest.raises(UntrustedUrl):
        await result(driver, how)

    assert 1 == len(transport.requests)


@WAYS
async def test_a_path_is_no_host(how: str) -> None:
    """Two slashes at the begin of a path make no host of what follows."""
    request = Request("GET", "//tasks/7", follow=True)
    transport = scripted(redirect("blob"), Response(200))
    await result(drive_on(transport), how, request)

    assert [f"{HOME}//tasks/7", f"{HOME}/tasks/blob"] == [
        request.url for request in transport.requests
    ]


@WAYS
async def test_a_key_that_ends_at_the_redirect(how: str) -> None:
    """The second request is signed anew, too, where the service asks for it."""
    keys = Keys()

    async def handler(request: Request) -> Response:
        if request.path == "/b":
            keys.accepted = 2
            return await keys.serve(request)
        return redirect("/b")

    transport = MemoryTransport(handler)
    response = await result(drive_on(transport, api_key(keys.fetch)), how)

    assert (200, ["k1", "k1", "k2"]) == (response.status, sent(transport))


@WAYS
async def test_a_second_hop(how: str) -> None:
    """A redirect of a redirect is an answer, whatever it points to."""
    transport = scripted(redirect("/a"), redirect("/b"))
    response = await result(drive_on(transport), how)

    assert (302, 2) == (response.status, len(transport.requests))


@WAYS
@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (GET, redirect("/elsewhere")),
        (RESULT, Response(302)),
        (RESULT, Response(304, Headers({"Location": "/elsewhere"}))),
        (RESULT, Response(200, Headers({"Location": "/elsewhere"}))),
    ],
    ids=["unasked", "nowhere", "unchanged", "success"],
)
async def test_what_is_no_redirect(
    how: str, request_: Request, answer: Response
) -> None:
    """Where the dialect expects none, or there is no place, nothing is followed."""
    transport = scripted(answer)
    response = await result(drive_on(transport), how, request_)

    assert (answer.status, 1) == (response.status, len(transport.requests))


@WAYS
@pytest.mark.virtual_time
async def test_both_hops_are_retried(how: str) -> None:
    """Either place may be out for a while."""
    transport = scripted(
        Response(503),
        redirect(f"{BLOBS}/7"),
        ConnectionLost("reset"),
        Response(200, body=b"6"),
    )
    driver = drive_on(transport, api_key("k"), trusted=(BLOBS,))
    response = await result(driver, how)

    assert (b"6", 2) == (response.body, response.attempts)
    assert ["k", "k", None, None] == sent(transport)


# --- downloads ---------------------------------------------------------------


@pytest.mark.virtual_time
async def test_a_download_is_retried_until_its_head_is_there() -> None:
    """Head and body of a download come after as many attempts as it took."""
    transport = scripted(
        ConnectError("refused"), Response(503), Response(200, body=b"6" * 100_000)
    )
    response = await result(drive_on(transport), "open")

    assert (b"6" * 100_000, 3) == (response.body, response.attempts)


@pytest.mark.virtual_time
async def test_a_download_that_fails() -> None:
    """After the last attempt its error counts."""
    transport = scripted(*[ConnectionLost("reset")] * 3)
    driver = drive_on(transport, retry=RetryPolicy(attempts=3))
    with pytest.raises(ConnectionLost) as caught:
        await result(driver, "open")

    assert 3 == caught.value.attempts


async def test_a_download_that_is_refused() -> None:
    """A refusal is a head with its words."""
    refusal = Response(404, body=json.dumps({"message": "gone"}).encode())
    async with drive_on(scripted(refusal)).open(RESULT) as download:
        pieces = [piece async for piece in download.chunks]

    assert (404, {"message": "gone"}, []) == (
        download.head.status,
        download.head.json(),
        pieces,
    )


async def test_errors_of_a_download_name_their_request() -> None:
    """What the caller makes of the head says what it was about."""
    with pytest.raises(NotFound) as caught:
        async with drive_on(scripted(Response(404))).open(RESULT) as download:
            expect(download.head, 200)

    assert RESULT.redacted() == caught.value.request


@pytest.mark.virtual_time
async def test_downloads_have_an_end() -> None:
    """The heads of all attempts come within the policy's time, or not at all."""
    driver = drive_on(MemoryTransport(hang))
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(AttemptTimeout) as caught:
        await result(driver, "open")

    assert 2 == caught.value.attempts
    assert clock() - begun <= 45.01


async def test_downloads_renew_the_key() -> None:
    """A download whose key is refused gets a new one and one more try."""
    keys = Keys()
    transport = MemoryTransport(keys.serve)
    driver = drive_on(transport, api_key(keys.fetch))
    await driver.drive(ask())
    keys.accepted = 2
    response = await result(driver, "open")

    assert (200, ["k1", "k1", "k2"]) == (response.status, sent(transport))


async def test_downloads_do_not_hold_the_lane() -> None:
    """While a download is read, the lane is free."""
    transport = scripted(Response(200, body=b"6"), Response(200))
    driver = drive_on(transport, width=1)
    async with driver.open(RESULT):
        response = await driver.drive(ask())

    assert 200 == response.status


class Drip(MemoryTransport):
    """A transport whose bodies come a piece at a time."""

    def __init__(self, *pieces: tuple[float, bytes]) -> None:
        super().__init__(lambda _: Response(200))
        self._pieces = pieces

    @asynccontextmanager
    async def open(
        self, request: Request, *, timeout: float, idle: float
    ) -> AsyncIterator[Download]:
        yield Download(Response(200), self._drip())

    async def _drip(self) -> AsyncIterator[bytes]:
        for seconds, piece in self._pieces:
            await asyncio.sleep(seconds)
            yield piece


@pytest.mark.virtual_time
async def test_downloads_that_crawl() -> None:
    """A body that is slower than the least rate is given up after the idle time."""
    driver = drive_on(
        Drip(*[(1, b"x" * 9)] * 100), limits=Limits(idle_timeout=10, min_rate=10)
    )
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(AttemptTimeout, match="less than 10 bytes a second"):
        await result(driver, "open")

    assert 10 == pytest.approx(clock() - begun, abs=0.1)


@pytest.mark.virtual_time
async def test_downloads_that_crawl_after_a_quick_start() -> None:
    """Bytes that came long ago do not count for what comes now."""
    driver = drive_on(
        Drip((0, b"x" * 100_000), *[(1, b"x")] * 100),
        limits=Limits(idle_timeout=10, min_rate=10),
    )
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(AttemptTimeout, match="less than 10 bytes a second"):
        await result(driver, "open")

    assert 20 == pytest.approx(clock() - begun, abs=0.1)


@pytest.mark.virtual_time
async def test_downloads_that_take_long() -> None:
    """A body that keeps the rate may take as long as it needs."""
    driver = drive_on(
        Drip(*[(1, b"x" * 11)] * 100), limits=Limits(idle_timeout=10, min_rate=10)
    )

    assert b"x" * 1100 == (await result(driver, "open")).body


@pytest.mark.virtual_time
async def test_readers_that_take_long() -> None:
    """The reader's own pauses are not the service's."""
    transport = Drip(*[(0, b"x")] * 5)
    driver = drive_on(transport, limits=Limits(idle_timeout=10, min_rate=10))
    async with driver.open(RESULT) as download:
        async for _ in download.chunks:
            await asyncio.sleep(3600)


# --- the budget and the hooks ------------------------------------------------


class Spent:
    """A budget of which nothing is left."""

    def spend(self, *, throttled: bool) -> float:
        return 0.0


async def test_an_empty_budget() -> None:
    """When too much was repeated already, the first outcome stands."""
    transport = scripted(Response(503))
    driver = drive_on(transport)
    driver.lanes.budget = Spent()  # type: ignore[assignment]
    response = await driver.drive(ask())

    assert (503, 1) == (response.status, len(transport.requests))


@pytest.mark.virtual_time
async def test_hooks_are_told_of_retries() -> None:
    """A hook sees each retry, what it follows, and how long it waits."""
    told: list[Any] = []
    driver = drive_on(scripted(Response(503), Response(200)))
    driver.hooks = Hooks((told.append,), LOGGER)
    await driver.drive(ask())
    (retry,) = [details for details in told if isinstance(details, RetryDetails)]

    assert (HOME, "GET", "503") == (retry.origin, retry.method, retry.reason)


@pytest.mark.parametrize(
    "answer",
    [Response(502), Response(200, body=b"<html>")],
    ids=["gateway", "page"],
)
async def test_renewal_that_fails_sent_nothing(answer: Response) -> None:
    """What waited for a credential that cannot be had was not sent."""

    class Asking(NoAuth):
        def due(self, now: float) -> bool:
            return True

        def renew(self) -> AuthFlow:
            response = yield Request("POST", "/token", replayable=False)
            expect(response, 200).json()

    driver = drive_on(scripted(answer), Asking(), retry=NO_RETRY)
    with pytest.raises(AsyncTasksError) as caught:
        await driver.drive(ask(SUBMIT))

    assert not caught.value.sent
    assert not outcome_unknown(caught.value)


@pytest.mark.virtual_time
async def test_hooks_are_told_of_streamed_attempts() -> None:
    """Each attempt for a head is told, as any other attempt is."""
    told: list[Any] = []
    driver = drive_on(scripted(Response(503), Response(200, body=b"6")))
    driver.hooks = Hooks((told.append,), LOGGER)
    await result(driver, "open")
    attempts = [details for details in told if isinstance(details, RequestDetails)]

    assert [(1, 503), (2, 200)] == [(each.attempt, each.status) for each in attempts]


# --- the moods of the service ------------------------------------------------


def outcomes_of(results: Collection[object]) -> Counter[str]:
    return Counter(type(each).__name__ for each in results)


@pytest.mark.virtual_time
async def test_a_storm_of_retries_comes_to_an_end() -> None:
    """A hundred requests to a broken service are not a thousand."""
    transport = MemoryTransport(lambda _: Response(500))
    driver = drive_on(transport, retry=RetryPolicy(attempts=10))
    answers = await asyncio.gather(*[driver.drive(ask()) for _ in range(100)])

    assert {500} == {response.status for response in answers}
    assert 100 + 35 == len(transport.requests)


@pytest.mark.virtual_time
async def test_a_budget_that_was_spent_fills_up_again() -> None:
    """After a storm, successes earn the right to retry; failures do not."""
    healthy = False

    def handler(_: Request) -> Response:
        return Response(200 if healthy else 500)

    transport = MemoryTransport(handler)
    driver = drive_on(transport, retry=RetryPolicy(attempts=10))
    await asyncio.gather(*[driver.drive(ask()) for _ in range(100)])
    empty = driver.lanes.budget.tokens
    healthy = True
    for _ in range(30):
        await driver.drive(ask())
    healthy = False
    before = len(transport.requests)
    await driver.drive(ask())

    assert empty < 14
    assert 1 + 2 == len(transport.requests) - before


async def test_a_success_gives_back_what_its_retry_cost() -> None:
    """A service that refuses everything once does not fill the budget."""
    busy = Response(429, Headers({"Retry-After": "0"}))
    policy = RetryPolicy(wait_initial=0, wait_jitter=0)
    driver = drive_on(scripted(*[busy, Response(200)] * 3), retry=policy)
    driver.lanes.budget.tokens = 100
    for _ in range(3):
        await driver.drive(ask())

    assert 100 == driver.lanes.budget.tokens


async def test_what_cannot_be_read_earns_nothing() -> None:
    """An answer that is cut off is no success of the service."""
    driver = drive_on(scripted(Response(200, body=b'{"a"')), retry=NO_RETRY)
    driver.lanes.budget.tokens = 100
    await driver.drive(ask(Request("GET", "/tasks/7", expect_json=True)))

    assert 100 == driver.lanes.budget.tokens


@pytest.mark.virtual_time
async def test_a_pause_beyond_the_cap_is_told() -> None:
    """Who would have to wait for longer than the policy allows is told so at once."""
    later = Response(429, Headers({"Retry-After": "121"}))
    driver = drive_on(scripted(later))
    clock = asyncio.get_running_loop().time
    begun = clock()

    def flow() -> Flow[Response]:
        return expect((yield GET), 200)

    with pytest.raises(RateLimited) as caught:
        await driver.drive(flow())

    assert (121.0, 1) == (caught.value.retry_after, caught.value.attempts)
    assert begun == pytest.approx(clock(), abs=0.01)


@pytest.mark.virtual_time
async def test_a_pause_holds_for_all_requests_of_a_client() -> None:
    """What one request is asked, all wait for; and then all go."""
    asked = [Response(503, Headers({"Retry-After": "20"}))]
    sent_at: list[float] = []
    clock = asyncio.get_running_loop().time

    def handler(_: Request) -> Response:
        sent_at.append(clock())
        return asked.pop() if asked else Response(200)

    driver = drive_on(MemoryTransport(handler))
    first = asyncio.create_task(driver.drive(ask()))
    await asyncio.sleep(1)
    begun = sent_at[0]
    await asyncio.gather(first, *[driver.drive(ask(), kind=kind) for kind in Kind])

    assert [20.0] * 5 == [pytest.approx(at - begun, abs=2.1) for at in sent_at[1:]]
    assert min(sent_at[1:]) - begun >= 20.0


@WAYS
@pytest.mark.virtual_time
async def test_waiting_for_a_place_is_not_the_requests_time(how: str) -> None:
    """The clock of a request starts when it may be sent, however long that took."""
    clock = asyncio.get_running_loop().time

    async def slowly(_: Request) -> Response:
        await asyncio.sleep(20)
        return Response(200, body=b"6")

    driver = drive_on(MemoryTransport(slowly), width=4)
    begun = clock()
    answers = await asyncio.gather(*[result(driver, how) for _ in range(6)])

    assert {b"6"} == {response.body for response in answers}
    assert 120 == pytest.approx(clock() - begun, abs=0.1)


@WAYS
@pytest.mark.virtual_time
async def test_an_outage_fails_fast_and_ends(how: str) -> None:
    """While nobody is there, few ask; the first answer lets everybody through."""
    there = False

    async def handler(_: Request) -> Response:
        await asyncio.sleep(1)
        if not there:
            raise ConnectError("nobody there")
        return Response(200, body=b"6")

    transport = MemoryTransport(handler)
    driver = drive_on(transport, retry=NO_RETRY)
    tries = [result(driver, how) for _ in range(1000)]
    failures = await asyncio.gather(*tries, return_exceptions=True)
    during = len(transport.requests)

    assert {"ConnectError": 1000} == outcomes_of(failures)
    assert not any(e.sent for e in failures if isinstance(e, ConnectError))
    assert during < 100

    there = True
    first = await result(driver, how)
    rest = await asyncio.gather(*[result(driver, how) for _ in range(100)])

    assert {b"6"} == {response.body for response in [first, *rest]}


@pytest.mark.virtual_time
async def test_a_lane_that_is_refused_narrows_and_recovers() -> None:
    """429 halves the submit lane; answers open it again, one by one."""
    refusing = True

    def handler(_: Request) -> Response:
        return Response(429 if refusing else 200)

    driver = drive_on(MemoryTransport(handler), retry=NO_RETRY)
    lane = driver.lanes.lanes[Kind.SUBMIT].limit
    await driver.drive(ask(SUBMIT), kind=Kind.SUBMIT)
    narrow = lane.limit
    refusing = False
    for _ in range(200):
        await driver.drive(ask(SUBMIT), kind=Kind.SUBMIT)

    assert (8, 16) == (narrow, lane.limit)
