"""A request is repeated where that is harmless and may help, and not otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    AttemptTimeout,
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidArgument,
    ProxyError,
    RateLimited,
    RemoteProtocolError,
    ResponseDecodeError,
    ResponseTooLarge,
    ServiceBroken,
    SubmitOutcomeUnknown,
    TlsError,
    UntrustedUrl,
)
from asynctasks.sansio.http import Headers, JoinedBody, Request, Response
from asynctasks.sansio.retry import (
    NO_RETRY,
    RetryPolicy,
    backoff,
    may_repeat,
    next_wait,
    outcome_unknown,
)


class OneShot:
    """A body that can be sent once."""

    length = None
    replayable = False

    def open(self) -> AsyncIterator[bytes]:
        raise AssertionError("nobody sends it here")


GET = Request("GET", "/tasks/7")
DELETE = Request("DELETE", "/tasks/7", replayable=True)
SUBMIT = Request("POST", "/tasks/solve", body=b"{}", replayable=False)
STREAM = Request("POST", "/tasks/solve", body=OneShot(), replayable=False)
FORM = Request("PUT", "/x", body=JoinedBody((b"--", OneShot())), replayable=True)

REFUSED = ConnectError("refused")
LOST = ConnectionLost("reset")
TIMEOUT = AttemptTimeout("30 s")
UNREAD = ResponseDecodeError("JSON")

# --- what may be repeated ----------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "get", "delete", "submit", "stream", "form"),
    [
        # Nothing was sent: anything goes, one-shot bodies that were never opened too.
        (REFUSED, True, True, True, True, True),
        (ConnectionLost("reset", sent=False), True, True, True, True, True),
        (TlsError("expired"), False, False, False, False, False),
        (ProxyError("refused"), False, False, False, False, False),
        # Something was sent.
        (LOST, True, True, False, False, False),
        (TIMEOUT, True, True, False, False, False),
        (TlsError("broke", sent=True), False, False, False, False, False),
        (UNREAD, True, True, False, False, False),
        (RemoteProtocolError("an answer"), False, False, False, False, False),
        (ResponseTooLarge(10), False, False, False, False, False),
        # An answer came.
        (Response(200), False, False, False, False, False),
        (Response(302), False, False, False, False, False),
        (Response(400), False, False, False, False, False),
        (Response(401), False, False, False, False, False),
        (Response(403), False, False, False, False, False),
        (Response(404), False, False, False, False, False),
        (Response(408), True, True, False, False, False),
        (Response(409), False, False, False, False, False),
        (Response(422), False, False, False, False, False),
        (Response(425), True, True, False, False, False),
        (Response(429), True, True, True, False, False),
        (Response(500), True, True, False, False, False),
        (Response(501), False, False, False, False, False),
        (Response(502), True, True, False, False, False),
        (Response(503), True, True, False, False, False),
        (Response(504), True, True, False, False, False),
        (Response(599), False, False, False, False, False),
        (Response(999), False, False, False, False, False),
    ],
)
def test_what_may_be_repeated(
    outcome: Response | AsyncTasksError,
    get: bool,
    delete: bool,
    submit: bool,
    stream: bool,
    form: bool,
) -> None:
    """It depends on what was sent, on what came, and on the body."""
    expected = (get, delete, submit, stream, form)
    requests = (GET, DELETE, SUBMIT, STREAM, FORM)

    assert expected == tuple(may_repeat(request, outcome) for request in requests)


# --- how long to wait --------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "dice", "expected"),
    [(1, 0, 0.1), (2, 0, 0.2), (3, 0, 0.4), (3, 0.5, 0.9), (9, 1, 5.0), (999, 0, 5.0)],
)
def test_backoff(attempt: int, dice: float, expected: float) -> None:
    """Waits double from a tenth of a second, plus jitter, up to five seconds."""
    assert expected == pytest.approx(backoff(RetryPolicy(), attempt, dice))


NUMBERS = st.floats(0, 1e9)

POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 100),
    timeout=st.floats(1e-3, 1e9),
    wait_initial=NUMBERS,
    wait_max=NUMBERS,
    wait_jitter=NUMBERS,
    wait_exp_base=st.floats(1e-3, 1000) | st.integers(1, 1000),
    retry_after_max=NUMBERS,
)


@given(POLICIES, st.integers(1, 10**9), st.floats(0, 1))
def test_backoff_stays_within_bounds(
    policy: RetryPolicy, attempt: int, dice: float
) -> None:
    """No policy and no number of attempts gives a wait beyond wait_max."""
    assert 0 <= backoff(policy, attempt, dice) <= policy.wait_max


@given(
    POLICIES,
    st.integers(1, 100),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.none() | st.floats(0, 1e6).map(str) | st.text(max_size=5),
)
def test_waits_stay_within_the_policy(
    policy: RetryPolicy, attempt: int, elapsed: float, dice: float, asked: str | None
) -> None:
    """A wait ends before the policy's time does, and is not shorter than asked."""
    headers = {} if asked is None else {"Retry-After": asked}
    answer = Response(503, Headers(headers))
    wait = next_wait(policy, GET, answer, attempt=attempt, elapsed=elapsed, dice=dice)
    if wait is None:
        return

    assert attempt < policy.attempts
    assert elapsed + wait < policy.timeout
    assert (answer.retry_after or 0) <= wait
    assert wait <= max(policy.wait_max, policy.retry_after_max)


