"""The processing service of DestinE's guide, as the packaged world offers it."""

from __future__ import annotations

from collections.abc import Mapping

from .catalogue import Input, describe
from ..simulator import Simulator


__all__ = ["join_inputs", "register"]


def register(simulator: Simulator) -> None:
    """Offer the packaged processing services."""
    simulator.service("TestProcessor", join_inputs)


@describe(
    id=20,
    inputs=[Input("s2_input"), Input("s3_input")],
    text="Joins its two inputs",
)
def join_inputs(inputs: Mapping[str, str]) -> str:
    """Join the two inputs with a blank."""
    return f"{inputs['s2_input']} {inputs['s3_input']}"
