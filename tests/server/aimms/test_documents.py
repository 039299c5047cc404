"""How AIMMS writes things down."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from asynctasks.server.aimms.documents import (
    Flavour,
    parse_day,
    parse_duration,
    parse_time,
    write_time,
)
from asynctasks.server.tasks import Order, Outcome, SimulatedTask, State
from tests.server.worlds import NOW


DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 day", DAY),
        ("2 weeks", 14 * DAY),
        ("1 hour 30 minutes", 5400.0),
        ("1 Hour, 30 Min", 5400.0),
        ("0.5 s", 0.5),
        ("90s", 90.0),
        ("P1DT2H3M4S", DAY + 2 * 3600 + 3 * 60 + 4),
        ("PT0.25S", 0.25),
        ("P2W", 14 * DAY),
        ("P1Y2M", 365 * DAY + 60 * DAY),
        ("pt1m", 60.0),
    ],
)
def test_duration(text: str, expected: float) -> None:
    """ISO durations and human text are read as seconds."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "soon",
        "1 fortnight",
        "1",
        "day",
        "0 days",
        "-1 day",
        "P-1D",
        "P1D2H",
        "1 day and more",
        "999999999 years",
    ],
)
def test_bad_duration(text: str) -> None:
    """What is no duration, or no reasonable one, is refused."""
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@given(st.text(max_size=300))
def test_any_duration(text: str) -> None:
    """Whatever is given, a duration is a positive number or refused."""
    try:
        found = parse_duration(text)
    except ValueError:
        return

    assert found > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-23 15:16:38", NOW),
        ("2023-11-23T15:16:38Z", NOW),
        ("2023-11-23 15:16", NOW - 38),
        ("2023-11-23 15:16:38.250", NOW + 0.25),
        ("2023-11-23 16:16:38.000 +01:00", NOW),
        ("2023-11-23 09:46:38-05:30", NOW),
        ("2023-11-23", 1700697600.0),
    ],
)
def test_time(text: str, expected: float) -> None:
    """A time is UTC unless it has an offset; all after the minutes is optional."""
    assert expected == parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2023-13-01",
        "2023-11-23 25:00",
        "2023-11-23 15:16  01:00",
        "2023-11-23 15:16 +99:00",
    ],
)
def test_bad_time(text: str) -> None:
    """What is no time is refused; a lost plus sign shows."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's words too
        parse_time(text)


def test_day() -> None:
    """A day starts at midnight in UTC."""
    assert 1700697600.0 == parse_day("2023-11-23")


@pytest.mark.parametrize("text", ["", "2023", "2023-11-31", "2023-11-23 10:00"])
def test_bad_day(text: str) -> None:
    """What is no day is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's words too
        parse_day(text)


@given(st.integers(0, 4_000_000_000))
def test_times_are_read_back(at: int) -> None:
    """What is written is read as the same time."""
    assert float(at) == parse_time(write_time(float(at)))


def build(state: State, **facts: Any) -> SimulatedTask:
    """Make a task."""
    order = Order(service="solve", app="App", version="1.0")
    return SimulatedTask(
        id="task-1", number=1, order=order, created_at=NOW, state=state, **facts
    )


V1_CLOUD, V1_LOCAL = Flavour(cloud=True, version=1), Flavour(cloud=False, version=1)
V2_CLOUD, V2_LOCAL = Flavour(cloud=True, version=2), Flavour(cloud=False, version=2)


def test_words() -> None:
    """Each version has its words; v2 has none for an interrupted task."""
    found = [(V1_LOCAL.word(state), V2_CLOUD.word(state)) for state in State]

    assert [
        ("queued", "queued"),
        ("starting", "assigned"),
        ("executing", "running"),
        ("solving", "solving"),
        ("finished", "completed"),
        ("finished with errors", "failed"),
        ("interrupted", "failed"),
    ] == found


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [
        (V1_CLOUD, {"projectName": "App", "projectVersion": "1.0"}),
        (V1_LOCAL, {}),
    ],
)
def test_queued_v1(flavour: Flavour, expected: dict[str, str]) -> None:
    """In v1 a queued task has no times and codes."""
    found = flavour.task(build(State.QUEUED), NOW + 5)
    base = {"id": "task-1", "service": "solve", "starttime": "2023-11-23T15:16:38Z"}

    assert {**base, "status": "queued", **expected} == found


