"""Jobs that ask a registry: what it has, and for an image."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import registry_access, shared_pull
from reconciler.kinds.image.effects import fetching
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.requests import registry as asked


def pull(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock pull`: the image comes into the graph; no desired state changes."""
    request = msgspec.convert(job.args, asked.Pull)
    return pull_for(parts, job, request.reference, request.credentials)


def pull_for(parts: Parts, job: Job, text: str, credentials: Credentials | None) -> dict[str, Any]:
    """Pulls the image that ``text`` names for the caller of ``job``."""
    reference = references.parse(text)
    job.started()
    with registry_access.acting(parts.images, reference, credentials, own=False) as registry:
        facts = shared_pull.run(
            parts.images,
            job,
            str(reference),
            lambda stop: fetching.fetch(parts, job.number, registry, reference, stop),
        )
    job.emit({"status": f"Present: {facts.reference}", "layer": "", "current": 0, "total": 0, "digest": facts.digest})
    return {"digest": facts.digest}


def tags(parts: Parts, job: Job) -> dict[str, Any]:
    """The tags of a repository."""
    request = msgspec.convert(job.args, asked.Tags)
    repository = references.parse_repository(request.repository)
    with registry_access.acting(parts.images, repository, request.credentials, own=False) as registry:
        return {"repository": repository.name, "tags": registry.tags(repository)}


def search(parts: Parts, job: Job) -> dict[str, Any]:
    """What a registry finds for a word."""
    request = msgspec.convert(job.args, asked.Search)
    registry = references.parse_registry(request.registry)
    reference = references.Reference(registry, "", "")
    with registry_access.acting(parts.images, reference, request.credentials, own=False) as driver:
        return {"items": [hit._asdict() for hit in driver.search(registry, request.term, request.limit)]}
