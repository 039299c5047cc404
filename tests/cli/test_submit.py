"""asynctasks submit, and asynctasks run."""

from __future__ import annotations

import json
from pathlib import Path
import sys

import pytest

from asynctasks.cli.submit import (
    parse_moment,
    parse_option,
    read_inputs,
    read_stdin,
)
from asynctasks.exceptions import InvalidArgument
from asynctasks.server.app import LocalServer
from tests.cli.conftest import KEY, Run


def test_submit_prints_the_token(run: Run, local: tuple[str, ...]) -> None:
    """The token, and nothing else, is on stdout; other commands take it."""
    result = run("submit", "echo", "--input", '{"a": 1}', *local)
    token = result.stdout.removesuffix("\n")

    assert 0 == result.exit_code
    assert "echo" == json.loads(token)["service"]
    assert {"a": 1} == json.loads(run("result", token, *local).stdout)


def test_submit_prints_json(run: Run, cloud: tuple[str, ...]) -> None:
    """With --json it is one document with id, token and state."""
    result = run("submit", "echo", *cloud, "--json", API_KEY=KEY)
    document = json.loads(result.stdout)

    assert {"id", "token", "state"} <= document.keys()
    assert document["id"] == json.loads(document["token"])["id"]


def test_inputs_come_from_a_file_or_stdin(
    run: Run, local: tuple[str, ...], isolated: Path
) -> None:
    """--input takes a file, and - for stdin."""
    path = isolated / "inputs.json"
    path.write_text('{"from": "file"}')
    of_file = run("run", "echo", "--input", str(path), *local, "-q")
    of_stdin = run("run", "echo", "--input", "-", *local, "-q", stdin='{"from": "-"}')

    assert {"from": "file"} == json.loads(of_file.stdout)
    assert {"from": "-"} == json.loads(of_stdin.stdout)


def test_content_and_files_are_sent(
    run: Run, local: tuple[str, ...], isolated: Path
) -> None:
    """--content sends a file as it is, --file a form."""
    path = isolated / "note.txt"
    path.write_text("hello")
    given = ("--content", str(path), "--content-type", "text/plain", "--dry-run")
    content = json.loads(run("submit", "echo", *given, *local).stdout)
    form = run("submit", "echo", "--file", f"note={path}", "--dry-run", *local)

    assert "text/plain" == content["headers"]["Content-Type"]
    assert {"bytes": 5} == content["body"]
    assert "multipart/form-data" in json.loads(form.stdout)["headers"]["Content-Type"]


def test_dry_run_sends_nothing(
    run: Run, cloud: tuple[str, ...], server: LocalServer
) -> None:
    """--dry-run shows the request without the key, and sends nothing."""
    before = sum(server.simulator.submissions.values())
    given = ("--input", '{"a": 1}', "--in", "60", "--every", "1 day", "--dry-run")
    result = run("submit", "echo", *given, *cloud, API_KEY=KEY)
    document = json.loads(result.stdout)

    assert 0 == result.exit_code
    assert before == sum(server.simulator.submissions.values())
    assert "POST" == document["method"]
    assert document["url"].startswith("/pro-api/v2/tasks/Demo/007/echo?scheduleIn=P0D")
    assert "redacted" == document["headers"]["apiKey"]
    assert {"a": 1} == document["body"]


def test_run_prints_the_result_and_tells_the_states(
    run: Run, local: tuple[str, ...]
) -> None:
    """The result is on stdout, the states are on stderr."""
    result = run("run", "echo", "--input", "[1, 2.5]", *local)

    assert [1, 2.5] == json.loads(result.stdout)
    assert "succeeded (completed)" in result.stderr


def test_run_of_a_failing_task_ends_with_1(run: Run, local: tuple[str, ...]) -> None:
    """A task that fails ends with 1 and the service's words, made harmless."""
    result = run("run", "fail", "--input", '{"message": "b\\u001boom"}', *local)

    assert (1, "") == (result.exit_code, result.stdout)
    assert "\x1b" not in result.stderr
    assert "failed" in result.stderr


def test_run_gives_up_with_5(run: Run, local: tuple[str, ...]) -> None:
    """--timeout ends the wait, not the task, and says how to go on."""
    given = ("--input", '{"seconds": 20}', "--timeout", "0.3")
    result = run("run", "sleep", *given, *local)

    assert 5 == result.exit_code
    assert "asynctasks result '{" in result.stderr


