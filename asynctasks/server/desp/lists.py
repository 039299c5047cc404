"""The lists of Insula: entities by their ids, searches, relations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
import itertools
from typing import Any

from .calls import Call, Refused
from .catalogue import Offer
from .store import Collection, Job, PlatformFile
from ...sansio.desp_hal import id_of
from ...sansio.http import Response


__all__ = ["ROUTES"]


def write_service(call: Call, default: str) -> Callable[[Offer], dict[str, Any]]:
    """Return what writes services in the projection that was asked for."""
    projection = call.projection or default
    owner = call.store.user("platform")
    return lambda offer: call.writer.service(offer, owner, projection)


def list_services(call: Call) -> Response:
    """Answer with a page of services."""
    offers = call.store.catalogue.offers()
    wanted = call.query.get("status", "AVAILABLE").split(",")
    words = call.query.get("filter", "").lower()
    found = [
        offer
        for offer in offers
        if "AVAILABLE" in wanted
        and (words in offer.name.lower() or words in offer.about.text.lower())
    ]
    return call.page("services", found, write_service(call, "shortPlatformService"))


def one_service(call: Call) -> Response:
    """Answer with a service, whole."""
    offer = call.store.catalogue.get(call.parts[1])
    if offer is None:
        raise Refused(404)
    return call.answer(write_service(call, "")(offer))


def list_configs(call: Call) -> Response:
    """Answer with a page of configurations."""
    found = list(call.store.configs.values())
    return call.page("jobConfigs", found, call.writer.config)


def one_config(call: Call) -> Response:
    """Answer with a configuration."""
    return call.answer(call.writer.config(call.entity(call.store.configs)))


def delete_config(call: Call) -> Response:
    """Remove a configuration; jobs of it keep theirs."""
    config = call.entity(call.store.configs)
    call.store.drop_config(config)
    return Response(204)


# --- jobs --------------------------------------------------------------------


def write_job(call: Call) -> Callable[[Job], dict[str, Any]]:
    """Return what writes jobs of a list."""
    projection = call.projection or "shortJob"
    return lambda job: call.writer.job(job, projection)


def list_jobs(call: Call) -> Response:
    """Answer with a page of all jobs."""
    return call.page("jobs", list(call.store.jobs.values()), write_job(call))


def search_jobs(call: Call) -> Response:
    """Answer with a page of the jobs that were searched for."""
    query = call.query
    words = query.get("status")
    text = query.get("inputIdentifier", "")
    found = [
        job
        for job in call.store.jobs.values()
        if parent_id(job) == query.get("parentId")
        and query.get("filter", "") in str(job.id)
        and (words is None or job.word in words.split(","))
        and (not text or any(text in v for v in values_of(job)))
        and owned(call, job.config.owner.id)
        and within(call, job)
    ]
    return call.page("jobs", found, write_job(call))


def values_of(job: Job) -> Iterator[str]:
    """Yield all values of all inputs of a job."""
    return itertools.chain.from_iterable(job.config.inputs.values())


def parent_id(job: Job) -> str | None:
    """Return the id of a sub-job's parent."""
    return None if job.config.parent is None else str(job.config.parent.id)


def within(call: Call, job: Job) -> bool:
    """Tell whether a job ran in the time, or at the time, that was asked for."""
    asked = [moment(call, f"{name}DateTime") for name in ("start", "end")]
    known = [each for each in asked if each is not None]
    if not known:
        return True
    if job.started is None:
        return False
    ended = job.ended_at if job.ended_at is not None else call.now
    return job.started < known[-1] and ended > known[0]


def moment(call: Call, name: str) -> float | None:
    """Return a time of the query."""
    text = call.query.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise call.bad_request(f"{name} is no time: {text[:50]}") from exc
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def owned(call: Call, owner_id: int) -> bool:
    """Tell whether an owner is the one, or not the one, that was asked for."""
    owner, other = call.query.get("owner"), call.query.get("notOwner")
    is_owner = owner is None or id_of(owner) == str(owner_id)
    return is_owner and (other is None or id_of(other) != str(owner_id))


def one_job(call: Call) -> Response:
    """Answer with a job."""
    job = call.entity(call.store.jobs)
    return call.answer(call.writer.job(job, call.projection))


def job_config(call: Call) -> Response:
    """Answer with the configuration of a job."""
    return call.answer(call.writer.config(call.entity(call.store.jobs).config))


def job_owner(call: Call) -> Response:
    """Answer with the owner of a job."""
    owner = call.entity(call.store.jobs).config.owner
    return call.answer(call.writer.user(owner))


def parent_job(call: Call) -> Response:
    """Answer with the parent of a sub-job."""
    parent = call.entity(call.store.jobs).config.parent
    if parent is None:
        raise Refused(404)
    return call.answer(call.writer.job(parent, call.projection))


def sub_jobs(call: Call) -> Response:
    """Answer with all sub-jobs."""
    parts = call.entity(call.store.jobs).parts
    return call.whole_list("jobs", [write_job(call)(part) for part in parts])


