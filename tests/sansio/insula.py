"""What is called for each exchange that Insula's sources record, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

from asynctasks.exceptions import (
    AuthenticationFailed,
    Conflict,
    PermissionDenied,
    RequestRejected,
    UnsupportedOperation,
)
from asynctasks.sansio.desp import DespDialect
from asynctasks.sansio.desp_jobs import CostEstimate, LogLine
from asynctasks.sansio.dialect import Launched, Page, Payload, Prepared, Query
from asynctasks.sansio.http import Flow, Headers, Response
from asynctasks.sansio.task import TaskRef, TaskState, TaskStatus


__all__ = [
    "CALLS",
    "DESP",
    "PARENT",
    "REF",
    "SAMPLES",
    "Step",
    "bytes_of",
    "load",
    "prepare",
]

SAMPLES = Path(__file__).parent.parent / "samples" / "desp"

DESP = DespDialect(origin="https://insula.destine.eu")

REF = TaskRef(id="793")
PARENT = TaskRef(id="4421")
DONE = TaskStatus(state=TaskState.SUCCEEDED)

Step = tuple[Callable[[], Flow[Any]], Callable[[Any], Any], Any]


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


def prepare(inputs: Any = None, service: str = "20", **options: Any) -> Flow[Prepared]:
    """Prepare a submit."""
    payload = Payload(inputs=inputs)
    return DESP.prepare(service, payload, options)


def prepared(config: str) -> Prepared:
    return Prepared(service="20", payload=Payload(), config_id=config)


def same(found: Any) -> Any:
    return found


def facts(status: TaskStatus) -> tuple[Any, ...]:
    return status.state, status.word, status.done


def launched(found: Launched) -> Any:
    return found.ref.id, found.status and facts(found.status)


def ids(page: Page) -> Any:
    return [row["id"] for row in page.rows], page.total, page.next and page.next.cursor


def key(row: Any) -> Any:
    return row["id"]


def polled(*expected: Any, ref: TaskRef = REF) -> list[Step]:
    return [(lambda: DESP.poll(ref), facts, expected)]


def parent(state: TaskState, word: str, progress: float, *, done: bool) -> list[Step]:
    def look(status: TaskStatus) -> Any:
        return *facts(status), status.progress

    return [(lambda: DESP.poll(PARENT), look, (state, word, done, progress))]


def launching(config: str, expected: Any) -> list[Step]:
    return [(lambda: DESP.launch(prepared(config)), launched, expected)]


def selected(resource: str, expected: Any, **query: Any) -> Step:
    return (lambda: DESP.select(resource, Query(**query)), ids, expected)


INPUTS = {"s2_input": "Insula is", "s3_input": ["great!"]}
OUTPUTS = {"result": "eopaasbb235018ba8342dda1df91a5c3678395"}
IDENTIFIER = OUTPUTS["result"]
QUEUED = (TaskState.QUEUED, "PENDING", False)
FLAT = ("4108", QUEUED)
NEW = {"name": "My Collection", "fileType": "REFERENCE_DATA", "productsType": "mixed"}
DETAILED = {"status": ["AVAILABLE", "IN_DEVELOPMENT"]}
DETAILED_SERVICES = {**DETAILED, "projection": "detailedPlatformService"}
LOGS = [
    LogLine(
        "Step 1 of 3: Data-Fetch", datetime(2024, 2, 10, 13, 19, 18, 1000, tzinfo=UTC)
    ),
    LogLine("no more", datetime(2024, 2, 10, 13, 19, 20, tzinfo=UTC)),
]
FORM = "multipart/form-data; boundary=limit"
UPLOAD = {"fileType": "OTHER", "collection": IDENTIFIER}


def form() -> bytes:
    return bytes_of(load("upload")[0][0])


def uploading() -> Flow[Any]:
    return DESP.upload(form(), FORM, UPLOAD, 60.0)


def refused_download() -> Flow[None]:
    response = yield DESP.build_file_download("4615")
    DESP.parse_head(response)


CALLS: Mapping[str, list[Step]] = {
    "services-seed": [selected("services", ([20], 1, None), limit=10)],
    "services-pages": [
        selected("services", ([70, 7], 3, "1:3"), where=DETAILED_SERVICES, limit=2),
        selected(
            "services", ([9], 3, None), where=DETAILED_SERVICES, limit=2, cursor="1:3"
        ),
    ],
    "service": [(lambda: DESP.select_one("services", "20"), key, 20)],
    "service-unknown": [(lambda: DESP.select_one("services", "999999"), same, None)],
    "launch-content": launching("199", ("793", QUEUED)),
    "launch-flat": launching("3039", FLAT),
    "launch-200": launching("3039", FLAT),
    "launch-without-self": launching("3039", FLAT),
    "launch-quota": launching(
        "3039", (PermissionDenied, 403, "Processing or storage quota exceeded.")
    ),
    "config-again": [
        (lambda: prepare(INPUTS, outputs=OUTPUTS), lambda p: p.config_id, "199"),
        (
            lambda: prepare(INPUTS, outputs=OUTPUTS, label="again"),
            lambda p: p.config_id,
            "199",
        ),
    ],
    "configs": [
        selected("jobConfigs", ([199], 1, None), limit=20),
        (lambda: DESP.select_one("jobConfigs", "199"), key, 199),
        (lambda: DESP.delete_one("jobConfigs", "199"), same, True),
        (lambda: DESP.select_one("jobConfigs", "199"), same, None),
    ],
    "configs-not-listed": [
        selected("jobConfigs", (UnsupportedOperation, None, None), limit=20)
    ],
    "job-running": polled(TaskState.RUNNING, "RUNNING", False),
    "job-completed": polled(TaskState.SUCCEEDED, "COMPLETED", True),
    "job-created": polled(TaskState.QUEUED, "CREATED", False),
    "job-pending": polled(*QUEUED),
    "job-waiting": polled(TaskState.QUEUED, "WAITING", False),
    "job-condition-wait": polled(TaskState.QUEUED, "CONDITION_WAIT", False),
    "job-cancelled": polled(TaskState.CANCELLED, "CANCELLED", True),
    "job-ending": polled(TaskState.RUNNING, "RUNNING", False),
    "job-error": [
        (
            lambda: DESP.poll(REF),
            lambda status: (*facts(status), status.message),
            (TaskState.FAILED, "ERROR", True, "no more"),
        )
    ],
    "logs": [(lambda: DESP.logs(REF), same, LOGS)],
    "logs-empty": [(lambda: DESP.logs(REF), same, [])],
    "job-omits-nulls": polled(
        TaskState.QUEUED, "CREATED", False, ref=TaskRef(id="4543")
    ),
    "terminate": [(lambda: DESP.terminate(REF), same, None)],
    "parent-created": parent(TaskState.RUNNING, "CREATED", 0.5, done=False),
    "parent-error-while-running": parent(TaskState.FAILED, "ERROR", 0.5, done=False),
    "parent-error": parent(TaskState.FAILED, "ERROR", 1.0, done=True),
    "parent-completed": parent(TaskState.SUCCEEDED, "COMPLETED", 1.0, done=True),
    "parent-cancelled": parent(TaskState.CANCELLED, "CREATED", 1.0, done=True),
    "parent-without-counts": parent(TaskState.RUNNING, "CREATED", 0.5, done=False),
    "sub-jobs": [
        (
            lambda: DESP.sub_jobs(PARENT),
            lambda parts: [launched(part) for part in parts],
            [
                ("4422", (TaskState.SUCCEEDED, "COMPLETED", True)),
                ("4423", (TaskState.RUNNING, "RUNNING", False)),
            ],
        )
    ],
    "jobs-search": [
        selected(
            "jobs",
            ([793], 1, None),
            where={"status": ("COMPLETED", "ERROR"), "projection": "shortJob"},
            limit=5,
        )
    ],
    "jobs-empty": [
        selected(
            "jobs",
            ([], 0, None),
            where={"status": "ERROR", "projection": "detailedJob"},
            limit=5,
        )
    ],
    "outputs": [
        (
            lambda: DESP.output_files(REF),
            lambda files: [(file.id, file.output, file.raw["type"]) for file in files],
            [("4615", "result", "OUTPUT_PRODUCT")],
        )
    ],
    "file": [
        (lambda: DESP.select_one("platformFiles", "4615"), key, 4615),
        (lambda: DESP.delete_one("platformFiles", "4615"), same, True),
    ],
    "upload": [
        (
            uploading,
            lambda row: (row["id"], row["uri"]),
            (4700, "eopaas://refData/32/area.txt"),
        ),
        (
            uploading,
            same,
            (
                Conflict,
                409,
                "Reference data filename 'area.txt' already exists for user user",
            ),
        ),
    ],
    "users-current": [(DESP.current_user, lambda row: row["name"], "user")],
    "estimate": [
        (
            lambda: DESP.estimate("199"),
            same,
            CostEstimate(cost=1, recurrence="ONE_OFF", balance=20),
        )
    ],
    "estimate-no-credit": [
        (
            lambda: DESP.estimate("199"),
            same,
            CostEstimate(cost=1, recurrence="ONE_OFF", balance=0, affordable=False),
        )
    ],
    "unauthorized": [
        (
            lambda: DESP.poll(REF),
            same,
            (
                AuthenticationFailed,
                401,
                '{"status_code": 401, "status": "Unauthorized"}',
            ),
        )
    ],
    "download-no-credit": [
        (
            refused_download,
            same,
            (
                RequestRejected,
                402,
                "Estimated download cost (3 coins) exceeds current wallet balance",
            ),
        )
    ],
}
"""What is called for each exchange, what to look at, and what it must be."""
