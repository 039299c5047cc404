"""The packaged processing service is that of the guide."""

from __future__ import annotations

from asynctasks.server.desp.catalogue import Catalogue
from asynctasks.server.desp.processors import join_inputs, register
from asynctasks.server.simulator import Simulator


def test_guide() -> None:
    """The guide's service has its id and does what its inputs say."""
    simulator = Simulator(new_id=str)
    register(simulator)
    offer = Catalogue(simulator).get("20")
    inputs = {"s2_input": ["Insula is"], "s3_input": ["great!"]}

    assert offer is not None
    assert [] == list(offer.problems(inputs))
    assert "Insula is great!" == join_inputs(offer.arguments(inputs))
