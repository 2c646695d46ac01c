"""Steps and jobs of images: pull, forget, `pydock pull` and `pydock login`."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from reconciler import failpoints
from reconciler.drivers.registry.base import Registry
from reconciler.engine import following, images
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import references, requests
from reconciler.model.observed import ImageObserved
from reconciler.model.view import ImageFacts


def pull(parts: Parts, job: Job) -> str:
    """Makes the image complete in the graph and records its relations, unless another has done so meanwhile."""
    parsed = references.parse(str(job.args["reference"]))
    with parts.pulls.hold(str(parsed)):
        with parts.store.snapshot() as session:
            known = session.images.get(str(parsed))
        return (known or _fetch(parts, job.number, parts.registry, parsed, job.stopping)).digest


def _fetch(
    parts: Parts, job: int, registry: Registry, reference: references.Reference, stopping: threading.Event
) -> ImageFacts:
    """Asks the registry what the reference means now, and fetches what is missing of it. ``job`` is the number of the
    one that does so."""
    failpoints.hit("pull.before")
    transfers, name = parts.transfers, str(reference)
    with parts.leftovers.kept(parts.store, parts.graph), transfers.begun(name, job) as transfer:
        facts, blobs, chain = images.pull(reference, registry, parts.graph, progress=transfer.report, stopping=stopping)
        failpoints.hit("pull.after")
        # a layer that was here already, of another packing, needed no blob
        held = [blob for blob in blobs if parts.graph.has_blob(blob)]
        with parts.store.transaction() as session:
            session.images.put(facts, held, chain)
            session.relations.note_use([facts.digest], parts.clock.now().wall)
    failpoints.hit("pull.record.after")
    return facts


def untag(parts: Parts, job: Job) -> None:
    """Forgets a reference and removes what no other image needs; ``keep`` leaves the image. The object goes too if it
    is being deleted."""
    unused: tuple[list[str], list[str]] = ([], [])
    with parts.store.transaction() as session:
        if not job.args.get("keep"):
            unused = session.images.remove(str(job.args["reference"]))
        desired = session.objects.get(job.uid)
        observed = session.observed.get(job.uid)
        if desired is not None and desired.deleting_at is not None:
            session.objects.purge(job.uid)
        elif isinstance(observed, ImageObserved):
            session.observed.put(job.uid, _noted(observed, None))
    failpoints.hit("untag.record.after")
    parts.leftovers.discard(parts.store, parts.graph, unused)
    failpoints.hit("untag.after")


def observe(parts: Parts, uid: str, reference: str) -> bool:
    """Notes in an Image object's observed state what the graph has of its reference; whether that is news.

    While another reference is noted, its image has still to be forgotten: that note stays until `untag` takes it.
    """
    wanted = str(references.parse(reference))
    with parts.store.transaction(durable=False) as session:
        found = session.observed.get(uid)
        observed = found if isinstance(found, ImageObserved) else ImageObserved()
        if observed.reference not in ("", wanted):
            return False
        noted = _noted(observed, session.images.get(wanted))
        session.observed.put(uid, noted)
        return noted != observed


def _noted(observed: ImageObserved, facts: ImageFacts | None) -> ImageObserved:
    if facts is None:
        return msgspec.structs.replace(observed, reference="", digest="", image_id="", size=0)
    return msgspec.structs.replace(
        observed, reference=facts.reference, digest=facts.digest, image_id=facts.image_id, size=facts.size
    )


def pull_image(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock pull`: the image comes into the graph; no desired state changes."""
    request = msgspec.convert(job.args, requests.Pull)
    reference = references.parse(request.reference)
    registry = parts.registry
    if request.credentials is not None:
        registry = registry.acting(reference.registry, request.credentials)
    job.started()
    facts = following.run(parts, job, str(reference), lambda stop: _fetch(parts, job.number, registry, reference, stop))
    job.emit({"status": f"Present: {facts.reference}", "layer": "", "current": 0, "total": 0, "digest": facts.digest})
    return {"digest": facts.digest}


def auth(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock login`: asks the registry whether it takes the login."""
    request = msgspec.convert(job.args, requests.Auth)
    registry = references.parse_registry(request.registry)
    parts.registry.acting(registry, request.credentials).login(registry)
    return {"registry": registry}
