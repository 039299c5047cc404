"""From the options to a client."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.cli.connect import (
    CLIENTS,
    check_submit,
    connect,
    load_profile,
    open_client,
    sign,
    submit_options,
)
from asynctasks.cli.options import Options
from asynctasks.config import Profile
from asynctasks.config.protocols import PROTOCOLS
from asynctasks.exceptions import ConfigError, UnsupportedOperation


@pytest.fixture
def config(isolated: Path) -> Path:
    """Write a file of profiles."""
    path = isolated / "config.toml"
    path.write_text('[profiles.prod]\naccount = "acme"\napp = "A"\npatience = 9\n')
    return path


async def test_client_is_what_the_options_say(isolated: Path) -> None:
    """Options make a client of the service they name."""
    options = Options(
        timeout=7.5, settings={"url": "http://localhost:9", "api_version": "v1"}
    )
    async with connect(options) as client:
        assert "AIMMS v1 (local)" == client.dialect.title
        assert "http://localhost:9" == client.origin
        assert 7.5 == client.patience


def test_options_win_over_the_profile(config: Path) -> None:
    """An option replaces one setting of the profile, and leaves the others."""
    profile = load_profile(Options(profile="prod", settings={"app": "B"}))

    assert ("acme", "B", 9.0) == (profile.account, profile.app, profile.patience)


async def test_cloud_needs_a_key(config: Path) -> None:
    """A profile of the cloud without a key is refused before anything is sent."""
    with pytest.raises(ConfigError, match="needs a key"):
        connect(Options(profile="prod"))


def test_every_protocol_has_its_client() -> None:
    """No protocol that a profile can name is without a client."""
    assert set(PROTOCOLS) == set(CLIENTS)


def test_options_of_a_submit_are_those_of_its_signature() -> None:
    """The body has options of its own; the rest is found by name."""
    assert [
        "schedule_every",
        "schedule_for",
        "schedule_in",
        "task_state_hook",
    ] == submit_options(AimmsClient)


@pytest.mark.parametrize("protocol", ["oml", "desp"])
async def test_made_up_token_takes_the_place_of_a_password(protocol: str) -> None:
    """Where nothing is sent, no token is asked for."""
    url = "https://service.example"
    profile = Profile(
        name="x", protocol=protocol, url=url, username="ann", password="secret"
    )
    async with open_client(sign(profile)) as client:
        assert "Authorization" in client._driver.auth.headers()


async def test_local_aimms_has_no_options(isolated: Path) -> None:
    """The refusal offers none of those of the cloud."""
    settings = {"url": "http://localhost:9", "deployment": "local"}
    async with connect(Options(settings=settings)) as client:
        with pytest.raises(UnsupportedOperation, match="it has: nothing of the kind"):
            check_submit(client, {"foo": 1})


async def test_schedule_where_there_is_none_is_refused(isolated: Path) -> None:
    """An argument that the service would not see is not dropped in silence."""
    settings = {"protocol": "desp", "url": "http://localhost:9"}
    async with connect(Options(settings=settings)) as client:
        with pytest.raises(UnsupportedOperation, match="no option schedule_in"):
            check_submit(client, {"inputs": {}, "schedule_in": 60})
