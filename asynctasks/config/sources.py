"""Where settings are found: in the environment, and in a file of profiles."""

from __future__ import annotations

from collections.abc import Mapping
import math
import os
from pathlib import Path
import tomllib
from typing import Any

from .credentials import is_shared
from .protocols import FILES, NUMBERS, Settings, check_names
from ..exceptions import ConfigError


__all__ = [
    "VARIABLES",
    "find_file",
    "parse_seconds",
    "read_environment",
    "read_profile",
    "say_text",
]

VARIABLES = {
    "protocol": "ASYNCTASKS_PROTOCOL",
    "url": "ASYNCTASKS_BASE_URL",
    "api_key": "ASYNCTASKS_API_KEY",
    "username": "ASYNCTASKS_USERNAME",
    "password": "ASYNCTASKS_PASSWORD",
    "token": "ASYNCTASKS_TOKEN",
    "access_token": "ASYNCTASKS_ACCESS_TOKEN",
    "patience": "ASYNCTASKS_TIMEOUT",
}
"""The settings that the environment may hold."""

PATHS = frozenset(FILES.values())


# --- the environment ---------------------------------------------------------


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings that the environment holds; an empty one counts as absent."""
    found: dict[str, Any] = {
        name: environ[variable]
        for name, variable in VARIABLES.items()
        if environ.get(variable)
    }
    if "patience" in found:
        found["patience"] = parse_seconds(VARIABLES["patience"], found["patience"])
    return found


def parse_seconds(source: str, value: object) -> float:
    """
    Read a number of seconds.

    Raises:
        ConfigError: it is none, or not above 0, or without end.
    """
    try:
        seconds = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        seconds = math.nan
    if isinstance(value, bool) or not 0 < seconds < math.inf:
        raise ConfigError(source, f"{value!r} is not a number of seconds above 0")
    return seconds


# --- the file ----------------------------------------------------------------


def find_file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """
    Return where the profiles are, whether or not they are there.

    Raises:
        ConfigError: the library that knows the usual place is not installed.
    """
    chosen = path or environ.get("ASYNCTASKS_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    try:
        import platformdirs  # noqa: PLC0415 - of the extra cli
    except ModuleNotFoundError as exc:
        reason = (
            "looking for it needs platformdirs: pip install platformdirs; or name "
            "the file (ASYNCTASKS_CONFIG), or the service (--url, ASYNCTASKS_BASE_URL)"
        )
        raise ConfigError("the file of profiles", reason) from exc
    return platformdirs.user_config_path("asynctasks") / "config.toml"


def read_profile(path: Path, wanted: str | None) -> tuple[str, dict[str, Any]]:
    """
    Read one profile of a file.

    Returns:
        Its name and its settings.
    """
    document, private = read_toml(path)
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigError(str(path), "profiles must be tables: [profiles.NAME]")
    check_names(str(path), document, {"profiles", "default_profile"})
    name = wanted or default_of(path, document, profiles)
    table = profiles.get(name)
    if not isinstance(table, dict):
        known = ", ".join(sorted(profiles)) or "none"
        reason = f"there is no profile {name!r}; there are: {known}"
        raise ConfigError(str(path), reason)
    secrets = sorted(FILES.keys() & table.keys())
    if secrets and not private:
        reason = (
            f"it holds a secret ({secrets[0]}) and others can read it: run chmod 600 "
            f"on it, or keep the secret in a file of its own ({FILES[secrets[0]]})"
        )
        raise ConfigError(str(path), reason)
    return name, parse_table(f"{path}, profile {name}", table, path.parent)


def default_of(
    path: Path, document: Mapping[str, Any], profiles: Mapping[str, Any]
) -> str:
    """Return the profile to take when none is named."""
    name = document.get("default_profile")
    if isinstance(name, str):
        return name
    if name is not None:
        raise ConfigError(str(path), "default_profile must be the name of one, as text")
    if len(profiles) == 1:
        return next(iter(profiles))
    known = ", ".join(sorted(profiles)) or "none"
    reason = f"name a profile, or set default_profile; there are: {known}"
    raise ConfigError(str(path), reason)


def read_toml(path: Path) -> tuple[dict[str, Any], bool]:
    """Read a file, and tell whether it is private."""
    try:
        with path.open("rb") as file:
            private = not is_shared(os.fstat(file.fileno()).st_mode)
            return tomllib.load(file), private
    except FileNotFoundError as exc:
        reason = (
            "does not exist; write a profile there, or name the service (--url, "
            "ASYNCTASKS_BASE_URL)"
        )
        raise ConfigError(str(path), reason) from exc
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # not TOML, or not UTF-8
        raise ConfigError(str(path), f"is not TOML: {exc}") from exc


def parse_table(source: str, table: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Check the settings of a profile; files are relative to the one they are in."""
    check_names(source, table, set(Settings.__annotations__))
    values = dict(table)
    for name, value in table.items():
        if name in NUMBERS:
            values[name] = parse_seconds(f"{source}: {name}", value)
        elif not isinstance(value, str) or not value:
            raise ConfigError(f"{source}: {name}", say_text(name, value))
        elif name in PATHS:
            values[name] = home / Path(value).expanduser()
    return values


def say_text(name: str, value: object) -> str:
    """Say how a setting is written, whatever was meant; no secret shows itself."""
    if name == "version":
        return 'write it as text, such as "007": a number loses its zeros'
    shown = "..." if name in FILES else value
    return f'write it as text, such as {name} = "{shown}"'