def test_wrong_key_ends_with_3(run: Run, cloud: tuple[str, ...]) -> None:
    """A key that is not accepted ends with 3."""
    assert 3 == run("submit", "echo", *cloud, API_KEY="wrong").exit_code


def test_key_with_a_line_end_is_refused(run: Run, cloud: tuple[str, ...]) -> None:
    """A key that was read with its line end is refused before it is sent."""
    result = run("submit", "echo", *cloud, API_KEY=KEY + "\n")

    assert 2 == result.exit_code
    assert "line ends" in result.stderr


def test_nobody_there_ends_with_6(run: Run) -> None:
    """A service that cannot be reached ends with 6."""
    result = run("submit", "echo", "--url", "http://127.0.0.1:1")

    assert 6 == result.exit_code


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--input", "{"], "is not JSON"),
        (["--input", '{"a": NaN}'], "is not JSON"),
        (["--input", "/nowhere/inputs.json"], "cannot be read"),
        (["--content", "/nowhere/inputs.json"], "cannot be read"),
        (["--file", "field"], "write FIELD=PATH"),
        (["--for", "tomorrow"], "write date, time and zone"),
        (["--for", "2026-12-24T18:00"], "write date, time and zone"),
        (["--input", "{}", "--content", __file__], "give only one"),
        (["--option", "label"], "write NAME=JSON"),
        (["--option", "inputs=1"], "write NAME=JSON"),
        (["--option", "outputs={"], "is not JSON"),
        (["--input", ""], "--input: is empty; name a file"),
        (["--file", "data=/nowhere/x"], "files['data']='/nowhere/x': cannot be read"),
        (["--timeout", "nan"], "'nan' is not a number of seconds above 0"),
        (["--timeout", "inf"], "'inf' is not a number of seconds above 0"),
        (["--timeout", "0"], "'0' is not a number of seconds above 0"),
        (["--timeout", "soon"], "'soon' is not a number of seconds above 0"),
    ],
)
def test_bad_input_ends_with_2(
    run: Run, local: tuple[str, ...], args: list[str], words: str
) -> None:
    """What cannot be sent is told, and nothing is sent."""
    result = run("submit", "echo", *args, *local)

    assert 2 == result.exit_code
    assert words in result.stderr


@pytest.mark.parametrize("url", ["localhost:8080", "127.0.0.1", "acme.aimms.cloud"])
def test_address_without_a_scheme_ends_with_2(run: Run, url: str) -> None:
    """A host is not taken for the name of an account."""
    result = run("submit", "echo", "--url", url)

    assert 2 == result.exit_code
    assert f"'{url}' is no account; write a URL with http:// or https://" in (
        result.stderr
    )


@pytest.mark.parametrize("option", ["--input", "--content"])
def test_nothing_is_read_of_a_closed_stdin(
    monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Python has no stdin where it was closed; the user is told."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InvalidArgument, match=f"{option}='-': stdin is closed"):
        read_stdin(option)


def test_hostile_service_name_ends_with_2(run: Run, local: tuple[str, ...]) -> None:
    """A name that would leave its place in the path is refused."""
    assert 2 == run("submit", "../admin", *local).exit_code


def test_text_that_looks_like_json_is_json() -> None:
    """Objects, arrays and strings are read as they are."""
    assert [{"a": 1}, [1], "x"] == [read_inputs(t) for t in ('{"a":1}', " [1]", '"x"')]


def test_moment_has_a_zone() -> None:
    """A point in time with a zone is taken, one without is refused."""
    assert (
        "2026-12-24T18:00:00+01:00"
        == parse_moment("2026-12-24T18:00+01:00").isoformat()
    )
    with pytest.raises(InvalidArgument):
        parse_moment("2026-12-24T18:00")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("outputs={}", ("outputs", {})),
        ("rows=7", ("rows", 7)),
        ("parallel=true", ("parallel", True)),
        ("query=select a=1", ("query", "select a=1")),
        ('label="7"', ("label", "7")),
    ],
)
def test_option_is_json_or_text(given: str, expected: object) -> None:
    """JSON is read as such; other texts stay what they are."""
    assert expected == parse_option(given)
