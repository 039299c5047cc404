"""Requests to the OML half, taken apart."""

from __future__ import annotations

from asynctasks.server.oml.calls import OmlQuirks


def test_quirks() -> None:
    """Without quirks the service is as it is documented."""
    assert OmlQuirks() == OmlQuirks(
        strict=True, semicolon=False, location=False, cut_off=120.0
    )
