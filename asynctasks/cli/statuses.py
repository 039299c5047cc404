"""Statuses of tasks, as text and as documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
import enum
from typing import TYPE_CHECKING, Any

import attrs

from .terminal import escape
from ..exceptions import PatienceExceeded


if TYPE_CHECKING:
    from ..handle import TaskHandle
    from ..sansio.task import TaskStatus


__all__ = ["build_document", "describe", "follow"]


def describe(status: TaskStatus) -> str:
    """Say in a line how it is with a task; harmless for a terminal."""
    text = status.state.value
    if status.done and not status.outcome_known:
        text = "finished"  # the result tells how
    if status.word and status.word != text:
        text += f" ({escape(status.word)})"
    if status.progress is not None:
        text += f", {status.progress:.0%}"
    if status.done and status.run_time is not None:
        text += f", ran {status.run_time:.2f} s"
    if status.cancel_requested and not status.done:
        text += ", asked to end"
    return f"{text}: {escape(status.message)}" if status.message else text


def build_document(task_id: str, token: str, status: TaskStatus | None) -> Any:
    """Make the document of a task; its keys are the attributes of the status."""
    document: dict[str, Any] = {"id": task_id, "token": token}
    if status is not None:
        fields = attrs.filters.exclude("raw")
        document |= attrs.asdict(status, filter=fields, value_serializer=plain)
    return document


def plain(instance: object, attribute: object, value: Any) -> Any:
    """Turn what JSON cannot say into text."""
    del instance, attribute
    if isinstance(value, enum.Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


async def follow(
    task: TaskHandle, patience: float, show: Callable[[TaskStatus], None]
) -> None:
    """
    Show the states of a task until it is over.

    Raises:
        PatienceExceeded: it is not over after so many seconds.
    """
    try:
        async with asyncio.timeout(patience):
            async for status in task.updates():
                show(status)
    except TimeoutError as exc:
        last = task.last_status
        raise PatienceExceeded(task.id, task.token, last, patience) from exc
