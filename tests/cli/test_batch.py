"""asynctasks batch: what is a command of it, and what a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from asynctasks.cli.batch import with_journal
from tests.cli.conftest import Run


def test_service_is_no_command(run: Run) -> None:
    """Without the name of a command, a batch is run."""
    short = run("batch", "status", "in.jsonl", "--out", "x")
    named = run("batch", "run", "status", "nowhere.jsonl")
    left_out = run("batch", "solve", "nowhere.jsonl", "--limit", "5")

    assert "No such option" in short.stderr
    assert "nowhere.jsonl" in named.stderr
    assert (2, named.stderr) == (left_out.exit_code, left_out.stderr)


def test_help_says_how_it_is_used(run: Run) -> None:
    """The group's help names its commands, the command's its options."""
    group, command = run("batch", "--help"), run("batch", "run", "-h")

    assert "SERVICE INPUTS [OPTIONS]" in group.stdout
    assert "failures" in group.stdout
    assert "--retry-failed" in command.stdout


@pytest.mark.parametrize(
    ("inputs", "out", "journal"),
    [
        ("data/in.csv", "-", "data/in.csv.db"),
        ("data/in.csv", "here/out.jsonl", "here/out.jsonl.db"),
        ("-", "-", "batch.db"),
    ],
)
def test_journal_has_a_name(inputs: str, out: str, journal: str) -> None:
    """Where none is given, it is beside the results, or the inputs."""
    given = {"inputs": inputs, "out": out, "journal": None}

    assert Path(journal) == Path(with_journal(given)["journal"])
