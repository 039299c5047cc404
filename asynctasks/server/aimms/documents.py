"""
How AIMMS writes things down: tasks in the words of each server, times, durations.

The sources are the vendor's pages named in ``tests/samples/aimms``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
import re
from typing import Any, ClassVar

import attrs

from ..tasks import SimulatedTask, State


__all__ = ["Flavour", "parse_day", "parse_duration", "parse_time", "write_time"]

WORDS_V1: Mapping[State, str] = {
    State.QUEUED: "queued",
    State.ASSIGNED: "starting",
    State.RUNNING: "executing",
    State.SOLVING: "solving",
    State.COMPLETED: "finished",
    State.FAILED: "finished with errors",
    State.INTERRUPTED: "interrupted",
}

# In v2 an interrupted execution has no word of its own: it is a failure.
WORDS_V2: Mapping[State, str] = {
    **{state: state.value for state in State},
    State.INTERRUPTED: "failed",
}


def write_time(at: float) -> str:
    """Write a time as the cloud's v2 does: a blank, microseconds and no zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def write_zulu(at: float) -> str:
    """Write a time as v1 and the local server do: T, whole seconds and Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@attrs.frozen
class Flavour:
    """One of the four servers: cloud or local, v1 or v2."""

    cloud: bool
    version: int

    words: ClassVar[Mapping[int, Mapping[State, str]]] = {1: WORDS_V1, 2: WORDS_V2}

    @property
    def realm(self) -> str:
        """The tasks that it serves: v1 and v2 see the same ones."""
        return "aimms-cloud" if self.cloud else "aimms-local"

    def word(self, state: State) -> str:
        """Return the word for a state."""
        return self.words[self.version][state]

    def task(self, task: SimulatedTask, now: float) -> dict[str, Any]:
        """Write down a task."""
        if self.version == 1:
            return self._task_v1(task, now)
        return self._cloud_v2(task, now) if self.cloud else self._local_v2(task, now)

    def listing(self, rows: list[dict[str, Any]], total: int) -> Any:
        """Write down a list: an object in the cloud, a bare array locally."""
        if not self.cloud:
            return rows
        if self.version == 1:
            return {"total_size": total, "statuses": rows}
        return {"total_tasks": total, "current_batch": rows}

    def _task_v1(self, task: SimulatedTask, now: float) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": task.id,
            "service": task.service,
            "starttime": write_zulu(task.created_at),
        }
        if self.cloud:
            document["projectName"] = task.order.app
            document["projectVersion"] = task.order.version
        document["status"] = self.word(task.state)
        if task.running_at is not None:
            document["queuetime"] = queue_time(task, now)
        if task.ended_at is not None:
            document["runtime"] = run_time(task, now)
        if task.state in {State.COMPLETED, State.FAILED}:
            document["returncode"] = return_code(task)
            if self.cloud or error_message(task):
                document["errormessage"] = error_message(task)
        return document

    def _cloud_v2(self, task: SimulatedTask, now: float) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": task.id,
            "appName": task.order.app,
            "appVersion": task.order.version,
            "serviceName": task.service,
            "state": self.word(task.state),
            **{name: at and write_time(at) for name, at in times(task).items()},
            "queueTime": queue_time(task, now),
            "runTime": run_time(task, now),
            "returnCode": return_code(task),
            "errorMessage": error_message(task),
        }
        if task.run is not None or task.due is not None:
            document["groupIndex"] = task.run
            document["scheduleFor"] = None if task.due is None else write_time(task.due)
            document["scheduleInterval"] = task.order.labels.get("scheduleInterval")
        return document

    def _local_v2(self, task: SimulatedTask, now: float) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": task.id,
            "appName": "unnamed",
            "appVersion": "0.0",
            "serviceName": task.service,
            "state": self.word(task.state),
            **{name: write_zulu(at) for name, at in times(task).items() if at},
        }
        if task.running_at is not None:
            document["queueTime"] = queue_time(task, now)
        if task.ended_at is not None:
            document["runTime"] = run_time(task, now)
            document["returnCode"] = return_code(task)
        if error_message(task):
            document["errorMessage"] = error_message(task)
        return document


def times(task: SimulatedTask) -> dict[str, float | None]:
    """Return the times of v2 by name."""
    return {
        "createdAt": task.created_at,
        "assignedAt": task.assigned_at,
        "runningAt": task.running_at,
        "endedAt": task.ended_at,
    }


def queue_time(task: SimulatedTask, now: float) -> float:
    """Return the seconds from creation to the run, the wait for its time included."""
    until = next(at for at in (task.running_at, task.ended_at, now) if at is not None)
    return round(max(0.0, until - task.created_at), 6)


def run_time(task: SimulatedTask, now: float) -> float:
    """Return the seconds that it runs, or ran."""
    if task.running_at is None:
        return 0.0
    until = now if task.ended_at is None else task.ended_at
    return round(max(0.0, until - task.running_at), 6)


def return_code(task: SimulatedTask) -> int | None:
    """Return the code of a task that ended; the vendor's samples return 1."""
    return None if task.outcome is None else task.outcome.return_code


