"""What each service is asked by asynctasks check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asynctasks.cli.exams import EXAMS, enumerate_names
from asynctasks.config.protocols import PROTOCOLS
from tests.cli.conftest import KEY, Run


def test_every_protocol_has_its_exam() -> None:
    """No service is forgotten."""
    assert set(PROTOCOLS) == {protocol for protocol, _ in EXAMS}
    assert {
        (name, deployment)
        for name, protocol in PROTOCOLS.items()
        for deployment in protocol.choices.get("deployment", (None,))
    } == set(EXAMS)


@pytest.mark.parametrize(
    ("service", "secret", "found"),
    [
        ("oml", "PASSWORD", ["accepted; the API has v1, v2", "OML4Py v2; scripts: "]),
        ("desp", "TOKEN", ["accepted; you are ann", "DESP (Insula); services: "]),
        ("vantiq", "PASSWORD", ["accepted; there are", "in the Vantiq type Task"]),
        ("cloud", "API_KEY", ["AIMMS v2 (cloud); it says", "accepted; there are"]),
    ],
)
def test_exam_says_what_it_found(
    run: Run,
    request: pytest.FixtureRequest,
    service: str,
    secret: str,
    found: list[str],
) -> None:
    """Each service is asked in its own way, and says what it has."""
    result = run("check", *request.getfixturevalue(service), **{secret: KEY})

    assert 0 == result.exit_code, result.output
    assert [] == [text for text in found if text not in result.stdout]


@pytest.mark.parametrize(
    ("service", "secret", "remedy"),
    [
        ("oml", "PASSWORD", "check user name and password"),
        ("desp", "TOKEN", "check the user name, and the token"),
        ("vantiq", "PASSWORD", "check user name and password"),
    ],
)
def test_wrong_secret_fails_with_a_remedy(
    run: Run, request: pytest.FixtureRequest, service: str, secret: str, remedy: str
) -> None:
    """A secret that is refused ends with 3, and with what to do."""
    result = run("check", *request.getfixturevalue(service), **{secret: "wrong"})

    assert 3 == result.exit_code
    assert remedy in result.stdout


def test_recording_of_a_sign_in_holds_no_secret(
    run: Run, oml: tuple[str, ...], isolated: Path
) -> None:
    """Neither the password nor the token that it gave is in the sample."""
    path = isolated / "sample.json"
    run("check", "--record", str(path), *oml, PASSWORD=KEY)
    text = path.read_text()
    (answer,) = [
        each["response"]["body"]
        for each in json.loads(text)["exchange"]
        if each["request"]["url"].endswith("/token")
    ]

    assert KEY not in text
    assert "redacted" == answer["accessToken"]


def test_long_list_is_cut() -> None:
    """The first names are shown, and how many more there are."""
    rows = [{"name": str(number)} for number in range(7)]

    assert "0, 1, 2, 3, 4 and 2 more" == enumerate_names(rows)
    assert "none" == enumerate_names([])
