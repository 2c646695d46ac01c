"""Names of images that are in the graph."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors, failpoints
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import disk_sizes, lookup, usage
from reconciler.model import references, requests
from reconciler.model.references import Reference


def tag(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image tag`: an image gets one more reference."""
    request = msgspec.convert(job.args, requests.ImageTag)
    target = str(new_name(request.target))
    layers = disk_sizes.layers(parts.images)
    with parts.images.locks.try_hold(target) as free:
        if not free:
            raise errors.Conflict(f"image {target} is being pulled or removed: try again when that has ended")
        failpoints.hit("tag.before")
        with parts.store.transaction() as session:
            found = lookup.find(session, request.source)[0]
            session.images.tag(target, found.digest)
            told = usage.shown(msgspec.structs.replace(found, reference=target), usage.users(session), layers)
        failpoints.hit("tag.after")
        return told


def new_name(text: str) -> Reference:
    """The reference that an image is to be given. Raises ``Invalid`` for one with a digest, which names itself."""
    reference = references.parse(text)
    if reference.digest:
        raise errors.Invalid(f"image reference {text!r}: a digest cannot be given: name the image by a tag")
    return reference
