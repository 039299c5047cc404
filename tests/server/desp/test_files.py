"""What jobs return becomes files; files are uploaded; collections hold them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.desp.worlds import DespWorld


def outputs(world: DespWorld, service: int = 1, **facts: Any) -> dict[str, bytes]:
    """Let a job end and return its files by name, as they are downloaded."""
    job = world.launch({}, service)
    world.end(job, **facts)
    rows = world.get(f"/jobs/{job.id}/outputFiles")["_embedded"]["platformFiles"]
    return {
        row["filename"].partition("/")[2]: world.ask(
            "GET", f"/platformFiles/{row['id']}/dl"
        ).body
        for row in rows
    }


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b'{"a":1}', "application/json", {"result/result.json": b'{"a":1}'}),
        (b"x", "text/plain; charset=utf-8", {"result/result.txt": b"x"}),
        (b"\x00", "application/octet-stream", {"result/result.bin": b"\x00"}),
        (b"", "", {}),
    ],
)
def test_one_output(content: bytes, kind: str, expected: dict[str, bytes]) -> None:
    """What a function returns is one file, whose name tells its kind."""
    assert expected == outputs(DespWorld(), content=content, content_type=kind)


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (
            b'{"one":"x","two":[{"a":1},"y"]}',
            "application/json",
            {"one/one.txt": b"x", "two/two-1.json": b'{"a":1}', "two/two-2.txt": b"y"},
        ),
        (b'{"three":"x"}', "application/json", {"one/one.json": b'{"three":"x"}'}),
        (b"x", "text/plain", {"one/one.txt": b"x"}),
    ],
)
def test_several_outputs(content: bytes, kind: str, expected: dict[str, bytes]) -> None:
    """An object with a value for each output makes files of them."""
    assert expected == outputs(DespWorld(), 22, content=content, content_type=kind)


def test_published() -> None:
    """A job that was terminated has what it had published."""
    world = DespWorld()
    job = world.launch()
    world.turn()
    assert job.task is not None
    job.task.published = (b"so far", "text/plain")
    world.end(job)

    assert [b"so far"] == [file.content for file in job.files]


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"result": "eopaas1"}', "eopaas1"), ("no json", ""), ("[]", ""), ("{}", "")],
)
def test_collection_of_an_output(text: str, expected: str) -> None:
    """The collection of an output is said by JSON within the inputs."""
    world = DespWorld()
    job = world.launch({"collection": [text]})
    world.end(job, content=b"x")

    assert [expected] == [file.collection for file in job.files]


def test_download_names_the_file() -> None:
    """A download has the name of its file, and it only."""
    world = DespWorld()
    job = world.launch()
    world.end(job, content=b"x")
    answer = world.ask("GET", f"/platformFiles/{job.files[0].id}/dl")

    assert 'attachment; filename="result.bin"' == answer.headers["Content-Disposition"]


def test_delete_file() -> None:
    """A file that is removed is gone from its job, and from the job's parent."""
    world = DespWorld()
    parent = world.launch({"parallelInputs": ["x"]}, 21)
    world.end(parent.parts[0], content=b"x")
    [file] = parent.files
    found = [world.ask("DELETE", f"/platformFiles/{file.id}").status for _ in range(2)]

    assert ([204, 404], [], []) == (found, parent.files, parent.parts[0].files)


def test_delete_file_of_a_job() -> None:
    """A file of a job without a parent is gone from the job."""
    world = DespWorld()
    job = world.launch()
    world.end(job, content=b"x")
    world.ask("DELETE", f"/platformFiles/{job.files[0].id}")

    assert ([], {}) == (job.files, world.store.files)


# --- uploads -----------------------------------------------------------------


def form(*parts: tuple[str, str]) -> bytes:
    lines = [
        f"--limit\r\nContent-Type: text/plain\r\n"
        f"Content-Disposition: form-data; {head}\r\n\r\n{body}\r\n"
        for head, body in parts
    ]
    return "".join([*lines, "--limit--\r\n"]).encode()


FILE = ('name="file"; filename="a.txt"', "north")

UPLOADS = {"Content-Type": "multipart/form-data; boundary=limit", "Accept": "*/*"}


