"""A world with everything in it: the packaged services, and every protocol."""

from __future__ import annotations

from collections.abc import Mapping
import secrets
import uuid

from .aimms import AimmsService
from .aimms_submits import AimmsApp
from .desp import DespService
from .desp_processors import register as register_processors
from .half import Half
from .oml import OmlService
from .oml_tokens import Tokens
from .scripts import register as register_scripts
from .services import register
from .simulator import Simulator


__all__ = ["build_halves", "build_simulator"]


def build_simulator(*, parallel: int = 2, services: bool = True) -> Simulator:
    """
    Make a world whose tasks have random ids.

    Args:
        parallel: how many tasks run at the same time at most.
        services: register the packaged services and scripts, and their tables.
    """
    simulator = Simulator(parallel=parallel, new_id=lambda: str(uuid.uuid4()))
    if services:
        register(simulator)
        register_scripts(simulator)
        register_processors(simulator)
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
        api_key: what clients must send, as key or as password; None accepts any, or
            none.
        guard_local: ask for it on every path, also on those that need none.
        apps: the published AIMMS applications; None accepts any.
    """
    return (
        AimmsService(simulator, api_key=api_key, guard_local=guard_local, apps=apps),
        OmlService(simulator, Tokens(new_token, password=api_key)),
        DespService(simulator, new_id=lambda: str(uuid.uuid4()), api_key=api_key),
    )


def new_token() -> str:
    """Make a token that nobody can guess, and that begins as the vendor's do."""
    return f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(48)}"
