"""The commands, for each service that the server in the box speaks."""

from __future__ import annotations

from collections.abc import Callable
import functools
import json
from typing import Any

from click.testing import Result
import pytest

from tests.cli.conftest import KEY, Run


SECRETS = {
    "cloud": "API_KEY",
    "oml": "PASSWORD",
    "desp": "TOKEN",
    "vantiq": "PASSWORD",
}
"""The variable that holds the secret, by the fixture with the other options."""

ECHOED = {
    "cloud": {"n": "1"},
    "oml": {"n": "1"},
    "desp": "result.json",
    "vantiq": {"n": "1"},
}
"""What comes back of an echo; of DESP, the names of files."""


@pytest.fixture(params=sorted(SECRETS))
def service(request: pytest.FixtureRequest) -> str:
    """Name each service in turn."""
    name: str = request.param
    return name


@pytest.fixture
def ask(
    run: Run, request: pytest.FixtureRequest, service: str
) -> Callable[..., Result]:
    """Run a command against a service, with its options behind."""
    options = request.getfixturevalue(service)

    def ask(*args: str, **env: str) -> Result:
        return run(*args, *options, **{SECRETS[service]: KEY}, **env)

    return ask


def read(service: str, result: Result) -> Any:
    """Return what came back of an echo."""
    assert 0 == result.exit_code, result.output
    found = json.loads(result.stdout)
    return found[0]["filename"].rpartition("/")[2] if service == "desp" else found


def test_run_prints_the_result(ask: Callable[..., Result], service: str) -> None:
    """A task is submitted, awaited and its result printed."""
    given = ("--input", '{"n": "1"}', "-q")

    assert ECHOED[service] == read(service, ask("run", "echo", *given))


def test_token_goes_from_command_to_command(
    ask: Callable[..., Result], service: str
) -> None:
    """What submit prints is taken by watch, poll and result."""
    token = ask("submit", "echo", "-q", "--input", '{"n": "1"}').stdout.strip()
    watched = ask("watch", token)
    polled = ask("poll", token, "--json")
    result = ask("result", token)

    assert (0, 0) == (watched.exit_code, polled.exit_code)
    assert "succeeded" in watched.stdout.splitlines()[-1]
    assert json.loads(polled.stdout)["done"]
    assert ECHOED[service] == read(service, result)


def test_failed_task_ends_with_1(ask: Callable[..., Result]) -> None:
    """A service that tells the failure by the result only is asked for it."""
    token = ask("submit", "fail", "-q", "--input", '{"message": "no"}').stdout.strip()
    watched = ask("watch", token)

    assert 1 == watched.exit_code
    assert "failed" in watched.stdout.splitlines()[-1]
    assert 1 == ask("result", token).exit_code


def test_cancel_ends_a_task(ask: Callable[..., Result]) -> None:
    """A running task is ended, and the end is confirmed."""
    given = ("--input", '{"seconds": 60}')
    token = ask("submit", "sleep", "-q", *given).stdout.strip()
    result = ask("cancel", token, "--yes", "--json")

    assert 0 == result.exit_code, result.output
    assert json.loads(result.stdout)["done"]


def test_tasks_are_listed(ask: Callable[..., Result]) -> None:
    """The list has the id and the state of a task, whatever they are called."""
    token = ask("submit", "echo", "-q", "--input", '{"n": "1"}').stdout.strip()
    lines = ask("tasks", "--limit", "500").stdout.splitlines()
    cells = {line.split("\t")[0]: line.split("\t") for line in lines[1:]}
    row = cells[json.loads(token)["id"]]

    assert all(row[:3])


def test_dry_run_asks_for_no_token(ask: Callable[..., Result], service: str) -> None:
    """What is shown is a request of the submit, without secrets."""
    result = ask("submit", "20", "--dry-run", "--input", '{"n": "1"}')
    document = json.loads(result.stdout)

    assert "POST" == document["method"]
    assert "token" not in document["url"]
    assert "redacted" in document["headers"].values()


def test_options_of_another_service_are_refused(
    ask: Callable[..., Result], service: str
) -> None:
    """An option that the service's submit lacks ends with 2, and those it has."""
    result = ask("submit", "echo", "--option", "colour=red")

    assert 2 == result.exit_code
    assert "has no option colour of a submit; it has: " in result.stderr


def test_options_reach_the_service(run: Run, oml: tuple[str, ...]) -> None:
    """An option is JSON, or text where it is none."""
    given = {
        "function": "group-apply",
        "query": "select * from IRIS",
        "group_by": '"Species"',
        "order_by": "Sepal_Length",
        "parallel": "true",
    }
    options = [f"--option={name}={value}" for name, value in given.items()]
    result = run("run", "group_count", "-q", *options, *oml, PASSWORD=KEY)

    assert {"0": 5.7} == json.loads(result.stdout)["versicolor_8"]["SEPAL_LENGTH"]


def test_outputs_of_desp_are_options(run: Run, desp: tuple[str, ...]) -> None:
    """The collection of an output is named as in Python."""
    submit = functools.partial(run, "submit", "20", "--dry-run", *desp, TOKEN=KEY)
    result = submit("--option", 'outputs={"result": "c1"}', "--option", "label=7b")
    document = json.loads(result.stdout)

    assert "7b" == document["body"]["label"]
    assert ['{"result":"c1"}'] == document["body"]["inputs"]["collection"]


def test_profile_names_a_service(run: Run, isolated: Any, url: str) -> None:
    """A profile with a password file is all that a command needs."""
    (isolated / "p.txt").write_text(KEY)
    (isolated / "p.txt").chmod(0o600)
    (isolated / "config.toml").write_text(
        f'[profiles.db]\nprotocol = "oml"\nurl = "{url}"\nusername = "ann"\n'
        'password_file = "p.txt"\n'
    )
    result = run("run", "echo", "-q", "--profile", "db", "--input", '{"n": 1}')

    assert {"n": 1} == json.loads(result.stdout)
