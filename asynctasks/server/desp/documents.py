"""
How Insula writes things down: HAL documents of its entities, whole and in projections.

The sources are those that the samples in ``tests/samples/desp`` name.
"""

from __future__ import annotations

from typing import Any

import attrs

from .catalogue import Offer
from .descriptors import WHOLE_SERVICE, write_descriptor
from .facts import config_facts, job_facts, output_of, write_metadata
from .store import Collection, Config, Job, PlatformFile, User


__all__ = ["Writer"]

ACCESS = {"published": False, "publishRequested": False, "currentLevel": "ADMIN"}

RELATIONS = (
    "owner",
    "outputFiles",
    "jobProcessings",
    "config",
    "parentJob",
    "subJobs",
)


@attrs.frozen
class Writer:
    """Writes entities, with links below one base URL."""

    base: str

    def link(self, path: str, *, templated: bool = False) -> dict[str, Any]:
        """Write a link; entities also have one with a template at its end."""
        if templated:
            return {"href": f"{self.base}{path}{{?projection}}", "templated": True}
        return {"href": f"{self.base}{path}"}

    def owner(self, user: User) -> dict[str, Any]:
        """Write a user as the owner of something."""
        links = {"self": self.link(f"/users/{user.id}", templated=True)}
        name, role = user.name, "EXPERT_USER"
        return {"role": role, "name": name, "id": user.id, "_links": links}

    def user(self, user: User) -> dict[str, Any]:
        """Write a user."""
        path = f"/users/{user.id}"
        return {
            "id": user.id,
            "name": user.name,
            "email": None,
            "role": "EXPERT_USER",
            "organisation": None,
            "_links": {
                "self": self.link(path),
                "user": self.link(path, templated=True),
                "wallet": self.link(f"{path}/wallet"),
            },
        }

    # --- services ------------------------------------------------------------

    def service(self, offer: Offer, owner: User, projection: str) -> dict[str, Any]:
        """Write a service; whole where no projection is named."""
        path = f"/services/{offer.id}"
        document: dict[str, Any] = {
            "dockerTag": f"eopaas/{offer.name.lower()}",
            "access": ACCESS,
            "licence": "OPEN",
            "status": "AVAILABLE",
            "description": offer.about.text,
            "name": offer.name,
            "type": offer.about.kind,
            "owner": self.owner(owner),
            "id": offer.id,
            "_links": {
                "self": self.link(path),
                "service": self.link(path, templated=True),
                "contextFiles": self.link(f"{path}/contextFiles", templated=True),
                "owner": self.link(f"{path}/owner", templated=True),
            },
        }
        if projection != "shortPlatformService":
            document["serviceDescriptor"] = write_descriptor(offer)
        if not projection:
            del document["access"]
            document["_embedded"] = {"owner": document.pop("owner")}
            document["dataSourceName"] = f"PLATFORM_SERVICE_{offer.name}"
            document |= WHOLE_SERVICE
        return document

    # --- configurations and jobs ---------------------------------------------

    def config(self, config: Config) -> dict[str, Any]:
        """Write a job configuration."""
        path = f"/jobConfigs/{config.id}"
        short = "shortPlatformService"
        return {
            **config_facts(config),
            "_embedded": {
                "owner": self.owner(config.owner),
                "service": self.service(config.offer, config.owner, short),
            },
            "_links": {
                "self": self.link(path),
                "jobConfig": self.link(path),
                "owner": self.link(f"{path}/owner", templated=True),
                "service": self.link(f"{path}/service", templated=True),
                "parent": self.link(f"{path}/parent", templated=True),
            },
        }

    def launched(self, job: Job) -> dict[str, Any]:
        """
        Write a job as a launch is answered.

        Services have answered ``id`` or ``content.id``: clients look for either, so
        both are there.
        """
        facts = job_facts(job)
        if not job.is_parent and job.word != "ERROR":
            facts["status"] = "PENDING"
        names = ("self", "job", "logs", "cancel")
        links = {name: self.job_links(job)[name] for name in names[:3]}
        links["cancel"] = self.link(f"/jobs/{job.id}/cancel")
        return {**facts, "content": facts, "_links": links}

    def job(self, job: Job, projection: str) -> dict[str, Any]:
        """Write a job; whole where no projection is named."""
        if projection == "shortJob":
            return self._short_job(job)
        if projection == "detailedJob":
            return self._detailed_job(job)
        embedded: dict[str, Any] = {"owner": self.owner(job.config.owner)}
        if job.files:
            files = [self.file(file, "shortPlatformFile") for file in job.files]
            embedded["outputFiles"] = files
        document = job_facts(job)
        return {**document, "_embedded": embedded, "_links": self.job_links(job)}

    def _short_job(self, job: Job) -> dict[str, Any]:
        facts = job_facts(job)
        names = ("extId", "status", "phase", "stage", "guiUrl", "startTime", "endTime")
        return {
            **{name: facts[name] for name in (*names, "queuePosition", "parent", "id")},
            "owner": self.owner(job.config.owner),
            "serviceName": job.config.offer.name,
            "systematicParameter": None,
            "access": ACCESS,
            "label": job.config.label,
            "_links": self.job_links(job),
        }

    def _detailed_job(self, job: Job) -> dict[str, Any]:
        facts = job_facts(job)
        document = {
            **self._short_job(job),
            "created": facts["created"],
            "lastUpdated": facts["lastUpdated"],
            "serviceId": job.config.offer.id,
            "outputs": facts["outputs"],
            "outputFiles": [self.file(f, "shortPlatformFile") for f in job.files],
            "config": config_facts(job.config),
        }
        if job.is_parent:
            words = [part.word for part in job.parts]
            counts = {word: words.count(word) for word in dict.fromkeys(words)}
            document["subJobStatusCounts"] = counts
        return document

    def job_links(self, job: Job) -> dict[str, Any]:
        """Write the links of a job; they tell what can be done with it now."""
        path = f"/jobs/{job.id}"
        links = {
            "self": self.link(path),
            "job": self.link(path, templated=True),
            "logs": self.link(f"{path}/logs"),
        }
        if job.word in {"CREATED", "PENDING", "WAITING"}:
            links["cancel"] = self.link(f"{path}/cancel")
        if job.word == "RUNNING":
            links["terminate"] = self.link(f"{path}/terminate")
        for file in job.files:
            links[f"output-{output_of(file)}"] = self.link(f"/platformFiles/{file.id}")
        return links | {name: self.link(f"{path}/{name}") for name in RELATIONS}

    # --- files and collections -----------------------------------------------

    def file(self, file: PlatformFile, projection: str) -> dict[str, Any]:
        """Write a platform file."""
        path = f"/platformFiles/{file.id}"
        document: dict[str, Any] = {
            "owner": self.owner(file.owner),
            "filename": file.name,
            "restoId": file.resto_id,
            "access": ACCESS,
            "type": file.kind,
            "id": file.id,
            "_links": {
                "self": self.link(path),
                "file": self.link(path, templated=True),
                "download": self.link(f"{path}/dl"),
                "platform": {"href": file.uri},
                "jobs": self.link(f"{path}/jobs"),
                "owner": self.link(f"{path}/owner"),
                "collection": self.link(f"{path}/collection"),
            },
        }
        if projection != "shortPlatformFile":
            document["uri"] = file.uri
            document["metadata"] = write_metadata(file)
        return document

    def uploaded(self, file: PlatformFile) -> dict[str, Any]:
        """Write a file as its upload is answered."""
        whole = self.file(file, "")
        names = ("id", "filename", "restoId", "type", "uri")
        facts = {name: whole[name] for name in names}
        links = {name: whole["_links"][name] for name in ("self", "download")}
        facts["fileSize"] = len(file.content)
        return {"platformFile": facts, "statusMessage": "", "_links": links}

    def collection(
        self, collection: Collection, projection: str, size: int
    ) -> dict[str, Any]:
        """Write a collection; ``stored`` is how the answer to a POST shows it."""
        path = f"/collections/{collection.id}"
        document: dict[str, Any] = {
            "name": collection.name,
            "description": collection.description,
            "fileType": collection.file_type,
            "productsType": collection.products_type,
            "_links": {
                "self": self.link(path),
                "collection": self.link(path, templated=True),
            },
        }
        if projection == "stored":
            document["_embedded"] = {"owner": self.owner(collection.owner)}
            return document
        document["identifier"] = collection.identifier
        document["owner"] = self.owner(collection.owner)
        document["access"] = ACCESS
        document["id"] = collection.id
        if projection == "detailedCollection":
            document["size"] = size
        return document