def error_message(task: SimulatedTask) -> str | None:
    """Return the message of a task that failed."""
    return (task.outcome.message or None) if task.outcome else None


# --- what clients write ------------------------------------------------------

DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

SCHEDULE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2})(:\d{2})?(?:\.(\d{1,6}))?)?"
    r"(?: ?(Z|[+-]\d{2}:\d{2}))?",
    re.ASCII,
)

ISO_DURATION = re.compile(
    r"P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII | re.IGNORECASE,
)

ISO_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)
"""Seconds of the parts of an ISO duration; a year is 365 days, a month is 30."""

HUMAN_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([a-z]{1,12})", re.ASCII)

UNITS: Mapping[str, float] = {
    "second": 1,
    "sec": 1,
    "s": 1,
    "minute": 60,
    "min": 60,
    "hour": 3600,
    "h": 3600,
    "day": 86400,
    "d": 86400,
    "week": 7 * 86400,
    "month": 30 * 86400,
    "year": 365 * 86400,
}

LONGEST = 100 * 365 * 86400
"""Seconds that a schedule may reach into the future."""


def parse_duration(text: str) -> float:
    """
    Read an ISO 8601 duration (``P1DT2H``) or human text (``1 day``) as seconds.

    Raises:
        ValueError: it is neither, is nothing, or is longer than a century.
    """
    seconds = _iso(text) if text[:1] in {"P", "p"} else _human(text.lower())
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text[:50]!r} is no duration, such as 1 day or PT10M")
    return seconds


def _iso(text: str) -> float:
    match = ISO_DURATION.fullmatch(text)
    if match is None:
        return 0.0
    parts = zip(match.groups(), ISO_SECONDS, strict=True)
    return sum(float(number or 0) * seconds for number, seconds in parts)


def _human(text: str) -> float:
    total = 0.0
    left = text[:100].strip()
    while left:
        match = HUMAN_PART.match(left)
        if match is None:
            return 0.0
        word = match[2]
        unit = UNITS.get(word, UNITS.get(word.removesuffix("s")))
        if unit is None:
            return 0.0
        total += float(match[1]) * unit
        left = left[match.end() :].lstrip(" ,")
    return total


def parse_time(text: str) -> float:
    """
    Read ``YYYY-MM-DD hh:mm:ss.ms +/-HH:MM``; without an offset it is UTC.

    Raises:
        ValueError: it is something else.
    """
    match = SCHEDULE.fullmatch(text)
    if match is None:
        remedy = "is no time such as 2023-11-24 15:16:38.000 +01:00 (send + as %2B)"
        raise ValueError(f"{text[:50]!r} {remedy}")
    day, minutes, seconds, fraction, zone = match.groups()
    clock = f"{minutes or '00:00'}{seconds or ':00'}"
    moment = datetime.fromisoformat(f"{day}T{clock}")
    moment += timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
    return moment.replace(tzinfo=_zone(zone)).timestamp()


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def parse_day(text: str) -> float:
    """
    Read ``YYYY-MM-DD`` as the start of that day in UTC.

    Raises:
        ValueError: it is something else.
    """
    if not DAY.fullmatch(text):
        raise ValueError(f"{text[:50]!r} is no date such as 2023-11-24")
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
