"""
The settings: what they are called, and which of them each protocol takes.

A protocol is one row of :data:`PROTOCOLS`; nothing else here knows them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import os
from typing import NoReturn, TypedDict

import attrs

from ..exceptions import ConfigError
from ..sansio.auth import Secret


__all__ = [
    "ADDRESS",
    "BOUND",
    "COMMON",
    "CREDENTIALS",
    "DEFAULT",
    "FILES",
    "NUMBERS",
    "PROTOCOLS",
    "Protocol",
    "Settings",
    "check_names",
    "refuse_choice",
]


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
    username: str | None
    password: str | Secret | None
    password_file: str | os.PathLike[str] | None
    token: str | Secret | None
    token_file: str | os.PathLike[str] | None
    access_token: str | Secret | None
    access_token_file: str | os.PathLike[str] | None
    token_url: str | None
    client_id: str | None
    task_type: str | None
    patience: float | None
    attempt_timeout: float | None


COMMON = frozenset({"protocol", "url", "patience", "attempt_timeout"})
"""The settings that every protocol takes."""

NUMBERS = frozenset({"patience", "attempt_timeout"})

FILES: Mapping[str, str] = {
    "api_key": "api_key_file",
    "password": "password_file",
    "token": "token_file",
    "access_token": "access_token_file",
}
"""The settings that are secret, and those that name a file with the secret."""

CREDENTIALS = frozenset({*FILES, *FILES.values()})

ADDRESS = frozenset({"url", "account"})

BOUND = CREDENTIALS | {"token_url", "client_id"}
"""Settings that are meant for one address and go to no other."""


@attrs.frozen(kw_only=True)
class Protocol:
    """What a profile of one protocol may say, beside what all may."""

    title: str
    """The name that people read."""

    secrets: tuple[str, ...]
    """The kinds of credentials, of which a profile has one; or a file that holds it."""

    names: tuple[str, ...] = ()
    """The other settings."""

    choices: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Settings that have few values, the usual one first."""

    @property
    def settings(self) -> frozenset[str]:
        """All settings that it takes."""
        files = [FILES[name] for name in self.secrets]
        return COMMON.union(self.secrets, files, self.names, self.choices)


DEFAULT = "aimms"
"""What is spoken where nothing is said."""

PROTOCOLS: Mapping[str, Protocol] = {
    "aimms": Protocol(
        title="AIMMS",
        secrets=("api_key",),
        names=("account", "app", "version"),
        choices={"deployment": ("cloud", "local"), "api_version": ("v2", "v1")},
    ),
    "oml": Protocol(
        title="Oracle Machine Learning",
        secrets=("password", "token"),
        names=("username",),
        choices={"api_version": ("v2", "v1")},
    ),
    "desp": Protocol(
        title="DESP",
        secrets=("token", "password", "access_token"),
        names=("username", "token_url", "client_id"),
    ),
    "vantiq": Protocol(
        title="Vantiq",
        secrets=("token", "password"),
        names=("username", "task_type"),
    ),
}

OTHER_NAMES = {
    "base_url": "url",
    "key": "api_key",
    "key_file": "api_key_file",
    "timeout": "patience",
    "user": "username",
}
"""What a setting is called elsewhere."""


def check_names(source: str, table: Mapping[str, object], known: set[str]) -> None:
    """
    Refuse names that mean nothing.

    Raises:
        ConfigError: there are some; it says which are meant, or known.
    """
    unknown = sorted(set(table) - known)
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
    source: str, name: str, value: object, choices: Collection[str]
) -> NoReturn:
    """Raise because a setting has none of its values."""
    reason = f"{name} {value!r} is not known; choose one of: {', '.join(choices)}"
    raise ConfigError(source, reason)
