"""Profiles, and the clients that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import re
import sys
from typing import Any
import warnings

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.config import Profile
from asynctasks.config.protocols import FILES
from asynctasks.desp import DespClient
from asynctasks.exceptions import ConfigError
from asynctasks.oml import OmlClient
from asynctasks.sansio.auth import Secret


NONE: Mapping[str, str] = {}

KEY = "cAnArY-1234567890-cAnArY"

POSIX = pytest.mark.skipif(os.name != "posix", reason="has no modes of files")

TWO = """
[profiles.prod]
account = "acme"
app = "Scheduling"
version = "007"

[profiles.desk]
url = "http://localhost:8080"
api_version = "v1"
"""


OML = """
[profiles.db]
protocol = "oml"
url = "https://adb.example/oml"
username = "ann"
password_file = "p.txt"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return where a private file of profiles is going to be."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    return path


def load(
    path: Path,
    name: str | None = None,
    environ: Mapping[str, str] = NONE,
    **settings: Any,
) -> Profile:
    """Load a profile without the environment of the process."""
    return Profile.load(name, path=path, environ=environ, **settings)


def test_profile_is_read_from_a_file(config: Path) -> None:
    """A named profile has what its table says, and defaults for the rest."""
    config.write_text(TWO)

    assert Profile(
        name="prod",
        account="acme",
        app="Scheduling",
        version="007",
        deployment="cloud",
        api_version="v2",
    ) == load(config, "prod")


@pytest.mark.parametrize(
    ("settings", "deployment"),
    [
        ({"url": "http://localhost:8080"}, "local"),
        ({"url": "http://127.0.0.1:8080", "app": "A"}, "cloud"),
        ({"url": "https://acme.aimms.cloud"}, "cloud"),
        ({"account": "acme"}, "cloud"),
        ({"url": "http://localhost:1", "deployment": "cloud"}, "cloud"),
    ],
)
def test_deployment_has_a_default(settings: dict[str, str], deployment: str) -> None:
    """A server of this machine is local, unless an application is named."""
    assert deployment == Profile(name="x", **settings).deployment


def test_default_profile_is_taken(config: Path) -> None:
    """Without a name, default_profile counts; ASYNCTASKS_PROFILE before it."""
    config.write_text('default_profile = "desk"\n' + TWO)

    assert "desk" == load(config).name
    assert "prod" == load(config, environ={"ASYNCTASKS_PROFILE": "prod"}).name
    assert "desk" == load(config, "desk", {"ASYNCTASKS_PROFILE": "prod"}).name


def test_only_profile_is_taken(config: Path) -> None:
    """Where there is one profile, it need not be named."""
    config.write_text('[profiles.one]\naccount = "acme"\n')

    assert "one" == load(config).name


def test_file_comes_from_the_environment(config: Path) -> None:
    """ASYNCTASKS_CONFIG names the file."""
    config.write_text(TWO)
    environ = {"ASYNCTASKS_CONFIG": str(config)}

    assert "prod" == Profile.load("prod", environ=environ).name


def test_file_has_a_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the file is in the user's folder of configurations."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"asynctasks.config\.toml: does not exist"):
        Profile.load("prod", environ={})


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without platformdirs the user is told what to install, or to set."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(ConfigError, match="pip install platformdirs"):
        Profile.load("prod", environ={})

    assert "(none)" == Profile.load(url="https://acme.example", environ={}).name


# --- what wins ---------------------------------------------------------------


def test_arguments_win_over_environment_and_file(config: Path) -> None:
    """The order is: argument, environment, file."""
    config.write_text(TWO + "patience = 1\n")
    environ = {"ASYNCTASKS_TIMEOUT": "2"}

    assert 1 == load(config, "desk").patience
    assert 2 == load(config, "desk", environ).patience
    assert 3 == load(config, "desk", environ, patience=3).patience
    assert 2 == load(config, "desk", environ, patience=None).patience


def test_environment_alone_is_a_profile(config: Path) -> None:
    """Where the address is given and no profile named, the file is not read."""
    config.write_text("this is not TOML")
    environ = {
        "ASYNCTASKS_BASE_URL": "https://acme.example",
        "ASYNCTASKS_API_KEY": KEY,
        "ASYNCTASKS_TOKEN": "",
    }
    profile = load(config, environ=environ)

    assert ("(none)", "https://acme.example") == (profile.name, profile.url)
    assert Secret(KEY) == profile.api_key
    assert None is profile.token


def test_files_may_be_in_the_home_folder() -> None:
    """A tilde stands for it."""
    url = "https://acme.example"
    profile = Profile.load(url=url, api_key_file="~/key.txt", environ={})

    assert Path.home() / "key.txt" == profile.api_key_file


