"""Names of images that are in the graph."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors, failpoints
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import disk_sizes, lookup, registry_access, usage
from reconciler.model import references
from reconciler.model.references import Reference
from reconciler.requests import images as asked


def tag(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image tag`: gives an image one more reference, if the trust policy lets it have that."""
    request = msgspec.convert(job.args, asked.ImageTag)
    reference = new_name(request.target)
    target = str(reference)
    layers = disk_sizes.layers(parts.images)
    with parts.images.locks.try_hold(target) as free:
        if not free:
            raise errors.Conflict(f"image {target} is being pulled or removed: try again when that has ended")
        admitted = _admitted(parts, request.source, reference)
        failpoints.hit("tag.before")
        with parts.store.transaction() as session:
            found = lookup.find(session, request.source)[0]
            if found.digest != admitted:
                raise errors.Conflict(f"{request.source} means another image now: try again")
            session.images.tag(target, found.digest)
            told = usage.shown(msgspec.structs.replace(found, reference=target), usage.users(session), layers)
        failpoints.hit("tag.after")
        return told


def _admitted(parts: Parts, source: str, target: Reference) -> str:
    """The digest of the image ``source``. Raises ``Permanent`` if the trust policy does not let it be called
    ``target``: for a name that wants signatures, the registry of that name is asked for them."""
    with parts.store.snapshot() as session:
        found = lookup.find(session, source)[0]
    digests = [digest for digest in (found.index_digest, found.digest) if digest]
    with registry_access.acting(parts.images, target, None, own=True) as registry:
        parts.images.trust.admit(target, registry, digests)
    return found.digest


def new_name(text: str) -> Reference:
    """The reference that an image is to be given. Raises ``Invalid`` for one with a digest, which names itself."""
    reference = references.parse(text)
    if reference.digest:
        raise errors.Invalid(f"image reference {text!r}: a digest cannot be given: name the image by a tag")
    return reference