def upload(world: DespWorld, *parts: tuple[str, str], query: str = "") -> Any:
    url = f"/platformFiles/refData{query}"
    return world.ask("POST", url, form(*parts), UPLOADS)


def with_collection() -> tuple[DespWorld, str]:
    world = DespWorld()
    world.ask("POST", "/collections", {"name": "x", "fileType": "REFERENCE_DATA"})
    [collection] = world.store.collections.values()
    return world, collection.identifier


@pytest.mark.parametrize("in_query", [True, False])
def test_upload(in_query: bool) -> None:
    """Parameters are taken from the query or from the form."""
    world, identifier = with_collection()
    fields = [('name="fileType"', "OTHER"), ('name="collection"', identifier)]
    query = f"?fileType=OTHER&collection={identifier}"
    said = ('name="userProperties"', '{"title": "mine"}')
    answer = (
        upload(world, FILE, said, query=query)
        if in_query
        else upload(world, *fields, FILE, said)
    )
    [file] = world.store.files.values()

    assert (201, "eopaas://refData/1/a.txt", 5) == (
        answer.status,
        answer.headers["Location"],
        answer.json()["platformFile"]["fileSize"],
    )
    assert (b"north", {"title": "mine"}) == (file.content, file.properties)
    assert 204 == world.ask("DELETE", f"/platformFiles/{file.id}").status


@pytest.mark.parametrize(
    ("part", "query", "status"),
    [
        (('name="file"', "north"), "?fileType=OTHER&collection=I", 400),
        (FILE, "?fileType=ODD&collection=I", 400),
        (FILE, "?collection=I", 400),
        (FILE, "?fileType=OTHER&collection=other", 403),
        (FILE, "?fileType=OTHER", 403),
        (FILE, "?fileType=OTHER&collection=I&userProperties=x", 400),
        (FILE, "?fileType=OTHER&collection=I&userProperties=[]", 400),
    ],
)
def test_upload_refused(part: tuple[str, str], query: str, status: int) -> None:
    """An upload needs a file with a name, a type and a collection."""
    world, identifier = with_collection()

    assert (
        status
        == upload(world, part, query=query.replace("=I", f"={identifier}")).status
    )


def test_upload_that_is_no_form() -> None:
    """Without a form there is no file."""
    answer = DespWorld().ask("POST", "/platformFiles/refData", b"x")

    assert 400 == answer.status


def test_upload_of_the_same_name() -> None:
    """Names of files are unique per user."""
    world, identifier = with_collection()
    query = f"?fileType=OTHER&collection={identifier}"
    found = [upload(world, FILE, query=query) for _ in range(2)]

    assert [201, 409] == [answer.status for answer in found]
    assert b"already exists for user user" in found[1].body


# --- collections -------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        {},
        {"name": "x"},
        {"fileType": "X"},
        {"name": 1, "fileType": "X"},
        {"name": "x", "fileType": "X", "description": 7},
    ],
)
def test_bad_collection(body: Any) -> None:
    """A collection has a name and a type."""
    assert 400 == DespWorld().ask("POST", "/collections", body).status


def test_collection_of_the_same_name() -> None:
    """Names are unique per user."""
    world, _ = with_collection()
    body = {"name": "x", "fileType": "REFERENCE_DATA"}
    found = [
        world.ask("POST", "/collections", body, user=user).status
        for user in ("user", "other")
    ]

    assert [409, 201] == found


@pytest.mark.parametrize(
    "change", [{"name": 7}, {"name": None}, {"description": []}, {"productsType": {}}]
)
def test_bad_update(change: Any) -> None:
    """A collection does not become what it could not have been made."""
    world, _ = with_collection()
    before = world.get("/collections/1")

    assert 400 == world.ask("PATCH", "/collections/1", change).status
    assert before == world.get("/collections/1")


def test_update_and_delete_collection() -> None:
    """What is given is changed; what is removed is gone."""
    world, _ = with_collection()
    world.ask("PATCH", "/collections/1", {"productsType": "t", "fileType": "ODD"})
    [collection] = world.store.collections.values()
    found = [world.ask("DELETE", "/collections/1").status for _ in range(2)]

    assert ("t", "REFERENCE_DATA") == (collection.products_type, collection.file_type)
    assert [204, 404] == found
