"""Steps and jobs of images: check, pull, forget, `pydock pull`."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.registry.base import Manifest, Registry
from reconciler.engine import acting, following, images
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import kinds, references, versions
from reconciler.model.credentials import Credentials
from reconciler.model.keys import Key
from reconciler.model.observed import ContainerObserved, ImageObserved
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session


def check(parts: Parts, job: Job) -> str:
    """Asks the registry what a reference means now, and notes the answer: the next plan tells what follows from it."""
    reference = references.parse(str(job.args["reference"]))
    failpoints.hit("check.before")
    wanted = str(job.args.get("range") or "")
    with acting.acting(parts, reference, None, own=True) as registry:
        if wanted:
            digest, tag = _highest(parts, job.uid, registry, reference, wanted)
        else:
            digest, tag = registry.head(reference), ""
    _note_asked(parts, job.uid, digest, tag)
    failpoints.hit("check.after")
    return digest


def _highest(
    parts: Parts, uid: str, registry: Registry, reference: references.Reference, wanted: str
) -> tuple[str, str]:
    """Digest and tag of the highest version in the range ``wanted``. It is the one that was known before, if the
    registry has a higher one no more: nothing goes back because a tag was removed."""
    tags = registry.tags(reference)
    with parts.store.snapshot() as session:
        found = session.observed.get(uid)
    if isinstance(found, ImageObserved) and found.index_digest and found.latest == found.index_digest:
        former = found.latest_tag
        if former not in tags and former and versions.newest([*tags, former], wanted) == former:
            return found.latest, former
    source = _of_range(reference, tags, wanted)
    return registry.head(source), source.tag


def _of_range(reference: references.Reference, tags: list[str], wanted: str) -> references.Reference:
    tag = versions.newest(tags, wanted)
    if not tag:
        raise errors.NotFound(
            f"image {reference}: none of the {len(tags)} tags of {reference.name} is a version in the range {wanted}: "
            f"'pydock search --list-tags {reference.name}' shows them"
        )
    return msgspec.structs.replace(reference, tag=tag)


def pull(parts: Parts, job: Job) -> str:
    """Makes the image complete in the graph and records its relations, unless another has done so meanwhile."""
    parsed, platform = references.parse(str(job.args["reference"])), str(job.args.get("platform") or "")
    wanted, tag = str(job.args.get("range") or ""), ""
    with parts.pulls.hold(str(parsed)):
        with parts.store.snapshot() as session:
            known = session.images.get(str(parsed))
        fresh = known is None or known.digest == job.args.get("replaces")
        if known is None or fresh:
            with acting.acting(parts, parsed, None, own=True) as registry:
                source = _of_range(parsed, registry.tags(parsed), wanted) if wanted else parsed
                known = _fetch(parts, job.number, registry, parsed, job.stopping, platform, source)
                tag = source.tag if wanted else ""
    if fresh or not wanted:  # which version an image is that came in another way, only the registry can tell
        _note_asked(parts, job.uid, known.index_digest, tag)
    return known.digest


def _note_asked(parts: Parts, uid: str, digest: str, tag: str = "") -> None:
    """What the registry has answered, and when, on the object that it was asked for. ``tag``: that of the highest
    version, where it was asked for one."""
    now = parts.clock.now()
    with parts.store.transaction(durable=False) as session:
        desired, found = session.objects.get(uid), session.observed.get(uid)
        if desired is None:
            return
        if desired.key.kind == kinds.CONTAINER.name:
            seen = found if isinstance(found, ContainerObserved) else ContainerObserved()
            session.observed.put(uid, msgspec.structs.replace(seen, asked=desired.generation, latest=digest))
            return
        image = found if isinstance(found, ImageObserved) else ImageObserved()
        fresh = msgspec.structs.replace(
            image, latest=digest, latest_tag=tag, asked_generation=desired.generation, asked_at=now.wall,
            asked_mono=now.mono, asked_boot=now.boot_id,
        )  # fmt: skip
        session.observed.put(uid, fresh)


def _fetch(
    parts: Parts,
    job: int,
    registry: Registry,
    reference: references.Reference,
    stopping: threading.Event,
    platform: str = "",
    source: references.Reference | None = None,
) -> ImageFacts:
    """Asks the registry what the reference means now, and fetches what is missing of it. ``job`` is the number of the
    one that does so; ``source`` what the registry has the image under, if not the reference."""
    source = source or reference
    failpoints.hit("pull.before")
    transfers, name = parts.transfers, str(reference)

    def admit(found: Manifest | ImageFacts) -> None:
        parts.trust.admit(reference, registry, (found.index_digest, found.digest))

    with parts.leftovers.kept(parts.store, parts.graph), transfers.begun(name, job) as transfer:
        with parts.store.snapshot() as session:
            known = session.images.get(name)
            chain = session.images.chain(known.image_id) if known is not None else ()
        if known is not None and images.unchanged(source, registry, parts.graph, known, chain, platform):
            admit(known)
            transfer.report("unchanged", "", 0, 0)
            with parts.store.transaction(durable=False) as session:
                session.relations.note_use([known.digest], parts.clock.now().wall)
            return known
        facts, blobs, chain = images.pull(
            source, registry, parts.graph, platform=platform, admit=admit, progress=transfer.report, stopping=stopping,
        )  # fmt: skip
        facts = msgspec.structs.replace(facts, reference=name)
        failpoints.hit("pull.after")
        # a layer that was here already, of another packing, needed no blob
        held = [blob for blob in blobs if parts.graph.has_blob(blob)]
        with parts.store.transaction() as session:
            session.images.put(facts, held, chain)
            session.relations.note_use([facts.digest], parts.clock.now().wall)
    failpoints.hit("pull.record.after")
    with parts.store.snapshot() as session:
        users = _users(session, name)
    parts.look(users)
    return facts


def _users(session: Session, reference: str) -> list[Key]:
    """The objects that name an image: whoever waited for it, or follows it, is to look again."""
    return session.objects.naming(references.spellings(reference))


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
        return msgspec.structs.replace(
            observed, reference="", digest="", index_digest="", image_id="", platform="", size=0
        )
    return msgspec.structs.replace(
        observed, reference=facts.reference, digest=facts.digest, index_digest=facts.index_digest,
        image_id=facts.image_id, platform=facts.platform, size=facts.size,
    )  # fmt: skip


def pull_for(parts: Parts, job: Job, text: str, credentials: Credentials | None) -> dict[str, Any]:
    """Pulls the image that ``text`` names for the caller of ``job``; no desired state changes."""
    reference = references.parse(text)
    job.started()
    with acting.acting(parts, reference, credentials, own=False) as registry:
        facts = following.run(
            parts, job, str(reference), lambda stop: _fetch(parts, job.number, registry, reference, stop)
        )
    job.emit({"status": f"Present: {facts.reference}", "layer": "", "current": 0, "total": 0, "digest": facts.digest})
    return {"digest": facts.digest}
