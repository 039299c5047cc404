"""
The embedded server: the task protocols on this machine, with no account.

Importing this package does not import aiohttp; using ``LocalServer`` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .aimms.submits import AimmsApp as AimmsApp
    from .app import LocalServer as LocalServer
    from .context import TaskContext as TaskContext
    from .faults import Fault as Fault
    from .payload import Result as Result
    from .simulator import Simulator as Simulator
    from .vantiq.world import VantiqWorld as VantiqWorld

__all__ = [
    "AimmsApp",
    "Fault",
    "LocalServer",
    "Result",
    "Simulator",
    "TaskContext",
    "VantiqWorld",
]

EXPORTS = {
    "AimmsApp": ".aimms.submits",
    "Fault": ".faults",
    "LocalServer": ".app",
    "Result": ".payload",
    "Simulator": ".simulator",
    "TaskContext": ".context",
    "VantiqWorld": ".vantiq.world",
}


def __getattr__(name: str) -> object:
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(EXPORTS[name], __name__), name)
