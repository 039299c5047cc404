"""
A submit whose answer was lost: which of the service's tasks may be its.

How that is found out, if at all, is said by ``Capabilities.reconcile``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
import math
from typing import TypeVar

import attrs

from .dialect import Dialect, Query, Reconcile, note_page
from .http import Flow, Request, Response
from .task import TaskRef, TaskStatus
from ..exceptions import TransportError, UnsupportedOperation


__all__ = [
    "Baseline",
    "Lost",
    "find_all_lost",
    "find_lost",
    "list_baseline",
    "service_time",
]

T = TypeVar("T")

ROWS = 10_000
"""Rows of a list that are searched at most, unless the whole is wanted."""

BASELINE_ROWS = 100_000
"""Rows of a list beyond which there is no saying what was there."""


@attrs.frozen
class Baseline:
    """What a service's list showed before a submit began: none of it is its task."""

    ids: frozenset[str] = frozenset()
    """Of tasks that are too young to be told by their time."""

    since: datetime | None = None
    """What was created earlier is not in ``ids``; by the service's clock."""


@attrs.frozen(kw_only=True)
class Lost:
    """A submit whose answer was lost, and what tells its task from others."""

    service: str
    began: float
    """When the submit began: seconds on the event loop's clock."""

    config_id: str | None = None
    """The stored configuration that was launched, where there is such a step."""

    known: frozenset[str] = frozenset()
    """The ids of tasks that are accounted for."""

    floor: datetime | None = None
    """What was created earlier is not it, by the service's clock."""

    whole: bool = False
    """Whether all of the list is searched, so that what is not found is not there."""

    def may_be(self, ref: TaskRef, status: TaskStatus, since: datetime | None) -> bool:
        """Tell whether a task may be the one, as far as it shows."""
        if ref.id in self.known or ref.service not in {None, self.service}:
            return False
        created = status.created_at
        if created is None:
            return True
        return all(created >= each for each in (since, self.floor) if each is not None)


def find_lost(dialect: Dialect, lost: Lost) -> Flow[list[TaskRef]]:
    """
    List the tasks that may be of a submit whose answer was lost.

    Those that nobody accounts for, of the same service or configuration, created
    since the submit began. Where the service does not tell, a task may be the one.

    Raises:
        UnsupportedOperation: the service lets nobody find out.
    """
    (refs,) = yield from find_all_lost(dialect, [lost])
    return refs


def find_all_lost(dialect: Dialect, losts: Sequence[Lost]) -> Flow[list[list[TaskRef]]]:
    """List for each of several submits what :func:`find_lost` lists, in one reading."""
    how = dialect.capabilities.reconcile
    if how is Reconcile.ORPHANS:
        found = yield from _find_orphans(dialect, losts)
    elif how is Reconcile.CONFIG and all(lost.config_id is not None for lost in losts):
        found = []
        for lost in losts:
            refs = yield from _find_launched(dialect, lost)
            found.append(refs)
    else:
        raise UnsupportedOperation("search for a lost submit", dialect.title)
    return [
        [attrs.evolve(ref, service=lost.service) for ref in refs]
        for lost, refs in zip(losts, found, strict=True)
    ]


def list_baseline(
    dialect: Dialect, service: str, began: float
) -> Flow[Baseline | None]:
    """
    List what could be taken for tasks of submits to come.

    Args:
        dialect: of a service whose list settles what was lost.
        service: of the submits.
        began: what is older than this is told by its time; on the event loop's clock.

    Returns:
        The tasks that are there; None where the list is too long to be read.
    """
    found: dict[str, TaskRef] = {}
    lost = Lost(service=service, began=began)
    first = yield from _search(dialect, [lost], [found], BASELINE_ROWS)
    if first is None:
        return None
    return Baseline(frozenset(found), service_time(first, began))


def _find_orphans(dialect: Dialect, losts: Sequence[Lost]) -> Flow[list[list[TaskRef]]]:
    rows = math.inf if any(lost.whole for lost in losts) else ROWS
    found: list[dict[str, TaskRef]] = [{} for _ in losts]
    yield from _search(dialect, losts, found, rows)
    return [list(refs.values()) for refs in found]


def _search(
    dialect: Dialect,
    losts: Sequence[Lost],
    found: Sequence[dict[str, TaskRef]],
    rows: float,
) -> Flow[Response | None]:
    """Put down what may be of each; return the first answer if that was all."""
    heard: list[Response] = []
    query: Query | None = dialect.build_survey([TaskRef(id="")])
    read = 0
    pages: set[tuple[int, str | None]] = set()
    while query is not None and read < rows:
        note_page(query, pages)
        page = yield from _overhear(dialect.select(dialect.task_resource, query), heard)
        since = [service_time(heard[0], lost.began) for lost in losts]
        for row in page.rows:
            ref, status = dialect.parse_row(row)
            for lost, began, refs in zip(losts, since, found, strict=True):
                if lost.may_be(ref, status, began):
                    refs.setdefault(ref.id, ref)
        read += len(page.rows)
        query = page.next
    return heard[0] if query is None else None


def _find_launched(dialect: Dialect, lost: Lost) -> Flow[list[TaskRef]]:
    heard: list[Response] = []
    one = dialect.select(dialect.task_resource, Query(limit=1))
    yield from _overhear(one, heard)
    since = service_time(heard[0], lost.began) or datetime.min.replace(tzinfo=UTC)
    refs = yield from dialect.launched_since(lost.config_id or "", since)
    return [ref for ref in refs if ref.id not in lost.known]


def _overhear(flow: Flow[T], heard: list[Response]) -> Flow[T]:
    """Hold a conversation, and keep the answers to its requests."""
    try:
        step = next(flow)
        while True:
            try:
                answer = yield step
            except TransportError as exc:
                step = flow.throw(exc)
            else:
                if isinstance(step, Request):
                    heard.append(answer)
                step = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def service_time(answer: Response, then: float) -> datetime | None:
    """
    Return what the service's clock showed at a time of the event loop's clock.

    Args:
        answer: any answer of the service; its ``Date`` says what its clock shows.
        then: the time.

    Returns:
        A whole second before that, because times of services are coarse; None if
        the answer has no date.
    """
    # Not at the top, because it loads socket.
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        shown = parsedate_to_datetime(answer.headers.get("Date", ""))
        zoned = shown if shown.tzinfo is not None else shown.replace(tzinfo=UTC)
        return zoned - timedelta(seconds=math.ceil(answer.at - then) + 1)
    except (ValueError, OverflowError):
        return None
