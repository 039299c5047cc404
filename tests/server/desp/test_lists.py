"""Lists are searched as the service searches them."""

from __future__ import annotations

from typing import Any

import pytest

from asynctasks.server.tasks import State
from tests.server.desp.worlds import DespWorld


def ids(world: DespWorld, url: str, rel: str, **options: Any) -> list[int]:
    rows = world.get(url, **options)["_embedded"][rel]
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 20, 21, 22]),
        ("/search/parametricFind?status=AVAILABLE,IN_DEVELOPMENT", [1, 20, 21, 22]),
        ("/search/parametricFind?status=DISABLED", []),
        ("/search/findByFilterOnly?filter=PROCESSOR", [20]),
    ],
)
def test_services(query: str, expected: list[int]) -> None:
    """Services are found by their status, or by their names."""
    assert expected == ids(DespWorld(), f"/services{query}", "services")


def test_unknown_service() -> None:
    """A service that there is not is not found."""
    assert 404 == DespWorld().ask("GET", "/services/99").status


def with_jobs() -> DespWorld:
    """
    Make five jobs: 1 completed, 2 running, 3 of somebody else, 4 a parent of 5.
    """
    world = DespWorld()
    first = world.launch({"a": ["needle"]})
    world.end(first, content=b"x")
    world.now += 100
    world.launch()
    world.launch(user="other")
    world.launch({"parallelInputs": ["x"]}, 21)
    world.turn()
    world.now += 100
    return world


FIRST, LATER = "2024-02-10T13:19:10Z", "2024-02-10T13:20:30"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("parentId=4", [5]),
        ("status=COMPLETED,ERROR", [1]),
        ("filter=2", [2]),
        ("inputIdentifier=eedl", [1]),
        ("owner=https%3A%2F%2Fx%2Fusers%2F1", [1, 2, 4]),
        ("notOwner=x%2Fusers%2F1", [3]),
        (f"startDateTime={FIRST}&endDateTime={LATER}", [1]),
        (f"startDateTime={LATER}", []),
        ("endDateTime=2024-02-10T13:22:00Z", [2, 3]),
        ("sort=id,desc", [4, 3, 2, 1]),
    ],
)
def test_jobs(query: str, expected: list[int]) -> None:
    """Jobs are searched by what they are, whose they are, and when they ran."""
    url = f"/jobs/search/parametricFind?{query}"

    assert expected == ids(with_jobs(), url, "jobs")


def test_bad_time() -> None:
    """A time that is none is a bad request."""
    world = DespWorld()
    url = "/jobs/search/parametricFind?startDateTime=soon"
    world.launch()

    assert 400 == world.ask("GET", url).status


def test_all_jobs() -> None:
    """The plain list has sub-jobs too."""
    assert [1, 2, 3, 4, 5] == ids(with_jobs(), "/jobs", "jobs")


def test_relations_of_a_job() -> None:
    """A job leads to its configuration, its owner and its parent."""
    world = with_jobs()

    assert "Free" == world.get("/jobs/1/config")["_embedded"]["service"]["name"]
    assert "other" == world.get("/jobs/3/owner")["name"]
    assert 4 == world.get("/jobs/5/parentJob")["id"]
    assert 404 == world.ask("GET", "/jobs/4/parentJob").status


def with_files() -> DespWorld:
    """Make a file of a job and one that was uploaded, both in a collection."""
    world = DespWorld()
    body = {"name": "Maps", "fileType": "REFERENCE_DATA", "productsType": "mixed"}
    world.ask("POST", "/collections", {**body, "description": "of the North"})
    [collection] = world.store.collections.values()
    text = f'{{"result": "{collection.identifier}"}}'
    world.end(world.launch({"collection": [text]}), content=b"x")
    form = (
        b'--l\r\nContent-Disposition: form-data; name="file"; filename="a.txt"'
        b"\r\n\r\nnorth\r\n--l--\r\n"
    )
    url = f"/platformFiles/refData?fileType=OTHER&collection={collection.identifier}"
    headers = {"Content-Type": "multipart/form-data; boundary=l"}
    world.ask("POST", url, form, headers)
    return world


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2]),
        ("/search/parametricFind", [1, 2]),
        ("/search/parametricFind?job=https%3A%2F%2Finsula.earth%2Fjobs%2F1", [1]),
        ("/search/parametricFind?job=x%2Fjobs%2F99", []),
        ("/search/parametricFind?collection=x%2Fcollections%2F1", [1, 2]),
        ("/search/parametricFind?collection=x%2Fcollections%2F9", []),
        ("/search/parametricFind?type=REFERENCE_DATA", [2]),
        ("/search/parametricFind?filter=A.TXT", [2]),
        ("/search/parametricFind?notOwner=x%2Fusers%2F1", []),
    ],
)
def test_files(query: str, expected: list[int]) -> None:
    """Files are found by job, collection, type, name and owner."""
    assert expected == ids(with_files(), f"/platformFiles{query}", "platformFiles")


