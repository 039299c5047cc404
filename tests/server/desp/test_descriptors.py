"""What a service says of itself."""

from __future__ import annotations

from asynctasks.server.desp.catalogue import Description, Input, Offer
from asynctasks.server.desp.descriptors import write_descriptor


def test_default_of_an_input() -> None:
    """A default is told where the recordings have it."""
    about = Description(inputs=[Input("a", "json", 0, 0, "1")])
    [found] = write_descriptor(Offer(2, "D", about))["dataInputs"]

    assert {"dataType": "string", "value": "1"} == found["defaultAttrs"]
    assert (0, 0) == (found["minOccurs"], found["maxOccurs"])


def test_outputs() -> None:
    """Each output is a parameter, and a split input is named."""
    about = Description(outputs=("one", "two"), parallel_input="files")
    found = write_descriptor(Offer(2, "D", about))

    assert ["one", "two"] == [each["id"] for each in found["dataOutputs"]]
    assert ([], "files") == (found["dataInputs"], found["parallelInputsKey"])
