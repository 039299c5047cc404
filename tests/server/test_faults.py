"""Faults on request."""

from __future__ import annotations

from asynctasks.sansio.http import Request, Response
from asynctasks.server.faults import Fault, Faults


BUSY = Response(503)
GET = Request("GET", "/api/v2/tasks")
POST = Request("POST", "/api/v2/tasks/solve")


def test_nothing() -> None:
    """Without faults nothing goes wrong."""
    assert Fault() == Faults().take(GET)


def test_answer() -> None:
    """A fault is used up by as many requests as it is for."""
    faults = Faults()
    faults.answer(BUSY, times=2)
    found = [faults.take(GET).response for _ in range(3)]

    assert [BUSY, BUSY, None] == found


def test_matching() -> None:
    """A fault waits for its method and path, and lets others pass."""
    faults = Faults()
    faults.add(Fault(delay=1.0), method="POST", path="solve$")
    found = [faults.take(request).delay for request in (GET, POST, POST)]

    assert [0.0, 1.0, 0.0] == found


def test_path_does_not_match() -> None:
    """A fault for another path waits on."""
    faults = Faults()
    faults.add(Fault(delay=1.0), path="other")

    assert 0.0 == faults.take(POST).delay


def test_lose_answer() -> None:
    """The answer to the next submit is lost."""
    faults = Faults()
    faults.lose_answer()

    assert [None, "answer"] == [faults.take(GET).drop, faults.take(POST).drop]


def test_clear() -> None:
    """What was waiting is gone."""
    faults = Faults()
    faults.answer(BUSY)
    faults.clear()

    assert Fault() == faults.take(GET)
