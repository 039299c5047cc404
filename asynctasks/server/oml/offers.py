"""What the OML half offers: scripts, versions of the API, conda environments."""

from __future__ import annotations

from typing import Any

from .answers import (
    OmlRefused,
    answer,
    read_object,
    write_duration,
    write_preload_time,
)
from .calls import Call
from .functions import FUNCTIONS
from ...sansio.http import Response


__all__ = [
    "environments",
    "preload",
    "preloads",
    "scripts",
    "unload",
    "version",
    "versions",
]

PRELOADED = 3600.0
"""Seconds that a preloaded environment stays; how long, is not documented."""

ENVIRONMENTS = (
    {
        "name": "seaborn_env",
        "size": "1.7 GiB",
        "description": "Conda environment with seaborn",
        "number_of_installed_packages": 78,
        "tags": {"python": "3.10", "application": "OML4PY"},
    },
)


def scripts(call: Call) -> Response:
    """Answer with all scripts."""
    owner = call.realm.partition("/")[2]
    names = sorted(call.simulator.services)
    return answer({"result": [{"name": each, "owner": owner} for each in names]})


def environments(call: Call) -> Response:
    """Answer with all conda environments."""
    del call
    return answer({"result": {"envs": list(ENVIRONMENTS)}})


def versions(call: Call) -> Response:
    """Answer with both versions."""
    return answer({"items": [describe(call, name) for name in ("v1", "v2")]})


def version(call: Call) -> Response:
    """Answer with one version."""
    return answer(describe(call, call.version))


def preloads(call: Call) -> Response:
    """Answer with the environments that are loaded."""
    rows = [
        {
            "envName": name,
            "created": write_preload_time(at),
            "expires": write_preload_time(at + PRELOADED),
            "duration": write_duration(call.now - at),
        }
        for name, at in loaded(call).items()
    ]
    return answer({"environments": rows})


def preload(call: Call) -> Response:
    """Load an environment."""
    document = read_object(call.request)
    name, there = str(document.get("envName")), loaded(call)
    if name not in {each["name"] for each in ENVIRONMENTS}:
        raise OmlRefused(400, f"Environment not found with name {name}")
    if name in there and document.get("overwrite") is not True:
        raise OmlRefused(400, f"Environment {name} is already preloaded")
    there[name] = call.now
    # The name of the key is not documented.
    return answer({"job_id": f"OML-PRELOAD-{name}"})


def unload(call: Call) -> Response:
    """Let go of an environment."""
    name = call.parts[2]
    if loaded(call).pop(name, None) is None:
        message = f"Preloaded environment not found with name {name}"
        raise OmlRefused(400, message)
    said = f"Preloaded environment '{name}' deleted successfully"
    return answer({"result": said})


def loaded(call: Call) -> dict[str, float]:
    """Return the environments that are still loaded, and since when."""
    for name, at in list(call.loaded.items()):
        if at + PRELOADED <= call.now:
            del call.loaded[name]
    return call.loaded


def describe(call: Call, name: str) -> dict[str, Any]:
    """Write down a version of the API."""
    url = f"{call.base}/{name}"
    links = [
        {"rel": "self", "href": url},
        *[{"rel": "child", "href": f"{url}/{each}"} for each in CHILDREN],
    ]
    latest = name == "v2"
    lifecycle = "ACTIVE" if latest else "DEPRECATED@2026-03-31"
    return {"version": name, "isLatest": latest, "lifecycle": lifecycle, "links": links}


CHILDREN = ("scripts", "envs", *(f"{name}/{{scriptName}}" for name in FUNCTIONS))
"""Templates are written literally into the links."""
