"""`pydock push`: an image goes to a registry; nothing here changes."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from reconciler import errors
from reconciler.drivers.registry.base import Descriptor
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import pulling, pushing, registry_access, usage
from reconciler.jobs import tagging
from reconciler.model import references
from reconciler.model.references import Reference
from reconciler.model.view import ImageFacts
from reconciler.requests import registry as asked


def push_image(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Push)
    reference = tagging.new_name(request.reference)
    registry = parts.registry
    if request.credentials is not None:
        registry = registry.acting(reference.registry, request.credentials)

    def progress(status: str, layer: str, current: int, total: int) -> None:
        job.emit({"status": status, "layer": layer, "current": current, "total": total})

    with parts.images.leftovers.kept():
        with parts.store.snapshot() as session:
            found = session.images.get(str(reference))
            known = session.images.all()
        if found is None:
            raise errors.NotFound(f"image {reference} is not here: see 'pydock image ls', 'pydock image tag'")
        job.started()
        pushing.push(
            reference,
            found.digest,
            registry,
            parts.graph,
            elsewhere=_elsewhere(reference, known),
            bring=lambda blob: bring(parts, job, blob, known),
            progress=progress,
            stopping=job.stopping,
        )
    job.emit({"status": f"Pushed: {reference}", "layer": "", "current": 0, "total": 0, "digest": found.digest})
    return {"digest": found.digest}


def _elsewhere(reference: Reference, known: list[ImageFacts]) -> dict[str, str]:
    """Layer → another repository of the same registry that an image with it is named after."""
    found: dict[str, str] = {}
    for facts in known:
        if not usage.tagged(facts):
            continue
        other = references.parse(facts.reference)
        if other.registry == reference.registry and other.path != reference.path:
            found |= dict.fromkeys((*facts.layers, facts.image_id), other.path)
    return found


def bring(parts: Parts, job: Job, blob: Descriptor, known: list[ImageFacts]) -> None:
    """Fetches a blob from where one of the images with it may have come from. Raises ``NotFound`` when none did."""
    for facts in known:
        if usage.tagged(facts) and blob.digest in (*facts.layers, facts.image_id):
            with contextlib.suppress(errors.NotFound, errors.Permanent, errors.Forbidden, errors.Temporary):
                source = references.parse(facts.reference)
                with registry_access.acting(parts.images, source, None, own=True) as registry:
                    pulling.fetch(source, blob, registry, parts.graph, job.stopping)
                return
    if job.stopping.is_set():
        raise errors.Temporary(f"blob {blob.digest} was not fetched: pydockd is shutting down")
    raise errors.NotFound(
        f"blob {blob.digest} is not here, as its layer had come in another packing, and cannot be had again from where "
        "its image was pulled"
    )
