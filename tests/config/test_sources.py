"""Where settings are found: a file that is unsound, and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.config import Profile
from asynctasks.config.sources import VARIABLES, read_environment
from asynctasks.exceptions import ConfigError


TWO = """
[profiles.prod]
account = "acme"

[profiles.desk]
url = "http://localhost:8080"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return where a private file of profiles is going to be."""
    path = tmp_path / "config.toml"
    path.touch(0o600)
    return path


def load(path: Path, name: str | None = None) -> Profile:
    """Load a profile without the environment of the process."""
    return Profile.load(name, path=path, environ={})


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
        ("profiles.x.zzz = 7", "'zzz' is no setting; there are: access_token"),
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


def test_number_for_a_secret_is_not_shown(config: Path) -> None:
    """A secret that was written without quotes is not repeated by the error."""
    config.write_text("profiles.x.password = 31415926")
    with pytest.raises(ConfigError, match=r'password = "\.\.\."') as caught:
        load(config)

    assert "31415926" not in str(caught.value)


def test_environment_has_its_variables() -> None:
    """Each variable becomes its setting; an empty one counts as absent."""
    environ = dict.fromkeys(VARIABLES.values(), "7")
    expected = {**dict.fromkeys(VARIABLES, "7"), "patience": 7.0}

    assert expected == read_environment(environ)
    assert {} == read_environment(dict.fromkeys(VARIABLES.values(), ""))
