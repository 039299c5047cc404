"""
What is known about tasks in the simulated world, and what a shell is told to do.

These are values without behaviour; the :class:`Simulator` moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import enum
import hashlib
import inspect
from typing import Any, Literal

import attrs


__all__ = [
    "Action",
    "Changed",
    "Executor",
    "Interrupt",
    "Order",
    "Outcome",
    "Service",
    "SimulatedTask",
    "Start",
    "State",
    "Stop",
    "Submitted",
]

Executor = Literal["thread", "process"]


class State(enum.Enum):
    """Where a simulated task is; every protocol has words of its own for it."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SOLVING = "solving"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether the task is over."""
        return self in {State.COMPLETED, State.FAILED, State.INTERRUPTED}


class Interrupt(enum.Enum):
    """What is to be interrupted."""

    SOLVE = "solve"
    """Only the solve: the task goes on with what it has, and completes."""

    EXECUTION = "execution"
    """The task itself: it ends as interrupted."""


@attrs.frozen
class Service:
    """A callable that tasks run; see :meth:`Simulator.service`."""

    name: str
    function: Callable[..., Any]
    executor: Executor = "thread"

    @property
    def is_async(self) -> bool:
        """Whether it is awaited instead of being run in a thread or process."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - its __call__ may be async
        return inspect.iscoroutinefunction(self.function) or (
            inspect.iscoroutinefunction(call)
        )

    @property
    def takes_context(self) -> bool:
        """Whether it declares a second parameter."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except ValueError:  # some builtins have no signature
            return False
        positional = {
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        }
        return len([p for p in parameters if p.kind in positional]) > 1


@attrs.frozen(kw_only=True)
class Order:
    """What was submitted, whatever the protocol."""

    service: str
    realm: str = ""
    """Whose task it is: the protocols do not see each other's."""

    app: str | None = None
    version: str | None = None
    payload: bytes = attrs.field(default=b"", repr=False)
    content_type: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Parameters that the service may see."""

    labels: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """What the protocol wants to remember with the task."""

    not_before: float | None = None
    """When it may start at the earliest; None means at once."""

    interval: float | None = None
    """Seconds between the runs of a recurring task."""

    wrap: Callable[[Service], Service] | None = attrs.field(default=None, repr=False)
    """Makes what is run of the service; None runs it as it is."""


@attrs.frozen
class Submitted:
    """What tells one submit from another: the service and the digest of the bytes."""

    service: str
    digest: str

    @classmethod
    def of(cls, service: str, payload: bytes) -> Submitted:
        """Return the key of :attr:`Simulator.submissions` for these bytes."""
        return cls(service, hashlib.sha256(payload).hexdigest())


@attrs.frozen(kw_only=True)
class Outcome:
    """How a run ended, as the shell reports it."""

    state: State
    content: bytes = attrs.field(default=b"", repr=False)
    content_type: str = ""
    return_code: int | None = None
    message: str = ""


@attrs.define(eq=False, kw_only=True)
class SimulatedTask:
    """One run of a service, and everything there is to know about it."""

    id: str
    number: int
    """Its place in the order of creation."""

    order: Order
    created_at: float
    run: int | None = None
    """The index of the run of a recurring task; None for any other."""

    due: float | None = None
    """When it may start at the earliest; None means at once."""

    state: State = State.QUEUED
    assigned_at: float | None = None
    running_at: float | None = None
    ended_at: float | None = None
    interrupt: Interrupt | None = None
    progress: float | None = None
    progress_message: str = ""
    published: tuple[bytes, str] | None = None
    """The last intermediate status body and its content type."""

    outcome: Outcome | None = None
    log: list[tuple[float, str]] = attrs.field(factory=list, repr=False)

    @property
    def service(self) -> str:
        """The name of its service."""
        return self.order.service

    @property
    def started(self) -> bool:
        """Whether a place was given to it and it has not ended."""
        return self.state in {State.ASSIGNED, State.RUNNING, State.SOLVING}


@attrs.frozen
class Start:
    """The shell has to run this task now."""

    task: SimulatedTask
    service: Service
    payload: bytes = attrs.field(repr=False)


@attrs.frozen
class Stop:
    """The shell has to pass this interrupt on to a task that it runs."""

    task: SimulatedTask
    interrupt: Interrupt


@attrs.frozen
class Changed:
    """A task went into this state; halves may want to tell somebody."""

    task: SimulatedTask
    state: State
    at: float


Action = Start | Stop | Changed
