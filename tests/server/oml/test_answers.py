"""How the OML half writes things down."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.http import Request
from asynctasks.server.oml.answers import (
    OmlRefused,
    failure,
    find_uuid,
    job_id,
    read_object,
    write_duration,
    write_elapsed,
    write_preload_time,
    write_time,
)
from asynctasks.server.tasks import Order, SimulatedTask
from tests.sansio.oml_samples import UUID, V2_ID
from tests.server.oml.worlds import NOW


def job(version: str, uuid: str, level: str = "LOW") -> SimulatedTask:
    order = Order(service="f", labels={"version": version, "level": level})
    return SimulatedTask(id=uuid, number=1, order=order, created_at=NOW)


def test_ids() -> None:
    """Ids have the form of their version, and the UUID is found in both."""
    uuid = V2_ID[9:45]

    assert UUID == job_id(job("v1", UUID)) == find_uuid(UUID)
    assert V2_ID == job_id(job("v2", uuid))
    assert uuid == find_uuid(V2_ID)
    assert 92 == len(V2_ID)


def test_times() -> None:
    """Times have the documented forms."""
    assert " Jan 06,2026 21:40" == write_time(NOW, "v1")
    assert "2026-01-06 21:40:07 UTC" == write_time(NOW, "v2")
    assert "Jan 06, 2026 21:40:07 UTC" == write_preload_time(NOW)


@pytest.mark.parametrize(
    ("seconds", "elapsed", "duration"),
    [
        (0.9, "00:00:00", "0 hrs, 0 mins, 0 secs"),
        (1658.0, "00:27:38", "0 hrs, 27 mins, 38 secs"),
        (363_599.0, "100:59:59", "100 hrs, 59 mins, 59 secs"),
    ],
)
def test_durations(seconds: float, elapsed: str, duration: str) -> None:
    """Durations have the documented forms."""
    assert (elapsed, duration) == (write_elapsed(seconds), write_duration(seconds))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Output exceeds maximum length 5000", 1024),
        ("Output malformed JSON: x", 1026),
        ("division by zero", 1000),
    ],
)
def test_failures(message: str, code: int) -> None:
    """A failure has its code beside the message."""
    assert {"errorCode": code, "errorMessage": message} == failure(message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1"])
def test_no_object(body: bytes) -> None:
    """A body that is no JSON object is refused."""
    with pytest.raises(OmlRefused) as caught:
        read_object(Request("POST", "/", body=body))

    assert 400 == caught.value.response.status
    assert ["errorMessage"] == list(caught.value.response.json())


def test_object() -> None:
    """A JSON object is read."""
    assert {"a": 1} == read_object(Request("POST", "/", body=b'{"a":1}'))


def test_body_that_was_not_read() -> None:
    """Reading a body is the shell's part."""
    body: Any = object()

    with pytest.raises(InvalidArgument):
        read_object(Request("POST", "/", body=body))
