"""
What Insula says about jobs: their states, their parts, their logs and files.

A parent's own word is not the whole truth: it stays ``CREATED`` while its sub-jobs
run, is ``ERROR`` at the first error of one while others run on, and is left as it is
by a cancel of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from .answers import field
from .http import Response
from .task import TaskState, TaskStatus
from .times import parse_time


__all__ = [
    "STATES",
    "CostEstimate",
    "LogLine",
    "OutputFile",
    "judge_parent",
    "last_words",
    "parse_counts",
    "parse_estimate",
    "parse_file",
    "parse_job",
    "parse_logs",
]

STATES: Mapping[str, TaskState] = {
    "created": TaskState.QUEUED,
    "pending": TaskState.QUEUED,  # waits for the user's quota
    "waiting": TaskState.QUEUED,  # waits for a worker
    "condition_wait": TaskState.QUEUED,  # documented by its name only; cancellable
    "running": TaskState.RUNNING,
    "completed": TaskState.SUCCEEDED,
    "error": TaskState.FAILED,
    "cancelled": TaskState.CANCELLED,
}
"""The service's words, which it writes in capitals."""


def parse_job(document: Any, response: Response) -> TaskStatus:
    """
    Read a job, in any of its projections; missing and null mean the same.

    An end time does not mean that it ended: it is set before the outputs are there.
    """
    if isinstance(document, dict) and isinstance(document.get("content"), dict):
        document = document["content"]  # as older releases answer a launch
    word: str = field(document, "status", str, response) or ""
    return TaskStatus(
        state=STATES.get(word.lower(), TaskState.UNKNOWN),
        word=word,
        created_at=parse_time(document.get("created")),
        started_at=parse_time(document.get("startTime")),
        ended_at=parse_time(document.get("endTime")),
        raw=document,
    )


# --- parents -----------------------------------------------------------------


def parse_counts(document: Any) -> dict[str, int] | None:
    """Return how many sub-jobs are in which state; None where it is not said."""
    counts = document.get("subJobStatusCounts") if isinstance(document, dict) else None
    if not isinstance(counts, dict):
        return None
    return {
        str(word): number
        for word, number in counts.items()
        if isinstance(number, int) and number > 0
    }


def judge_parent(status: TaskStatus, counts: Mapping[str, int] | None) -> TaskStatus:
    """Return what a parent's word and the states of its sub-jobs mean together."""
    if not counts:
        return status
    states = {STATES.get(word.lower(), TaskState.UNKNOWN) for word in counts}
    ended = sum(n for word, n in counts.items() if _is_over(word))
    total = sum(counts.values())
    message = _parts(counts) if TaskState.FAILED in states else ""
    status = attrs.evolve(status, progress=ended / total, message=message)
    if ended < total:
        begun = status.state is TaskState.QUEUED and states - {TaskState.QUEUED}
        state = TaskState.RUNNING if begun else status.state
        # Even in ERROR: what runs on costs credits, and may be relaunched.
        return attrs.evolve(status, state=state, done=False)
    if status.state is TaskState.QUEUED and TaskState.CANCELLED in states:
        # Nobody will set the parent's word any more.
        return attrs.evolve(status, state=TaskState.CANCELLED, done=True)
    return status


def _is_over(word: str) -> bool:
    return STATES.get(word.lower(), TaskState.UNKNOWN).terminal


def _parts(counts: Mapping[str, int]) -> str:
    each = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    return f"sub-jobs: {each}"


# --- logs --------------------------------------------------------------------


@attrs.frozen
class LogLine:
    """One line of a job's log."""

    message: str
    at: datetime | None = None
    """When it was written (aware, UTC); None where the service does not say."""


def parse_logs(response: Response) -> list[LogLine]:
    """Read a log: a plain array, empty also when the log store is down."""
    found = response.json()
    return [
        LogLine(str(line.get("message") or ""), parse_time(line.get("timestamp")))
        for line in (found if isinstance(found, list) else ())
        if isinstance(line, dict)
    ]


LONGEST = 500
"""Characters of a log that become the message of an error."""


def last_words(lines: list[LogLine]) -> str:
    """Return the last line that says something: a job has no message of its own."""
    said = (line.message.strip() for line in reversed(lines))
    return next((words[-LONGEST:] for words in said if words), "")


# --- files and costs ---------------------------------------------------------


@attrs.frozen(kw_only=True)
class OutputFile:
    """One file that a job made."""

    id: str
    """Of the platform file."""

    name: str
    """As the service has it: a path, below the job's id."""

    output: str | None = None
    """The id of the output, where the file's URI tells it."""

    uri: str | None = None
    """What other jobs take as an input."""

    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)
    """The service's document as it came."""


def parse_file(row: Mapping[str, Any], response: Response) -> OutputFile:
    """Read a platform file."""
    number = field(row, "id", (int, str), response, required=True)
    name: str = field(row, "filename", str, response) or f"file-{number}"
    uri: str | None = field(row, "uri", str, response)
    parts = name.split("/")
    # <job>/<output>/<name>; some releases leave the output out.
    output = parts[1] if len(parts) > 2 else None  # noqa: PLR2004
    return OutputFile(id=str(number), name=name, output=output, uri=uri, raw=row)


@attrs.frozen(kw_only=True)
class CostEstimate:
    """What a launch would cost, in the platform's credits."""

    cost: float
    recurrence: str
    """``ONE_OFF``, ``HOURLY``, ``DAILY`` or ``MONTHLY``: what the cost is for."""

    balance: float | None = None
    """What is left in the wallet, where the service says so."""

    affordable: bool = True
    """Whether the service would accept the launch."""


def parse_estimate(response: Response) -> CostEstimate:
    """Read an estimate; a 402 carries the same document as a 200."""
    document = response.json()
    number = (int, float)
    return CostEstimate(
        cost=field(document, "estimatedCost", number, response, required=True),
        recurrence=field(document, "recurrence", str, response) or "",
        balance=field(document, "currentWalletBalance", number, response),
        affordable=response.status == 200,  # noqa: PLR2004
    )
