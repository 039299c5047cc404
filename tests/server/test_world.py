"""A world with everything in it."""

from __future__ import annotations

import uuid

from asynctasks.sansio.http import Request
from asynctasks.server.tasks import Order
from asynctasks.server.world import (
    build_halves,
    build_simulator,
    new_token,
    vantiq_world,
)


def test_services() -> None:
    """The packaged services are there, unless they are not wanted."""
    found = [build_simulator(services=wanted).services for wanted in (True, False)]

    assert [True, False] == ["echo" in services for services in found]


def test_ids() -> None:
    """Every task has a random id of its own."""
    simulator = build_simulator(parallel=1)
    ids = {simulator.submit(Order(service="echo"), 0.0).id for _ in range(3)}

    assert 3 == len({uuid.UUID(task_id) for task_id in ids})


def test_halves() -> None:
    """Every protocol answers below its own paths."""
    simulator = build_simulator()
    halves = build_halves(simulator, api_key="sesame")
    request = Request("GET", "/pro-api/v2/tasks")
    answers = [half.handle(request, 0.0) for half in halves]

    assert [401] == [answer.status for answer in answers if answer is not None]


def test_tokens() -> None:
    """Tokens differ, and cannot be guessed."""
    tokens = {new_token() for _ in range(3)}

    assert 3 == len(tokens)
    assert all(token.startswith("eyJhbGciOi") for token in tokens)


def test_vantiq() -> None:
    """The Vantiq part of a world is one, and its developer has the API key."""
    simulator = build_simulator(services=False)
    world = vantiq_world(simulator)
    again = vantiq_world(simulator, api_key="sesame")

    assert world is again
    assert "developer" == world.users.check_token("sesame", 0.0)
    assert "developer" == world.users.check_password("Developer", "sesame")
    assert 24 == len(world.new_id())
