"""A world with everything in it."""

from __future__ import annotations

import uuid

import pytest

from asynctasks.sansio.http import Request
from asynctasks.server.tasks import Order
from asynctasks.server.vantiq.refusals import Refused
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
    """The Vantiq part of a world is one, with a user who is always there."""
    simulator = build_simulator(services=False)
    world = vantiq_world(simulator)

    assert world is vantiq_world(simulator)
    assert "developer" == world.users.check_token("developer", 0.0)
    assert "developer" == world.users.check_password("Developer", "developer")
    assert 24 == len(world.new_id())


def test_vantiq_key() -> None:
    """Once there was an API key it alone opens, even if asked without one later."""
    simulator = build_simulator(services=False)
    for key in (None, "open", "sesame", None):
        world = vantiq_world(simulator, api_key=key)

    assert "developer" == world.users.check_token("sesame", 0.0)
    for word in ("developer", "open"):
        with pytest.raises(Refused):
            world.users.check_token(word, 0.0)
        with pytest.raises(Refused):
            world.users.check_password("developer", word)
