"""asynctasks demo."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

import pytest

from asynctasks.cli.demo import Film, Story
from asynctasks.cli.terminal import Terminal
from asynctasks.sansio.events import Event, EventKind
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus
from tests.cli.conftest import Run


ROOT = Path(__file__).parent.parent.parent


def test_demo_tells_and_draws(run: Run) -> None:
    """On a pipe it is plain text: the states, the schedule and its proof."""
    result = run("demo")
    text = result.stdout

    assert 0 == result.exit_code
    assert "\x1b" not in result.output
    assert text.index("queued") < text.index("succeeded (completed)")
    assert "oven-1 │▌" in text
    assert "makespan 73, proven optimal" in text


def test_demo_is_json(run: Run) -> None:
    """With --json it is one document: task, inputs and answer."""
    document = json.loads(run("demo", "--json").stdout)

    assert {"task", "inputs", "answer"} == document.keys()
    assert "succeeded" == document["task"]["state"]
    assert 15 == len(document["answer"]["solution"])


def test_demo_does_without_unicode() -> None:
    """An encoding of few characters gets a chart of plain ones."""
    done = subprocess.run(
        [sys.executable, "-m", "asynctasks", "demo"],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        timeout=50,
        check=True,
    )

    assert done.stdout.isascii()
    assert b"oven-1 ||" in done.stdout
    assert b"\\u" not in done.stdout


def event(state: TaskState) -> Event:
    """Make an event of a state."""
    status = TaskStatus(state=state)
    return Event(kind=EventKind.STATUS, task=TaskRef(id="1"), status=status)


@pytest.mark.parametrize(
    ("state", "mark"),
    [(TaskState.RUNNING, "●"), (TaskState.SUCCEEDED, "✔"), (TaskState.FAILED, "✘")],
)
def test_states_have_marks(
    capsys: pytest.CaptureFixture[str], state: TaskState, mark: str
) -> None:
    """Each state is a line with the time and a mark."""
    Story(Terminal()).receive(event(state))

    assert f" s  {mark} {state.value}\n" in capsys.readouterr().out


def test_film_prints_states_above_its_moving_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """People see a line that moves while the task runs."""
    film = Film(Terminal())
    with film:
        film.receive(event(TaskState.RUNNING))
        moving = film.draw().plain
    out = capsys.readouterr().out

    assert "running ..." in moving
    assert "● running" in out


def test_lost_task_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An event that there is no more news says why."""
    from asynctasks.exceptions import TaskLost  # noqa: PLC0415

    lost = Event(kind=EventKind.ERROR, task=TaskRef(id="1"), error=TaskLost("1"))
    Story(Terminal()).receive(lost)

    assert "task 1 is not known" in capsys.readouterr().err


def test_schedule_without_proof_says_so() -> None:
    """A schedule that may not be the best one is not called optimal."""
    answer = {"KPIs": [{"makespan": 80.0, "gap": 0.1, "bound": 72.0}]}

    assert (
        "makespan 80, at most 10.0% too long (no schedule is shorter than 72)"
        == Story(Terminal()).verdict(answer)
    )