def test_failed_v1() -> None:
    """In v1 a failed task has its message."""
    outcome = Outcome(state=State.FAILED, message="bad", return_code=0)
    facts = {"running_at": NOW + 1, "ended_at": NOW + 3, "outcome": outcome}
    found = V1_LOCAL.task(build(State.FAILED, **facts), NOW + 9)

    assert (1.0, 2.0, 0, "bad") == (
        found["queuetime"],
        found["runtime"],
        found["returncode"],
        found["errormessage"],
    )


def test_running_v2() -> None:
    """While a task runs its time runs."""
    task = build(State.RUNNING, assigned_at=NOW + 1, running_at=NOW + 1)
    found = V2_CLOUD.task(task, NOW + 4)

    assert (1.0, 3.0, None) == (
        found["queueTime"],
        found["runTime"],
        found["returnCode"],
    )


def test_interrupted_in_the_queue() -> None:
    """A task that never ran has waited until its end."""
    outcome = Outcome(state=State.INTERRUPTED)
    task = build(State.INTERRUPTED, ended_at=NOW + 2, outcome=outcome)
    found = V2_CLOUD.task(task, NOW + 9)

    assert ("failed", 2.0, 0.0) == (
        found["state"],
        found["queueTime"],
        found["runTime"],
    )


def test_scheduled_v2() -> None:
    """Only a scheduled or recurring task has the keys of schedules."""
    plain = V2_CLOUD.task(build(State.QUEUED), NOW)
    later = V2_CLOUD.task(build(State.QUEUED, run=1, due=NOW + 60), NOW)

    assert "groupIndex" not in plain
    assert (1, "2023-11-23 15:17:38.000000") == (
        later["groupIndex"],
        later["scheduleFor"],
    )


def test_local_v2() -> None:
    """The local server has placeholder names and leaves out what it does not know."""
    found = V2_LOCAL.task(build(State.QUEUED), NOW)

    assert {
        "id": "task-1",
        "appName": "unnamed",
        "appVersion": "0.0",
        "serviceName": "solve",
        "state": "queued",
        "createdAt": "2023-11-23T15:16:38Z",
    } == found


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [
        (V1_CLOUD, {"total_size": 7, "statuses": []}),
        (V2_CLOUD, {"total_tasks": 7, "current_batch": []}),
        (V1_LOCAL, []),
        (V2_LOCAL, []),
    ],
)
def test_listing(flavour: Flavour, expected: Any) -> None:
    """A list is an object in the cloud and a bare array locally."""
    assert expected == flavour.listing([], 7)


def test_realms() -> None:
    """Both versions see the tasks of their server."""
    found = [each.realm for each in (V1_CLOUD, V2_CLOUD, V1_LOCAL, V2_LOCAL)]

    assert ["aimms-cloud", "aimms-cloud", "aimms-local", "aimms-local"] == found


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
def test_ended_locally(state: State) -> None:
    """Only a failed task has a message on the local server."""
    failed = state is State.FAILED
    outcome = Outcome(
        state=state, return_code=1 - failed, message="bad" if failed else ""
    )
    facts = {"running_at": NOW + 1, "ended_at": NOW + 3, "outcome": outcome}
    found = [f.task(build(state, **facts), NOW + 9) for f in (V1_LOCAL, V2_LOCAL)]
    codes = [found[0]["returncode"], found[1]["returnCode"]]

    assert [1 - failed, 1 - failed] == codes
    assert [failed, failed] == ["errormessage" in found[0], "errorMessage" in found[1]]
