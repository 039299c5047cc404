"""Inputs of the scheduling service."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.instances import Instance, parse_instance
from asynctasks.server.scheduling import Activity


RYE = {"act": "rye", "processTime": 6.0, "releaseDate": 2, "dueDate": 20.0}
BUN = {"act": "bun", "processTime": 3}


def test_inputs_are_read() -> None:
    """All members become values; what may be left out has its default."""
    inputs = {"resources": [{"resource": "oven"}], "activities": [RYE, BUN]}
    activities = (Activity("rye", 6, 2, 20), Activity("bun", 3, 0, None))

    assert Instance(activities, ("oven",)) == parse_instance(inputs)


@pytest.mark.parametrize(
    ("members", "names", "assumed"),
    [
        ({"resources": ["a", "b"]}, ("a", "b"), False),
        ({"resources": 2}, ("res-1", "res-2"), False),
        ({"machines": 1.0}, ("res-1",), False),
        ({}, ("res-1", "res-2", "res-3"), True),
    ],
)
def test_resources_have_many_forms(
    members: dict[str, Any], names: tuple[str, ...], assumed: bool
) -> None:
    """Machines are given as rows, names or a number; else they are assumed."""
    instance = parse_instance({"activities": [BUN], **members})

    assert (names, assumed) == (instance.resources, instance.assumed)


def test_useless_resources_are_not_named() -> None:
    """A number of machines beyond all activities takes no memory."""
    instance = parse_instance({"activities": [BUN], "resources": 10**12})

    assert 200 == len(instance.resources)


def test_time_limit_is_read() -> None:
    """The time limit is seconds."""
    instance = parse_instance({"activities": [BUN], "timeLimit": 5})

    assert 5.0 == instance.time_limit


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (None, "activities: an array of 1 to 200 is needed"),
        ({"activities": []}, "activities: an array of 1 to 200 is needed"),
        ({"activities": [BUN] * 201}, "activities: an array of 1 to 200 is needed"),
        ({"activities": ["x"]}, "activities[0].act: a name is needed, not None"),
        ({"activities": [BUN, BUN]}, "activities[1]: 'bun' is there twice"),
        (
            {"activities": [BUN | {"processTime": 0}]},
            "activities[0].processTime: a whole number from 1 is needed, not 0",
        ),
        (
            {"activities": [BUN | {"releaseDate": 1.5}]},
            "activities[0].releaseDate: a whole number from 0 is needed, not 1.5",
        ),
        (
            {"activities": [BUN | {"dueDate": "noon"}]},
            "activities[0].dueDate: a whole number from 0 is needed, not 'noon'",
        ),
        (
            {"activities": [BUN], "resources": True},
            "resources: a whole number from 1 is needed, not True",
        ),
        ({"activities": [BUN], "resources": []}, "resources: at least one is needed"),
        (
            {"activities": [BUN], "resources": [{"name": "a"}]},
            "resources[0]: a name is needed, not None",
        ),
        (
            {"activities": [BUN], "resources": ["a", "a"]},
            "resources[1]: 'a' is there twice",
        ),
        (
            {"activities": [BUN], "timeLimit": 0},
            "timeLimit: seconds above 0 are needed, not 0",
        ),
    ],
)
def test_unusable_inputs_are_refused(inputs: Any, text: str) -> None:
    """The error names the place and what is needed there."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        parse_instance(inputs)

    assert text == str(caught.value)
