"""Files and collections of Insula: what jobs made, and what was uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import re
from typing import Any

from .calls import Call, Refused
from .store import Collection, Job, PlatformFile, Store
from ..documents import read_json
from ..forms import parts_of
from ..payload import Result, encode_output
from ..tasks import Outcome
from ...exceptions import ResponseDecodeError
from ...sansio import codec
from ...sansio.http import Headers, Response


__all__ = [
    "create_collection",
    "delete_collection",
    "delete_file",
    "download",
    "ingest",
    "update_collection",
    "upload",
]

EXTENSIONS = {"application/json": "json", "text/plain": "txt", "text/csv": "csv"}

UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f]')
"""What the quoted name of a file in a header does not have."""

UPLOAD_TYPES = {"GEOTIFF", "SHAPEFILE", "MOSAIC", "OTHER"}


# --- what jobs made ----------------------------------------------------------


def ingest(store: Store, job: Job) -> None:
    """Make files of what a job's function returned."""
    identifiers = collections_of(job)
    for output, name, content in outputs_of(job):
        file = PlatformFile(
            id=store.next_id("platformFiles"),
            resto_id=store.new_id(),
            owner=job.config.owner,
            name=f"{job.ext_id}/{output}/{name}",
            kind="OUTPUT_PRODUCT",
            collection=identifiers.get(output, ""),
            content=content,
            job=job,
        )
        store.files[file.id] = file
        job.files.append(file)


def collections_of(job: Job) -> Mapping[str, str]:
    """Return the identifiers of the collections by output: JSON within JSON."""
    for text in job.config.inputs.get("collection", ()):
        try:
            given = read_json(text.encode())
        except ResponseDecodeError:
            continue
        if isinstance(given, dict):
            return {str(name): str(each) for name, each in given.items()}
    return {}


def outputs_of(job: Job) -> Iterator[tuple[str, str, bytes]]:
    """Yield the output, the name and the content of each file that a job made."""
    outcome = None if job.task is None else job.task.outcome
    result = result_of(job, outcome)
    outputs = job.config.offer.about.outputs
    values = decoded(result) if len(outputs) > 1 else None
    if not isinstance(values, dict) or not set(values) <= set(outputs):
        if result.content:
            yield outputs[0], f"{outputs[0]}.{extension(result)}", result.content
        return
    for output, given in values.items():
        many = given if isinstance(given, list) else [given]
        for number, value in enumerate(many, 1):
            each = encode_output(value)
            name = output if len(many) == 1 else f"{output}-{number}"
            yield output, f"{name}.{extension(each)}", each.content


def result_of(job: Job, outcome: Outcome | None) -> Result:
    """Return what a job's function returned, or had published when it was ended."""
    if outcome is not None and outcome.content:
        return Result(outcome.content, outcome.content_type)
    published = None if job.task is None else job.task.published
    return Result(*published) if published is not None else Result(b"")


def decoded(result: Result) -> Any:
    """Return the value of a JSON result; None of any other."""
    if result.content_type != "application/json":
        return None
    return codec.loads(result.content)


def extension(result: Result) -> str:
    """Return what the name of a file ends with."""
    return EXTENSIONS.get(result.content_type.partition(";")[0], "bin")


def download(call: Call) -> Response:
    """Answer with the content of a file."""
    file = call.entity(call.store.files)
    name = UNQUOTABLE.sub("", file.name.rpartition("/")[2])
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(200, Headers(headers), file.content)


def delete_file(call: Call) -> Response:
    """Remove a file."""
    file = call.entity(call.store.files)
    del call.store.files[file.id]
    if file.job is not None:
        file.job.files.remove(file)
        parent = file.job.config.parent
        if parent is not None and file in parent.files:
            parent.files.remove(file)
    return Response(204)


# --- uploads -----------------------------------------------------------------


def upload(call: Call) -> Response:
    """Store a file of reference data; parameters come in the query or the form."""
    kind = call.request.headers.get("Content-Type", "")
    form = {part.name: part for part in parts_of(call.body, kind)}
    fields = {n: part.content.decode(errors="replace") for n, part in form.items()}
    fields |= call.query
    file = form.get("file")
    file_name = None if file is None else file.file_name
    if file is None or not file_name or fields.get("fileType") not in UPLOAD_TYPES:
        raise Refused(400, "The uploaded file must have a name and a fileType")
    known = {each.identifier for each in call.store.collections.values()}
    if fields.get("collection") not in known:
        raise Refused(403, "User does not have access to the requested collection")
    name = f"{call.user.id}/{file_name}"
    if any(file.name == name for file in call.store.files.values()):
        words = f"Reference data filename '{file_name}' already exists for user"
        raise Refused(409, f"{words} {call.user.name}")
    stored = PlatformFile(
        id=call.store.next_id("platformFiles"),
        resto_id=call.store.new_id(),
        owner=call.user,
        name=name,
        kind="REFERENCE_DATA",
        collection=fields["collection"],
        content=file.content,
        properties=properties_of(call, fields.get("userProperties")),
    )
    call.store.files[stored.id] = stored
    return call.answer(call.writer.uploaded(stored), 201, stored.uri)


def properties_of(call: Call, text: str | None) -> dict[str, Any]:
    """Return what the user said about a file."""
    if text is None:
        return {}
    try:
        found = read_json(text.encode())
    except ResponseDecodeError:
        found = None
    if not isinstance(found, dict):
        raise call.bad_request("userProperties: a JSON object is needed")
    return found


# --- collections -------------------------------------------------------------


def create_collection(call: Call) -> Response:
    """Make a collection; its answer has neither id nor identifier."""
    document = call.document()
    check_texts(call, document)
    name, kind = document.get("name"), document.get("fileType")
    if name is None or kind is None:
        raise call.bad_request("name and fileType are needed")
    mine = [c for c in call.store.collections.values() if c.owner is call.user]
    if any(each.name == name for each in mine):
        raise Refused(409, {"message": "Collection name already in use"})
    collection = Collection(
        id=call.store.next_id("collections"),
        identifier=f"eopaas{call.store.new_id().replace('-', '')}",
        owner=call.user,
        name=name,
        file_type=kind,
        products_type=document.get("productsType"),
        description=document.get("description"),
    )
    call.store.collections[collection.id] = collection
    location = f"{call.writer.base}/collections/{collection.id}"
    return call.answer(call.writer.collection(collection, "stored", 0), 201, location)


def update_collection(call: Call) -> Response:
    """Change what is given of a collection."""
    collection = call.entity(call.store.collections)
    document = call.document()
    check_texts(call, document)
    if document.get("name", "") is None:
        raise call.bad_request("a collection has a name")
    for key, name in CHANGEABLE.items():
        if key in document:
            setattr(collection, name, document[key])
    return call.answer(call.writer.collection(collection, "stored", 0))


def check_texts(call: Call, document: Mapping[str, Any]) -> None:
    """Refuse a collection whose properties are no texts."""
    for name in ("name", "fileType", "productsType", "description"):
        if not isinstance(document.get(name), str | None):
            raise call.bad_request(f"{name} is a text")


CHANGEABLE = {
    "name": "name",
    "description": "description",
    "productsType": "products_type",
}


def delete_collection(call: Call) -> Response:
    """Remove a collection."""
    collection = call.entity(call.store.collections)
    del call.store.collections[collection.id]
    return Response(204)
