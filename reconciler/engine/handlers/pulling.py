"""`pydock pull`."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import registry_access, shared_pull
from reconciler.kinds.image.effects import fetching
from reconciler.model import references, requests


def pull_image(parts: Parts, job: Job) -> dict[str, Any]:
    """The image comes into the graph; no desired state changes."""
    request = msgspec.convert(job.args, requests.Pull)
    reference = references.parse(request.reference)
    job.started()
    with registry_access.acting(parts.images, reference, request.credentials, own=False) as registry:
        facts = shared_pull.run(
            parts.images, job, str(reference), lambda stop: fetching.fetch(parts, job.number, registry, reference, stop)
        )
    job.emit({"status": f"Present: {facts.reference}", "layer": "", "current": 0, "total": 0, "digest": facts.digest})
    return {"digest": facts.digest}
