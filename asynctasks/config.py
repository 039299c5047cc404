"""
Profiles: where a service is and how to speak to it, from a file and the environment.

::

    default_profile = "prod"

    [profiles.prod]
    account = "acme"                # or url = "https://acme.aimms.cloud"
    app = "Scheduling"
    version = "007"                 # text, so that it stays what it is
    api_key_file = "apikey.txt"     # beside this file; {"apiKey": "..."} or the key

    [profiles.desk]
    url = "http://localhost:8080"

The library reads nothing of this by itself: only :meth:`Profile.load` and the command
line look at the environment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
import math
import os
from pathlib import Path
import tomllib
from typing import Any, NoReturn, Self, TypedDict, Unpack
import warnings

import attrs

from .exceptions import ConfigError
from .sansio.auth import Secret
from .sansio.urls import is_loopback


__all__ = ["Profile", "Settings", "configure_logging"]

PROTOCOLS = ("aimms",)

DEPLOYMENTS = ("cloud", "local")

VARIABLES = {
    "url": "ASYNCTASKS_BASE_URL",
    "api_key": "ASYNCTASKS_API_KEY",
    "token": "ASYNCTASKS_TOKEN",
    "patience": "ASYNCTASKS_TIMEOUT",
    "state_dir": "ASYNCTASKS_STATE_DIR",
}
"""The settings that the environment may hold."""

NUMBERS = frozenset({"patience", "attempt_timeout"})
ADDRESS = frozenset({"url", "account"})
SECRETS = frozenset({"api_key", "token"})
CREDENTIALS = SECRETS | {"api_key_file"}

ALTERNATIVES = (ADDRESS, frozenset({"api_key", "api_key_file"}))
"""Settings of which one replaces the other."""

OTHER_NAMES = {
    "base_url": "url",
    "key": "api_key",
    "key_file": "api_key_file",
    "timeout": "patience",
}
"""What a setting is called elsewhere."""


class Settings(TypedDict, total=False):
    """The settings of a profile, as ``Profile.load()`` takes them; None: not given."""

    protocol: str | None
    url: str | None
    account: str | None
    deployment: str | None
    app: str | None
    version: str | None
    api_version: str | None
    api_key: str | Secret | None
    api_key_file: str | os.PathLike[str] | None
    token: str | Secret | None
    patience: float | None
    attempt_timeout: float | None
    state_dir: str | os.PathLike[str] | None


def secret(value: str | Secret | None) -> Secret | None:
    """Keep a text from showing itself."""
    return Secret(value) if isinstance(value, str) else value


def expanded(value: str | os.PathLike[str] | None) -> Path | None:
    """Make a path, with ``~`` for the home folder."""
    return None if value is None else Path(value).expanduser()


@attrs.frozen(kw_only=True)
class Profile:
    """
    One service and how to speak to it.

    Raises:
        ConfigError: the settings contradict each other.
    """

    name: str
    """What the file calls it; ``"(none)"`` where no profile of a file was taken."""

    protocol: str = "aimms"
    """What is spoken there."""

    url: str | None = None
    """The base URL; or instead the account."""

    account: str | None = None
    """The account, as in ``https://ACCOUNT.aimms.cloud``."""

    app: str | None = None
    """The application whose services are called (cloud)."""

    version: str | None = None
    """The application's version; without it the one that is tagged latest."""

    deployment: str = attrs.field()
    """
    ``"cloud"`` or ``"local"``.

    By default it is local where the URL is of this machine and no application is
    named, else cloud.
    """

    api_version: str = "v2"
    """The version of the REST API."""

    api_key: Secret | None = attrs.field(default=None, converter=secret)
    """The key; or instead a file that holds it."""

    api_key_file: Path | None = attrs.field(default=None, converter=expanded)
    """The file that holds the key."""

    token: Secret | None = attrs.field(default=None, converter=secret)
    """A bearer token, for protocols that take one. AIMMS takes a key."""

    patience: float | None = None
    """Seconds to wait for a task; None leaves it to the client."""

    attempt_timeout: float | None = None
    """Seconds for one HTTP attempt; None leaves it to the client."""

    state_dir: Path | None = attrs.field(default=None, converter=expanded)
    """The folder for what must survive the process."""

    @deployment.default
    def _local_on_this_machine(self) -> str:
        near = self.url is not None and is_loopback(self.url)
        return "local" if near and self.app is None else "cloud"

    def __attrs_post_init__(self) -> None:
        source = f"profile {self.name}"
        if self.url is not None and self.account is not None:
            raise ConfigError(source, "give its url or its account, not both")
        if self.protocol not in PROTOCOLS:
            refuse_choice(source, "protocol", self.protocol, PROTOCOLS)
        if self.deployment not in DEPLOYMENTS:
            refuse_choice(source, "deployment", self.deployment, DEPLOYMENTS)

    @classmethod
    def load(
        cls,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Unpack[Settings],
    ) -> Self:
        """
        Find a profile: arguments win over the environment, and that over the file.

        The environment's settings are ``ASYNCTASKS_BASE_URL``, ``_API_KEY``,
        ``_TOKEN``, ``_TIMEOUT`` and ``_STATE_DIR``; ``ASYNCTASKS_PROFILE`` names the
        profile and ``ASYNCTASKS_CONFIG`` the file.

        Where an address is given and no profile is named, the file is not read.
        Where both are given, the profile's keys are not taken: they are meant for
        the profile's own address.

        Args:
            name: of the profile; by default ``default_profile`` of the file, or the
                only one in it.
            path: of the file; by default ``asynctasks/config.toml`` in the user's
                folder of configurations.
            environ: instead of the environment of the process.
            settings: of the profile, by the names of its attributes.

        Raises:
            ConfigError: the profile, its file or a setting cannot be used.
        """
        env = os.environ if environ is None else environ
        given = {key: value for key, value in settings.items() if value is not None}
        given = overlay(read_environment(env), given)
        wanted = name or env.get("ASYNCTASKS_PROFILE") or None
        values: dict[str, Any] = {}
        if wanted is not None or not ADDRESS & given.keys():
            wanted, values = read_profile(find_file(path, env), wanted)
        if ADDRESS & given.keys():
            values = {k: v for k, v in values.items() if k not in CREDENTIALS}
        profile = cls(name=wanted or "(none)", **overlay(values, given))
        if profile.api_key_file is not None:
            warn_of_readers(profile.api_key_file)
        return profile


