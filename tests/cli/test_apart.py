"""Files that a command names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asynctasks.cli.apart import keep_apart
from asynctasks.exceptions import InvalidArgument


def test_same_file_is_refused(tmp_path: Path) -> None:
    """However it is called: by another path, by a link, or before it is there."""
    path = tmp_path / "in.jsonl"
    path.write_text("1\n")
    os.link(path, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "dangling").symlink_to(tmp_path / "later")
    pairs = [
        (path, tmp_path / "hard"),
        (path, tmp_path / "soft"),
        (path, tmp_path / ".." / tmp_path.name / "in.jsonl"),
        (tmp_path / "later", tmp_path / "dangling"),
    ]
    for one, other in pairs:
        with pytest.raises(InvalidArgument, match=r"--out=.*file of INPUTS, too"):
            keep_apart({"INPUTS": str(one), "--out": str(other)})


def test_other_files_and_streams_are_not(tmp_path: Path) -> None:
    """Stdin and stdout are no file, and what was not named is none."""
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")

    keep_apart({"INPUTS": "-", "--out": "-"})
    keep_apart({"JOURNAL": str(tmp_path / "a"), "--report": None, "--out": None})
    keep_apart({"INPUTS": str(tmp_path / "a"), "--out": str(tmp_path / "b")})
