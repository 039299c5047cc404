"""A world with everything in it: the packaged services, and every protocol."""

from __future__ import annotations

from collections.abc import Mapping
import uuid

from .aimms import AimmsService
from .aimms_submits import AimmsApp
from .half import Half
from .services import register
from .simulator import Simulator


__all__ = ["build_halves", "build_simulator"]


def build_simulator(*, parallel: int = 2, services: bool = True) -> Simulator:
    """
    Make a world whose tasks have random ids.

    Args:
        parallel: how many tasks run at the same time at most.
        services: register the packaged services.
    """
    simulator = Simulator(parallel=parallel, new_id=lambda: str(uuid.uuid4()))
    if services:
        register(simulator)
    return simulator


def build_halves(
    simulator: Simulator,
    *,
    api_key: str | None = None,
    guard_local: bool = False,
    apps: Mapping[str, AimmsApp] | None = None,
) -> tuple[Half, ...]:
    """
    Make the server's half of every protocol.

    Args:
        simulator: the world that they share.
        api_key: what clients must send; None accepts any key, or none.
        guard_local: ask for it on every path, also on those that need none.
        apps: the published AIMMS applications; None accepts any.
    """
    return (
        AimmsService(simulator, api_key=api_key, guard_local=guard_local, apps=apps),
    )
