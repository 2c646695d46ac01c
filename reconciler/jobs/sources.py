"""Sources of manifests, and the removals that they hold back."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.requests import sources as asked


def sources(parts: Parts, job: Job) -> dict[str, Any]:
    return {"items": [item for source in parts.sources for item in source.status()]}


def ack(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Ack)
    for source in parts.sources:
        if any(item["name"] == request.name for item in source.status()):
            return {"removed": source.ack(request.name, request.digest)}
    raise errors.NotFound(f"no source named {request.name!r}")
