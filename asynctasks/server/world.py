"""A world with everything in it: the packaged services, and every protocol."""

from __future__ import annotations

from collections.abc import Mapping
import secrets
import uuid

from .aimms.service import AimmsService
from .aimms.submits import AimmsApp
from .desp.processors import register as register_processors
from .desp.service import DespService
from .half import Half
from .oml.scripts import register as register_scripts
from .oml.service import OmlService
from .oml.tokens import Tokens
from .services import register
from .simulator import Simulator
from .vantiq.service import VantiqService
from .vantiq.tasks import TaskRows
from .vantiq.world import VantiqWorld


__all__ = ["build_halves", "build_simulator", "vantiq_world"]

DEVELOPER = "developer"
"""The user of the Vantiq half who is always there."""


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
        # Before AIMMS, to which all else below /api/v1 belongs.
        VantiqService(vantiq_world(simulator, api_key=api_key), task_rows(simulator)),
        AimmsService(simulator, api_key=api_key, guard_local=guard_local, apps=apps),
        OmlService(simulator, Tokens(new_token, password=api_key)),
        DespService(simulator, new_id=lambda: str(uuid.uuid4()), api_key=api_key),
    )


def vantiq_world(simulator: Simulator, *, api_key: str | None = None) -> VantiqWorld:
    """
    Return the Vantiq part of a world; it is made when it is first asked for.

    There is one user, ``developer``, whose password and long-lived access token is
    the API key, or ``developer`` where there never was one. More are added with
    ``world.users.add(name, password)``.
    """
    world = simulator.parts.get("vantiq")
    if not isinstance(world, VantiqWorld):
        world = simulator.parts["vantiq"] = VantiqWorld(
            users={}, new_id=lambda: uuid.uuid4().hex[:24], new_token=new_token
        )
        world.users.renew(DEVELOPER, api_key or DEVELOPER)
    elif api_key is not None:
        world.users.renew(DEVELOPER, api_key)
    return world


def task_rows(simulator: Simulator) -> TaskRows:
    """Return what works on the rows of a world; it is made once."""
    rows = simulator.parts.get("vantiq tasks")
    if not isinstance(rows, TaskRows):
        rows = TaskRows(vantiq_world(simulator), simulator)
        simulator.parts["vantiq tasks"] = rows
    return rows


def new_token() -> str:
    """Make a token that nobody can guess, and that begins as the vendor's do."""
    return f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(48)}"
