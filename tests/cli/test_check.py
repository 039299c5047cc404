"""asynctasks check."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
import ssl

import pytest
import trustme

from asynctasks.cli.check import Checkup, resolve, shake
from asynctasks.cli.exams import EXAMS
from asynctasks.cli.exits import Exit
from asynctasks.cli.terminal import Terminal
from asynctasks.exceptions import (
    AuthenticationFailed,
    PermissionDenied,
    TlsError,
)
from asynctasks.sansio.http import Response
from asynctasks.server.app import LocalServer
from tests.cli.conftest import KEY, Run


def test_check_tells_every_step(run: Run, cloud: tuple[str, ...]) -> None:
    """A service that works passes all steps; there is no TLS on plain http."""
    result = run("check", "--json", *cloud, API_KEY=KEY)
    document = json.loads(result.stdout)

    assert 0 == result.exit_code
    assert (True, "AIMMS v2 (cloud)") == (document["ok"], document["speaks"])
    assert ["name", "connect", "speaks", "key", "latency"] == [
        step["name"] for step in document["steps"]
    ]
    assert {"ok"} == {step["outcome"] for step in document["steps"]}


def test_check_speaks_to_a_local_server(run: Run, local: tuple[str, ...]) -> None:
    """A local server is checked by its echo."""
    result = run("check", *local)

    assert 0 == result.exit_code
    assert "AIMMS v2 (local); it echoes" in result.stdout


def test_wrong_key_fails_with_a_remedy(run: Run, cloud: tuple[str, ...]) -> None:
    """A key that is refused ends with 3; what was not looked at is skipped."""
    result = run("check", *cloud, API_KEY="wrong")

    assert 3 == result.exit_code
    assert "failed" in result.stdout
    assert "the key is wrong or has expired" in result.stdout
    assert "skipped  latency" in result.stdout


def test_closed_port_fails_with_6(run: Run) -> None:
    """A service that is not there ends with 6 and what to do about it."""
    result = run("check", "--url", "http://127.0.0.1:1")

    assert 6 == result.exit_code
    assert "Connection refused" in result.stdout
    assert "does the service run?" in result.stdout


def test_recording_holds_no_key(
    run: Run, cloud: tuple[str, ...], isolated: Path
) -> None:
    """--record writes a sample without the key."""
    path = isolated / "sample.json"
    result = run("check", "--record", str(path), *cloud, API_KEY=KEY)
    text = path.read_text()

    assert 0 == result.exit_code
    assert KEY not in text
    assert "/pro-api/v2/version" == json.loads(text)["exchange"][0]["request"]["url"]


def test_recording_that_cannot_be_written_ends_with_2(
    run: Run, local: tuple[str, ...]
) -> None:
    """A file that cannot be written is told."""
    assert 2 == run("check", "--record", "/nowhere/x.json", *local).exit_code


def test_https_of_a_plain_port(run: Run, server: LocalServer) -> None:
    """A port that speaks no TLS is no matter of clocks and certificates."""
    url = server.url.replace("http://", "https://")
    result = run("check", "--cloud", "--url", url, API_KEY=KEY)

    assert 6 == result.exit_code
    assert "does not speak TLS" in result.stdout
    assert "is it an http:// address, or another port?" in result.stdout


async def test_host_that_can_be_no_name() -> None:
    """What cannot even be asked for is a step that failed, no traceback."""
    checkup = Checkup(Terminal(), quiet=True, timeout=1)
    await checkup.take("name", lambda: resolve("a" * 64 + ".example", 80))
    (step,) = checkup.steps

    assert ("failed", Exit.NETWORK) == (step.outcome, step.exit)
    assert "can be no name of a host" in step.detail
    assert "is the name right" in step.remedy


async def test_forbidden_by_a_server_without_keys() -> None:
    """An AIMMS on this machine takes no key: none is asked for."""

    async def refuse() -> str:
        raise PermissionDenied(Response(403))

    exam = EXAMS["aimms", "local"]
    checkup = Checkup(Terminal(), quiet=True, timeout=1, remedies=exam.remedies)
    await checkup.take("tasks", refuse)

    assert "no key is sent to an AIMMS on this machine" in checkup.steps[0].remedy


async def test_step_that_hangs_fails() -> None:
    """A step has a time limit of its own; those after it are skipped."""
    checkup = Checkup(Terminal(), quiet=True, timeout=0.01)

    async def hang() -> str:
        await asyncio.sleep(60)
        return ""

    await checkup.take("first", hang)
    await checkup.take("second", hang)

    assert ["failed", "skipped"] == [step.outcome for step in checkup.steps]
    assert Exit.NETWORK is checkup.exit


async def test_hostile_answer_is_printed_harmless(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Words of a service cannot steer the terminal."""

    async def refuse() -> str:
        raise AuthenticationFailed(Response(401), "no\x1b[2J")

    await Checkup(Terminal(), quiet=False, timeout=1).take("key", refuse)

    assert "\x1b" not in capsys.readouterr().out


async def test_untrusted_certificate_fails() -> None:
    """A certificate that is not trusted is told in words."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TlsError, match="certificate"):
            await shake("127.0.0.1", port)
