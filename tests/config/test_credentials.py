"""Secrets in files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.config.credentials import fetch_from, is_shared, read_secret
from asynctasks.exceptions import ConfigError
from asynctasks.sansio.auth import Secret


@pytest.mark.parametrize(
    "text",
    [
        "se cret",
        "\ufeffse cret\r\n",
        '{"access_token": "se cret"}',
        ' {"accessToken": "se cret", "expires_in": 3600}',
    ],
)
def test_secret_is_bare_or_a_member(tmp_path: Path, text: str) -> None:
    """The text alone is read without its line end, and JSON by any spelling."""
    path = tmp_path / "secret"
    path.write_text(text, "utf-8")

    assert Secret("se cret") == read_secret(path, "access_token")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no password; write"),
        ('{"apiKey": "x"}', "holds no password; write"),
        ('{"password": 7}', "holds no password; write"),
        ("{", "is not JSON; write"),
    ],
)
def test_file_without_the_secret_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    """What can be written instead is said."""
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_secret(path, "password")


async def test_secret_is_fetched_when_it_is_needed(tmp_path: Path) -> None:
    """What fetches it reads the file as it is by then."""
    path = tmp_path / "secret"
    fetch = fetch_from(path, "token")
    path.write_text("new")

    assert "new" == await fetch()


@pytest.mark.parametrize(("mode", "shared"), [(0o600, False), (0o640, True)])
def test_mode_tells_who_reads(
    monkeypatch: pytest.MonkeyPatch, mode: int, shared: bool
) -> None:
    """Rights of a group or of others count, where there are such rights."""
    monkeypatch.setattr("os.name", "posix")

    assert shared is is_shared(mode)
