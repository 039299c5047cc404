"""
Spans for OpenTelemetry (extra ``otel``): one per task, with its parts as children.

::

    hook = OpenTelemetryHook()
    client = AimmsClient.cloud(..., hooks=(hook,), trace_context=hook.trace_context)

``task SERVICE`` spans the task from its submit to its end; ``submit``, ``queue``,
``run`` and ``result`` are its children. The trace context is kept in the task's token,
so that a process that takes the task over continues the same trace.
"""

from __future__ import annotations

from collections import OrderedDict
import time

import attrs
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)

from ..hooks import Details, ResultDetails, StatusDetails, SubmitDetails
from ..sansio.task import TaskRef, TaskState


__all__ = ["OpenTelemetryHook"]

OPEN = 10_000
"""Tasks that are remembered at most; beyond, the oldest is ended and forgotten."""

NANO = 1_000_000_000

NOWHERE = Context()
"""Of a task whose caller is not known: the watcher runs in anybody's context."""


@attrs.define
class Spans:
    """The open spans of one task."""

    task: Span
    part: Span | None = None
    """The child of the present state: ``queue`` or ``run``."""

    state: TaskState | None = None


class OpenTelemetryHook:
    """
    Turns what happens into spans.

    Args:
        tracer: makes the spans; by default the global provider's.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer("asynctasks")
        self._open: OrderedDict[str, Spans] = OrderedDict()  # by token

    @staticmethod
    def trace_context() -> str | None:
        """Return the W3C trace context of the running code, to be kept in tokens."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier.get("traceparent")

    def __call__(self, details: Details) -> None:
        """Take in an event."""
        if isinstance(details, SubmitDetails):
            self._submitted(details)
        elif isinstance(details, StatusDetails):
            self._changed(details)
        elif isinstance(details, ResultDetails):
            self._fetched(details)

    def _submitted(self, details: SubmitDetails) -> None:
        now = time.time_ns()
        begun = now - int(details.seconds * NANO)
        task = details.task or TaskRef(id="", service=details.service)
        spans = Spans(self._begin(task, begun))
        self._child(spans, "submit", begun, now, details.error)
        if details.error is not None:
            _fail(spans.task, details.error)
            spans.task.end(now)
            return
        self._keep(details.token, spans)
        if details.status is not None and not details.status.done:
            self._part(spans, details.status.state, now)

    def _changed(self, details: StatusDetails) -> None:
        now = time.time_ns()
        spans = self._open.get(details.token)
        if spans is None:  # submitted by another process, or long ago
            spans = Spans(self._begin(details.task, now, NOWHERE))
            self._keep(details.token, spans)
        state = details.status.state if details.status is not None else None
        over = details.error is not None or (
            details.status is not None and details.status.done
        )
        if state is not spans.state or over:
            self._part(spans, None if over else state, now)
        if over:
            self._end(details, spans, now)

    def _part(self, spans: Spans, state: TaskState | None, now: int) -> None:
        """End the child of the last state and begin that of the next."""
        if spans.part is not None:
            spans.part.end(now)
            spans.part = None
        spans.state = state
        if state is not None:
            name = "queue" if state is TaskState.QUEUED else "run"
            context = trace.set_span_in_context(spans.task)
            spans.part = self._tracer.start_span(name, context, start_time=now)

    def _end(self, details: StatusDetails, spans: Spans, now: int) -> None:
        status = details.status
        if not spans.task.is_recording():
            return
        if status is not None:
            spans.task.set_attribute("asynctasks.state", status.state.value)
            spans.task.set_attribute("asynctasks.word", status.word)
        if details.error is not None:
            _fail(spans.task, details.error)
        elif status is not None and status.state is TaskState.FAILED:
            spans.task.set_status(Status(StatusCode.ERROR, status.message[:200]))
        spans.task.end(now)
        # Its name is all that the result needs: many are never asked for one.
        spans.task = NonRecordingSpan(spans.task.get_span_context())

    def _fetched(self, details: ResultDetails) -> None:
        now = time.time_ns()
        begun = now - int(details.seconds * NANO)
        spans = self._open.pop(details.token, None)
        if spans is None:
            spans = Spans(self._begin(details.task, begun))
        self._child(spans, "result", begun, now, details.error)
        _close(spans, now)

    def _begin(self, task: TaskRef, begun: int, context: Context | None = None) -> Span:
        """Begin the span of a task, in *context* if it brings no trace along."""
        if task.trace is not None:
            context = propagate.extract({"traceparent": task.trace})
        span = self._tracer.start_span(
            f"task {task.service or ''}".strip(),
            context,
            kind=SpanKind.CLIENT,
            start_time=begun,
        )
        if task.id:
            span.set_attribute("asynctasks.task_id", task.id)
        return span

    def _child(
        self,
        spans: Spans,
        name: str,
        begun: int,
        ended: int,
        error: BaseException | None,
    ) -> None:
        context = trace.set_span_in_context(spans.task)
        span = self._tracer.start_span(name, context, start_time=begun)
        if error is not None:
            _fail(span, error)
        span.end(ended)

    def _keep(self, token: str, spans: Spans) -> None:
        self._open[token] = spans
        if len(self._open) > OPEN:
            _, oldest = self._open.popitem(last=False)
            _close(oldest, time.time_ns())


def _close(spans: Spans, now: int) -> None:
    """End what of a task's spans has not ended."""
    for span in (spans.part, spans.task):
        if span is not None and span.is_recording():
            span.end(now)


def _fail(span: Span, error: BaseException) -> None:
    # The class only: an error's text may hold what a service said.
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
