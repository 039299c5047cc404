"""Facts of configurations, jobs and files as Insula writes them, without relations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .store import Config, Job, PlatformFile
from ..tasks import SimulatedTask


__all__ = ["config_facts", "job_facts", "output_of", "write_metadata", "write_zulu"]

PHASES: Mapping[str, str] = {
    "DATA_FETCH": "Step 1 of 3: Data-Fetch",
    "PROCESSING": "Step 2 of 3: Processing",
    "OUTPUT_LIST": "Step 3 of 3: Output-List",
}
"""The stages that clients see, by phase."""


def config_facts(config: Config) -> dict[str, Any]:
    """Write a configuration without its relations."""
    return {
        "id": config.id,
        "inputs": config.inputs,
        "label": config.label,
        "systematicParameter": None,
        "tileBasedJobOrdering": None,
    }


def job_facts(job: Job) -> dict[str, Any]:
    """Write a job without its relations."""
    phase = phase_of(job)
    outputs: dict[str, list[str]] = {}
    for file in job.files:
        outputs.setdefault(output_of(file), []).append(file.uri)
    return {
        "id": job.id,
        "extId": job.ext_id,
        "created": write_zulu(job.created),
        "lastUpdated": write_zulu(job.updated),
        "startTime": write_local(job.started),
        "endTime": write_local(job.ended_at),
        "status": job.word,
        "phase": phase,
        "workerId": "LOCAL1" if phase in PHASES else None,
        "stage": PHASES.get(phase),
        "guiUrl": None,
        "guiEndpoint": None,
        "queuePosition": -1,
        "outputs": outputs or None,
        "parent": job.is_parent,
        "costQuotation": {"cost": job.config.offer.about.cost, "recurrence": "ONE_OFF"},
        "inputTile": None,
        "inputDate": None,
    }


def phase_of(job: Job) -> str:
    """Return the step that a job has reached."""
    task: SimulatedTask | None = job.task
    if job.word == "COMPLETED":
        return "OUTPUT_LIST"
    return "CREATED" if task is None or task.running_at is None else "PROCESSING"


def output_of(file: PlatformFile) -> str:
    """Return the output that a job's file belongs to."""
    return file.name.split("/")[1]


def write_metadata(file: PlatformFile) -> dict[str, Any]:
    """Write a file as the catalogue has it: a GeoJSON feature."""
    return {
        "type": "Feature",
        "properties": {
            "collection": file.collection,
            "title": file.name,
            "productIdentifier": file.name,
            "platformFileType": file.kind,
            "startDate": "Z",
            **file.properties,
        },
        "geometry": {"type": "Point", "coordinates": [0.0, 0.0]},
        "id": file.resto_id,
    }


# --- times ---------------------------------------------------------------


def write_local(at: float | None) -> str | None:
    """Write a time as jobs have it: no zone, milliseconds without zeros at the end."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    text = text.removesuffix("+00:00")
    return text.rstrip("0").rstrip(".") if "." in text else text


def write_zulu(at: float) -> str:
    """Write a time as audit fields and logs have it."""
    return f"{write_local(at)}Z"