DATE = "Fri, 24 Nov 2023 15:16:38 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0.1),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 7.5 "}, 7.5),
        ({"Retry-After": "0"}, 0.1),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "121"}, None),
        ({"Retry-After": "-1"}, 0.1),
        ({"Retry-After": "nan"}, 0.1),
        ({"Retry-After": "inf"}, 0.1),
        ({"Retry-After": "soon"}, 0.1),
        ({"Retry-After": ""}, 0.1),
        ({"Retry-After": "Fri, 24 Nov 2023 15:16:58 GMT", "Date": DATE}, 20.0),
        ({"Retry-After": "Fri, 24 Nov 2023 15:16:18 GMT", "Date": DATE}, 0.1),
        ({"Retry-After": "Sat, 25 Nov 2023 15:16:38 GMT", "Date": DATE}, None),
        ({"Retry-After": "Fri, 24 Nov 2023 15:16:58 GMT"}, 0.1),
        ({"Retry-After": "Fri, 24 Nov 2023 15:16:58 GMT", "Date": "nonsense"}, 0.1),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """Both forms are obeyed up to the cap; a date is read by the server's clock."""
    policy = RetryPolicy(timeout=1000)
    answer = Response(503, Headers(headers))
    wait = next_wait(policy, GET, answer, attempt=1, elapsed=0, dice=0)

    assert expected == (wait if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("attempt", "elapsed", "expected"),
    [
        (1, 0, 1.0),
        (2, 0, 1.0),
        (3, 0, None),
        (1, 8.9, 1.0),
        (1, 9, None),
        (1, 99, None),
    ],
)
def test_bounds_of_one_request(
    attempt: int, elapsed: float, expected: float | None
) -> None:
    """There is no attempt beyond the number or the time of the policy."""
    policy = RetryPolicy(attempts=3, timeout=10, wait_initial=1, wait_exp_base=1)
    wait = next_wait(policy, GET, LOST, attempt=attempt, elapsed=elapsed, dice=0)

    assert expected == wait


def test_what_may_not_be_repeated_has_no_wait() -> None:
    """A submit that was sent has no next attempt."""
    wait = next_wait(RetryPolicy(), SUBMIT, LOST, attempt=1, elapsed=0, dice=0)

    assert wait is None


def test_no_retry() -> None:
    """One attempt is all that NO_RETRY allows, even where nothing was sent."""
    assert None is next_wait(NO_RETRY, GET, REFUSED, attempt=1, elapsed=0, dice=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 0),
        ("attempts", 2.5),
        ("attempts", True),
        ("attempts", "3"),
        ("timeout", 0),
        ("timeout", float("inf")),
        ("timeout", None),
        ("timeout", 10**400),
        ("wait_initial", 10**400),
        ("wait_initial", -1),
        ("wait_max", float("nan")),
        ("wait_jitter", "1"),
        ("wait_exp_base", 0),
        ("wait_exp_base", 1e6),
        ("wait_exp_base", float("nan")),
        ("wait_exp_base", True),
        ("wait_exp_base", None),
        ("retry_after_max", float("inf")),
    ],
)
def test_unusable_policies(name: str, value: Any) -> None:
    """A policy without bounds cannot be made; the error names the field."""
    with pytest.raises(InvalidArgument) as caught:
        RetryPolicy(**{name: value})

    assert name == caught.value.name


# --- submits -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (REFUSED, False),
        (TlsError("expired"), False),
        (ProxyError("refused"), False),
        (LOST, True),
        (TIMEOUT, True),
        (SubmitOutcomeUnknown(LOST), True),
        (ServiceBroken(Response(500)), False),
        (ServiceBroken(Response(502)), True),
        (ServiceBroken(Response(503)), False),
        (ServiceBroken(Response(504)), True),
        (RateLimited(Response(429)), False),
        (Conflict(Response(409)), False),
        (RemoteProtocolError("an HTTP answer"), True),
        (ResponseTooLarge(10), True),
        (UntrustedUrl("https://evil.example", "https://acme.example"), True),
        (ResponseDecodeError("JSON", Response(200)), True),
        (ResponseDecodeError("JSON", Response(202)), True),
        (RemoteProtocolError("status 200", Response(302)), False),
        (InvalidArgument("inputs", "x", "y"), False),
    ],
)
def test_outcome_unknown(error: AsyncTasksError, expected: bool) -> None:
    """A submit may have been accepted unless the service certainly refused it."""
    assert expected == outcome_unknown(error)


def test_status_that_is_an_answer() -> None:
    """A status that is an answer to a request is no reason to repeat it."""
    picky = attrs.evolve(GET, final=frozenset({500}))

    assert not may_repeat(picky, Response(500))
    assert may_repeat(picky, Response(503))
    assert may_repeat(GET, Response(500))
