"""One request to the OML half, taken apart, and what it is answered from."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..simulator import Simulator
from ...sansio.http import Request


__all__ = ["Call", "OmlQuirks"]


@attrs.frozen(kw_only=True)
class OmlQuirks:
    """What the service does, or does not, differently from place to place."""

    strict: bool = True
    """Refuse a ``timeout`` below the documented minimum."""

    semicolon: bool = False
    """End the Location of a new job with a semicolon, as on one page."""

    location: bool = False
    """Add a Location to the answer that a job has finished, for clients to err."""

    cut_off: float = 120.0
    """Seconds after which the connection of a synchronous call is cut."""


@attrs.frozen(kw_only=True)
class Call:
    """One request, taken apart."""

    simulator: Simulator
    quirks: OmlQuirks
    request: Request
    base: str
    """What a URL of this server begins with, up to ``py-scripts``."""

    version: str
    parts: Sequence[str]
    """The path below the version, decoded."""

    realm: str
    loaded: dict[str, float]
    """The environments that this user has preloaded, and when."""

    now: float
