"""Profiles and logging."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import os
from pathlib import Path
import sys
from typing import Any
import warnings

import pytest

from asynctasks.aimms import AimmsClient
from asynctasks.config import Profile, configure_logging
from asynctasks.exceptions import ConfigError
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
    with pytest.raises(ConfigError, match=r'pip install "asynctasks\[cli\]"'):
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
        "ASYNCTASKS_STATE_DIR": "~/state",
    }
    profile = load(config, environ=environ)

    assert ("(none)", "https://acme.example") == (profile.name, profile.url)
    assert Secret(KEY) == profile.api_key
    assert None is profile.token
    assert Path.home() / "state" == profile.state_dir


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


# --- keys --------------------------------------------------------------------


def test_key_does_not_show_itself() -> None:
    """No form of a profile shows its secrets."""
    profile = Profile(name="x", account="a", api_key=KEY, token=KEY)

    assert KEY not in f"{profile} {profile!r}"


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
    with pytest.warns(UserWarning, match="others can read this key"):
        load(config)
    path.chmod(0o600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(config)


@POSIX
@pytest.mark.parametrize("name", ["api_key", "token"])
def test_key_in_an_open_file_is_refused(config: Path, name: str) -> None:
    """A key among the profiles is taken only from a private file."""
    config.write_text(f'[profiles.k]\naccount = "a"\n{name} = "{KEY}"\n')
    config.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        load(config)

    assert KEY not in str(caught.value)


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x =", "is not TOML"),
        ("", "name a profile, or set default_profile; there are: none"),
        (TWO, "name a profile, or set default_profile; there are: desk, prod"),
        ('default_profile = "x"\n' + TWO, "no profile 'x'; there are: desk, prod"),
        ("default_profile = 7\n" + TWO, "default_profile must be"),
        ("profiles = 7", "profiles must be tables"),
        ("profiles.x = 7", "no profile 'x'"),
        ("profile.x = {}", "'profile' is no setting; do you mean profiles"),
        ("profiles.x.acount = 'a'", "'acount' is no setting; do you mean account"),
        ("profiles.x.timeout = 7", "'timeout' is no setting; do you mean patience"),
        ("profiles.x.zzz = 7", "'zzz' is no setting; there are: account"),
        ("profiles.x.version = 7", 'version: write it as text, such as "007"'),
        ("profiles.x.app = 7", 'app: write it as text, such as app = "7"'),
        ("profiles.x.app = ''", "app: write it as text"),
        ("profiles.x.patience = 'x'", "'x' is not a number of seconds above 0"),
        ("profiles.x.patience = true", "True is not a number of seconds above 0"),
        ("profiles.x.patience = inf", "inf is not a number of seconds above 0"),
        ("profiles.x.attempt_timeout = 0", "0 is not a number of seconds above 0"),
        (
            "profiles.x.protocol = 'y'",
            "protocol 'y' is not known; choose one of",
        ),
        ("profiles.x.deployment = 'y'", "deployment 'y' is not known; choose one of"),
        ("profiles.x = {url = 'u', account = 'a'}", "url or its account, not both"),
    ],
)
def test_unsound_file_is_refused(config: Path, text: str, words: str) -> None:
    """What is wrong in a file is told with its place and a remedy."""
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(config)

    assert words in str(caught.value)


def test_unknown_profile_is_refused(config: Path) -> None:
    """A profile that does not exist is refused with those that do."""
    config.write_text(TWO)
    with pytest.raises(ConfigError, match="no profile 'test'; there are: desk, prod"):
        load(config, "test")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    """A file that cannot be read is told with the reason."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, "prod")


def test_text_that_is_no_time_names_its_variable() -> None:
    """A wrong variable of the environment is named."""
    with pytest.raises(ConfigError, match="ASYNCTASKS_TIMEOUT: 'soon' is not"):
        Profile.load(environ={"ASYNCTASKS_TIMEOUT": "soon"})


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


# --- logging -----------------------------------------------------------------

LOGGING = """
[loggers]
keys = root, ours
[handlers]
keys =
[formatters]
keys =
[logger_root]
handlers =
[logger_ours]
qualname = asynctasks.test_config
level = ERROR
handlers =
"""


@pytest.fixture
def same_root() -> Any:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("same_root")
def test_logging_is_configured(tmp_path: Path) -> None:
    """The file sets levels; loggers that exist already go on."""
    old = logging.getLogger("asynctasks.old")
    path = tmp_path / "logging.ini"
    path.write_text(LOGGING)
    configure_logging(path)

    assert logging.ERROR == logging.getLogger("asynctasks.test_config").level
    assert not old.disabled


@pytest.mark.usefixtures("same_root")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("", "is no sound logging configuration"),
        ("x", "is no sound logging configuration: MissingSectionHeaderError"),
        (LOGGING.replace("ERROR", "LOUD"), "is no sound logging configuration"),
    ],
)
def test_unsound_logging_is_refused(
    tmp_path: Path, text: str | None, words: str
) -> None:
    """A file that cannot be used is a ConfigError that names it."""
    path = tmp_path / "logging.ini"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        configure_logging(path)

    assert str(path) in str(caught.value)


def test_shipped_logging_is_sound(same_root: None) -> None:
    """The logging.ini of the project can be used."""
    configure_logging(Path(__file__).parent.parent / "logging.ini")

    assert logging.INFO == logging.getLogger("asynctasks").level
    logging.getLogger("asynctasks").setLevel(logging.NOTSET)
