"""Names of images that are in the graph."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors, failpoints
from reconciler.engine import sizes, usage
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import references
from reconciler.model.references import Reference
from reconciler.requests import images as asked


def tag(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image tag`: an image gets one more reference."""
    request = msgspec.convert(job.args, asked.ImageTag)
    target = str(new_name(request.target))
    layers = sizes.layers(parts)
    with parts.pulls.try_hold(target) as free:
        if not free:
            raise errors.Conflict(f"image {target} is being pulled or removed: try again when that has ended")
        failpoints.hit("tag.before")
        with parts.store.transaction() as session:
            found = usage.find(session, request.source)[0]
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
