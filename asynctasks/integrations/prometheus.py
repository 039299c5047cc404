"""
Metrics for Prometheus (extra ``metrics``).

::

    client = AimmsClient.cloud(..., hooks=(PrometheusHook(),))
"""

from __future__ import annotations

from collections import OrderedDict

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ..hooks import (
    Details,
    RequestDetails,
    ResultDetails,
    RetryDetails,
    StatusDetails,
    SubmitDetails,
    SubscriberDetails,
)


__all__ = ["PrometheusHook"]

REMEMBERED = 100_000
"""Open tasks that are remembered at most; beyond, the oldest is not counted."""

# Each metric: its name, what it says, and its labels.

REQUESTS = (
    "asynctasks_request_seconds",
    "Attempts of requests, by what came back.",
    ("origin", "method", "outcome"),
)

RETRIES = (
    "asynctasks_retries",
    "Requests that were sent again, by the reason.",
    ("origin", "reason"),
)

SUBMITS = (
    "asynctasks_submits",
    "Submits, by what became of them.",
    ("service", "outcome"),
)

ENDED = (
    "asynctasks_tasks_ended",
    "Watched tasks that are over, by how they ended.",
    ("service", "state"),
)

RUNS = (
    "asynctasks_task_run_seconds",
    "How long tasks ran, as the service reports it.",
    ("service",),
)

RUN_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)

OPEN = (
    "asynctasks_tasks_open",
    "Tasks that were seen open and have not been seen to end.",
    ("service",),
)

RESULTS = (
    "asynctasks_results",
    "Results that were fetched, by what became of it.",
    ("service", "outcome"),
)

SUBSCRIBER = (
    "asynctasks_subscriber_events",
    "What happened to the subscriber transport.",
    ("event",),
)


class PrometheusHook:
    """
    Counts what happens; make one per process and give it to all clients.

    Labels are bounded: origins, methods, statuses, service names and states; ids and
    paths are none.

    Args:
        registry: where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._requests = Histogram(*REQUESTS, registry=registry)
        self._retries = Counter(*RETRIES, registry=registry)
        self._submits = Counter(*SUBMITS, registry=registry)
        self._ended = Counter(*ENDED, registry=registry)
        self._durations = Histogram(*RUNS, buckets=RUN_BUCKETS, registry=registry)
        self._open = Gauge(*OPEN, registry=registry)
        self._results = Counter(*RESULTS, registry=registry)
        self._subscriber = Counter(*SUBSCRIBER, registry=registry)

    def __call__(self, details: Details) -> None:
        """Count an event."""
        if isinstance(details, RequestDetails):
            outcome = _outcome(details.error, str(details.status or "cancelled"))
            labels = (details.origin, details.method, outcome)
            self._requests.labels(*labels).observe(details.seconds)
        elif isinstance(details, RetryDetails):
            self._retries.labels(details.origin, details.reason).inc()
        elif isinstance(details, SubmitDetails):
            outcome = _outcome(details.error, "accepted")
            self._submits.labels(details.service, outcome).inc()
            if details.task is not None:
                self._note(details.token, details.service)
        elif isinstance(details, StatusDetails):
            self._status(details)
        elif isinstance(details, ResultDetails):
            service = details.task.service or ""
            self._results.labels(service, _outcome(details.error, "fetched")).inc()
        elif isinstance(details, SubscriberDetails):
            self._subscriber.labels(details.event).inc()

    def _status(self, details: StatusDetails) -> None:
        service = details.task.service or ""
        status = details.status
        over = details.error is not None or (status is not None and status.done)
        if not over:
            self._note(details.token, service)
            return
        if self._seen.pop(details.token, None) is not None:
            self._open.labels(service).dec()
        known = status is not None and details.error is None
        state = status.state.value if status is not None and known else "lost"
        self._ended.labels(service, state).inc()
        if status is not None and status.run_time is not None:
            self._durations.labels(service).observe(status.run_time)

    def _note(self, token: str, service: str) -> None:
        """Count an open task, once."""
        if token in self._seen:
            return
        self._seen[token] = service
        self._open.labels(service).inc()
        if len(self._seen) > REMEMBERED:
            _, forgotten = self._seen.popitem(last=False)
            self._open.labels(forgotten).dec()


def _outcome(error: BaseException | None, success: str) -> str:
    return success if error is None else type(error).__name__
