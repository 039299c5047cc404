"""What a service of Insula says of itself: inputs, outputs, and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .catalogue import Description, Offer


__all__ = ["WHOLE_SERVICE", "write_descriptor"]

WHOLE_SERVICE: Mapping[str, Any] = {
    "stripProxyPath": True,
    "serviceFilesUri": None,
    "additionalMounts": {},
    "dockerBuildInfo": None,
    "requiredResources": None,
    "externalServiceUri": None,
    "port": None,
    "groupId": None,
    "cwl": None,
}
"""What only the whole document of a service has."""


def write_descriptor(offer: Offer) -> dict[str, Any]:
    """Write what a service takes and gives."""
    about: Description = offer.about
    inputs = [
        write_parameter(
            wanted.id, wanted.minimum, wanted.maximum, wanted.kind, wanted.default
        )
        for wanted in about.inputs or ()
    ]
    return {
        "id": offer.name,
        "title": offer.name,
        "description": about.text,
        "version": "0.1",
        "port": None,
        "groupId": None,
        "storeSupported": False,
        "statusSupported": False,
        "serviceType": None,
        "serviceProvider": None,
        "dataInputs": inputs,
        "dataOutputs": [write_parameter(name, 1, 1) for name in about.outputs],
        "metadata": None,
        "dockerCommand": None,
        "dockerArguments": [],
        "parallelInputsKey": about.parallel_input,
    }


def write_parameter(
    name: str,
    minimum: int,
    maximum: int,
    kind: str = "string",
    default: str | None = None,
) -> dict[str, Any]:
    """Write an input or output of a service."""
    attributes = {"dataType": "string" if kind == "json" else kind}
    if default is not None:
        attributes["value"] = default
    return {
        "id": name,
        "title": name,
        "description": name,
        "minOccurs": minimum,
        "maxOccurs": maximum,
        "data": "LITERAL",
        "defaultAttrs": attributes,
        "supportedAttrs": None,
        "platformMetadata": {"format": "OTHER"},
    }
