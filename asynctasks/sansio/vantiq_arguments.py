"""
What users give, as Vantiq wants it: conditions, instances, uploads, names of events.

What cannot be asked is refused here, with the codes and words of Vantiq's own SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .http import BodySource, Part
from .urls import segment
from .vantiq import VantiqError, VantiqResources
from .vantiq_requests import dump
from ..exceptions import InvalidArgument, VantiqException


__all__ = [
    "PUBLISHING",
    "build_event_path",
    "build_part",
    "check_upload",
    "content_of",
    "count_query",
    "select_query",
    "topic_id",
    "without_id",
]

UPLOAD_ERRORS = {
    "upload.contenttype": "Missing content type specification for an upload call().",
    "upload.resource": "The resource type is missing for an upload() call.",
    "content": (
        "The filename and inmem parameters for an upload() call are both missing."
    ),
    "duplicatename": (
        "When uploading in memory object, only one of filename or doc_name is "
        "permitted."
    ),
    "noname": (
        "Neither a file name nor a document name was provided for an upload() call."
    ),
}

PUBLISHING = (
    VantiqResources.SERVICES,
    VantiqResources.SOURCES,
    VantiqResources.TOPICS,
)
"""What can be published to, and subscribed to without an operation."""


def select_query(
    properties: Sequence[str] | None,
    where: Mapping[str, Any] | None,
    sort_spec: Mapping[str, int] | None,
    limit: int | None,
    options: Mapping[str, str] | None,
) -> dict[str, str]:
    """
    Build the query of a select; the options come last and win.

    Raises:
        VantiqException: an option is no text.
        TypeError, ValueError, RecursionError: JSON has no such value.
    """
    query: dict[str, str] = {}
    if properties:
        query["props"] = dump(properties)
    if where is not None:
        query["where"] = dump(where)
    if sort_spec:
        query["sort"] = dump(sort_spec)
    if limit is not None and limit > 0:
        query["limit"] = str(limit)
        query["count"] = "true"
    for name, value in (options or {}).items():
        if not (isinstance(name, str) and isinstance(value, str)):
            message = (
                "Options to queries must be of type str. "
                "Found key {0}:{1} and value {2}:{3}."
            )
            params = [name, type(name).__name__, value, type(value).__name__]
            code = "io.vantiq.python.option.stringsrequired"
            raise VantiqException(code, message, params)
        query[name] = value
    return query


def count_query(where: Mapping[str, Any] | None) -> dict[str, str]:
    """Build the query of a count: as few rows as possible, and their number."""
    query = {"count": "true", "limit": "1"}
    if where is not None:
        query["where"] = dump(where)
    query["props"] = dump(["_id"])
    return query


def without_id(instance: Any) -> Any:
    """Return a copy without ``_id``, which Vantiq would take for a changed id."""
    if isinstance(instance, Mapping):
        return {name: value for name, value in instance.items() if name != "_id"}
    if isinstance(instance, list | tuple):
        return [without_id(each) for each in instance]
    return instance


def build_event_path(resource: str, resource_id: str, operation: str | None) -> str:
    """
    Return the path under which events are subscribed to.

    Raises:
        VantiqException: the resource has no events, or takes no operation, or needs
            one.
        InvalidArgument: the id is empty, holds controls, or climbs.
    """
    if resource not in {*PUBLISHING, VantiqResources.TYPES}:
        code = "io.vantiq.python.invalidsubscribetype"
        message = "Only 'topics', 'sources', 'services', and 'types' support subscribe"
        raise VantiqException(code, message, [])
    if resource == VantiqResources.TYPES and not operation:
        code = "io.vantiq.python.operationrequired"
        raise VantiqException(code, "Operation required for {0}", [resource])
    if resource != VantiqResources.TYPES and operation:
        code = "io.vantiq.python.operationillegal"
        types = [VantiqResources.TYPES]
        raise VantiqException(code, "Operation only support for {0}", types)
    segment(resource_id, "resource_id")
    name = VantiqResources.unqualified_name(resource)
    if resource == VantiqResources.TOPICS:
        return f"/{name}{topic_id(resource, resource_id)}"
    suffix = f"/{operation.lower()}" if operation else ""
    return f"/{name}/{resource_id}{suffix}"


def topic_id(resource: str, resource_id: str) -> str:
    """Return the id as paths have it: topics begin with a slash."""
    if resource != VantiqResources.TOPICS or not isinstance(resource_id, str):
        return resource_id
    return resource_id if resource_id.startswith("/") else f"/{resource_id}"


def build_part(
    content: bytes | BodySource, content_type: str, filename: str, doc_name: str | None
) -> Part:
    """Build the part of an upload; Vantiq calls the document as the part's file."""
    return Part(filename, content, doc_name or filename, content_type)


def check_upload(
    resource: str | None,
    content_type: str | None,
    filename: str | None,
    doc_name: str | None,
    inmem: str | bytes | bytearray | None,
) -> VantiqError | None:
    """Say what an upload lacks, or has twice; None where it can be made."""
    complaints = {
        "upload.contenttype": content_type is None,
        "upload.resource": resource is None,
        "content": filename is None and inmem is None,
        "duplicatename": bool(filename and doc_name and inmem is not None),
        "noname": filename is None and doc_name is None,
    }
    code = next((code for code, wrong in complaints.items() if wrong), None)
    if code is None:
        return None
    return VantiqError(f"io.vantiq.python.{code}", UPLOAD_ERRORS[code], [])


def content_of(inmem: str | bytes | bytearray | memoryview) -> bytes:
    """
    Return what is uploaded from memory.

    Raises:
        InvalidArgument: it is no content.
    """
    try:
        return inmem.encode() if isinstance(inmem, str) else bytes(memoryview(inmem))
    except (TypeError, UnicodeEncodeError) as exc:
        remedy = "give text that is valid Unicode, or bytes"
        raise InvalidArgument("inmem", type(inmem).__name__, remedy) from exc