def test_address_replaces_the_other_kind_of_address(config: Path) -> None:
    """A URL given elsewhere replaces the account of the profile."""
    config.write_text(TWO)
    profile = load(config, "prod", url="https://other.example")

    assert (None, "https://other.example") == (profile.account, profile.url)
    assert "Scheduling" == profile.app


def test_key_of_the_file_stays_with_its_address(config: Path) -> None:
    """A key is not sent to an address that it was not written for."""
    config.write_text(TWO + f'[profiles.k]\naccount = "acme"\napi_key = "{KEY}"\n')

    assert Secret(KEY) == load(config, "k").api_key
    assert None is load(config, "k", url="https://other.example").api_key


def test_key_replaces_the_file_of_a_key(config: Path) -> None:
    """A key that is given wins over the file that the profile names."""
    config.write_text('[profiles.k]\naccount = "a"\napi_key_file = "k.txt"\n')
    profile = load(config, environ={"ASYNCTASKS_API_KEY": KEY})

    assert (Secret(KEY), None) == (profile.api_key, profile.api_key_file)


def test_credential_replaces_any_other(config: Path) -> None:
    """A token of the environment wins over the password file of the profile."""
    config.write_text(OML)
    profile = load(config, environ={"ASYNCTASKS_TOKEN": KEY})

    assert (Secret(KEY), None) == (profile.token, profile.password_file)
    assert "ann" == profile.username


def test_environment_of_other_protocols_is_left_alone(config: Path) -> None:
    """What the profile's protocol does not take may be in the environment."""
    config.write_text(OML)
    profile = load(config, environ={"ASYNCTASKS_API_KEY": KEY})

    assert (None, config.parent / "p.txt") == (profile.api_key, profile.password_file)


def test_protocol_comes_from_the_environment(config: Path) -> None:
    """The environment alone can name a service of any protocol."""
    environ = {
        "ASYNCTASKS_PROTOCOL": "desp",
        "ASYNCTASKS_BASE_URL": "https://insula.example",
        "ASYNCTASKS_USERNAME": "ann",
        "ASYNCTASKS_TOKEN": KEY,
        "ASYNCTASKS_API_KEY": KEY,
    }
    profile = load(config, environ=environ)

    assert ("desp", "ann", Secret(KEY)) == (
        profile.protocol,
        profile.username,
        profile.token,
    )


def test_identity_provider_stays_with_its_address(config: Path) -> None:
    """A password goes to no identity provider that another address was meant for."""
    config.write_text(
        '[profiles.d]\nprotocol = "desp"\nurl = "https://a.example"\n'
        'token_url = "https://id.example/token"\n'
    )

    assert "https://id.example/token" == load(config, "d").token_url
    assert None is load(config, "d", url="https://b.example").token_url


# --- keys --------------------------------------------------------------------


def test_key_does_not_show_itself() -> None:
    """No form of a profile shows its secrets."""
    profiles = [
        Profile(name="x", account="a", api_key=KEY),
        Profile(name="x", protocol="oml", username="u", password=KEY),
        Profile(name="x", protocol="desp", token=KEY),
        Profile(name="x", protocol="desp", access_token=KEY),
    ]

    assert KEY not in f"{profiles} {profiles!r}"


def test_key_file_is_beside_the_profiles(config: Path) -> None:
    """A relative path is relative to the file that it is in."""
    config.write_text('[profiles.k]\naccount = "a"\napi_key_file = "k.txt"\n')

    assert config.parent / "k.txt" == load(config).api_key_file


@POSIX
def test_open_key_file_is_warned_of(config: Path) -> None:
    """A key that others can read leads to a warning; a private one to none."""
    path = config.with_name("k.txt")
    path.write_text(KEY)
    config.write_text('[profiles.k]\naccount = "a"\napi_key_file = "k.txt"\n')
    path.chmod(0o640)
    with pytest.warns(UserWarning, match="others can read this secret"):
        load(config)
    path.chmod(0o600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(config)


@POSIX
@pytest.mark.parametrize("name", sorted(FILES))
def test_key_in_an_open_file_is_refused(config: Path, name: str) -> None:
    """A key among the profiles is taken only from a private file."""
    config.write_text(f'[profiles.k]\naccount = "a"\n{name} = "{KEY}"\n')
    config.chmod(0o644)
    with pytest.raises(ConfigError, match=rf"chmod 600.*{name}_file") as caught:
        load(config)

    assert KEY not in str(caught.value)


# --- clients -----------------------------------------------------------------


async def test_client_is_made_of_a_profile() -> None:
    """A client has the address, the dialect and the clocks of its profile."""
    profile = Profile(
        name="x", account="acme", app="A", version="007", api_key=KEY, patience=5
    )
    async with AimmsClient.from_profile(profile) as client:
        assert "https://acme.aimms.cloud" == client.origin
        assert "AIMMS v2 (cloud)" == client.dialect.title
        assert 5 == client.patience
        assert KEY not in repr(client)
    async with AimmsClient.from_profile(profile, patience=9) as client:
        assert 9 == client.patience


async def test_local_client_is_made_of_a_profile() -> None:
    """A local profile makes a local client; without a URL, at the usual port."""
    profile = Profile(name="x", deployment="local", attempt_timeout=3)
    async with AimmsClient.from_profile(profile) as client:
        assert "http://localhost:8080" == client.origin
        assert "AIMMS v2 (local)" == client.dialect.title


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (Profile(name="x", account="acme"), "needs a key"),
        (Profile(name="x", api_key=KEY), "needs an account or a url"),
    ],
)
def test_profile_that_is_not_enough_is_refused(profile: Profile, words: str) -> None:
    """What a client needs and the profile lacks is named."""
    with pytest.raises(ConfigError, match=words):
        AimmsClient.from_profile(profile)


