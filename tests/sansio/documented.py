"""What is called for each exchange that AIMMS documents, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

from asynctasks.exceptions import (
    NotFound,
    PermissionDenied,
    RequestRejected,
)
from asynctasks.sansio.aimms import (
    AimmsDialect,
)
from asynctasks.sansio.dialect import Launched, Page, Payload, Prepared, Query
from asynctasks.sansio.http import Flow, Headers, Response
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus


SAMPLES = Path(__file__).parent.parent / "samples" / "aimms"

CLOUD = AimmsDialect.cloud()
TEST = AimmsDialect.cloud(app="Test", app_version="1.0")
LATEST = AimmsDialect.cloud(app="Test")
V1 = AimmsDialect.cloud(
    "v1", app="MachineSchedulingMIPTimeIndexedSolver", app_version="007"
)
ANY_V1 = AimmsDialect.cloud("v1")
LOCAL = AimmsDialect.local()
LOCAL_V1 = AimmsDialect.local("v1")

CLOUD_ID = "efa680a0-748e-43d0-9099-cf40937b13f4"
V1_ID = "74d538bc-0ae9-421f-aa6f-35d02e1cd226"
LOCAL_ID = "fc510540-7b0c-4d0b-8a55-0c4b8de1f1aa"
LOCAL_V1_ID = "c46844d8-d544-476f-a25c-63ef61bd6fba"
NOBODY = "00000000-0000-0000-0000-000000000000"

REF = TaskRef(id="7")
DONE = TaskStatus(state=TaskState.SUCCEEDED)


def bytes_of(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of a sample's body."""
    body = message["body"]
    if isinstance(body, dict) and set(body) == {"text"}:
        text: str = body["text"]
        return text.encode()
    return json.dumps(body).encode()


def load(name: str) -> list[tuple[dict[str, Any], Response]]:
    """Return the requests of a sample, and what answers them."""
    document = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return [
        (each["request"], answer(each["response"])) for each in document["exchange"]
    ]


def answer(response: Mapping[str, Any]) -> Response:
    headers = Headers(response["headers"])
    return Response(response["status"], headers, bytes_of(response))


def submit(
    dialect: AimmsDialect,
    service: str,
    inputs: bytes = b"",
    content_type: str | None = None,
    **options: Any,
) -> Flow[Launched]:
    payload = Payload(body=inputs, content_type=content_type)
    prepared = Prepared(service=service, payload=payload, options=options)
    return dialect.launch(prepared)


def poll(dialect: AimmsDialect, task: str, run: int | None = None) -> Flow[TaskStatus]:
    return dialect.poll(TaskRef(id=task, run=run))


def result(dialect: AimmsDialect, task: str) -> Flow[Response]:
    return dialect.result(TaskRef(id=task), DONE)


def ids(page: Page) -> tuple[list[str], int | None]:
    return [row["id"] for row in page.rows], page.total


def facts(status: TaskStatus) -> tuple[Any, ...]:
    return status.state, status.word, status.done


JSON = "application/json"
INPUTS = b'{"activities": [{"act": "a-1", "duration": 28.0}], "resources": ["res-3"]}'
FORM = (
    b"--2f6b2b1c5a\r\n"
    b'Content-Disposition: form-data; name="file"; filename="input.xlsx"\r\n\r\n'
    b"PK\x03\x04\r\n--2f6b2b1c5a--\r\n"
)
MULTIPART = "multipart/form-data; boundary=2f6b2b1c5a"
STANDARD = b'{"task-name": "CountStars", "properties": {"text": "* *** **"}}'
HOOK = "https://example.com/hook?job=17&key=secret"
MOMENT = "2023-11-24 15:16:38.000 +01:00"

QUEUED = (TaskState.QUEUED, "queued", False)
COMPLETED = (TaskState.SUCCEEDED, "completed", True)
FAILED = (TaskState.FAILED, "failed", True)
FINISHED = (TaskState.SUCCEEDED, "finished", True)

Step = tuple[Callable[[], Flow[Any]], Callable[[Any], Any], Any]


def launched(found: Launched) -> Any:
    return found.ref.id, found.status and facts(found.status)


def body(found: Response) -> Any:
    return found.json()


def same(found: Any) -> Any:
    return found


def submitted(dialect: AimmsDialect, service: str, **options: Any) -> Step:
    flow = lambda: submit(dialect, service, INPUTS, JSON, **options)  # noqa: E731
    return flow, launched, (CLOUD_ID, QUEUED)


def polled(dialect: AimmsDialect, task: str, *expected: Any) -> list[Step]:
    return [(lambda: poll(dialect, task), facts, expected)]


RUNNING = TaskState.RUNNING

