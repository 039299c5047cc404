"""Entities are written as the recordings have them, in all projections."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.tasks import State
from tests.server.desp.worlds import DespWorld


@pytest.mark.parametrize(
    ("projection", "described"),
    [("", True), ("shortPlatformService", False), ("detailedPlatformService", True)],
)
def test_service(projection: str, described: bool) -> None:
    """The short form of a service does not describe its inputs."""
    world = DespWorld()
    found = world.get(f"/services?projection={projection}")["_embedded"]["services"][1]

    assert ("TestProcessor", projection != "" and described) == (
        found["name"],
        "serviceDescriptor" in found,
    )


def test_whole_service() -> None:
    """A single service tells what it takes and gives."""
    found = DespWorld().get("/services/20")
    inputs = found["serviceDescriptor"]["dataInputs"]

    assert ["s2_input", "s3_input"] == [each["id"] for each in inputs]
    assert {"dataType": "string"} == inputs[0]["defaultAttrs"]
    assert ("owner" in found["_embedded"], "owner" in found) == (True, False)


def states(world: DespWorld) -> list[dict[str, Any]]:
    """Return the document of a job that waits, runs, and is completed."""
    job = world.launch()
    found = [world.get(f"/jobs/{job.id}")]
    world.turn()
    found.append(world.get(f"/jobs/{job.id}"))
    world.now += 5
    found.append(world.end(job, content=b"x"))
    return found


def test_links_tell_what_can_be_done() -> None:
    """What waits can be cancelled, what runs terminated; outputs have links."""
    wanted = {"cancel", "terminate", "output-result"}
    found = [wanted & set(each["_links"]) for each in states(DespWorld())]

    assert [{"cancel"}, {"terminate"}, {"output-result"}] == found


def test_job_projections() -> None:
    """Projections of a job keep its relations at the top."""
    world = DespWorld()
    job = world.launch({"a": ["x"]}, label="mine")
    world.end(job, content=b"x")
    short = world.get(f"/jobs/{job.id}?projection=shortJob")
    detailed = world.get(f"/jobs/{job.id}?projection=detailedJob")

    assert ("mine", "Free", True) == (
        short["label"],
        short["serviceName"],
        "outputs" not in short,
    )
    assert {"a": ["x"]} == detailed["config"]["inputs"]
    assert [job.files[0].id] == [file["id"] for file in detailed["outputFiles"]]
    assert "subJobStatusCounts" not in detailed


def test_launched_parent() -> None:
    """A parent is answered as created."""
    world = DespWorld()
    config = world.config({"parallelInputs": ["x"]}, 21)
    found = world.ask("POST", f"/jobConfigs/{config}/launch").json()

    assert ("CREATED", True, "CREATED") == (
        found["status"],
        found["parent"],
        found["content"]["status"],
    )


def test_file_projections() -> None:
    """The short form of a file has neither URI nor metadata."""
    world = DespWorld()
    job = world.launch({"collection": ['{"result": "eopaas1"}']})
    whole = world.end(job, content=b"x")["_embedded"]["outputFiles"][0]
    found = world.get(f"/platformFiles/{whole['id']}")

    assert ("uri" in whole, found["metadata"]["properties"]["collection"]) == (
        False,
        "eopaas1",
    )
    assert found["uri"] == f"eopaas://outputProduct/{found['filename']}"


def test_collection_projections() -> None:
    """What was stored shows neither id nor identifier; the short form no size."""
    world = DespWorld()
    body = {"name": "x", "fileType": "OUTPUT_PRODUCT"}
    stored = world.ask("POST", "/collections", body).json()
    short = world.get("/collections/1")
    detailed = world.get("/collections/1?projection=detailedCollection")

    assert set() == {"id", "identifier"} & set(stored)
    assert (1, False, 0) == (short["id"], "size" in short, detailed["size"])


def test_uploaded() -> None:
    """An upload is answered with the file's facts and two of its links."""
    world = DespWorld()
    body = {"name": "x", "fileType": "REFERENCE_DATA"}
    world.ask("POST", "/collections", body)
    [collection] = world.store.collections.values()
    form = (
        b'--l\r\nContent-Disposition: form-data; name="file"; filename="a.txt"'
        b"\r\n\r\nnorth\r\n--l--\r\n"
    )
    url = f"/platformFiles/refData?fileType=OTHER&collection={collection.identifier}"
    kind = {"Content-Type": "multipart/form-data; boundary=l", "Accept": "*/*"}
    found = world.ask("POST", url, form, kind).json()

    assert (5, {"self", "download"}) == (
        found["platformFile"]["fileSize"],
        set(found["_links"]),
    )


def test_parent_counts() -> None:
    """A parent counts the states of its parts."""
    world = DespWorld()
    job = world.launch({"parallelInputs": ["x", "y"]}, 21)
    found = world.get(f"/jobs/{job.id}?projection=detailedJob")

    assert {"WAITING": 2} == found["subJobStatusCounts"]


def test_user() -> None:
    """A user has a name, a role and a wallet."""
    found = DespWorld().get("/users/current")

    assert ("user", "EXPERT_USER", True) == (
        found["name"],
        found["role"],
        "wallet" in found["_links"],
    )


def test_failed_job_has_no_outputs() -> None:
    """A job that failed has no files and no error text."""
    world = DespWorld()
    found = world.end(world.launch(), State.FAILED, message="no more")

    assert ("ERROR", None, "outputFiles" in found["_embedded"]) == (
        found["status"],
        found["outputs"],
        False,
    )
    assert "no more" not in str(found)