def other(protocol: str, **settings: Any) -> Profile:
    """Make a profile of another service than AIMMS."""
    return Profile(
        name="x", protocol=protocol, url="https://service.example", **settings
    )


async def test_oml_client_is_made_of_a_profile(tmp_path: Path) -> None:
    """A password is fetched when it is needed; the version is the profile's."""
    path = tmp_path / "password"
    profile = other("oml", username="ann", password_file=path, patience=5)
    async with OmlClient.from_profile(profile) as client:
        assert "OML4Py v2" == client.dialect.title
        assert ("https://service.example", 5) == (client.origin, client.patience)
        assert "<OmlAuth ann>" == repr(client._driver.auth)


async def test_oml_client_takes_a_token(tmp_path: Path) -> None:
    """A token of a file is read at once, so that it can be kept alive."""
    path = tmp_path / "token"
    path.write_text(KEY)
    profile = other("oml", username="ann", token_file=path)
    async with OmlClient.from_profile(profile) as client:
        assert {"Authorization": f"Bearer {KEY}"} == client._driver.auth.headers()


@pytest.mark.parametrize(
    ("settings", "auth"),
    [
        ({"username": "ann", "token": KEY}, "<HeaderAuth Authorization>"),
        ({"access_token": KEY}, "<HeaderAuth Authorization>"),
        (
            {"username": "ann", "password": KEY, "token_url": "https://id.example/t"},
            "<OAuth2Password of 'ann' at https://id.example/t>",
        ),
    ],
)
async def test_desp_client_is_made_of_a_profile(
    settings: dict[str, str], auth: str
) -> None:
    """The kind of credential says how requests are signed."""
    async with DespClient.from_profile(other("desp", **settings)) as client:
        assert "DESP (Insula)" == client.dialect.title
        assert auth == repr(client._driver.auth)


async def test_desp_on_this_machine_needs_no_token() -> None:
    """A server of one's own is spoken to without credentials."""
    profile = Profile(name="x", protocol="desp", url="http://127.0.0.1:1")
    async with DespClient.from_profile(profile) as client:
        assert {} == client._driver.auth.headers()


@pytest.mark.parametrize(
    ("client", "profile", "words"),
    [
        (OmlClient, Profile(name="x", protocol="oml"), "needs a url"),
        (OmlClient, other("oml", username="ann"), "needs a username with password"),
        (OmlClient, other("oml", password=KEY), "needs a username with password"),
        (OmlClient, other("desp"), "of DESP, not of Oracle Machine Learning"),
        (DespClient, Profile(name="x", protocol="desp"), "needs a url"),
        (DespClient, other("desp", username="ann"), "needs a username with token"),
        (DespClient, other("desp", token=KEY), "needs a username with token"),
        (DespClient, other("desp", username="a", password=KEY), "needs a token_url"),
        (DespClient, other("oml"), "of Oracle Machine Learning, not of DESP"),
    ],
)
def test_profile_that_lacks_something_is_refused(
    client: Any, profile: Profile, words: str
) -> None:
    """What is missing is named before anything is sent."""
    with pytest.raises(ConfigError, match=words):
        client.from_profile(profile)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": 5}, "settings: url: write it as text, such as url = "),
        ({"username": 5, "protocol": "oml"}, "settings: username: write it as text"),
        (
            {"api_key": 5},
            'settings: api_key: write it as text, such as api_key = "..."',
        ),
        ({"version": 7}, "settings: version: write it as text, such as"),
        ({"patience": "5"}, "settings: patience: '5' is text; give a number"),
        ({"patience": -1}, "settings: patience: -1 is not a number of seconds above 0"),
        ({"attempt_timeout": True}, "settings: attempt_timeout: True is not a number"),
    ],
    ids=str,
)
def test_settings_of_the_wrong_kind(settings: dict[str, Any], reason: str) -> None:
    """What is given in Python is looked at as what is written in a file."""
    given = {"url": "http://localhost", **settings}
    with pytest.raises(ConfigError, match=re.escape(reason)):
        Profile.load(environ={}, **given)
