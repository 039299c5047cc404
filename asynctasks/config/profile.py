"""One service and how to speak to it; see the package for how it is written."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import attrs

from .credentials import fetch_from, warn_of_readers
from .protocols import (
    ADDRESS,
    BOUND,
    CREDENTIALS,
    DEFAULT,
    FILES,
    NUMBERS,
    PROTOCOLS,
    Settings,
    refuse_choice,
)
from .sources import (
    find_file,
    parse_seconds,
    read_environment,
    read_profile,
    say_text,
)
from ..exceptions import ConfigError
from ..sansio.auth import Credential, Secret
from ..sansio.urls import is_loopback


if TYPE_CHECKING:
    from ..options import ClientOptions


__all__ = ["Profile"]

NAMELESS = "(none)"

ALTERNATIVES = (ADDRESS, CREDENTIALS)
"""Settings of which one replaces the others."""


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

    A setting that the protocol does not take is refused, as are two credentials.

    Raises:
        ConfigError: the settings contradict each other.
    """

    name: str
    """What the file calls it; ``"(none)"`` where no profile of a file was taken."""

    protocol: str = DEFAULT
    """What is spoken there: ``"aimms"``, ``"oml"``, ``"desp"`` or ``"vantiq"``."""

    url: str | None = None
    """The base URL; or instead, for AIMMS, the account."""

    account: str | None = None
    """The account, as in ``https://ACCOUNT.aimms.cloud`` (AIMMS)."""

    app: str | None = None
    """The application whose services are called (AIMMS in the cloud)."""

    version: str | None = None
    """The application's version; without it the one that is tagged latest."""

    deployment: str | None = attrs.field()
    """
    ``"cloud"`` or ``"local"`` (AIMMS).

    By default it is local where the URL is of this machine and no application is
    named, else cloud.
    """

    api_version: str | None = attrs.field()
    """The version of the REST API, ``"v2"`` or ``"v1"`` (AIMMS and OML)."""

    api_key: Secret | None = attrs.field(default=None, converter=secret)
    """The key (AIMMS); or instead a file that holds it."""

    api_key_file: Path | None = attrs.field(default=None, converter=expanded)
    """The file that holds the key."""

    username: str | None = None
    """Whose password or token it is (OML, DESP and Vantiq)."""

    password: Secret | None = attrs.field(default=None, converter=secret)
    """The user's (OML, Vantiq, and DESP with *token_url*); or instead a file."""

    password_file: Path | None = attrs.field(default=None, converter=expanded)
    """The file that holds the password."""

    token: Secret | None = attrs.field(default=None, converter=secret)
    """A token that was had elsewhere (OML, Vantiq); the user's API key (DESP)."""

    token_file: Path | None = attrs.field(default=None, converter=expanded)
    """The file that holds the token."""

    access_token: Secret | None = attrs.field(default=None, converter=secret)
    """A ready OAuth 2 token (DESP)."""

    access_token_file: Path | None = attrs.field(default=None, converter=expanded)
    """The file that holds the access token; read again when it is not accepted."""

    token_url: str | None = None
    """Where the identity provider gives tokens for the password (DESP)."""

    client_id: str | None = None
    """As the identity provider knows the client (DESP)."""

    task_type: str | None = None
    """The type whose rows are tasks; ``Task`` by default (Vantiq)."""

    patience: float | None = None
    """Seconds to wait for a task; None leaves it to the client."""

    attempt_timeout: float | None = None
    """Seconds for one HTTP attempt; None leaves it to the client."""

    @deployment.default
    def _local_on_this_machine(self) -> str | None:
        if not self._takes("deployment"):
            return None
        near = isinstance(self.url, str) and is_loopback(self.url)
        return "local" if near and self.app is None else "cloud"

    @api_version.default
    def _usual_version(self) -> str | None:
        known = PROTOCOLS.get(self.protocol)
        versions = known.choices.get("api_version") if known is not None else None
        return None if versions is None else versions[0]

    def _takes(self, name: str) -> bool:
        known = PROTOCOLS.get(self.protocol)
        return known is not None and name in known.settings

    def __attrs_post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            refuse_choice(self.source, "protocol", self.protocol, PROTOCOLS)
        protocol = PROTOCOLS[self.protocol]
        given = {n for n in Settings.__annotations__ if getattr(self, n) is not None}
        foreign = sorted(given - protocol.settings)
        if foreign:
            takes = ", ".join(sorted(protocol.settings))
            what = f"{foreign[0]!r} is no setting of {protocol.title} ({self.protocol})"
            raise self.complaint(f"{what}; it takes: {takes}")
        for name in sorted(given):
            self._check_kind(name)
        if given >= ADDRESS:
            raise self.complaint("give its url or its account, not both")
        several = sorted(given & CREDENTIALS)
        if several[1:]:
            raise self.complaint(f"give one of {', '.join(several)}, not several")
        for name, choices in protocol.choices.items():
            if getattr(self, name) not in choices:
                refuse_choice(self.source, name, getattr(self, name), choices)

    def _check_kind(self, name: str) -> None:
        value, source = getattr(self, name), f"{self.source}: {name}"
        if name in NUMBERS:
            if isinstance(value, str):
                raise ConfigError(source, f"{value!r} is text; give a number")
            parse_seconds(source, value)
        elif not isinstance(value, str | Secret | Path):
            raise ConfigError(source, say_text(name, value))

    @property
    def source(self) -> str:
        """What errors call it."""
        return "the settings" if self.name == NAMELESS else f"profile {self.name}"

    def complaint(self, reason: str) -> ConfigError:
        """Return the error that names this profile."""
        return ConfigError(self.source, reason)

    def check_protocol(self, protocol: str) -> None:
        """
        Refuse to be taken for another service's.

        Raises:
            ConfigError: the profile is of another protocol.
        """
        if self.protocol != protocol:
            titles = [PROTOCOLS[each].title for each in (self.protocol, protocol)]
            raise self.complaint(f"it is of {titles[0]}, not of {titles[1]}")

    def credential(self, name: str) -> Credential | None:
        """
        Return a secret, or what fetches it from its file; None if there is none.

        Args:
            name: ``"api_key"``, ``"password"``, ``"token"`` or ``"access_token"``.
        """
        value: Secret | None = getattr(self, name)
        path: Path | None = getattr(self, FILES[name])
        if value is not None:
            return value
        return None if path is None else fetch_from(path, name)

    @property
    def clocks(self) -> ClientOptions:
        """The options of a client that the profile sets."""
        clocks: ClientOptions = {}
        if self.patience is not None:
            clocks["patience"] = self.patience
        if self.attempt_timeout is not None:
            clocks["attempt_timeout"] = self.attempt_timeout
        return clocks

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

        The environment's settings are ``ASYNCTASKS_PROTOCOL``, ``_BASE_URL``,
        ``_USERNAME``, ``_API_KEY``, ``_PASSWORD``, ``_TOKEN``, ``_ACCESS_TOKEN``
        and ``_TIMEOUT``, as far as the protocol takes them;
        ``ASYNCTASKS_PROFILE`` names the profile and ``ASYNCTASKS_CONFIG`` the file.

        Where an address is given and no profile is named, the file is not read.
        Where both are given, the profile's credentials are not taken: they are meant
        for the profile's own address. A credential replaces any other.

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
        around = read_environment(env)
        elsewhere = bool(ADDRESS & (around.keys() | given.keys()))
        wanted = name or env.get("ASYNCTASKS_PROFILE") or None
        values: dict[str, Any] = {}
        if wanted is not None or not elsewhere:
            wanted, values = read_profile(find_file(path, env), wanted)
        if elsewhere:
            values = {k: v for k, v in values.items() if k not in BOUND}
        around = only_for({**values, **around, **given}, around)
        merged = overlay(overlay(values, around), given)
        profile = cls(name=wanted or NAMELESS, **merged)
        for each in FILES.values():
            if getattr(profile, each) is not None:
                warn_of_readers(getattr(profile, each))
        return profile


def only_for(settings: Mapping[str, Any], around: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the environment says to other protocols."""
    protocol = PROTOCOLS.get(settings.get("protocol", DEFAULT))
    if protocol is None:
        return around
    return {k: v for k, v in around.items() if k in protocol.settings}


def overlay(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings over others."""
    replaced = {
        name for group in ALTERNATIVES if group & upper.keys() for name in group
    }
    kept = {name: value for name, value in lower.items() if name not in replaced}
    return {**kept, **upper}
