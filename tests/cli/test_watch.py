"""asynctasks watch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asynctasks.cli.terminal import Terminal
from asynctasks.cli.watch import Line, Screen
from asynctasks.exceptions import TaskLost
from asynctasks.sansio.task import TaskState, TaskStatus
from tests.cli.conftest import Run


@pytest.fixture
def tokens(run: Run, local: tuple[str, ...]) -> list[str]:
    """Submit two tasks, of which the second fails."""
    submit = ("submit", "-q", *local)
    nap = run(*submit, "sleep", "--input", '{"seconds": 0.5}').stdout.strip()
    bad = run(*submit, "fail").stdout.strip()
    return [nap, bad]


def test_changes_are_lines(run: Run, local: tuple[str, ...], tokens: list[str]) -> None:
    """On a pipe every change is a line; it ends when the task is over."""
    result = run("watch", tokens[0], *local)
    lines = result.stdout.splitlines()

    assert 0 == result.exit_code
    assert json.loads(tokens[0])["id"] in lines[0]
    assert "succeeded" in lines[-1]


def test_changes_of_several_tasks_are_documents(
    run: Run, local: tuple[str, ...], tokens: list[str]
) -> None:
    """With --json every line is a document; one failed task makes the code 1."""
    result = run("watch", *tokens, "--json", *local)
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    last = {document["token"]: document["state"] for document in documents}

    assert 1 == result.exit_code
    assert {tokens[0]: "succeeded", tokens[1]: "failed"} == last


def test_lost_task_spoils_no_other(
    run: Run, local: tuple[str, ...], tokens: list[str]
) -> None:
    """A task that does not exist is told, and the others are watched on."""
    result = run("watch", "no-such-task", tokens[0], *local)

    assert 4 == result.exit_code
    assert "is not known to the service" in result.stdout
    assert "succeeded" in result.stdout


def test_watch_gives_up_with_5(run: Run, local: tuple[str, ...]) -> None:
    """--timeout ends the watching, and says how to go on."""
    submit = ("submit", "sleep", "-q", "--input", '{"seconds": 20}', *local)
    token = run(*submit).stdout.strip()
    result = run("watch", token, "--timeout", "0.3", *local)

    assert 5 == result.exit_code
    assert "asynctasks result '{" in result.stderr


class Handle:
    """What a line shows of a handle."""

    id = "7"
    token = "t"


def test_screen_shows_the_last_state(capsys: pytest.CaptureFixture[str]) -> None:
    """People get one line a task, which changes."""
    handle: Any = Handle()
    lines = [Line(handle), Line(handle, error=TaskLost("7"))]
    with Screen(Terminal(), lines) as screen:
        lines[0].status = TaskStatus(state=TaskState.RUNNING, word="solving")
        screen.show(lines[0])
    shown = capsys.readouterr().out

    assert "running (solving)" in shown
    assert "error: task 7 is not known" in shown
