"""Services say what they take, and get it."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.server.desp.catalogue import (
    PACKAGED,
    Catalogue,
    Description,
    Input,
    Offer,
    describe,
)
from asynctasks.server.services import SERVICES
from asynctasks.server.simulator import Simulator


def nothing(inputs: Any) -> None:
    """Do nothing."""


def offer(*inputs: Input, **facts: Any) -> Offer:
    return Offer(1, "x", Description(inputs=inputs or None, **facts))


@pytest.mark.parametrize(
    ("wanted", "texts", "expected"),
    [
        (Input("a"), ["x"], "x"),
        (Input("a", "integer"), ["7"], 7),
        (Input("a", "double"), ["0.5"], 0.5),
        (Input("a", "boolean"), ["True"], True),
        (Input("a", "boolean"), ["false"], False),
        (Input("a", "json"), ['{"x": [1]}'], {"x": [1]}),
        (Input("a", "json"), ["no json"], "no json"),
        (Input("a", maximum=0), ["x"], ["x"]),
        (Input("a", "integer", maximum=2), ["1", "2"], [1, 2]),
        (Input("a", "integer", default="3"), [], 3),
    ],
)
def test_arguments(wanted: Input, texts: list[str], expected: Any) -> None:
    """The function gets values of the kind that was described."""
    found = offer(wanted)

    assert {"a": expected} == found.arguments({"a": texts})
    assert [] == list(found.problems({"a": texts}))


def test_free_arguments() -> None:
    """Inputs that are not described are text; those for the platform are kept back."""
    given = {"a": ["1"], "b": ["x", "y"], "c": [], "collection": ["{}"]}

    assert {"a": "1", "b": ["x", "y"]} == offer().arguments(given)
    assert {"collection": "{}"} == offer(Input("collection")).arguments(
        {"collection": ["{}"]}
    )


@pytest.mark.parametrize(
    ("wanted", "texts", "words"),
    [
        (Input("a"), [], "Missing input a"),
        (Input("a"), ["x", "y"], "Too many values for input a"),
        (Input("a", "integer"), ["x"], "Invalid value for input a"),
        (Input("a", "double"), ["x"], "Invalid value for input a"),
        (Input("a", "boolean"), ["yes"], "neither true nor false"),
    ],
)
def test_problems(wanted: Input, texts: list[str], words: str) -> None:
    """What cannot be run is said."""
    [found] = offer(wanted).problems({"a": texts})

    assert words in found


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"kind": "PARALLEL_PROCESSOR"}, "parallelInputs"),
        ({"kind": "PARALLEL_PROCESSOR", "parallel_input": "band"}, "band"),
    ],
)
def test_parallel_key(facts: Any, expected: str | None) -> None:
    """A parallel service splits one input."""
    assert expected == offer(**facts).parallel_key


def test_ids() -> None:
    """Ids are given in the order of registration, around those that are reserved."""
    simulator = Simulator(new_id=str)
    catalogue = Catalogue(simulator)
    simulator.service("a", nothing)
    first = catalogue.offers()
    simulator.service("b", describe(id=2)(lambda inputs: inputs))
    simulator.service("c", nothing)
    found = [(each.id, each.name) for each in catalogue.offers()]

    assert [1] == [each.id for each in first]
    assert [(1, "a"), (2, "b"), (3, "c")] == found
    assert catalogue.get("4") is None


def test_id_twice() -> None:
    """Two services cannot have one id."""
    simulator = Simulator(new_id=str)
    for name in ("a", "b"):
        simulator.service(name, describe(id=2)(lambda inputs: inputs))
    with pytest.raises(InvalidArgument, match="2 of b"):
        Catalogue(simulator).offers()


def test_packaged() -> None:
    """The packaged services that are described are there."""
    assert set(PACKAGED) <= set(SERVICES)
