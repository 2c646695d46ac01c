"""Jobs that ask a registry: what it has, and for an image."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.engine import acting
from reconciler.engine.handlers import images
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import references
from reconciler.requests import registry as asked


def pull(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock pull`"""
    request = msgspec.convert(job.args, asked.Pull)
    return images.pull_for(parts, job, request.reference, request.credentials)


def tags(parts: Parts, job: Job) -> dict[str, Any]:
    """The tags of a repository."""
    request = msgspec.convert(job.args, asked.Tags)
    repository = references.parse_repository(request.repository)
    with acting.acting(parts, repository, request.credentials, own=False) as registry:
        return {"repository": repository.name, "tags": registry.tags(repository)}


def search(parts: Parts, job: Job) -> dict[str, Any]:
    """What a registry finds for a word."""
    request = msgspec.convert(job.args, asked.Search)
    registry = references.parse_registry(request.registry)
    reference = references.Reference(registry, "", "")
    with acting.acting(parts, reference, request.credentials, own=False) as driver:
        return {"items": [hit._asdict() for hit in driver.search(registry, request.term, request.limit)]}
