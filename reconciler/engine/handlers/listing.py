"""Jobs that ask a registry what it has."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import registry_access
from reconciler.model import references, requests


def tags(parts: Parts, job: Job) -> dict[str, Any]:
    """The tags of a repository."""
    request = msgspec.convert(job.args, requests.Tags)
    repository = references.parse_repository(request.repository)
    with registry_access.acting(parts.images, repository, request.credentials, own=False) as registry:
        return {"repository": repository.name, "tags": registry.tags(repository)}


def search(parts: Parts, job: Job) -> dict[str, Any]:
    """What a registry finds for a word."""
    request = msgspec.convert(job.args, requests.Search)
    registry = references.parse_registry(request.registry)
    asked = references.Reference(registry, "", "")
    with registry_access.acting(parts.images, asked, request.credentials, own=False) as driver:
        return {"items": [hit._asdict() for hit in driver.search(registry, request.term, request.limit)]}