def test_relations_of_a_file() -> None:
    """A file leads to its collection, and to the job that made it."""
    world = with_files()
    jobs = [ids(world, f"/platformFiles/{n}/jobs", "jobs") for n in (1, 2)]
    collection = world.get("/platformFiles/2/collection?projection=detailedCollection")
    world.ask("DELETE", "/collections/1")

    assert [[1], []] == jobs
    assert ("Maps", 2) == (collection["name"], collection["size"])
    assert 404 == world.ask("GET", "/platformFiles/2/collection").status


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("/search/parametricFind?filter=map", True),
        ("/search/parametricFind?filter=NORTH", True),
        ("/search/parametricFind?filter=south", False),
        ("/search/parametricFind?fileType=REFERENCE_DATA", True),
        ("/search/parametricFind?fileType=OUTPUT_PRODUCT", False),
        ("/search/parametricFind?productsType=a,mixed", True),
        ("/search/parametricFind?productsType=a", False),
        ("/search/parametricFind?notProductsType=a", True),
        ("/search/parametricFind?notProductsType=a,mixed", False),
        ("/search/parametricFind?owner=x%2Fusers%2F1", True),
    ],
)
def test_collections(query: str, found: bool) -> None:
    """Collections are found by words, types and owner."""
    assert [1] * found == ids(with_files(), f"/collections{query}", "collections")


def test_index() -> None:
    """The root leads to all resources."""
    links = DespWorld().get("")["_links"]

    assert {"services", "jobConfigs", "jobs", "platformFiles", "collections"} == set(
        links
    )


def test_deleted_configuration() -> None:
    """Jobs keep the configuration that was removed."""
    world = DespWorld()
    job = world.launch({"a": ["x"]})
    world.end(job, State.FAILED)
    world.ask("DELETE", f"/jobConfigs/{job.config.id}")

    assert 404 == world.ask("GET", f"/jobConfigs/{job.config.id}").status
    assert {"a": ["x"]} == world.get(f"/jobs/{job.id}/config")["inputs"]
    assert [] == ids(world, "/jobConfigs", "jobConfigs")


def test_one_of_each() -> None:
    """Entities are answered by their ids."""
    world = with_files()
    found = [
        world.get(f"/{resource}/1")["id"]
        for resource in ("jobs", "jobConfigs", "platformFiles", "collections")
    ]

    assert [1] * 4 == found
    assert 1 == world.get("/users/current")["id"]


def test_parts_and_files_of_a_job() -> None:
    """A parent leads to its parts, in full where asked, and to their files."""
    world = DespWorld()
    parent = world.launch({"parallelInputs": ["x"]}, 21)
    world.end(parent.parts[0], content=b"x")
    url = f"/jobs/{parent.id}/subJobs?projection=detailedJob"
    [part] = world.get(url)["_embedded"]["jobs"]

    assert {"input": ["x"]} == part["config"]["inputs"]
    assert [1] == ids(world, f"/jobs/{parent.id}/outputFiles", "platformFiles")


def test_one_service() -> None:
    """A service is answered by its id."""
    assert "TestProcessor" == DespWorld().get("/services/20")["name"]


def test_file_of_no_collection() -> None:
    """A file whose collection we do not know has none."""
    world = with_files()
    world.ask("POST", "/collections", {"name": "Other", "fileType": "OUTPUT_PRODUCT"})
    world.end(world.launch({"collection": ['{"result": "elsewhere"}']}), content=b"x")

    assert 404 == world.ask("GET", "/platformFiles/3/collection").status