CALLS: Mapping[str, list[Step]] = {
    "cloud-v1-list": [
        (
            lambda: ANY_V1.select("tasks", Query()),
            ids,
            ([V1_ID, "c46844d8-d544-476f-a25c-63ef61bd6fba"], 2),
        )
    ],
    "cloud-v1-poll-executing": polled(V1, V1_ID, RUNNING, "executing", False),
    "cloud-v1-poll-finished-with-errors": polled(
        V1, V1_ID, TaskState.FAILED, "finished with errors", True
    ),
    "cloud-v1-poll-finished": polled(V1, V1_ID, *FINISHED),
    "cloud-v1-poll-interrupted": polled(
        V1, V1_ID, TaskState.CANCELLED, "interrupted", True
    ),
    "cloud-v1-poll-solving": polled(V1, V1_ID, RUNNING, "solving", False),
    "cloud-v1-poll-starting": polled(V1, V1_ID, RUNNING, "starting", False),
    "cloud-v1-queued-without-times": polled(V1, V1_ID, *QUEUED),
    "cloud-v1-run": [
        (
            lambda: submit(V1, "equalParallelMachineTimeIndexedMIP", INPUTS, JSON),
            launched,
            (V1_ID, QUEUED),
        ),
        *polled(V1, V1_ID, *FINISHED),
        (
            lambda: result(V1, V1_ID),
            lambda found: found.json()["KPIs"],
            [{"makespan": 28.0}],
        ),
    ],
    "cloud-v2-delete": [(lambda: CLOUD.delete(TaskRef(id=CLOUD_ID)), same, None)],
    "cloud-v2-error": [
        (lambda: poll(CLOUD, NOBODY), same, (NotFound, 404, "No such task"))
    ],
    "cloud-v2-group-index": [
        (
            lambda: poll(CLOUD, CLOUD_ID, run=0),
            lambda found: (*facts(found), found.run, found.message),
            (
                *FAILED,
                0,
                "Downloading request blob failed with a 403 status and 0 error code",
            ),
        ),
        (
            lambda: poll(CLOUD, CLOUD_ID),
            lambda found: (*facts(found), found.run),
            (*QUEUED, 1),
        ),
        (lambda: CLOUD.delete(TaskRef(id=CLOUD_ID)), same, None),
    ],
    "cloud-v2-interrupt-solve": [
        (
            lambda: CLOUD.interrupt(TaskRef(id=CLOUD_ID), "interrupt-solve"),
            same,
            None,
        ),
        *polled(CLOUD, CLOUD_ID, *COMPLETED),
    ],
    "cloud-v2-list": [
        (
            lambda: CLOUD.select("tasks", Query()),
            ids,
            ([CLOUD_ID, "39cef818-ad0c-4016-89b5-44411ea33b83"], 2),
        )
    ],
    "cloud-v2-numbers-unformatted": [
        (
            lambda: poll(CLOUD, CLOUD_ID),
            lambda found: (found.queue_time, found.run_time, found.return_code),
            (19.0, 4.0, 1),
        )
    ],
    "cloud-v2-poll-assigned": polled(
        CLOUD, CLOUD_ID, TaskState.QUEUED, "assigned", False
    ),
    "cloud-v2-poll-completed": [
        (
            lambda: poll(CLOUD, CLOUD_ID),
            lambda found: (
                found.created_at,
                found.started_at,
                found.ended_at,
                found.queue_time,
                found.run_time,
                found.return_code,
                found.message,
                found.run,
            ),
            (
                datetime(2023, 11, 23, 15, 16, 38, tzinfo=UTC),
                datetime(2023, 11, 23, 15, 16, 57, tzinfo=UTC),
                datetime(2023, 11, 23, 15, 17, 1, tzinfo=UTC),
                19.0,
                4.0,
                1,
                "",
                None,
            ),
        )
    ],
    "cloud-v2-poll-failed-by-interrupt": [
        (
            lambda: CLOUD.interrupt(TaskRef(id=CLOUD_ID), "interrupt-execution"),
            same,
            None,
        ),
        *polled(CLOUD, CLOUD_ID, *FAILED),
    ],
    "cloud-v2-poll-failed": polled(CLOUD, CLOUD_ID, *FAILED),
    "cloud-v2-poll-queued": polled(CLOUD, CLOUD_ID, *QUEUED),
    "cloud-v2-poll-running": polled(CLOUD, CLOUD_ID, RUNNING, "running", False),
    "cloud-v2-poll-solving": polled(CLOUD, CLOUD_ID, RUNNING, "solving", False),
    "cloud-v2-run": [
        (
            lambda: submit(TEST, "JobSchedule", b"* *** **"),
            launched,
            (CLOUD_ID, None),
        ),
        *polled(CLOUD, CLOUD_ID, *COMPLETED),
        (lambda: result(CLOUD, CLOUD_ID), body, {"count": 6.0}),
    ],
    "cloud-v2-schedule-for": [submitted(TEST, "JobSchedule", schedule_for=MOMENT)],
    "cloud-v2-schedule-in-iso": [
        submitted(
            TEST,
            "JobSchedule",
            schedule_in=timedelta(days=1, hours=2, minutes=3, seconds=4),
        )
    ],
    "cloud-v2-schedule-in": [submitted(TEST, "JobSchedule", schedule_in="1 day")],
    "cloud-v2-schedule-interval": [
        submitted(TEST, "JobSchedule", schedule_every="1 day")
    ],
    "cloud-v2-submit-answer-as-printed": [
        (
            lambda: submit(TEST, "JobSchedule", INPUTS, JSON),
            launched,
            (CLOUD_ID, COMPLETED),
        )
    ],
    "cloud-v2-submit-encoded-path": [
        (
            lambda: submit(
                AimmsDialect.cloud(app="My App", app_version="1.0"),
                "svc",
                b'{"a": 1}',
                JSON,
            ),
            launched,
            (CLOUD_ID, QUEUED),
        )
    ],
    "cloud-v2-submit-id-only": [
        (
            lambda: submit(TEST, "JobSchedule", b"* *** **"),
            launched,
            ("39cef818-ad0c-4016-89b5-44411ea33b83", None),
        )
    ],
    "cloud-v2-submit-latest-missing": [
        (
            lambda: submit(
                AimmsDialect.cloud(app="Testapp"), "JobSchedule", INPUTS, JSON
            ),
            same,
            (NotFound, 404, "App Testapp with latest tag doesn't exist"),
        )
    ],
    "cloud-v2-submit-latest": [submitted(LATEST, "JobSchedule")],
    "cloud-v2-submit-multipart": [
        (
            lambda: submit(
                AimmsDialect.cloud(app="VesselScheduling", app_version="1.0"),
                "solve",
                FORM,
                MULTIPART,
            ),
            launched,
            (CLOUD_ID, QUEUED),
        )
    ],
    "cloud-v2-submit": [submitted(TEST, "JobSchedule")],
    "cloud-v2-version": [(CLOUD.server_version, same, "v2.0")],
    "local-v1-interrupt-processed": [
        (
            lambda: LOCAL_V1.interrupt(TaskRef(id=LOCAL_V1_ID), "interrupt-execution"),
            same,
            "interrupt-processed",
        )
    ],
    "local-v1-poll-finished-with-errors": polled(
        LOCAL_V1, LOCAL_V1_ID, TaskState.FAILED, "finished with errors", True
    ),
    "local-v1-queued": [
        (lambda: submit(LOCAL_V1, "Test", b"{}", JSON), launched, (V1_ID, QUEUED))
    ],
    "local-v1-run": [
        (
            lambda: submit(LOCAL_V1, "countStarsJson", b'{"lines": ["* *** **"]}'),
            launched,
            (LOCAL_V1_ID, QUEUED),
        ),
        *polled(LOCAL_V1, LOCAL_V1_ID, *FINISHED),
        (lambda: result(LOCAL_V1, LOCAL_V1_ID), body, {"count": 6.0}),
    ],
    "local-v2-delete-running": [
        (
            lambda: LOCAL.delete(TaskRef(id=LOCAL_ID)),
            same,
            (RequestRejected, 405, ""),
        )
    ],
    "local-v2-delete": [(lambda: LOCAL.delete(TaskRef(id=LOCAL_ID)), same, None)],
    "local-v2-intermediate-status": [
        (
            lambda: LOCAL.intermediate_status(TaskRef(id=LOCAL_ID)),
            body,
            {"gap": 0.05, "incumbent": 31.0},
        )
    ],
    "local-v2-interrupt-execution": [
        (
            lambda: LOCAL.interrupt(TaskRef(id=LOCAL_ID), "interrupt-execution"),
            same,
            "interrupt-execution",
        )
    ],
    "local-v2-interrupt-solve": [
        (
            lambda: LOCAL.interrupt(TaskRef(id=LOCAL_ID), "interrupt-solve"),
            same,
            "interrupt-solve",
        )
    ],
    "local-v2-list-empty": [(lambda: LOCAL.select("tasks", Query()), ids, ([], 0))],
    "local-v2-list": [
        (
            lambda: LOCAL.select("tasks", Query()),
            lambda page: (page.total, page.next, page.rows[0]["id"]),
            (2, None, LOCAL_ID),
        )
    ],
    "local-v2-poll-completed": polled(LOCAL, LOCAL_ID, *COMPLETED),
    "local-v2-poll-failed": polled(LOCAL, LOCAL_ID, *FAILED),
    "local-v2-poll-with-v1-keys": [
        (
            lambda: poll(LOCAL, LOCAL_V1_ID),
            lambda found: (*facts(found), found.queue_time, found.created_at),
            (*FINISHED, 0.002, datetime(2023, 7, 27, 10, 36, 52, tzinfo=UTC)),
        )
    ],
    "local-v2-standard-task-service": [
        (
            lambda: submit(LOCAL, "StandardTaskService", STANDARD, JSON),
            launched,
            (LOCAL_ID, QUEUED),
        ),
        (lambda: result(LOCAL, LOCAL_ID), body, {"count": "6"}),
    ],
    "local-v2-submit": [
        (lambda: submit(LOCAL, "Test", b"{}", JSON), launched, (LOCAL_ID, QUEUED))
    ],
    "local-v2-unknown-service": [
        (
            lambda: submit(LOCAL, "NoSuchService", b"{}", JSON),
            same,
            (PermissionDenied, 403, ""),
        )
    ],
}
"""What is called for each exchange, what to look at, and what it must be."""
