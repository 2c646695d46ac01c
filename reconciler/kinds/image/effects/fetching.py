"""Brings an image into the graph, for a step or for a caller of the API."""

from __future__ import annotations

import threading

import msgspec

from reconciler import failpoints
from reconciler.drivers.registry.base import Manifest, Registry
from reconciler.engine.parts import Parts
from reconciler.images import pulling
from reconciler.model import references
from reconciler.model.keys import Key
from reconciler.model.view import ImageFacts
from reconciler.store.base import Session


def fetch(
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
    transfers, name = parts.images.running, str(reference)

    def admit(found: Manifest | ImageFacts) -> None:
        parts.images.trust.admit(reference, registry, (found.index_digest, found.digest))

    with parts.images.leftovers.kept(), transfers.begun(name, job) as transfer:
        with parts.store.snapshot() as session:
            known = session.images.get(name)
            chain = session.images.chain(known.image_id) if known is not None else ()
        if known is not None and pulling.unchanged(source, registry, parts.graph, known, chain, platform):
            admit(known)
            transfer.report("unchanged", "", 0, 0)
            with parts.store.transaction(durable=False) as session:
                session.relations.note_use([known.digest], parts.clock.now().wall)
            return known
        facts, blobs, chain = pulling.pull(
            source, registry, parts.graph, platform=platform, admit=admit, progress=transfer.report, stopping=stopping,
        )  # fmt: skip
        facts = msgspec.structs.replace(facts, reference=name)
        failpoints.hit("pull.after")
        # a layer that was here already, compressed in another way, needed no blob
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
    """The objects that name an image. They are looked at again: they may wait for it or follow it."""
    return session.objects.naming(references.spellings(reference))