def overlay(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings over others."""
    replaced = {
        name for group in ALTERNATIVES if group & upper.keys() for name in group
    }
    kept = {name: value for name, value in lower.items() if name not in replaced}
    return {**kept, **upper}


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
            'looking for it needs platformdirs: pip install "asynctasks[cli]"; or '
            "name the file (ASYNCTASKS_CONFIG), or the service (ASYNCTASKS_BASE_URL)"
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
    if not private and SECRETS & table.keys():
        reason = (
            "it holds a key and others can read it: run chmod 600 on it, or keep the "
            "key in a file of its own (api_key_file)"
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
            "does not exist; write a profile there, or name the service "
            "(ASYNCTASKS_BASE_URL)"
        )
        raise ConfigError(str(path), reason) from exc
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # not TOML, or not UTF-8
        raise ConfigError(str(path), f"is not TOML: {exc}") from exc


def parse_table(source: str, table: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Check the settings of a profile; files are relative to the one they are in."""
    check_names(source, table, Settings.__annotations__)
    values = dict(table)
    for name, value in table.items():
        if name in NUMBERS:
            values[name] = parse_seconds(f"{source}: {name}", value)
        elif not isinstance(value, str) or not value:
            quoted = f'write it as text, such as {name} = "{value}"'
            if name == "version":
                quoted = 'write it as text, such as "007": a number loses its zeros'
            raise ConfigError(f"{source}: {name}", quoted)
        elif name in {"api_key_file", "state_dir"}:
            values[name] = home / Path(value).expanduser()
    return values


def check_names(source: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse names that mean nothing."""
    unknown = sorted(set(table) - set(known))
    if unknown:
        reason = "; ".join(complain(name, known) for name in unknown)
        raise ConfigError(source, reason)


def complain(name: str, known: Collection[str]) -> str:
    """Say that a name means nothing, and which one may be meant."""
    import difflib  # noqa: PLC0415 - only for those who err

    near = difflib.get_close_matches(name, known, n=1)
    meant = OTHER_NAMES.get(name) or (near[0] if near else "")
    hint = (
        f"do you mean {meant}?" if meant else f"there are: {', '.join(sorted(known))}"
    )
    return f"{name!r} is no setting; {hint}"


def refuse_choice(
    source: str, name: str, value: str, choices: Collection[str]
) -> NoReturn:
    """Raise because a setting has none of its values."""
    reason = f"{name} {value!r} is not known; choose one of: {', '.join(choices)}"
    raise ConfigError(source, reason)


def is_shared(mode: int) -> bool:
    """Tell whether others on this machine may read a file of that mode."""
    return os.name == "posix" and bool(mode & 0o077)


def warn_of_readers(path: Path) -> None:
    """Warn if others on this machine may read the key."""
    # A file that is not there is reported by whoever reads it.
    with suppress(OSError):
        if is_shared(path.stat().st_mode):
            what = f"{path}: others can read this key; run chmod 600 on it"
            warnings.warn(what, stacklevel=3)


# --- logging -----------------------------------------------------------------


def configure_logging(path: str | os.PathLike[str]) -> None:
    """
    Set up logging as a file in the form of :func:`logging.config.fileConfig` says.

    Loggers that exist already go on. Nothing calls this but you and the command
    line's ``--log-config``.

    .. warning:: Such a file can run any code: load only files that you trust.

    Raises:
        ConfigError: the file cannot be read or is unsound.
    """
    # Not at the top: they load sockets and servers that nothing else needs.
    from configparser import ConfigParser  # noqa: PLC0415
    import logging.config  # noqa: PLC0415

    parser = ConfigParser()
    try:
        parser.read_string(Path(path).read_text("utf-8"))
        logging.config.fileConfig(parser, disable_existing_loggers=False)
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read: {exc.strerror}") from exc
    except Exception as exc:  # the file is code: anything can go wrong in it
        words = str(exc).partition("\n")[0]
        reason = f"is no sound logging configuration: {type(exc).__name__}: {words}"
        raise ConfigError(str(path), reason) from exc
