"""Logging, set up from a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from asynctasks.config import configure_logging
from asynctasks.exceptions import ConfigError


ROOT = Path(__file__).parent.parent.parent

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
    configure_logging(ROOT / "logging.ini")

    assert logging.INFO == logging.getLogger("asynctasks").level
    logging.getLogger("asynctasks").setLevel(logging.NOTSET)
