"""A token brings back its task, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.exceptions import InvalidArgument
from asynctasks.sansio.aimms import AimmsDialect
from asynctasks.sansio.task import TaskRef
from asynctasks.sansio.token import build_token, parse_token


HERE = "https://acme.example"
CLOUD = AimmsDialect.cloud(app="Test", app_version="007")
REF = TaskRef(id="7", service="solve", app="Test", app_version="007", run=2, trace="t")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def changed(**fields: Any) -> str:
    """Return a token with these fields; None takes one away."""
    document = json.loads(build_token(CLOUD, HERE, REF)) | fields
    return json.dumps({k: v for k, v in document.items() if v is not None})


def test_what_a_token_says() -> None:
    """A token is versioned JSON that names the service and the task."""
    expected = {
        "asynctasks": 1,
        "protocol": "aimms",
        "variant": "v2-cloud",
        "origin": HERE,
        "id": "7",
        "service": "solve",
        "app": "Test",
        "appVersion": "007",
        "run": 2,
        "trace": "t",
    }

    assert expected == json.loads(build_token(CLOUD, HERE, REF))


def test_what_is_not_known_is_left_out() -> None:
    """A token holds the fields that are known, and no others."""
    document = json.loads(build_token(CLOUD, HERE, TaskRef(id="7")))

    assert {"asynctasks", "protocol", "variant", "origin", "id"} == set(document)


@given(
    st.builds(
        TaskRef,
        id=TEXT,
        service=st.none() | TEXT,
        app=st.none() | TEXT,
        app_version=st.none() | TEXT,
        run=st.none() | st.integers(0, 10**9),
        generation=st.none() | st.integers(0, 10**9),
        trace=st.none() | TEXT,
    )
)
def test_round_trip(ref: TaskRef) -> None:
    """Whatever identifies a task comes back from its token unchanged."""
    assert ref == parse_token(build_token(CLOUD, HERE, ref), CLOUD, HERE)


@pytest.mark.parametrize("text", ["7", "efa680a0-748e-43d0-9099-cf40937b13f4", "[1]"])
def test_bare_ids(text: str) -> None:
    """An id of the service is a token too."""
    assert TaskRef(id=text) == parse_token(text, CLOUD, HERE)


def test_blanks_around_a_token() -> None:
    """A token may be read from a file, with a line end after it."""
    text = f"\n {build_token(CLOUD, HERE, REF)}\n"

    assert REF == parse_token(text, CLOUD, HERE)


@pytest.mark.parametrize(
    ("dialect", "origin", "expected"),
    [
        (CLOUD, "https://other.example", "belongs to another origin"),
        (CLOUD, "http://acme.example", "belongs to another origin"),
        (AimmsDialect.cloud("v1"), HERE, "belongs to another variant"),
        (AimmsDialect.local(), HERE, "belongs to another variant"),
    ],
)
def test_tokens_of_others(dialect: AimmsDialect, origin: str, expected: str) -> None:
    """A token is refused by a client of another service."""
    with pytest.raises(InvalidArgument, match=expected):
        parse_token(build_token(CLOUD, HERE, REF), dialect, origin)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "give a task's token or its id"),
        ("  \n", "give a task's token or its id"),
        (None, "give a task's token or its id"),
        (7, "give a task's token or its id"),
        ('{"asynctasks":1,"id"', "is cut off or damaged"),
        ('{"\ud800":1}', "is cut off or damaged"),
        ("{" * 100_000, "is cut off or damaged"),
        ("{}", "is of another version; read it with the version that wrote it"),
        (changed(asynctasks=2), "is of another version"),
        (changed(asynctasks=True), "is of another version"),
        (changed(asynctasks=1.0), "is of another version"),
        (changed(protocol="oml"), "belongs to another protocol"),
        (changed(id=None), "is damaged"),
        (changed(id=""), "is damaged"),
        (changed(id=7), "is damaged"),
        (changed(service=["solve"]), "is damaged"),
        (changed(run="2"), "is damaged"),
        (changed(run=True), "is damaged"),
        (changed(run=1.5), "is damaged"),
        (changed(run=-1), "is damaged"),
        (changed(generation=-1), "is damaged"),
        (changed(generation="1"), "is damaged"),
        (changed(generation=True), "is damaged"),
    ],
)
def test_damaged_tokens(text: Any, expected: str) -> None:
    """A token that is cut off, edited or of another version is refused."""
    with pytest.raises(InvalidArgument, match=expected):
        parse_token(text, CLOUD, HERE)


@given(st.text() | st.text().map(lambda text: "{" + text))
def test_any_text(text: str) -> None:
    """Any text is a task or an InvalidArgument."""
    try:
        ref = parse_token(text, CLOUD, HERE)
    except InvalidArgument:
        return

    assert text == ref.id
