"""The session of a Vantiq client: its settings, and how it explains errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
import logging
from typing import Any

import aiohttp
from aiohttp import web
import pytest

from asynctasks.exceptions import (
    AsyncTasksError,
    InvalidArgument,
    RateLimited,
    VantiqException,
)
from asynctasks.sansio.http import Request, Response
from asynctasks.vantiq_session import Session, VantiqOptions, explained
from tests.vantiq_scripted import Answer, ScriptedVantiq


LOGGER = logging.getLogger("test")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedVantiq]:
    """Serve for one test."""
    async with ScriptedVantiq().running() as scripted:
        yield scripted


def build(server: ScriptedVantiq, **connect_args: Any) -> Session:
    return Session(server.url, "1", VantiqOptions(), connect_args, LOGGER)


# --- errors ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidArgument("id", "", "must not be empty"), "operation.unexpectederror"),
        (RateLimited(Response(429)), "operationerror"),
        (TypeError("no JSON"), "operationerror"),
        (ValueError("no JSON"), "operationerror"),
        (RecursionError("deep"), "operationerror"),
    ],
    ids=["argument", "refusal", "type", "value", "recursion"],
)
def test_explanations(error: Exception, code: str) -> None:
    """What goes wrong is explained by the operation and the reason."""
    with pytest.raises(VantiqException) as caught, explained("select"):
        raise error

    assert (f"io.vantiq.python.{code}", ["select", str(error)]) == (
        caught.value.code,
        caught.value.params,
    )
    assert error is caught.value.__cause__
    expected = error.retryable if isinstance(error, AsyncTasksError) else False
    assert expected is caught.value.retryable


@pytest.mark.parametrize("error", [VantiqException("c", "m", []), KeyError("bug")])
def test_what_is_not_explained(error: Exception) -> None:
    """What is explained already, or is a fault of ours, stays what it is."""
    with pytest.raises(type(error)) as caught, explained("select"):
        raise error

    assert error is caught.value


def test_nothing_to_explain() -> None:
    """Where nothing goes wrong, nothing is raised."""
    with explained("select"):
        pass


# --- settings ----------------------------------------------------------------


async def test_arguments_of_the_connection(server: ScriptedVantiq) -> None:
    """What is None is left out; headers and timeouts are ours to use."""
    timeout = aiohttp.ClientTimeout(total=7, sock_connect=3)
    session = build(server, ssl=None, proxy=None, headers={"X-A": "1"}, timeout=timeout)
    session.open()
    session.auth.accept("tok", None, 0.0)
    await session.perform("select", lambda: session.api.get("T"))
    stream = await session.connect_socket()
    await stream.aclose()
    await session.close()

    assert "1" == server.requests[0].headers["X-A"]
    assert (7, 3) == (session._limits.attempt_timeout, session._connect_timeout)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (None, (60.0, 10.0)),
        (5, (5.0, 10.0)),
        (aiohttp.ClientTimeout(total=None, connect=4), (60.0, 4)),
        (aiohttp.ClientTimeout(total=9), (9, 10.0)),
    ],
    ids=["none", "seconds", "connect", "total"],
)
async def test_timeouts(
    server: ScriptedVantiq, timeout: Any, expected: tuple[float, float]
) -> None:
    """A timeout is always finite, whatever was given for aiohttp."""
    session = build(server, timeout=timeout)

    assert expected == (session._limits.attempt_timeout, session._connect_timeout)


def test_queue_policy_is_one_of_three() -> None:
    """A policy that there is not is refused."""
    with pytest.raises(ValueError, match="queue_policy"):
        VantiqOptions(queue_policy="panic")


def test_hooks_must_be_callable() -> None:
    """What cannot be told anything is refused."""
    hooks: Any = ["metrics"]
    with pytest.raises(InvalidArgument, match=r"^hooks='metrics': give callables"):
        VantiqOptions(hooks=hooks)


# --- requests ----------------------------------------------------------------


async def test_opening_and_closing(server: ScriptedVantiq) -> None:
    """A session is opened once, and can be opened again when it was closed."""
    session = build(server)

    assert not session.opened
    assert session.open() is session.open()
    assert session.opened
    assert not session.authenticated
    await session.close()
    await session.close()
    assert not session.opened
    with pytest.raises(VantiqException, match="notauthenticated"):
        session.ready_for("select")


async def test_asking_without_a_token(server: ScriptedVantiq) -> None:
    """A conversation needs no token, and opens the session."""
    server.answer("GET /x", Answer(404, []))
    session = build(server)
    response = await session.converse("x", Request("GET", "/x", anonymous=True))
    await session.close()

    assert 404 == response.status


async def test_slow_calls_may_take_longer(server: ScriptedVantiq) -> None:
    """A slow call has a time limit of its own, and so has each call on request."""

    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return Answer(200, {}).build()

    server.answer("GET /api/v1/resources/custom/T", slowly)
    options = VantiqOptions(attempt_timeout=0.05, slow_timeout=5.0)
    session = Session(server.url, "1", options, {}, LOGGER)
    session.open()
    session.auth.accept("tok", None, 0.0)

    def request() -> Request:
        return session.api.get("T")

    assert (await session.perform("x", request, slow=True)).is_success
    assert (await session.perform("x", request, timeout=5.0)).is_success
    with pytest.raises(VantiqException, match="no answer within"):
        await session.perform("x", request, timeout=0.05)
    await asyncio.sleep(0.3)
    await session.close()


@pytest.mark.parametrize(
    ("url", "arguments", "words"),
    [
        ("https://far.example", {"ssl": False}, ["not verified"]),
        ("http://far.example", {}, ["in the clear"]),
        ("http://127.0.0.1:1", {}, []),
        ("https://far.example", {}, []),
    ],
    ids=["unverified", "clear", "loopback", "tls"],
)
async def test_warnings(
    url: str,
    arguments: dict[str, Any],
    words: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is dangerous is said once, when the session is opened."""
    session = Session(url, "1", VantiqOptions(), arguments, LOGGER)
    session.open()
    session.open()
    await session.close()

    assert len(words) == len(caplog.records)
    assert all(word in caplog.text for word in words)
