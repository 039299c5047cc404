"""Printing."""

from __future__ import annotations

import io
import json
import sys

import pytest

from asynctasks.cli import show_anything
from asynctasks.cli.terminal import Terminal, escape, write_json


HOSTILE = "a\x1b[31m\x07\x9b\u202e\u2028b"


def test_controls_are_escaped() -> None:
    """What would steer the terminal is shown instead."""
    assert r"a\x1b[31m\x07\x9b\u202e\u2028b" == escape(HOSTILE)


def test_chosen_controls_stay() -> None:
    """Line ends stay where they are wanted."""
    assert "a\n\\x08b" == escape("a\n\x08b", keep="\n")


def test_json_is_harmless_and_the_same() -> None:
    """JSON escapes what does not print, and reads back as it was."""
    text = write_json({"é\U000e0001": [HOSTILE]})

    assert text.replace("\n", "").isprintable()
    assert "é" in text
    assert {"é\U000e0001": [HOSTILE]} == json.loads(text)


def test_talk_goes_to_stderr_and_data_to_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Data and talk do not mix."""
    terminal = Terminal()
    terminal.write("data")
    terminal.say("talk")
    terminal.complain("boom \x1b")
    out, err = capsys.readouterr()

    assert "data\n" == out
    assert "talk\nerror: boom \\x1b\n" == err


def test_quiet_keeps_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet is not silent about what must be known."""
    terminal = Terminal(quiet=True)
    terminal.say("talk")
    terminal.insist("token")

    assert "token\n" == capsys.readouterr().err


def test_nothing_is_interactive_on_a_pipe() -> None:
    """Neither colors nor live displays go to a pipe."""
    terminal = Terminal()

    assert (False, False) == (terminal.interactive, terminal.colorful)


def test_stream_of_few_characters_escapes_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stdout that is not UTF-8 gets escapes instead of an error."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show_anything(stream)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal = Terminal()
    terminal.write("é")

    assert b"\\xe9\n" == raw.getvalue()
    assert not terminal.can_show("▌")
    assert terminal.can_show("|")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """What a stdout cannot show is escaped as JSON does it, not as Python does."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    show_anything(stream)
    monkeypatch.setattr(sys, "stdout", stream)
    rows = [{"é": "☃ 😀 \x1b"}, {"plain": "é"}]
    for row in rows:
        Terminal().write_row(row)

    lines = raw.getvalue().decode(encoding).splitlines()

    assert rows == [json.loads(line) for line in lines]
    assert (encoding == "ascii") is lines[1].isascii()
