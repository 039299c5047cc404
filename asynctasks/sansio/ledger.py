"""
What a batch knows of one item, and the steps that are legal from there.

Pure: an :class:`Entry` is what the journal has a row of, a :class:`Step` is what
happened, and :func:`advance` is the only way from one entry to the next. The clock
comes in as ``at`` (seconds since the epoch, UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
import enum
from typing import Any

import attrs

from ..exceptions import InvalidState


__all__ = [
    "LEGAL",
    "Entry",
    "Failure",
    "ItemState",
    "Step",
    "Timings",
    "advance",
]


class ItemState(enum.Enum):
    """Where an item of a batch is."""

    WAITING = "waiting"
    """Nothing of it runs at the service, as far as can be known: to be submitted."""

    INTENDED = "intended"
    """The submit may have been sent. After a crash this is in doubt."""

    SUBMITTED = "submitted"
    """The service accepted it; its token is known, its end is not."""

    SUCCEEDED = "succeeded"
    """It ended, and its result is here, or was taken."""

    FAILED = "failed"
    """It ended without a result, or was refused."""

    UNKNOWN = "unknown"
    """A submit was sent, its answer is lost, and nothing could settle it."""

    @property
    def settled(self) -> bool:
        """Whether the item is over unless somebody decides otherwise."""
        return self in SETTLED


SETTLED = frozenset({ItemState.SUCCEEDED, ItemState.FAILED, ItemState.UNKNOWN})


class Step(enum.Enum):
    """What may happen to an item."""

    INTEND = "intend"
    """It is about to be submitted, for the first time or again."""

    ACCEPT = "accept"
    """The service accepted it; or a task was found that must be it."""

    SUCCEED = "succeed"
    """Its result was fetched and stored."""

    FAIL = "fail"
    """It failed, or was refused."""

    DOUBT = "doubt"
    """The answer to the submit is lost, and nothing could settle it."""

    WITHDRAW = "withdraw"
    """Nothing of it runs (any more), which is certain: as if never submitted."""


_S = ItemState

LEGAL: Mapping[tuple[ItemState, Step], ItemState] = {
    (_S.WAITING, Step.INTEND): _S.INTENDED,
    (_S.WAITING, Step.FAIL): _S.FAILED,
    (_S.INTENDED, Step.ACCEPT): _S.SUBMITTED,
    (_S.INTENDED, Step.FAIL): _S.FAILED,
    (_S.INTENDED, Step.DOUBT): _S.UNKNOWN,
    (_S.INTENDED, Step.WITHDRAW): _S.WAITING,
    (_S.SUBMITTED, Step.SUCCEED): _S.SUCCEEDED,
    (_S.SUBMITTED, Step.FAIL): _S.FAILED,
    (_S.SUBMITTED, Step.WITHDRAW): _S.WAITING,
    # Only where the user wants it: retry_failed=, on_unknown="resubmit".
    (_S.FAILED, Step.INTEND): _S.INTENDED,
    (_S.UNKNOWN, Step.INTEND): _S.INTENDED,
    # Somebody looked it up, or gave it up.
    (_S.UNKNOWN, Step.ACCEPT): _S.SUBMITTED,
    (_S.UNKNOWN, Step.FAIL): _S.FAILED,
}
"""Every legal step; what is not in here cannot happen."""


@attrs.frozen
class Failure:
    """Why an item has no result, as it is written down."""

    kind: str
    """The name of the error's class, e.g. ``"TaskFailed"``."""

    text: str
    """The error's text."""

    word: str = ""
    """The service's word for the end of the task, where there was one."""

    message: str = ""
    """The service's own words about it, where it gave any."""


@attrs.frozen(kw_only=True)
class Timings:
    """
    When things happened, in seconds since the epoch (UTC); None: not (yet), or not
    known. What the service reports is by its own clock.
    """

    submitted: float | None = None
    """The submit was about to be sent."""

    queued: float | None = None
    """The service accepted it."""

    started: float | None = None
    """It began to run: as reported, or as first seen."""

    ended: float | None = None
    """It ended: as reported, or as first seen."""

    fetched: float | None = None
    """Its result, or its error, was here."""

    queue_time: float | None = None
    """Seconds in the queue, where the service reports them."""

    run_time: float | None = None
    """Seconds running, where the service reports them."""


@attrs.frozen(kw_only=True)
class Entry:
    """What is known of one item: a row of the journal."""

    key: str
    """Identifies the item within its batch, over all runs."""

    index: int
    """The place among the inputs, from 0, when it was first seen."""

    digest: str = ""
    """The hash of the input."""

    service: str = ""
    state: ItemState = ItemState.WAITING
    attempts: int = 0
    """How often it was submitted, as far as is known."""

    config_id: str | None = None
    """The service's id of the stored configuration, where it has such a step."""

    token: str = ""
    """The token of the remote task; empty before it was accepted."""

    task_id: str = ""
    """The service's id of it."""

    earlier: tuple[str, ...] = ()
    """The ids of the tasks of earlier attempts."""

    failure: Failure | None = None
    """Why there is no result."""

    candidates: tuple[str, ...] = ()
    """Ids of tasks any of which may be this item, where that is unknown."""

    retries: tuple[str, ...] = ()
    """The kinds of the failures after which it was submitted again."""

    timings: Timings = Timings()
    """Of the last attempt."""

    result: bytes | None = attrs.field(default=None, repr=False)
    """The result as it came, unless it is stored elsewhere."""

    media_type: str = ""
    """Of the result."""

    stored: str = ""
    """The file that has the result, beside the journal; empty: it is inline."""


def advance(entry: Entry, step: Step, at: float, **facts: Any) -> Entry:
    """
    Return the entry after a step.

    Args:
        entry: what was known.
        step: what happened.
        at: when, in seconds since the epoch.
        facts: what else is known now: fields of :class:`Entry`.

    Raises:
        InvalidState: this cannot happen to an item in that state.
    """
    state = LEGAL.get((entry.state, step))
    if state is None:
        reason = f"an item that is {entry.state.value} cannot {step.value}"
        raise InvalidState(f"{reason} (key {entry.key!r})")
    return attrs.evolve(entry, state=state, **{**_implied(entry, step, at), **facts})


def _implied(entry: Entry, step: Step, at: float) -> dict[str, Any]:
    """Return what follows from a step by itself."""
    if step is Step.INTEND:
        failed = () if entry.failure is None else (entry.failure.kind,)
        return {
            **FRESH,
            "attempts": entry.attempts + 1,
            "timings": Timings(submitted=at),
            "retries": entry.retries + failed,
            "earlier": _past(entry),
        }
    if step is Step.ACCEPT:
        return {
            "timings": attrs.evolve(entry.timings, queued=at),
            "failure": None,
            "candidates": (),
        }
    if step is Step.WITHDRAW:
        return {
            **FRESH,
            "attempts": entry.attempts - 1,
            "timings": Timings(),
            "earlier": _past(entry),
        }
    return {"timings": attrs.evolve(entry.timings, fetched=at)}


def _past(entry: Entry) -> tuple[str, ...]:
    """Return the tasks that are over for it: they must not be taken for new ones."""
    gone = (entry.task_id,) if entry.task_id else ()
    return entry.earlier + gone + entry.candidates


FRESH: Mapping[str, Any] = {
    "token": "",
    "task_id": "",
    "failure": None,
    "candidates": (),
    "config_id": None,
}
"""What a new attempt knows nothing of yet."""
