"""From the options to a client."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.cli.connect import connect, load_profile
from asynctasks.cli.options import Options
from asynctasks.exceptions import ConfigError


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
