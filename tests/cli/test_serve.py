"""asynctasks serve."""

from __future__ import annotations

from pathlib import Path
import re
import signal
import subprocess
import sys

import pytest

from asynctasks.cli.serve import build_key_headers, load_services, say_tool
from asynctasks.exceptions import ConfigError
from asynctasks.server.app import LocalServer
from tests.cli.conftest import KEY, Run


ROOT = Path(__file__).parent.parent.parent

MODULE = """
def double(inputs):
    return {"twice": 2 * inputs["x"]}

several = {"half": lambda inputs: {"half": inputs["x"] / 2}, "double": double}

def register(server):
    server.service("triple", lambda inputs: {"thrice": 3 * inputs["x"]})

def build(simulator):
    simulator.service("zero", lambda inputs: {})

wrong = {"one": 1}
"""


@pytest.fixture
def server() -> LocalServer:
    """Make a server that does not run and has no services yet."""
    return LocalServer(services=False)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module of services into the working folder."""
    name = f"services_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize(
    ("attr", "services"),
    [
        ("double", ["double"]),
        ("several", ["double", "half"]),
        ("register", ["triple"]),
        ("build", ["zero"]),
    ],
)
def test_services_are_loaded(
    server: LocalServer, module: str, attr: str, services: list[str]
) -> None:
    """A function, a mapping, and a function that registers are understood."""
    load_services(f"{module}:{attr}", server)

    assert services == sorted(server.simulator.services)


@pytest.mark.parametrize(
    ("attr", "words"),
    [
        ("", "write MODULE:ATTR"),
        (":", "write MODULE:ATTR"),
        (":missing", "cannot be loaded: AttributeError"),
        (":wrong", "'one' is no function: 1"),
        (":__name__", "is neither a function nor a mapping of names to functions"),
    ],
)
def test_what_is_no_service_is_refused(
    server: LocalServer, module: str, attr: str, words: str
) -> None:
    """What cannot be loaded is told with its place."""
    with pytest.raises(ConfigError, match=words):
        load_services(f"{module}{attr}", server)


def test_key_is_never_in_an_example() -> None:
    """The examples name the variable; local paths need it only for strangers."""
    option = '-H "apiKey: $ASYNCTASKS_API_KEY" '

    assert ("", "") == build_key_headers("127.0.0.1", None)
    assert ("", option) == build_key_headers("127.0.0.1", KEY)
    assert (option, option) == build_key_headers("0.0.0.0", KEY)


@pytest.mark.parametrize("key", [None, KEY])
def test_every_protocol_is_explained(key: str | None) -> None:
    """There is a command for each protocol, and no key in any."""
    lines = "\n".join(say_tool("http://127.0.0.1:1", key))

    assert KEY not in lines
    assert 4 == lines.count("--url http://127.0.0.1:1")
    assert {"oml", "desp", "vantiq"} == set(re.findall(r"--protocol (\w+)", lines))


def test_address_of_others_needs_a_key(run: Run) -> None:
    """An address that others can reach is refused without a key."""
    result = run("serve", "--host", "0.0.0.0", "--port", "0")

    assert 2 == result.exit_code
    assert "set an API key" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_server_serves_until_it_is_told_to_stop(
    run: Run, module: str, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """The address is the first line; own services answer; a signal ends it."""
    (tmp_path / "key.txt").write_text(KEY)
    args = ("--port", "0", "--load", f"{module}:double", "--api-key-file", "key.txt")
    with subprocess.Popen(
        [sys.executable, "-m", "asynctasks", "serve", *args],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = run("run", "double", "--input", '{"x": 21}', "--url", url, "-q")
        process.send_signal(sent)
        out, err = process.communicate(timeout=20)

    assert '{\n  "twice": 42\n}\n' == answer.stdout
    assert code == process.returncode
    assert KEY not in out + err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_data_survive_a_restart(run: Run, tmp_path: Path) -> None:
    """With --data, what was stored is there when the server is started again."""
    args = [sys.executable, "-m", "asynctasks", "serve", "--port", "0"]
    options = ("--protocol", "vantiq", "--username", "developer", "-q")
    given = {"PASSWORD": "developer"}
    results = []
    for _ in range(2):
        with subprocess.Popen(
            [*args, "--data", "data.sqlite"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            place = (*options, "--url", process.stdout.readline().strip())
            ran = run("run", "echo", "--input", '{"x": 1}', *place, **given)
            results.append(ran.stdout)
            listed = run("tasks", *place, **given).stdout
            process.send_signal(signal.SIGTERM)

    assert ['{\n  "x": 1\n}\n'] * 2 == results
    assert 2 == listed.count("succeeded")
