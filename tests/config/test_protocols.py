"""The table of the protocols."""

from __future__ import annotations

import attrs
import pytest

from asynctasks.config import Profile, Settings
from asynctasks.config.protocols import FILES, PROTOCOLS
from asynctasks.exceptions import ConfigError


SETTINGS = set(Settings.__annotations__)


def test_settings_are_attributes() -> None:
    """What can be set is what a profile has, but for its name."""
    assert {"name", *SETTINGS} == {each.name for each in attrs.fields(Profile)}


def test_every_setting_is_taken() -> None:
    """No setting is left over, and no protocol takes one that there is not."""
    assert set().union(*(p.settings for p in PROTOCOLS.values())) == SETTINGS


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_secret_has_its_file(protocol: str) -> None:
    """Whoever takes a secret takes a file with it, and each is one of the settings."""
    taken = PROTOCOLS[protocol].settings

    assert {FILES[name] for name in FILES.keys() & taken} == {
        path for path in FILES.values() if path in taken
    }


FOREIGN = [
    (protocol, name)
    for protocol, each in PROTOCOLS.items()
    for name in sorted(SETTINGS - each.settings)
]


@pytest.mark.parametrize(("protocol", "name"), FOREIGN)
def test_foreign_setting_is_refused(protocol: str, name: str) -> None:
    """A setting of another protocol is refused, with those that there are."""
    values = {"url": "https://a.example", name: "v2"}
    with pytest.raises(ConfigError, match=f"'{name}' is no setting of .*it takes: "):
        Profile(name="x", protocol=protocol, **values)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_credentials_are_refused(protocol: str) -> None:
    """A secret and its file, or two secrets, contradict each other."""
    secret = PROTOCOLS[protocol].secrets[0]
    values = {secret: "x", FILES[secret]: "y"}
    with pytest.raises(ConfigError, match=f"give one of {secret}, {secret}_file"):
        Profile(name="x", protocol=protocol, **values)


def test_choice_is_one_of_its_values() -> None:
    """A version that there is not is refused with those that there are."""
    with pytest.raises(ConfigError, match="'v3' is not known; choose one of: v2, v1"):
        Profile(name="x", protocol="oml", api_version="v3")


@pytest.mark.parametrize(
    ("protocol", "version", "deployment"),
    [("aimms", "v2", "cloud"), ("oml", "v2", None), ("desp", None, None)],
)
def test_usual_choice_is_taken(
    protocol: str, version: str | None, deployment: str | None
) -> None:
    """What has few values has a usual one, where the protocol has it."""
    profile = Profile(name="x", protocol=protocol, url="https://a.example")

    assert (version, deployment) == (profile.api_version, profile.deployment)
