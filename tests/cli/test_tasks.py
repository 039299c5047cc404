"""asynctasks poll, result, cancel and tasks."""

from __future__ import annotations

import json

import pytest

from asynctasks.cli.tasks import build_cells, draw_rows
from asynctasks.cli.terminal import Terminal
from tests.cli.conftest import KEY, Run


@pytest.fixture
def token(run: Run, local: tuple[str, ...]) -> str:
    """Submit a task that is over at once."""
    given = ("--input", '{"a": 1}')
    return run("run", "echo", *given, *local) and submitted(run, "echo", *local)


def submitted(run: Run, service: str, *args: str, **env: str) -> str:
    """Submit a task; return its token."""
    return run("submit", service, "-q", *args, **env).stdout.strip()


def test_poll_tells_the_state(run: Run, local: tuple[str, ...], token: str) -> None:
    """poll prints a line, or a document."""
    run("result", token, *local)
    line = run("poll", token, *local).stdout
    document = json.loads(run("poll", token, "--json", *local).stdout)

    assert line.startswith("succeeded (completed)")
    assert ("succeeded", token) == (document["state"], document["token"])


def test_poll_takes_a_bare_id(run: Run, local: tuple[str, ...], token: str) -> None:
    """An id of the service does as well as a token."""
    assert 0 == run("poll", json.loads(token)["id"], *local).exit_code


def test_unknown_task_ends_with_4(run: Run, local: tuple[str, ...]) -> None:
    """A task that does not exist ends with 4."""
    assert 4 == run("poll", "no-such-task", *local).exit_code


def test_token_of_another_service_ends_with_2(
    run: Run, cloud: tuple[str, ...], token: str
) -> None:
    """A token is not sent to a service that it does not belong to."""
    result = run("poll", token, *cloud, API_KEY=KEY)

    assert 2 == result.exit_code
    assert "belongs to another variant" in result.stderr


def test_result_of_a_failed_task_ends_with_1(run: Run, local: tuple[str, ...]) -> None:
    """A task that failed has no result."""
    token = submitted(run, "fail", *local)

    assert 1 == run("result", token, *local).exit_code


def test_cancel_asks_before(run: Run, local: tuple[str, ...], token: str) -> None:
    """Without a terminal to ask at, --yes is needed."""
    result = run("cancel", token, *local)

    assert 2 == result.exit_code
    assert "--yes" in result.stderr


def test_cancel_waits_for_the_end(run: Run, local: tuple[str, ...]) -> None:
    """cancel ends a running task and tells how it ended."""
    token = submitted(run, "sleep", "--input", '{"seconds": 60}', *local)
    result = run("cancel", token, "--yes", "--json", *local)

    assert 0 == result.exit_code
    assert json.loads(result.stdout)["done"]


def test_tasks_are_listed_for_programs(
    run: Run, cloud: tuple[str, ...], server: object
) -> None:
    """On a pipe the list is whole cells and tabs; --limit bounds it."""
    for _ in range(2):
        submitted(run, "echo", *cloud, API_KEY=KEY)
    lines = run("tasks", "--limit", "1", *cloud, API_KEY=KEY).stdout.splitlines()

    assert "id\tstate\tcreated\tservice" == lines[0]
    assert 2 == len(lines)
    assert "echo" == lines[1].split("\t")[3]


def test_tasks_are_listed_as_json(run: Run, local: tuple[str, ...], token: str) -> None:
    """With --json the rows are the service's own."""
    rows = json.loads(run("tasks", "--json", "--limit", "500", *local).stdout)

    assert json.loads(token)["id"] in {row["id"] for row in rows}


def test_filter_that_the_service_lacks_ends_with_2(
    run: Run, local: tuple[str, ...]
) -> None:
    """A local server does not filter by date, and the user is told."""
    result = run("tasks", "--after", "2026-01-01", *local)

    assert 2 == result.exit_code
    assert "has no filter" in result.stderr


def test_cells_are_found_in_every_version() -> None:
    """The columns are found whatever a version calls them; hostile ones are escaped."""
    v2 = {"id": "1\x1b", "state": "queued", "createdAt": "t", "serviceName": "s"}
    v1 = {"id": "1", "status": "queued", "starttime": "t"}

    assert ("1\\x1b", "queued", "t", "s") == build_cells(v2)
    assert ("1", "queued", "t", "") == build_cells(v1)


ROWS = [("[red]1", "queued", "2026-11-21T22:55:13Z", "echo"), ("2" * 36, "", "", "")]


@pytest.mark.parametrize("columns", [36, 60, 80, 200])
def test_rows_are_drawn_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """However narrow the terminal is, people see every cell; markup stays text."""
    monkeypatch.setenv("COLUMNS", str(columns))
    draw_rows(Terminal(), ROWS)
    lines = capsys.readouterr().out.splitlines()

    assert [cell for row in ROWS for cell in row if cell] == [
        cell for line in lines if not line.startswith("id") for cell in line.split()
    ]
    assert max(map(len, map(str.rstrip, lines))) <= columns


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there are no tasks there is only the head."""
    draw_rows(Terminal(), [])

    assert ["id", "state", "created", "service"] == capsys.readouterr().out.split()
