"""
The processing services of Insula: what they say of themselves.

A function is described where it is registered, and the description goes with it::

    @server.service("TestProcessor")
    @describe(id=20, inputs=[Input("s2_input"), Input("s3_input")])
    def test_processor(inputs): ...

One that is not described takes any inputs, as text, and has one output, ``result``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import attrs

from ..documents import read_json
from ..simulator import Simulator
from ...exceptions import InvalidArgument, ResponseDecodeError


__all__ = ["Catalogue", "Description", "Input", "Offer", "describe"]

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["string", "integer", "double", "boolean", "json"]
"""What the function gets; on the wire everything is text."""

PLATFORM_INPUTS = frozenset({"collection", "geoServerSpec", "timeout"})
"""Inputs that are meant for the platform; the function does not see them."""


@attrs.frozen
class Input:
    """One input of a service."""

    id: str
    kind: Kind = "string"
    minimum: int = 1
    maximum: int = 1
    """Values at most; 0 sets no bound. Where it is not 1 the function gets a list."""

    default: str | None = None


@attrs.frozen(kw_only=True)
class Description:
    """What a service says of itself."""

    id: int | None = None
    """Its id; None takes the next that is free."""

    inputs: Sequence[Input] | None = None
    """None takes any inputs."""

    outputs: Sequence[str] = ("result",)
    """
    The ids of its outputs.

    With several, an object that the function returns has a value, or a list of them,
    for each, and a file is made of every value.
    """

    kind: str = "PROCESSOR"
    """``PARALLEL_PROCESSOR`` splits its inputs into sub-jobs."""

    parallel_input: str | None = None
    """The input that is split; None splits ``parallelInputs`` into ``input``."""

    text: str = ""
    cost: float = 1.0
    """What a launch costs, in credits."""


UNDESCRIBED = Description()


def describe(**facts: Any) -> Callable[[F], F]:
    """
    Describe a function to those who call it as a service of Insula.

    Args:
        facts: see :class:`Description`.
    """
    description = Description(**facts)

    def decorate(function: F) -> F:
        function.__desp__ = description  # type: ignore[attr-defined]
        return function

    return decorate


PACKAGED: Mapping[str, Description] = {
    "sleep": Description(inputs=[Input("seconds", "double")]),
    "fail": Description(inputs=[Input("message", minimum=0)]),
    "countStarsJson": Description(inputs=[Input("lines", maximum=0)]),
    "equalParallelMachineTimeIndexedMIP": Description(
        inputs=[
            Input("activities", "json", maximum=0),
            Input("resources", "json", 0, 0),
            Input("machines", "json", 0, 0),
            Input("timeLimit", "double", 0),
        ]
    ),
}
"""What the packaged services take, whose functions know nothing of Insula."""


@attrs.frozen
class Offer:
    """A service as it is offered."""

    id: int
    name: str
    about: Description

    @property
    def parallel_key(self) -> str | None:
        """The input whose values become sub-jobs; None where none does."""
        if self.about.kind != "PARALLEL_PROCESSOR":
            return None
        return self.about.parallel_input or "parallelInputs"

    def problems(self, inputs: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Yield what keeps a job from running with these inputs."""
        for wanted in self.about.inputs or ():
            given = len(inputs.get(wanted.id, ()))
            if given < wanted.minimum and wanted.default is None:
                yield f"Missing input {wanted.id}"
            if 0 < wanted.maximum < given:
                yield f"Too many values for input {wanted.id}"
            try:
                self._values(wanted, inputs.get(wanted.id, ()))
            except ValueError as exc:
                yield f"Invalid value for input {wanted.id}: {exc}"

    def arguments(self, inputs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return the inputs of the function."""
        known = {wanted.id: wanted for wanted in self.about.inputs or ()}
        found: dict[str, Any] = {}
        for name in [*known, *(name for name in inputs if name not in known)]:
            texts = inputs.get(name, ())
            if name in PLATFORM_INPUTS and name not in known:
                continue
            wanted = known.get(name, Input(name, maximum=1 if len(texts) == 1 else 0))
            values = self._values(wanted, texts)
            if values:
                found[name] = values[0] if wanted.maximum == 1 else values
        return found

    def _values(self, wanted: Input, texts: Sequence[str]) -> list[Any]:
        default = [] if wanted.default is None else [wanted.default]
        return [read(wanted.kind, text) for text in (texts or default)]


def read(kind: Kind, text: str) -> Any:
    """
    Read a value.

    Raises:
        ValueError: it is not of this kind.
    """
    if kind == "string":
        return text
    if kind == "integer":
        return int(text)
    if kind == "double":
        return float(text)
    if kind == "boolean":
        if text.lower() not in {"true", "false"}:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    try:
        return read_json(text.encode())
    except ResponseDecodeError:
        return text


class Catalogue:
    """The services that a simulator has, with the ids that Insula gives them."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._ids: dict[str, int] = {}

    def offers(self) -> list[Offer]:
        """Return all services, in the order of their ids."""
        found = [self._offer(name) for name in self._simulator.services]
        return sorted(found, key=lambda offer: offer.id)

    def get(self, service_id: str) -> Offer | None:
        """Return the service of this id."""
        return next((o for o in self.offers() if str(o.id) == service_id), None)

    def _offer(self, name: str) -> Offer:
        function = self._simulator.services[name].function
        about = getattr(function, "__desp__", PACKAGED.get(name, UNDESCRIBED))
        if name not in self._ids:
            self._ids[name] = self._new_id(name, about)
        return Offer(self._ids[name], name, about)

    def _new_id(self, name: str, about: Description) -> int:
        taken = set(self._ids.values())
        if about.id is None:
            reserved = {
                getattr(service.function, "__desp__", UNDESCRIBED).id
                for service in self._simulator.services.values()
            }
            free = (n for n in range(1, len(taken) + len(reserved) + 2))
            return next(n for n in free if n not in taken | reserved)
        if about.id in taken:
            remedy = "another service has this id; give another, or none"
            raise InvalidArgument("id", f"{about.id} of {name}", remedy)
        return about.id
