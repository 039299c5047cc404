"""Who may ask a server on this machine."""

from __future__ import annotations

import pytest

from asynctasks.server.strangers import bracketed, complaint, target_of


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:80", None, ""),
        ("localhost", "http://localhost:3000", ""),
        ("[::1]:80", None, ""),
        ("evil.example", None, "the host 'evil.example' is not this machine"),
        ("", None, "the host '' is not this machine"),
        ("[", None, "the host '[' is not this machine"),
        ("localhost", "https://evil.example", "web pages of other sites"),
        ("localhost", "null", "web pages of other sites"),
    ],
)
def test_complaint(host: str, origin: str | None, expected: str) -> None:
    """Names of this machine are accepted, as host and as origin."""
    assert complaint(host, origin).startswith(expected)
    assert bool(expected) is bool(complaint(host, origin))


@pytest.mark.parametrize(
    ("site", "refused"),
    [("cross-site", True), ("same-site", False), ("none", False), (None, False)],
)
def test_site(site: str | None, refused: bool) -> None:
    """What a foreign page has loaded is refused, even if it tells no origin."""
    assert refused is bool(complaint("localhost", None, site))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a%20b?c=d", "/a%20b?c=d"),
        ("/a b", "/a%20b"),
        ("/\udcff", "/%FF"),
        ("HTTP://host:80/a?b", "/a?b"),
    ],
)
def test_target(raw: str, expected: str) -> None:
    """Targets are encoded where they are not, and whole URLs are accepted."""
    assert expected == target_of(raw)


def test_bracketed() -> None:
    """Addresses of IPv6 have brackets in a URL."""
    assert ["[::1]", "127.0.0.1"] == [bracketed(host) for host in ("::1", "127.0.0.1")]
