"""Names of files that servers suggest."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.sansio.filenames import safe_filename


@pytest.mark.parametrize(
    ("suggested", "expected"),
    [
        ("result.tif", "result.tif"),
        ("a5fc/out/S1A_IW.tif", "S1A_IW.tif"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("%2e%2e%2fetc%2fpasswd", "passwd"),
        ("/", "download"),
        ("..", "download"),
        ("", "download"),
        (".bashrc", "bashrc"),
        ("name.txt. ", "name.txt"),
        ("CON", "_CON"),
        ("lpt1.tif", "_lpt1.tif"),
        ("com\u00b9.tif", "_com\u00b9.tif"),
        ("con%2etxt", "_con.txt"),
        ("con\u200b.txt", "_con.txt"),
        ("nul\u00a0.txt", "_nul .txt"),
        ("aux:.txt", "aux_.txt"),
        ("a\r\nb\x00.txt", "a b.txt"),
        ("a\u2028b\u00a0 c\u3000.txt\u3000", "a b c .txt"),
        ("\ud800", "download"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("C:stream", "C_stream"),
        ("Cafe\u0301.txt", "Caf\u00e9.txt"),
        ("Cafe%CC%81.txt", "Caf\u00e9.txt"),
        ("x" * 300 + ".tif", "x" * 196 + ".tif"),
        ("x" * 300, "x" * 200),
        ("é" * 150, "é" * 100),
    ],
)
def test_safe_filename(suggested: str, expected: str) -> None:
    """The last part is kept, without what could harm."""
    found = safe_filename(suggested)

    assert expected == found


@given(st.text())
def test_any_text(suggested: str) -> None:
    """Whatever is suggested, the name is one visible file in the folder."""
    found = safe_filename(suggested, "fallback")

    assert "/" not in found
    assert "\\" not in found
    assert found.isprintable()
    assert found == unicodedata.normalize("NFC", found)
    assert not found.startswith(".")
    assert 0 < len(found.encode()) <= 200