def output_files(call: Call) -> Response:
    """Answer with all files of a job."""
    files = call.entity(call.store.jobs).files
    return call.whole_list("platformFiles", [write_file(call)(each) for each in files])


# --- files and collections ---------------------------------------------------


def write_file(call: Call) -> Callable[[PlatformFile], dict[str, Any]]:
    """Return what writes files of a list."""
    projection = call.projection or "shortPlatformFile"
    return lambda file: call.writer.file(file, projection)


def list_files(call: Call) -> Response:
    """Answer with a page of all files."""
    return call.page("platformFiles", list(call.store.files.values()), write_file(call))


def search_files(call: Call) -> Response:
    """Answer with a page of the files that were searched for."""
    query = call.query
    found: Sequence[PlatformFile] = list(call.store.files.values())
    if "job" in query:
        job = call.referred(call.store.jobs, query["job"])
        found = [] if job is None else job.files
    if "collection" in query:
        wanted = call.referred(call.store.collections, query["collection"])
        found = [f for f in found if wanted and f.collection == wanted.identifier]
    found = [
        file
        for file in found
        if query.get("filter", "").lower() in file.name.lower()
        and query.get("type") in {None, file.kind}
        and owned(call, file.owner.id)
    ]
    return call.page("platformFiles", found, write_file(call))


def one_file(call: Call) -> Response:
    """Answer with a file's document."""
    file = call.entity(call.store.files)
    return call.answer(call.writer.file(file, call.projection))


def file_jobs(call: Call) -> Response:
    """Answer with the jobs of a file."""
    job = call.entity(call.store.files).job
    rows = [] if job is None else [write_job(call)(job)]
    return call.whole_list("jobs", rows)


def file_collection(call: Call) -> Response:
    """Answer with the collection of a file."""
    identifier = call.entity(call.store.files).collection
    for collection in call.store.collections.values():
        if collection.identifier == identifier:
            return call.answer(write_collection(call)(collection))
    raise Refused(404)


def write_collection(call: Call) -> Callable[[Collection], dict[str, Any]]:
    """Return what writes collections of a list."""
    projection = call.projection or "shortCollection"

    def write(collection: Collection) -> dict[str, Any]:
        files = call.store.files.values()
        size = sum(file.collection == collection.identifier for file in files)
        return call.writer.collection(collection, projection, size)

    return write


def list_collections(call: Call) -> Response:
    """Answer with a page of collections, all or those that were searched for."""
    query = call.query
    words = query.get("filter", "").lower()
    found = [
        each
        for each in call.store.collections.values()
        if (words in each.name.lower() or words in (each.description or "").lower())
        and query.get("fileType") in {None, each.file_type}
        and matches(query.get("productsType"), each.products_type)
        and not (
            "notProductsType" in query
            and matches(query["notProductsType"], each.products_type)
        )
        and owned(call, each.owner.id)
    ]
    return call.page("collections", found, write_collection(call))


def matches(wanted: str | None, value: str | None) -> bool:
    """Tell whether a value is in a list with commas; anything is in none."""
    return wanted is None or value in wanted.split(",")


def one_collection(call: Call) -> Response:
    """Answer with a collection."""
    return call.answer(write_collection(call)(call.entity(call.store.collections)))


def current_user(call: Call) -> Response:
    """Answer with who asks."""
    return call.answer(call.writer.user(call.user))


def index(call: Call) -> Response:
    """Answer with the links of all resources."""
    links = {
        name: call.writer.link(f"/{name}{{?page,size,sort,projection}}")
        for name in ("services", "jobConfigs", "jobs", "platformFiles", "collections")
    }
    return call.answer({"_links": links})


ROUTES: Mapping[tuple[str, str], Callable[[Call], Response]] = {
    ("GET", ""): index,
    ("GET", "services"): list_services,
    ("GET", "services/search/parametricFind"): list_services,
    ("GET", "services/search/findByFilterOnly"): list_services,
    ("GET", "services/*"): one_service,
    ("GET", "jobConfigs"): list_configs,
    ("GET", "jobConfigs/*"): one_config,
    ("DELETE", "jobConfigs/*"): delete_config,
    ("GET", "jobs"): list_jobs,
    ("GET", "jobs/search/parametricFind"): search_jobs,
    ("GET", "jobs/*"): one_job,
    ("GET", "jobs/*/config"): job_config,
    ("GET", "jobs/*/owner"): job_owner,
    ("GET", "jobs/*/parentJob"): parent_job,
    ("GET", "jobs/*/subJobs"): sub_jobs,
    ("GET", "jobs/*/outputFiles"): output_files,
    ("GET", "platformFiles"): list_files,
    ("GET", "platformFiles/search/parametricFind"): search_files,
    ("GET", "platformFiles/*"): one_file,
    ("GET", "platformFiles/*/jobs"): file_jobs,
    ("GET", "platformFiles/*/collection"): file_collection,
    ("GET", "collections"): list_collections,
    ("GET", "collections/search/parametricFind"): list_collections,
    ("GET", "collections/*"): one_collection,
    ("GET", "users/current"): current_user,
}
"""What only reads, and the removal of configurations; a star is an id."""
